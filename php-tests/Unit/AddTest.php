<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArrayIterator;
use ArrayObject;
use DateTime;
use DateTimeImmutable;
use DateTimeZone;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\Arrayable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Model;
use WriteBuffer\Tests\Support\Priority;
use WriteBuffer\Tests\Support\Side;
use WriteBuffer\Tests\Support\Text;

final class AddTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{\Closure(): mixed, list<array<string, mixed>>}> what makes the
     *         argument, and the rows that it stands for
     */
    public static function rowForms(): iterable
    {
        $one = [['id' => 1, 'price' => '1.50']];
        $two = [['id' => 1, 'price' => '1.50'], ['id' => 2, 'price' => '2.50']];
        yield 'null' => [static fn () => null, []];
        yield 'an empty array' => [static fn () => [], []];
        yield 'an empty iterator' => [static fn () => new ArrayIterator([]), []];
        yield 'an empty list of an object' => [static fn () => new Arrayable([]), []];
        yield 'an array' => [static fn () => $one[0], $one];
        yield 'a stdClass' => [static fn () => (object) $one[0], $one];
        yield 'a model' => [static fn () => new Model($one[0]), $one];
        yield 'an object with toArray()' => [static fn () => new Arrayable($one[0]), $one];
        yield 'a list of one' => [static fn () => $one, $one];
        yield 'a list of arrays' => [static fn () => $two, $two];
        yield 'a list of stdClass' => [static fn () => [(object) $two[0], (object) $two[1]], $two];
        yield 'a list of models' => [static fn () => [new Model($two[0]), new Model($two[1])], $two];
        yield 'a list of all forms' => [static fn () => [new Arrayable($two[0]), (object) $two[1]], $two];
        yield 'a list with holes' => [
            static function () use ($two): array {
                $list = [['id' => 9], $two[0], ['id' => 9], $two[1], ['id' => 9]];
                unset($list[0], $list[2], $list[4]);

                return $list;
            },
            $two,
        ];
        yield 'a list with its own numbers' => [static fn () => [7 => $two[0], -3 => $two[1]], $two];
        yield 'a generator' => [static fn () => (static function () use ($two): \Generator {
            yield $two[0];
            yield from [new Model($two[1])];
        })(), $two];
        yield 'a generator with any keys' => [static fn () => (static function () use ($two): \Generator {
            yield [1, 2] => $two[0];
            yield 'key' => $two[1];
        })(), $two];
        yield 'an iterator' => [static fn () => new ArrayIterator($two), $two];
        yield 'an ArrayObject' => [static fn () => new ArrayObject($two), $two];
        yield 'an object whose toArray() is a list' => [static fn () => new Arrayable($two), $two];
        yield 'an array made by unset()' => [
            static function () use ($one): array {
                $row = ['gone' => 1, 'id' => 1, 'away' => 2, 'price' => '1.50', 'last' => 3];
                unset($row['gone'], $row['away'], $row['last']);

                return $row;
            },
            $one,
        ];
        yield 'an array with references' => [
            static function (): array {
                $id = 1;
                $price = '1.50';
                $row = ['id' => &$id, 'price' => &$price];
                $list = [&$row];

                return $list;
            },
            $one,
        ];
        yield 'a stdClass with references' => [
            static function (): \stdClass {
                $row = new \stdClass();
                $id = 1;
                $row->id = &$id;
                $row->price = '1.50';

                return $row;
            },
            $one,
        ];
    }

    /**
     * @dataProvider rowForms
     *
     * @param list<array<string, mixed>> $rows
     */
    #[DataProvider('rowForms')]
    public function testTakesRowsOfEveryForm(\Closure $argument, array $rows): void
    {
        $buffer = $this->buffer();
        $buffer->add($argument());
        self::assertCount(count($rows), $buffer);
        $buffer->flush();
        self::assertSame($rows, self::rowsOf('orders'));
        MemorySink::reset();

        $buffer->add(null, $argument());
        $buffer->flush();
        self::assertSame($rows === [] ? [] : ['trades' => $rows], MemorySink::tables());
    }

    /**
     * @return iterable<string, array{mixed, int|float|string|null}> a value, and what is stored of
     *         it
     */
    public static function values(): iterable
    {
        yield 'null' => [null, null];
        yield 'true' => [true, 1];
        yield 'false' => [false, 0];
        yield 'zero' => [0, 0];
        yield 'the smallest int' => [PHP_INT_MIN, PHP_INT_MIN];
        yield 'the largest int' => [PHP_INT_MAX, PHP_INT_MAX];
        yield 'a float' => [0.1, 0.1];
        yield 'a negative zero' => [-0.0, -0.0];
        yield 'the smallest float' => [5e-324, 5e-324];
        yield 'the largest float' => [PHP_FLOAT_MAX, PHP_FLOAT_MAX];
        yield 'an empty string' => ['', ''];
        yield 'a long string' => [str_repeat('x', 100_000), str_repeat('x', 100_000)];
        yield 'a string of one letter' => ['a', 'a'];
        yield 'a number as a string' => ['0012.50', '0012.50'];
        yield 'unicode' => ['Größe 😀', 'Größe 😀'];
        yield 'NUL bytes' => ["a\0b\0", "a\0b\0"];
        yield 'all bytes' => [implode('', array_map('chr', range(0, 255))), implode('', array_map('chr', range(0, 255)))];
        yield 'an enum of strings' => [Side::Sell, 'sell'];
        yield 'an enum of ints' => [Priority::High, 9];
        yield 'a date' => [new DateTimeImmutable('2024-02-29 12:34:56.789012'), '2024-02-29 12:34:56.789012'];
        yield 'a date in its own zone' => [
            new DateTime('2024-07-01 23:00:00', new DateTimeZone('America/New_York')),
            '2024-07-01 23:00:00.000000',
        ];
        yield 'the first date' => [new DateTimeImmutable('0000-01-01'), '0000-01-01 00:00:00.000000'];
        yield 'the last date' => [
            new DateTimeImmutable('9999-12-31 23:59:59.999999'),
            '9999-12-31 23:59:59.999999',
        ];
        yield 'a Stringable' => [new Text("12.\0"), "12.\0"];
    }

    /**
     * @dataProvider values
     */
    #[DataProvider('values')]
    public function testTakesValuesOfEveryType(mixed $value, int|float|string|null $stored): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1, 'value' => $value, 'last' => 'x']);
        self::assertSame(['id' => 1, 'value' => $stored, 'last' => 'x'], $buffer->find('orders', 1));
        $buffer->flush();
        self::assertSame([['id' => 1, 'value' => $stored, 'last' => 'x']], self::rowsOf('orders'));
    }

    public function testTakesColumnsThatPhpMakesNumbersOf(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1, '5' => 'five', '-7' => 'seven', '08' => 'eight']);
        $object = new \stdClass();
        $object->{'id'} = 2;
        $object->{'5'} = 'fünf';
        $buffer->add($object);
        $buffer->flush();
        self::assertSame(
            [['id' => 1, 5 => 'five', -7 => 'seven', '08' => 'eight'], ['id' => 2, 5 => 'fünf']],
            self::rowsOf('orders'),
        );
    }

    public function testTakesAModelWhoseColumnsPhpMakesNumbersOf(): void
    {
        $buffer = $this->buffer();
        foreach ([['0' => '7', '2' => 'a'], ['0' => '8', '2' => 'b']] as $attributes) {
            $buffer->add(new Model($attributes, null, '0'));
        }
        $buffer->flush();
        self::assertSame([['0' => '7', '2' => 'a'], ['0' => '8', '2' => 'b']], self::rowsOf('orders'));
    }

    public function testTakesRowsWithoutAColumnThatWasUnset(): void
    {
        $buffer = $this->buffer();
        foreach (['price', 'size', 'side'] as $unset) {
            // The name is made here, so that PHP frees it with the element.
            $row = ['id' => 2, strtolower('PRICE') => 2, strtolower('SIZE') => 3, strtolower('SIDE') => 4];
            $buffer->add(['id' => 1] + $row);
            unset($row[$unset]);
            $buffer->add($row);
            $buffer->flush();
            self::assertSame([['id' => 1, 'price' => 2, 'size' => 3, 'side' => 4], $row], self::rowsOf('orders'));
            MemorySink::reset();
        }
    }

    public function testKeepsTheColumnsOrderOfEachRow(): void
    {
        $buffer = $this->buffer();
        $buffer->add([['b' => 1, 'id' => 1, 'a' => 2], ['a' => 1, 'id' => 2, 'b' => 2]]);
        $buffer->flush();
        self::assertSame([['b' => 1, 'id' => 1, 'a' => 2], ['a' => 1, 'id' => 2, 'b' => 2]], self::rowsOf('orders'));
    }

    public function testAModelKnowsItsTableAndKey(): void
    {
        $buffer = $this->buffer();
        $buffer->add(
            [new Model(['uuid' => 'a', 'n' => 1], 'spot_orders', 'uuid'), ['id' => 1]],
            new Model(['uuid' => 'a', 'n' => 2], 'spot_orders', 'uuid'),
        );
        self::assertSame(['uuid' => 'a', 'n' => 2], $buffer->find('spot_orders', 'a'));
        $buffer->flush();
        self::assertSame(
            ['orders' => [['id' => 1]], 'spot_orders' => [['n' => 2, 'uuid' => 'a']]],
            self::byName(MemorySink::tables()),
        );
    }

    public function testAConfiguredKeyGoesBeforeAModelsOwn(): void
    {
        $buffer = $this->buffer(tables: ['orders' => ['key' => 'uuid']]);
        $buffer->add([new Model(['id' => 1, 'uuid' => 'a']), new Model(['id' => 2, 'uuid' => 'a'])]);
        $buffer->flush();
        self::assertSame([['id' => 2, 'uuid' => 'a']], self::rowsOf('orders'));
    }

    public function testChangesNothingOfTheCaller(): void
    {
        $row = ['id' => 1, 'text' => new Text('x')];
        $list = [$row, (object) ['id' => 2]];
        $before = serialize([1, 'x']) . print_r($list, true);
        $this->buffer()->add($list);
        self::assertSame($before, serialize([1, 'x']) . print_r($list, true));
    }

    public function testARowIsACopy(): void
    {
        $buffer = $this->buffer();
        $name = 'before';
        $row = ['id' => 1, 'name' => &$name];
        $buffer->add($row);
        $name = 'after';
        $buffer->flush();
        self::assertSame([['id' => 1, 'name' => 'before']], self::rowsOf('orders'));
    }

    public function testUserCodeMayUseTheSameBuffer(): void
    {
        $buffer = $this->buffer();
        $inner = static function () use ($buffer): string {
            $buffer->add(['id' => 2, 'name' => 'inner'], ['id' => 20]);
            $buffer->put('other', ['id' => 3]);

            return 'outer';
        };
        $buffer->add(['id' => 1, 'name' => new Text($inner), 'last' => 1], ['id' => 10]);
        self::assertCount(5, $buffer);
        $buffer->flush();
        self::assertSame(
            [
                'orders' => [['id' => 1, 'last' => 1, 'name' => 'outer'], ['id' => 2, 'name' => 'inner']],
                'other' => [['id' => 3]],
                'trades' => [['id' => 10], ['id' => 20]],
            ],
            self::byName(MemorySink::tables()),
        );
    }

    public function testUserCodeMayFlushTheSameBuffer(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        $flush = static function () use ($buffer): string {
            $buffer->flush();

            return 'second';
        };
        $buffer->add(['id' => 1, 'name' => 'first']);
        $buffer->add(['id' => 2, 'name' => new Text($flush)]);
        self::assertSame([['id' => 1, 'name' => 'first']], self::rowsOf('orders'));
        $buffer->flush();
        self::assertCount(2, self::rowsOf('orders'));
    }

    public function testUserCodeMayChangeWhatIsBeingRead(): void
    {
        $row = new \stdClass();
        $row->id = 1;
        $row->name = new Text(static function () use ($row): string {
            unset($row->last);
            $row->added = 1;
            for ($at = 0; $at < 100; $at++) {
                $row->{"more{$at}"} = $at;
            }

            return 'x';
        });
        $row->last = 'last';
        $buffer = $this->buffer();
        $buffer->add($row);
        $buffer->flush();
        self::assertSame([['id' => 1, 'name' => 'x', 'last' => 'last']], self::rowsOf('orders'));

        $list = [];
        $list[] = ['id' => 5, 'name' => new Text(static function () use (&$list): string {
            $list = [];

            return 'y';
        })];
        $list[] = ['id' => 6, 'name' => 'z'];
        $buffer->add($list);
        $buffer->flush();
        self::assertSame([['id' => 5, 'name' => 'y'], ['id' => 6, 'name' => 'z']], array_slice(self::rowsOf('orders'), 1));
    }

    public function testManyShapesOfRows(): void
    {
        $buffer = $this->buffer(batchSize: 10_000);
        for ($id = 0; $id < 2_500; $id++) {
            $buffer->add(['id' => $id, "column{$id}" => $id]);
        }
        self::assertSame(2_500, $buffer->flush());
        $rows = self::rowsOf('orders');
        self::assertCount(2_500, $rows);
        foreach ([0, 999, 1_000, 2_499] as $id) {
            self::assertContains(['id' => $id, "column{$id}" => $id], $rows);
        }
    }

    public function testAGroupLargerThanABatchIsWrittenWhole(): void
    {
        $buffer = $this->buffer(batchSize: 3);
        $rows = array_map(static fn (int $id): array => ['id' => $id], range(1, 50));
        $buffer->add($rows);
        self::assertSame($rows, self::rowsOf('orders'));
        self::assertSame(1, $buffer->getMetrics()['transactions']);
    }

    public function testTablesCanBeNamed(): void
    {
        $buffer = $this->buffer(orderTable: 'exchange.spot orders', tradeTable: 'fills');
        $buffer->add(['id' => 1], ['id' => 2]);
        $buffer->flush();
        self::assertSame(['exchange.spot orders' => [['id' => 1]], 'fills' => [['id' => 2]]], MemorySink::tables());
    }

    public function testTakesNamedArguments(): void
    {
        $buffer = $this->buffer();
        $buffer->add(trade: ['id' => 2], order: ['id' => 1]);
        $buffer->flush();
        self::assertSame(['orders' => [['id' => 1]], 'trades' => [['id' => 2]]], MemorySink::tables());
    }

    /**
     * @param array<string, mixed> $tables
     *
     * @return array<string, mixed> tables and columns sorted by name
     */
    private static function byName(array $tables): array
    {
        ksort($tables);
        foreach ($tables as &$rows) {
            foreach ($rows as &$row) {
                ksort($row);
            }
        }

        return $tables;
    }
}
