<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class CloseTest extends MemoryTestCase
{
    public function testFlushesAndRefusesWhatComes(): void
    {
        foreach ([null, 60_000] as $timeout) {
            MemorySink::reset();
            $buffer = $this->buffer();
            $buffer->add(['id' => 1], ['id' => 2]);
            $buffer->close($timeout);
            self::assertSame(['orders' => [['id' => 1]], 'trades' => [['id' => 2]]], MemorySink::tables());
            self::assertCount(0, $buffer);
        }
    }

    public function testASecondCloseDoesNothing(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $buffer->close();
            MemorySink::failNext(1213, 100);
            $buffer->close();
            $buffer->close(1);
            self::assertSame(0, $buffer->getMetrics()['transactions_failed']);
            MemorySink::reset();
        }
    }

    public function testWhatOnlyReadsStillWorks(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        $buffer->close();
        self::assertSame(1, $buffer->getMetrics()['rows_committed']);
        self::assertFalse($buffer->isFull());
        self::assertNull($buffer->find('orders', 1));
        self::assertSame([], $buffer->takeFailures());
        self::assertTrue($buffer->__debugInfo()['closed']);
    }
}
