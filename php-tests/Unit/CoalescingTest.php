<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** Rows with one key. Whether a batch ends between them makes no difference. */
final class CoalescingTest extends MemoryTestCase
{
    private const LARGE = '99999999999999999999999999999999999.999999999999999999999999999999';

    /**
     * @return iterable<string, array{array<string, mixed>, list<array<string, mixed>>,
     *         array<string, mixed>}>
     */
    public static function mergeRules(): iterable
    {
        $rule = static fn (string $rule): array => ['merge' => ['x' => $rule]];
        $x = static fn (mixed ...$values): array => array_map(
            static fn (mixed $value): array => ['id' => 1, 'x' => $value],
            array_values($values),
        );
        yield 'replace' => [[], $x('a', 'b', 'c'), ['id' => 1, 'x' => 'c']];
        yield 'replace, spelled out' => [$rule('replace'), $x('a', 'b'), ['id' => 1, 'x' => 'b']];
        yield 'replace by null' => [[], $x('a', null), ['id' => 1, 'x' => null]];
        yield 'keep' => [$rule('keep'), $x('a', 'b', 'c'), ['id' => 1, 'x' => 'a']];
        yield 'keep null' => [$rule('keep'), $x(null, 'b'), ['id' => 1, 'x' => null]];
        yield 'sum of ints' => [$rule('sum'), $x(1, 2, -5), ['id' => 1, 'x' => -2]];
        yield 'sum of decimals' => [$rule('sum'), $x('0.1', '0.2'), ['id' => 1, 'x' => '0.3']];
        yield 'sum of both' => [$rule('sum'), $x(1, '0.25'), ['id' => 1, 'x' => '1.25']];
        yield 'sum of floats' => [$rule('sum'), $x(0.1, 0.2), ['id' => 1, 'x' => '0.3']];
        yield 'sum beyond an int' => [$rule('sum'), $x(PHP_INT_MAX, 1), ['id' => 1, 'x' => '9223372036854775808']];
        yield 'sum to zero' => [$rule('sum'), $x('1.50', '-1.5'), ['id' => 1, 'x' => '0']];
        yield 'sum of 65 digits' => [
            $rule('sum'),
            $x(self::LARGE, '-0.000000000000000000000000000001', '-' . self::LARGE),
            ['id' => 1, 'x' => '-0.000000000000000000000000000001'],
        ];
        yield 'sum of exponents' => [$rule('sum'), $x('1e3', '2.5E-2'), ['id' => 1, 'x' => '1000.025']];
        yield 'min' => [$rule('min'), $x(5, '3', 4), ['id' => 1, 'x' => '3']];
        yield 'min is no text order' => [$rule('min'), $x('10', '9'), ['id' => 1, 'x' => '9']];
        yield 'min of null' => [$rule('min'), $x(null, 5, null), ['id' => 1, 'x' => 5]];
        yield 'max' => [$rule('max'), $x(5, 7, '6'), ['id' => 1, 'x' => 7]];
        yield 'max is no text order' => [$rule('max'), $x('10', '9'), ['id' => 1, 'x' => '10']];
        yield 'max of null' => [$rule('max'), $x(null, -5, null), ['id' => 1, 'x' => -5]];
        yield 'max of 65 digits' => [
            $rule('max'),
            $x(self::LARGE, substr(self::LARGE, 0, -1) . '8'),
            ['id' => 1, 'x' => self::LARGE],
        ];
        yield 'min of dates' => [
            $rule('min'),
            $x('2024-02-01 00:00:00', '2024-01-31 23:59:59'),
            ['id' => 1, 'x' => '2024-01-31 23:59:59'],
        ];
        yield 'another set of columns' => [
            [],
            [['id' => 1, 'a' => 1, 'b' => 1], ['id' => 1, 'b' => 2, 'c' => 2], ['id' => 1, 'a' => 3]],
            ['id' => 1, 'a' => 3, 'b' => 2, 'c' => 2],
        ];
        yield 'the same columns in another order' => [
            [],
            [['id' => 1, 'a' => 1, 'b' => 1], ['b' => 2, 'a' => 2, 'id' => 1]],
            ['id' => 1, 'a' => 2, 'b' => 2],
        ];
        yield 'column names in another case' => [
            [],
            [['id' => 1, 'price' => 1], ['ID' => 1, 'Price' => 2]],
            ['id' => 1, 'price' => 2],
        ];
        yield 'a rule named in another case' => [
            ['merge' => ['X' => 'sum']],
            $x(1, 2),
            ['id' => 1, 'x' => 3],
        ];
        yield 'a composite key' => [
            ['key' => ['id', 'b']],
            [['b' => 'x', 'id' => 1, 'v' => 1], ['id' => '1', 'v' => 2, 'b' => 'x']],
            ['b' => 'x', 'id' => 1, 'v' => 2],
        ];
        yield 'a guard that grows' => [
            ['guard' => 'version'],
            [['id' => 1, 'version' => 1, 'x' => 'a'], ['id' => 1, 'version' => 2, 'x' => 'b']],
            ['id' => 1, 'version' => 2, 'x' => 'b'],
        ];
        yield 'a guard that shrinks' => [
            ['guard' => 'version'],
            [['id' => 1, 'version' => 10, 'x' => 'a'], ['id' => 1, 'version' => '9', 'x' => 'b']],
            ['id' => 1, 'version' => 10, 'x' => 'a'],
        ];
        yield 'a guard that stays' => [
            ['guard' => 'version'],
            [['id' => 1, 'version' => 1, 'x' => 'a'], ['id' => 1, 'version' => 1, 'x' => 'b']],
            ['id' => 1, 'version' => 1, 'x' => 'b'],
        ];
        yield 'a guard beside a sum' => [
            ['guard' => 'version', 'merge' => ['x' => 'sum']],
            [
                ['id' => 1, 'version' => 1, 'x' => 1],
                ['id' => 1, 'version' => 3, 'x' => 10],
                ['id' => 1, 'version' => 2, 'x' => 100],
                ['id' => 1, 'version' => 3, 'x' => 1_000],
            ],
            ['id' => 1, 'version' => 3, 'x' => 1_011],
        ];
        yield 'a guard and a column that comes later' => [
            ['guard' => 'version'],
            [['id' => 1, 'version' => 1, 'a' => 1], ['id' => 1, 'version' => 2, 'b' => 2]],
            ['id' => 1, 'version' => 2, 'a' => 1, 'b' => 2],
        ];
        yield 'nothing but a key' => [[], [['id' => 1], ['id' => 1]], ['id' => 1]];
    }

    /**
     * @dataProvider mergeRules
     *
     * @param array<string, mixed>       $rules
     * @param list<array<string, mixed>> $rows
     * @param array<string, mixed>       $expected
     */
    #[DataProvider('mergeRules')]
    public function testEveryPlaceForABatchToEndGivesTheSameRow(array $rules, array $rows, array $expected): void
    {
        // Bit n of the number: whether a flush follows row n.
        for ($flushes = 0; $flushes < 2 ** (count($rows) - 1); $flushes++) {
            MemorySink::reset();
            $buffer = $this->buffer(tables: ['balances' => $rules]);
            foreach ($rows as $at => $row) {
                $buffer->put('balances', $row);
                if (($flushes >> $at) & 1) {
                    $buffer->flush();
                }
            }
            $buffer->flush();
            $stored = self::rowsOf('balances');
            self::assertCount(1, $stored, "flushes after {$flushes}: " . json_encode($stored));
            self::assertEquals(
                array_map('strval', array_filter($expected, static fn (mixed $value): bool => $value !== null)),
                array_map('strval', array_filter($stored[0], static fn (mixed $value): bool => $value !== null)),
                "flushes after {$flushes}",
            );
            self::assertEqualsCanonicalizing(array_keys($expected), array_keys($stored[0]), "flushes after {$flushes}");
        }
    }

    public function testKeysApartStayApart(): void
    {
        $buffer = $this->buffer(tables: ['pairs' => ['key' => ['a', 'b']]]);
        $keys = [['a', 'b'], ['ab', ''], ['', 'ab'], ['a', "b\0"], ["a\0", 'b'], [1, 23], [12, 3], ['1', 'x'], ['01', 'x']];
        foreach ($keys as [$a, $b]) {
            $buffer->put('pairs', ['a' => $a, 'b' => $b]);
        }
        $buffer->flush();
        self::assertEqualsCanonicalizing($keys, array_map('array_values', self::rowsOf('pairs')));
        self::assertSame(0, $buffer->getMetrics()['rows_coalesced']);
    }

    public function testInsertOnlyTablesAreNotCoalesced(): void
    {
        $buffer = $this->buffer(tables: ['log' => ['mode' => 'insert'], 'trades' => ['mode' => 'upsert']]);
        $buffer->put('log', [['line' => 'a'], ['line' => 'a'], ['line' => 'b']]);
        $buffer->add(null, [['id' => 1, 'x' => 1], ['id' => 1, 'x' => 2]]);
        $buffer->flush();
        self::assertSame(
            ['trades' => [['id' => 1, 'x' => 2]], 'log' => [['line' => 'a'], ['line' => 'a'], ['line' => 'b']]],
            MemorySink::tables(),
        );
        self::assertSame(1, $buffer->getMetrics()['rows_coalesced']);
    }

    public function testOrdersAreWrittenBeforeTrades(): void
    {
        $buffer = $this->buffer();
        $buffer->put('accounts', ['id' => 1]);
        $buffer->add(null, ['id' => 1]);
        $buffer->add(['id' => 1]);
        $buffer->flush();
        self::assertSame(['orders', 'trades', 'accounts'], array_keys(MemorySink::tables()));
    }

    public function testRowsAreWrittenInTheOrderOfTheirKeys(): void
    {
        $buffer = $this->buffer();
        $buffer->add([['id' => 30], ['id' => -2], ['id' => 9], ['id' => PHP_INT_MIN], ['id' => 10]]);
        $buffer->flush();
        self::assertSame([PHP_INT_MIN, -2, 9, 10, 30], array_column(self::rowsOf('orders'), 'id'));
    }
}
