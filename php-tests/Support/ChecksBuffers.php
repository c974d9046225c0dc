<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use WriteBuffer\Buffer;

/**
 * Makes the buffers of a test. At the test's end it checks for each of them that every row taken is
 * committed, buffered or given up, and nowhere twice.
 */
trait ChecksBuffers
{
    /** @var list<\WeakReference<Buffer>> weak, so that a test can watch a buffer being destroyed */
    private array $buffers = [];

    /** A buffer that flushes by time only when a test says so. */
    protected function buffer(mixed ...$settings): \WriteBuffer
    {
        $buffer = new \WriteBuffer(...$settings + ['dsn' => $this->defaultDsn(), 'flushIntervalMs' => 3_600_000]);
        $this->buffers[] = \WeakReference::create($buffer);

        return $buffer;
    }

    protected function syncBuffer(mixed ...$settings): \SyncWriteBuffer
    {
        $buffer = new \SyncWriteBuffer(...$settings + ['dsn' => $this->defaultDsn()]);
        $this->buffers[] = \WeakReference::create($buffer);

        return $buffer;
    }

    /** The DSN of buffers that name none. */
    abstract protected function defaultDsn(): string;

    /** @return list<Buffer> */
    private function livingBuffers(): array
    {
        $buffers = array_map(static fn (\WeakReference $reference): ?Buffer => $reference->get(), $this->buffers);

        return array_values(array_filter($buffers));
    }

    protected function assertPostConditions(): void
    {
        foreach ($this->livingBuffers() as $buffer) {
            self::assertCounted($buffer);
        }
    }

    protected static function assertCounted(Buffer $buffer): void
    {
        $metrics = $buffer->getMetrics();
        self::assertSame(
            $metrics['rows_added'],
            $metrics['rows_committed'] + $metrics['rows_pending'] + $metrics['rows_refused'],
            'added rows are committed, buffered or given up: ' . json_encode($metrics),
        );
        self::assertLessThanOrEqual($metrics['rows_committed'], $metrics['rows_stale']);
        self::assertSame($metrics['rows_pending'], count($buffer));
        self::assertSame(
            [$metrics['transactions'], $metrics['rows_committed'], $metrics['transaction_time_sum_ms']],
            [$metrics['flush_count'], $metrics['total_flushed'], $metrics['total_flush_time_ms']],
            'the old names say the same',
        );
        $parts = array_intersect_key($metrics, array_flip([
            'retries_deadlock', 'retries_lock_wait_timeout', 'retries_record_changed', 'retries_other',
            'retries_reconnect',
        ]));
        self::assertSame($metrics['retries'], array_sum($parts), json_encode($metrics));
        self::assertSame($metrics['rows_pending'] === 0, $metrics['bytes_pending'] === 0, json_encode($metrics));
    }

    /** Empties the buffers that a failed test has left full. So their end raises no warning. */
    protected function drainBuffers(): void
    {
        foreach ($this->livingBuffers() as $buffer) {
            try {
                $buffer->flush(2_000);
            } catch (\Throwable) {
                // The test has said what is wrong.
            }
            $buffer->takeFailures();
        }
        $this->buffers = [];
    }
}
