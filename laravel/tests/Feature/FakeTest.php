<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use DateTimeImmutable;
use PHPUnit\Framework\AssertionFailedError;
use RuntimeException;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Facades\WriteBuffer;
use WriteBuffer\Laravel\Tests\Support\Order;
use WriteBuffer\Laravel\Tests\Support\Service;
use WriteBuffer\Laravel\Tests\Support\Side;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** `WriteBuffer::fake()` and its assertions. */
final class FakeTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => [
            'default' => ['driver' => 'native', 'tables' => ['balances' => ['key' => ['u', 'a']]]],
            'audit' => ['driver' => 'native'],
        ]];
    }

    protected function setUp(): void
    {
        parent::setUp();
        WriteBuffer::fake();
    }

    private static function assertFails(callable $assertion, string ...$words): void
    {
        try {
            $assertion();
        } catch (AssertionFailedError $e) {
            foreach ($words as $word) {
                self::assertStringContainsString($word, $e->getMessage());
            }

            return;
        }
        self::fail('the assertion holds');
    }

    private function addSome(): void
    {
        $buffer = $this->app->make(Service::class)->buffer;
        $buffer->add(
            ['id' => 1, 'side' => Side::Buy, 'price' => '1.50', 'paid' => true, 'note' => null],
            [['id' => 10], ['id' => 11]],
        );
        WriteBuffer::buffer('audit')->put('events', (object) ['id' => 5, 'at' => new DateTimeImmutable('2024-01-01 10:00')]);
    }

    public function testDecimalsAreNumbersAndJsonIsWhatItDecodesTo(): void
    {
        WriteBuffer::put('prices', ['id' => 1, 'price' => '1.50', 'code' => '007', 'meta' => '{"a":1,"b":[1,{"c":"x"}]}']);
        foreach (['1.5', '1.500', 1.5] as $price) {
            WriteBuffer::assertBuffered('prices', ['price' => $price]);
        }
        WriteBuffer::assertBuffered('prices', ['meta' => ['b' => [1, ['c' => 'x']], 'a' => 1]]);
        foreach (
            [
                ['price' => '1.51'], ['price' => '15'], ['code' => '7'], ['code' => 7], ['code' => '7.0'],
                ['meta' => ['a' => 1]], ['meta' => ['a' => 1, 'b' => [['c' => 'x'], 1]]], ['price' => ['1.50']],
            ] as $other
        ) {
            WriteBuffer::assertNotBuffered('prices', $other);
        }
    }

    public function testATableCanBeNamedByItsModel(): void
    {
        WriteBuffer::put('orders', ['id' => 1, 'v' => 1]);
        WriteBuffer::delete('orders', 2);
        WriteBuffer::assertBuffered(Order::class, ['id' => 1]);
        WriteBuffer::assertBuffered(Order::class, 1);
        WriteBuffer::assertNotBuffered(Order::class, ['id' => 2]);
        WriteBuffer::assertDeleted(Order::class, 2);
        WriteBuffer::assertNotDeleted(Order::class, 1);
        WriteBuffer::assertGrouped([Order::class => ['v' => 1]]);
        self::assertFails(static fn () => WriteBuffer::assertBuffered(Order::class, 2), 'of the table [orders]');
    }

    public function testAFailureSaysWhatDiffers(): void
    {
        WriteBuffer::put('prices', ['id' => 1, 'price' => '1.50', 'side' => 'buy']);
        WriteBuffer::put('prices', ['id' => 2, 'price' => '2.50', 'side' => 'sell']);
        self::assertFails(
            static fn () => WriteBuffer::assertBuffered('prices', ['id' => 2, 'price' => '2.51', 'side' => 'sell', 'note' => 1]),
            "The row that is the most alike differs:\n  price: expected [\"2.51\"], buffered [\"2.50\"]\n"
                . '  note: expected [1], the row has no such column',
        );
    }

    public function testWhatWasBuffered(): void
    {
        $this->addSome();

        WriteBuffer::assertBuffered('orders');
        WriteBuffer::assertBuffered('orders', ['id' => '1', 'side' => Side::Buy, 'paid' => true, 'note' => null]);
        WriteBuffer::assertBuffered('orders', ['side' => 'buy', 'price' => '1.50']);
        WriteBuffer::assertBuffered('trades', static fn (array $row): bool => $row['id'] === 11);
        WriteBuffer::assertBuffered('trades', 2);
        WriteBuffer::assertBuffered('events', ['at' => new DateTimeImmutable('2024-01-01 10:00')]);
        WriteBuffer::assertBufferedCount(4);
        WriteBuffer::assertBufferedCount(2, 'trades');
        WriteBuffer::assertNotBuffered('balances');
        WriteBuffer::assertNotBuffered('orders', ['id' => 2]);
        WriteBuffer::buffer('audit')->assertBufferedCount(1);
        WriteBuffer::buffer('audit')->assertNotBuffered('orders');
    }

    public function testAFailurePrintsWhatWasBuffered(): void
    {
        self::assertFails(static fn () => WriteBuffer::assertBuffered('orders'), 'Nothing was buffered.');
        WriteBuffer::assertNothingBuffered();
        $this->addSome();
        $printed = "Buffered:\n  orders {\"id\":1,\"side\":\"buy\",\"price\":\"1.50\",\"paid\":1,\"note\":null}\n  trades {\"id\":10}";

        foreach ([['id' => 2], ['price' => '1.51'], ['price' => 1.51], ['note' => ''], ['note' => 0], ['paid' => false], ['x' => null]] as $row) {
            self::assertFails(
                static fn () => WriteBuffer::assertBuffered('orders', $row),
                'No row of the table [orders] with ' . json_encode($row) . ' was buffered.',
                $printed,
            );
        }
        self::assertFails(
            static fn () => WriteBuffer::assertBuffered('trades', static fn (): bool => false),
            'No row of the table [trades] that the callback accepts was buffered.',
            $printed,
        );
        self::assertFails(
            static fn () => WriteBuffer::assertBuffered('trades', 3),
            '2 rows of the table [trades] were buffered instead of 3.',
        );
        self::assertFails(static fn () => WriteBuffer::assertBufferedCount(1), '4 rows were buffered instead of 1.', $printed);
        self::assertFails(static fn () => WriteBuffer::assertNotBuffered('trades', ['id' => 10]), 'was buffered.', $printed);
        self::assertFails(static fn () => WriteBuffer::assertNothingBuffered(), $printed);
        self::assertFails(static fn () => WriteBuffer::assertFlushed(), 'The buffer was not flushed.', $printed);
    }

    public function testWhatWasDeleted(): void
    {
        WriteBuffer::delete('orders', 1);
        WriteBuffer::delete('orders', ['id' => '2']);
        WriteBuffer::delete('balances', [7, 'BTC']);
        WriteBuffer::add(['id' => 3]);

        WriteBuffer::assertDeleted('orders');
        WriteBuffer::assertDeleted('orders', 1);
        WriteBuffer::assertDeleted('orders', '2');
        WriteBuffer::assertDeleted('orders', ['id' => 2]);
        WriteBuffer::assertDeleted('balances', ['u' => 7, 'a' => 'BTC']);
        WriteBuffer::assertDeleted('balances', static fn (array $key): bool => $key['a'] === 'BTC');
        WriteBuffer::assertNotDeleted('orders', 3);
        WriteBuffer::assertNotDeleted('trades');
        WriteBuffer::assertNotBuffered('orders', ['id' => 1]);
        WriteBuffer::assertBufferedCount(1);
        self::assertSame(4, WriteBuffer::count(), 'deletions count as rows');
        self::assertFalse(WriteBuffer::find('balances', [7, 'BTC']));
        WriteBuffer::put('balances', ['u' => 7, 'a' => 'BTC', 'free' => 1]);
        self::assertSame(['u' => 7, 'a' => 'BTC', 'free' => 1], WriteBuffer::find('balances', ['u' => 7, 'a' => 'BTC']));
        $printed = "Buffered:\n  orders deleted {\"id\":1}\n";
        self::assertFails(
            static fn () => WriteBuffer::assertDeleted('orders', 3),
            'Nothing was deleted from the table [orders] by the key [3].',
            $printed,
        );
        self::assertFails(
            static fn () => WriteBuffer::assertNotDeleted('orders', ['id' => 1]),
            'A row of the table [orders] with {"id":1} was deleted.',
            $printed,
        );
        self::assertFails(static fn () => WriteBuffer::assertNothingBuffered(), $printed);
        $this->expectException(ConfigException::class);
        WriteBuffer::delete('trades', 1);
    }

    public function testWhatWasGrouped(): void
    {
        WriteBuffer::add(['id' => 1], ['id' => 10]);
        self::assertSame('done', WriteBuffer::group(static function (): string {
            WriteBuffer::add(['id' => 2]);
            WriteBuffer::group(static fn () => WriteBuffer::put('balances', ['u' => 7, 'a' => 'BTC']));
            WriteBuffer::assertNotBuffered('orders', ['id' => 2]);

            return 'done';
        }));
        try {
            WriteBuffer::group(static function (): void {
                WriteBuffer::add(['id' => 3]);
                throw new RuntimeException('on purpose');
            });
            self::fail('nothing was thrown');
        } catch (RuntimeException) {
            WriteBuffer::assertNotBuffered('orders', ['id' => 3]);
        }

        WriteBuffer::assertGrouped(['orders' => ['id' => 1], 'trades' => null]);
        WriteBuffer::assertGrouped(['orders' => ['id' => 2], 'balances' => static fn (array $row): bool => $row['u'] === 7]);
        self::assertFails(
            static fn () => WriteBuffer::assertGrouped(['orders' => ['id' => 1], 'balances' => null]),
            'No group has a row of each of the tables [orders, balances].',
            '  orders {"id":1}',
        );
        self::assertSame([2, 2], array_map('count', WriteBuffer::groups()));
    }

    public function testFlushes(): void
    {
        $this->addSome();
        WriteBuffer::assertNotFlushed();
        self::assertSame(3, WriteBuffer::count());
        self::assertSame(3, WriteBuffer::flush());
        self::assertSame(0, WriteBuffer::count());

        WriteBuffer::assertFlushed();
        WriteBuffer::assertFlushed(1);
        WriteBuffer::assertBuffered('orders', ['id' => 1]);
        self::assertFails(static fn () => WriteBuffer::assertFlushed(2), 'The buffer was flushed 1 times instead of 2.');
        self::assertFails(static fn () => WriteBuffer::assertNotFlushed());
        WriteBuffer::buffer('audit')->assertNotFlushed();
    }

    public function testTheEndOfARequestIsAFlush(): void
    {
        $this->addSome();
        $this->app->terminate();

        WriteBuffer::assertFlushed(2);
    }

    public function testItFollowsTransactions(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY');
        $database = $this->app->make('db');
        try {
            $database->transaction(static function (): void {
                WriteBuffer::add(['id' => 1]);
                throw new RuntimeException('on purpose');
            });
        } catch (RuntimeException) {
            WriteBuffer::assertNothingBuffered();
        }
        $database->transaction(static function (): void {
            WriteBuffer::add(['id' => 2]);
            WriteBuffer::assertNothingBuffered();
            WriteBuffer::group(static function (): void {
                WriteBuffer::add(['id' => 3]);
                WriteBuffer::delete('orders', 4);
            });
        });

        WriteBuffer::assertBuffered('orders', ['id' => 2]);
        WriteBuffer::assertBufferedCount(2);
        WriteBuffer::assertDeleted('orders', 4);
        self::assertSame([1, 2], array_map('count', WriteBuffer::groups()));
    }

    public function testItIsABuffer(): void
    {
        WriteBuffer::put('balances', ['u' => 1, 'a' => 'BTC', 'free' => 1]);
        WriteBuffer::put('balances', ['u' => 1, 'a' => 'BTC', 'held' => 2]);
        self::assertSame(['u' => 1, 'a' => 'BTC', 'free' => 1, 'held' => 2], WriteBuffer::find('balances', [1, 'BTC']));
        self::assertNull(WriteBuffer::find('balances', [1, 'ETH']));
        self::assertSame(1, WriteBuffer::retry([['rows' => [['table' => 'orders', 'row' => ['id' => 7]]]]]));
        WriteBuffer::assertBuffered('orders', ['id' => 7]);
        self::assertSame(1, WriteBuffer::retry([['rows' => [['table' => 'orders', 'delete' => ['id' => 8]]]]]));
        WriteBuffer::assertDeleted('orders', 8);
        WriteBuffer::close();
        $this->expectException(ClosedException::class);
        WriteBuffer::add(['id' => 8]);
    }

    public function testARowOfAWrongTypeIsRefused(): void
    {
        $this->expectException(\TypeError::class);
        WriteBuffer::add(['id' => []]);
    }
}
