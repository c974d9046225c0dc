<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/** What a forked child has of its parent: the tables in memory, and descriptors. */
final class InheritanceTest extends ProcessTestCase
{
    public function testForksWhileTheTablesInMemoryChange(): void
    {
        // The flusher holds the tables' lock for most of the time.
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = new WriteBuffer('memory:', background: true, batchSize: 1, flushIntervalMs: 1);
            for ($round = 0; $round < 300; $round++) {
                for ($id = 0; $id < 20; $id++) {
                    $buffer->put('t', ['id' => $round * 20 + $id, 'v' => str_repeat('v', 50)]);
                }
                $pid = Child::fork(static function () use ($round): void {
                    global $buffer;
                    $rows = WriteBuffer\MemorySink::tables()['t'] ?? [];
                    $buffer->put('t', ['id' => -1, 'v' => 'child']);
                    $buffer->flush();
                    exit(count(WriteBuffer\MemorySink::tables()['t']) === count($rows) + 1 ? 0 : 1);
                });
                $ends[] = Child::reap($pid, 5.0);
                if (end($ends) !== 'exit 0') {
                    break;
                }
            }
            Child::report('ends', array_count_values($ends));
            PHP);
        self::assertSame(['exit 0' => 300], $child->reported('ends'), $child->describe());
    }

    public function testAChildThatClosedItsParentsConnectionKeepsTheFileInItsPlace(): void
    {
        if (!extension_loaded('ffi')) {
            self::markTestSkipped('the extension ffi is needed to close a descriptor');
        }
        $child = $this->runToItsEnd(<<<'PHP'
            $sockets = static function (): array {
                $found = [];
                foreach (glob('/proc/self/fd/*') ?: [] as $link) {
                    $target = @readlink($link);
                    if (is_string($target) && str_starts_with($target, 'socket:')) {
                        $found[] = (int) basename($link);
                    }
                }
                return $found;
            };
            $libc = FFI::cdef('int dup2(int from, int to);');
            $before = $sockets();
            $buffer = Child::buffer(background: false);
            Child::add($buffer, 1, 2);
            $buffer->flush();
            $connections = array_values(array_diff($sockets(), $before));
            Child::report('connections', count($connections));
            $file = tmpfile();
            $number = 0;
            foreach (glob('/proc/self/fd/*') ?: [] as $link) {
                if (@readlink($link) === stream_get_meta_data($file)['uri']) {
                    $number = (int) basename($link);
                }
            }
            $pid = Child::fork(static function () use ($libc, $connections, $number): void {
                global $buffer;
                $libc->dup2($number, $connections[0]);
                $count = count($buffer);
                // Where the buffer closed it, this number is free.
                Child::report('in its place', is_string(@readlink("/proc/self/fd/{$connections[0]}")) && $count === 0);
            });
            Child::say(Child::reap($pid));
            $pid = Child::fork(static function () use ($connections): void {
                global $buffer;
                count($buffer);
                Child::report('untouched', is_string(@readlink("/proc/self/fd/{$connections[0]}")));
            });
            Child::say(Child::reap($pid));
            Child::add($buffer, 3, 4);
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        self::assertSame(1, $child->reported('connections'), $child->describe());
        self::assertTrue($child->reported('in its place'), $child->describe());
        // A child that touched nothing has its copy of the connection closed.
        self::assertFalse($child->reported('untouched'), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders(range(1, 4), $child);
    }
}
