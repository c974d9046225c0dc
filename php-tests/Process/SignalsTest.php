<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * Signals reach PHP as if there were no other thread, also while `flush()` waits. A killed process
 * loses only what count() said.
 */
final class SignalsTest extends ProcessTestCase
{
    /**
     * SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGKILL, SIGSTOP: faults, and what can't
     * be blocked.
     */
    private const OPEN_SIGNALS = [4, 5, 6, 7, 8, 9, 11, 19];

    public function testTheThreadBlocksSignalsAndHasAName(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer();
            pcntl_sigprocmask(SIG_BLOCK, [SIGUSR2]);
            Child::add($buffer, 1);
            Child::await('a thread with the name', static fn () => Child::flusherCount() > 0);
            foreach (Child::flushers() as $folder) {
                Child::report('thread', ['blocked' => Child::status($folder, 'SigBlk')]);
            }
            Child::report('main', Child::status('/proc/self', 'SigBlk'));
            Child::report('threads', Child::flusherCount());
            PHP);
        self::assertSame(1, $child->reported('threads'));
        // The lower half, because the whole would become a float. The upper half is for real-time
        // signals.
        $mask = hexdec(substr($child->reported('thread')['blocked'], -8));
        for ($signal = 1; $signal <= 31; $signal++) {
            $isBlocked = ($mask >> ($signal - 1) & 1) === 1;
            self::assertSame(!in_array($signal, self::OPEN_SIGNALS, true), $isBlocked, "signal {$signal}");
        }
        self::assertSame(1 << (SIGUSR2 - 1), hexdec($child->reported('main')), "PHP's own mask has changed");
    }

    public function testEveryHandlerRunsWhileTheThreadWorks(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            pcntl_async_signals(true);
            $handled = 0;
            pcntl_signal(SIGUSR1, static function () use (&$handled): void { $handled++; });
            $buffer = Child::buffer();
            for ($sent = 1; $sent <= 500; $sent++) {
                Child::add($buffer, $sent);
                // The kernel delivers it before this returns, unless another thread can take it.
                posix_kill(getmypid(), SIGUSR1);
                if ($handled !== $sent) {
                    Child::say("signal {$sent} came late: {$handled} handled");
                    exit(1);
                }
            }
            Child::report('handled', $handled);
            PHP);
        self::assertSame(500, $child->reported('handled'));
        $this->assertOrders(range(1, 500), $child);
    }

    public function testAnAlarmComesWhileTheThreadWorks(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            pcntl_async_signals(true);
            $isRung = false;
            pcntl_signal(SIGALRM, static function () use (&$isRung): void { $isRung = true; });
            $buffer = Child::buffer();
            pcntl_alarm(1);
            $id = 0;
            Child::await('the alarm', static function () use ($buffer, &$isRung, &$id): bool {
                Child::add($buffer, ++$id);

                return $isRung;
            });
            Child::report('rung', $isRung);
            Child::report('orders', $id);
            PHP);
        self::assertTrue($child->reported('rung'));
        $this->assertOrders(range(1, $child->reported('orders')), $child);
    }

    /**
     * @return iterable<string, array{string, string, list<int>}> a handler's code, what flush()
     *         does then, what it adds
     */
    public static function handlers(): iterable
    {
        yield 'says something' => ['', 'returned', []];
        yield 'adds to the same buffer' => ['Child::add($buffer, 50);', 'returned', [50]];
        yield 'asks the same buffer' => [
            'if (count($buffer) !== 12 || $buffer->find(Child::ORDERS, 3)["v"] !== "order 3") { exit(9); }'
                . ' $buffer->getMetrics(); $buffer->isFull(); $buffer->takeFailures();',
            'returned',
            [],
        ];
        yield 'flushes the same buffer, for a while' => [
            '$thrown = Child::thrownBy(static fn () => $buffer->flush(50));'
                . ' if ($thrown[0] !== WriteBuffer\TimeoutException::class) { throw new LogicException(implode(": ", $thrown)); }',
            'returned',
            [],
        ];
        yield 'drops the only variable of the buffer' => ['unset($GLOBALS["buffer"]);', 'returned', []];
        yield 'throws' => ['throw new DomainException("from the handler");', 'DomainException: from the handler', []];
        yield 'adds, and throws' => [
            'Child::add($buffer, 50); throw new DomainException("from the handler");',
            'DomainException: from the handler',
            [50],
        ];
    }

    /**
     * @dataProvider handlers
     *
     * @param list<int> $added
     */
    #[DataProvider('handlers')]
    public function testAHandlerRunsWhileFlushWaits(string $handler, string $outcome, array $added): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush($handler, 'flush');
        $this->interrupt($child);
        if ($outcome === 'returned') {
            // The handler has run, and flush() still waits for the lock.
            self::assertStringNotContainsString($outcome, $child->said());
        } else {
            // What the handler threw comes out of flush() while the lock is still held.
            $child->waitFor($outcome);
        }
        $this->releaseOrder($holder);
        $child->waitFor($outcome);
        $this->assertEndsWell($child);
        $this->assertOrders([1, 2, 3, 4, ...$added], $child);
    }

    public function testManyHandlersRunWhileFlushWaits(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush('Child::say("number " . ++$GLOBALS["handled"]);', 'flush');
        for ($number = 1; $number <= 30; $number++) {
            $child->signal(SIGUSR1);
            $child->waitFor("number {$number}");
        }
        $this->releaseOrder($holder);
        $child->waitFor('returned');
        $this->assertEndsWell($child);
        $this->assertOrders([1, 2, 3, 4], $child);
    }

    public function testAHandlerRunsWhileCloseWaits(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush('', 'close');
        $this->interrupt($child);
        self::assertStringNotContainsString('returned', $child->said());
        $this->releaseOrder($holder);
        $child->waitFor('returned');
        $this->assertEndsWell($child);
        $this->assertOrders([1, 2, 3, 4], $child);
    }

    public function testAHandlerRunsWhileAddWaitsForRoom(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGUSR1, static function (): void { Child::say('handled'); });
            $buffer = Child::buffer(maxPendingRows: 12, overflowTimeoutMs: 600_000);
            Child::add($buffer, 1, 4);
            Child::say('waits');
            Child::add($buffer, 5);
            Child::say('returned');
            PHP);
        $this->awaitCall($child);
        $this->interrupt($child);
        self::assertStringNotContainsString('returned', $child->said());
        $this->releaseOrder($holder);
        $child->waitFor('returned');
        $this->assertEndsWell($child);
        $this->assertOrders([1, 2, 3, 4, 5], $child);
    }

    public function testAHandlerThatExitsEndsAWaitingFlushAndTheRowsAreWritten(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush('Child::say("exits"); exit(3);', 'flush');
        $this->interrupt($child, 'exits');
        $this->releaseOrder($holder);
        self::assertSame(['exit 3', ''], [$child->finish(), $child->complained()], $child->describe());
        $this->assertOrders([1, 2, 3, 4], $child);
    }

    /**
     * Starts a child that waits in flush() or close(). Its first batch waits for a lock of the
     * test.
     */
    private function startBlockedFlush(string $handler, string $method): ChildProcess
    {
        $child = $this->start(<<<PHP
            pcntl_async_signals(true);
            \$handled = 0;
            pcntl_signal(SIGUSR1, static function () {
                global \$buffer;
                try {
                    {$handler}
                } finally {
                    Child::say('handled');
                }
            });
            \$buffer = Child::buffer();
            Child::add(\$buffer, 1, 3);
            // Later the thread might take the fourth one, too.
            Child::await('the first batch', static fn () => \$buffer->getMetrics()['thread_state'] === 'writing');
            Child::add(\$buffer, 4);
            Child::say('waits');
            try {
                \$buffer->{$method}();
                Child::say('returned');
            } catch (DomainException \$thrown) {
                Child::say(\$thrown::class . ': ' . \$thrown->getMessage());
            }
            PHP);
        $this->awaitCall($child);

        return $child;
    }

    /**
     * Waits until a child that has said so waits in a call for its thread, and the thread for a
     * lock. A signal that came before the call would be handled before it.
     */
    private function awaitCall(ChildProcess $child): void
    {
        $child->waitFor('waits');
        $this->awaitLockWait();
        $main = "/proc/{$child->pid()}/task/{$child->pid()}";
        // Behind what it said, nothing else lets it sleep.
        self::await('a call that waits', static fn (): bool => Child::status($main, 'State')[0] === 'S', $child);
    }

    /**
     * Sends a signal, and waits until its handler has printed a word. A waiting call looks for
     * signals every 20 ms, so half a minute is enough on any machine.
     */
    private function interrupt(ChildProcess $child, string $word = 'handled'): void
    {
        $child->signal(SIGUSR1);
        $child->waitFor($word, 30.0);
    }

    /** @return iterable<string, array{int, bool}> */
    public static function killers(): iterable
    {
        foreach (['SIGINT' => SIGINT, 'SIGTERM' => SIGTERM, 'SIGKILL' => SIGKILL] as $name => $signal) {
            yield "{$name}, background" => [$signal, true];
            yield "{$name}, foreground" => [$signal, false];
        }
    }

    /**
     * @dataProvider killers
     */
    #[DataProvider('killers')]
    public function testAKilledProcessLosesAtMostWhatCountSaid(int $signal, bool $background): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(background: $argv[1] === '1', flushIntervalMs: 5);
            for ($id = 1; ; $id++) {
                Child::add($buffer, $id);
                Child::say("{$id} " . count($buffer));
                // However slow the server is, the buffer is never full.
                Child::await('room', static fn () => count($buffer) < 3_000);
            }
            PHP, [$background ? '1' : '0']);
        // At this moment it writes, and has more to write.
        $this->awaitOrders(300, $child);
        $child->signal($signal);
        self::assertSame("signal {$signal}", $child->finish(), $child->describe());
        $this->awaitNoConnections();
        // The last line may have been cut off.
        self::assertSame(1, preg_match('/(\d+) (\d+)\n[^\n]*\z/', $child->said(), $match), $child->describe());
        [, $added, $pending] = array_map('intval', $match);
        $written = $this->orderCount();
        self::assertGreaterThanOrEqual(
            $added * Child::ROWS_PER_GROUP - $pending,
            $written * Child::ROWS_PER_GROUP,
            "{$added} orders were added, {$pending} rows pending, {$written} orders written",
        );
        // The orders from the first on are there, in order, whole and once.
        $this->assertOrders(range(1, $written), $child);
        self::assertSame('', $child->complained(), $child->describe());
    }

    /**
     * @dataProvider deadlySignals
     */
    #[DataProvider('deadlySignals')]
    public function testADeadlySignalEndsAWaitingFlush(int $signal): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush('', 'flush');
        $child->signal($signal);
        self::assertSame("signal {$signal}", $child->finish(), $child->describe());
        $this->releaseOrder($holder);
        $this->awaitNoConnections();
        // The first batch has three orders. Its transaction is there or not, but never a part of
        // it.
        $written = $this->orderCount();
        self::assertContains($written, [0, 3], $child->describe());
        $this->assertOrders($written === 0 ? [] : [1, 2, 3], $child);
    }

    /** @return iterable<string, array{int}> */
    public static function deadlySignals(): iterable
    {
        yield 'SIGINT' => [SIGINT];
        yield 'SIGTERM' => [SIGTERM];
    }

    public function testAHandlerThatPhpDispatchesItselfDoesNotDisturbFlush(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            $handled = 0;
            pcntl_signal(SIGUSR1, static function () use (&$handled): void { $handled++; });
            $buffer = Child::buffer();
            Child::add($buffer, 1, 4);
            Child::say('waits');
            $buffer->flush();
            Child::report('during', $handled);
            pcntl_signal_dispatch();
            Child::report('after', $handled);
            PHP);
        $this->awaitCall($child);
        $child->signal(SIGUSR1);
        $this->releaseOrder($holder);
        $this->assertEndsWell($child);
        self::assertSame([0, 1], [$child->reported('during'), $child->reported('after')]);
        $this->assertOrders([1, 2, 3, 4], $child);
    }

    public function testTheTimeLimitEndsAWaitingFlush(): void
    {
        ob_start();
        phpinfo(INFO_GENERAL);
        $countsRealTime = preg_match('/Max Execution Timers => enabled/', (string) ob_get_clean()) === 1;
        $holder = $this->holdOrder(2);
        $child = $this->startBlockedFlush($countsRealTime ? 'set_time_limit(1);' : 'set_time_limit(1_000);', 'flush');
        $this->interrupt($child);
        if (!$countsRealTime) {
            // The limit counts computing, not waiting. With this signal the kernel tells PHP that
            // it is over.
            $child->signal(SIGPROF);
        }
        // The lock is held until PHP has noticed.
        self::await(
            'the end of the time',
            static fn (): bool => str_contains($child->complained(), 'Maximum execution time'),
            $child,
        );
        $this->releaseOrder($holder);
        self::assertSame('exit 255', $child->finish(), $child->describe());
        $this->assertOrders([1, 2, 3, 4], $child);
    }
}
