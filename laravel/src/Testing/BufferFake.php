<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Testing;

use Closure;
use Illuminate\Database\Connection;
use Throwable;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\DeadLetters\PutBack;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Drivers\Tickets;
use WriteBuffer\Laravel\Rows\Identity;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\OpenGroups;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Rows\Tag;
use WriteBuffer\Laravel\Tables\TableRules;
use WriteBuffer\Laravel\Transactions\HeldGroup;
use WriteBuffer\Laravel\Transactions\HeldGroupOwner;
use WriteBuffer\Laravel\Transactions\OpenTransactions;

/**
 * A buffer that writes nothing, and remembers all rows for its assertions. As in a real buffer,
 * rows are checked for their types, and for their tables and columns where a database is at hand,
 * and follow Laravel's transactions. Tables have no prefix, and no server refuses a value.
 */
final class BufferFake implements Buffer, HeldGroupOwner
{
    use AssertsBuffered;

    /** @var list<Row> all rows that were added, in order */
    private array $rows = [];

    /** @var list<list<Row>> the same rows, as they were grouped */
    private array $groups = [];

    private int $flushedRows = 0;

    /** As many groups count as committed, from the first on. */
    private int $flushedGroups = 0;

    private int $flushes = 0;

    private bool $isClosed = false;

    private readonly RowReader $reader;

    private readonly OpenGroups $openGroups;

    private readonly PutBack $putBack;

    /**
     * @param array<string, array<string, mixed>> $tables     the buffer's `tables`, for find()
     * @param (Closure(): Connection)|null        $connection the rows follow its transactions
     * @param SchemaCheck|null                    $schema     null: nobody knows where rows go
     */
    public function __construct(
        private readonly string $orderTable = 'orders',
        private readonly string $tradeTable = 'trades',
        private readonly array $tables = [],
        private readonly ?OpenTransactions $transactions = null,
        private readonly ?Closure $connection = null,
        private readonly ?SchemaCheck $schema = null,
    ) {
        $this->reader = new RowReader('', $this->identity(...));
        $this->openGroups = new OpenGroups();
        $this->putBack = new PutBack();
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $rows = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);

        return $this->take([...$rows, ...$this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true)]);
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        Tag::check($tag);

        return $this->take($this->reader->read($row, $table, 'Argument #2 ($row)', false));
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $this->refuseWhenClosed();
        $import = new Import(
            $this,
            fn (array $row): array => $this->reader->read($row, $table, Import::PARAMETER, false),
            $this->take(...),
            static fn (): bool => false,
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        Tag::check($tag);
        $this->refuseWhenClosed();
        $row = $this->reader->deletion($table, $key);
        if ($this->isInsertOnly($table)) {
            throw new ConfigException("table {$table} is written by mode 'insert': nothing is deleted from it");
        }
        $this->schema?->check($row);
        $columns = $this->keyOf($table);
        $values = array_is_list($row->values) && count($row->values) === count($columns)
            ? array_combine($columns, $row->values)
            : $row->values;

        return $this->takeChecked([new Row($table, $values, null, true)]);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $this->refuseWhenClosed();

        return $this->openGroups->run(
            $rows,
            fn (OpenGroup $group) => $group->rows === [] ? null : $this->addCommitted($group->rows),
            fn (OpenGroup $group, int $from) => $this->transactions?->takeBack($group, $from),
            $tag,
        );
    }

    public function find(string $table, mixed $key): array|false|null
    {
        $columns = $this->keyOf($table);
        $key = KeyForm::plain($key);
        $found = null;
        foreach ([...array_slice($this->rows, $this->flushedRows), ...$this->openGroups->current()?->rows ?? []] as $row) {
            if ($row->table !== $table) {
                continue;
            }
            foreach ($columns as $at => $column) {
                $wanted = $key[$column] ?? $key[$at] ?? null;
                if (!KeyForm::isSame($row->plainValues()[$column] ?? null, $wanted)) {
                    continue 2;
                }
            }
            $found = $row->isDeletion ? false : array_replace($found ?: [], $row->plainValues());
        }

        return $found;
    }

    public function flush(?int $timeoutMs = null): int
    {
        $rows = count($this);
        $this->flushedRows += $rows;
        $this->flushedGroups = count($this->groups);
        $this->flushes++;

        return $rows;
    }

    /** As flush(): it has no journal. */
    public function sync(?int $timeoutMs = null): void
    {
        $this->flush($timeoutMs);
    }

    public function lastTicket(): int
    {
        return count($this->groups);
    }

    public function committedThrough(): int
    {
        return $this->flushedGroups;
    }

    /** The group counts as committed, and all before it. It is no flush for assertFlushed(). */
    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        $isGathering = $this->openGroups->areAny() || $this->isHolding();
        Tickets::check($ticket, $timeoutMs, $this->lastTicket(), $isGathering);
        for (; $this->flushedGroups < $ticket; $this->flushedGroups++) {
            $this->flushedRows += count($this->groups[$this->flushedGroups]);
        }
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return Metrics::of([
            'rows_added' => count($this->rows),
            'rows_pending' => count($this),
            'rows_committed' => $this->flushedRows,
            'transactions' => $this->flushes,
        ]);
    }

    public function count(): int
    {
        return count($this->rows) - $this->flushedRows;
    }

    public function failures(): array
    {
        return [];
    }

    public function takeFailures(): array
    {
        return [];
    }

    public function retry(array $failures): int
    {
        $this->refuseWhenClosed();
        $this->putBack->check(array_values($failures));
        foreach ($failures as $failure) {
            $this->putBack->enter($failure);
            $this->group(function () use ($failure): void {
                foreach ($failure['rows'] as $row) {
                    match (true) {
                        isset($row['delete']) => $this->delete($row['table'], $row['delete']),
                        ($row['update'] ?? null) === true => $this->put(
                            $row['table'],
                            new Row($row['table'], $row['row'], null, false, true),
                        ),
                        default => $this->put($row['table'], [$row['row']]),
                    };
                }
            });
        }

        return count($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        if (!$this->isClosed) {
            $this->flush($timeoutMs);
            $this->isClosed = true;
        }
    }

    public function addCommitted(array $rows, ?string $tag = null): void
    {
        $this->refuseWhenClosed();
        array_push($this->rows, ...$rows);
        $this->groups[] = $rows;
    }

    public function keepsWhatFailed(Throwable $e): bool
    {
        return false;
    }

    /** @return list<Row> all rows that were added, also those that were flushed since */
    public function buffered(): array
    {
        return $this->rows;
    }

    /** @return list<list<Row>> the same rows, as they were grouped */
    public function groups(): array
    {
        return $this->groups;
    }

    /** How often flush() was called, or close() for the first time. */
    public function flushes(): int
    {
        return $this->flushes;
    }

    /**
     * @param list<Row> $rows
     *
     * @return int their ticket; 0 before they have one
     */
    private function take(array $rows): int
    {
        $this->refuseWhenClosed();
        foreach ($rows as $row) {
            if ($row->values === []) {
                throw new ConfigException("table {$row->table}: a row has no columns");
            }
            $this->schema?->check($row);
        }

        return $this->takeChecked($rows);
    }

    /**
     * @param list<Row> $rows
     *
     * @return int their ticket; 0 before they have one
     */
    private function takeChecked(array $rows): int
    {
        $group = $this->openGroups->current();
        if ($rows === []) {
            return $group === null ? $this->lastTicket() : 0;
        }
        $connection = $this->connection === null ? null : ($this->connection)();
        if ($connection !== null && $this->transactions?->isOpen($connection)) {
            $this->transactions->hold($connection, new HeldGroup($this, $rows, $group));
        } elseif ($group !== null) {
            $group->add($rows);
        } else {
            $this->addCommitted($rows);

            return $this->lastTicket();
        }

        return 0;
    }

    private function identity(string $table, ?string $keyName): ?Identity
    {
        $key = isset($this->tables[$table]['key']) ? $this->keyOf($table) : array_filter([$keyName]);

        return $this->isInsertOnly($table) || $key === []
            ? null
            : new Identity($key, $this->tables[$table]['guard'] ?? null);
    }

    private function isInsertOnly(string $table): bool
    {
        $default = $table === $this->tradeTable && $table !== $this->orderTable ? TableRules::INSERT : TableRules::UPSERT;

        return (TableRules::inWords($this->tables[$table] ?? [])['mode'] ?? $default) === TableRules::INSERT;
    }

    /** @return list<string> */
    private function keyOf(string $table): array
    {
        return (array) ($this->tables[$table]['key'] ?? ($this->schema?->keyOf($table) ?: 'id'));
    }

    private function isHolding(): bool
    {
        $connection = $this->connection === null ? null : ($this->connection)();

        return $connection !== null && ($this->transactions?->held($connection) ?? []) !== [];
    }

    private function refuseWhenClosed(): void
    {
        if ($this->isClosed) {
            throw new ClosedException('the buffer is closed');
        }
    }
}
