<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Null;

use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\OpenGroups;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;

/** The driver `null`: checks the types of rows, counts the rows, and drops them. */
final class NullBuffer implements Buffer
{
    private int $addedRows = 0;

    private bool $isClosed = false;

    private readonly RowReader $reader;

    private readonly OpenGroups $groups;

    public function __construct()
    {
        $this->reader = new RowReader();
        $this->groups = new OpenGroups();
    }

    public function add(mixed $order, mixed $trade = null): void
    {
        $this->refuseWhenClosed();
        $rows = $this->reader->read($order, 'orders', 'Argument #1 ($order)', true);
        $this->drop([...$rows, ...$this->reader->read($trade, 'trades', 'Argument #2 ($trade)', true)]);
    }

    public function put(string $table, mixed $row): void
    {
        $this->refuseWhenClosed();
        $this->drop($this->reader->read($row, $table, 'Argument #2 ($row)', false));
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $this->refuseWhenClosed();
        $import = new Import(
            $this,
            fn (array $row): array => $this->reader->read($row, $table, Import::PARAMETER, false),
            function (array $rows): void {
                $this->refuseWhenClosed();
                $this->drop($rows);
            },
            static fn (): bool => false,
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key): void
    {
        $this->refuseWhenClosed();
        $this->drop([$this->reader->deletion($table, $key)]);
    }

    public function group(callable $rows): mixed
    {
        $this->refuseWhenClosed();

        return $this->groups->run($rows, function (OpenGroup $group): void {
            $this->refuseWhenClosed();
            $this->addedRows += count($group->rows);
        });
    }

    public function find(string $table, mixed $key): array|false|null
    {
        return null;
    }

    public function flush(?int $timeoutMs = null): int
    {
        return 0;
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return array_replace(Metrics::none(), ['added_rows' => $this->addedRows, 'total_flushed' => $this->addedRows]);
    }

    public function count(): int
    {
        return 0;
    }

    public function takeFailures(): array
    {
        return [];
    }

    public function retry(array $failures): int
    {
        if ($failures !== []) {
            $this->refuseWhenClosed();
        }

        return count($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        $this->isClosed = true;
    }

    /** @param list<Row> $rows */
    private function drop(array $rows): void
    {
        $group = $this->groups->current();
        if ($group === null) {
            $this->addedRows += count($rows);
        } else {
            $group->add($rows);
        }
    }

    private function refuseWhenClosed(): void
    {
        if ($this->isClosed) {
            throw new ClosedException('the buffer is closed');
        }
    }
}
