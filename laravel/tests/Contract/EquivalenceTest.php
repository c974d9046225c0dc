<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * The drivers `php` and `native` leave the same table behind after the same random rows, with the
 * same batch sizes. A failure prints the seed; `WRITE_BUFFER_TEST_SEED` repeats it.
 */
final class EquivalenceTest extends TestCase
{
    private const SEQUENCES = 12;

    private const ROWS = 40;

    /**
     * Columns, rules, the values of the columns that every row has, and of those that some rows
     * lack.
     *
     * @return iterable<string, array{
     *     string,
     *     array<string, mixed>,
     *     array<string, list<mixed>>,
     *     array<string, list<mixed>>
     * }>
     */
    public static function tables(): iterable
    {
        $decimals = ['0', '0.005', '-0.005', '1.999', '2.5', '-7', '12e-1', 3];
        yield 'replace' => [
            'id INT PRIMARY KEY, a VARCHAR(10), b INT DEFAULT 7, d DECIMAL(5,2)',
            [],
            ['id' => [1, '1', '01', 2, 3, '4']],
            ['a' => ['x', 'X', 'ä', null], 'b' => [1, -1, null], 'd' => [...$decimals, null]],
        ];
        yield 'all rules' => [
            'u INT NOT NULL, s VARCHAR(5) NOT NULL, total DECIMAL(12,2) NOT NULL DEFAULT 0, n BIGINT DEFAULT NULL, '
                . 'first VARCHAR(5), lo INT, hi DECIMAL(6,1), r INT, PRIMARY KEY (u, s)',
            ['merge' => ['total' => 'sum', 'n' => 'sum', 'first' => 'keep', 'lo' => 'min', 'hi' => 'max']],
            ['u' => [1, 2], 's' => ['x', 'X', 'y'], 'total' => $decimals],
            [
                'n' => [1, '2', -3],
                'first' => ['p', 'q', null],
                'lo' => [5, '-5', '10', '9', null],
                'hi' => ['5', '10.04', '10.06', '9', null],
                'r' => [1, 2, null],
            ],
        ];
        yield 'a guard beside all rules' => [
            'id INT PRIMARY KEY, s DECIMAL(10,2) NOT NULL DEFAULT 0, v INT, k VARCHAR(5), lo INT, hi INT, r INT',
            ['guard' => 'v', 'merge' => ['s' => 'sum', 'k' => 'keep', 'lo' => 'min', 'hi' => 'max']],
            ['id' => [1, 2], 'v' => [1, 2, '3', '2.0', 4]],
            ['s' => $decimals, 'k' => ['a', 'b'], 'lo' => [1, 2, 3, null], 'hi' => [1, 2, 3, null], 'r' => [1, 2, null]],
        ];
        yield 'a guard of text' => [
            'id INT PRIMARY KEY, v VARCHAR(10), a INT',
            ['guard' => 'v'],
            ['id' => [1, 2], 'v' => ['a', 'A', 'b', 'ä', '10', '9', '']],
            ['a' => [1, 2, 3]],
        ];
        yield 'defaults' => [
            'id INT PRIMARY KEY, k INT DEFAULT 5, lo INT NOT NULL DEFAULT 5, hi INT NOT NULL DEFAULT 5, '
                . 'r INT NOT NULL DEFAULT 5, s INT DEFAULT 0',
            ['merge' => ['k' => 'keep', 'lo' => 'min', 'hi' => 'max', 's' => 'sum']],
            ['id' => [1, 2, 3]],
            ['k' => [1, 2, null], 'lo' => [1, 9], 'hi' => [1, 9], 'r' => [1, 2], 's' => [1, 2]],
        ];
        yield 'keys of a collation' => [
            'k VARCHAR(10) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT, s INT DEFAULT 0',
            ['merge' => ['s' => 'sum']],
            ['k' => ['a', 'A', 'ä', 'ae', 'ss', 'ß', 'a ', '1', 1, ''], 's' => [1, 2]],
            ['v' => [1, 2, null]],
        ];
        yield 'words as keys' => [
            'k VARCHAR(10) COLLATE utf8mb4_bin PRIMARY KEY, v INT, s INT DEFAULT 0',
            ['merge' => ['s' => 'sum']],
            ['k' => ['a', 'b', 'BTC', 'btc2'], 's' => [1, 2]],
            ['v' => [1, 2, null]],
        ];
    }

    /**
     * @dataProvider tables
     *
     * @param array<string, mixed>       $rules
     * @param array<string, list<mixed>> $always
     * @param array<string, list<mixed>> $optional
     */
    #[DataProvider('tables')]
    public function testBothLeaveTheSameTable(string $columns, array $rules, array $always, array $optional): void
    {
        $seed = (int) (getenv('WRITE_BUFFER_TEST_SEED') ?: random_int(1, PHP_INT_MAX >> 33));
        mt_srand($seed);
        for ($sequence = 0; $sequence < self::SEQUENCES; $sequence++) {
            $buffers = [];
            foreach (['native', 'php'] as $driver) {
                $this->createTable("wb_{$driver}", $columns);
                $this->app->make('config')->set("write-buffer.buffers.{$driver}", [
                    'driver' => $driver,
                    'background' => false,
                    'flush_interval_ms' => 3_600_000,
                    'batch_size' => mt_rand(1, 30),
                    'tables' => ["wb_{$driver}" => $rules],
                ]);
                $this->app->make(BufferManager::class)->purge($driver);
                $buffers[$driver] = $this->buffer($driver);
            }
            $said = [];
            for ($at = 0; $at < self::ROWS; $at++) {
                $row = self::randomRow($always, $optional);
                $said[] = json_encode($row);
                foreach ($buffers as $driver => $buffer) {
                    $buffer->put("wb_{$driver}", $row);
                    if (mt_rand(0, 9) === 0) {
                        $buffer->flush();
                    }
                }
            }
            foreach ($buffers as $buffer) {
                $buffer->flush();
            }
            self::assertSame(
                $this->rows('wb_native'),
                $this->rows('wb_php'),
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
    private static function randomRow(array $always, array $optional): array
    {
        $columns = $always + array_filter($optional, static fn (): bool => mt_rand(0, 2) > 0);

        return array_map(static fn (array $values): mixed => $values[mt_rand(0, count($values) - 1)], $columns);
    }
}
