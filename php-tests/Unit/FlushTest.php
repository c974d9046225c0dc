<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class FlushTest extends MemoryTestCase
{
    public function testGivesTheRowsCommittedWithThoseCoalesced(): void
    {
        $buffer = $this->buffer();
        $buffer->add([['id' => 1], ['id' => 1], ['id' => 2]], ['id' => 5]);
        self::assertSame(4, $buffer->flush());
        self::assertSame(0, $buffer->flush());
        self::assertSame(2, count(self::rowsOf('orders')));
    }

    public function testTakesATimeout(): void
    {
        $buffer = $this->buffer();
        foreach ([null, 60_000, PHP_INT_MAX] as $timeout) {
            $buffer->add(['id' => 1]);
            self::assertSame(1, $buffer->flush($timeout), var_export($timeout, true));
            $buffer->add(['id' => 1]);
            self::assertSame(1, $buffer->flush(timeoutMs: $timeout), var_export($timeout, true));
        }
        self::assertSame(0, $buffer->flush(0), 'nothing to do takes no time');
    }

    /** @return iterable<string, array{int, string}> */
    public static function racesLost(): iterable
    {
        yield 'a deadlock' => [1213, 'retries_deadlock'];
        yield 'a lock wait time-out' => [1205, 'retries_lock_wait_timeout'];
        yield 'a record that changed' => [1020, 'retries_record_changed'];
    }

    /**
     * @dataProvider racesLost
     */
    #[DataProvider('racesLost')]
    public function testRepeatsAfterALostRace(int $code, string $counter): void
    {
        $buffer = $this->buffer(maxRetries: 2);
        $buffer->add(['id' => 1], [['id' => 10], ['id' => 11]]);
        MemorySink::failNext($code, 2);
        self::assertSame(3, $buffer->flush());
        $metrics = $buffer->getMetrics();
        self::assertSame(
            ['retries' => 2, $counter => 2],
            array_filter(
                array_intersect_key($metrics, array_flip([
                    'retries', 'retries_deadlock', 'retries_lock_wait_timeout', 'retries_record_changed',
                ])),
            ),
        );
        self::assertSame([1, 0], [$metrics['transactions'], $metrics['transactions_failed']]);
        self::assertSame(['orders' => [['id' => 1]], 'trades' => [['id' => 10], ['id' => 11]]], MemorySink::tables());
    }

    public function testConnectsOnceMoreWhenTheConnectionIsGone(): void
    {
        $buffer = $this->buffer(maxRetries: 0);
        $buffer->add(['id' => 1]);
        MemorySink::failNext(2006);
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => 1]], self::rowsOf('orders'));
        $metrics = $buffer->getMetrics();
        self::assertSame([1, 1], [$metrics['retries'], $metrics['retries_reconnect']]);
    }

    public function testWritesSeveralBatchesInTheirOrder(): void
    {
        $buffer = $this->buffer(batchSize: 2, maxRetries: 0);
        MemorySink::failNext(1213, 1_000);
        for ($id = 1; $id <= 25; $id++) {
            self::thrownBy(static fn () => $buffer->add(['id' => $id % 10, 'last' => $id], ['id' => $id]));
        }
        self::assertCount(50, $buffer);
        MemorySink::reset();
        self::assertSame(50, $buffer->flush());
        self::assertSame(
            [0 => 20, 1 => 21, 2 => 22, 3 => 23, 4 => 24, 5 => 25, 6 => 16, 7 => 17, 8 => 18, 9 => 19],
            self::byKey(array_column(self::rowsOf('orders'), 'last', 'id')),
        );
        self::assertSame(range(1, 25), array_column(self::rowsOf('trades'), 'id'));
    }

    public function testCommitsATransactionOfTenThousandRowsAndNoMore(): void
    {
        $buffer = $this->buffer(batchSize: 6_000, maxRetries: 0);
        MemorySink::failNext(1213, 2);
        for ($batch = 0; $batch < 2; $batch++) {
            $rows = [];
            for ($at = 0; $at < 6_000; $at++) {
                $rows[] = ['id' => $batch * 6_000 + $at];
            }
            self::thrownBy(static fn () => $buffer->add($rows));
        }
        self::assertSame(12_000, $buffer->flush());
        $metrics = $buffer->getMetrics();
        self::assertSame([2, 6_000], [$metrics['transactions'], $metrics['transaction_rows_max']]);
        self::assertCount(12_000, self::rowsOf('orders'));
    }

    /**
     * @param array<int, int> $values
     *
     * @return array<int, int>
     */
    private static function byKey(array $values): array
    {
        ksort($values);

        return $values;
    }
}
