<?php

declare(strict_types=1);

namespace Tests\Support;

use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Buffer;

/** Keeps rows as a database would: the last row of a key stays. A group is the rows of one call. */
final class MemoryBuffer implements Buffer
{
    private const KEYS = ['orders' => ['id'], 'trades' => ['id'], 'balances' => ['user_id', 'asset']];

    /** @var array<string, array<string, array<string, int|string|null>>> by table, then key */
    public array $tables = ['orders' => [], 'trades' => [], 'balances' => []];

    /** @var list<list<string>> the tables of each call's rows */
    public array $groups = [];

    /**
     * @param list<Model>      $order
     * @param list<Model>|null $trade
     */
    public function add(mixed $order, mixed $trade = null): int
    {
        $group = [];
        foreach ([...$order, ...$trade ?? []] as $row) {
            $this->keep($row);
            $group[] = $row->getTable();
        }
        $this->groups[] = $group;

        return count($this->groups);
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        return $this->add($row);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $count = 0;
        foreach ($rows as $row) {
            $this->put($table, [$row]);
            $count++;
        }

        return $count;
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        unset($this->tables[$table][implode(' ', (array) $key)]);

        return count($this->groups);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $first = count($this->groups);
        $returned = $rows();
        $this->groups[] = array_merge(...array_splice($this->groups, $first));

        return $returned;
    }

    public function find(string $table, mixed $key): ?array
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
        return count($this->groups);
    }

    public function committedThrough(): int
    {
        return count($this->groups);
    }

    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return [];
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
        return 0;
    }

    public function close(?int $timeoutMs = null): void
    {
    }

    private function keep(Model $row): void
    {
        $attributes = $row->getAttributes();
        $key = array_map(static fn (string $column) => $attributes[$column], self::KEYS[$row->getTable()]);
        $this->tables[$row->getTable()][implode(' ', $key)] = $attributes;
    }
}
