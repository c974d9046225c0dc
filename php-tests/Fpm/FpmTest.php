<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Fpm\Support\Answer;
use WriteBuffer\Tests\Fpm\Support\FpmTestCase;
use WriteBuffer\Tests\Fpm\Support\Orders;

/** Requests to php-fpm share their worker's persistent buffer, and don't wait for the database. */
final class FpmTest extends FpmTestCase
{
    /**
     * How many requests come during an outage. Their rows are a fraction of what a buffer may hold.
     */
    private const REQUESTS_DURING_OUTAGE = 200;

    /** @return array<string, array{bool}> */
    public static function buffersBeforeAnOutage(): array
    {
        return ['connected before' => [true], 'never connected' => [false]];
    }

    /** @dataProvider buffersBeforeAnOutage */
    #[DataProvider('buffersBeforeAnOutage')]
    public function testResponsesDoNotWaitForTheDatabase(bool $isConnected): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings();
        $id = 0;
        if ($isConnected) {
            $this->request($fpm, $settings, ++$id);
            $this->awaitExpectedOrders();
        }
        $committed = $id;
        $this->stopDatabase();
        try {
            // Requests until the thread writes. From then on the thread waits for the database.
            self::await('a thread that writes', function () use ($fpm, $settings, $committed, &$id): bool {
                $answer = $this->request($fpm, $settings, ++$id);
                self::assertDidNotWait($answer, $id - $committed);

                return $answer->value('thread_state') === 'writing';
            });
            for ($request = 0; $request < self::REQUESTS_DURING_OUTAGE; $request++, $id += 5) {
                $answer = $this->request($fpm, $settings, $id + 1, $id + 5);
                self::assertDidNotWait($answer, $id + 5 - $committed);
                self::assertContains($answer->value('thread_state'), ['writing', 'backoff'], $answer->describe());
            }
        } finally {
            $this->continueDatabase();
        }
        $this->awaitExpectedOrders();
    }

    /**
     * The response came while the database is stopped: all rows since the stop are still buffered.
     * No call has waited for room or for a flush.
     */
    private static function assertDidNotWait(Answer $answer, int $orders): void
    {
        self::assertSame($orders * Orders::ROWS_PER_ORDER, $answer->value('count'), $answer->describe());
        self::assertEquals(0, $answer->value('time_blocked_ms'), $answer->describe());
    }

    /**
     * The thread writes them when the interval is over, and not before. It needs no further
     * request.
     */
    public function testRowsOfFinishedRequestsArriveAfterTheInterval(): void
    {
        $fpm = $this->startFpm();
        $began = hrtime(true);
        $this->request($fpm, $this->settings(batchSize: 1_000, flushIntervalMs: 1_000), 1, 10);
        $this->awaitExpectedOrders();
        // On a slow machine this is longer, never shorter.
        self::assertGreaterThanOrEqual(1.0, (hrtime(true) - $began) / 1e9, 'no row was due yet');
    }

    public function testEachOfSeveralWorkersHasAThreadAndAConnection(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => 3]);
        $settings = $this->settings();
        // Each request holds its worker until all three have started. So each has its own worker.
        $go = $fpm->file('go');
        $held = [];
        foreach ([1, 2, 3] as $id) {
            $held[$id] = $this->send($fpm, $settings, $id, hold: $go, started: $fpm->file("started{$id}"));
        }
        self::await('three requests under way', static fn (): bool => count(glob($fpm->file('started*'))) === 3);
        touch($go);
        foreach ($held as $id => $client) {
            $this->assertAdded($client->answer(), $id);
        }
        $workers = $this->answeringWorkers();
        self::assertCount(3, $workers);
        $id = 4;
        for ($round = 0; $round < 20; $round++) {
            $clients = [];
            for ($number = 0; $number < 6; $number++, $id += 5) {
                $clients[$id] = $this->send($fpm, $settings, $id, $id + 4);
            }
            foreach ($clients as $first => $client) {
                $this->assertAdded($client->answer(), $first, $first + 4);
            }
        }
        $this->awaitExpectedOrders();
        self::assertEqualsCanonicalizing($workers, $this->answeringWorkers(), 'no worker was replaced');
        foreach ($workers as $pid) {
            self::assertSame(1, self::flusherCount($pid), "flusher threads of worker {$pid}");
        }
        self::assertCount(3, $this->bufferConnections());
        $connections = $this->value('SELECT COUNT(*) FROM (SELECT DISTINCT worker, connection FROM ' . self::TRADES
            . ' JOIN ' . self::ORDERS . ' o ON o.id = order_id) pairs');
        self::assertSame('3', $connections, 'each worker wrote on one connection, and on no other’s');
    }

    public function testTheMasterHasNeitherThreadNorConnection(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => 2]);
        foreach ($fpm->workers() as $pid) {
            self::assertSame(0, self::flusherCount($pid), 'a worker without a row');
        }
        $this->request($fpm, $this->settings(), 1);
        $this->awaitExpectedOrders();
        self::assertSame(0, self::flusherCount($fpm->pid()));
        self::assertCount(1, $this->bufferConnections());
    }

    public function testTwoNamesAreTwoBuffers(): void
    {
        $this->createTable('wb_fpm_zones', 'id INT PRIMARY KEY, v TEXT, worker INT, n INT, added TIMESTAMP NULL');
        $this->createTable('wb_fpm_zone_trades', 'id INT PRIMARY KEY, order_id INT,'
            . ' connection BIGINT NOT NULL DEFAULT (CONNECTION_ID())');
        $fpm = $this->startFpm();
        $tables = ['wb_fpm_zone_trades' => ['mode' => 'upsert']];
        $zoned = $this->settings(
            dsn: $this->dsnWith('timezone=' . rawurlencode('+02:00')),
            persistent: 'zoned',
            orderTable: 'wb_fpm_zones',
            tradeTable: 'wb_fpm_zone_trades',
            tables: $tables,
        );
        $pids = [];
        for ($id = 1; $id <= 10; $id++) {
            $pids[] = $this->request($fpm, $this->settings(), $id)->pid;
            $answer = $this->send($fpm, $zoned, $id, $id, placed: '2024-05-01 12:00:00')->answer();
            self::assertSame(200, $answer->status, $answer->describe());
            $pids[] = $answer->pid;
        }
        $this->awaitExpectedOrders();
        self::await('the orders of the other name', fn (): bool => (int) $this->value(
            "SELECT COUNT(*) FROM wb_fpm_zones WHERE added = '2024-05-01 10:00:00'",
        ) === 10);
        self::assertCount(1, array_unique($pids));
        self::assertSame(2, self::flusherCount($pids[0]));
        self::assertCount(2, $this->bufferConnections());
        $shared = 'SELECT COUNT(*) FROM wb_fpm_zone_trades WHERE connection IN'
            . ' (SELECT connection FROM ' . self::TRADES . ')';
        self::assertSame('0', $this->value($shared), 'each name writes on a connection of its own');
    }

    /** @return array<string, array{array<string, mixed>}> */
    public static function otherSettings(): array
    {
        return [
            'another batch size' => [['batchSize' => 51]],
            'another interval' => [['flushIntervalMs' => 51]],
            'another table' => [['orderTable' => 'wb_fpm_others']],
            'other merge rules' => [['tables' => []]],
            'another time zone' => [['dsn' => '?timezone=%2B02:00']],
        ];
    }

    /**
     * @param array<string, mixed> $others
     *
     * @dataProvider otherSettings
     */
    #[DataProvider('otherSettings')]
    public function testTheSameNameWithOtherSettingsIsRefused(array $others): void
    {
        $fpm = $this->startFpm();
        if (isset($others['dsn'])) {
            $others['dsn'] = $this->dsn() . $others['dsn'];
        }
        $pid = $this->request($fpm, $this->settings(), 1)->pid;
        $answer = $this->send($fpm, $this->settings(...$others), 2)->answer();
        self::assertSame($pid, $answer->pid);
        self::assertSame([
            'WriteBuffer\ConfigException',
            'the persistent buffer "orders" exists in this process with another DSN or other settings: '
                . 'give it the same ones everywhere, or use another name',
        ], $answer->value('error'), $answer->describe());
        self::assertSame($pid, $this->request($fpm, $this->settings(), 3)->pid);
        $this->awaitExpectedOrders();
    }

    /**
     * @return array<string, array{string, int, bool}> how it ends, its status, whether the buffer
     *         is persistent
     */
    public static function endsOfARequest(): array
    {
        $cases = [];
        foreach (['persistent' => true, 'of the request' => false] as $name => $isPersistent) {
            $cases["exit, {$name}"] = ['exit', 200, $isPersistent];
            $cases["uncaught exception, {$name}"] = ['exception', 500, $isPersistent];
            $cases["E_USER_ERROR, {$name}"] = ['user error', 500, $isPersistent];
            $cases["memory limit, {$name}"] = ['memory limit', 500, $isPersistent];
            $cases["memory limit in add(), {$name}"] = ['memory limit in add', 500, $isPersistent];
        }

        return $cases;
    }

    /** @dataProvider endsOfARequest */
    #[DataProvider('endsOfARequest')]
    public function testARequestThatEndsBadly(string $end, int $status, bool $isPersistent): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(batchSize: 1_000, persistent: $isPersistent ? 'orders' : null);
        $pid = $this->request($fpm, $settings, 1)->pid;
        for ($id = 11; $id <= 41; $id += 10) {
            $answer = $this->send($fpm, $settings, $id, $id + 4, end: $end)->answer();
            self::assertSame([$status, $pid], [$answer->status, $answer->pid], $answer->describe());
            $this->expectOrders($answer, $id, $id + 4);
            // The worker goes on.
            self::assertSame($pid, $this->request($fpm, $settings, $id + 5)->pid);
        }
        $this->awaitExpectedOrders();
        self::awaitFlushers($pid, $isPersistent ? 1 : 0);
        self::assertSame('exit 0', $fpm->stop());
        $this->assertExpectedOrders();
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog());
    }

    public function testRowsAddedAfterTheResponse(): void
    {
        $fpm = $this->startFpm();
        foreach ([1, 11, 21] as $id) {
            $answer = $this->send($fpm, $this->settings(), $id, end: 'finish')->answer();
            $this->assertAdded($answer, $id);
            $this->expectOrders($answer, $id + 1);
        }
        $this->awaitExpectedOrders();
    }

    public function testABufferOfARequestWaitsForTheDatabaseNoLongerThanAllowed(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(
            dsn: $this->dsnWith('connect_timeout_ms=60000'),
            persistent: null,
            shutdownTimeoutMs: 300,
        );
        $pid = $this->request($fpm, $settings, 1)->pid;
        $this->awaitExpectedOrders();
        $this->stopDatabase();
        try {
            // The response comes while the database is stopped, so the request ended without it.
            $answer = $this->send($fpm, $settings, 2, 6)->answer();
            self::assertSame([200, $pid], [$answer->status, $answer->pid], $answer->describe());
        } finally {
            $this->continueDatabase();
        }
        self::assertMatchesRegularExpression(
            '/lost 15 buffered rows: \S+ did not take them within 300 ms: it has not answered /',
            $fpm->phpLog(),
        );
        $answer = $this->send($fpm, $settings, 7)->answer();
        self::assertSame([200, $pid], [$answer->status, $answer->pid], $answer->describe());
        self::await('the order of the next request', fn (): bool => $this->value(
            'SELECT v FROM ' . self::ORDERS . ' WHERE id = 7',
        ) === 'order 7');
    }
}
