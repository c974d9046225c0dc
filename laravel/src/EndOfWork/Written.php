<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use RuntimeException;
use WeakMap;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\PlacedBuffer;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Events\BatchWritten;
use WriteBuffer\Laravel\Status\StatusFolder;

/**
 * Owns which commits listeners were told of. A persistent buffer counts on from one request to the
 * next, so for it this stands in the folder of `write-buffer:status`, too. What its worker had
 * committed before the first event is not told.
 *
 * @phpstan-type Counts array{rows: int, transactions: int, time: float}
 */
final class Written
{
    /** @var WeakMap<Buffer, Counts> */
    private WeakMap $told;

    public function __construct()
    {
        $this->told = new WeakMap();
    }

    /**
     * @param array<string, mixed> $metrics the buffer's, of now
     * @param StatusFolder|null    $folder  for a persistent buffer
     *
     * @return BatchWritten|null null: nothing was committed since
     */
    public function since(
        string $name,
        Buffer $buffer,
        array $metrics,
        bool $isPersistent,
        ?StatusFolder $folder,
    ): ?BatchWritten {
        $now = [
            'rows' => (int) $metrics[Metrics::COMMITTED],
            'transactions' => (int) $metrics[Metrics::TRANSACTIONS],
            'time' => (float) $metrics[Metrics::TRANSACTION_TIME_MS],
        ];
        $start = $isPersistent ? $now : ['rows' => 0, 'transactions' => 0, 'time' => 0.0];
        $remembered = $this->told[$buffer] ?? $this->remembered($name, $folder);
        $before = $remembered ?? $start;
        $this->told[$buffer] = $now;
        if ($now !== $remembered) {
            $this->remember($name, $folder, $now);
        }
        if ($now['rows'] <= $before['rows']) {
            return null;
        }
        $tables = $buffer instanceof PlacedBuffer ? $buffer->tables($metrics[Metrics::PENDING] === 0) : [];

        return new BatchWritten(
            $name,
            $tables,
            $now['rows'] - $before['rows'],
            max(0, $now['transactions'] - $before['transactions']),
            max(0.0, $now['time'] - $before['time']),
        );
    }

    /** @return Counts|null */
    private function remembered(string $name, ?StatusFolder $folder): ?array
    {
        $told = $folder?->told("{$name} written");

        return isset($told['counts']) && $told['process'] === Told::process() ? $told['counts'] : null;
    }

    /** @param Counts $now */
    private function remember(string $name, ?StatusFolder $folder, array $now): void
    {
        try {
            $folder?->tell("{$name} written", [
                'process' => Told::process(), 'refused' => 0, 'parked' => [], 'counts' => $now,
            ]);
        } catch (RuntimeException) {
            // Who publishes into the folder reports it.
        }
    }
}
