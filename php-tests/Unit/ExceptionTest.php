<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use InvalidArgumentException;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\Exception;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\TimeoutException;

/** The exceptions as PHP objects: parents, file and line, trace. */
final class ExceptionTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{class-string<\Throwable>, class-string<\Throwable>,
     *         \Closure(self): void}>
     */
    public static function exceptions(): iterable
    {
        yield 'ConfigException' => [
            ConfigException::class,
            InvalidArgumentException::class,
            static fn () => new \WriteBuffer('memory:', batchSize: 0),
        ];
        yield 'ConnectionException' => [
            ConnectionException::class,
            RuntimeException::class,
            static function (self $test): void {
                MemorySink::failNext(2006, 4);
                $buffer = $test->buffer();
                $buffer->add(['id' => 1]);
                $buffer->flush();
            },
        ];
        yield 'FullException' => [
            FullException::class,
            RuntimeException::class,
            static fn (self $test) => $test->buffer(batchSize: 1, maxPendingRows: 1)->add([['id' => 1], ['id' => 2]]),
        ];
        yield 'FlushException' => [
            FlushException::class,
            RuntimeException::class,
            static function (self $test): void {
                MemorySink::failNext(1264);
                $test->syncBuffer()->add(['id' => 1]);
            },
        ];
        yield 'TimeoutException' => [
            TimeoutException::class,
            RuntimeException::class,
            static function (self $test): void {
                MemorySink::failNext(1213, 1_000);
                $buffer = $test->buffer(maxRetries: 100);
                $buffer->add(['id' => 1]);
                try {
                    $buffer->flush(10);
                } finally {
                    MemorySink::reset();
                }
            },
        ];
        yield 'ClosedException' => [
            ClosedException::class,
            RuntimeException::class,
            static function (self $test): void {
                $buffer = $test->buffer();
                $buffer->close();
                $buffer->flush();
            },
        ];
    }

    /**
     * @dataProvider exceptions
     *
     * @param class-string<\Throwable>    $class
     * @param class-string<\Throwable>    $parent
     * @param \Closure(self): void $act
     */
    #[DataProvider('exceptions')]
    public function testIsAnExceptionAsPhpHasThem(string $class, string $parent, \Closure $act): void
    {
        $thrown = self::thrownBy(fn () => $act($this));
        self::assertInstanceOf($class, $thrown);
        self::assertInstanceOf(Exception::class, $thrown);
        self::assertInstanceOf($parent, $thrown);
        self::assertSame(__FILE__, $thrown->getFile());
        self::assertGreaterThan(20, $thrown->getLine());
        self::assertLessThan((new \ReflectionMethod(__CLASS__, __FUNCTION__))->getStartLine(), $thrown->getLine());
        self::assertNull($thrown->getPrevious());
        $frame = $thrown->getTrace()[0];
        self::assertSame($thrown->getLine(), $frame['line']);
        self::assertContains($frame['class'], ['WriteBuffer', 'SyncWriteBuffer']);
        self::assertContains($frame['function'], ['__construct', 'add', 'flush']);
        self::assertStringContainsString($frame['class'] . '->' . $frame['function'], $thrown->getTraceAsString());
        self::assertStringStartsWith("{$class}: {$thrown->getMessage()} in " . __FILE__, (string) $thrown);
    }

    public function testCanBeMadeByHand(): void
    {
        $previous = new RuntimeException('before');
        $classes = [
            ConfigException::class, ConnectionException::class, FullException::class, FlushException::class,
            TimeoutException::class, ClosedException::class,
        ];
        foreach ($classes as $class) {
            $made = new $class('by hand', 7, $previous);
            self::assertSame(['by hand', 7, __LINE__ - 1], [$made->getMessage(), $made->getCode(), $made->getLine()]);
            self::assertSame($previous, $made->getPrevious());
        }
        self::assertSame([], (new FlushException())->getFailures());
        self::assertThrows(
            \ArgumentCountError::class,
            'WriteBuffer\FlushException::getFailures() expects exactly 0 arguments, 1 given',
            static fn () => (new FlushException())->getFailures(...[1]),
        );
    }

    public function testNothingIsLeftPendingAfterACatch(): void
    {
        $buffer = $this->buffer();
        for ($round = 0; $round < 100; $round++) {
            self::thrownBy(static fn () => $buffer->add(['id' => 1, 'x' => []]));
            self::thrownBy(static fn () => $buffer->put('', ['id' => 1]));
        }
        $buffer->add(['id' => 1]);
        self::assertSame(1, $buffer->flush());
    }
}
