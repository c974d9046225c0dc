<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Fpm\Support\FastCgiClient;
use WriteBuffer\Tests\Fpm\Support\FastCgiException;
use WriteBuffer\Tests\Fpm\Support\FpmServer;
use WriteBuffer\Tests\Fpm\Support\FpmTestCase;
use WriteBuffer\Tests\Fpm\Support\Orders;

/** Workers that are recycled, reloaded or stopped first write what they still hold. */
final class WorkersTest extends FpmTestCase
{
    private const CHILDREN = 3;

    public function testRecycledWorkersDrain(): void
    {
        $maxRequests = 10;
        $fpm = $this->startFpm(['pm.max_children' => self::CHILDREN, 'pm.max_requests' => $maxRequests]);
        // Nothing is due before a worker ends.
        $settings = $this->settings(batchSize: 1_000, flushIntervalMs: self::NEVER_MS);
        $perWorker = [];
        for ($id = 1; $id <= 200; $id += self::CHILDREN) {
            $clients = [];
            for ($next = $id; $next < $id + self::CHILDREN; $next++) {
                $clients[$next] = $this->send($fpm, $settings, $next);
            }
            foreach ($clients as $next => $client) {
                $answer = $client->answer();
                $this->assertAdded($answer, $next);
                $perWorker[$answer->pid] = ($perWorker[$answer->pid] ?? 0) + 1;
            }
        }
        self::assertGreaterThanOrEqual(20, count($perWorker));
        self::assertLessThanOrEqual($maxRequests, max($perWorker));
        $recycled = array_keys($perWorker, $maxRequests, true);
        self::assertGreaterThan(10, count($recycled));
        $written = 'SELECT COUNT(*) FROM ' . self::ORDERS . ' WHERE worker IN (' . implode(', ', $recycled) . ')';
        $expected = count($recycled) * $maxRequests;
        self::await('the rows of the recycled workers', fn (): bool => (int) $this->value($written) >= $expected);
        $this->assertStopsWell($fpm);
    }

    public function testReloadUnderLoad(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => self::CHILDREN]);
        // Nothing is due before a worker ends.
        $settings = $this->settings(batchSize: 1_000, flushIntervalMs: self::NEVER_MS);
        $reloads = 0;
        $maybeAdded = [];
        $id = 0;
        $afterTheLast = 0;
        $deadline = hrtime(true) + 2 * FpmServer::TIMEOUT_S * 1e9;
        // Two reloads, each after some requests, and as many requests after the last.
        while ($reloads < 2 || $afterTheLast < 60) {
            self::assertLessThan($deadline, hrtime(true), "stuck at order {$id} after {$reloads} reloads");
            $clients = [];
            for ($number = 0; $number < self::CHILDREN; $number++) {
                $client = $this->sendToWhoeverAnswers($fpm, $settings, ++$id);
                if ($client === null) {
                    $maybeAdded[] = $id;
                } else {
                    $clients[$id] = $client;
                }
            }
            if ($reloads < 2 && $id >= ($reloads + 1) * 60 && $fpm->readyCount() === $reloads + 1) {
                // While its workers have requests whose answers nobody has read.
                $fpm->signal(SIGUSR2);
                $reloads++;
            } elseif ($reloads === 2 && $fpm->readyCount() === 3) {
                $afterTheLast += self::CHILDREN;
            }
            foreach ($clients as $sent => $client) {
                try {
                    $this->assertAdded($client->answer(), $sent);
                } catch (FastCgiException) {
                    $maybeAdded[] = $sent;
                }
            }
        }
        self::assertGreaterThanOrEqual(3, count($this->answeringWorkers()), 'workers before, between and after');
        self::assertSame('exit 0', $fpm->stop());
        // php-fpm may drop a connection that a worker had accepted when it was told to end. Such an
        // order may be there or not.
        self::assertLessThanOrEqual(2 * self::CHILDREN, count($maybeAdded), implode(', ', $maybeAdded));
        foreach ($maybeAdded as $id) {
            $worker = $this->value('SELECT worker FROM ' . self::ORDERS . " WHERE id = {$id}");
            if ($worker !== null) {
                $this->expectOrder($id, (int) $worker);
            }
        }
        $this->assertExpectedOrders();
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog());
    }

    /**
     * @return array<string, array{int, int, bool}> the batch size, the orders, whether they fill no
     *         batch
     */
    public static function batchSizes(): array
    {
        return ['nothing written yet' => [10_000, 4_000, true], 'amid batches' => [1_000, 30_000, false]];
    }

    /** @dataProvider batchSizes */
    #[DataProvider('batchSizes')]
    public function testStopRightAfterTheLastResponse(int $batchSize, int $orders, bool $isAllBuffered): void
    {
        $fpm = $this->startFpm(['pm.max_children' => self::CHILDREN]);
        $settings = $this->settings(batchSize: $batchSize, flushIntervalMs: self::NEVER_MS);
        $clients = [];
        for ($id = 1; $id <= $orders; $id += 1_000) {
            $clients[$id] = $this->send($fpm, $settings, $id, $id + 999);
        }
        foreach ($clients as $first => $client) {
            $this->assertAdded($client->answer(), $first, $first + 999);
        }
        if ($isAllBuffered) {
            self::assertSame(0, $this->orderCount());
        }
        $this->assertStopsWell($fpm);
    }

    public function testStopDuringARequest(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(flushIntervalMs: self::NEVER_MS, batchSize: 1_000);
        $this->request($fpm, $settings, 1);
        $go = $fpm->file('go');
        $client = $this->send($fpm, $settings, 2, hold: $go, started: $fpm->file('started'));
        self::await('the start of the request', static fn (): bool => file_exists($fpm->file('started')));
        $fpm->signal(SIGQUIT);
        touch($go);
        $this->assertAdded($client->answer(), 2);
        self::assertSame('exit 0', $fpm->awaitEnd());
        $this->assertExpectedOrders();
    }

    public function testAServerThatIsAwayWhenWorkersStopIsToldInTheLog(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(flushIntervalMs: self::NEVER_MS, shutdownTimeoutMs: 500);
        $this->request($fpm, $settings, 1, 5);
        $this->stopDatabase();
        try {
            self::assertSame('exit 0', $fpm->stop());
        } finally {
            $this->continueDatabase();
        }
        self::assertMatchesRegularExpression(
            '/WriteBuffer: the persistent buffer "orders": lost 15 buffered rows: /',
            $fpm->phpLog(),
        );
    }

    /** Each row is in the table, or in the file: what stands there was told. */
    public function testWhatAWorkerCouldNotWriteIsInTheFile(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => self::CHILDREN]);
        $file = $fpm->file('left.jsonl');
        $settings = $this->settings(flushIntervalMs: self::NEVER_MS, shutdownTimeoutMs: 500, deadLetterFile: $file);
        $clients = [];
        for ($id = 1; $id <= 20; $id++) {
            $clients[$id] = $this->send($fpm, $settings, $id);
        }
        foreach ($clients as $client) {
            self::assertSame(200, ($answer = $client->answer())->status, $answer->describe());
        }
        $this->stopDatabase();
        try {
            self::assertSame('exit 0', $fpm->stop());
        } finally {
            $this->continueDatabase();
        }
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog());
        $lines = array_map(static fn (string $line): array => json_decode($line, true), (array) file($file));
        self::assertSame(['unwritten'], array_values(array_unique(array_column($lines, 'status'))));
        $left = array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $lines);
        sort($left);
        self::assertSame(range(1, 20), $left);
        self::assertSame(0, $this->orderCount());
    }

    /**
     * Asserts that php-fpm stops gracefully, that then all rows are there, and that no loss was
     * logged.
     */
    private function assertStopsWell(FpmServer $fpm): void
    {
        self::assertSame('exit 0', $fpm->stop());
        $this->assertExpectedOrders();
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog());
        // The server may still be about to notice the end of a session.
        $this->awaitNoConnections();
    }

    /**
     * Sends a request, again if no worker took it. Returns null if one may have taken it.
     *
     * @param array<string, mixed> $settings
     */
    private function sendToWhoeverAnswers(FpmServer $fpm, array $settings, int $id): ?FastCgiClient
    {
        $deadline = self::deadline();
        while (true) {
            try {
                return $this->send($fpm, $settings, $id);
            } catch (FastCgiException $failed) {
                if ($failed->mayHaveRun()) {
                    return null;
                }
                self::assertLessThan($deadline, hrtime(true), $failed->getMessage());
                usleep(1_000);
            }
        }
    }

    /** All names together have the time of one: what one has waited is gone for those after it. */
    public function testAllNamesShareTheTimeToEnd(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(
            // Longer than the time to end, so no attempt fails before.
            dsn: $this->dsnWith('connect_timeout_ms=60000'),
            flushIntervalMs: self::NEVER_MS,
            shutdownTimeoutMs: 10_000,
        );
        for ($name = 1; $name <= 4; $name++) {
            $this->request($fpm, ['persistent' => "n{$name}"] + $settings, $name);
        }
        $this->stopDatabase();
        $began = hrtime(true);
        try {
            self::assertSame('exit 0', $fpm->stop());
        } finally {
            $this->continueDatabase();
        }
        // Each with its own time, they would wait 40 s.
        self::assertLessThan(30.0, (hrtime(true) - $began) / 1e9);
        $lost = '/the persistent buffer "n[1-4]": lost 3 buffered rows: \S+ did not take them within 10000 ms: /';
        self::assertSame(4, preg_match_all($lost, $fpm->phpLog()), $fpm->phpLog());
    }

    /**
     * A typo in one request's table. Each request was answered, the typo's too, since nobody knows
     * of it yet: the rows of the others are in the tables, and those of the typo in the file.
     */
    public function testATypoInATablesNameLosesNoOrderOfOthers(): void
    {
        $file = sys_get_temp_dir() . '/wb-fpm-' . bin2hex(random_bytes(8)) . '.jsonl';
        $fpm = $this->startFpm(['pm.max_children' => self::CHILDREN, 'pm.max_requests' => 4]);
        $expected = [];
        for ($id = 1; $id <= 20; $id++) {
            $isTypo = $id % 2 === 1;
            $settings = $this->settings(
                // One buffer for all requests of a worker, as an application has it.
                tables: [self::ORDERS => ['merge' => ['n' => 'sum']]],
                deadLetterFile: $file,
                parkTimeoutMs: 0,
                shutdownTimeoutMs: 20_000,
                // Some are written at once, others when the worker ends.
                flushIntervalMs: $id % 4 < 2 ? 1 : self::NEVER_MS,
                persistent: 'orders' . (int) ($id % 4 < 2),
            );
            $typo = $isTypo ? ['table' => 'wb_fpm_odrers'] : [];
            $answer = $this->send($fpm, $settings, $id, null, ...$typo)->answer();
            self::assertSame(200, $answer->status, $answer->describe());
            self::assertNull($answer->value('error'), $answer->describe());
            if ($isTypo) {
                $expected[$id] = implode(' | ', Orders::order($id, $answer->pid));
            } else {
                $this->expectOrders($answer, $id);
            }
        }
        self::assertSame('exit 0', $fpm->stop());
        $this->assertExpectedOrders();
        $found = [];
        foreach (file($file) as $line) {
            $letter = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
            self::assertSame(['unwritten', 1146], [$letter['status'], $letter['code']], $line);
            [$order] = $letter['rows'];
            self::assertSame('wb_fpm_odrers', $order['table']);
            $found[$order['row']['id']] = implode(' | ', $order['row']);
        }
        unlink($file);
        ksort($found);
        self::assertSame($expected, $found);
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog(), 'what stands in the file was told');
    }

    /** All names begin to write when the worker ends. So one that has to wait holds up no other. */
    public function testANameThatHasToWaitHoldsUpNoOther(): void
    {
        $fpm = $this->startFpm();
        // They are waited for in the order of their names. The first one can't be written.
        for ($name = 1; $name <= 4; $name++) {
            $this->request($fpm, $this->settings(persistent: "n{$name}", flushIntervalMs: self::NEVER_MS), $name);
        }
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec('INSERT INTO ' . self::ORDERS . " (id, v, worker, n) VALUES (1, 'held', 0, 0)");
        try {
            $fpm->signal(SIGQUIT);
            $written = 'SELECT GROUP_CONCAT(id ORDER BY id) FROM ' . self::ORDERS . ' WHERE id > 1';
            self::await('the orders of the other names', fn (): bool => $this->value($written) === '2,3,4');
            // The first one still waits.
            $this->awaitLockWait();
        } finally {
            $holder->rollBack();
        }
        self::assertSame('exit 0', $fpm->awaitEnd());
        $this->assertExpectedOrders();
        self::assertStringNotContainsString('WriteBuffer', $fpm->phpLog());
    }
}
