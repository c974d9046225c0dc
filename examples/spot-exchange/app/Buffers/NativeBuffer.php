<?php

declare(strict_types=1);

namespace App\Buffers;

use App\Models\Balance;
use RuntimeException;
use WriteBuffer;

/** The write_buffer extension behind this application's seam. */
final class NativeBuffer implements Buffer
{
    private readonly WriteBuffer $buffer;

    public function __construct(
        #[\SensitiveParameter] string $dsn,
        int $batchSize = 100,
        int $flushIntervalMs = 500,
        int $maxRetries = 3,
        ?bool $background = null,
    ) {
        if (!extension_loaded('write_buffer')) {
            throw new RuntimeException(
                'The extension write_buffer is not loaded: add "extension=write_buffer" to php.ini, or start PHP with'
                . ' "php -d extension=/path/to/write_buffer.so artisan …". For exchange:demo, which starts PHP itself,'
                . ' set WRITE_BUFFER_EXTENSION to that path.'
            );
        }

        $this->buffer = new WriteBuffer(
            dsn: $dsn,
            batchSize: $batchSize,
            flushIntervalMs: $flushIntervalMs,
            maxRetries: $maxRetries,
            background: $background,
            tables: [
                'orders' => ['key' => 'id'],
                'trades' => ['key' => 'id', 'mode' => 'insert'],
                'balances' => ['key' => Balance::KEY],
            ],
        );
    }

    public function add(array $order, array $trade = []): void
    {
        $this->buffer->add($order, $trade);
    }

    public function put(string $table, array $row): void
    {
        $this->buffer->put($table, $row);
    }

    public function flush(): int
    {
        return $this->buffer->flush();
    }

    public function isFull(): bool
    {
        return $this->buffer->isFull();
    }

    public function getMetrics(): array
    {
        return $this->buffer->getMetrics();
    }
}
