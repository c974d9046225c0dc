<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Extension;
use WriteBuffer\Tests\Support\StopsDatabase;

/**
 * A test that sends requests to its own php-fpm. It remembers which worker answered for which
 * orders, and compares the tables with that.
 */
abstract class FpmTestCase extends DatabaseTestCase
{
    use StopsDatabase;

    protected const ORDERS = 'wb_fpm_orders';
    protected const TRADES = 'wb_fpm_trades';

    /** An interval that never ends during a test. */
    protected const NEVER_MS = 3_600_000;

    /** @var list<FpmServer> */
    private array $servers = [];

    /** @var array<int, int> the worker of each order that was answered for */
    private array $answered = [];

    /** The logs of the servers at the test's end. */
    private string $logs = '';

    protected function setUp(): void
    {
        parent::setUp();
        $this->awaitNoConnections();
        if (!function_exists('posix_kill')) {
            self::markTestSkipped('the extension posix is needed to send signals');
        }
        $this->createTable(
            self::ORDERS,
            'id INT PRIMARY KEY, v VARCHAR(20) NOT NULL, worker INT NOT NULL, n INT NOT NULL',
        );
        // The only key is the order of arrival, so a row that is written twice is there twice.
        $this->createTable(self::TRADES, 'seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL,'
            . ' order_id INT NOT NULL, connection BIGINT NOT NULL DEFAULT (CONNECTION_ID())');
    }

    protected function tearDown(): void
    {
        $this->continueDatabase();
        foreach ($this->servers as $server) {
            $this->logs .= $server->log();
            $server->kill();
        }
        $this->servers = $this->answered = [];
        $this->endConnections();
        parent::tearDown();
    }

    protected function onNotSuccessfulTest(\Throwable $thrown): never
    {
        if ($this->logs !== '') {
            fwrite(STDERR, "\n{$this->toString()}\n{$this->logs}\n");
        }
        parent::onNotSuccessfulTest($thrown);
        throw $thrown;
    }

    /** @param array<string, int|string> $pool pool directives */
    protected function startFpm(array $pool = []): FpmServer
    {
        return $this->servers[] = new FpmServer(self::setting('PHP_FPM'), Extension::file(), $pool);
    }

    /**
     * The settings of the buffer that requests use.
     *
     * @return array<string, mixed>
     */
    protected function settings(mixed ...$settings): array
    {
        return $settings + [
            'dsn' => $this->dsn(),
            'background' => true,
            'persistent' => 'orders',
            'batchSize' => 50,
            'flushIntervalMs' => 50,
            // Longer than any test waits, so an end that hangs is a failure.
            'shutdownTimeoutMs' => 600_000,
            'orderTable' => self::ORDERS,
            'tradeTable' => self::TRADES,
            // A batch that is committed twice shows as n = 2.
            'tables' => [self::ORDERS => ['merge' => ['n' => 'sum']]],
        ];
    }

    /**
     * Sends a request that adds the orders of a range.
     *
     * @param array<string, mixed> $settings of the buffer
     */
    protected function send(
        FpmServer $fpm,
        array $settings,
        int $first,
        ?int $last = null,
        mixed ...$rest,
    ): FastCgiClient {
        $request = ['settings' => $settings, 'first' => $first, 'last' => $last ?? $first] + $rest;

        return new FastCgiClient(
            $fpm->socket(),
            dirname(__DIR__) . '/scripts/order.php',
            json_encode($request, JSON_THROW_ON_ERROR),
        );
    }

    /**
     * Makes a request that adds the orders of a range. It must succeed; its orders are expected in
     * the tables.
     *
     * @param array<string, mixed> $settings of the buffer
     */
    protected function request(
        FpmServer $fpm,
        array $settings,
        int $first,
        ?int $last = null,
        mixed ...$rest,
    ): Answer {
        $answer = $this->send($fpm, $settings, $first, $last, ...$rest)->answer();
        $this->assertAdded($answer, $first, $last);

        return $answer;
    }

    /**
     * Asserts that the orders of a range were added. From now on they are expected in the tables.
     */
    protected function assertAdded(Answer $answer, int $first, ?int $last = null): void
    {
        self::assertSame(200, $answer->status, $answer->describe());
        self::assertIsInt($answer->value('count'), $answer->describe());
        $this->expectOrders($answer, $first, $last);
    }

    /** Expects the orders of a range, added by the worker that answered. */
    protected function expectOrders(Answer $answer, int $first, ?int $last = null): void
    {
        self::assertGreaterThan(0, $answer->pid, $answer->describe());
        for ($id = $first; $id <= ($last ?? $first); $id++) {
            $this->expectOrder($id, $answer->pid);
        }
    }

    /** Expects an order, added by a worker. */
    protected function expectOrder(int $id, int $worker): void
    {
        $this->answered[$id] = $worker;
    }

    /** How many orders are expected. */
    protected function expectedCount(): int
    {
        return count($this->answered);
    }

    /** @return list<int> the workers that answered */
    protected function answeringWorkers(): array
    {
        return array_values(array_unique($this->answered));
    }

    /** Waits until as many orders as are expected have arrived, and compares them. */
    protected function awaitExpectedOrders(): void
    {
        $count = $this->expectedCount();
        self::await("{$count} orders in the table", fn (): bool => $this->orderCount() >= $count);
        $this->assertExpectedOrders();
    }

    /**
     * Asserts that the tables hold the orders that were answered for and their trades, each once,
     * and nothing else.
     */
    protected function assertExpectedOrders(): void
    {
        ksort($this->answered);
        $orders = $trades = [];
        foreach ($this->answered as $id => $worker) {
            $orders[] = implode(' | ', Orders::order($id, $worker));
            foreach (Orders::trades($id) as $trade) {
                $trades[] = implode(' | ', $trade);
            }
        }
        $this->assertRows($orders, 'SELECT id, v, worker, n FROM ' . self::ORDERS . ' ORDER BY id');
        $this->assertRows($trades, 'SELECT id, order_id FROM ' . self::TRADES . ' ORDER BY id, seq');
    }

    /** @param list<string> $expected */
    private function assertRows(array $expected, string $sql): void
    {
        $found = array_map(
            static fn (array $row): string => implode(' | ', $row),
            $this->pdo()->query($sql)->fetchAll(\PDO::FETCH_NUM),
        );
        // The missing and the extra rows, because the whole tables would hide them.
        $missing = array_slice(array_diff($expected, $found), 0, 5);
        $extra = array_slice(array_diff($found, $expected), 0, 5);
        self::assertSame([[], []], [$missing, $extra], "missing and extra rows of: {$sql}");
        self::assertSame($expected, $found, $sql);
    }

    protected function orderCount(): int
    {
        return (int) $this->value('SELECT COUNT(*) FROM ' . self::ORDERS);
    }

    /** How many threads of a process have the flusher's name. */
    protected static function flusherCount(int $pid): int
    {
        $names = array_map(
            // A thread may end after it was listed.
            static fn (string $file): string => rtrim((string) @file_get_contents($file)),
            glob("/proc/{$pid}/task/*/comm") ?: [],
        );

        return count(array_keys($names, 'write_buffer', true));
    }

    /**
     * Waits until a process has this many flusher threads. A thread ends a little after it was told
     * to.
     */
    protected static function awaitFlushers(int $pid, int $count): void
    {
        self::await(
            "{$count} flusher threads in {$pid}",
            static fn (): bool => self::flusherCount($pid) === $count,
        );
    }

    protected static function threadCount(int $pid): int
    {
        return count(glob("/proc/{$pid}/task/*") ?: []);
    }

    protected static function descriptorCount(int $pid): int
    {
        return count(glob("/proc/{$pid}/fd/*") ?: []);
    }

    protected static function residentBytes(int $pid): int
    {
        $status = (string) file_get_contents("/proc/{$pid}/status");
        self::assertSame(1, preg_match('/^VmRSS:\s*(\d+) kB$/m', $status, $match), $status);

        return (int) $match[1] * 1_024;
    }
}
