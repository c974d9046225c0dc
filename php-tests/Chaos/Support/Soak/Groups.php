<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use WriteBuffer\Tests\Chaos\Support\Load;
use WriteBuffer\Tests\Support\Model;

/**
 * What a worker adds, as a function of the seed, the worker and the step. A step has a group in
 * some of its slots. A group is a list of rows as in the dead-letter file:
 * `['table' => …, 'row' => […]]`.
 *
 * | slot | the group |
 * |---|---|
 * | order | a new order, the order of ten steps ago once more, two trades. Healthy |
 * | tick | one of the worker's twenty ticks. Healthy |
 * | transfer | two accounts that all workers share: sums |
 * | price | a price that all workers share, with a guard |
 * | refused | an order that is too long for its column, and a trade |
 * | dropped … locked | a row of that table |
 * | mixed | an order, and a row of a table that comes and goes: both or neither |
 */
final class Groups
{
    public const SLOTS = [
        'order', 'tick', 'transfer', 'price', 'refused', 'dropped', 'remade', 'renamed', 'columns', 'rights', 'locked',
        'mixed',
    ];
    public const ACCOUNT_COUNT = 50;
    public const TICKS = 20;
    /** Tags, and so the numbers of new orders, are multiples of it for each worker. */
    public const TAGS_PER_WORKER = 1_000_000_000;
    /** Orders from here on are no new ones of the slot `order`. */
    public const ORDERS_MAX = 500_000_000;

    private const KEYS = 40;
    private const REFUSED_FROM = 700_000_000;
    private const AGAIN_AFTER = 10;

    /** @param bool $isSync whether it adds new rows only, as each may be written or not */
    public function __construct(private int $seed, private int $worker, private bool $isSync)
    {
    }

    /** @return array<string, list<array{table: string, row: array<string, int|string>}>> by slot */
    public function at(int $step): array
    {
        $tag = $this->worker * self::TAGS_PER_WORKER + $step;
        $groups = ['order' => $this->order($step, $tag)];
        if ($this->isSync) {
            $groups['dropped'] = [$this->row(Tables::DROPPED, $tag)];
            $groups['columns'] = [$this->row(Tables::COLUMNS, $tag)];

            return $groups;
        }
        $groups['tick'] = [$this->upsert(Tables::TICKS, $this->worker * 1_000 + $step % self::TICKS, $tag)];
        $groups['transfer'] = $this->transfer($step, $tag);
        $groups['price'] = [[
            'table' => Tables::PRICES,
            // Now one worker is ahead, now another.
            'row' => [
                'id' => $step % self::ACCOUNT_COUNT,
                'version' => ($step + $this->draw(100, $step, 'version')) * 10 + $this->worker,
                'tag' => $tag,
            ],
        ]];
        if ($this->draw(250, $step, 'refused') === 0) {
            $groups['refused'] = [
                $this->orderRow(self::REFUSED_FROM + $tag, str_repeat('x', 21), $tag),
                $this->insert(Tables::TRADES, $tag * 10 + 5, $tag),
            ];
        }
        foreach (self::unwell() as $slot => $table) {
            if ($this->draw(2, $step, $slot) === 0) {
                $groups[$slot] = [$this->row($table, $tag)];
            }
        }
        if ($this->draw(5, $step, 'mixed') === 0) {
            $tables = array_values(self::unwell());
            $groups['mixed'] = [
                $this->orderRow(self::ORDERS_MAX + $tag, 'mixed', $tag),
                $this->row($tables[$this->draw(count($tables), $step, 'table')], $tag, 1),
            ];
        }

        return $groups;
    }

    /** @return array<string, string> the tables that are harmed, by the slots of their rows */
    public static function unwell(): array
    {
        return [
            'dropped' => Tables::DROPPED,
            'remade' => Tables::REMADE,
            'renamed' => Tables::RENAMED,
            'columns' => Tables::COLUMNS,
            'rights' => Tables::RIGHTS,
            'locked' => Tables::LOCKED,
        ];
    }

    /**
     * Hands a group over, by the call that its tables ask for.
     *
     * @param list<array{table: string, row: array<string, int|string>}> $group
     */
    public static function add(\WriteBuffer\Buffer $buffer, array $group): void
    {
        $rows = [];
        foreach ($group as ['table' => $table, 'row' => $row]) {
            $rows[$table][] = $row;
        }
        if (count($rows) === 1) {
            $buffer->put($group[0]['table'], count($group) === 1 ? $group[0]['row'] : array_column($group, 'row'));
        } elseif (isset($rows[Tables::TRADES])) {
            $buffer->add($rows[Tables::ORDERS], $rows[Tables::TRADES]);
        } else {
            // A model's own table wins over the parameter's.
            $buffer->add($group[0]['row'], new Model($group[1]['row'], $group[1]['table']));
        }
    }

    /** @return list<array{table: string, row: array<string, int|string>}> */
    private function order(int $step, int $tag): array
    {
        $rows = [$this->orderRow($tag, 'new', $tag)];
        if ($step > self::AGAIN_AFTER && !$this->isSync) {
            $rows[] = $this->orderRow($tag - self::AGAIN_AFTER, "at {$step}", $tag);
        }
        $rows[] = $this->insert(Tables::TRADES, $tag * 10, $tag);
        $rows[] = $this->insert(Tables::TRADES, $tag * 10 + 1, $tag);

        return $rows;
    }

    /** @return list<array{table: string, row: array<string, int|string>}> */
    private function transfer(int $step, int $tag): array
    {
        $from = $this->draw(self::ACCOUNT_COUNT, $step, 'from');
        $to = ($from + 1 + $this->draw(self::ACCOUNT_COUNT - 1, $step, 'to')) % self::ACCOUNT_COUNT;
        $amount = 1 + $this->draw(99_991, $step, 'amount');
        $row = static fn (int $id, int $change): array => [
            'table' => Tables::ACCOUNTS,
            'row' => ['id' => $id, 'available' => Load::decimal($change), 'transfers' => 1, 'tag' => $tag],
        ];

        return [$row($from, -$amount), $row($to, $amount)];
    }

    /** @return array{table: string, row: array<string, int|string>} */
    private function row(string $table, int $tag, int $number = 0): array
    {
        if (!in_array($table, Tables::inserts(), true)) {
            return $this->upsert($table, $this->worker * 1_000 + $this->draw(self::KEYS, $tag, $table), $tag);
        }
        $row = $this->insert($table, $tag * 10 + $number, $tag);
        if ($table === Tables::COLUMNS && !$this->isSync && $this->draw(2, $tag, 'extra') === 0) {
            $row['row']['extra'] = "extra of {$tag}";
        }

        return $row;
    }

    /** @return array{table: string, row: array<string, int|string>} */
    private function orderRow(int $id, string $v, int $tag): array
    {
        return ['table' => Tables::ORDERS, 'row' => ['id' => $id, 'v' => $v, 'tag' => $tag, 'n' => 1]];
    }

    /** @return array{table: string, row: array<string, int|string>} */
    private function upsert(string $table, int $id, int $tag): array
    {
        return ['table' => $table, 'row' => ['id' => $id, 'tag' => $tag, 'n' => 1]];
    }

    /** @return array{table: string, row: array<string, int|string>} */
    private function insert(string $table, int $id, int $tag): array
    {
        return ['table' => $table, 'row' => ['id' => $id, 'tag' => $tag]];
    }

    private function draw(int $count, int $number, string $what): int
    {
        return crc32("{$this->seed}/{$this->worker}/{$number}/{$what}") % $count;
    }
}
