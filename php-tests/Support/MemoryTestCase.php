<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PHPUnit\Framework\TestCase;
use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;

/** A test without a server: rows go to the tables behind `memory:`. */
abstract class MemoryTestCase extends TestCase
{
    use AssertsExceptions;
    use ChecksBuffers;

    protected function setUp(): void
    {
        MemorySink::reset();
    }

    protected function tearDown(): void
    {
        MemorySink::reset();
        $this->drainBuffers();
        MemorySink::reset();
    }

    protected function defaultDsn(): string
    {
        return 'memory:';
    }

    /** @return list<array<string, mixed>> the rows of a table in memory */
    protected static function rowsOf(string $table): array
    {
        return MemorySink::tables()[$table] ?? [];
    }

    /**
     * Acts on a buffer that holds a row, and asserts that afterwards it holds that row and nothing
     * else.
     *
     * @param class-string<\Throwable> $class
     */
    protected static function assertNothingTaken(
        Buffer $buffer,
        string $class,
        string $message,
        \Closure $act,
        int $code = 0,
    ): \Throwable {
        $closed = $buffer->__debugInfo()['closed'];
        if (!$closed) {
            $buffer->add(['id' => 'before', 'version' => 1]);
        }
        $pending = count($buffer);
        $metrics = $buffer->getMetrics();
        $thrown = self::assertThrows($class, $message, static fn () => $act($buffer), $code);
        if (!$buffer->__debugInfo()['closed'] || $closed) {
            self::assertCount($pending, $buffer, $message);
            self::assertSame($metrics['rows_added'], $buffer->getMetrics()['rows_added'], $message);
        }
        if (!$closed && !$buffer->__debugInfo()['closed']) {
            $buffer->flush();
        }
        self::assertSame($closed ? [] : ['orders' => [['id' => 'before', 'version' => 1]]], MemorySink::tables(), $message);
        MemorySink::reset();

        return $thrown;
    }
}
