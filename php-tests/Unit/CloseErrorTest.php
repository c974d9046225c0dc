<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use TypeError;
use ValueError;
use WriteBuffer\BlockedException;
use WriteBuffer\ConnectionException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\TimeoutException;

final class CloseErrorTest extends MemoryTestCase
{
    public function testStaysOpenWithItsRowsWhenTheFlushFails(): void
    {
        $buffer = $this->buffer(maxRetries: 50);
        $buffer->add(['id' => 1]);
        foreach (
            [
                [BlockedException::class, 'simulated error, asked for by MemorySink::failNext()', 1146, 1, null],
                [ConnectionException::class, 'simulated lost connection, asked for by MemorySink::failNext()', 2013, 4, null],
                [
                    TimeoutException::class,
                    'the time given is over; the last error: simulated deadlock, asked for by MemorySink::failNext()',
                    1213,
                    1_000,
                    30,
                ],
            ] as [$class, $message, $code, $times, $timeout]
        ) {
            MemorySink::failNext($code, $times);
            self::assertThrows(
                $class,
                "{$message} (1 row still buffered)",
                static fn () => $buffer->close($timeout),
                $timeout === null ? $code : 0,
            );
            self::assertFalse($buffer->__debugInfo()['closed']);
            MemorySink::reset();
        }
        $buffer->add(['id' => 2]);
        $buffer->close();
        self::assertSame([['id' => 1], ['id' => 2]], self::rowsOf('orders'));
    }

    public function testChecksItsArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach (
                [
                    [ValueError::class, '(): Argument #1 ($timeoutMs) must be 0 or more', [-1]],
                    [TypeError::class, '(): Argument #1 ($timeoutMs) must be of type ?int, string given', ['soon']],
                    [ArgumentCountError::class, '() expects at most 1 argument, 2 given', [1, 2]],
                ] as [$type, $message, $arguments]
            ) {
                self::assertThrows($type, "{$class}::close{$message}", static fn () => $buffer->close(...$arguments));
            }
            $buffer->add(['id' => 1]);
            self::assertSame(1, count(self::rowsOf('orders')) + count($buffer), 'it is still open');
            $buffer->flush();
            MemorySink::reset();
        }
    }
}
