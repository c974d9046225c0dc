<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;

/**
 * Returns what was given up, once. For rows that a real server refuses see Integration/RefusalTest.
 */
final class TakeFailuresTest extends MemoryTestCase
{
    public function testIsEmptyWhereNothingWasGivenUp(): void
    {
        $buffer = $this->buffer();
        self::assertSame([], $buffer->takeFailures());
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1146);
        self::thrownBy(static fn () => $buffer->flush());
        self::assertSame([], $buffer->takeFailures(), 'the row is still buffered');
        $buffer->flush();
        self::assertSame([], $buffer->takeFailures());
    }

    public function testHandsOverOnceWhatWasGivenUp(): void
    {
        $buffer = $this->buffer();
        $before = microtime(true);
        $buffer->add(['id' => 1, 'v' => 'a'], [['id' => 10], ['id' => 11]]);
        MemorySink::failNext(1264);
        self::thrownBy(static fn () => $buffer->flush());
        self::assertCount(0, $buffer);
        $failures = $buffer->takeFailures();
        self::assertCount(1, $failures);
        ['time' => $time] = $failures[0];
        unset($failures[0]['time'], $failures[0]['id']);
        self::assertSame(
            [
                'tag' => null,
                'rows' => [
                    ['table' => 'orders', 'row' => ['id' => 1, 'v' => 'a']],
                    ['table' => 'trades', 'row' => ['id' => 10]],
                    ['table' => 'trades', 'row' => ['id' => 11]],
                ],
                'status' => 'refused',
                'code' => 1264,
                'message' => 'simulated error, asked for by MemorySink::failNext()',
            ],
            $failures[0],
        );
        self::assertGreaterThanOrEqual(floor($before), $time);
        self::assertSame([], $buffer->takeFailures());
    }

    /**
     * The exception of a flush that meets no server has no groups, so the next one tells of them.
     *
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testWhatAFlushGaveUpThatMetNoServerIsToldByTheNext(bool $background): void
    {
        $buffer = $this->buffer(background: $background, flushIntervalMs: 3_600_000, maxRetries: 0);
        $buffer->put('t', ['id' => 1]);
        $buffer->put('t', ['id' => 2]);
        // Both together, then the first one alone. Then the other one meets no server.
        MemorySink::failNext(1264, 2);
        MemorySink::failNext(2002, 1_000);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(ConnectionException::class, $thrown);
        MemorySink::reset();
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(RefusedException::class, $thrown);
        self::assertSame(1, $thrown->getFailures()[0]['rows'][0]['row']['id']);
        self::assertSame(0, $buffer->flush());
    }

    /** @return iterable<string, array{bool}> */
    public static function modes(): iterable
    {
        yield 'background' => [true];
        yield 'foreground' => [false];
    }

    /** A server that waits for each of its groups, and never looks at the failures, goes on. */
    public function testWhatAWaitHasThrownMakesRoom(): void
    {
        $buffer = $this->buffer(background: true);
        for ($id = 1; $id <= 2_100; $id++) {
            MemorySink::failNext(1264);
            $ticket = $buffer->put('t', ['id' => $id]);
            $thrown = self::thrownBy(static fn () => $buffer->waitFor($ticket));
            self::assertInstanceOf(RefusedException::class, $thrown, "row {$id}: " . $thrown?->getMessage());
            self::assertSame(['id' => $id], $thrown->getFailures()[0]['rows'][0]['row']);
        }
        $buffer->waitFor($buffer->put('t', ['id' => 0]));
        self::assertSame([['id' => 0]], self::rowsOf('t'));
        $kept = array_map(static fn (array $failure): int => $failure['rows'][0]['row']['id'], $buffer->failures());
        self::assertSame(range(1_101, 2_100), $kept);
    }

    /** Nothing is dropped to make room. The buffer keeps what nobody takes, and says so. */
    public function testNothingMoreIsGivenUpThanTheMemoryHolds(): void
    {
        $buffer = $this->buffer(batchSize: 10_000);
        $buffer->add(null, ['id' => 0]);
        $buffer->flush();
        for ($id = 1; $id <= 1_001; $id++) {
            // Each one has the key of the row that is there.
            $buffer->add(null, ['id' => 0, 'n' => $id]);
        }
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertMatchesRegularExpression(
            '/^a row was refused, and the memory for refused groups is full: call takeFailures\(\), or give a deadLetterFile\. '
                . 'Nothing is lost: the rows stay buffered until then\. .* \(1 row still buffered\)$/D',
            $thrown->getMessage(),
        );
        self::assertCount(1_000, $thrown->getFailures());
        self::assertCount(1, $buffer);
        self::assertCount(1_000, $buffer->takeFailures());
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertCount(0, $buffer);
        self::assertSame(1_001, $buffer->takeFailures()[0]['rows'][0]['row']['n']);
    }

    public function testAtTheEndNobodySaysThatTheRestStaysBuffered(): void
    {
        $buffer = $this->buffer(batchSize: 10_000);
        $buffer->add(null, ['id' => 0]);
        $buffer->flush();
        for ($id = 1; $id <= 1_001; $id++) {
            $buffer->add(null, ['id' => 0, 'n' => $id]);
        }
        self::thrownBy(static fn () => $buffer->flush());
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertStringContainsString(
            'lost 1 buffered row: a row was refused, and the memory for refused groups is full: ',
            $warnings[0],
        );
        self::assertStringNotContainsString('Nothing is lost', $warnings[0]);
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
