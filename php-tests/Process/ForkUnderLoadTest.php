<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/** Forks at any moment of the thread's work harm neither the parent nor the children. */
final class ForkUnderLoadTest extends ProcessTestCase
{
    public function testForksUnderLoadHarmNobody(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 1);
            Child::add($buffer, 1);
            $buffer->flush();
            $pids = [];
            $id = 1;
            while (count($pids) < 40) {
                Child::add($buffer, $id + 1, $id + 100);
                $id += 100;
                // Each fork meets a flusher that is at work.
                Child::await('a flusher at work', static function () use ($buffer, &$id): bool {
                    Child::add($buffer, ++$id);

                    return $buffer->getMetrics()['thread_state'] === 'writing';
                });
                $pids[] = Child::fork(static function (): void {});
            }
            $buffer->flush();
            $ends = Child::reapAll($pids);
            Child::report('ends', $ends);
            Child::report('orders', $id);
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            Child::report('threads', Child::flusherCount());
            PHP);
        self::assertSame(['exit 0' => 40], $child->reported('ends'), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        self::assertSame(1, $child->reported('threads'), $child->describe());
        $this->assertOrders(range(1, $child->reported('orders')), $child);
        $this->assertOneConnection($child);
    }

    public function testForksUnderLoadWhoseChildrenWriteHarmNobody(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 1);
            $pids = [];
            for ($id = 1; $id <= 2_000; $id++) {
                Child::add($buffer, $id);
                if ($id % 100 === 50) {
                    $pids[] = Child::fork(static function () use ($id): void {
                        global $buffer;
                        Child::add($buffer, 10_000 + $id, 10_000 + $id + 9);
                    });
                }
            }
            $ends = Child::reapAll($pids);
            Child::report('ends', $ends);
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        self::assertSame(['exit 0' => 20], $child->reported('ends'), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $ids = range(1, 2_000);
        for ($first = 10_050; $first < 12_000; $first += 100) {
            array_push($ids, ...range($first, $first + 9));
        }
        $this->assertOrders($ids, $child, 'id');
        self::assertCount(21, $this->writers(), $child->describe());
    }

    public function testForksWhileTheThreadConnectsForTheFirstTime(): void
    {
        // A library may be initializing itself at the moment of the fork. In the child nobody
        // completes that.
        for ($attempt = 1; $attempt <= 5; $attempt++) {
            $this->pdo()->exec('TRUNCATE ' . Child::ORDERS);
            $this->pdo()->exec('TRUNCATE ' . Child::TRADES);
            $child = $this->start(<<<'PHP'
                // A gate. Nobody writes to it, and a child reads its end when the parent has closed
                // it.
                $gate = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
                $buffer = Child::buffer(flushIntervalMs: 1);
                Child::add($buffer, 1, 10);
                for ($number = 1; $number <= 30; $number++) {
                    // The children leave the processor to the thread until all of them are forked.
                    $pids[] = Child::fork(static function () use ($number, $gate): void {
                        global $buffer;
                        fclose($gate[1]);
                        fgets($gate[0]);
                        Child::add($buffer, $number * 100, $number * 100 + 9);
                        $buffer->flush();
                    });
                }
                fclose($gate[1]);
                Child::report('ends', Child::reapAll($pids));
                PHP);
            self::assertSame(['exit 0' => 30], $child->reported('ends'), "attempt {$attempt}\n{$child->describe()}");
            $this->assertEndsWell($child);
            $ids = range(1, 10);
            for ($number = 1; $number <= 30; $number++) {
                array_push($ids, ...range($number * 100, $number * 100 + 9));
            }
            $this->assertOrders($ids, $child, 'id');
        }
    }
}
