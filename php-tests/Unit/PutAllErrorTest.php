<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\StoredModel;

/** What `putAll()` does not take, and what ends it. */
final class PutAllErrorTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test): Buffer => $test->buffer(background: true)];
        yield 'foreground' => [static fn (self $test): Buffer => $test->buffer()];
        yield 'sync' => [static fn (self $test): Buffer => $test->syncBuffer()];
    }

    /** @return \Generator<int, array{id: int}> */
    public static function rows(int $first, int $last): \Generator
    {
        for ($id = $first; $id <= $last; $id++) {
            yield ['id' => $id];
        }
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testABadRowCostsOneRow(\Closure $make): void
    {
        $buffer = $make($this);
        $rows = [
            ['id' => 1],
            ['id' => 2, 'v' => []],
            'no row',
            null,
            ['id' => 5, 'v' => INF],
            [['id' => 6]],
            ['v' => 'without a key'],
            ['id' => 8],
            [],
            ['id' => 10],
        ];
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        $give = 'give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable';
        $reasons = $thrown->getReasons();
        self::assertSame([3, 7], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
        self::assertSame([2, 3, 4, 5, 6, 7, 9], array_keys($reasons));
        self::assertSame("table t, column v: array is no value, json_encode() it for a JSON column; {$give}", $reasons[2]);
        self::assertSame('an element is string, which is neither an array nor an object', $reasons[3]);
        self::assertSame("table t, column v: INF is no finite number; {$give}", $reasons[5]);
        self::assertStringStartsWith('table t: ', $reasons[7]);
        self::assertSame(
            "putAll() took 3 rows; 10 rows were read; 7 rows skipped, the first was row 2: {$reasons[2]}",
            $thrown->getMessage(),
        );
        self::assertSame([0, null], [$thrown->getCode(), $thrown->getPrevious()]);
        $buffer->flush();
        self::assertSame([1, 8, 10], array_column(self::rowsOf('t'), 'id'));
    }

    public function testKeepsTheFirstHundredReasons(): void
    {
        $rows = (static function (): \Generator {
            for ($row = 1; $row <= 1_000; $row++) {
                yield str_repeat('x', 100);
            }
            yield ['id' => 1, str_repeat('c', 60_000) => []];
        })();
        $thrown = self::thrownBy(fn () => $this->buffer()->putAll('t', $rows));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertSame([0, 1_001], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
        self::assertSame(range(1, 100), array_keys($thrown->getReasons()));
    }

    public function testRowsThatCanNeverFitAreSkipped(): void
    {
        $buffer = $this->buffer(maxPendingBytes: 4_096);
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', [
            ['id' => 1], ['id' => 2, 'v' => str_repeat('x', 5_000)], ['id' => 3],
        ]));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertSame([2, 1], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
        self::assertStringContainsString('does not fit', $thrown->getReasons()[2]);
    }

    /** What the server refuses is a failure, and does not end the call. */
    public function testInTheForegroundWhatTheServerRefusesIsToldAtTheEnd(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        $rows = static function (): \Generator {
            foreach (range(1, 9) as $id) {
                if ($id % 4 === 2) {
                    MemorySink::failNext(1264, 3);
                }
                yield ['id' => $id];
            }
        };
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows()));
        self::assertInstanceOf(RefusedException::class, $thrown);
        self::assertStringContainsString('more flushes gave rows up', $thrown->getMessage());
        self::assertNotSame([], $thrown->getFailures());
        self::assertSame(9, $buffer->getMetrics()['rows_added']);
        MemorySink::reset();
        $refused = array_column(array_column($buffer->takeFailures(), 'rows'), 0);
        $refused = array_map(static fn (array $row): int => $row['row']['id'], $refused);
        self::assertNotSame([], $refused);
        self::assertSame(count($refused), $buffer->getMetrics()['rows_refused']);
    }

    public function testASynchronousBufferSkipsWhatTheServerRefuses(): void
    {
        $buffer = $this->syncBuffer();
        $rows = static function (): \Generator {
            yield ['id' => 1];
            MemorySink::failNext(1264);
            yield ['id' => 2];
            yield ['id' => 3];
        };
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows()));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertSame([2, 1], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
        self::assertSame([2 => 'simulated error, asked for by MemorySink::failNext()'], $thrown->getReasons());
        self::assertSame([1, 3], array_column(self::rowsOf('t'), 'id'));
    }

    public function testAnErrorThatIsNoRowsOwnEndsIt(): void
    {
        foreach (
            [[true, 2006, ConnectionException::class], [false, 2006, ConnectionException::class],
            [true, 1146, BlockedException::class], [false, 1146, BlockedException::class]] as [$sync, $code, $class]
        ) {
            $buffer = $sync ? $this->syncBuffer() : $this->buffer(batchSize: 2);
            $asked = 0;
            $rows = static function () use (&$asked, $code): \Generator {
                foreach (range(1, 6) as $id) {
                    if ($id === 4) {
                        MemorySink::failNext($code, 1_000);
                    }
                    $asked = $id;
                    yield ['id' => $id];
                }
            };
            $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows()));
            self::assertInstanceOf(IncompleteException::class, $thrown);
            self::assertInstanceOf($class, $thrown->getPrevious());
            self::assertSame([$sync ? 3 : 4, 0, $code, 4], [
                $thrown->getTakenRows(), $thrown->getSkippedRows(), $thrown->getCode(), $asked,
            ]);
            self::assertSame($sync ? 3 : 4, $thrown->getProcessedRows());
            self::assertStringStartsWith('putAll() took ' . ($sync ? 3 : 4) . ' rows; row 4 ended it: ', $thrown->getMessage());
            self::assertCount($sync ? 0 : 2, $buffer);
            MemorySink::reset();
        }
    }

    public function testAnErrorAtTheFirstRowIsAsThatOfPut(): void
    {
        $buffer = $this->syncBuffer();
        MemorySink::failNext(2006, 1_000);
        self::assertInstanceOf(
            ConnectionException::class,
            self::thrownBy(static fn () => $buffer->putAll('t', self::rows(1, 3))),
        );
        MemorySink::reset();
        $full = $this->buffer(background: true, maxPendingRows: 1, batchSize: 1, overflowTimeoutMs: 1);
        MemorySink::failNext(1213, 100_000);
        $full->put('t', ['id' => 1]);
        self::assertInstanceOf(FullException::class, self::thrownBy(static fn () => $full->putAll('t', [['id' => 2]])));
        MemorySink::reset();
        $full->flush();
        self::assertSame([1], array_column(self::rowsOf('t'), 'id'));
    }

    public function testChecksItsArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach (
                [
                    [\ArgumentCountError::class, "{$class}::putAll() expects at least 2 arguments, 1 given", ['t']],
                    [\TypeError::class, "{$class}::putAll(): Argument #1 (\$table) must be of type string, array given", [[], []]],
                    [
                        \TypeError::class,
                        "{$class}::putAll(): Argument #2 (\$rows) must be of type Traversable|array, stdClass given",
                        ['t', new \stdClass()],
                    ],
                    [
                        \TypeError::class,
                        "{$class}::putAll(): Argument #3 (\$progress) must be a valid callback or null, function \"none\" not found"
                            . ' or invalid function name',
                        ['t', [], 'none'],
                    ],
                    [
                        ConfigException::class,
                        '"" is no table name: give `table` or `database.table`, up to 64 characters each; put a name that has a dot'
                            . ' in backticks',
                        ['', [['id' => 1]]],
                    ],
                ] as [$expected, $message, $arguments]
            ) {
                self::assertThrows($expected, $message, static fn () => $buffer->putAll(...$arguments));
            }
        }
        self::assertSame([], MemorySink::tables());
    }

    /**
     * Whoever goes on behind the rows that are done takes each of the others, and none again.
     *
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testSaysBehindWhichRowsToGoOn(\Closure $make): void
    {
        $buffer = $make($this);
        $unchanged = new StoredModel(['id' => 9], []);
        $rows = [$unchanged, ['id' => 1], 'no row', $unchanged, ['id' => 2], ['id' => 3], $unchanged, ['id' => 4]];
        $broken = ['id' => new class () {
            public function __toString(): string
            {
                throw new \DomainException('not now');
            }
        }];
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', array_replace($rows, [5 => $broken])));
        self::assertInstanceOf(\DomainException::class, $thrown);
        $incomplete = $thrown->getPrevious();
        self::assertInstanceOf(IncompleteException::class, $incomplete);
        self::assertSame([5, 2, 1], [
            $incomplete->getProcessedRows(), $incomplete->getTakenRows(), $incomplete->getSkippedRows(),
        ]);
        self::assertSame(2, $buffer->putAll('t', array_slice($rows, $incomplete->getProcessedRows())));
        $buffer->flush();
        self::assertSame([1, 2, 3, 4], array_column(self::rowsOf('t'), 'id'));
        $whole = self::thrownBy(static fn () => $buffer->putAll('t', ['no row', ...$rows]));
        self::assertInstanceOf(IncompleteException::class, $whole);
        self::assertSame(9, $whole->getProcessedRows());
    }

    public function testAnIncompleteExceptionCanBeMadeByHand(): void
    {
        $previous = new \RuntimeException('before');
        $made = new IncompleteException('by hand', 7, $previous, 3, 2, [5 => 'no'], 1, 6);
        self::assertSame(
            ['by hand', 7, $previous, 3, 2, [5 => 'no'], 1, 6],
            [
                $made->getMessage(), $made->getCode(), $made->getPrevious(),
                $made->getTakenRows(), $made->getSkippedRows(), $made->getReasons(), $made->getTakenGroups(),
                $made->getProcessedRows(),
            ],
        );
        $made = new IncompleteException(skippedRows: 1);
        self::assertSame([0, 1, []], [$made->getTakenRows(), $made->getSkippedRows(), $made->getReasons()]);
    }
}
