<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class GetMetricsErrorTest extends MemoryTestCase
{
    public function testTakesNoArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            self::assertThrows(
                ArgumentCountError::class,
                "{$class}::getMetrics() expects exactly 0 arguments, 1 given",
                static fn () => $buffer->getMetrics(...[1]),
            );
        }
    }
}
