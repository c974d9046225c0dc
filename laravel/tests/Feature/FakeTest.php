<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use DateTimeImmutable;
use PHPUnit\Framework\AssertionFailedError;
use RuntimeException;
use WriteBuffer\ClosedException;
use WriteBuffer\Laravel\Facades\WriteBuffer;
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

        foreach ([['id' => 2], ['price' => '1.5'], ['price' => 1.5], ['note' => ''], ['note' => 0], ['paid' => false], ['x' => null]] as $row) {
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
        });

        WriteBuffer::assertBuffered('orders', ['id' => 2]);
        WriteBuffer::assertBufferedCount(1);
    }

    public function testItIsABuffer(): void
    {
        WriteBuffer::put('balances', ['u' => 1, 'a' => 'BTC', 'free' => 1]);
        WriteBuffer::put('balances', ['u' => 1, 'a' => 'BTC', 'held' => 2]);
        self::assertSame(['u' => 1, 'a' => 'BTC', 'free' => 1, 'held' => 2], WriteBuffer::find('balances', [1, 'BTC']));
        self::assertNull(WriteBuffer::find('balances', [1, 'ETH']));
        self::assertSame(1, WriteBuffer::retry([['rows' => [['table' => 'orders', 'row' => ['id' => 7]]]]]));
        WriteBuffer::assertBuffered('orders', ['id' => 7]);
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
