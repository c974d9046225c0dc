<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Side;

/**
 * An earlier row does not change what a value means. A server may keep the types of a prepared
 * statement's first execution, and cast later values to them.
 */
final class ValueTypesTest extends DatabaseTestCase
{
    /**
     * @return iterable<string, array{string, list<array{mixed, string|null}>}> a type; values, and
     *         how they are read back
     */
    public static function columns(): iterable
    {
        yield 'text' => ['VARCHAR(20)', [[1, '1'], ['01', '01'], [1.5, '1.5'], ['1.50', '1.50'], ['x', 'x'], [null, null]]];
        yield 'bytes' => ['VARBINARY(20)', [[12, '12'], ['012', '012'], ["\0\xff", "\0\xff"], [null, null]]];
        yield 'a decimal' => ['DECIMAL(40,20)', [
            [0.1, '0.10000000000000000000'],
            [1, '1.00000000000000000000'],
            ['12345678901234567890.00000000000000000001', '12345678901234567890.00000000000000000001'],
            [-2.5e-7, '-0.00000025000000000000'],
            [null, null],
        ]];
        yield 'a big integer' => ['BIGINT UNSIGNED', [
            [1, '1'],
            ['18446744073709551615', '18446744073709551615'],
            [2.0, '2'],
            [PHP_INT_MAX, '9223372036854775807'],
            [null, null],
        ]];
        yield 'a double' => ['DOUBLE', [[1, '1'], [1 / 3, '0.3333333333333333'], ['0.1', '0.1'], [1e300, '1e300'], [null, null]]];
        yield 'an enum' => ["ENUM('b','a','2')", [[2, 'a'], ['b', 'b'], ['2', '2'], [null, null]]];
        yield 'a set' => ["SET('b','a')", [[3, 'b,a'], ['a', 'a'], [null, null]]];
        yield 'a year' => ['YEAR', [[0, '0000'], ['0', '2000'], [2024, '2024'], ['2023', '2023'], [null, null]]];
        yield 'a moment' => ['DATETIME(3)', [
            [20_240_229_123_456, '2024-02-29 12:34:56.000'],
            ['2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789'],
            [new \DateTimeImmutable('2024-02-29 23:59:59.9999'), '2024-02-29 23:59:59.999'],
            [null, null],
        ]];
    }

    /**
     * Each pair of values in both orders, by inserts and by updates, over one statement.
     *
     * @dataProvider columns
     *
     * @param list<array{mixed, string|null}> $values
     */
    #[DataProvider('columns')]
    public function testAValueMeansTheSameAfterAnyOther(string $type, array $values): void
    {
        $this->createTable('wb_types', "id INT PRIMARY KEY, x {$type}, must INT NOT NULL");
        foreach (['whole rows', 'rows that only update'] as $how) {
            // Its own connection, without earlier statements.
            $buffer = $this->buffer();
            $id = 0;
            $expected = [];
            foreach ($values as [$first, $firstRead]) {
                foreach ($values as [$second, $secondRead]) {
                    foreach ([[$first, $firstRead], [$second, $secondRead]] as [$value, $read]) {
                        $row = ['id' => ++$id, 'x' => $value];
                        $buffer->put('wb_types', $how === 'whole rows' ? $row + ['must' => 1] : $row);
                        $buffer->flush();
                        $expected[] = ['id' => (string) $id, 'x' => $read];
                    }
                }
            }
            self::assertSame($expected, $this->rows('wb_types', 'id, x', '1'), $how);
            $this->pdo()->exec('UPDATE wb_types SET x = NULL');
        }
    }

    public function testAKeyOfTextIsNoNumber(): void
    {
        $this->createTable('wb_types', 'k VARCHAR(20) PRIMARY KEY, v INT');
        $buffer = $this->buffer();
        foreach ([1, '01', '1.0', 1.0, '1e0'] as $at => $key) {
            $buffer->put('wb_types', ['k' => $key, 'v' => $at]);
            $buffer->flush();
        }
        self::assertSame(
            [['k' => '01', 'v' => '1'], ['k' => '1', 'v' => '3'], ['k' => '1.0', 'v' => '2'], ['k' => '1e0', 'v' => '4']],
            $this->rows('wb_types'),
        );
    }

    /** @return iterable<string, array{bool}> */
    public static function wholeAndPartialRows(): iterable
    {
        yield 'whole rows' => [true];
        yield 'rows that only update' => [false];
    }

    /**
     * @dataProvider wholeAndPartialRows
     */
    #[DataProvider('wholeAndPartialRows')]
    public function testRulesAreExactWhateverTypesCameBefore(bool $whole): void
    {
        $this->createTable(
            'wb_types',
            'id INT PRIMARY KEY, must INT NOT NULL, v BIGINT UNSIGNED, s DECIMAL(40,20) NOT NULL DEFAULT 0, '
                . 'lo BIGINT, hi DECIMAL(40,20), r INT',
        );
        $this->pdo()->exec('INSERT INTO wb_types (id, must) VALUES (1, 1)');
        $buffer = $this->buffer(tables: ['wb_types' => [
            'guard' => 'v',
            'merge' => ['s' => 'sum', 'lo' => 'min', 'hi' => 'max'],
        ]]);
        // Two numbers that are the same as a DOUBLE.
        foreach (
            [
                [1, 0.5, 9007199254740995, 0.1, 1],
                ['9007199254740992', '12345678901234567890', '9007199254740994', '12345678901234567890.00000000000000000001', 2],
                [9007199254740993, '0.00000000000000000001', 9007199254740993, '12345678901234567890.00000000000000000002', 3],
                ['9007199254740992', 1, 1, '99999999999999999999', 4],
                ['9007199254740993', 1, '9007199254740994', 5, 5],
            ] as [$version, $sum, $low, $high, $replaced]
        ) {
            $row = ['id' => 1, 'v' => $version, 's' => $sum, 'lo' => $low, 'hi' => $high, 'r' => $replaced];
            $buffer->put('wb_types', $whole ? $row + ['must' => 1] : $row);
            $buffer->flush();
        }
        self::assertSame(
            [[
                'v' => '9007199254740993',
                's' => '12345678901234567891.50000000000000000001',
                'lo' => '9007199254740993',
                'hi' => '12345678901234567890.00000000000000000002',
                'r' => '5',
            ]],
            $this->rows('wb_types', 'v, s, lo, hi, r', '1'),
        );
    }

    public function testARowThatOnlyUpdatesComparesNumbersAsNumbers(): void
    {
        $this->createTable(
            'wb_types',
            'id INT PRIMARY KEY, must INT NOT NULL, lo INT, hi DECIMAL(10,2), f DOUBLE, s INT NOT NULL DEFAULT 0, '
                . 'c DECIMAL(5,2) NOT NULL DEFAULT 0',
        );
        $this->pdo()->exec('INSERT INTO wb_types VALUES (1, 1, 10, 9, 10, 0, 0), (2, 1, NULL, NULL, NULL, 0, 0)');
        $buffer = $this->buffer(tables: ['wb_types' => [
            'merge' => ['lo' => 'min', 'hi' => 'max', 'f' => 'min', 's' => 'sum', 'c' => 'sum'],
        ]]);
        foreach ([['9', '10', '9', '2', '0.004'], ['10', '9.5', '10', 3, '0.004'], ['11', 9, 11, '4', 0.004]] as $values) {
            foreach ([1, 2] as $id) {
                $buffer->put('wb_types', ['id' => $id] + array_combine(['lo', 'hi', 'f', 's', 'c'], $values));
            }
            $buffer->flush();
        }
        $expected = ['lo' => '9', 'hi' => '10.00', 'f' => '9', 's' => '9', 'c' => '0.00'];
        self::assertSame([$expected, $expected], $this->rows('wb_types', 'lo, hi, f, s, c', 'id'));
    }

    public function testANumberFindsTheKeyOfItsTextAlone(): void
    {
        foreach (['VARCHAR(20)', 'VARBINARY(20)'] as $type) {
            $this->createTable('wb_types', "k {$type} PRIMARY KEY, must INT NOT NULL, v INT");
            $this->pdo()->exec("INSERT INTO wb_types VALUES ('1', 1, 0), ('01', 1, 0), ('1x', 1, 0), ('1.0', 1, 0), ('2.5', 1, 0)");
            $buffer = $this->buffer();
            $buffer->put('wb_types', ['k' => 1, 'v' => 5]);
            $buffer->put('wb_types', ['k' => 2.5, 'v' => 6]);
            self::assertSame(2, $buffer->flush());
            self::assertSame(
                [['k' => '1', 'v' => '5'], ['k' => '2.5', 'v' => '6']],
                $this->rows('wb_types WHERE v > 0', 'k, v', 'k'),
                $type,
            );
        }
    }

    public function testARowThatTheGuardRefusesChangesNoDigit(): void
    {
        $number = '12345678901234567890.00000000000000000001';
        $this->createTable('wb_types', 'id INT PRIMARY KEY, must INT NOT NULL, v INT, d DECIMAL(40,20), n BIGINT');
        $this->pdo()->exec("INSERT INTO wb_types VALUES (1, 1, 10, {$number}, 9007199254740993)");
        $buffer = $this->buffer(tables: ['wb_types' => ['guard' => 'v']]);
        foreach ([0.1, 1, '0.1'] as $older) {
            $buffer->put('wb_types', ['id' => 1, 'v' => '9', 'd' => $older, 'n' => $older]);
            $buffer->flush();
        }
        self::assertSame(
            [['v' => '10', 'd' => $number, 'n' => '9007199254740993']],
            $this->rows('wb_types', 'v, d, n', 'id'),
        );
    }

    public function testARowThatOnlyUpdatesIsRefusedForWhatIsNoNumber(): void
    {
        $this->createTable('wb_types', 'id INT PRIMARY KEY, must INT NOT NULL, v INT, d DECIMAL(5,2)');
        $this->pdo()->exec('INSERT INTO wb_types VALUES (1, 1, 10, 9)');
        $buffer = $this->syncBuffer(tables: ['wb_types' => ['guard' => 'v']]);
        foreach (['many' => [1292, 1366], '12x' => [1265, 1292, 1366], '1000' => [1264]] as $wrong => $codes) {
            $thrown = self::thrownBy(static fn () => $buffer->put('wb_types', ['id' => 1, 'v' => 11, 'd' => (string) $wrong]));
            self::assertInstanceOf(FlushException::class, $thrown, (string) $wrong);
            self::assertContains($thrown->getCode(), $codes, (string) $thrown);
        }
        self::assertSame([['v' => '10', 'd' => '9.00']], $this->rows('wb_types', 'v, d', 'id'));
    }

    public function testRowsOfOneBatchMayMixTypes(): void
    {
        $this->createTable('wb_types', "id INT PRIMARY KEY, d DECIMAL(40,20), t VARCHAR(20), e ENUM('buy','sell')");
        $decimals = [1, 0.1, '12345678901234567890.00000000000000000001', null];
        $texts = [1, '01', null];
        $sides = [1, 'buy', Side::Sell, null];
        $buffer = $this->buffer(batchSize: 10_000);
        mt_srand(20_240_229);
        $expected = [];
        for ($round = 0; $round < 20; $round++) {
            for ($id = 0; $id < 50; $id++) {
                [$d, $t, $e] = [mt_rand(0, 3), mt_rand(0, 2), mt_rand(0, 3)];
                $buffer->put('wb_types', ['id' => $id, 'd' => $decimals[$d], 't' => $texts[$t], 'e' => $sides[$e]]);
                $expected[$id] = [
                    'id' => (string) $id,
                    'd' => ['1.00000000000000000000', '0.10000000000000000000', $decimals[2], null][$d],
                    't' => ['1', '01', null][$t],
                    'e' => ['buy', 'buy', 'sell', null][$e],
                ];
            }
            $buffer->flush();
            self::assertSame($expected, $this->rows('wb_types', '*', '1'), "round {$round}");
        }
    }
}
