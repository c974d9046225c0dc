<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process\Support;

use PDO;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\StopsDatabase;

/**
 * A test of a child process: what the child prints, and what the tables hold when it has ended, row
 * by row.
 */
abstract class ProcessTestCase extends DatabaseTestCase
{
    use StopsDatabase;

    /** @var list<ChildProcess> */
    private array $children = [];

    protected function setUp(): void
    {
        parent::setUp();
        $this->awaitNoConnections();
        if (!function_exists('pcntl_fork') || !function_exists('posix_kill')) {
            self::markTestSkipped('the extensions pcntl and posix are needed to send signals and to fork');
        }
        $this->createTable(Child::ORDERS, 'id INT PRIMARY KEY, v VARCHAR(20) NOT NULL, n INT NOT NULL');
        // The only key is the order of arrival, so a row that is written twice is there twice.
        $this->createTable(Child::TRADES, 'seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL,'
            . ' order_id INT NOT NULL, connection BIGINT NOT NULL DEFAULT (CONNECTION_ID())');
    }

    protected function tearDown(): void
    {
        $this->continueDatabase();
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
     * @param list<string>          $under     the command that starts PHP
     */
    protected function start(string $code, array $arguments = [], array $settings = [], array $under = []): ChildProcess
    {
        return $this->children[] = new ChildProcess($code, $arguments, $settings, $under);
    }

    /**
     * Runs a child to its end, which must be `exit 0` without an error or a warning of PHP.
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

    /**
     * Waits until a condition holds. Meanwhile it reads what the child prints, because a child
     * stops when its pipe is full.
     */
    protected static function await(string $what, callable $condition, ?ChildProcess $child = null): void
    {
        if ($child === null) {
            parent::await($what, $condition);

            return;
        }
        $deadline = self::deadline();
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                self::fail("waited in vain: {$what}\n{$child->describe()}");
            }
            $child->listen(0.005);
        }
    }

    /** Waits until this many orders are in the table. The child may have ended. */
    protected function awaitOrders(int $count, ?ChildProcess $child = null): void
    {
        self::await("{$count} orders in the table", fn (): bool => $this->orderCount() >= $count, $child);
    }

    protected function orderCount(): int
    {
        return (int) $this->value('SELECT COUNT(*) FROM ' . Child::ORDERS);
    }

    /**
     * Asserts that the tables hold the orders of these numbers and their trades, each once, and
     * nothing else.
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

    /** @return list<string> the server's sessions that have written trades */
    protected function writers(): array
    {
        return array_column($this->rows(Child::TRADES, 'DISTINCT connection', '1'), 'connection');
    }

    protected function assertOneConnection(ChildProcess $child): void
    {
        self::assertCount(1, $this->writers(), "several connections have written\n{$child->describe()}");
    }

    /**
     * Compares a table with what it should hold, row by row, and says which row differs.
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

    /** Locks an order's row, in a transaction that stays open until {@see releaseOrder()}. */
    protected function holdOrder(int $id): PDO
    {
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec('INSERT INTO ' . Child::ORDERS . " VALUES ({$id}, 'held', 0)");

        return $holder;
    }

    /** Releases the lock, and closes the connection that held it. */
    protected function releaseOrder(?PDO &$holder): void
    {
        $holder?->rollBack();
        $holder = null;
    }
}
