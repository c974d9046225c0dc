<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use PDO;
use WriteBuffer\Tests\Chaos\Support\Load;

/**
 * Compares the tables, read by plain PDO, with what the workers noted down, row by row. What stands
 * in the dead-letter files is expected in no table.
 */
final class Judge
{
    /** @var array<string, int> how many faults there are of each kind */
    private array $counts = ['lost' => 0, 'doubled' => 0, 'stale' => 0, 'foreign' => 0, 'dead letters' => 0];

    /** @var list<string> the first faults */
    private array $examples = [];

    /** @var array<string, array<int, list<int>>> by table of upserts and id: tags of its writes */
    private array $writes = [];

    /** @var array<string, array<int, int>> by table of inserts and id: its tag */
    private array $inserts = [];

    /** @var array<int, string> by id of the table with a column that comes and goes */
    private array $extras = [];

    /** @var array<int, array{int, int}> by account: ten-thousandths, transfers */
    private array $accounts = [];

    /** @var array<int, array{int, int}> by price: version, tag */
    private array $prices = [];

    /** @var array<int, string> by id, the last text of an order */
    private array $texts = [];

    /** @var array<string, int> */
    private array $outcomes = [];

    /** @var array<string, array<int, true>> by table, once somebody asks: the ids of its rows */
    private array $ids = [];

    public function __construct(private PDO $pdo, private Harm $harm)
    {
    }

    /**
     * Notes what a worker has added, less what its file has. A file has each group once.
     */
    public function expect(WorkerLog $log, Groups $groups, DeadLetters $letters): void
    {
        foreach ($log->read() as $step => $noted) {
            $added = $groups->at($step);
            if (array_keys($added) !== array_keys($noted)) {
                $this->fault('foreign', "step {$step} has other groups in the log");
            }
            foreach ($added as $slot => $group) {
                $outcome = $noted[$slot][1];
                $isLetter = $letters->take($group);
                if ($isLetter && $outcome !== WorkerLog::TAKEN) {
                    $this->fault('dead letters', 'a group that was not taken: ' . json_encode($group));
                }
                $kind = $isLetter ? 'in the file' : $outcome;
                $this->outcomes[$kind] = ($this->outcomes[$kind] ?? 0) + 1;
                $isWritten = $outcome === WorkerLog::TAKEN && !$isLetter;
                if ($isWritten || ($outcome === WorkerLog::MAYBE && $this->isThere($group))) {
                    array_walk($group, fn (array $row) => $this->expectRow($row['table'], $row['row']));
                }
            }
        }
        foreach ($letters->faults() as $fault) {
            $this->fault('dead letters', $fault);
        }
    }

    /** @param array<string, int|string> $row */
    private function expectRow(string $table, array $row): void
    {
        $id = (int) $row['id'];
        $tag = (int) $row['tag'];
        if ($table === Tables::ACCOUNTS) {
            [$sum, $transfers] = $this->accounts[$id] ?? [0, 0];
            $this->accounts[$id] = [$sum + (int) str_replace('.', '', (string) $row['available']), $transfers + 1];
        } elseif ($table === Tables::PRICES) {
            $version = (int) $row['version'];
            // Only a worker's own versions are equal, and then its later row stays.
            if ($version >= ($this->prices[$id][0] ?? -1)) {
                $this->prices[$id] = [$version, $tag];
            }
        } elseif (isset($row['n'])) {
            $this->writes[$table][$id][] = $tag;
            if ($table === Tables::ORDERS) {
                $this->texts[$id] = (string) $row['v'];
            }
        } else {
            $this->inserts[$table][$id] = $tag;
            if (isset($row['extra'])) {
                $this->extras[$id] = (string) $row['extra'];
            }
        }
    }

    /**
     * Whether the first row of a group is in a table. If so the whole group is expected.
     *
     * @param list<array{table: string, row: array<string, int|string>}> $group
     */
    private function isThere(array $group): bool
    {
        ['table' => $table, 'row' => $row] = $group[0];
        if (!isset($this->ids[$table])) {
            $this->ids[$table] = [];
            foreach ($this->allRows($table, 'id') as ['id' => $id]) {
                $this->ids[$table][(int) $id] = true;
            }
        }

        return isset($this->ids[$table][$row['id']]);
    }

    /** Compares all tables. */
    public function compare(): void
    {
        foreach (Tables::upserts() as $table) {
            $this->compareUpserts($table, 'id, tag, n' . ($table === Tables::ORDERS ? ', v' : ''));
        }
        foreach (Tables::inserts() as $table) {
            $this->compareInserts($table);
        }
        $this->compareExtras();
        $account = static fn (array $expected): array => [Load::decimal($expected[0]), (string) $expected[1]];
        $this->compareWhole(Tables::ACCOUNTS, 'id, available, transfers', array_map($account, $this->accounts));
        $price = static fn (array $expected): array => array_map('strval', $expected);
        $this->compareWhole(Tables::PRICES, 'id, version, tag', array_map($price, $this->prices));
    }

    /** Each write of a row counts in `n`, in this table or in one of its name before it. */
    private function compareUpserts(string $table, string $columns): void
    {
        $counts = [];
        foreach ($this->allRows($table, $columns) as $row) {
            $id = (int) $row['id'];
            $count = $counts[$id] = ($counts[$id] ?? 0) + (int) $row['n'];
            $tags = $this->writes[$table][$id] ?? [];
            $what = "{$table} " . json_encode($row) . ', added by ' . json_encode(array_slice($tags, -5));
            if ($count > count($tags)) {
                $this->fault($tags === [] ? 'foreign' : 'doubled', "{$what}: {$count} writes of " . count($tags));
            } elseif ((int) $row['tag'] !== $tags[$count - 1]) {
                $this->fault('stale', "{$what}: {$count} writes, the last by {$tags[$count - 1]}");
            } elseif (isset($row['v']) && $row['v'] !== $this->texts[$id]) {
                $this->fault('stale', "{$what}: {$this->texts[$id]}");
            }
        }
        foreach ($this->writes[$table] ?? [] as $id => $tags) {
            $missing = count($tags) - ($counts[$id] ?? 0);
            if ($missing > 0) {
                $tags = json_encode(array_slice($tags, -5));
                $this->fault('lost', "{$table} {$id}: {$missing} of the writes by … {$tags}", $missing);
            }
        }
    }

    private function compareInserts(string $table): void
    {
        $left = $this->inserts[$table] ?? [];
        foreach ($this->allRows($table, 'id, tag') as $row) {
            $id = (int) $row['id'];
            $tag = $this->inserts[$table][$id] ?? null;
            if ($tag === null || (string) $tag !== $row['tag']) {
                $this->fault('foreign', "{$table} " . json_encode($row));
            } elseif (!isset($left[$id])) {
                $this->fault('doubled', "{$table} " . json_encode($row));
            }
            unset($left[$id]);
        }
        foreach (array_slice($left, 0, null, true) as $id => $tag) {
            $this->fault('lost', "{$table} {$id} by {$tag}");
        }
    }

    /** What the column held is there, or was when the column was dropped. */
    private function compareExtras(): void
    {
        $found = $this->harm->extras();
        $statement = $this->pdo->query('SELECT id, extra FROM ' . Tables::COLUMNS . ' WHERE extra IS NOT NULL');
        foreach ($statement as ['id' => $id, 'extra' => $extra]) {
            if (isset($found[(int) $id])) {
                $this->fault('stale', Tables::COLUMNS . " {$id} has its extra back");
            }
            $found[(int) $id] = $extra;
        }
        foreach ($this->extras as $id => $extra) {
            if (($found[$id] ?? null) !== $extra) {
                $this->fault('lost', Tables::COLUMNS . " {$id} has no {$extra}");
            }
        }
        foreach (array_diff_key($found, $this->extras) as $id => $extra) {
            $this->fault('foreign', Tables::COLUMNS . " {$id} has {$extra}");
        }
    }

    /** @param array<int, list<string>> $expected by id */
    private function compareWhole(string $table, string $columns, array $expected): void
    {
        foreach ($this->pdo->query("SELECT {$columns} FROM {$table}")->fetchAll(PDO::FETCH_NUM) as $row) {
            $id = (int) array_shift($row);
            if (!isset($expected[$id])) {
                $this->fault('foreign', "{$table} {$id}");
            } elseif ($row !== $expected[$id]) {
                // More transfers than were made: some were written twice. Fewer: some were not.
                $difference = (int) $row[1] <=> (int) $expected[$id][1];
                $kind = $table === Tables::ACCOUNTS ? ['lost', 'stale', 'doubled'][$difference + 1] : 'stale';
                $this->fault($kind, "{$table} {$id}: " . json_encode([$row, $expected[$id]]));
            }
            unset($expected[$id]);
        }
        foreach ($expected as $id => $row) {
            $this->fault('lost', "{$table} {$id}: " . json_encode($row));
        }
    }

    /** @return iterable<array<string, string|null>> of all tables that had the name, in order */
    private function allRows(string $table, string $columns): iterable
    {
        foreach ($this->harm->archive($table) as $rows) {
            yield from $rows;
        }
        $statement = $this->pdo->query("SELECT {$columns} FROM {$table}");
        while ($row = $statement->fetch(PDO::FETCH_ASSOC)) {
            yield $row;
        }
    }

    private function fault(string $kind, string $example, int $count = 1): void
    {
        $this->counts[$kind] += $count;
        if (count($this->examples) < 20) {
            $this->examples[] = "{$kind}: {$example}";
        }
    }

    /** @return array<string, int> */
    public function counts(): array
    {
        return $this->counts;
    }

    /** @return array<string, int> how many groups had each outcome */
    public function outcomes(): array
    {
        return $this->outcomes;
    }

    /** @return list<string> */
    public function examples(): array
    {
        return $this->examples;
    }
}
