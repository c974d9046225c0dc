<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use Closure;
use Illuminate\Database\Connection;
use Throwable;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\KeySearch;
use WriteBuffer\Laravel\Tables\TableCatalog;

/**
 * A buffer whose rows follow Laravel's transactions on the connection that it is named for: what is added in one is held, as it was at
 * that moment, is added after its commit, and is dropped by its rollback.
 *
 * @phpstan-import-type Letter from DeadLetter
 *
 * Invariant: a group whose transaction was committed is in the buffer behind this one, or here among `late` (the buffer was full; it
 * is tried again, in order, before anything else is added or flushed), or among the failures (the buffer will never take it). What
 * held a group back is thrown out of the commit, and the transaction stays committed.
 */
final class AfterCommitBuffer implements Buffer, HeldGroupOwner
{
    /** @var list<list<Row>> */
    private array $late = [];

    /** @var list<Letter> */
    private array $failures = [];

    private int $failedRows = 0;

    /** @param Closure(): Connection $connection */
    public function __construct(
        private readonly Buffer $buffer,
        private readonly OpenTransactions $transactions,
        private readonly Closure $connection,
        private readonly RowReader $reader,
        private readonly TableCatalog $tables,
        private readonly string $orderTable,
        private readonly string $tradeTable,
    ) {
    }

    public function __destruct()
    {
        try {
            $this->addLate();
        } catch (Throwable $e) {
            trigger_error('WriteBuffer: ' . self::countRows($this->late) . ' rows of committed transactions are lost: '
                . $e->getMessage(), E_USER_WARNING);
        }
    }

    /** The buffer that the rows go to. */
    public function inner(): Buffer
    {
        return $this->buffer;
    }

    /** Whether the connection has a transaction open, so that rows are held. */
    public function isHolding(): bool
    {
        return $this->openConnection() !== null;
    }

    /** How many rows wait for a transaction's end. */
    public function heldRows(): int
    {
        return self::countRows($this->waitingGroups()) - self::countRows($this->late);
    }

    public function add(mixed $order, mixed $trade = null): void
    {
        $connection = $this->openConnection();
        if ($connection === null) {
            $this->addLate();
            $this->buffer->add($order, $trade);

            return;
        }
        $rows = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);
        $this->hold($connection, [
            ...$rows,
            ...$this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true),
        ]);
    }

    public function put(string $table, mixed $row): void
    {
        $connection = $this->openConnection();
        if ($connection === null) {
            $this->addLate();
            $this->buffer->put($table, $row);

            return;
        }
        $this->hold($connection, $this->reader->read($row, $table, 'Argument #2 ($row)', false));
    }

    /** Rows that are held are found too: whoever added them reads them, before anybody else does. */
    public function find(string $table, mixed $key): ?array
    {
        return KeySearch::find(
            $this->tables,
            $this->reader->table($table),
            $key,
            array_merge(...$this->waitingGroups()),
            $this->buffer->find($table, $key),
        );
    }

    /** Writes what was added outside of transactions, and in those that were committed. What is held goes on waiting. */
    public function flush(?int $timeoutMs = null): int
    {
        $this->addLate();

        return $this->buffer->flush($timeoutMs);
    }

    public function isFull(): bool
    {
        return $this->buffer->isFull();
    }

    public function getMetrics(): array
    {
        $metrics = $this->buffer->getMetrics();
        $waiting = self::countRows($this->waitingGroups());
        $metrics['added_rows'] += $waiting + $this->failedRows;
        $metrics['pending_rows'] += $waiting;
        $metrics['failed_rows'] += $this->failedRows;

        return $metrics;
    }

    public function count(): int
    {
        return count($this->buffer) + self::countRows($this->waitingGroups());
    }

    public function takeFailures(): array
    {
        [$failures, $this->failures] = [$this->failures, []];

        return [...$failures, ...$this->buffer->takeFailures()];
    }

    public function retry(array $failures): int
    {
        return $this->buffer->retry($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        $this->addLate();
        $this->buffer->close($timeoutMs);
    }

    /** Adds a group whose transaction was committed. */
    public function addCommitted(array $rows): void
    {
        $this->late[] = $rows;
        $this->addLate();
    }

    /** The connection, while it has a transaction open; null: it has none, and nothing is to wait. */
    private function openConnection(): ?Connection
    {
        // Asked at each add(), where asking Laravel for the connection would take longer than the extension does.
        if (!$this->transactions->areAny()) {
            return null;
        }
        $connection = ($this->connection)();

        return $this->transactions->isOpen($connection) ? $connection : null;
    }

    private function addLate(): void
    {
        while ($this->late !== []) {
            try {
                $this->buffer->add($this->late[0]);
            } catch (FullException $e) {
                throw $e;
            } catch (TypeError | ConfigException | ClosedException $e) {
                $this->giveUp(array_shift($this->late), $e);
                throw $e;
            } catch (Throwable $e) {
                // Any other says that the group was taken.
                array_shift($this->late);
                throw $e;
            }
            array_shift($this->late);
        }
    }

    /** @param list<Row> $rows */
    private function giveUp(array $rows, Throwable $e): void
    {
        $this->failedRows += count($rows);
        $this->failures[] = DeadLetter::of($rows, 0, $e->getMessage());
    }

    /** @param list<Row> $rows */
    private function hold(Connection $connection, array $rows): void
    {
        if ($rows !== []) {
            $this->transactions->hold($connection, new HeldGroup($this, $rows));
        }
    }

    /** @return list<list<Row>> groups that the buffer has not yet, in order */
    private function waitingGroups(): array
    {
        $waiting = $this->late;
        $connection = $this->openConnection();
        foreach ($connection === null ? [] : $this->transactions->held($connection) as $group) {
            if ($group->buffer === $this) {
                $waiting[] = $group->rows;
            }
        }

        return $waiting;
    }

    /** @param list<list<Row>> $groups */
    private static function countRows(array $groups): int
    {
        return array_sum(array_map('count', $groups));
    }
}
