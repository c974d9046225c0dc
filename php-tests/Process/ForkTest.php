<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * A fork leaves the parent's rows, thread and connection unharmed. The forked child starts with an
 * empty buffer, which it can use at once. If it only exits, it does so at once.
 */
final class ForkTest extends ProcessTestCase
{
    /** @return iterable<string, array{string, bool}> what happens to the buffer before the fork */
    public static function beforeTheFork(): iterable
    {
        $moments = [
            'before the first row' => '$added = 0;',
            'with rows in the open batch' => 'Child::add($buffer, 1, 2); $added = 2;',
            'with full batches' => 'Child::add($buffer, 1, 200); $added = 200;',
            'after a flush' => 'Child::add($buffer, 1, 5); $buffer->flush(); $added = 5;',
            'after a flush, with new rows' => 'Child::add($buffer, 1, 5); $buffer->flush(); Child::add($buffer, 6); $added = 6;',
            'after close' => 'Child::add($buffer, 1, 5); $buffer->close(); $buffer = Child::buffer(); $added = 5;',
        ];
        foreach ($moments as $name => $code) {
            yield "{$name}, background" => [$code, true];
            yield "{$name}, foreground" => [$code, false];
        }
    }

    /**
     * @dataProvider beforeTheFork
     */
    #[DataProvider('beforeTheFork')]
    public function testAChildThatOnlyExitsDoesNothing(string $before, bool $background): void
    {
        $child = $this->runToItsEnd(
            sprintf('$buffer = Child::buffer(background: %s); %s', var_export($background, true), $before) . <<<'PHP'
                $ends = ['exit(0);', 'unset($buffer); exit(0);', 'throw new Exception("from the child");',
                    'ini_set("memory_limit", "16M"); str_repeat("x", 1 << 28);', 'gc_collect_cycles(); exit(0);'];
                foreach ($ends as $end) {
                    $pid = Child::fork(static function () use ($end): void {
                        global $buffer;
                        ini_set('display_errors', '0');
                        eval($end);
                    });
                    Child::say(Child::reap($pid) . " after {$end}");
                }
                Child::add($buffer, $added + 1, $added + 10);
                $buffer->flush();
                Child::report('reconnects', $buffer->getMetrics()['reconnects']);
                Child::report('orders', $added + 10);
                PHP,
        );
        // A child that drained, or joined its parent's thread, would wait for ten minutes. reap()
        // says `hangs` sooner.
        self::assertSame(3, preg_match_all('/^exit 0 after/m', $child->said()), $child->describe());
        self::assertSame(2, preg_match_all('/^exit 255 after/m', $child->said()), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders(range(1, $child->reported('orders')), $child);
        if (!str_contains($before, 'close')) {
            $this->assertOneConnection($child);
        }
    }

    /**
     * @dataProvider beforeTheFork
     */
    #[DataProvider('beforeTheFork')]
    public function testAChildThatUsesTheBufferHasItsOwn(string $before, bool $background): void
    {
        $child = $this->runToItsEnd(
            sprintf('$buffer = Child::buffer(background: %s); %s', var_export($background, true), $before) . <<<'PHP'
                $pids = [];
                foreach (['flush();', 'close();', 'count();'] as $number => $call) {
                    $pids[] = Child::fork(static function () use ($number, $call): void {
                        global $buffer;
                        $said = [count($buffer), $buffer->getMetrics()['rows_added'], $buffer->find(Child::ORDERS, 1)];
                        Child::report("empty {$number}", $said);
                        Child::add($buffer, 1001 + 100 * $number, 1010 + 100 * $number);
                        Child::report("pid {$number}", $buffer->getMetrics()['pid'] === getmypid());
                        eval("\$buffer->{$call}");
                    });
                }
                Child::add($buffer, $added + 1, $added + 10);
                foreach ($pids as $pid) {
                    Child::say(Child::reap($pid));
                }
                $buffer->flush();
                Child::report('reconnects', $buffer->getMetrics()['reconnects']);
                Child::report('orders', $added + 10);
                PHP,
        );
        self::assertSame(3, substr_count($child->said(), "exit 0\n"), $child->describe());
        for ($number = 0; $number < 3; $number++) {
            self::assertSame([0, 0, null], $child->reported("empty {$number}"), $child->describe());
            self::assertTrue($child->reported("pid {$number}"), $child->describe());
        }
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $orders = $child->reported('orders');
        $this->assertOrders(
            [...range(1, $orders), ...range(1001, 1010), ...range(1101, 1110), ...range(1201, 1210)],
            $child,
            'id',
        );
        // Each process wrote its own rows over its own connection.
        $connections = $this->rows(
            Child::TRADES . ' GROUP BY connection, IF(order_id < 1001, 0, order_id DIV 100)',
            'connection',
            '1',
        );
        $connections = array_column($connections, 'connection');
        self::assertSame(array_values(array_unique($connections)), $connections, $child->describe());
    }

    /** Each lane has its own thread and connection. All of them are the parent's. */
    public function testLanesStayWithTheParent(): void
    {
        $child = $this->runToItsEnd(
            <<<'PHP'
                $buffer = Child::buffer(background: true, lanes: 4, routeBy: 'id');
                Child::add($buffer, 1, 400);
                $buffer->flush();
                Child::add($buffer, 401, 600);
                foreach (['exit(0);', 'Child::add($buffer, 1001, 1100); $buffer->flush(); exit(0);'] as $act) {
                    $pids[] = Child::fork(static function () use ($act): void {
                        global $buffer;
                        eval('use WriteBuffer\Tests\Process\Support\Child; ' . $act);
                    });
                }
                Child::add($buffer, 601, 800);
                foreach ($pids as $pid) {
                    Child::say(Child::reap($pid));
                }
                Child::add($buffer, 801, 900);
                $buffer->flush();
                $lanes = $buffer->getMetrics()['lane_metrics'];
                Child::report('reconnects', array_sum(array_column($lanes, 'reconnects')));
                Child::report('lanes', count(array_filter(array_column($lanes, 'rows_committed'))));
                PHP,
        );
        self::assertSame(2, substr_count($child->said(), "exit 0\n"), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        self::assertSame(4, $child->reported('lanes'), $child->describe());
        $this->assertOrders([...range(1, 900), ...range(1001, 1100)], $child, 'order_id, id');
    }

    public function testAForkWhileABatchWaitsForALock(): void
    {
        $holder = $this->holdOrder(1);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer();
            Child::add($buffer, 1, 10);
            Child::say('waits');
            Child::hear();
            Child::say(Child::reap(Child::fork(static function (): void {})));
            Child::say(Child::reap(Child::fork(static function (): void {
                global $buffer;
                Child::add($buffer, 101, 110);
                $buffer->flush();
                Child::report('in the child', count($buffer));
            })));
            Child::say('forked');
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        $child->waitFor('waits');
        $this->awaitLockWait();
        $child->send();
        $child->waitFor('forked');
        self::assertSame(2, substr_count($child->said(), "exit 0\n"), $child->describe());
        self::assertSame(0, $child->reported('in the child'));
        // The child's rows are there, the parent's still wait.
        self::assertSame(10, $this->orderCount());
        $this->releaseOrder($holder);
        $this->assertEndsWell($child);
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders([...range(1, 10), ...range(101, 110)], $child, 'id');
    }

    public function testGrandchildren(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer();
            Child::add($buffer, 1, 10);
            $generation = static function (int $number) use (&$generation): void {
                global $buffer;
                if ($number > 3) {
                    return;
                }
                $pid = Child::fork(static function () use ($number, $generation): void {
                    global $buffer;
                    Child::report("empty {$number}", count($buffer));
                    if ($number !== 2) {
                        Child::add($buffer, $number * 100 + 1, $number * 100 + 10);
                    }
                    $generation($number + 1);
                });
                Child::say(Child::reap($pid));
            };
            $generation(1);
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        self::assertSame(3, substr_count($child->said(), "exit 0\n"), $child->describe());
        foreach ([1, 2, 3] as $number) {
            self::assertSame(0, $child->reported("empty {$number}"), $child->describe());
        }
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders([...range(1, 10), ...range(101, 110), ...range(301, 310)], $child, 'id');
        self::assertCount(3, $this->writers(), $child->describe());
    }

    /**
     * @dataProvider bothKinds
     */
    #[DataProvider('bothKinds')]
    public function testAForkInsideAddsOwnConversion(bool $background): void
    {
        // The call returns in both processes, so both have added a group.
        $child = $this->runToItsEnd(<<<'PHP'
            final class Forking
            {
                public int $pid = 0;

                public function toArray(): array
                {
                    $this->pid = pcntl_fork();

                    return Child::order($this->pid === 0 ? 12 : 11);
                }
            }
            $buffer = Child::buffer(background: $argv[1] === '1');
            Child::add($buffer, 1, 10);
            $forking = new Forking();
            $buffer->add($forking, [['id' => 0, 'order_id' => 0]]);
            if ($forking->pid !== 0) {
                Child::say(Child::reap($forking->pid));
            }
            PHP, [$background ? '1' : '0']);
        self::assertSame("exit 0\n", $child->said(), $child->describe());
        $this->assertSameRows(
            array_map(Child::order(...), range(1, 12)),
            'SELECT id, v, n FROM ' . Child::ORDERS . ' ORDER BY id',
            $child,
        );
        self::assertSame('2', $this->value('SELECT COUNT(*) FROM ' . Child::TRADES . ' WHERE id = 0'));
    }

    /** @return iterable<string, array{bool}> */
    public static function bothKinds(): iterable
    {
        yield 'background' => [true];
        yield 'foreground' => [false];
    }

    public function testAForkInASignalHandlerWhileFlushWaits(): void
    {
        // In the child the handler returns into a flush(), but the thread is the parent's.
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            pcntl_async_signals(true);
            $pid = 0;
            $isChild = false;
            pcntl_signal(SIGUSR1, static function () use (&$pid, &$isChild): void {
                $pid = pcntl_fork();
                $isChild = $pid === 0;
                Child::say($isChild ? 'the child' : 'the parent');
            });
            $buffer = Child::buffer();
            Child::add($buffer, 1, 4);
            Child::say('waits');
            $buffer->flush();
            if ($isChild) {
                Child::report('in the child', count($buffer));
                exit(0);
            }
            Child::say(Child::reap($pid));
            PHP);
        $child->waitFor('waits');
        $this->awaitLockWait();
        $child->signal(SIGUSR1);
        $child->waitFor('the parent');
        $child->waitFor('the child');
        $this->releaseOrder($holder);
        $this->assertEndsWell($child);
        self::assertStringContainsString("exit 0\n", $child->said(), $child->describe());
        self::assertSame(0, $child->reported('in the child'));
        $this->assertOrders([1, 2, 3, 4], $child);
    }

    public function testAPersistentBufferIsTheParentsAlone(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(persistent: 'orders');
            Child::add($buffer, 1, 5);
            $buffer->flush();
            // Less than a batch, and no flush() before the forks. A child that took the row for its
            // own would write it, or wait for it.
            Child::add($buffer, 6);
            $sockets = static fn (): int => count(array_filter(
                scandir('/proc/self/fd'),
                static fn (string $fd): bool => str_starts_with((string) @readlink("/proc/self/fd/{$fd}"), 'socket:'),
            ));
            Child::report('sockets before', $sockets());
            $ends = [];
            $ends[] = Child::reap(Child::fork(static function (): void {}));
            $ends[] = Child::reap(Child::fork(static function () use ($sockets): void {
                global $buffer;
                Child::report('empty', count($buffer));
                Child::report('sockets in the child', $sockets());
                // The end of the module writes it.
                Child::add($buffer, 101, 110);
            }));
            $ends[] = Child::reap(Child::fork(static function (): void {
                $again = Child::buffer(persistent: 'orders');
                Child::report('empty again', count($again));
                Child::add($again, 201, 210);
                $again->flush();
            }));
            // When this child ends, no object uses the buffer. So the end of the module is the
            // first to look at it.
            unset($buffer);
            $ends[] = Child::reap(Child::fork(static function (): void {}));
            $buffer = Child::buffer(persistent: 'orders');
            Child::report('ends', $ends);
            Child::report('pending', count($buffer));
            Child::add($buffer, 7, 10);
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        // A child that drained, or joined its parent's thread, would wait for ten minutes. reap()
        // says `hangs` sooner.
        self::assertSame(array_fill(0, 4, 'exit 0'), $child->reported('ends'), $child->describe());
        self::assertSame([0, 0], [$child->reported('empty'), $child->reported('empty again')], $child->describe());
        // The copy of the parent's connection is closed in the child.
        self::assertSame($child->reported('sockets before') - 1, $child->reported('sockets in the child'));
        self::assertSame(Child::ROWS_PER_GROUP, $child->reported('pending'), $child->describe());
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders([...range(1, 10), ...range(101, 110), ...range(201, 210)], $child, 'id');
        self::assertCount(3, $this->writers(), $child->describe());
    }

    /**
     * @dataProvider bothKinds
     */
    #[DataProvider('bothKinds')]
    public function testAChildHoldsNoConnectionOfItsParent(bool $background): void
    {
        // While a child has a copy of the socket, the session of a parent that has gone would live
        // on, with its locks.
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(background: $argv[1] === '1');
            $sockets = static fn (): int => count(array_filter(
                scandir('/proc/self/fd'),
                static fn (string $fd): bool => str_starts_with((string) @readlink("/proc/self/fd/{$fd}"), 'socket:'),
            ));
            $before = $sockets();
            Child::add($buffer, 1);
            $buffer->flush();
            Child::report('in the parent', $sockets() - $before);
            Child::say(Child::reap(Child::fork(static function () use ($sockets, $before): void {
                global $buffer;
                Child::report('at first', $sockets() - $before);
                count($buffer);
                Child::report('afterwards', $sockets() - $before);
            })));
            PHP, [$background ? '1' : '0']);
        self::assertSame(
            [1, 0, 0],
            array_map($child->reported(...), ['in the parent', 'at first', 'afterwards']),
            $child->describe(),
        );
        $this->assertOrders([1], $child);
    }

    /**
     * A fork amid a handshake: the server has not said a word yet.
     *
     * @dataProvider ways
     */
    #[DataProvider('ways')]
    public function testAChildHoldsNoConnectionThatItsParentIsMaking(string $address, string $dsn): void
    {
        $path = sys_get_temp_dir() . '/wb-silent-' . bin2hex(random_bytes(6));
        $server = stream_socket_server(str_replace('PATH', $path, $address), $code, $error);
        self::assertIsResource($server, "{$code} {$error}");
        $port = (string) substr((string) strrchr(stream_socket_get_name($server, false), ':'), 1);
        try {
            $child = $this->start(<<<'PHP'
                $sockets = static fn (): int => count(array_filter(
                    scandir('/proc/self/fd'),
                    static fn (string $fd): bool => str_starts_with((string) @readlink("/proc/self/fd/{$fd}"), 'socket:'),
                ));
                $before = $sockets();
                $buffer = new WriteBuffer($argv[1] . 'connect_timeout_ms=600000', background: true, flushIntervalMs: 1);
                $buffer->put('t', ['id' => 1]);
                Child::await('the connection', static fn (): bool => $sockets() > $before);
                Child::hear();
                $own = $sockets() - $before;
                Child::fork(static function () use ($sockets, $before, $own): void {
                    Child::report('sockets', [$own, $sockets() - $before]);
                });
                Child::hear();
                PHP, [strtr($dsn, ['PATH' => $path, 'PORT' => $port])]);
            $accepted = stream_socket_accept($server, 120);
            self::assertIsResource($accepted, $child->describe());
            $child->send('fork');
            $child->waitFor('sockets=');
            self::assertSame([1, 0], $child->reported('sockets'), $child->describe());
            $child->kill();
        } finally {
            fclose($server);
            @unlink($path);
        }
    }

    /** @return iterable<string, array{string, string}> where a server listens, and the DSN */
    public static function ways(): iterable
    {
        yield 'TCP' => ['tcp://127.0.0.1:0', 'mysql://u@127.0.0.1:PORT/d?'];
        yield 'a unix socket' => ['unix://PATH', 'mysql://u@localhost/d?unix_socket=PATH&'];
    }

    /**
     * @dataProvider bothKinds
     */
    #[DataProvider('bothKinds')]
    public function testAKilledParentsSessionEndsThoughAChildLives(bool $background): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(background: $argv[1] === '1');
            Child::add($buffer, 1);
            $buffer->flush();
            // It never touches the buffer.
            Child::say('forked ' . Child::fork(static fn () => pause()));
            Child::hear();
            function pause(): void
            {
                while (true) {
                    sleep(1);
                }
            }
            PHP, [$background ? '1' : '0']);
        $forked = (int) explode(' ', $child->waitFor('forked'))[1];
        try {
            $child->signal(SIGKILL);
            $this->awaitNoConnections();
            self::assertTrue(posix_kill($forked, 0), 'the child lives');
        } finally {
            posix_kill($forked, SIGKILL);
        }
        $this->assertOrders([1], $child);
    }
}
