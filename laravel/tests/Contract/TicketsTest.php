<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use PHPUnit\Framework\Attributes\DataProvider;
use ValueError;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Testing\BufferFake;
use WriteBuffer\RefusedException;

/** The contract: tickets, and waits for them. */
final class TicketsTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAWaitEndsWhenItsGroupIsInTheTable(string $driver): void
    {
        $buffer = $this->of($driver);
        self::assertSame([0, 0], [$buffer->lastTicket(), $buffer->committedThrough()]);
        $buffer->waitFor($buffer->add(null));
        self::assertSame(1, $buffer->add(['id' => 1, 'user_id' => 7], ['id' => 1, 'quantity' => 2]));
        self::assertSame(2, $buffer->put('orders', ['id' => 2, 'user_id' => 7]));
        $inside = [];
        $buffer->group(static function () use ($buffer, &$inside): void {
            $inside[] = $buffer->add(['id' => 3, 'user_id' => 7]);
            $inside[] = $buffer->delete('orders', 2);
            self::assertThrown(ValueError::class, static fn () => $buffer->waitFor(0), '0 is none');
        });
        self::assertSame([0, 0], $inside);
        self::assertSame(3, $buffer->lastTicket());
        self::assertSame(4, $buffer->delete('orders', 1));
        self::assertSame(4, $buffer->add(null));
        self::assertSame($this->isSync() ? 4 : 0, $buffer->committedThrough());

        $buffer->waitFor(2);
        self::assertGreaterThanOrEqual(2, $buffer->committedThrough());
        $buffer->waitFor(3);
        self::assertContains(['id' => '3'], $this->tableOf('orders', ['id']));
        self::assertNotContains(['id' => '2'], $this->tableOf('orders', ['id']));
        $buffer->waitFor(4);
        self::assertSame([['id' => '3']], $this->tableOf('orders', ['id']));
        self::assertSame([['id' => '1']], $this->tableOf('trades', ['id']));
        self::assertSame(4, $buffer->committedThrough());
        foreach ([-1, 5, PHP_INT_MAX] as $unknown) {
            self::assertThrown(ValueError::class, static fn () => $buffer->waitFor($unknown), 'those from 1 to 4');
        }
        self::assertThrown(ValueError::class, static fn () => $buffer->waitFor(0), '0 is none');
        self::assertThrown(ValueError::class, static fn () => $buffer->waitFor(1, -1), '($timeoutMs) must be 0 or more');
        $buffer->close();
        $buffer->waitFor(1, 0);
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAWaitThrowsForItsOwnGroupOnly(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($this->isSync()) {
            $buffer->put('trades', ['id' => 1]);
            self::assertThrown(RefusedException::class, static fn () => $buffer->put('trades', ['id' => 1]));
            self::assertSame(1, $buffer->lastTicket());

            return;
        }
        $buffer->waitFor($buffer->put('trades', ['id' => 1]));
        $refused = $buffer->put('trades', ['id' => 1]);
        $fine = $buffer->put('trades', ['id' => 2]);
        $alsoRefused = $buffer->put('trades', ['id' => 1]);
        $buffer->waitFor($fine);
        self::assertContains(['id' => '2'], $this->tableOf('trades', ['id']));
        self::assertGreaterThanOrEqual($fine, $buffer->committedThrough());
        for ($time = 1; $time <= 2; $time++) {
            try {
                $buffer->waitFor($refused);
                self::fail('it was refused');
            } catch (RefusedException $e) {
                self::assertStringStartsWith('gave up 1 row that can never be written, see takeFailures()', $e->getMessage());
                self::assertSame([[['table' => 'trades', 'row' => ['id' => 1]]]], array_column($e->getFailures(), 'rows'));
            }
        }
        try {
            $buffer->flush();
            self::fail('the other one is still to be told');
        } catch (RefusedException $e) {
            self::assertCount(1, $e->getFailures());
        }
        self::assertSame(0, $buffer->flush());
        $failures = $buffer->takeFailures();
        self::assertCount(2, $failures);
        foreach ([$refused, $alsoRefused] as $ticket) {
            self::assertThrown(RefusedException::class, static fn () => $buffer->waitFor($ticket), 'is not held any more');
        }
        $failures[0]['rows'][0]['row']['id'] = 3;
        $buffer->retry([$failures[0]]);
        $buffer->waitFor($buffer->lastTicket());
        self::assertSame([['id' => '1'], ['id' => '2'], ['id' => '3']], $this->tableOf('trades', ['id']));
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testEachRowOfAnImportHasATicket(string $driver): void
    {
        $buffer = $this->of($driver);
        $row = static fn (int $id): array => ['id' => $id, 'user_id' => 7];
        self::assertSame(1, $buffer->put('orders', $row(1)));
        self::assertSame(3, $buffer->putAll('orders', array_map($row, [2, 3, 4])));
        self::assertSame(4, $buffer->lastTicket());
        $buffer->waitFor(3);
        self::assertContains(['id' => '3'], $this->tableOf('orders', ['id']));
        $buffer->group(static function () use ($buffer, $row): void {
            self::assertSame(2, $buffer->putAll('orders', array_map($row, [5, 6])));
            self::assertSame(4, $buffer->lastTicket());
        });
        self::assertSame(5, $buffer->lastTicket());
        $buffer->waitFor(5);
        self::assertContains(['id' => '6'], $this->tableOf('orders', ['id']));
        if ($driver !== 'memory' && !$this->isSync()) {
            self::assertSame(2, $buffer->putAll('orders', [['id' => 7, 'user_id' => null], $row(8)]));
            $buffer->waitFor(7);
            self::assertThrown(RefusedException::class, static fn () => $buffer->waitFor(6), 'gave up 1 row');
            $buffer->takeFailures();
        }
        $buffer->flush();
        self::assertSame($buffer->lastTicket(), $buffer->committedThrough());
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsOfATransactionHaveTheirTicketAfterTheCommit(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($driver === 'memory') {
            self::assertSame(1, $buffer->put('orders', ['id' => 1, 'user_id' => 7]), 'it follows no transaction');
            $buffer->flush();

            return;
        }
        $connection = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $connection->transaction(static function () use ($buffer): void {
            self::assertSame(0, $buffer->put('orders', ['id' => 1, 'user_id' => 7]));
            self::assertSame(0, $buffer->lastTicket());
            self::assertThrown(ValueError::class, static fn () => $buffer->waitFor(0), '0 is none');
        });
        self::assertSame(1, $buffer->lastTicket());
        $buffer->waitFor(1);
        self::assertSame([['id' => '1']], $this->tableOf('orders', ['id']));
    }

    public function testDriversThatWriteNothingGiveTicketsToo(): void
    {
        foreach ([new NullBuffer(), new BufferFake()] as $buffer) {
            $buffer->waitFor($buffer->add(null));
            self::assertSame(1, $buffer->add(['id' => 1], ['id' => 1]));
            self::assertSame(0, $buffer->group(static fn (): int => $buffer->put('log', ['id' => 1])));
            self::assertSame(3, $buffer->delete('log', 1));
            self::assertSame(3, $buffer->lastTicket());
            $buffer->waitFor(2);
            self::assertGreaterThanOrEqual(2, $buffer->committedThrough());
            self::assertSame($buffer instanceof BufferFake ? 1 : 0, count($buffer));
            foreach ([0, -1, 4] as $unknown) {
                self::assertThrown(ValueError::class, static fn () => $buffer->waitFor($unknown));
            }
            $buffer->flush();
            self::assertSame(3, $buffer->committedThrough());
            self::assertSame(2, $buffer->putAll('log', [['id' => 4], ['id' => 5]]));
            self::assertSame(5, $buffer->lastTicket());
        }
    }
}
