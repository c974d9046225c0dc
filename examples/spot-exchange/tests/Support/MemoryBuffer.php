<?php

declare(strict_types=1);

namespace Tests\Support;

use App\Buffers\Buffer;
use App\Buffers\Row;

/** Keeps rows as a database would: the last of a key stays, and a group is what one call brought. */
final class MemoryBuffer implements Buffer
{
    private const KEYS = ['orders' => ['id'], 'trades' => ['id'], 'balances' => ['user_id', 'asset']];

    /** @var array<string, array<string, array<string, int|string|null>>> by table, then key */
    public array $tables = ['orders' => [], 'trades' => [], 'balances' => []];

    /** @var list<list<string>> the tables of each call's rows */
    public array $groups = [];

    public function add(array $order, array $trade = []): void
    {
        $group = [];
        foreach ([...$order, ...$trade] as $row) {
            $this->keep($row);
            $group[] = $row->getTable();
        }
        $this->groups[] = $group;
    }

    public function put(string $table, array $row): void
    {
        $this->add($row);
    }

    public function flush(): int
    {
        return 0;
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return ['flush_count' => 0, 'total_flushed' => 0, 'total_flush_time_ms' => 0.0];
    }

    private function keep(Row $row): void
    {
        $attributes = $row->getAttributes();
        $key = array_map(static fn (string $column) => $attributes[$column], self::KEYS[$row->getTable()]);
        $this->tables[$row->getTable()][implode(' ', $key)] = $attributes;
    }
}
