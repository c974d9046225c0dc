<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * No thread before there is something to write, no wake-up while there is nothing, nothing left
 * behind.
 */
final class FootprintTest extends ProcessTestCase
{
    public function testTheThreadComesWithTheFirstRowAndGoesWithTheBuffer(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $tasks = static fn (): int => count(glob('/proc/self/task/*'));
            $alone = $tasks();
            $buffer = Child::buffer();
            $buffer->add([]);
            $buffer->flush();
            $buffer->isFull();
            $buffer->find(Child::ORDERS, 1);
            Child::report('before', [$tasks() - $alone, $buffer->getMetrics()['thread_state']]);
            Child::add($buffer, 1);
            Child::await('a thread', static fn () => Child::flusherCount() === 1);
            Child::report('with rows', $tasks() - $alone);
            $buffer->flush();
            Child::add($buffer, 2, 10);
            Child::report('with more rows', $tasks() - $alone);
            unset($buffer);
            Child::await('no thread', static fn () => $tasks() === $alone);
            Child::report('threads', Child::flusherCount());
            PHP);
        self::assertSame([0, 'none'], $child->reported('before'));
        self::assertSame(1, $child->reported('with rows'));
        self::assertSame(1, $child->reported('with more rows'));
        self::assertSame(0, $child->reported('threads'));
        $this->assertOrders(range(1, 10), $child);
    }

    public function testABufferWithoutRowsEndsWithoutAConnection(): void
    {
        $before = (int) $this->value("SHOW GLOBAL STATUS WHERE Variable_name = 'Connections'", 1);
        $child = $this->runToItsEnd('$buffer = Child::buffer(); $buffer->flush(); $buffer->close(); unset($buffer);');
        $after = (int) $this->value("SHOW GLOBAL STATUS WHERE Variable_name = 'Connections'", 1);
        self::assertSame($before, $after, $child->describe());
    }

    public function testTheEndOfAProcessWaitsForTheThreadToLeave(): void
    {
        // A session whose client goes without COM_QUIT is an aborted one, and a warning in the
        // server's log.
        $aborted = fn (): int => (int) $this->value("SHOW GLOBAL STATUS LIKE 'Aborted_clients'", 1);
        for ($id = 1; $id <= 10; $id++) {
            $child = $this->start(<<<'PHP'
                $buffer = Child::buffer();
                Child::add($buffer, (int) $argv[1]);
                $buffer->flush();
                Child::say('written');
                Child::hear();
                PHP, [(string) $id]);
            $child->waitFor('written');
            $before = [$this->ledgerRows() - 1, $aborted()];
            $began = hrtime(true);
            $child->send();
            $this->assertEndsWell($child);
            $isInTime = hrtime(true) - $began < self::GOODBYE_NS;
            $this->awaitNoConnections();
            // The wait for the thread's last words has a bound, which a busy machine may reach.
            if ($isInTime) {
                self::assertSame($before, [$this->ledgerRows(), $aborted()], "end {$id}\n{$child->describe()}");
            }
        }
        $this->assertOrders(range(1, 10), $child);
    }

    private function ledgerRows(): int
    {
        return (int) $this->value('SELECT COUNT(*) FROM write_buffer_ledger');
    }

    public function testAThreadWithNothingToDoSleeps(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $switches = static function (): int {
                $folder = Child::flushers()[0];
                return (int) Child::status($folder, 'voluntary_ctxt_switches')
                    + (int) Child::status($folder, 'nonvoluntary_ctxt_switches');
            };
            $buffer = Child::buffer(flushIntervalMs: 1);
            Child::add($buffer, 1, 100);
            Child::awaitIdle($buffer);
            // It goes to sleep right after it says that it is idle. A thread that waits for a
            // processor is running (R).
            $state = static fn (): string => Child::status(Child::flushers()[0], 'State')[0];
            Child::await('a thread that sleeps', static fn () => $state() === 'S');
            $before = $switches();
            // How long the test looks. Nothing has to happen within this time.
            sleep(1);
            Child::report('wake-ups', $switches() - $before);
            Child::report('cpu', array_slice(explode(' ', file_get_contents(Child::flushers()[0] . '/stat')), 13, 2));
            PHP);
        self::assertSame(0, $child->reported('wake-ups'), $child->describe());
        $this->assertOrders(range(1, 100), $child);
    }

    /** @return iterable<string, array{bool}> */
    public static function bothKinds(): iterable
    {
        yield 'background' => [true];
        yield 'foreground' => [false];
    }

    /**
     * @dataProvider bothKinds
     */
    #[DataProvider('bothKinds')]
    public function testBuffersByTheThousandLeaveNothingBehind(bool $background): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $look = static fn (): array => [
                'threads' => count(glob('/proc/self/task/*')),
                'files' => count(scandir('/proc/self/fd')),
                'kilobytes' => (int) Child::status('/proc/self', 'VmRSS'),
            ];
            $database = Child::connect();
            $connected = static fn (): int => (int) $database->query("SHOW STATUS LIKE 'Threads_connected'")->fetchColumn(1);
            $next = 1;
            $use = static function (int $times) use (&$next, $argv): void {
                for (; $times > 0; $times--) {
                    $buffer = Child::buffer(background: $argv[1] === '1');
                    Child::add($buffer, $next++);
                    unset($buffer);
                }
            };
            // A thread that was told to end still needs a moment.
            $rest = static fn () => Child::await('no thread', static fn () => $look()['threads'] === 1);
            $use(200);
            $rest();
            $before = $look();
            $use(1_000);
            $rest();
            Child::await('no session', static fn () => $connected() <= (int) $argv[2] + 1);
            Child::report('before', $before);
            Child::report('after', $look());
            PHP, [$background ? '1' : '0', (string) $this->value("SHOW STATUS LIKE 'Threads_connected'", 1)]);
        $before = $child->reported('before');
        $after = $child->reported('after');
        self::assertSame(1, $after['threads']);
        self::assertSame($before['files'], $after['files']);
        self::assertLessThan(4_096, $after['kilobytes'] - $before['kilobytes'], $child->describe());
        $this->assertOrders(range(1, 1_200), $child);
    }

    public function testAThreadThatWasGivenUpEndsWhenTheServerAnswers(): void
    {
        $holder = $this->holdOrder(2);
        $child = $this->start(<<<'PHP'
            $alone = count(glob('/proc/self/task/*'));
            $buffer = Child::buffer(shutdownTimeoutMs: 200);
            Child::add($buffer, 1, 10);
            Child::say('added');
            Child::hear();
            ini_set('display_errors', '0');
            unset($buffer);
            Child::report('warning', error_get_last()['message'] ?? 'none');
            Child::hear();
            Child::await('no thread', static fn () => count(glob('/proc/self/task/*')) === $alone);
            Child::say('gone');
            Child::hear();
            PHP);
        $child->waitFor('added');
        $this->awaitLockWait();
        $child->send();
        // The warning came while the lock is held, so the end of the buffer waited for its own time
        // only.
        self::assertStringStartsWith(
            'WriteBuffer: lost 30 buffered rows: ' . self::setting('DB_HOST') . ':' . self::setting('DB_PORT') . '/'
                . self::setting('DB_DATABASE') . ' did not take them within 200 ms: it has not answered the statements',
            $child->reported('warning'),
        );
        $this->releaseOrder($holder);
        $child->send();
        $child->waitFor('gone');
        $this->awaitNoConnections();
        $child->send();
        $this->assertEndsWell($child);
        // The transaction that was under way is not committed: its rows were said to be lost.
        $this->assertOrders([], $child);
    }

    public function testALongLifeDoesNotGrow(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(batchSize: 100);
            $next = 1;
            $use = static function (int $times) use (&$next, $buffer): int {
                for (; $times > 0; $times--) {
                    Child::add($buffer, $next, $next + 49);
                    $next += 50;
                    $buffer->flush();
                }
                return (int) Child::status('/proc/self', 'VmRSS');
            };
            $before = $use(100);
            Child::report('kilobytes', $use(500) - $before);
            $statements = Child::connect()->query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")->fetchColumn(1);
            Child::report('statements', (int) $statements);
            PHP);
        self::assertLessThan(4_096, $child->reported('kilobytes'));
        self::assertLessThan(200, $child->reported('statements'));
        $this->assertOrders(range(1, 30_000), $child);
    }

    protected function value(string $sql, int $column = 0): ?string
    {
        $value = $this->pdo()->query($sql)->fetchColumn($column);

        return $value === false ? null : $value;
    }
}
