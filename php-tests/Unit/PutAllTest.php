<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\Arrayable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\StoredModel;
use WriteBuffer\TooLargeException;

/** `putAll()`: rows one by one, each a group of its own. */
final class PutAllTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test): Buffer => $test->buffer(background: true)];
        yield 'foreground' => [static fn (self $test): Buffer => $test->buffer()];
        yield 'sync' => [static fn (self $test): Buffer => $test->syncBuffer()];
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testTakesRowsOfEveryIterable(\Closure $make): void
    {
        $buffer = $make($this);
        $rows = [
            'any' => ['id' => 1, 'v' => 'a'],
            7 => (object) ['id' => 2, 'v' => 'b'],
            'key' => new Arrayable(['id' => 3, 'v' => 'c']),
        ];
        $iterables = [
            'array' => $rows,
            'iterator' => new \ArrayIterator($rows),
            'aggregate' => new \ArrayObject($rows),
            'generator' => (static fn (): \Generator => yield from $rows)(),
            'generator of references' => (static function &() use ($rows): \Generator {
                foreach ($rows as $key => &$row) {
                    yield $key => $row;
                }
            })(),
        ];
        foreach ($iterables as $name => $iterable) {
            self::assertSame(3, $buffer->putAll('t', $iterable), $name);
            $buffer->flush();
            self::assertSame(
                [['id' => 1, 'v' => 'a'], ['id' => 2, 'v' => 'b'], ['id' => 3, 'v' => 'c']],
                self::rowsOf('t'),
                $name,
            );
            MemorySink::reset();
        }
        self::assertSame(0, $buffer->putAll('t', []));
        self::assertSame(0, $buffer->putAll('t', new \EmptyIterator()));
    }

    public function testEachRowIsAGroupOfItsOwn(): void
    {
        $buffer = $this->buffer();
        $buffer->putAll('t', [['id' => 1], ['id' => 2]]);
        MemorySink::failNext(1264, 2);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(RefusedException::class, $thrown);
        self::assertSame([[['table' => 't', 'row' => ['id' => 1]]]], array_column($thrown->getFailures(), 'rows'));
        self::assertSame([['id' => 2]], self::rowsOf('t'));
    }

    /** A row is taken before the next one is asked for. */
    public function testReadsLazily(): void
    {
        $buffer = $this->buffer(batchSize: 1_000);
        $seen = [];
        $rows = static function () use ($buffer, &$seen): \Generator {
            for ($id = 1; $id <= 5; $id++) {
                yield ['id' => $id];
                $seen[] = count($buffer);
            }
        };
        self::assertSame(5, $buffer->putAll('t', $rows()));
        self::assertSame([1, 2, 3, 4, 5], $seen);
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testCallsProgressAfterEachThousandRowsAndAtTheEnd(\Closure $make): void
    {
        $buffer = $make($this);
        $rows = static function (int $count): \Generator {
            for ($id = 1; $id <= $count; $id++) {
                yield ['id' => $id];
            }
        };
        foreach ([0 => [], 1 => [1], 999 => [999], 1_000 => [1_000], 2_001 => [1_000, 2_000, 2_001]] as $count => $calls) {
            $called = [];
            $taken = $buffer->putAll('t', $rows($count), static function (int $taken) use (&$called): void {
                $called[] = $taken;
            });
            self::assertSame([$count, $calls], [$taken, $called]);
        }
    }

    public function testProgressMayBeAnyCallable(): void
    {
        $buffer = $this->buffer();
        $target = new class () {
            /** @var list<int> */
            public array $seen = [];

            /** @param list<mixed> $arguments */
            public function __call(string $name, array $arguments): void
            {
                $this->seen[] = $arguments[0];
            }

            public function run(\WriteBuffer $buffer): void
            {
                $buffer->putAll('t', PutAllTest::rows(1, 2_000), [$this, 'private']);
            }

            private function private(int $taken): void
            {
                $this->seen[] = -$taken;
            }
        };
        $buffer->putAll('t', self::rows(1, 3_000), [$target, 'magic']);
        self::assertSame([1_000, 2_000, 3_000], $target->seen);
        $target->run($buffer);
        self::assertSame([1_000, 2_000, 3_000, -1_000, -2_000], $target->seen);
        $buffer->putAll('t', self::rows(1, 1), 'abs');
        self::assertSame(1, $buffer->putAll('t', self::rows(1, 1), null));
    }

    /** @return \Generator<int, array{id: int}> */
    public static function rows(int $first, int $last): \Generator
    {
        for ($id = $first; $id <= $last; $id++) {
            yield ['id' => $id];
        }
    }

    public function testRunsInFlatMemory(): void
    {
        $buffer = $this->buffer(background: true);
        $before = memory_get_usage();
        $most = 0;
        $taken = $buffer->putAll('t', self::rows(1, 200_000), static function () use (&$most): void {
            $most = max($most, memory_get_usage());
        });
        self::assertSame(200_000, $taken);
        self::assertLessThan(64 << 10, $most - $before);
        $buffer->flush();
        self::assertCount(200_000, self::rowsOf('t'));
    }

    /** It waits for room, also where add() would not, and gives up when there is none for long. */
    public function testWaitsForRoom(): void
    {
        foreach (['block', 'throw'] as $overflow) {
            $buffer = $this->buffer(background: true, maxPendingRows: 3, batchSize: 1, overflow: $overflow);
            self::assertSame(1_000, $buffer->putAll('t', self::rows(1, 1_000)));
            $buffer->flush();
            self::assertCount(1_000, self::rowsOf('t'));
            MemorySink::reset();

            $buffer = $this->buffer(
                background: true,
                maxPendingRows: 3,
                batchSize: 1,
                overflow: $overflow,
                overflowTimeoutMs: 50,
            );
            MemorySink::failNext(1213, 1_000_000);
            $thrown = self::thrownBy(static fn () => $buffer->putAll('t', self::rows(1, 1_000)));
            MemorySink::reset();
            self::assertInstanceOf(IncompleteException::class, $thrown);
            self::assertInstanceOf(FullException::class, $thrown->getPrevious());
            self::assertSame(3, $thrown->getTakenRows());
            $buffer->flush();
            self::assertSame([1, 2, 3], array_column(self::rowsOf('t'), 'id'));
            MemorySink::reset();
        }
    }

    public function testJoinsTheGroupThatIsOpen(): void
    {
        $buffer = $this->buffer(maxPendingRows: 100);
        $buffer->group(static function () use ($buffer): void {
            self::assertSame(50, $buffer->putAll('t', self::rows(1, 50)));
            self::assertCount(0, $buffer);
            $thrown = self::thrownBy(static fn () => $buffer->putAll('t', self::rows(51, 200)));
            self::assertInstanceOf(IncompleteException::class, $thrown);
            self::assertInstanceOf(TooLargeException::class, $thrown->getPrevious());
            self::assertSame([50, 0], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
        });
        $buffer->flush();
        self::assertSame(range(1, 100), array_column(self::rowsOf('t'), 'id'));
        self::assertSame(1, $buffer->getMetrics()['transactions']);
        self::thrownBy(static fn () => $buffer->group(static function () use ($buffer): void {
            $buffer->putAll('t', [['id' => 101], 'no row']);
        }));
        self::assertCount(0, $buffer, 'a row was skipped, nobody caught that, so the group was dropped');
    }

    public function testUnchangedModelsAreNoRows(): void
    {
        $stored = new StoredModel(['id' => 1, 'v' => 'a'], []);
        self::assertSame(1, $this->buffer()->putAll('t', [$stored, ['id' => 2]]));
    }
}
