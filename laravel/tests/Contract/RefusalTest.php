<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use DateTimeImmutable;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\IncompleteException;
use WriteBuffer\Laravel\Tests\Support\Side;
use WriteBuffer\MemorySink;
use WriteBuffer\TooLargeException;

/** The contract: what is not taken, what is given up, find(), and the end. */
final class RefusalTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTheGroupAtFaultIsGivenUpAndAllOthersAreCommitted(string $driver): void
    {
        $began = microtime(true);
        $buffer = $this->of($driver);
        $buffer->add(null, ['id' => 3, 'quantity' => 1]);
        $buffer->flush();
        $calls = [];
        foreach (range(1, 7) as $id) {
            $calls[] = static fn () => $buffer->add(
                ['id' => $id, 'user_id' => 7],
                [['id' => $id, 'quantity' => 2], ['id' => 100 + $id, 'quantity' => '2.5']],
            );
        }
        $thrown = $this->refusedBy($buffer, $calls);

        self::assertSame($driver === 'php on sqlite' ? 19 : 1062, $thrown->getCode());
        self::assertCounted($buffer);
        self::assertSame(['1', '2', '4', '5', '6', '7'], array_column($this->tableOf('orders', ['id']), 'id'));
        self::assertSame(13, count($this->tableOf('trades', ['id'])));
        if ($this->isSync()) {
            return;
        }
        $looked = $buffer->failures();
        $failures = $buffer->takeFailures();
        self::assertSame($thrown->getFailures(), $failures);
        self::assertSame($looked, $failures);
        self::assertSame([], $buffer->failures());
        self::assertSame([], $buffer->takeFailures(), 'they are handed over once');
        self::assertCount(1, $failures);
        self::assertSame(['id', 'tag', 'rows', 'status', 'code', 'message', 'time'], array_keys($failures[0]));
        self::assertSame($thrown->getCode(), $failures[0]['code']);
        self::assertGreaterThanOrEqual($began, $failures[0]['time']);
        self::assertLessThanOrEqual(microtime(true), $failures[0]['time']);
        self::assertSame([
            ['table' => 'orders', 'row' => ['id' => 3, 'user_id' => 7]],
            ['table' => 'trades', 'row' => ['id' => 3, 'quantity' => 2]],
            ['table' => 'trades', 'row' => ['id' => 103, 'quantity' => '2.5']],
        ], $failures[0]['rows']);
        self::assertSame(3, $buffer->getMetrics()['rows_refused']);

        $failures[0]['rows'][1]['row']['id'] = 33;
        self::assertSame(1, $buffer->retry($failures));
        self::assertThrown(ConfigException::class, static fn () => $buffer->retry($failures), 'was put back already');
        self::assertCount(3, $buffer);
        self::assertSame(3, $buffer->flush());
        self::assertCounted($buffer);
        self::assertContains('33', array_column($this->tableOf('trades', ['id']), 'id'));
        self::assertContains('3', array_column($this->tableOf('orders', ['id']), 'id'));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatCannotBeTakenLeavesTheBufferAsItWas(string $driver): void
    {
        $buffer = $this->of($driver);
        $good = ['id' => 1, 'user_id' => 7];
        foreach (
            [
                static fn () => $buffer->add(1),
                static fn () => $buffer->add('text'),
                static fn () => $buffer->add([$good, 5]),
                static fn () => $buffer->add([$good, [1, 2]]),
                static fn () => $buffer->add($good, [['id' => 1, 'quantity' => []]]),
                static fn () => $buffer->add(['id' => 1, 'price' => INF]),
                static fn () => $buffer->add(['id' => 1, 'price' => new \ArrayObject()]),
                static fn () => $buffer->add(new DateTimeImmutable()),
                static fn () => $buffer->add(Side::Buy),
                static fn () => $buffer->put('orders', null),
                static fn () => $buffer->retry([['rows' => 5]]),
                static fn () => $buffer->retry(['x']),
                static fn () => $buffer->find('orders', null),
                static fn () => $buffer->find('orders', 1.5),
            ] as $at => $call
        ) {
            self::assertThrown(TypeError::class, $call, '');
            self::assertCount(0, $buffer, "call {$at}");
        }
        // In the background the thread reads a table's schema, so add() may not know it yet. Then
        // such a row is taken, and the flush gives it up.
        foreach (
            $driver === 'native background' ? [] : [
                static fn () => $buffer->put('balances', ['user_id' => 1, 'free' => 1]),
                static fn () => $buffer->put('quotes', ['symbol' => 'BTC', 'price' => 1]),
                static fn () => $buffer->put('quotes', ['symbol' => 'BTC', 'version' => 1, 'VERSION' => 2]),
            ] as $at => $call
        ) {
            self::assertThrown(ConfigException::class, $call, 'table ');
            self::assertSame(0, $buffer->getMetrics()['rows_added']);
            self::assertCount(0, $buffer, "call {$at}");
        }
        self::assertSame(0, $buffer->flush());
        self::assertSame([], $this->tableOf('orders', ['id']));
        self::assertSame([], $this->tableOf('quotes', ['symbol']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRetrySaysHowManyItPutBack(string $driver): void
    {
        if ($driver === 'native background') {
            self::assertTrue(true, 'what is wrong is seen when it is written');

            return;
        }
        $buffer = $this->of($driver);
        $failure = static fn (string $table, array $row): array => ['rows' => [['table' => $table, 'row' => $row]]];
        $failures = [
            $failure('orders', ['id' => 1, 'user_id' => 7]),
            $failure('orders', ['id' => 2, 'user_id' => 7]),
            $failure('balances', ['user_id' => 1, 'free' => 1]),
            $failure('orders', ['id' => 3, 'user_id' => 7]),
        ];
        try {
            $buffer->retry($failures);
            self::fail('nothing was thrown');
        } catch (IncompleteException $e) {
            self::assertSame([2, 2, 0], [$e->getTakenGroups(), $e->getTakenRows(), $e->getSkippedRows()]);
            self::assertStringStartsWith('retry() put back 2 of 4 failures; ', $e->getMessage());
            self::assertInstanceOf(ConfigException::class, $e->getPrevious());
        }
        self::assertSame(2, $buffer->lastTicket());
        $left = array_slice($failures, 2);
        self::assertThrown(ConfigException::class, static fn () => $buffer->retry($left), 'table ');
        self::assertSame(1, $buffer->retry(array_slice($left, 1)));
        $buffer->flush();
        self::assertSame([['id' => '1'], ['id' => '2'], ['id' => '3']], $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testFindMergesWhatIsBuffered(string $driver): void
    {
        $buffer = $this->of($driver);
        self::assertNull($buffer->find('orders', 1));
        $buffer->add(['id' => 1, 'user_id' => 7, 'price' => '1.50']);
        $buffer->add(['id' => 1, 'user_id' => 7, 'status' => 'filled']);
        $buffer->put('balances', ['user_id' => 1, 'asset' => 'BTC', 'free' => '1.5', 'first' => 'a', 'lo' => 5]);
        $buffer->put('balances', ['user_id' => 1, 'asset' => 'BTC', 'free' => '2.25', 'first' => 'b', 'lo' => 3]);
        $buffer->put('quotes', ['symbol' => 'ETH', 'version' => 2, 'price' => 2]);
        $buffer->put('quotes', ['symbol' => 'ETH', 'version' => 1, 'price' => 1]);

        $balance = ['user_id' => 1, 'asset' => 'BTC', 'free' => '3.75', 'first' => 'a', 'lo' => 3];
        foreach (
            [
                [['id' => 1, 'user_id' => 7, 'price' => '1.50', 'status' => 'filled'], 'orders', 1],
                [['id' => 1, 'user_id' => 7, 'price' => '1.50', 'status' => 'filled'], 'orders', '1'],
                [$balance, 'balances', [1, 'BTC']],
                [$balance, 'balances', ['asset' => 'BTC', 'user_id' => 1]],
                [['symbol' => 'ETH', 'version' => 2, 'price' => 2], 'quotes', 'ETH'],
                [null, 'orders', 2],
                [null, 'trades', 1],
            ] as [$expected, $table, $key]
        ) {
            self::assertSame($this->isSync() ? null : $expected, $buffer->find($table, $key), $table);
        }
        if (!$this->isSync()) {
            self::assertThrown(
                \TypeError::class,
                static fn () => $buffer->find('balances', [1]),
                'table balances: its key has the columns (user_id, asset); give their values by name, or in this order',
            );
        }
        $buffer->flush();
        self::assertNull($buffer->find('orders', 1));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testCloseWritesAndThenRefuses(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->add(['id' => 1, 'user_id' => 7]);
        $buffer->close();
        $buffer->close();

        self::assertSame([['id' => '1']], $this->tableOf('orders', ['id']));
        foreach (
            [
                static fn () => $buffer->add(['id' => 2, 'user_id' => 7]),
                static fn () => $buffer->put('orders', ['id' => 2, 'user_id' => 7]),
                static fn () => $buffer->retry([['rows' => [['table' => 'orders', 'row' => ['id' => 2, 'user_id' => 7]]]]]),
                static fn () => $buffer->retry([]),
            ] as $call
        ) {
            self::assertThrown(ClosedException::class, $call);
        }
        self::assertSame(0, $buffer->flush(), 'nothing is left');
        self::assertCount(0, $buffer);
        self::assertSame([], $buffer->takeFailures());
    }

    /**
     * What is not read could say that the rows are in the database.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAFailureWhoseWordsAreNoTextsIsRefused(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach (['id', 'status', 'tag'] as $name) {
            $rows = [['table' => 'orders', 'row' => ['id' => 1, 'user_id' => 7]]];
            self::assertThrown(
                TypeError::class,
                static fn () => $buffer->retry([[$name => 5, 'rows' => $rows]]),
                "the {$name} of element 0 is no string",
            );
        }
        self::assertCount(0, $buffer);
        $buffer->flush();
        self::assertSame([], $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAGroupLargerThanTheBufferIsRefused(string $driver): void
    {
        $buffer = $this->of($driver, ['max_pending_rows' => 2, 'batch_size' => 2]);
        $rows = array_map(static fn (int $id): array => ['id' => $id, 'user_id' => 7], [1, 2, 3]);
        self::assertThrown(TooLargeException::class, static fn () => $buffer->add($rows));
        self::assertCount(0, $buffer);
        $buffer->add(array_slice($rows, 1));
        $buffer->flush();
        self::assertCount(2, $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAFullBatchIsWritten(string $driver): void
    {
        $buffer = $this->of($driver, ['batch_size' => 3]);
        foreach ([1, 1, 2] as $id) {
            $buffer->add(['id' => $id, 'user_id' => 7]);
        }
        if ($driver === 'native background') {
            // The thread does not know the keys yet, so it counts every row.
            $this->awaitEmpty($buffer);
            foreach ([3, 4, 4] as $id) {
                $buffer->add(['id' => $id - 1, 'user_id' => 7]);
            }
            $this->awaitEmpty($buffer);
        } else {
            self::assertFalse($buffer->isFull(), 'rows of one key count once');
            self::assertCount($this->isSync() ? 0 : 3, $buffer);
            $buffer->add(['id' => 3, 'user_id' => 7]);
        }
        self::assertCount(0, $buffer);
        self::assertFalse($buffer->isFull());
        self::assertCount(3, $this->tableOf('orders', ['id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testATableThatIsNotThereLosesNothing(string $driver): void
    {
        if ($driver === 'memory') {
            self::assertSame([], MemorySink::tables('nobody'), 'memory: makes its tables');

            return;
        }
        $buffer = $this->of($driver);
        try {
            $buffer->put('missing', ['id' => 1]);
            $buffer->flush();
            self::fail('it was written');
        } catch (\WriteBuffer\FlushException $e) {
            self::assertSame($driver === 'php on sqlite' ? 1 : 1146, $e->getCode());
            self::assertSame([], $e->getFailures());
        }
        self::assertCount($this->isSync() ? 0 : 1, $buffer);
        if ($driver === 'php on sqlite') {
            $this->app->make('db')->connection('sqlite')->unprepared('CREATE TABLE missing (id INTEGER PRIMARY KEY)');
        } else {
            $this->createTable('missing', 'id INT PRIMARY KEY');
        }
        if ($this->isSync()) {
            return;
        }
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => '1']], $this->tableOf('missing', ['id']));
    }

    private function awaitEmpty(Buffer $buffer): void
    {
        $deadline = hrtime(true) + 60_000_000_000;
        while (count($buffer) > 0) {
            self::assertLessThan($deadline, hrtime(true), 'the thread does not write');
            usleep(1_000);
        }
    }
}
