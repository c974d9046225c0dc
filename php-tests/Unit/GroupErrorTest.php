<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\FullException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\TooLargeException;

final class GroupErrorTest extends MemoryTestCase
{
    public function testRefusesWhatCannotBeCalled(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach ([null, 5, 'no_such_function', [$buffer, 'noSuchMethod'], new \stdClass()] as $what) {
                self::assertThrowsMatching(
                    TypeError::class,
                    "/^{$class}::group\(\): Argument #1 \(\\\$rows\) must be a valid callback, /",
                    static fn () => $buffer->group($what),
                );
            }
            self::assertThrows(
                ArgumentCountError::class,
                "{$class}::group() expects at least 1 argument, 0 given",
                static fn () => $buffer->group(),
            );
            self::assertThrowsMatching(
                ArgumentCountError::class,
                '/^Too few arguments to function .*, 0 passed and exactly 1 expected$/',
                static fn () => $buffer->group(static fn (int $needed): int => $needed),
            );
        }
    }

    /** @return iterable<string, array{\Closure(self, array<string, mixed>): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, array $more = []) => $test->buffer(...$more)];
        yield 'foreground' => [static fn (self $test, array $more = []) => $test->buffer(...$more, background: false)];
        yield 'sync' => [static fn (self $test, array $more = []) => $test->syncBuffer(...$more)];
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAnAddThatIsRefusedAddsNothingAndTheRestGoesOn(\Closure $make): void
    {
        $buffer = $make($this, ['tables' => ['guarded' => ['guard' => 'version']]]);
        $buffer->group(static function () use ($buffer): void {
            $buffer->put('t', ['id' => 1]);
            self::assertInstanceOf(
                TypeError::class,
                self::thrownBy(static fn () => $buffer->put('t', [['id' => 2], ['id' => 3, 'v' => []]])),
            );
            self::assertThrows(
                ConfigException::class,
                'table guarded: guard column version is null; a row without its guard cannot be compared',
                static fn () => $buffer->put('guarded', [['id' => 1, 'version' => 1], ['id' => 1, 'version' => null]]),
            );
            $buffer->put('t', ['id' => 4]);
        });
        $buffer->flush();
        self::assertSame(['t' => [['id' => 1], ['id' => 4]]], MemorySink::tables());
    }

    public function testTheBoundsAreThoseOfTheWholeGroup(): void
    {
        foreach ([true, false] as $background) {
            $buffer = $this->buffer(background: $background, batchSize: 2, maxPendingRows: 10);
            $yielded = 0;
            $endless = static function () use (&$yielded): \Generator {
                for (;;) {
                    yield ['id' => ++$yielded];
                }
            };
            $add = static fn (int ...$ids) => $buffer->put('t', array_map(static fn (int $id) => ['id' => $id], $ids));
            $buffer->group(static function () use ($buffer, $add, $endless, &$yielded): void {
                $add(1, 2, 3, 4);
                self::assertThrowsMatching(
                    TooLargeException::class,
                    '/^the group does not fit into the buffer \(maxPendingRows is 10, .* the group has 11 rows and /',
                    static fn () => $buffer->put('t', $endless()),
                );
                self::assertLessThan(6 + 2 * 64, $yielded, 'the generator was read no further');
                $add(5, 6, 7, 8);
                self::assertThrowsMatching(
                    TooLargeException::class,
                    '/ the group has 11 rows and /',
                    static fn () => $add(11, 12, 13),
                );
                // A call within a call fills what the outer one was promised.
                self::assertThrowsMatching(
                    TooLargeException::class,
                    '/ the group has 11 rows and /',
                    static fn () => $buffer->put('t', (static function () use ($add): \Generator {
                        yield ['id' => 21];
                        $add(9, 10);
                    })()),
                );
            });
            $buffer->flush();
            self::assertSame(range(1, 10), array_column(self::rowsOf('t'), 'id'));
            MemorySink::reset();
        }
    }

    public function testLongValuesAreRefusedWhereTheGroupPassesTheBound(): void
    {
        $output = PhpProcess::run(<<<'PHP'
            $buffer = new WriteBuffer(dsn: 'memory:', background: false);
            $text = str_repeat('x', 30 << 20);
            $buffer->group(static function () use ($buffer, $text): void {
                for ($id = 1; $id <= 20; $id++) {
                    try {
                        $buffer->put('t', ['id' => $id, 'text' => $text]);
                        echo 'taken ';
                    } catch (WriteBuffer\TooLargeException) {
                        echo 'refused ';
                    }
                }
            });
            $buffer->flush();
            echo count(WriteBuffer\MemorySink::tables()['t']), "\n";
            preg_match('/VmHWM:\s+(\d+)/', file_get_contents('/proc/self/status'), $peak);
            echo intdiv((int) $peak[1], 1024);
            PHP, ['memory_limit' => '192M']);
        self::assertMatchesRegularExpression('/^taken taken (refused ){18}2\n\d+$/D', $output);
        // PHP's string, the two rows as they were gathered, as they waited, and as they are stored.
        self::assertLessThan(400, (int) substr($output, (int) strpos($output, "\n") + 1));
    }

    public function testAGroupThatFindsNoRoomAtItsEndIsNotTaken(): void
    {
        $buffer = $this->buffer(background: true, batchSize: 2, maxPendingRows: 4, overflow: 'throw');
        MemorySink::failNext(1146, 1_000);
        $buffer->put('t', [['id' => 1], ['id' => 2]]);
        self::assertThrowsMatching(
            FullException::class,
            '/^the buffer is full \(maxPendingRows is 4, .* the group has 3 rows and /',
            static fn () => $buffer->group(static function () use ($buffer): void {
                $buffer->put('t', [['id' => 3], ['id' => 4]]);
                $buffer->put('t', ['id' => 5]);
            }),
        );
        self::assertCount(2, $buffer);
        MemorySink::reset();
        $buffer->flush();
        self::assertSame([1, 2], array_column(self::rowsOf('t'), 'id'));
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testCloseWithinAGroupDropsIt(\Closure $make): void
    {
        $buffer = $make($this);
        self::assertThrowsMatching(ClosedException::class, '/closed/', static fn () => $buffer->group(
            static function () use ($buffer): void {
                $buffer->put('t', ['id' => 1]);
                $buffer->close();
                self::assertThrowsMatching(
                    ClosedException::class,
                    '/closed/',
                    static fn () => $buffer->put('t', ['id' => 2]),
                );
            },
        ));
        $called = false;
        self::assertThrowsMatching(ClosedException::class, '/closed/', static function () use ($buffer, &$called): void {
            $buffer->group(static function () use (&$called): void {
                $called = true;
            });
        });
        self::assertFalse($called);
        self::assertSame([], MemorySink::tables());
    }

    public function testARefusedGroupLeavesNoGroupOpen(): void
    {
        $buffer = $this->buffer(background: false, tables: ['t' => ['guard' => 'version']]);
        self::assertInstanceOf(ConfigException::class, self::thrownBy(static fn () => $buffer->group(
            static fn () => $buffer->put('t', ['id' => 1, 'version' => null]),
        )));
        $buffer->put('t', ['id' => 2, 'version' => 1]);
        self::assertCount(1, $buffer);
        $buffer->flush();
        self::assertSame([2], array_column(self::rowsOf('t'), 'id'));
    }

    public function testAFlushThatFailsAtTheEndSaysThatTheGroupWasTaken(): void
    {
        $buffer = $this->buffer(background: false, batchSize: 1);
        MemorySink::failNext(1146, 1);
        $thrown = self::thrownBy(static fn () => $buffer->group(static fn () => $buffer->put('t', ['id' => 1])));
        self::assertInstanceOf(\WriteBuffer\FlushException::class, $thrown);
        self::assertCount(1, $buffer);
        $buffer->flush();
        self::assertSame([['id' => 1]], self::rowsOf('t'));
    }
}
