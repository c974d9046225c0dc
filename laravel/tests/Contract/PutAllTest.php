<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use WriteBuffer\ClosedException;
use WriteBuffer\FlushException;
use WriteBuffer\IncompleteException;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Testing\BufferFake;
use WriteBuffer\TooLargeException;

/** `putAll()` with every driver: rows one by one, each a group of its own. */
final class PutAllTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsOfAGenerator(string $driver): void
    {
        $buffer = $this->of($driver, ['batch_size' => 10, 'max_pending_rows' => 20, 'overflow' => self::overflow($driver)]);
        $called = [];
        $taken = $buffer->putAll('orders', self::orders(1, 1_050), static function (int $taken) use (&$called): void {
            $called[] = $taken;
        });
        self::assertSame([1_050, [1_000, 1_050]], [$taken, $called]);
        self::assertSame(0, $buffer->putAll('orders', []));
        $buffer->flush();
        self::assertCount(1_050, $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testABadRowCostsOneRow(string $driver): void
    {
        $buffer = $this->of($driver);
        $thrown = self::incomplete(static fn () => $buffer->putAll('orders', [
            ['id' => 1, 'user_id' => 7],
            ['id' => 2, 'user_id' => []],
            'no row',
            [['id' => 4, 'user_id' => 7]],
            [],
            (object) ['id' => 6, 'user_id' => 7],
        ]));
        self::assertSame([2, 4, 6, [2, 3, 4, 5]], [
            $thrown->getTakenRows(), $thrown->getSkippedRows(), $thrown->getProcessedRows(), array_keys($thrown->getReasons()),
        ]);
        self::assertStringContainsString('array is no value', $thrown->getReasons()[2]);
        self::assertSame('an element is string, which is neither an array nor an object', $thrown->getReasons()[3]);
        self::assertStringStartsWith('putAll() took 2 rows; 6 rows were read; 4 rows skipped', $thrown->getMessage());
        $buffer->flush();
        self::assertSame([['id' => '1'], ['id' => '6']], $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatTheServerRefusesCostsOneRow(string $driver): void
    {
        if ($driver === 'memory') {
            self::assertTrue(true, 'it refuses nothing');

            return;
        }
        $buffer = $this->of($driver, ['batch_size' => 2]);
        try {
            $buffer->putAll('orders', [
                ['id' => 1, 'user_id' => 7],
                ['id' => 2, 'user_id' => null],
                ['id' => 3, 'user_id' => 7],
                ['id' => 4, 'user_id' => 7],
            ]);
            $buffer->flush();
            self::fail('nothing was said');
        } catch (IncompleteException $e) {
            self::assertTrue($this->isSync(), $e->getMessage());
            self::assertSame([3, [2]], [$e->getTakenRows(), array_keys($e->getReasons())]);
        } catch (FlushException $e) {
            self::assertFalse($this->isSync());
            $buffer->flush();
        }
        self::assertSame([['id' => '1'], ['id' => '3'], ['id' => '4']], $this->tableOf('orders', ['id']));
        self::assertCount($this->isSync() ? 0 : 1, $buffer->takeFailures());
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatUserCodeThrowsPassesOn(string $driver): void
    {
        $buffer = $this->of($driver);
        try {
            $buffer->putAll('orders', (static function (): \Generator {
                yield from self::orders(1, 2);
                yield 'no row';
                throw new DomainException('mine');
            })());
            self::fail('nothing was thrown');
        } catch (DomainException $e) {
            self::assertInstanceOf(IncompleteException::class, $e->getPrevious());
            self::assertSame([2, 1], [$e->getPrevious()->getTakenRows(), $e->getPrevious()->getSkippedRows()]);
        }
        $buffer->flush();
        self::assertSame([['id' => '1'], ['id' => '2']], $this->tableOf('orders', ['id']));
        $this->expectExceptionMessage('enough');
        $buffer->putAll('orders', self::orders(3, 3), static fn () => throw new DomainException('enough'));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsFollowTheTransactionThatIsOpen(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($driver === 'memory') {
            self::assertSame(1, $buffer->putAll('orders', self::orders(1, 1)), 'there are no transactions');

            return;
        }
        $connection = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        try {
            $connection->transaction(static function () use ($buffer): void {
                self::assertSame(2, $buffer->putAll('orders', self::orders(1, 2)));
                throw new RuntimeException('rolled back');
            });
        } catch (RuntimeException) {
            $buffer->flush();
        }
        self::assertSame([], $this->tableOf('orders', ['id']));
        $connection->transaction(static fn () => $buffer->putAll('orders', self::orders(3, 4)));
        $buffer->flush();
        self::assertSame([['id' => '3'], ['id' => '4']], $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testJoinsTheGroupThatIsOpen(string $driver): void
    {
        $buffer = $this->of($driver, ['max_pending_rows' => 3, 'batch_size' => 3]);
        try {
            $buffer->group(static function () use ($buffer): void {
                $buffer->putAll('orders', self::orders(1, 3));
                throw new DomainException('dropped');
            });
        } catch (DomainException) {
            $buffer->flush();
        }
        self::assertSame([], $this->tableOf('orders', ['id']));
        if ($this->isSync()) {
            return;
        }
        $thrown = self::incomplete(static fn () => $buffer->group(
            static fn () => $buffer->putAll('orders', self::orders(1, 10)),
        ));
        self::assertSame([3, 3], [$thrown->getTakenRows(), $thrown->getProcessedRows()]);
        self::assertInstanceOf(TooLargeException::class, $thrown->getPrevious());
        self::assertCount(0, $buffer, 'nobody caught it, so the group was dropped');
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAClosedBufferEndsIt(string $driver): void
    {
        $buffer = $this->of($driver);
        $thrown = self::incomplete(static fn () => $buffer->putAll('orders', (static function () use ($buffer): \Generator {
            yield from self::orders(1, 1);
            $buffer->close();
            yield from self::orders(2, 2);
        })()));
        self::assertInstanceOf(ClosedException::class, $thrown->getPrevious());
        self::assertSame(1, $thrown->getTakenRows());
        self::assertThrown(ClosedException::class, static fn () => $buffer->putAll('orders', self::orders(3, 3)));
        self::assertSame([['id' => '1']], $this->tableOf('orders', ['id']));
    }

    public function testTheFakeAndTheNullDriver(): void
    {
        foreach ([new BufferFake(), new NullBuffer()] as $buffer) {
            self::assertSame(3, $buffer->putAll('orders', self::orders(1, 3)));
            $thrown = self::incomplete(static fn () => $buffer->putAll('orders', [['id' => 4], 'no row']));
            self::assertSame([1, 1], [$thrown->getTakenRows(), $thrown->getSkippedRows()]);
            self::assertSame(4, $buffer->getMetrics()['rows_added']);
            $buffer->close();
            self::assertThrown(ClosedException::class, static fn () => $buffer->putAll('orders', []));
        }
    }

    private static function overflow(string $driver): ?string
    {
        return $driver === 'native background' ? 'throw' : null;
    }

    /** @return \Generator<int, array{id: int, user_id: int}> */
    private static function orders(int $first, int $last): \Generator
    {
        for ($id = $first; $id <= $last; $id++) {
            yield $id => ['id' => $id, 'user_id' => 7];
        }
    }

    private static function incomplete(callable $act): IncompleteException
    {
        try {
            $act();
        } catch (IncompleteException $e) {
            return $e;
        }
        self::fail('IncompleteException was not thrown');
    }
}
