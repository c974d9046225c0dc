<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use InvalidArgumentException;
use LengthException;
use LogicException;
use OverflowException;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use WriteBuffer\BlockedException;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\Exception;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\MemorySink;
use WriteBuffer\NotTaken;
use WriteBuffer\RefusedException;
use WriteBuffer\Retryable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\TimeoutException;
use WriteBuffer\TooLargeException;

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
            OverflowException::class,
            static function (self $test): void {
                $buffer = $test->buffer(batchSize: 2, maxPendingRows: 2);
                $buffer->add(['id' => 1]);
                MemorySink::failNext(1213, 1_000);
                try {
                    $buffer->add([['id' => 2], ['id' => 3]]);
                } finally {
                    MemorySink::reset();
                }
            },
        ];
        yield 'TooLargeException' => [
            TooLargeException::class,
            LengthException::class,
            static fn (self $test) => $test->buffer(batchSize: 1, maxPendingRows: 1)->add([['id' => 1], ['id' => 2]]),
        ];
        yield 'RefusedException' => [
            RefusedException::class,
            FlushException::class,
            static function (self $test): void {
                MemorySink::failNext(1264);
                $test->syncBuffer()->add(['id' => 1]);
            },
        ];
        yield 'BlockedException' => [
            BlockedException::class,
            FlushException::class,
            static function (self $test): void {
                MemorySink::failNext(1146);
                $buffer = $test->buffer();
                $buffer->add(['id' => 1]);
                $buffer->flush();
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
            LogicException::class,
            static function (self $test): void {
                $buffer = $test->buffer();
                $buffer->close();
                $buffer->add(['id' => 1]);
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

    /** Whether the group was taken, and whether another try may help. */
    public function testEachClassHasItsMarkers(): void
    {
        foreach (self::exceptions() as $name => [$class, , $act]) {
            MemorySink::reset();
            $thrown = self::thrownBy(fn () => $act($this));
            self::assertInstanceOf($class, $thrown, $name);
            $expected = [
                ConfigException::class => [true, false],
                FullException::class => [true, true],
                TooLargeException::class => [true, false],
                ClosedException::class => [true, false],
                RefusedException::class => [false, false],
                BlockedException::class => [false, true],
                ConnectionException::class => [false, true],
                TimeoutException::class => [false, true],
            ];
            self::assertSame(
                $expected[$class],
                [$thrown instanceof NotTaken, $thrown instanceof Retryable],
                $name,
            );
            self::assertSame(
                in_array($class, [RefusedException::class, BlockedException::class], true),
                $thrown instanceof FlushException,
            );
            self::assertSame($class === RefusedException::class, $thrown instanceof RefusedException);
        }
    }

    public function testWhatIsRetryableSucceedsLater(): void
    {
        $buffer = $this->buffer(batchSize: 2, maxPendingRows: 2);
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1213, 1_000);
        $again = static fn () => $buffer->add([['id' => 2], ['id' => 3]]);
        $thrown = self::thrownBy($again);
        self::assertInstanceOf(NotTaken::class, $thrown);
        self::assertInstanceOf(Retryable::class, $thrown);
        $blocked = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(Retryable::class, $blocked);
        self::assertNotInstanceOf(NotTaken::class, $blocked);
        MemorySink::reset();
        self::assertSame(1, $buffer->flush());
        $again();
        $buffer->flush();
        self::assertSame([1, 2, 3], array_column(self::rowsOf('orders'), 'id'));
    }

    public function testFlushExceptionsHaveFailuresThatTestsCanGive(): void
    {
        $failures = [['rows' => [], 'status' => 'refused', 'code' => 1264, 'message' => 'm', 'time' => 1.5]];
        foreach ([FlushException::class, RefusedException::class, BlockedException::class] as $class) {
            $made = new $class('by hand', 1264, null, $failures);
            self::assertSame($failures, $made->getFailures());
            self::assertSame(['by hand', 1264], [$made->getMessage(), $made->getCode()]);
            $made = new $class(failures: $failures);
            self::assertSame(['', 0, null], [$made->getMessage(), $made->getCode(), $made->getPrevious()]);
            self::assertSame($failures, $made->getFailures());
            self::assertThrows(
                \TypeError::class,
                "WriteBuffer\FlushException::__construct(): Argument #3 (\$previous) must be of type ?Throwable, stdClass given",
                static fn () => new $class('', 0, new \stdClass()),
            );
        }
    }

    public function testFlushExceptionMayBeExtended(): void
    {
        $made = new class ('own') extends FlushException {
            public function __construct(string $message)
            {
                parent::__construct($message, failures: [['code' => 7]]);
            }
        };
        self::assertSame('own', $made->getMessage());
        self::assertSame([['code' => 7]], $made->getFailures());
    }

    public function testCanBeMadeByHand(): void
    {
        $previous = new RuntimeException('before');
        $classes = [
            ConfigException::class, ConnectionException::class, FullException::class, TooLargeException::class,
            FlushException::class, RefusedException::class, BlockedException::class, TimeoutException::class,
            ClosedException::class,
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
