<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Fiber;
use Illuminate\Database\Connection;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\TooLargeException;

/** The contract: what group() makes one. */
final class GroupTest extends ContractTestCase
{
    private static function add(Buffer $buffer, int ...$ids): void
    {
        foreach ($ids as $id) {
            $buffer->add(['id' => $id, 'user_id' => 7]);
        }
    }

    /** @return list<string> */
    private function ids(Buffer $buffer): array
    {
        $buffer->flush();
        self::assertCounted($buffer);

        return array_column($this->tableOf('orders', ['id']), 'id');
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAGroupIsWrittenAsAWholeOrNotAtAll(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->put('trades', ['id' => 3]);
        $buffer->flush();
        $thrown = $this->refusedBy($buffer, array_map(
            static fn (int $id): callable => static fn () => $buffer->group(static function () use ($buffer, $id): void {
                self::add($buffer, $id);
                $buffer->put('quotes', ['symbol' => "S{$id}", 'version' => 1]);
                $buffer->put('trades', ['id' => $id]);
                self::add($buffer, 10 + $id);
            }),
            [1, 2, 3, 4],
        ));

        self::assertSame(['1', '2', '4', '11', '12', '14'], self::sorted($this->ids($buffer)));
        self::assertSame(['S1', 'S2', 'S4'], array_column($this->tableOf('quotes', ['symbol']), 'symbol'));
        if ($this->isSync()) {
            return;
        }
        self::assertSame([
            ['table' => 'orders', 'row' => ['id' => 3, 'user_id' => 7]],
            ['table' => 'quotes', 'row' => ['symbol' => 'S3', 'version' => 1]],
            ['table' => 'trades', 'row' => ['id' => 3]],
            ['table' => 'orders', 'row' => ['id' => 13, 'user_id' => 7]],
        ], $thrown->getFailures()[0]['rows']);
        self::assertCount(1, $buffer->takeFailures());
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testItReturnsWhatTheCallableReturns(string $driver): void
    {
        $buffer = $this->of($driver);
        self::assertSame(5, $buffer->group(static fn (): int => 5));
        self::assertNull($buffer->group(static function (): void {
        }));
        self::assertSame($buffer, $buffer->group(static fn (): Buffer => $buffer));
        self::assertSame(
            'inner',
            $buffer->group(static fn (): string => $buffer->group(static fn (): string => 'inner')),
        );
        self::assertSame([], $this->ids($buffer));
        self::assertThrown(TypeError::class, static fn () => $buffer->group('no function of this name'));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAnExceptionDropsTheGroupAndPassesOn(string $driver): void
    {
        $buffer = $this->of($driver);
        self::add($buffer, 1);
        $thrown = new RuntimeException('on purpose');
        try {
            $buffer->group(static function () use ($buffer, $thrown): void {
                self::add($buffer, 2);
                $buffer->delete('orders', 1);
                throw $thrown;
            });
            self::fail('nothing was thrown');
        } catch (RuntimeException $e) {
            self::assertSame($thrown, $e);
        }
        self::assertSame(1, $buffer->getMetrics()['rows_added']);
        self::add($buffer, 3);
        self::assertSame(['1', '3'], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAnInnerGroupJoinsTheOuterOne(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->group(static function () use ($buffer): void {
            self::add($buffer, 1);
            $buffer->group(static fn () => self::add($buffer, 2));
            try {
                $buffer->group(static function () use ($buffer): void {
                    self::add($buffer, 3);
                    $buffer->group(static fn () => self::add($buffer, 4));
                    throw new RuntimeException('caught');
                });
            } catch (RuntimeException) {
                // It has taken back its own rows, and no others.
            }
            try {
                self::add($buffer, 5);
                $buffer->add(['id' => []]);
            } catch (TypeError) {
                // A row that is none is not in the group.
            }
            self::assertSame(0, $buffer->getMetrics()['rows_added']);
        });
        self::assertSame(3, $buffer->getMetrics()['rows_added']);
        self::assertSame(['1', '2', '5'], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAGroupBelongsToItsFiber(string $driver): void
    {
        $buffer = $this->of($driver);
        $fiber = new Fiber(static function () use ($buffer): void {
            $buffer->group(static function () use ($buffer): void {
                self::add($buffer, 1);
                Fiber::suspend();
                self::add($buffer, 2);
                throw new RuntimeException('on purpose');
            });
        });
        $other = new Fiber(static function () use ($buffer): void {
            $buffer->group(static function () use ($buffer): void {
                self::add($buffer, 3);
                Fiber::suspend();
                self::add($buffer, 4);
            });
        });
        $fiber->start();
        $other->start();
        self::add($buffer, 5);
        self::assertSame(1, $buffer->getMetrics()['rows_added'], 'what no group has');
        $buffer->group(static function () use ($buffer, $fiber): void {
            self::add($buffer, 6);
            self::assertThrown(RuntimeException::class, static fn () => $fiber->resume(), 'on purpose');
            self::add($buffer, 7);
        });
        $other->resume();
        self::assertSame(['3', '4', '5', '6', '7'], $this->ids($buffer));
        // A fiber that nobody resumes leaves nothing.
        $left = new Fiber(static fn () => $buffer->group(static function () use ($buffer): void {
            self::add($buffer, 8);
            Fiber::suspend();
        }));
        $left->start();
        unset($left);
        self::add($buffer, 9);
        self::assertSame(['3', '4', '5', '6', '7', '9'], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTheBoundsApplyToTheWholeGroup(string $driver): void
    {
        $buffer = $this->of($driver, ['max_pending_rows' => 3, 'batch_size' => 3]);
        self::assertThrown(
            TooLargeException::class,
            static fn () => $buffer->group(static fn () => self::add($buffer, 1, 2, 3, 4)),
            $this->isSync() ? 'the group is too large' : 'the group does not fit into the buffer',
        );
        self::assertCount(0, $buffer);
        $buffer->group(static fn () => self::add($buffer, 5, 6, 7));
        self::assertSame(['5', '6', '7'], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testFindSeesTheGroup(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->add(['id' => 1, 'user_id' => 7]);
        $buffer->group(function () use ($buffer): void {
            $buffer->add(['id' => 1, 'user_id' => 8, 'price' => 5]);
            $buffer->add(['id' => 2, 'user_id' => 7]);
            $expected = ['id' => 1, 'user_id' => 8, 'price' => 5];
            self::assertSame($expected, $buffer->find('orders', 1));
            $buffer->delete('orders', 2);
            self::assertFalse($buffer->find('orders', 2));
            $buffer->delete('orders', 1);
            self::assertFalse($buffer->find('orders', 1));
        });
        self::assertSame([], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAFlushWithinLeavesTheGroupAlone(string $driver): void
    {
        $buffer = $this->of($driver);
        self::add($buffer, 1);
        $buffer->group(function () use ($buffer): void {
            self::add($buffer, 2);
            self::assertSame(['1'], $this->ids($buffer));
            self::add($buffer, 3);
        });
        self::assertSame(['1', '2', '3'], $this->ids($buffer));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAClosedBufferTakesNoGroup(string $driver): void
    {
        $buffer = $this->of($driver);
        self::assertThrown(ClosedException::class, static fn () => $buffer->group(static function () use ($buffer): void {
            self::add($buffer, 1);
            $buffer->close();
        }));
        self::assertThrown(ClosedException::class, static fn () => $buffer->group(static fn () => self::fail('it ran')));
        self::assertSame([], $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAGroupFollowsTransactions(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($driver === 'memory') {
            self::assertCount(0, $buffer, 'it has no connection whose transactions it could follow');

            return;
        }
        $database = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $buffer->put('trades', ['id' => 3]);
        $buffer->flush();
        $savepoint = static function (Connection $database, callable $rows): void {
            try {
                $database->transaction(static function () use ($rows): void {
                    $rows();
                    throw new RuntimeException('to the savepoint');
                });
            } catch (RuntimeException) {
                // Rolled back.
            }
        };
        $transaction = fn () => $database->transaction(function () use ($buffer, $database, $savepoint): void {
            $buffer->group(function () use ($buffer, $database, $savepoint): void {
                self::add($buffer, 1);
                $savepoint($database, static fn () => self::add($buffer, 2));
                $database->transaction(static fn () => self::add($buffer, 3));
                try {
                    $buffer->group(static function () use ($buffer): void {
                        self::add($buffer, 4);
                        throw new RuntimeException('caught');
                    });
                } catch (RuntimeException) {
                    // Its rows are gone.
                }
                self::assertNull($buffer->find('orders', 2));
                self::assertNull($buffer->find('orders', 4));
                self::assertIsArray($buffer->find('orders', 3));
                // It is refused, and the group with it.
                $buffer->put('trades', ['id' => 3]);
            });
            self::add($buffer, 5);
            self::assertThrown(RuntimeException::class, static fn () => $buffer->group(static function () use ($buffer): void {
                self::add($buffer, 6);
                throw new RuntimeException('on purpose');
            }));
        });
        // A sync buffer throws where the transaction is committed.
        $thrown = $this->refusedBy($buffer, [$transaction]);
        if (!$this->isSync()) {
            self::assertCount(3, $thrown->getFailures()[0]['rows']);
            $buffer->takeFailures();
        }
        // A transaction within a group.
        $buffer->group(static function () use ($buffer, $database, $savepoint): void {
            self::add($buffer, 7);
            $savepoint($database, static fn () => self::add($buffer, 8));
            $database->transaction(static fn () => self::add($buffer, 9));
        });
        // One that ends before its group.
        $database->beginTransaction();
        $buffer->group(static function () use ($buffer, $database): void {
            self::add($buffer, 10);
            $database->commit();
            self::add($buffer, 11);
        });
        $this->refusedBy($buffer, [static function () use ($buffer, $database): void {
            $database->beginTransaction();
            $buffer->group(static function () use ($buffer, $database): void {
                self::add($buffer, 12);
                $database->commit();
                // It is refused, and the whole group with it.
                $buffer->put('trades', ['id' => 3]);
            });
        }]);
        $buffer->takeFailures();
        self::assertSame(['5', '7', '9', '10', '11'], self::sorted($this->ids($buffer)));
    }

    /**
     * @param list<string> $ids
     *
     * @return list<string>
     */
    private static function sorted(array $ids): array
    {
        sort($ids, SORT_NUMERIC);

        return $ids;
    }
}
