<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Rows\Row;

/**
 * Owns the groups that were taken and are neither committed nor given up, in the order in which
 * they were added.
 *
 * Invariant: `rows` and `bytes` are the sums over the groups.
 */
final class PendingGroups implements \Countable
{
    /** @var list<array{rows: list<Row>, bytes: int, addedAt: int, ticket: int, tag: ?string}> */
    private array $groups = [];

    private int $rows = 0;

    private int $bytes = 0;

    /** @param list<Row> $rows */
    public function add(array $rows, int $ticket, ?string $tag): void
    {
        $bytes = self::sizeOf($rows);
        $this->groups[] = [
            'rows' => $rows,
            'bytes' => $bytes,
            'addedAt' => hrtime(true),
            'ticket' => $ticket,
            'tag' => $tag,
        ];
        $this->rows += count($rows);
        $this->bytes += $bytes;
    }

    /**
     * Takes groups out.
     *
     * @return int how many rows they had
     */
    public function remove(int $at, int $size): int
    {
        $rows = 0;
        foreach (array_splice($this->groups, $at, $size) as $group) {
            $rows += count($group['rows']);
            $this->bytes -= $group['bytes'];
        }
        $this->rows -= $rows;

        return $rows;
    }

    public function count(): int
    {
        return count($this->groups);
    }

    public function rows(): int
    {
        return $this->rows;
    }

    public function bytes(): int
    {
        return $this->bytes;
    }

    /** @return list<Row> */
    public function group(int $at): array
    {
        return $this->groups[$at]['rows'];
    }

    public function ticket(int $at): int
    {
        return $this->groups[$at]['ticket'];
    }

    public function tag(int $at): ?string
    {
        return $this->groups[$at]['tag'];
    }

    /** The group of a ticket, by its place. null: it is settled. */
    public function place(int $ticket): ?int
    {
        $at = array_search($ticket, array_column($this->groups, 'ticket'), true);

        return $at === false ? null : $at;
    }

    /** @return list<list<Row>> */
    public function first(int $size): array
    {
        return array_column(array_slice($this->groups, 0, $size), 'rows');
    }

    /** @return iterable<Row> all rows, in order */
    public function all(): iterable
    {
        foreach ($this->groups as $group) {
            yield from $group['rows'];
        }
    }

    /** @return array<string, non-empty-list<Row>> all rows by table, each table's in order */
    public function byTable(): array
    {
        $byTable = [];
        foreach ($this->all() as $row) {
            $byTable[$row->table][] = $row;
        }

        return $byTable;
    }

    public function oldestAgeMs(): float
    {
        return $this->groups === [] ? 0.0 : (hrtime(true) - $this->groups[0]['addedAt']) / 1e6;
    }

    /** @param list<Row> $rows */
    public static function sizeOf(array $rows): int
    {
        return array_sum(array_map(static fn (Row $row): int => $row->bytes(), $rows));
    }
}
