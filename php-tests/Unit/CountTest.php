<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use Countable;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class CountTest extends MemoryTestCase
{
    public function testCountsRowsOfAllTablesUntilTheyAreCommitted(): void
    {
        $buffer = $this->buffer();
        self::assertInstanceOf(Countable::class, $buffer);
        foreach (
            [
                [1, static fn () => $buffer->add(['id' => 1])],
                [1, static fn () => $buffer->add(null)],
                [1, static fn () => $buffer->add([], [])],
                [2, static fn () => $buffer->add(['id' => 1])],
                [5, static fn () => $buffer->add(['id' => 2], [['id' => 1], ['id' => 2]])],
                [6, static fn () => $buffer->put('x', ['id' => 1])],
                [6, static fn () => self::thrownBy(static fn () => $buffer->add(5))],
                [0, static fn () => $buffer->flush()],
            ] as $step => [$rows, $act]
        ) {
            $act();
            self::assertSame([$rows, $rows], [count($buffer), $buffer->count()], "step {$step}");
        }
    }

    public function testCountsWhatAFailedFlushKept(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->flush());
        self::assertCount(1, $buffer);
    }

    public function testTheSynchronousBufferKeepsNothing(): void
    {
        $buffer = $this->syncBuffer();
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->add(['id' => 1]));
        self::assertCount(0, $buffer);
    }
}
