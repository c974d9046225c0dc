<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;
use WriteBuffer\NotTaken;
use WriteBuffer\RefusedException;
use WriteBuffer\Retryable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Text;

final class SyncWriteBufferTest extends MemoryTestCase
{
    public function testIsABufferToo(): void
    {
        self::assertInstanceOf(Buffer::class, $this->syncBuffer());
    }

    public function testCommitsEachGroupWhole(): void
    {
        $buffer = $this->syncBuffer();
        $buffer->add(['id' => 1], ['id' => 1]);
        self::assertThrows(
            RefusedException::class,
            'duplicate entry in table trades for key (id)',
            static fn () => $buffer->add(['id' => 2], ['id' => 1]),
            1062,
        );
        self::assertSame(['orders' => [['id' => 1]], 'trades' => [['id' => 1]]], MemorySink::tables());
    }

    public function testKeepsNothingWhenItThrows(): void
    {
        $buffer = $this->syncBuffer(maxRetries: 0);
        foreach ([[1213, 1, 'BlockedException'], [2006, 4, 'ConnectionException']] as [$code, $times, $class]) {
            MemorySink::failNext($code, $times);
            $thrown = self::assertThrowsMatching(
                "WriteBuffer\\Synchronous\\{$class}",
                '/^simulated (deadlock|lost connection), asked for by MemorySink::failNext\(\)$/D',
                static fn () => $buffer->add([['id' => 1], ['id' => 2]], ['id' => 3]),
                $code,
            );
            self::assertInstanceOf("WriteBuffer\\{$class}", $thrown);
            self::assertInstanceOf(NotTaken::class, $thrown);
            self::assertInstanceOf(Retryable::class, $thrown);
            self::assertCount(0, $buffer);
            self::assertSame(0, $buffer->flush());
            self::assertNull($buffer->find('orders', 1));
        }
        $buffer->add(['id' => 9]);
        self::assertSame(['orders' => [['id' => 9]]], MemorySink::tables());
    }

    public function testRetriesLostRaces(): void
    {
        $buffer = $this->syncBuffer(maxRetries: 2);
        MemorySink::failNext(1213, 2);
        $buffer->add(['id' => 1]);
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables());
        self::assertSame(2, $buffer->getMetrics()['retries_deadlock']);
    }

    public function testHasTheSameRules(): void
    {
        $buffer = $this->syncBuffer(
            orderTable: 'spot',
            tradeTable: 'fills',
            tables: ['balances' => ['key' => ['user', 'asset'], 'merge' => ['available' => 'sum']]],
        );
        $buffer->add(['id' => 1], ['id' => 2]);
        foreach (['0.1', '0.2'] as $amount) {
            $buffer->put('balances', ['user' => 1, 'asset' => 'BTC', 'available' => $amount]);
        }
        self::assertSame(
            [
                'spot' => [['id' => 1]],
                'fills' => [['id' => 2]],
                'balances' => [['user' => 1, 'asset' => 'BTC', 'available' => '0.3']],
            ],
            MemorySink::tables(),
        );
    }

    public function testUserCodeMayUseTheSameBuffer(): void
    {
        $buffer = $this->syncBuffer();
        $inner = static function () use ($buffer): string {
            $buffer->add(['id' => 2]);

            return 'outer';
        };
        $buffer->add(['id' => 1, 'x' => new Text($inner)]);
        self::assertSame([['id' => 2], ['id' => 1, 'x' => 'outer']], self::rowsOf('orders'));
    }

    public function testManyRowsAtOnce(): void
    {
        $rows = array_map(static fn (int $id): array => ['id' => $id], range(1, 3_000));
        $this->syncBuffer()->add($rows);
        self::assertSame($rows, self::rowsOf('orders'));
    }
}
