<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\FlushException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** All that is added within group() is one group: written whole, or not at all. */
final class GroupTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
        yield 'lanes' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true, lanes: 4)];
        yield 'sync' => [static fn (self $test, mixed ...$more) => $test->syncBuffer(...$more)];
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAllThatIsAddedIsOneGroup(\Closure $make): void
    {
        $buffer = $make($this);
        $deeper = static fn (int $id) => $buffer->put('log', ['id' => $id]);
        $gather = static function (int $trade) use ($buffer, $deeper): void {
            $buffer->add(['id' => $trade, 'v' => 1]);
            $deeper($trade);
            $buffer->add(null, ['id' => $trade]);
            $buffer->add(['id' => $trade, 'v' => 2]);
        };
        $buffer->group(static fn () => $gather(1));
        $buffer->flush();
        $first = ['orders' => [['id' => 1, 'v' => 2]], 'trades' => [['id' => 1]], 'log' => [['id' => 1]]];
        self::assertEqualsCanonicalizing($first, MemorySink::tables());

        // Its trade is a duplicate, so none of its rows may be written.
        $refused = self::thrownBy(static function () use ($buffer, $gather): void {
            $buffer->group(static function () use ($buffer, $gather): void {
                $gather(7);
                $buffer->put('trades', ['id' => 1]);
                $buffer->put('log', ['id' => 8]);
            });
            $buffer->flush();
        });
        self::assertInstanceOf(FlushException::class, $refused);
        self::assertEqualsCanonicalizing($first, MemorySink::tables());
        $rows = array_merge(...array_column($refused->getFailures(), 'rows'));
        self::assertSame(
            ['orders', 'log', 'trades', 'orders', 'trades', 'log'],
            array_column($rows, 'table'),
            'one failure, in the order in which its rows were added',
        );
        self::assertCount(1, $refused->getFailures());
        $buffer->takeFailures();
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testReturnsWhatTheCallableReturns(\Closure $make): void
    {
        $buffer = $make($this);
        $object = new \stdClass();
        foreach ([null, 5, 0.5, 'text', [1, [2]], $object, str_repeat('x', 100)] as $value) {
            self::assertSame($value, $buffer->group(static fn () => $value));
        }
        self::assertNull($buffer->group(static function (): void {
        }));
        $held = ['a'];
        $byReference = static function &() use (&$held): array {
            return $held;
        };
        $returned = $buffer->group($byReference);
        $returned[] = 'b';
        self::assertSame(['a'], $held, 'a copy');
        self::assertSame([], MemorySink::tables());
        self::assertCount(0, $buffer);
    }

    public function testTakesEveryCallable(): void
    {
        $buffer = $this->buffer();
        $adder = new class ($buffer) {
            private static ?Buffer $last = null;

            public function __construct(private Buffer $buffer)
            {
                self::$last = $buffer;
            }

            public function one(): string
            {
                $this->buffer->put('t', ['id' => 'one']);

                return 'one';
            }

            public static function two(): string
            {
                self::$last?->put('t', ['id' => 'two']);

                return 'two';
            }

            public function __invoke(): string
            {
                $this->buffer->put('t', ['id' => 'three']);

                return 'three';
            }

            /** @param array<mixed> $arguments */
            public function __call(string $name, array $arguments): string
            {
                $this->buffer->put('t', ['id' => $name]);

                return $name;
            }

            /** @param array<mixed> $arguments */
            public static function __callStatic(string $name, array $arguments): string
            {
                self::$last?->put('t', ['id' => $name]);

                return $name;
            }
        };
        $callables = [
            'one' => [$adder, 'one'],
            'two' => [$adder::class, 'two'],
            'three' => $adder,
            'four' => [$adder, 'four'],
            'five' => [$adder::class, 'five'],
            'six' => $adder->six(...),
        ];
        foreach ($callables as $name => $callable) {
            self::assertSame($name, $buffer->group($callable));
        }
        self::assertSame(getmypid(), $buffer->group('getmypid'));
        $buffer->flush();
        self::assertEqualsCanonicalizing(array_keys($callables), array_column(self::rowsOf('t'), 'id'));
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAnExceptionDropsTheGroupAndPassesOn(\Closure $make): void
    {
        $buffer = $make($this);
        $exception = new DomainException('of the user', 42);
        $thrown = self::thrownBy(static fn () => $buffer->group(static function () use ($buffer, $exception): void {
            $buffer->add(['id' => 1], ['id' => 1]);
            throw $exception;
        }));
        self::assertSame($exception, $thrown);
        self::assertNull($thrown->getPrevious());
        self::assertCount(0, $buffer);
        self::assertNull($buffer->find('orders', 1));
        $buffer->put('t', ['id' => 2]);
        $buffer->flush();
        self::assertSame(['t' => [['id' => 2]]], MemorySink::tables());
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAnInnerGroupJoinsTheOuterOne(\Closure $make): void
    {
        $buffer = $make($this);
        $add = static fn (int $id) => $buffer->put('t', ['id' => $id]);
        $thrown = self::thrownBy(static fn () => $buffer->group(static function () use ($buffer, $add): void {
            $add(1);
            $buffer->group(static fn () => $add(2));
            throw new DomainException('of the outer one');
        }));
        self::assertInstanceOf(DomainException::class, $thrown);
        $returned = $buffer->group(static function () use ($buffer, $add): string {
            $add(3);
            $inner = self::thrownBy(static fn () => $buffer->group(static function () use ($buffer, $add): void {
                $add(4);
                $buffer->group(static fn () => $add(5));
                throw new DomainException('of the inner one');
            }));
            self::assertSame('of the inner one', $inner?->getMessage());
            self::assertNull($buffer->find('t', 4));
            self::assertNull($buffer->find('t', 5));
            $add(6);

            return $buffer->group(static function () use ($add): string {
                $add(7);

                return 'of the last one';
            });
        });
        self::assertSame('of the last one', $returned);
        $buffer->flush();
        self::assertSame([3, 6, 7], array_column(self::rowsOf('t'), 'id'));
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testFindSeesTheGroupOverWhatWaits(\Closure $make): void
    {
        $buffer = $make($this, tables: ['t' => ['merge' => ['n' => 'sum', 'first' => 'keep'], 'guard' => 'version']]);
        $isSync = $buffer instanceof \SyncWriteBuffer;
        if (!$isSync) {
            $buffer->put('t', ['id' => 1, 'n' => '0.1', 'first' => 'a', 'version' => 2]);
        }
        $buffer->group(static function () use ($buffer, $isSync): void {
            self::assertSame($isSync ? null : '0.1', $buffer->find('t', 1)['n'] ?? null);
            $buffer->put('t', ['id' => 1, 'n' => '0.2', 'first' => 'b', 'version' => 3, 'more' => 'x']);
            $buffer->put('t', ['id' => 1, 'n' => '5', 'version' => 1]);
            $buffer->put('t', ['id' => 2, 'n' => '7', 'version' => 1]);
            $expected = ['id' => 1, 'n' => '0.3', 'first' => 'a', 'version' => 3, 'more' => 'x'];
            $alone = ['id' => 1, 'n' => '0.2', 'first' => 'b', 'version' => 3, 'more' => 'x'];
            self::assertEquals($isSync ? $alone : $expected, $buffer->find('t', 1));
            self::assertEquals(['id' => 2, 'n' => '7', 'version' => 1], $buffer->find('t', '2'));
            self::assertNull($buffer->find('t', 3));
            self::assertNull($buffer->find('u', 1));
            self::assertInstanceOf(\TypeError::class, self::thrownBy(static fn () => $buffer->find('t', [1, 2])));
        });
        $buffer->flush();
        self::assertNull($buffer->find('t', 1));
        self::assertSame([1, 2], array_column(self::rowsOf('t'), 'id'));
    }

    public function testFindIsRightAmongManyRows(): void
    {
        mt_srand(1);
        $buffer = $this->buffer(tables: ['t' => ['key' => ['a', 'b']]]);
        $expected = [];
        $act = static function () use ($buffer, &$expected): void {
            [$a, $b, $v] = [mt_rand(1, 20), 'k' . mt_rand(1, 20), mt_rand()];
            // Text is a key like a number, and what comes first makes no difference.
            $row = mt_rand(0, 1) === 0 ? ['a' => $a, 'b' => $b, 'v' => $v] : ['v' => $v, 'b' => $b, 'a' => "{$a}"];
            $buffer->put('t', $row);
            $buffer->put('u', ['id' => $a, 'v' => $b]);
            $expected["{$a} {$b}"] = $v;
            [$a, $b] = [mt_rand(1, 20), 'k' . mt_rand(1, 20)];
            self::assertSame($expected["{$a} {$b}"] ?? null, $buffer->find('t', ['b' => $b, 'a' => $a])['v'] ?? null);
        };
        $buffer->group(static function () use ($buffer, $act, &$expected): void {
            for ($round = 0; $round < 30; $round++) {
                $before = $expected;
                $thrown = self::thrownBy(static fn () => $buffer->group(static function () use ($act, $round): void {
                    for ($times = 0; $times < 30; $times++) {
                        $act();
                    }
                    if ($round % 3 === 0) {
                        throw new DomainException();
                    }
                }));
                self::assertSame($round % 3 === 0, $thrown !== null);
                $expected = $thrown === null ? $expected : $before;
            }
        });
        $buffer->flush();
        self::assertCount(count($expected), self::rowsOf('t'));
    }

    public function testTheRowsAreNotTakenBeforeTheEnd(): void
    {
        foreach ([true, false] as $background) {
            $buffer = $this->buffer(background: $background, batchSize: 2);
            $buffer->put('t', ['id' => 1]);
            $buffer->group(static function () use ($buffer): void {
                for ($id = 2; $id < 10; $id++) {
                    $buffer->put('t', ['id' => $id]);
                }
                self::assertCount(1, $buffer);
                self::assertSame(1, $buffer->getMetrics()['rows_added']);
                self::assertFalse($buffer->isFull());
                self::assertSame(1, $buffer->flush(), 'what was taken before');
                self::assertSame([1], array_column(self::rowsOf('t'), 'id'));
            });
            $buffer->flush();
            self::assertSame(range(1, 9), array_column(self::rowsOf('t'), 'id'));
            self::assertSame(9, $buffer->getMetrics()['rows_added']);
            MemorySink::reset();
        }
    }

    public function testRetryPutsFailuresBackAsGroupsOfTheirOwn(): void
    {
        $buffer = $this->buffer();
        $failure = ['rows' => [['table' => 't', 'row' => ['id' => 1]]]];
        $thrown = self::thrownBy(static fn () => $buffer->group(static function () use ($buffer, $failure): void {
            $buffer->put('t', ['id' => 2]);
            self::assertSame(1, $buffer->retry([$failure]));
            self::assertCount(1, $buffer);
            throw new DomainException();
        }));
        self::assertInstanceOf(DomainException::class, $thrown);
        $buffer->flush();
        self::assertSame([['id' => 1]], self::rowsOf('t'));
    }

    public function testAnotherBufferIsNotInIt(): void
    {
        [$one, $other] = [$this->buffer(dsn: 'memory:one'), $this->buffer(dsn: 'memory:other')];
        $thrown = self::thrownBy(static fn () => $one->group(static fn () => $other->group(
            static function () use ($one, $other): void {
                $one->put('t', ['id' => 1]);
                $other->put('t', ['id' => 2]);
                throw new DomainException();
            },
        )));
        self::assertInstanceOf(DomainException::class, $thrown);
        $one->group(static function () use ($one, $other): void {
            $one->put('t', ['id' => 3]);
            $other->put('t', ['id' => 4]);
            self::assertCount(0, $one);
            self::assertCount(1, $other);
        });
        self::assertCount(1, $one);
        $one->flush();
        $other->flush();
        self::assertSame(['t' => [['id' => 3]]], MemorySink::tables('one'));
        self::assertSame(['t' => [['id' => 4]]], MemorySink::tables('other'));
        MemorySink::reset('one');
        MemorySink::reset('other');
    }

    public function testAnEmptyGroupIsNothing(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $buffer->group(static fn () => $buffer->add(null, []));
            self::assertSame(0, $buffer->getMetrics()['rows_added']);
        }
    }

    public function testManyRowsAreGatheredInOrder(): void
    {
        foreach ([['background' => true, 'lanes' => 3], ['background' => false], ['background' => true]] as $settings) {
            $buffer = $this->buffer(...$settings);
            for ($round = 1; $round <= 3; $round++) {
                $buffer->group(static function () use ($buffer, $round): void {
                    for ($id = 1; $id <= 500; $id++) {
                        $buffer->put("t{$round}", ['id' => $id % 50, "c{$id}" => $round]);
                        $buffer->put('t', ['id' => $id % 50, 'v' => "{$round} {$id}"]);
                    }
                });
            }
            $buffer->flush();
            foreach (self::rowsOf('t') as ['id' => $id, 'v' => $v]) {
                self::assertSame('3 ' . ($id === 0 ? 500 : 450 + $id), $v);
            }
            self::assertCount(50, self::rowsOf('t'));
            self::assertCount(11, self::rowsOf('t2')[7], 'the columns of ten rows');
            MemorySink::reset();
        }
    }
}
