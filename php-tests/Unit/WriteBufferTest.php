<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** The fifteen cases that the former PHP class had. */
final class WriteBufferTest extends MemoryTestCase
{
    /** @return array<string, int|string> */
    private static function order(int $id, string $status = 'open'): array
    {
        return ['id' => $id, 'symbol' => 'BTC-USD', 'price' => '50000.10', 'status' => $status];
    }

    /** @return array<string, int|string> */
    private static function trade(int $id, int $order): array
    {
        return ['id' => $id, 'order_id' => $order, 'quantity' => '0.5'];
    }

    public function testStartsEmpty(): void
    {
        $buffer = $this->buffer();
        $metrics = $buffer->getMetrics();
        self::assertCount(0, $buffer);
        self::assertFalse($buffer->isFull());
        self::assertSame(
            [0, 0, 0.0],
            [$metrics['flush_count'], $metrics['total_flushed'], $metrics['total_flush_time_ms']],
        );
        self::assertSame([], MemorySink::tables());
    }

    public function testAddsOneOrder(): void
    {
        $buffer = $this->buffer();
        $buffer->add(self::order(1));
        self::assertCount(1, $buffer);
        self::assertSame([], MemorySink::tables(), 'nothing is written before a flush');
        $buffer->flush();
        self::assertSame(['orders' => [self::order(1)]], MemorySink::tables());
    }

    public function testAddsManyOrders(): void
    {
        $buffer = $this->buffer();
        $buffer->add([self::order(1), self::order(2)]);
        $buffer->add([self::order(3)]);
        self::assertCount(3, $buffer);
        $buffer->flush();
        self::assertSame(['orders' => [self::order(1), self::order(2), self::order(3)]], MemorySink::tables());
    }

    public function testAddsOneTrade(): void
    {
        $buffer = $this->buffer();
        $buffer->add(null, self::trade(1, 7));
        self::assertCount(1, $buffer);
        $buffer->flush();
        self::assertSame(['trades' => [self::trade(1, 7)]], MemorySink::tables());
    }

    public function testAddsManyTrades(): void
    {
        $buffer = $this->buffer();
        $buffer->add(null, [self::trade(1, 7), self::trade(2, 7)]);
        self::assertCount(2, $buffer);
        $buffer->flush();
        self::assertSame(['trades' => [self::trade(1, 7), self::trade(2, 7)]], MemorySink::tables());
    }

    public function testAddsAnOrderWithItsTrades(): void
    {
        $buffer = $this->buffer();
        $buffer->add(self::order(1), [self::trade(1, 1), self::trade(2, 1)]);
        $buffer->add(self::order(2), self::trade(3, 2));
        $buffer->add(self::order(3));
        self::assertCount(6, $buffer);
        self::assertSame(6, $buffer->flush());
        self::assertSame(
            [
                'orders' => [self::order(1), self::order(2), self::order(3)],
                'trades' => [self::trade(1, 1), self::trade(2, 1), self::trade(3, 2)],
            ],
            MemorySink::tables(),
        );
    }

    public function testIsFullWhenOrdersOrTradesReachTheBatchSize(): void
    {
        foreach (['orders', 'trades'] as $table) {
            $buffer = $this->buffer(batchSize: 3);
            MemorySink::failNext(2006, 4);
            $rows = [self::order(1), self::order(2)];
            $table === 'orders' ? $buffer->add($rows) : $buffer->add(null, $rows);
            self::assertFalse($buffer->isFull(), $table);
            self::thrownBy(static fn () => $table === 'orders'
                ? $buffer->add(self::order(3))
                : $buffer->add(null, self::order(3)));
            self::assertTrue($buffer->isFull(), $table);
            $buffer->flush();
            self::assertFalse($buffer->isFull(), $table);
            MemorySink::reset();
        }
    }

    public function testFlushesByItselfWhenFull(): void
    {
        $buffer = $this->buffer(batchSize: 3);
        $buffer->add(self::order(1));
        $buffer->add(self::order(2), self::trade(1, 2));
        self::assertCount(3, $buffer, 'three rows, but of two tables');
        $buffer->add(self::order(3));
        self::assertCount(0, $buffer);
        self::assertCount(3, self::rowsOf('orders'));
        self::assertCount(1, self::rowsOf('trades'));
        self::assertSame(1, $buffer->getMetrics()['transactions']);
    }

    public function testFlushesByItselfWhenOverdue(): void
    {
        $buffer = $this->buffer(flushIntervalMs: 20);
        $buffer->add(self::order(1));
        // Longer than the interval, on any machine.
        usleep(30_000);
        self::assertCount(1, $buffer, 'no thread flushes: the next row does');
        $buffer->add(self::order(2));
        self::assertCount(0, $buffer);
        self::assertSame([self::order(1), self::order(2)], self::rowsOf('orders'));
    }

    public function testFlushesOnDemand(): void
    {
        $buffer = $this->buffer();
        self::assertSame(0, $buffer->flush(), 'nothing to write');
        self::assertSame(0, $buffer->getMetrics()['transactions'], 'and nothing was counted');
        $buffer->add(self::order(1), self::trade(1, 1));
        self::assertSame(2, $buffer->flush());
        self::assertSame(0, $buffer->flush());
        self::assertSame(1, $buffer->getMetrics()['transactions']);
    }

    public function testWritesEveryColumnAsGiven(): void
    {
        $order = ['raw' => "\0\xff", 'is_maker' => true, 'filled' => 0.25, 'note' => null] + self::order(1);
        $buffer = $this->buffer();
        $buffer->add($order);
        $buffer->flush();
        self::assertSame([array_replace($order, ['is_maker' => 1])], self::rowsOf('orders'));
    }

    public function testUpsertsDuplicates(): void
    {
        $buffer = $this->buffer();
        $buffer->add(self::order(1));
        $buffer->add(self::order(1, 'partial'));
        self::assertCount(2, $buffer, 'both rows wait');
        self::assertSame(2, $buffer->flush());
        self::assertSame([self::order(1, 'partial')], self::rowsOf('orders'));
        $buffer->add(self::order(1, 'filled'));
        $buffer->flush();
        self::assertSame([self::order(1, 'filled')], self::rowsOf('orders'));
        self::assertSame(1, $buffer->getMetrics()['rows_coalesced']);
    }

    public function testRetriesAfterADeadlock(): void
    {
        $buffer = $this->buffer(maxRetries: 3);
        $buffer->add(self::order(1), self::trade(1, 1));
        MemorySink::failNext(1213, 3);
        self::assertSame(2, $buffer->flush());
        $metrics = $buffer->getMetrics();
        self::assertSame([3, 3], [$metrics['retries'], $metrics['retries_deadlock']]);
        self::assertSame(['orders' => [self::order(1)], 'trades' => [self::trade(1, 1)]], MemorySink::tables());
    }

    public function testCountsWhatItDoes(): void
    {
        $buffer = $this->buffer();
        foreach ([1, 2, 3] as $id) {
            $buffer->add(self::order($id), [self::trade($id, $id), self::trade(10 + $id, $id)]);
            $buffer->flush();
        }
        $metrics = $buffer->getMetrics();
        self::assertSame([3, 9], [$metrics['transactions'], $metrics['total_flushed']]);
        self::assertGreaterThan(0.0, $metrics['total_flush_time_ms']);
    }

    public function testTheSynchronousBufferWritesAtOnce(): void
    {
        $buffer = $this->syncBuffer();
        $buffer->add(self::order(1), self::trade(1, 1));
        self::assertCount(0, $buffer);
        self::assertFalse($buffer->isFull());
        self::assertSame(['orders' => [self::order(1)], 'trades' => [self::trade(1, 1)]], MemorySink::tables());
        self::assertSame(0, $buffer->flush());
    }
}
