<?php

declare(strict_types=1);

namespace App\Buffers;

/**
 * The seam between the exchange and its database: rows go in, and how and when they are saved is the buffer's matter.
 *
 * It is the part of the extension's own interface `\WriteBuffer\Buffer` that the exchange needs. It exists so that the
 * application also runs without the extension; an application that always has it type-hints that interface instead.
 *
 * A row is copied before the method returns: what happens to the object afterwards does not change what is saved.
 */
interface Buffer
{
    /**
     * Takes what one step of the exchange changed: orders and balances, each for its own table, and new trades. A
     * buffer that uses transactions saves all of it in one.
     *
     * @param list<Row> $order
     * @param list<Row> $trade
     */
    public function add(array $order, array $trade = []): void;

    /**
     * Takes rows of one table.
     *
     * @param list<Row> $row
     */
    public function put(string $table, array $row): void;

    /**
     * Returns when all rows taken before are committed.
     *
     * @return int how many rows this call committed
     */
    public function flush(): int;

    /** Whether a batch is complete. */
    public function isFull(): bool;

    /** @return array{flush_count: int, total_flushed: int, total_flush_time_ms: float, ...} */
    public function getMetrics(): array;
}
