<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Null;

use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\Laravel\DeadLetters\PutBack;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Drivers\Tickets;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\OpenGroups;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Rows\Tag;

/** The driver `null`: checks the types of rows, counts the rows, and drops them. */
final class NullBuffer implements Buffer
{
    private int $addedRows = 0;

    private int $lastTicket = 0;

    private bool $isClosed = false;

    private readonly RowReader $reader;

    private readonly OpenGroups $groups;

    private readonly PutBack $putBack;

    public function __construct()
    {
        $this->reader = new RowReader();
        $this->groups = new OpenGroups();
        $this->putBack = new PutBack();
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $this->refuseWhenClosed();
        $rows = $this->reader->read($order, 'orders', 'Argument #1 ($order)', true);
        return $this->drop([...$rows, ...$this->reader->read($trade, 'trades', 'Argument #2 ($trade)', true)]);
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        $this->refuseWhenClosed();
        Tag::check($tag);

        return $this->drop($this->reader->read($row, $table, 'Argument #2 ($row)', false));
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

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        $this->refuseWhenClosed();
        Tag::check($tag);

        return $this->drop([$this->reader->deletion($table, $key)]);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $this->refuseWhenClosed();

        return $this->groups->run($rows, function (OpenGroup $group): void {
            $this->refuseWhenClosed();
            $this->countGroup($group->rows);
        }, null, $tag);
    }

    public function find(string $table, mixed $key): array|false|null
    {
        return null;
    }

    public function flush(?int $timeoutMs = null): int
    {
        return 0;
    }

    public function sync(?int $timeoutMs = null): void
    {
    }

    public function lastTicket(): int
    {
        return $this->lastTicket;
    }

    public function committedThrough(): int
    {
        return $this->lastTicket;
    }

    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        Tickets::check($ticket, $timeoutMs, $this->lastTicket, $this->groups->areAny());
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return Metrics::of(['rows_added' => $this->addedRows, 'rows_committed' => $this->addedRows]);
    }

    public function count(): int
    {
        return 0;
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
        array_map($this->putBack->enter(...), $failures);
        $this->lastTicket += count($failures);

        return count($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        $this->isClosed = true;
    }

    /**
     * @param list<Row> $rows
     *
     * @return int their ticket
     */
    private function drop(array $rows): int
    {
        $group = $this->groups->current();
        if ($group === null) {
            return $this->countGroup($rows);
        }
        $group->add($rows);

        return 0;
    }

    /** @param list<Row> $rows */
    private function countGroup(array $rows): int
    {
        $this->addedRows += count($rows);

        return $rows === [] ? $this->lastTicket : ++$this->lastTicket;
    }

    private function refuseWhenClosed(): void
    {
        if ($this->isClosed) {
            throw new ClosedException('the buffer is closed');
        }
    }
}
