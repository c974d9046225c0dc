<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * `rows_stale`, held against a judge: plain PDO reads each row before it writes it into a table of
 * its own, and PHP compares.
 */
final class StaleRowsTest extends DatabaseTestCase
{
    private const TABLE = 'wb_stale';

    private const JUDGE = 'wb_stale_judge';

    private const DEFINITION = 'id BIGINT PRIMARY KEY, v INT NULL, a VARCHAR(20) NOT NULL, b INT NOT NULL DEFAULT 0,
        c DECIMAL(10, 2) NULL';

    /** Columns by which rows of one key do not become one. */
    private const MORE_COLUMNS = ', n INT NOT NULL AUTO_INCREMENT UNIQUE,
        changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP';

    private const RULES = ['tables' => [self::TABLE => ['guard' => 'v', 'allowSecondUnique' => true]]];

    /**
     * @return iterable<string, array{array<string, mixed>, bool}> the settings, and whether keys
     *         meet in a flush
     */
    public static function writers(): iterable
    {
        $late = ['flushIntervalMs' => 600_000, 'batchSize' => 1_000];
        yield 'foreground' => [['background' => false] + $late, true];
        yield 'background' => [['background' => true] + $late, true];
        // Rows of one key may be in two lanes, and so in two transactions.
        yield 'lanes' => [['background' => true, 'lanes' => 3] + $late, false];
        yield 'ledger' => [['background' => true, 'ledger' => 'always'] + $late, true];
        yield 'text' => [['background' => false, 'maxPreparedStatements' => 0] + $late, true];
        yield 'numbered' => [['background' => false] + $late, false];
        yield 'synchronous' => [[], false];
    }

    /**
     * @dataProvider writers
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('writers')]
    public function testTwoWritersCountWhatAJudgeFindsStale(array $settings, bool $mayMeet): void
    {
        foreach ([self::TABLE, self::JUDGE] as $table) {
            $this->createTable($table, self::DEFINITION . ($mayMeet ? '' : self::MORE_COLUMNS));
        }
        mt_srand(41);
        $buffers = [$this->writer($settings), $this->writer($settings)];
        $before = array_map(self::stale(...), $buffers);
        $expected = [0, 0];
        $forms = ['one' => 0, 'many' => 0];
        for ($step = 0; $step < 120; $step++) {
            $writer = mt_rand(0, 1);
            $rows = $this->randomRows(mt_rand(0, 2) === 0 ? 1 : mt_rand(2, 40), $mayMeet && mt_rand(0, 1) === 0);
            $forms[count($rows) === 1 ? 'one' : 'many']++;
            foreach ($rows as $row) {
                $buffers[$writer]->put(self::TABLE, $row);
            }
            $buffers[$writer]->flush();
            $expected[$writer] += $this->judge($rows);
            self::assertSame(
                $expected[$writer],
                self::stale($buffers[$writer]) - $before[$writer],
                "step {$step}: " . json_encode($rows),
            );
        }
        $columns = 'id, v, a, b, c';
        self::assertSame(
            $this->pdo()->query("SELECT {$columns} FROM " . self::JUDGE . ' ORDER BY id')->fetchAll(),
            $this->pdo()->query("SELECT {$columns} FROM " . self::TABLE . ' ORDER BY id')->fetchAll(),
        );
        self::assertGreaterThan(20, min(...array_values($forms), ...$expected));
        foreach ($buffers as $buffer) {
            $metrics = $buffer->getMetrics();
            self::assertLessThan($metrics['rows_committed'], $metrics['rows_stale']);
            $ofLanes = array_sum(array_column($metrics['lane_metrics'], 'rows_stale'));
            self::assertSame($metrics['rows_stale'], $ofLanes);
        }
    }

    /** @param array<string, mixed> $settings */
    private function writer(array $settings): Buffer
    {
        return $settings === [] ? $this->syncBuffer(...self::RULES) : $this->buffer(...$settings + self::RULES);
    }

    private static function stale(Buffer $buffer): int
    {
        return $buffer->getMetrics()['rows_stale'];
    }

    /**
     * Whole rows, and rows that can only update. Those have a key that no other row of the flush
     * has.
     *
     * @return list<array<string, int|string|null>>
     */
    private function randomRows(int $count, bool $mayMeet): array
    {
        $known = array_flip($this->pdo()->query('SELECT id FROM ' . self::JUDGE)->fetchAll(\PDO::FETCH_COLUMN));
        $rows = $used = [];
        for ($at = 0; $at < $count; $at++) {
            do {
                $id = mt_rand(1, 150);
            } while (isset($used[$id]) && (!$mayMeet || $used[$id] === 'partial'));
            // Few values: so the same row comes again.
            $row = ['id' => $id, 'v' => mt_rand(1, 12), 'b' => mt_rand(0, 1), 'c' => [null, '1.50'][mt_rand(0, 1)]];
            if (isset($known[$id]) && !isset($used[$id]) && mt_rand(0, 4) === 0) {
                $used[$id] = 'partial';
            } else {
                $used[$id] ??= 'whole';
                $row['a'] = 'text ' . mt_rand(0, 1);
                ksort($row);
            }
            $rows[] = $row;
        }

        return $rows;
    }

    /**
     * Counts the rows of a flush that change nothing: first those that meet a newer one, or the
     * same, in the buffer; then those that meet one in the table.
     *
     * @param list<array<string, int|string|null>> $rows
     */
    private function judge(array $rows): int
    {
        $stale = 0;
        $newest = [];
        foreach ($rows as $row) {
            $earlier = $newest[$row['id']] ?? null;
            if ($earlier !== null && ($earlier['v'] > $row['v'] || $earlier === $row)) {
                $stale++;
            } else {
                $newest[$row['id']] = $row;
            }
        }
        foreach ($newest as $row) {
            $stale += $this->write($row) ? 0 : 1;
        }

        return $stale;
    }

    /** @param array<string, int|string|null> $row */
    private function write(array $row): bool
    {
        $found = $this->pdo()->query('SELECT * FROM ' . self::JUDGE . " WHERE id = {$row['id']}")->fetch(\PDO::FETCH_ASSOC);
        if ($found !== false) {
            if ((int) $found['v'] > $row['v']) {
                return false;
            }
            $texts = array_map(static fn (mixed $value): ?string => $value === null ? null : (string) $value, $row);
            if (array_intersect_key($found, $texts) == $texts) {
                return false;
            }
        }
        $columns = array_keys($row);
        $sql = $found === false
            ? 'INSERT INTO ' . self::JUDGE . ' (' . implode(', ', $columns) . ') VALUES ('
                . implode(', ', array_fill(0, count($row), '?')) . ')'
            : 'UPDATE ' . self::JUDGE . ' SET ' . implode(' = ?, ', $columns) . " = ? WHERE id = {$row['id']}";
        $this->pdo()->prepare($sql)->execute(array_values($row));

        return true;
    }

    /** To both servers NULL in the place of NULL is a change, if the column has another default. */
    public function testWhatIsKnownNotToBeCounted(): void
    {
        $this->createTable(self::TABLE, "id INT PRIMARY KEY, v INT NULL, a VARCHAR(9) NULL DEFAULT 'none'");
        $buffer = $this->syncBuffer(tables: [self::TABLE => ['guard' => 'v']]);
        $row = ['id' => 1, 'v' => 5, 'a' => null];
        foreach ([$row, $row, ['v' => 4, 'a' => 'old'] + $row] as $next) {
            $buffer->put(self::TABLE, $next);
        }
        self::assertSame(0, self::stale($buffer));
        // A deletion: a server does not say whether a newer row is there, or none.
        $buffer->delete(self::TABLE, ['id' => 1, 'v' => 1]);
        $buffer->delete(self::TABLE, ['id' => 2, 'v' => 1]);
        self::assertSame(0, self::stale($buffer));
        self::assertCount(1, $this->rows(self::TABLE));
        // Without a guard no row is stale.
        $free = $this->syncBuffer();
        $free->put(self::TABLE, $row);
        $free->put(self::TABLE, $row);
        self::assertSame(0, self::stale($free));
    }

    public function testItIsInTheLanguageOfNoServer(): void
    {
        $this->createTable(self::TABLE, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->setGlobal('lc_messages', 'ja_JP');
        $buffer = $this->buffer(background: false, tables: [self::TABLE => ['guard' => 'v']]);
        foreach ([5, 4] as $version) {
            foreach ([1, 2, 3] as $id) {
                $buffer->put(self::TABLE, ['id' => $id, 'v' => $version]);
            }
            $buffer->flush();
        }
        self::assertSame(3, self::stale($buffer));
    }
}
