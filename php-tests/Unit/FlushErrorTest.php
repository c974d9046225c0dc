<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use ValueError;
use WriteBuffer\BlockedException;
use WriteBuffer\ClosedException;
use WriteBuffer\ConnectionException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\TimeoutException;

final class FlushErrorTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{int, int, class-string<\Throwable>, string}> code, times,
     *         exception, its words
     */
    public static function failures(): iterable
    {
        $asked = 'asked for by MemorySink::failNext()';
        yield 'deadlocks beyond maxRetries' => [1213, 3, BlockedException::class, "simulated deadlock, {$asked}"];
        yield 'lock waits beyond maxRetries' => [1205, 3, BlockedException::class, "simulated lock wait time-out, {$asked}"];
        foreach ([1044, 1054, 1142, 1146] as $code) {
            yield "a wrong schema: {$code}" => [$code, 1, BlockedException::class, "simulated error, {$asked}"];
        }
        foreach ([1036, 1194, 1305, 1449, 1665, 1814, 1932] as $code) {
            yield "a broken table or trigger: {$code}" => [$code, 1, BlockedException::class, "simulated error, {$asked}"];
        }
        foreach ([1, 1105, 5_000, 65_535] as $code) {
            yield "a code that says nothing: {$code}" => [$code, 1, BlockedException::class, "simulated error, {$asked}"];
        }
        foreach ([2006, 2013] as $code) {
            yield "no connection: {$code}" => [
                $code,
                4,
                ConnectionException::class,
                "simulated lost connection, {$asked}",
            ];
        }
        foreach ([1040, 1047, 1053, 1290, 1836, 1927] as $code) {
            yield "no server: {$code}" => [$code, 4, ConnectionException::class, "simulated error, {$asked}"];
        }
    }

    /**
     * @dataProvider failures
     *
     * @param class-string<\Throwable> $class
     */
    #[DataProvider('failures')]
    public function testKeepsAllRowsWhenItFails(int $code, int $times, string $class, string $message): void
    {
        $buffer = $this->buffer(maxRetries: 2);
        $buffer->add(['id' => 1, 'x' => 'a'], [['id' => 10], ['id' => 11]]);
        MemorySink::failNext($code, $times);
        $thrown = self::assertThrows(
            $class,
            "{$message} (3 rows still buffered)",
            static fn () => $buffer->flush(),
            $code,
        );
        if ($thrown instanceof BlockedException) {
            self::assertSame([], $thrown->getFailures(), 'nothing was given up');
        }
        self::assertSame([], MemorySink::tables(), 'a transaction is whole');
        self::assertSame([], $buffer->takeFailures());
        self::assertSame(['id' => 1, 'x' => 'a'], $buffer->find('orders', 1));
        $metrics = $buffer->getMetrics();
        self::assertSame(
            [3, 0, 1, 0, $message],
            [
                $metrics['rows_pending'],
                $metrics['rows_committed'],
                $metrics['transactions_failed'],
                $metrics['rows_refused'],
                $metrics['last_error'],
            ],
        );
        self::assertSame(3, $buffer->flush(), 'the failures asked for are used up');
        self::assertSame(
            ['orders' => [['id' => 1, 'x' => 'a']], 'trades' => [['id' => 10], ['id' => 11]]],
            MemorySink::tables(),
        );
    }

    /** @return iterable<string, array{int}> */
    public static function refusals(): iterable
    {
        foreach ([1048, 1062, 1264, 1406, 1452, 3819, 4025] as $code) {
            yield "{$code}" => [$code];
        }
    }

    /**
     * @dataProvider refusals
     */
    #[DataProvider('refusals')]
    public function testGivesUpWhatIsRefused(int $code): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1, 'x' => 'a'], [['id' => 10], ['id' => 11]]);
        MemorySink::failNext($code);
        $thrown = self::assertThrows(
            RefusedException::class,
            'gave up 3 rows that can never be written, see takeFailures(); the first error: simulated error, asked for by '
                . 'MemorySink::failNext()',
            static fn () => $buffer->flush(),
            $code,
        );
        self::assertSame([$code], array_column($thrown->getFailures(), 'code'));
        self::assertSame([], MemorySink::tables());
        $metrics = $buffer->getMetrics();
        self::assertSame(
            [0, 0, 1, 3, 1],
            [
                $metrics['rows_pending'], $metrics['rows_committed'], $metrics['transactions_failed'],
                $metrics['rows_refused'], $metrics['groups_refused'],
            ],
        );
        self::assertSame(0, $buffer->flush(), 'it was said once');
        self::assertSame($thrown->getFailures(), $buffer->takeFailures());
    }

    public function testAnInsertThatDoublesARowFails(): void
    {
        $buffer = $this->buffer();
        $buffer->add(null, ['id' => 1, 'x' => 'first']);
        $buffer->flush();
        $buffer->add(['id' => 1], ['id' => 2]);
        $buffer->add(['id' => 2], [['id' => 3], ['id' => 1, 'x' => 'second']]);
        $buffer->add(['id' => 3], ['id' => 4]);
        self::assertThrows(
            RefusedException::class,
            'gave up 3 rows that can never be written, see takeFailures(); the first error: duplicate entry in table trades '
                . 'for key (id)',
            static fn () => $buffer->flush(),
            1062,
        );
        self::assertSame([['id' => 1, 'x' => 'first'], ['id' => 2], ['id' => 4]], self::rowsOf('trades'));
        self::assertSame([['id' => 1], ['id' => 3]], self::rowsOf('orders'), 'a group is given up whole');
        MemorySink::reset();
        self::assertSame(1, $buffer->retry($buffer->takeFailures()));
        self::assertSame(3, $buffer->flush());
    }

    public function testGivesUpWhenItsTimeIsOver(): void
    {
        $buffer = $this->buffer(maxRetries: 100);
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1213, 1_000);
        // If all retries were used, it would be a BlockedException.
        self::assertThrows(
            TimeoutException::class,
            'the time given is over; the last error: simulated deadlock, asked for by MemorySink::failNext() '
                . '(1 row still buffered)',
            static fn () => $buffer->flush(50),
        );
        // The waits are 5, 10, 20 ms and so on, or down to half of that. At most four of them fit
        // into 50 ms, and on a slow machine fewer.
        self::assertLessThanOrEqual(4, $buffer->getMetrics()['retries']);
        self::assertCount(1, $buffer);
        MemorySink::reset();
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => 1]], self::rowsOf('orders'));
    }

    public function testIsFineAfterClose(): void
    {
        foreach ([$this->buffer(), $this->buffer(background: true), $this->syncBuffer()] as $buffer) {
            $buffer->add(['id' => 1]);
            $buffer->close();
            self::assertSame(0, $buffer->flush());
            self::assertSame(0, $buffer->flush(0));
            self::assertThrows(
                ClosedException::class,
                'the buffer is closed: create a new one, or add before close()',
                static fn () => $buffer->add(['id' => 2]),
            );
            self::assertSame([['id' => 1]], self::rowsOf('orders'));
            MemorySink::reset();
        }
    }

    public function testChecksItsArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach (
                [
                    [ValueError::class, 'Argument #1 ($timeoutMs) must be 0 or more', [-1]],
                    [ValueError::class, 'Argument #1 ($timeoutMs) must be 0 or more', [PHP_INT_MIN]],
                    [TypeError::class, 'Argument #1 ($timeoutMs) must be of type ?int, string given', ['1']],
                    [TypeError::class, 'Argument #1 ($timeoutMs) must be of type ?int, float given', [1.0]],
                ] as [$type, $message, $arguments]
            ) {
                self::assertThrows($type, "{$class}::flush(): {$message}", static fn () => $buffer->flush(...$arguments));
            }
            self::assertThrows(
                ArgumentCountError::class,
                "{$class}::flush() expects at most 1 argument, 2 given",
                static fn () => $buffer->flush(...[1, 2]),
            );
        }
    }
}
