<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * The thread writes by itself, whatever PHP does and the server suffers. Every row is counted in
 * one place.
 */
final class BackgroundTest extends ProcessTestCase
{
    /** @return iterable<string, array{string}> what PHP does for longer than the test lasts */
    public static function occupations(): iterable
    {
        yield 'asleep' => ['sleep(600);'];
        yield 'busy' => ['while (true) { $x = sha1($x ?? "x"); }'];
        yield 'waiting for input' => ['fgets(STDIN);'];
        yield 'waiting for the database' => ['Child::connect()->query("SELECT SLEEP(600)");'];
    }

    /**
     * @dataProvider occupations
     */
    #[DataProvider('occupations')]
    public function testRowsAreWrittenAfterTheInterval(string $occupation): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 1_000, flushIntervalMs: 200);
            Child::add($buffer, 1, 5);
            Child::say('added');

            PHP . $occupation);
        $child->waitFor('added');
        $this->awaitOrders(5, $child);
        self::assertNull($child->ending(), $child->describe());
        $child->signal(SIGKILL);
        self::assertSame('signal 9', $child->finish());
        $this->assertOrders(range(1, 5), $child);
    }

    /**
     * @dataProvider occupations
     */
    #[DataProvider('occupations')]
    public function testFullBatchesAreWrittenAtOnce(string $occupation): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 10, flushIntervalMs: 3_600_000);
            Child::add($buffer, 1, 23);
            Child::await('full batches written', static fn () => count($buffer) < 5 * Child::ROWS_PER_GROUP);
            Child::report('left', count($buffer));
            Child::say('added');

            PHP . $occupation);
        $child->waitFor('added');
        self::assertSame(3 * Child::ROWS_PER_GROUP, $child->reported('left'), $child->describe());
        $child->signal(SIGKILL);
        self::assertSame('signal 9', $child->finish());
        $this->awaitNoConnections();
        // An order has two trades, and ten rows of a table fill a batch. That makes four batches of
        // five orders; the last three orders wait.
        $this->assertOrders(range(1, 20), $child);
    }

    public function testAnIdleThreadWakesForItsFirstRow(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 1_000, flushIntervalMs: 200);
            for ($id = 1; $id <= 3; $id++) {
                Child::add($buffer, $id);
                Child::awaitIdle($buffer);
                Child::say("written {$id}");
            }
            Child::hear();
            PHP);
        $child->waitFor('written 3');
        $child->send();
        $this->assertEndsWell($child);
        $this->assertOrders([1, 2, 3], $child);
    }

    public function testAddGoesOnWhileTheServerIsStopped(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 100, flushIntervalMs: 10);
            Child::add($buffer, 1, 10);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            $blockedMs = $buffer->getMetrics()['time_blocked_ms'];
            Child::add($buffer, 11, 110);
            Child::await('a thread that waits for the server', static fn () =>
                $buffer->getMetrics()['thread_state'] === 'writing');
            // The buffer may hold three times as many rows.
            Child::add($buffer, 111, 10_000);
            Child::report('pending', count($buffer));
            Child::report('blocked', $buffer->getMetrics()['time_blocked_ms'] - $blockedMs);
            Child::report('state', $buffer->getMetrics()['thread_state']);
            Child::hear();
            PHP);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        // The child has added all of them before the server runs again, and no call has waited.
        $state = $child->reported('state');
        $this->continueDatabase();
        self::assertSame('writing', $state, $child->describe());
        self::assertSame((10_000 - 10) * Child::ROWS_PER_GROUP, $child->reported('pending'), $child->describe());
        self::assertEquals(0, $child->reported('blocked'), $child->describe());
        $child->send();
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, 10_000), $child);
    }

    /**
     * @return iterable<string, array{string, string, string}> settings, bytes of filling, and what
     *         the message names
     */
    public static function bounds(): iterable
    {
        yield 'rows' => ['maxPendingRows: 30', '', 'maxPendingRows is 30'];
        yield 'bytes' => ['maxPendingBytes: 20_000', 'str_repeat("x", 1_000)', 'maxPendingBytes 20000'];
    }

    /**
     * @dataProvider bounds
     */
    #[DataProvider('bounds')]
    public function testAddWaitsForRoomAndThenRefuses(string $bound, string $filling, string $message): void
    {
        $this->checkBackpressure($bound, $filling, $message, 'block', 400);
    }

    /**
     * @dataProvider bounds
     */
    #[DataProvider('bounds')]
    public function testAddRefusesAtOnce(string $bound, string $filling, string $message): void
    {
        $this->checkBackpressure($bound, $filling, $message, 'throw', 30_000);
    }

    private function checkBackpressure(string $bound, string $filling, string $message, string $overflow, int $ms): void
    {
        $this->pdo()->exec('ALTER TABLE ' . Child::TRADES . ' ADD filling VARCHAR(2000)');
        $holder = $this->holdOrder(1);
        $code = strtr(<<<'PHP'
            $buffer = Child::buffer(BOUND, overflow: 'OVERFLOW', overflowTimeoutMs: TIMEOUT);
            $group = static function (int $id): array {
                $trades = Child::trades($id);
                $trades[0]['filling'] = FILLING;
                $trades[1]['filling'] = null;
                return [Child::order($id), $trades];
            };
            for ($id = 1; $id <= 100; $id++) {
                $before = [count($buffer), $buffer->getMetrics()['rows_added']];
                $began = hrtime(true);
                [$class, $said] = Child::thrownBy(static fn () => $buffer->add(...$group($id)));
                if ($class !== '') {
                    break;
                }
            }
            Child::report('refused', ['id' => $id, 'class' => $class, 'message' => $said]);
            Child::report('lasted_ms', (hrtime(true) - $began) / 1e6);
            Child::report('before', $before);
            Child::report('after', [count($buffer), $buffer->getMetrics()['rows_added']]);
            Child::report('full', $buffer->isFull());
            Child::report('metrics', $buffer->getMetrics());
            // Once there is room, add() works again.
            Child::hear();
            $buffer->flush();
            $buffer->add(...$group(200));
            PHP, [
            'BOUND' => $bound,
            'OVERFLOW' => $overflow,
            'TIMEOUT' => (string) $ms,
            'FILLING' => $filling === '' ? 'null' : $filling,
        ]);
        $child = $this->start($code);
        $refused = $child->reported('refused');
        self::assertSame('WriteBuffer\FullException', $refused['class'], $child->describe());
        self::assertStringContainsString($message, $refused['message']);
        self::assertSame($child->reported('before'), $child->reported('after'), 'the group was taken in part');
        self::assertTrue($child->reported('full'), 'isFull() is false, and add() finds no room');
        $blockedMs = $child->reported('metrics')['time_blocked_ms'];
        if ($overflow === 'block') {
            // It returned because its time was over: there is no room until the lock is released.
            self::assertGreaterThanOrEqual($ms, $child->reported('lasted_ms'));
            self::assertGreaterThanOrEqual($ms, $blockedMs);
        } else {
            self::assertEquals(0, $blockedMs, $child->describe());
        }
        $this->releaseOrder($holder);
        $child->send();
        $this->assertEndsWell($child);
        $this->assertOrders([...range(1, $refused['id'] - 1), 200], $child);
    }

    public function testAddThatWaitsTakesItsPlaceWhenThereIsRoom(): void
    {
        $holder = $this->holdOrder(1);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(maxPendingRows: 30, overflowTimeoutMs: 60_000);
            Child::add($buffer, 1, 10);
            Child::say('full');
            Child::add($buffer, 11, 100);
            PHP);
        $child->waitFor('full');
        $this->awaitLockWait();
        $this->releaseOrder($holder);
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, 100), $child);
    }

    public function testAGroupLargerThanTheBoundIsRefusedAtOnce(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(maxPendingRows: 30, overflowTimeoutMs: 60_000);
            $small = Child::buffer(maxPendingBytes: 1_024, overflowTimeoutMs: 60_000);
            Child::add($buffer, 1);
            $orders = array_map(Child::order(...), range(100, 130));
            Child::report('rows', Child::thrownBy(static fn () => $buffer->add($orders)));
            Child::report('bytes', Child::thrownBy(static fn () => $small->add($orders)));
            $blockedMs = array_map(static fn ($it) => $it->getMetrics()['time_blocked_ms'], [$buffer, $small]);
            Child::report('blocked', array_sum($blockedMs));
            Child::report('pending', count($small));
            Child::add($buffer, 2);
            PHP);
        foreach (['rows', 'bytes'] as $bound) {
            [$class, $message] = $child->reported($bound);
            self::assertSame('WriteBuffer\TooLargeException', $class, $child->describe());
            self::assertStringContainsString('does not fit into the buffer', $message);
        }
        self::assertEquals(0, $child->reported('blocked'), $child->describe());
        self::assertSame(0, $child->reported('pending'));
        $this->assertOrders([1, 2], $child);
    }

    public function testFlushThatRunsOutOfTimeLosesNothing(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer();
            Child::add($buffer, 1, 10);
            foreach ([0, 1, 100] as $ms) {
                Child::report("flush {$ms}", Child::thrownBy(static fn () => $buffer->flush($ms)));
                Child::report("close {$ms}", Child::thrownBy(static fn () => $buffer->close($ms)));
            }
            Child::report('pending', count($buffer));
            Child::add($buffer, 11);
            Child::hear();
            Child::report('flushed', $buffer->flush(60_000) > 0);
            Child::report('left', count($buffer));
            $buffer->close(60_000);
            Child::report('closed', Child::thrownBy(static fn () => Child::add($buffer, 12)));
            PHP);
        $child->waitFor('pending=');
        foreach ([0, 1, 100] as $ms) {
            foreach (['flush', 'close'] as $method) {
                [$class, $message] = $child->reported("{$method} {$ms}");
                self::assertSame('WriteBuffer\TimeoutException', $class, $child->describe());
                self::assertStringContainsString('30 rows st', $message);
            }
        }
        self::assertSame(30, $child->reported('pending'));
        $this->releaseOrder($holder);
        $child->send();
        $this->assertEndsWell($child);
        self::assertTrue($child->reported('flushed'));
        self::assertSame(0, $child->reported('left'));
        self::assertSame('WriteBuffer\ClosedException', $child->reported('closed')[0]);
        $this->assertOrders(range(1, 11), $child);
    }

    public function testCountIsNeverWrongUnderLoad(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(batchSize: 40, flushIntervalMs: 1);
            $database = Child::connect();
            $written = $database->prepare('SELECT (SELECT COUNT(*) FROM ' . Child::ORDERS . ') + (SELECT COUNT(*) FROM '
                . Child::TRADES . ')');
            $wrong = [];
            $partly = 0;
            for ($id = 1; $id <= 6_000; $id++) {
                Child::add($buffer, $id);
                if ($id === 1) {
                    Child::await('a commit', static fn () => $buffer->getMetrics()['rows_committed'] > 0);
                }
                $added = $id * Child::ROWS_PER_GROUP;
                $metrics = $buffer->getMetrics();
                $count = count($buffer);
                $sum = $metrics['rows_committed'] + $metrics['rows_pending'] + $metrics['rows_refused'];
                if ($metrics['rows_added'] !== $added || $sum !== $added || $count > $metrics['rows_pending'] || $count < 0) {
                    $wrong[] = ['added' => $added, 'count' => $count] + $metrics;
                }
                if (($metrics['rows_pending'] === 0) !== ($metrics['bytes_pending'] === 0)) {
                    $wrong[] = $metrics;
                }
                $partly += $count > 0 && $count < $added ? 1 : 0;
                if ($id % 50 === 0) {
                    // What count() counts no more is committed, so everybody sees it.
                    $count = count($buffer);
                    $written->execute();
                    $seen = (int) $written->fetchColumn();
                    if ($seen < $added - $count || $seen > $added) {
                        $wrong[] = ['added' => $added, 'count' => $count, 'seen' => $seen];
                    }
                }
            }
            $buffer->flush();
            Child::report('wrong', array_slice($wrong, 0, 3));
            Child::report('partly', $partly);
            Child::report('left', [count($buffer), $buffer->getMetrics()['bytes_pending']]);
            PHP);
        self::assertSame([], $child->reported('wrong'));
        self::assertGreaterThan(0, $child->reported('partly'), 'nothing was sampled while rows were being written');
        self::assertSame([0, 0], $child->reported('left'));
        $this->assertOrders(range(1, 6_000), $child);
    }

    public function testFindSeesEveryRowThatIsNotCommitted(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            // Two orders with two trades each fill a batch.
            $buffer = Child::buffer(batchSize: 4);
            Child::add($buffer, 1, 2);
            Child::await('a batch in flight', static fn () => $buffer->getMetrics()['thread_state'] === 'writing');
            Child::add($buffer, 3, 7);
            Child::say('added');
            Child::hear();
            foreach (range(1, 8) as $id) {
                Child::report("order {$id}", $buffer->find(Child::ORDERS, $id));
            }
            // Of an order in flight, in a full batch or in the open one, a second row is merged
            // into the first.
            $buffer->add(['id' => 1, 'v' => 'changed', 'n' => 10]);
            $buffer->add(['id' => 4, 'v' => 'changed', 'n' => 10]);
            $buffer->add(['id' => 7, 'v' => 'changed', 'n' => 10]);
            foreach ([1, 4, 7] as $id) {
                Child::report("changed {$id}", $buffer->find(Child::ORDERS, $id));
            }
            Child::hear();
            $buffer->flush();
            foreach (range(1, 8) as $id) {
                Child::report("committed {$id}", $buffer->find(Child::ORDERS, $id));
            }
            PHP);
        $child->waitFor('added');
        $this->awaitLockWait();
        $child->send();
        foreach (range(1, 7) as $id) {
            self::assertSame(Child::order($id), $child->reported("order {$id}"), $child->describe());
        }
        self::assertNull($child->reported('order 8'));
        foreach ([1, 4, 7] as $id) {
            self::assertSame(['id' => $id, 'v' => 'changed', 'n' => 11], $child->reported("changed {$id}"));
        }
        $this->releaseOrder($holder);
        $child->send();
        $this->assertEndsWell($child);
        foreach (range(1, 8) as $id) {
            self::assertNull($child->reported("committed {$id}"), $child->describe());
        }
        $changed = static fn (int $id): array => ['id' => $id, 'v' => 'changed', 'n' => 11];
        $this->assertSameRows(
            [$changed(1), Child::order(2), Child::order(3), $changed(4), Child::order(5), Child::order(6), $changed(7)],
            'SELECT id, v, n FROM ' . Child::ORDERS . ' ORDER BY id',
            $child,
        );
    }
}
