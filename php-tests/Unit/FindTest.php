<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Priority;
use WriteBuffer\Tests\Support\Text;

final class FindTest extends MemoryTestCase
{
    public function testFindsWhatIsBufferedUntilItIsCommitted(): void
    {
        $buffer = $this->buffer();
        self::assertNull($buffer->find('orders', 1));
        $buffer->add(['id' => 1, 'status' => 'open'], ['id' => 9, 'order_id' => 1]);
        self::assertSame(['id' => 1, 'status' => 'open'], $buffer->find('orders', 1));
        self::assertSame(['id' => 9, 'order_id' => 1], $buffer->find('trades', 9));
        self::assertNull($buffer->find('orders', 2));
        self::assertNull($buffer->find('never_seen', 1));
        $buffer->flush();
        self::assertNull($buffer->find('orders', 1));
    }

    public function testMergesAllBufferedRowsOfAKey(): void
    {
        $buffer = $this->buffer(tables: [
            'orders' => ['merge' => ['filled' => 'sum', 'created_at' => 'keep', 'low' => 'min', 'high' => 'max']],
        ]);
        $buffer->add(['id' => 1, 'filled' => '0.1', 'created_at' => 'first', 'low' => 5, 'high' => '5', 'status' => 'a']);
        $buffer->add(['id' => 2, 'filled' => '100']);
        $buffer->add(['id' => 1, 'filled' => '0.2', 'created_at' => 'later', 'low' => 3, 'high' => '10', 'status' => 'b']);
        $buffer->add(['id' => 1, 'note' => 'x', 'low' => 4]);
        self::assertEquals(
            [
                'id' => 1,
                'filled' => '0.3',
                'created_at' => 'first',
                'low' => 3,
                'high' => '10',
                'status' => 'b',
                'note' => 'x',
            ],
            $buffer->find('orders', 1),
        );
        self::assertSame('0.3', $buffer->find('orders', 1)['filled'], 'digit by digit');
    }

    /** A key is what a row has as a value. find() and delete() take the same. */
    public function testAKeyIsAnyValue(): void
    {
        $values = [
            'an enum' => [Priority::High, 9],
            'a text' => [new Text('a'), 'a'],
            'a moment' => [new \DateTimeImmutable('2024-01-15 09:00:00.5'), '2024-01-15 09:00:00.500000'],
            'a bool' => [true, 1],
            'a float' => [1.5, 1.5],
        ];
        if (class_exists('BcMath\Number')) {
            $values['a number'] = [new \BcMath\Number('12.50'), '12.50'];
        }
        if (extension_loaded('gmp')) {
            $values['a large number'] = [gmp_init('123456789012345678901234567890'), '123456789012345678901234567890'];
        }
        foreach ($values as $name => [$key, $stored]) {
            $buffer = $this->buffer(tables: ['pairs' => ['key' => ['a', 'b']]]);
            $lone = is_object($key) ? [$key] : [];
            foreach ($lone as $key) {
                $buffer->put('t', ['id' => $key, 'v' => 1]);
                self::assertSame(['id' => $stored, 'v' => 1], $buffer->find('t', $key), $name);
                $buffer->delete('t', $key);
                self::assertFalse($buffer->find('t', $key), $name);
            }
            $buffer->put('pairs', ['a' => $key, 'b' => 2, 'v' => 3]);
            $row = ['a' => $stored, 'b' => 2, 'v' => 3];
            self::assertSame($row, $buffer->find('pairs', [$key, 2]), $name);
            self::assertSame($row, $buffer->find('pairs', ['b' => 2, 'a' => &$key]), $name);
            $buffer->delete('pairs', [$key, 2]);
            self::assertFalse($buffer->find('pairs', ['a' => $key, 'b' => 2]), $name);
        }
    }

    public function testUserCodeOfAKeyMayDoAnything(): void
    {
        $buffer = $this->buffer();
        $buffer->put('t', ['id' => 'a', 'v' => 1]);
        $key = static fn (\Closure $act): Text => new Text(static function () use ($act): string {
            $act();

            return 'a';
        });
        self::assertSame(['id' => 'a', 'v' => 2], $buffer->find('t', $key(static function () use ($buffer): void {
            $buffer->put('t', ['id' => 'a', 'v' => 2]);
        })));
        self::assertNull($buffer->find('t', $key(static fn () => $buffer->flush())));
        $thrown = self::thrownBy(static fn () => $buffer->find('t', ['id' => $key(
            static fn () => throw new \DomainException('no'),
        )]));
        self::assertInstanceOf(\DomainException::class, $thrown);
        self::assertNull($buffer->find('t', $key(static fn () => $buffer->find('t', 'a'))));
        $buffer->put('t', ['id' => 'a']);
        self::assertSame(['id' => 'a'], $buffer->find('t', $key(static function () use (&$buffer): void {
            $buffer = null;
        })));
    }

    public function testHeedsTheGuard(): void
    {
        $buffer = $this->buffer(tables: ['orders' => ['guard' => 'version']]);
        $buffer->add(['id' => 1, 'version' => 2, 'status' => 'second']);
        $buffer->add(['id' => 1, 'version' => 1, 'status' => 'first']);
        self::assertSame(['id' => 1, 'version' => 2, 'status' => 'second'], $buffer->find('orders', 1));
        $buffer->add(['id' => 1, 'version' => 2, 'status' => 'the same version']);
        self::assertSame('the same version', $buffer->find('orders', 1)['status']);
    }

    /** With a guard, rows are written one after the other. find() returns them as one row. */
    public function testMergesRowsBehindAGuardAsTheyWillBeWritten(): void
    {
        $buffer = $this->buffer(tables: ['orders' => ['guard' => 'version', 'merge' => ['filled' => 'sum']]]);
        foreach (
            [
                ['id' => 1, 'version' => 1, 'filled' => 1, 'status' => 'open'],
                ['id' => 1, 'version' => 3, 'filled' => 10, 'note' => 'x'],
                ['id' => 1, 'version' => 2, 'filled' => 100, 'status' => 'stale'],
                ['id' => 1, 'version' => 3, 'filled' => 1_000],
            ] as $row
        ) {
            $buffer->add($row);
        }
        $found = $buffer->find('orders', 1);
        $buffer->flush();
        self::assertEquals(
            ['id' => 1, 'version' => 3, 'filled' => 1_011, 'status' => 'open', 'note' => 'x'],
            self::rowsOf('orders')[0],
        );
        self::assertEquals(self::rowsOf('orders')[0], $found);
    }

    public function testFindsWhatAFailedFlushKept(): void
    {
        $buffer = $this->buffer(batchSize: 1, maxRetries: 0);
        MemorySink::failNext(1213, 100);
        foreach ([1, 2, 3, 1] as $at => $id) {
            self::thrownBy(static fn () => $buffer->add(['id' => $id, 'at' => $at]));
        }
        self::assertSame(['id' => 1, 'at' => 3], $buffer->find('orders', 1));
        self::assertSame(['id' => 2, 'at' => 1], $buffer->find('orders', 2));
        MemorySink::reset();
        self::assertSame(4, $buffer->flush());
        self::assertNull($buffer->find('orders', 1));
    }

    /**
     * @return iterable<string, array{mixed, mixed, bool}> a row's key, the key asked for, and
     *         whether they are one
     */
    public static function keys(): iterable
    {
        yield 'an int' => [1, 1, true];
        yield 'an int as a string' => [1, '1', true];
        yield 'a string as an int' => ['1', 1, true];
        yield 'leading zeros' => ['01', '1', false];
        yield 'a negative int' => [-1, '-1', true];
        yield 'a string' => ['a-1', 'a-1', true];
        yield 'another case' => ['a', 'A', false];
        yield 'bytes' => ["a\0\xff", "a\0\xff", true];
        yield 'a longer one' => ["a", "a\0", false];
        yield 'an empty one' => ['', '', true];
        yield 'a list of one' => [7, [7], true];
        yield 'by name' => [7, ['id' => 7], true];
        yield 'by name, in another case' => [7, ['ID' => 7], true];
    }

    /**
     * @dataProvider keys
     */
    #[DataProvider('keys')]
    public function testComparesKeys(mixed $stored, mixed $asked, bool $same): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => $stored, 'x' => 1]);
        self::assertSame($same ? ['id' => $stored, 'x' => 1] : null, $buffer->find('orders', $asked));
    }

    public function testFindsByACompositeKey(): void
    {
        $buffer = $this->buffer(tables: ['balances' => ['key' => ['user_id', 'asset']]]);
        $row = ['asset' => 'BTC', 'user_id' => 7, 'available' => '1.5'];
        $buffer->put('balances', $row);
        self::assertSame($row, $buffer->find('balances', [7, 'BTC']));
        self::assertSame($row, $buffer->find('balances', ['user_id' => 7, 'asset' => 'BTC']));
        self::assertSame($row, $buffer->find('balances', ['asset' => 'BTC', 'user_id' => '7']));
        self::assertNull($buffer->find('balances', ['BTC', 7]));
        self::assertNull($buffer->find('balances', [7, 'ETH']));
    }

    public function testChangesNothing(): void
    {
        $buffer = $this->buffer();
        $buffer->add([['id' => 1, 'x' => 1], ['id' => 1, 'x' => 2]]);
        $found = $buffer->find('orders', 1);
        $found['x'] = 99;
        self::assertCount(2, $buffer);
        self::assertSame(['id' => 1, 'x' => 2], $buffer->find('orders', 1));
        $buffer->flush();
        self::assertSame([['id' => 1, 'x' => 2]], self::rowsOf('orders'));
    }
}
