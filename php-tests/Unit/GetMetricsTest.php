<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class GetMetricsTest extends MemoryTestCase
{
    public function testHasTheKeysAndTypesOfTheStub(): void
    {
        $stub = (string) file_get_contents(dirname(__DIR__, 2) . '/stubs/write_buffer.stub.php');
        self::assertSame(1, preg_match('/@phpstan-type Metrics = array\{(.*?)\}/s', $stub, $found));
        self::assertSame(1, preg_match('/@phpstan-type LaneMetrics = array\{(.*?)\}/s', $stub, $ofLane));
        preg_match_all('/(\w+): /', $ofLane[1], $laneKeys);
        self::assertSame($laneKeys[1], array_keys($this->buffer()->getMetrics()['lane_metrics'][0]));
        // A word out of some is a string.
        $types = preg_replace(["/'\w+'(\|'\w+')*/", '/list<LaneMetrics>/'], ['string', 'array'], $found[1]);
        preg_match_all('/(\w+): (\??)(\w+)/', $types, $lines, PREG_SET_ORDER);
        self::assertGreaterThan(20, count($lines));
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $before = $buffer->getMetrics();
            $buffer->add(['id' => 1]);
            $buffer->flush();
            foreach ([$before, $buffer->getMetrics()] as $metrics) {
                self::assertSame(array_column($lines, 1), array_keys($metrics));
                foreach ($lines as [, $key, $nullable, $type]) {
                    if ($nullable === '' || $metrics[$key] !== null) {
                        self::assertSame($type, get_debug_type($metrics[$key]), $key);
                    }
                }
            }
        }
    }

    public function testStartsAtZero(): void
    {
        $metrics = $this->buffer()->getMetrics();
        $pid = $metrics['pid'];
        unset($metrics['pid']);
        self::assertSame(getmypid(), $pid);
        self::assertSame(
            [
                'flush_count' => 0,
                'total_flushed' => 0,
                'total_flush_time_ms' => 0.0,
                'rows_added' => 0,
                'rows_committed' => 0,
                'rows_coalesced' => 0,
                'rows_stale' => 0,
                'rows_refused' => 0,
                'rows_pending' => 0,
                'rows_parked' => 0,
                'groups_refused' => 0,
                'bytes_pending' => 0,
                'age_oldest_ms' => 0.0,
                'tables_parked' => [],
                'transactions' => 0,
                'transactions_failed' => 0,
                'transaction_time_sum_ms' => 0.0,
                'transaction_time_p50_ms' => 0.0,
                'transaction_time_p95_ms' => 0.0,
                'transaction_time_p99_ms' => 0.0,
                'transaction_time_max_ms' => 0.0,
                'transaction_rows_avg' => 0.0,
                'transaction_rows_max' => 0,
                'retries' => 0,
                'retries_deadlock' => 0,
                'retries_lock_wait_timeout' => 0,
                'retries_record_changed' => 0,
                'retries_other' => 0,
                'retries_reconnect' => 0,
                'commits_unknown' => 0,
                'commits_looked_up' => 0,
                'commits_confirmed' => 0,
                'reconnects' => 0,
                'time_blocked_ms' => 0.0,
                'lanes' => 1,
                'lane_metrics' => [[
                    'rows_added' => 0,
                    'rows_committed' => 0,
                    'rows_stale' => 0,
                    'rows_refused' => 0,
                    'rows_pending' => 0,
                    'transactions' => 0,
                    'transaction_time_p50_ms' => 0.0,
                    'transaction_time_p99_ms' => 0.0,
                    'transaction_rows_avg' => 0.0,
                    'retries' => 0,
                    'retries_deadlock' => 0,
                    'reconnects' => 0,
                    'thread_state' => 'none',
                ]],
                'thread_state' => 'none',
                'last_error' => null,
            ],
            $metrics,
        );
    }

    public function testCountsRowsThroughTheirLife(): void
    {
        $buffer = $this->buffer();
        $buffer->add([['id' => 1], ['id' => 1], ['id' => 2]], ['id' => 1]);
        // The row is at least that old afterwards.
        usleep(2_000);
        $waiting = $buffer->getMetrics();
        self::assertSame([4, 4, 0], [$waiting['rows_added'], $waiting['rows_pending'], $waiting['rows_committed']]);
        self::assertGreaterThan(0, $waiting['bytes_pending']);
        self::assertGreaterThanOrEqual(2.0, $waiting['age_oldest_ms']);
        $buffer->flush();
        $buffer->add(['id' => 3]);
        $buffer->add(['id' => 4]);
        $buffer->flush();
        $written = $buffer->getMetrics();
        self::assertSame(
            [
                'rows_added' => 6,
                'rows_committed' => 6,
                'rows_coalesced' => 1,
                'rows_pending' => 0,
                'bytes_pending' => 0,
                'age_oldest_ms' => 0.0,
                'transactions' => 2,
                'transaction_rows_avg' => 3.0,
                'transaction_rows_max' => 4,
            ],
            array_intersect_key($written, array_flip([
                'rows_added', 'rows_committed', 'rows_coalesced', 'rows_pending', 'bytes_pending', 'age_oldest_ms',
                'transactions', 'transaction_rows_avg', 'transaction_rows_max',
            ])),
        );
        self::assertGreaterThan(0.0, $written['time_blocked_ms']);
        self::assertGreaterThanOrEqual($written['transaction_time_p50_ms'], $written['transaction_time_p95_ms']);
        self::assertGreaterThanOrEqual($written['transaction_time_p95_ms'], $written['transaction_time_p99_ms']);
        self::assertGreaterThanOrEqual($written['transaction_time_p99_ms'], $written['transaction_time_max_ms']);
    }

    public function testPendingBytesGrowWithTheRows(): void
    {
        $buffer = $this->buffer();
        $bytes = [0];
        foreach ([0, 100, 10_000] as $length) {
            $buffer->add(['id' => $length, 'text' => str_repeat('x', $length)]);
            $bytes[] = $buffer->getMetrics()['bytes_pending'];
        }
        self::assertGreaterThanOrEqual(100, $bytes[2] - $bytes[1]);
        self::assertGreaterThanOrEqual(10_000, $bytes[3] - $bytes[2]);
        self::assertLessThan(20_000, $bytes[3]);
    }

    /** @return iterable<string, array{int, list<array<string, mixed>>}> how many rows are stale */
    public static function guardedRows(): iterable
    {
        $row = static fn (int $version, string $text, int $id = 1): array => ['id' => $id, 'v' => $version, 'x' => $text];
        yield 'rising' => [0, [$row(1, 'a'), $row(2, 'b'), $row(3, 'c')]];
        yield 'falling' => [2, [$row(3, 'a'), $row(2, 'b'), $row(1, 'c')]];
        yield 'the same' => [2, [$row(3, 'a'), $row(3, 'a'), $row(3, 'a')]];
        yield 'as new, and another' => [0, [$row(3, 'a'), $row(3, 'b')]];
        yield 'of other keys' => [0, [$row(3, 'a'), $row(2, 'b', 2), $row(1, 'c', 3)]];
        yield 'a deletion that is older' => [0, [$row(3, 'a'), ['delete' => ['id' => 1, 'v' => 2]]]];
        yield 'a row behind a deletion' => [0, [['delete' => ['id' => 1, 'v' => 9]], $row(3, 'a')]];
    }

    /**
     * One flush for all, and one for each.
     *
     * @dataProvider guardedRows
     *
     * @param list<array<string, mixed>> $rows
     */
    #[DataProvider('guardedRows')]
    public function testCountsTheRowsThatTheirGuardTurnsAway(int $stale, array $rows): void
    {
        $guarded = ['tables' => ['orders' => ['guard' => 'v']]];
        foreach ([$this->buffer(...$guarded), $this->syncBuffer(...$guarded)] as $buffer) {
            MemorySink::reset();
            MemorySink::failNext(1213, 2);
            foreach ($rows as $row) {
                isset($row['delete']) ? $buffer->delete('orders', $row['delete']) : $buffer->put('orders', $row);
            }
            self::assertSame(0, $buffer->getMetrics()['rows_stale'] * count($buffer), 'counted at COMMIT');
            $buffer->flush();
            $metrics = $buffer->getMetrics();
            self::assertSame([$stale, $stale], [$metrics['rows_stale'], $metrics['lane_metrics'][0]['rows_stale']]);
        }
    }

    public function testTheSynchronousBufferCountsToo(): void
    {
        $buffer = $this->syncBuffer(maxRetries: 2);
        $buffer->add(['id' => 1], ['id' => 1]);
        MemorySink::failNext(1213, 3);
        self::thrownBy(static fn () => $buffer->add(['id' => 2]));
        $metrics = $buffer->getMetrics();
        self::assertSame(
            [1, 2, 2, 0, 1, 2],
            [
                $metrics['transactions'],
                $metrics['rows_committed'],
                $metrics['rows_added'],
                $metrics['rows_pending'],
                $metrics['transactions_failed'],
                $metrics['retries_deadlock'],
            ],
            'what was not taken is not counted as added',
        );
    }
}
