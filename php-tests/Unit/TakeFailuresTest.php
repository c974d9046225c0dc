<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** Rows that are given up need a server's limits: see Integration/PacketTest. Here is what is no failure. */
final class TakeFailuresTest extends MemoryTestCase
{
    public function testIsEmptyWhereNothingWasGivenUp(): void
    {
        $buffer = $this->buffer();
        self::assertSame([], $buffer->takeFailures());
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1264);
        self::thrownBy(static fn () => $buffer->flush());
        self::assertSame([], $buffer->takeFailures(), 'the row is still buffered');
        $buffer->flush();
        self::assertSame([], $buffer->takeFailures());
    }

    public function testTheSynchronousBufferHasThrownThem(): void
    {
        $buffer = $this->syncBuffer();
        MemorySink::failNext(1264);
        self::thrownBy(static fn () => $buffer->add(['id' => 1]));
        self::assertSame([], $buffer->takeFailures());
    }

    public function testIsAllowedAfterClose(): void
    {
        $buffer = $this->buffer();
        $buffer->close();
        self::assertSame([], $buffer->takeFailures());
    }
}
