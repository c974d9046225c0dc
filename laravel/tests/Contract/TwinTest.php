<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use PDO;
use PDOException;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\FlushException;

/**
 * Random sequences of rows, partial rows, deletions, groups, flushes and retries over few keys
 * leave what plain PDO leaves, which makes each call at once, row by row. The judge reads a row,
 * decides in PHP, and writes: it shares no SQL and no code with any driver. A failure prints the
 * seed; `WRITE_BUFFER_TEST_SEED` repeats it.
 *
 * @phpstan-type Operation array{string, string, array<string, int|string>}
 */
final class TwinTest extends ContractTestCase
{
    private const SEQUENCES = 8;

    private const CALLS = 50;

    /** The columns that a new row must have are NOT NULL without a default. */
    private const TABLES = [
        'wb_free' => 'id INTEGER NOT NULL, kind VARCHAR(5) NOT NULL, r INTEGER NOT NULL, d INTEGER DEFAULT 7, '
            . 's INTEGER DEFAULT 0, k INTEGER, lo INTEGER, hi INTEGER, PRIMARY KEY (id, kind)',
        'wb_guarded' => 'id INTEGER NOT NULL PRIMARY KEY, v INTEGER NOT NULL, r INTEGER NOT NULL, d INTEGER DEFAULT 7',
    ];

    private const RULES = [
        'wb_free' => ['key' => ['id', 'kind'], 'merge' => ['s' => 'sum', 'k' => 'keep', 'lo' => 'min', 'hi' => 'max']],
        'wb_guarded' => ['key' => 'id', 'guard' => 'v'],
    ];

    private const KEYS = ['wb_free' => ['id', 'kind'], 'wb_guarded' => ['id']];

    private PDO $pdo;

    /** @var list<list<Operation>> groups that the judge has refused */
    private array $refused = [];

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testARandomSequenceLeavesWhatItsCallsLeaveOneByOne(string $driver): void
    {
        $seed = (int) (getenv('WRITE_BUFFER_TEST_SEED') ?: random_int(1, PHP_INT_MAX >> 33));
        mt_srand($seed);
        $given = [0, 0];
        for ($sequence = 0; $sequence < self::SEQUENCES; $sequence++) {
            $buffer = $this->twins($driver);
            $said = ["WRITE_BUFFER_TEST_SEED={$seed}, sequence {$sequence}:"];
            $letters = [];
            for ($call = 0; $call < self::CALLS; $call++) {
                $dice = mt_rand(0, 19);
                if ($dice < 2) {
                    $said[] = 'flush';
                    $letters = [...$letters, ...$this->flushed($buffer)];
                    $this->assertTwins($said, $buffer, $letters);
                    continue;
                }
                if ($dice === 2 && !$this->isSync()) {
                    $letters = [...$letters, ...$this->flushed($buffer)];
                    [$again, $this->refused] = [$this->refused, []];
                    $said[] = 'retry ' . count($again);
                    self::assertSameSize($again, $letters, implode("\n", $said));
                    foreach ($letters as $letter) {
                        self::refusable(static fn () => $buffer->retry([$letter]));
                    }
                    $letters = [];
                    array_walk($again, fn (array $group) => $this->judge($group));
                    continue;
                }
                $group = [];
                for ($rows = $dice < 8 ? mt_rand(2, 5) : 1; $rows > 0; $rows--) {
                    $group[] = $this->randomOperation();
                }
                $said[] = (string) json_encode($group);
                self::refusable(static fn () => self::callOn($buffer, $group));
                $this->judge($group);
            }
            $letters = [...$letters, ...$this->flushed($buffer)];
            $this->assertTwins($said, $buffer, $letters);
            $given[0] += count($letters);
            $given[1] += count($this->tableOf('wb_free', ['id'])) + count($this->tableOf('wb_guarded', ['id']));
            $buffer->close();
        }
        self::assertGreaterThan(0, $given[1], 'rows are left');
        if ($driver !== 'memory' && !$this->isSync()) {
            self::assertGreaterThan(0, $given[0], 'groups are refused');
        }
    }

    private function twins(string $driver): Buffer
    {
        $this->driver = $driver;
        $this->refused = [];
        $this->createTables(self::TABLES);
        $this->pdo = new PDO('sqlite::memory:', null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        foreach (self::TABLES as $name => $columns) {
            $this->pdo->exec("CREATE TABLE {$name} ({$columns})");
        }

        return $this->make(['batch_size' => mt_rand(1, 30), 'tables' => self::RULES]);
    }

    /** @return Operation */
    private function randomOperation(): array
    {
        $table = mt_rand(0, 1) === 0 ? 'wb_free' : 'wb_guarded';
        $key = ['id' => mt_rand(1, 3)] + ($table === 'wb_free' ? ['kind' => ['x', 'y'][mt_rand(0, 1)]] : []);
        $guard = $table === 'wb_guarded' ? ['v' => mt_rand(1, 6)] : [];
        if (mt_rand(0, 9) < 3) {
            return ['delete', $table, mt_rand(0, 1) === 0 ? $key : $key + $guard];
        }
        $columns = ['r', 'd', ...$table === 'wb_free' ? ['s', 'k', 'lo', 'hi'] : []];
        $row = $key + $guard;
        foreach ($columns as $column) {
            // `memory:` knows no defaults, and no column that a row must have.
            if ($this->driver === 'memory' || mt_rand(0, 9) < ($column === 'r' ? 8 : 5)) {
                $row[$column] = mt_rand(-5, 9);
            }
        }

        return ['put', $table, $row];
    }

    /** @param list<Operation> $group */
    private static function callOn(Buffer $buffer, array $group): void
    {
        $make = static function () use ($buffer, $group): void {
            foreach ($group as [$method, $table, $values]) {
                $buffer->{$method}($table, $values);
            }
        };
        count($group) === 1 ? $make() : $buffer->group($make);
    }

    /** @return list<array<string, mixed>> the letters of what was given up */
    private function flushed(Buffer $buffer): array
    {
        self::refusable(static fn () => $buffer->flush());

        return $buffer->takeFailures();
    }

    /** Any call may make a flush due, which gives groups up. */
    private static function refusable(callable $call): void
    {
        try {
            $call();
        } catch (FlushException $e) {
            self::assertNotSame([], $e->getFailures(), $e->getMessage());
        }
    }

    /** @param list<Operation> $group */
    private function judge(array $group): void
    {
        $this->pdo->beginTransaction();
        try {
            foreach ($group as [$method, $table, $values]) {
                $this->judgeRow($method, $table, $values);
            }
            $this->pdo->commit();
        } catch (PDOException) {
            $this->pdo->rollBack();
            $this->refused[] = $group;
        }
    }

    /** @param array<string, int|string> $values */
    private function judgeRow(string $method, string $table, array $values): void
    {
        $key = array_intersect_key($values, array_flip(self::KEYS[$table]));
        $where = implode(' AND ', array_map(static fn (string $column): string => "{$column} = :{$column}", array_keys($key)));
        $old = $this->execute("SELECT * FROM {$table} WHERE {$where}", $key)->fetch(PDO::FETCH_ASSOC);
        if ($old !== false && isset($values['v']) && $old['v'] > $values['v']) {
            return;
        }
        if ($method === 'delete') {
            $this->execute("DELETE FROM {$table} WHERE {$where}", $key);

            return;
        }
        if ($old === false) {
            $names = array_keys($values);
            $this->execute(
                "INSERT INTO {$table} (" . implode(', ', $names) . ') VALUES (:' . implode(', :', $names) . ')',
                $values,
            );

            return;
        }
        foreach (array_diff_key($values, $key) as $column => $new) {
            $was = $old[$column];
            $becomes = match (true) {
                $column === 's' => (int) $was + $new,
                $column === 'k' => $was,
                $column === 'lo' => $was === null ? $new : min($was, $new),
                $column === 'hi' => $was === null ? $new : max($was, $new),
                default => $new,
            };
            $this->execute("UPDATE {$table} SET {$column} = :becomes WHERE {$where}", $key + ['becomes' => $becomes]);
        }
    }

    /** @param array<string, mixed> $values */
    private function execute(string $sql, array $values): \PDOStatement
    {
        $statement = $this->pdo->prepare($sql);
        foreach ($values as $name => $value) {
            $statement->bindValue($name, $value, match (true) {
                $value === null => PDO::PARAM_NULL,
                is_int($value) => PDO::PARAM_INT,
                default => PDO::PARAM_STR,
            });
        }
        $statement->execute();

        return $statement;
    }

    /**
     * @param list<string>               $said
     * @param list<array<string, mixed>> $letters
     */
    private function assertTwins(array $said, Buffer $buffer, array $letters): void
    {
        $message = implode("\n", $said);
        self::assertCounted($buffer);
        foreach (['wb_free' => ['id', 'kind', 'r', 'd', 's', 'k', 'lo', 'hi'], 'wb_guarded' => ['id', 'v', 'r', 'd']] as $table => $columns) {
            $expected = array_map(
                static fn (array $row): array => array_map(static fn (mixed $value): ?string => $value === null ? null : (string) $value, $row),
                $this->pdo->query("SELECT * FROM {$table}")->fetchAll(PDO::FETCH_ASSOC),
            );
            usort($expected, static fn (array $left, array $right): int => array_values($left) <=> array_values($right));
            self::assertSame($expected, $this->tableOf($table, $columns), "{$table}\n{$message}");
        }
        if (!$this->isSync()) {
            self::assertSame(array_map('count', $this->refused), array_map(
                static fn (array $letter): int => count($letter['rows']),
                $letters,
            ), $message);
        }
    }
}
