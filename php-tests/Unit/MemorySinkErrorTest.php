<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use TypeError;
use ValueError;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class MemorySinkErrorTest extends MemoryTestCase
{
    public function testFailNextChecksItsArguments(): void
    {
        $code = 'Argument #1 ($code) must be a server error code, from 1 to 65535';
        $times = 'Argument #2 ($times) must be from 1 to 1000000';
        foreach (
            [
                [ValueError::class, ": {$code}", [0]],
                [ValueError::class, ": {$code}", [-1213]],
                [ValueError::class, ": {$code}", [65_536]],
                [ValueError::class, ": {$times}", [1213, 0]],
                [ValueError::class, ": {$times}", [1213, -1]],
                [ValueError::class, ": {$times}", [1213, 1_000_001]],
                [TypeError::class, ': Argument #1 ($code) must be of type int, string given', ['1213']],
                [TypeError::class, ': Argument #3 ($name) must be of type string, null given', [1213, 1, null]],
                [ArgumentCountError::class, ' expects at least 1 argument, 0 given', []],
                [ArgumentCountError::class, ' expects at most 3 arguments, 4 given', [1213, 1, '', 1]],
            ] as [$class, $message, $arguments]
        ) {
            self::assertThrows(
                $class,
                "WriteBuffer\\MemorySink::failNext(){$message}",
                static fn () => MemorySink::failNext(...$arguments),
            );
        }
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        self::assertSame(1, $buffer->flush(), 'none of these calls asked for a failure');
    }

    public function testThereAreNoObjectsOfIt(): void
    {
        self::assertThrows(
            \Error::class,
            'Call to private WriteBuffer\MemorySink::__construct() from scope ' . self::class,
            static fn () => new MemorySink(),
        );
        self::assertThrows(
            \ReflectionException::class,
            'Class WriteBuffer\MemorySink is an internal class marked as final that cannot be instantiated without '
                . 'invoking its constructor',
            static fn () => (new \ReflectionClass(MemorySink::class))->newInstanceWithoutConstructor(),
        );
        self::assertThrows(
            \ReflectionException::class,
            'Access to non-public constructor of class WriteBuffer\MemorySink',
            static fn () => (new \ReflectionClass(MemorySink::class))->newInstance(),
        );
        self::assertThrows(
            \Exception::class,
            "Unserialization of 'WriteBuffer\MemorySink' is not allowed",
            static fn () => unserialize('O:22:"WriteBuffer\MemorySink":0:{}'),
        );
    }

    /**
     * PDO calls a constructor whatever its visibility: here before it sets properties, which would
     * be dynamic ones.
     */
    public function testPdoMakesNoObjectOfIt(): void
    {
        if (!in_array('sqlite', \PDO::getAvailableDrivers(), true)) {
            self::markTestSkipped('the extension pdo_sqlite is not there');
        }
        self::assertThrows(
            \Error::class,
            'WriteBuffer\MemorySink has no objects: call its static methods',
            static fn () => (new \PDO('sqlite::memory:'))->query('SELECT 1')->fetchAll(
                \PDO::FETCH_CLASS | \PDO::FETCH_PROPS_LATE,
                MemorySink::class,
            ),
        );
    }

    public function testTablesAndResetCheckTheirArguments(): void
    {
        foreach (['tables', 'reset'] as $method) {
            self::assertThrows(
                TypeError::class,
                "WriteBuffer\\MemorySink::{$method}(): Argument #1 (\$name) must be of type string, array given",
                static fn () => MemorySink::$method(...[[]]),
            );
            self::assertThrows(
                ArgumentCountError::class,
                "WriteBuffer\\MemorySink::{$method}() expects at most 1 argument, 2 given",
                static fn () => MemorySink::$method(...['', '']),
            );
        }
    }
}
