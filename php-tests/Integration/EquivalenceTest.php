<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * The promise behind coalescing: the table is as if each row had been written alone, in order.
 *
 * Random rows go through a buffer with random batch sizes and flushes, and one by one into a twin
 * table. Every failure names its seed; `WRITE_BUFFER_TEST_SEED` repeats it.
 */
final class EquivalenceTest extends DatabaseTestCase
{
    private const SEQUENCES = 25;

    private const ROWS = 60;

    /**
     * A table's columns, its key, its rules, and the values for each column. A column whose values
     * are in `optional` is left out of some rows.
     *
     * @return iterable<string, array{
     *     string, list<string>, array<string, mixed>, array<string, list<mixed>>,
     *     array<string, list<mixed>>
     * }>
     */
    public static function tables(): iterable
    {
        $texts = ['', 'a', 'A', 'ä', 'B', 'b ', 'ß', '10', '9', null];
        $decimals = ['0', '0.005', '-0.005', '1.999', '2.5', '-7', '0.1', '12e-1'];
        $moments = ['2024-01-01 00:00:00', '2024-01-01 00:00:00.0004', '2024-01-01 00:00:00.0006', '2023-12-31', null];
        yield 'replace' => [
            'id INT PRIMARY KEY, a VARCHAR(10), b INT DEFAULT 7, c DATETIME(3), d DECIMAL(5,2)',
            ['id'],
            [],
            ['id' => [1, '1', '01', 2, 3, 4]],
            ['a' => $texts, 'b' => [1, -1, null], 'c' => $moments, 'd' => [...$decimals, null]],
        ];
        yield 'all rules' => [
            'u INT NOT NULL, s VARCHAR(5) NOT NULL, total DECIMAL(12,2) NOT NULL DEFAULT 0, n BIGINT DEFAULT NULL, '
                . 'first VARCHAR(5), lo INT, hi DECIMAL(6,1), r INT, UNIQUE KEY k (u, s)',
            ['u', 's'],
            ['key' => ['u', 's'], 'merge' => ['total' => 'sum', 'n' => 'sum', 'first' => 'keep', 'lo' => 'min', 'hi' => 'max']],
            ['u' => [1, 2], 's' => ['x', 'X', 'y'], 'total' => $decimals],
            [
                'n' => [1, '2', '0.5', -3],
                'first' => $texts,
                'lo' => [5, '-5', '10', '9', null],
                'hi' => ['5', '10.04', '10.06', '9', null],
                'r' => [1, 2, null],
            ],
        ];
        yield 'a guard' => [
            'id INT PRIMARY KEY, v BIGINT, a VARCHAR(10), b INT',
            ['id'],
            ['guard' => 'v'],
            ['id' => [1, 2, 3], 'v' => [1, '2', 3, '10', '2.0']],
            ['a' => ['p', 'q', null], 'b' => [1, 2, null]],
        ];
        yield 'a guard beside all rules' => [
            'id INT PRIMARY KEY, s DECIMAL(10,2) NOT NULL DEFAULT 0, v DATETIME(3), k VARCHAR(5), lo INT, hi INT, r INT',
            ['id'],
            ['guard' => 'v', 'merge' => ['s' => 'sum', 'k' => 'keep', 'lo' => 'min', 'hi' => 'max']],
            ['id' => [1, 2], 'v' => array_values(array_filter($moments))],
            ['s' => $decimals, 'k' => ['a', 'b'], 'lo' => [1, 2, 3, null], 'hi' => [1, 2, 3, null], 'r' => [1, 2, null]],
        ];
        yield 'a guard of text' => [
            'id INT PRIMARY KEY, v VARCHAR(10) COLLATE utf8mb4_general_ci, a INT',
            ['id'],
            ['guard' => 'v'],
            ['id' => [1, 2], 'v' => ['a', 'A', 'b', 'ä', '10', '9', '']],
            ['a' => [1, 2, 3]],
        ];
        yield 'comparisons that only the server can make' => [
            'id INT PRIMARY KEY, t VARCHAR(10) COLLATE utf8mb4_general_ci, d DOUBLE, f FLOAT, c DATETIME, tm TIME, '
                . "e ENUM('b','a','c')",
            ['id'],
            ['merge' => ['t' => 'min', 'd' => 'max', 'f' => 'min', 'c' => 'max', 'tm' => 'max', 'e' => 'min']],
            ['id' => [1, 2, 3]],
            [
                't' => $texts,
                'd' => [0.1, '0.10000000000000001', 5, '-1e3', null],
                'f' => [0.1, 0.25, -3, null],
                'c' => ['2024-01-01 00:00:00.5', '2024-01-01 00:00:01', '2024-01-01', null],
                'tm' => ['01:00:00', '1:0:1', 10_000, null],
                'e' => ['a', 'b', 'c', null],
            ],
        ];
        yield 'defaults' => [
            'id INT PRIMARY KEY, k INT DEFAULT 5, lo INT NOT NULL DEFAULT 5, hi INT NOT NULL DEFAULT 5, r INT NOT NULL DEFAULT 5, '
                . 's INT DEFAULT 0',
            ['id'],
            ['merge' => ['k' => 'keep', 'lo' => 'min', 'hi' => 'max', 's' => 'sum']],
            ['id' => [1, 2, 3]],
            ['k' => [1, 2, null], 'lo' => [1, 9], 'hi' => [1, 9], 'r' => [1, 2], 's' => [1, 2]],
        ];
        yield 'a guard and defaults' => [
            'id INT PRIMARY KEY, v INT DEFAULT 2, k INT DEFAULT 5, r INT NOT NULL DEFAULT 5, hi INT DEFAULT 5',
            ['id'],
            ['guard' => 'v', 'merge' => ['k' => 'keep', 'hi' => 'max']],
            ['id' => [1, 2], 'v' => [1, 2, 3]],
            ['k' => [1, 2], 'r' => [1, 2], 'hi' => [1, 9]],
        ];
        yield 'keys of a collation' => [
            'k VARCHAR(10) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT, s INT DEFAULT 0',
            ['k'],
            ['merge' => ['s' => 'sum']],
            ['k' => ['a', 'A', 'ä', 'ae', 'ss', 'ß', 'a ', '1', 1, ''], 's' => [1, 2]],
            ['v' => [1, 2, null]],
        ];
        yield 'keys by bytes' => [
            'k VARCHAR(10) COLLATE utf8mb4_bin PRIMARY KEY, v INT, s INT DEFAULT 0',
            ['k'],
            ['merge' => ['s' => 'sum']],
            ['k' => ['a', 'A', 'ä', 'a ', '1', 1], 's' => [1, 2]],
            ['v' => [1, 2, null]],
        ];
        yield 'decimal keys' => [
            'k DECIMAL(6,2), b VARBINARY(4), v INT, s DECIMAL(40,20) NOT NULL DEFAULT 0, PRIMARY KEY (k, b)',
            ['k', 'b'],
            ['merge' => ['s' => 'sum']],
            ['k' => ['1', '1.00', '1.004', '1.005', 2, '-0', '0'], 'b' => ["\0", "\xff", 'a', 'A']],
            ['v' => [1, 2, null], 's' => ['0.00000000000000000001', '-12345678901234567890', 1, 0.1]],
        ];
    }

    /**
     * @dataProvider tables
     *
     * @param list<string>               $key
     * @param array<string, mixed>       $rules
     * @param array<string, list<mixed>> $always
     * @param array<string, list<mixed>> $optional
     */
    #[DataProvider('tables')]
    public function testATableIsAsIfEachRowWereWrittenOnItsOwn(
        string $columns,
        array $key,
        array $rules,
        array $always,
        array $optional,
    ): void {
        $seed = (int) (getenv('WRITE_BUFFER_TEST_SEED') ?: random_int(1, PHP_INT_MAX >> 33));
        mt_srand($seed);
        $names = array_keys($always + $optional);
        $list = implode(', ', $names);
        $order = implode(', ', array_map(static fn (string $name): string => "CAST({$name} AS BINARY)", $key));
        for ($sequence = 0; $sequence < self::SEQUENCES; $sequence++) {
            $this->createTable('wb_buffered', $columns);
            $this->createTable('wb_twin', $columns);
            $buffer = $this->buffer(
                batchSize: mt_rand(1, 30),
                tables: ['wb_buffered' => $rules],
                dsn: $this->dsnWith('timezone=%2B00:00'),
            );
            $this->pdo()->beginTransaction();
            $said = [];
            for ($row = 0; $row < self::ROWS; $row++) {
                $given = self::randomRow($always, $optional, mt_rand(0, 3));
                $said[] = json_encode($given, JSON_INVALID_UTF8_SUBSTITUTE);
                $buffer->put('wb_buffered', $given);
                $this->upsert('wb_twin', $given, $key, $rules);
                if (mt_rand(0, 9) === 0) {
                    $buffer->flush();
                    $said[] = 'flush';
                }
            }
            $buffer->flush();
            $this->pdo()->commit();
            self::assertSame(
                $this->rows('wb_twin', $list, $order),
                $this->rows('wb_buffered', $list, $order),
                "WRITE_BUFFER_TEST_SEED={$seed}, sequence {$sequence}:\n" . implode("\n", $said),
            );
        }
    }

    /**
     * @param array<string, list<mixed>> $always
     * @param array<string, list<mixed>> $optional
     *
     * @return array<string, mixed>
     */
    private static function randomRow(array $always, array $optional, int $form): array
    {
        $columns = $always;
        foreach ($optional as $name => $values) {
            // Form 0 has all columns, form 1 only the necessary ones, other forms any.
            if ($form === 0 || ($form > 1 && mt_rand(0, 1) === 1)) {
                $columns[$name] = $values;
            }
        }
        $row = array_map(static fn (array $values): mixed => $values[mt_rand(0, count($values) - 1)], $columns);

        return $form === 3 ? array_reverse($row, true) : $row;
    }

    /**
     * The statement that a rule stands for, for one row.
     *
     * @param array<string, mixed> $row
     * @param list<string>         $key
     * @param array<string, mixed> $rules
     */
    private function upsert(string $table, array $row, array $key, array $rules): void
    {
        $guard = $rules['guard'] ?? null;
        $assigned = array_diff(array_keys($row), $key);
        if ($guard !== null) {
            $assigned = [...array_diff($assigned, [$guard]), $guard];
        }
        $assignments = [];
        foreach ($assigned as $name) {
            $new = "VALUES({$name})";
            $merged = match ($rules['merge'][$name] ?? 'replace') {
                'replace' => $new,
                'keep' => $name,
                'sum' => "IFNULL({$name}, 0) + {$new}",
                'min' => "IF({$name} IS NULL, {$new}, IF({$new} IS NULL, {$name}, LEAST({$name}, {$new})))",
                'max' => "IF({$name} IS NULL, {$new}, IF({$new} IS NULL, {$name}, GREATEST({$name}, {$new})))",
            };
            $assignments[] = $guard === null
                ? "{$name} = {$merged}"
                : "{$name} = IF({$guard} IS NULL OR VALUES({$guard}) >= {$guard}, {$merged}, {$name})";
        }
        $assignments = $assignments === [] ? ["{$key[0]} = {$key[0]}"] : $assignments;
        $statement = $this->pdo()->prepare(sprintf(
            'INSERT INTO %s (%s) VALUES (%s) ON DUPLICATE KEY UPDATE %s',
            $table,
            implode(', ', array_keys($row)),
            implode(', ', array_fill(0, count($row), '?')),
            implode(', ', $assignments),
        ));
        $statement->execute(array_values($row));
    }
}
