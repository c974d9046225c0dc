<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process\Support;

use PDO;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** A test of a child process: what the child says, and what is in the tables, row by row, when it has ended. */
abstract class ProcessTestCase extends DatabaseTestCase
{
    private const TIMEOUT_S = 30.0;

    /** @var list<ChildProcess> */
    private array $children = [];

    protected function setUp(): void
    {
        parent::setUp();
        if (!function_exists('pcntl_fork') || !function_exists('posix_kill')) {
            self::markTestSkipped('the extensions pcntl and posix are needed to send signals and to fork');
        }
        $this->createTable(Child::ORDERS, 'id INT PRIMARY KEY, v VARCHAR(20) NOT NULL, n INT NOT NULL');
        // No key but the order of arrival: a row that is written twice is there twice.
        $this->createTable(Child::TRADES, 'seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL,'
            . ' order_id INT NOT NULL, connection BIGINT NOT NULL DEFAULT (CONNECTION_ID())');
    }

    protected function tearDown(): void
    {
        $this->continueServer();
        foreach ($this->children as $child) {
            $child->kill();
        }
        $this->children = [];
        $this->endConnections();
        parent::tearDown();
    }

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $settings
     */
    protected function start(string $code, array $arguments = [], array $settings = []): ChildProcess
    {
        return $this->children[] = new ChildProcess($code, $arguments, $settings);
    }

    /**
     * Runs a child to its end, which has to be `exit 0`, without a complaint of PHP's.
     *
     * @param list<string>          $arguments
     * @param array<string, string> $settings
     */
    protected function runToItsEnd(string $code, array $arguments = [], array $settings = []): ChildProcess
    {
        $child = $this->start($code, $arguments, $settings);
        $this->assertEndsWell($child);

        return $child;
    }

    protected function assertEndsWell(ChildProcess $child): void
    {
        $ending = $child->finish();
        self::assertSame(['exit 0', ''], [$ending, $child->complained()], $child->describe());
    }

    /** Waits until a condition holds. */
    protected static function await(string $what, callable $condition, ?ChildProcess $child = null): void
    {
        $deadline = microtime(true) + self::TIMEOUT_S;
        while (!$condition()) {
            if (microtime(true) > $deadline) {
                self::fail("waited in vain: {$what}\n" . ($child?->describe() ?? ''));
            }
            if ($child === null) {
                usleep(5_000);
            } else {
                $child->listen(0.005);
            }
        }
    }

    /** Waits until the orders of a range are there, in whatever state the child is. */
    protected function awaitOrders(int $count, ?ChildProcess $child = null): void
    {
        self::await("{$count} orders in the table", fn (): bool => $this->orderCount() >= $count, $child);
    }

    protected function orderCount(): int
    {
        return (int) $this->value('SELECT COUNT(*) FROM ' . Child::ORDERS);
    }

    /** Waits until the server has ended all sessions of buffers: what they committed is there, the rest is undone. */
    protected function awaitNoConnections(): void
    {
        self::await('no connection of a buffer', fn (): bool => $this->bufferConnections() === []);
    }

    /**
     * The tables hold the orders of these numbers and their trades, each once, and nothing else.
     *
     * @param iterable<int> $ids ascending
     * @param string        $order of the trades: `seq` is the order in which they were written
     */
    protected function assertOrders(iterable $ids, ChildProcess $child, string $order = 'seq'): void
    {
        $ids = is_array($ids) ? $ids : iterator_to_array($ids, false);
        $orders = static function () use ($ids): iterable {
            foreach ($ids as $id) {
                yield Child::order($id);
            }
        };
        $trades = static function () use ($ids): iterable {
            foreach ($ids as $id) {
                yield from Child::trades($id);
            }
        };
        $this->assertSameRows($orders(), 'SELECT id, v, n FROM ' . Child::ORDERS . ' ORDER BY id', $child);
        $this->assertSameRows($trades(), 'SELECT id, order_id FROM ' . Child::TRADES . " ORDER BY {$order}", $child);
    }

    /**
     * Compares a table with what it should hold, however long both are, and says where they part.
     *
     * @param iterable<array<string, int|string>> $expected
     */
    protected function assertSameRows(iterable $expected, string $sql, ChildProcess $child): void
    {
        $statement = $this->pdo()->query($sql);
        $number = 0;
        foreach ($expected as $row) {
            $number++;
            $found = $statement->fetch(PDO::FETCH_ASSOC);
            if ($found === false || array_map('strval', $row) !== $found) {
                $rows = $statement->rowCount();
                $statement->closeCursor();
                self::assertSame($row, $found, "row {$number} of {$rows}: {$sql}\n{$child->describe()}");
            }
        }
        self::assertFalse($statement->fetch(PDO::FETCH_ASSOC), "after row {$number}: {$sql}\n{$child->describe()}");
    }

    /** Holds the lock of an order's row in a transaction that stays open until {@see releaseOrder()}. */
    protected function holdOrder(int $id): PDO
    {
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec('INSERT INTO ' . Child::ORDERS . " VALUES ({$id}, 'held', 0)");

        return $holder;
    }

    /** Releases the lock, and ends the connection that held it. */
    protected function releaseOrder(?PDO &$holder): void
    {
        $holder?->rollBack();
        $holder = null;
    }

    /** Stops the server's process, as a machine that hangs does, until {@see continueServer()} or the test's end. */
    protected function stopServer(): void
    {
        register_shutdown_function($this->continueServer(...));
        $pid = self::serverPid();
        self::assertTrue(posix_kill($pid, SIGSTOP));
        // A thread that runs at this moment runs on until the kernel interrupts it.
        self::await('a server whose every thread is stopped', static fn (): bool => self::runningThreads($pid) === []);
    }

    /** @return list<string> the state letters of a process's threads that are not stopped */
    private static function runningThreads(int $pid): array
    {
        $running = [];
        foreach (glob("/proc/{$pid}/task/*/stat") ?: [] as $file) {
            // The name, in parentheses, may hold anything.
            $state = substr((string) strrchr((string) @file_get_contents($file), ')'), 2, 1);
            if ($state !== 'T' && $state !== '') {
                $running[] = $state;
            }
        }

        return $running;
    }

    protected function continueServer(): void
    {
        if (getenv('DB_SERVER_PID') !== false) {
            posix_kill(self::serverPid(), SIGCONT);
        }
    }

    /** A killed child's transaction, and one of a failed test, would keep the tables from being dropped. */
    private function endConnections(): void
    {
        if (getenv('DB_SERVER_PID') === false) {
            return;
        }
        foreach ($this->bufferConnections() as $id) {
            try {
                $this->admin()->exec("KILL {$id}");
            } catch (\PDOException) {
                // It has gone by itself.
            }
        }
    }
}
