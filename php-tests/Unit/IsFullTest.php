<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class IsFullTest extends MemoryTestCase
{
    public function testCountsTheRowsOfEachTable(): void
    {
        $buffer = $this->buffer(batchSize: 3);
        $buffer->add([['id' => 1], ['id' => 2]], [['id' => 1], ['id' => 2]]);
        $buffer->put('balances', [['id' => 1], ['id' => 2]]);
        self::assertFalse($buffer->isFull(), 'six rows, but two of each table');
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->put('balances', ['id' => 3]));
        self::assertTrue($buffer->isFull());
        $buffer->flush();
        self::assertFalse($buffer->isFull());
    }

    public function testStaysFullWhileAFlushFails(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        MemorySink::failNext(1146, 3);
        foreach ([1, 2, 3] as $id) {
            self::thrownBy(static fn () => $buffer->add(['id' => $id]));
            self::assertSame($id > 1, $buffer->isFull(), "{$id} rows");
        }
        self::thrownBy(static fn () => $buffer->flush());
        self::assertTrue($buffer->isFull());
        self::assertSame(3, $buffer->flush());
        self::assertFalse($buffer->isFull());
    }

    public function testRowsOfOneKeyCountOnce(): void
    {
        $buffer = $this->buffer(batchSize: 2, tables: ['log' => ['mode' => 'insert']]);
        $buffer->add([['id' => 1], ['id' => '1'], ['id' => 1, 'x' => 2]], ['id' => 1]);
        $buffer->put('balances', ['id' => 1]);
        self::assertCount(5, $buffer);
        self::assertFalse($buffer->isFull());
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->add(['id' => 2]));
        self::assertTrue($buffer->isFull(), 'two keys');
        $buffer->flush();
        self::assertFalse($buffer->isFull());
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->put('log', [['line' => 'a'], ['line' => 'a']]));
        self::assertTrue($buffer->isFull(), 'rows without keys, and rows that are only inserted, count each');
        MemorySink::reset();
        $buffer->put('log', ['line' => 'a']);
    }

    public function testRowsOfOneKeyHaveABoundToo(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        for ($at = 0; $at < 1_000 && $buffer->getMetrics()['transactions'] === 0; $at++) {
            $buffer->add(['id' => 1, 'at' => $at]);
        }
        self::assertSame(1, $buffer->getMetrics()['transactions']);
        self::assertSame([['id' => 1, 'at' => $at - 1]], self::rowsOf('orders'));
    }

    public function testTheSynchronousBufferIsNeverFull(): void
    {
        $buffer = $this->syncBuffer();
        $buffer->add([['id' => 1], ['id' => 2], ['id' => 3]]);
        self::assertFalse($buffer->isFull());
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->add(['id' => 4]));
        self::assertFalse($buffer->isFull());
    }
}
