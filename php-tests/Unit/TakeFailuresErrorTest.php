<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class TakeFailuresErrorTest extends MemoryTestCase
{
    public function testTakesNoArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            self::assertThrows(
                ArgumentCountError::class,
                "{$class}::takeFailures() expects exactly 0 arguments, 1 given",
                static fn () => $buffer->takeFailures(...[1]),
            );
        }
    }
}
