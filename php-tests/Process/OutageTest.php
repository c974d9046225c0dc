<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\Proxies;

/**
 * The next caller is told what the database refused in the background. While the database is away,
 * the rows wait.
 */
final class OutageTest extends ProcessTestCase
{
    use Proxies;

    protected function tearDown(): void
    {
        $this->stopProxies();
        parent::tearDown();
    }

    private function dsnAt(int $port): string
    {
        $dsn = str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsn(), $count);
        self::assertSame(1, $count);

        return $dsn;
    }

    /** Gives trades a key, so that a batch that is repeated after a lost COMMIT changes nothing. */
    private function makeRowsRepeatable(): string
    {
        $this->pdo()->exec('ALTER TABLE ' . Child::TRADES . ' MODIFY seq BIGINT, DROP PRIMARY KEY, ADD PRIMARY KEY (id)');

        return 'tables: [Child::TRADES => ["mode" => "upsert"]]';
    }

    private function assertRepeatedOrders(int $count, ChildProcess $child): void
    {
        $this->assertOrders(range(1, $count), $child, 'id');
    }

    public function testAServerThatIsDownAtTheStart(): void
    {
        $port = $this->reservePort();
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1]);
            Child::add($buffer, 1, 10);
            Child::report('flush', Child::thrownBy(static fn () => $buffer->flush()));
            Child::add($buffer, 11, 20);
            Child::report('close', Child::thrownBy(static fn () => $buffer->close()));
            Child::report('pending', count($buffer));
            Child::report('metrics', $buffer->getMetrics());
            Child::report('failures', $buffer->takeFailures());
            Child::hear();
            $buffer->flush(60_000);
            Child::report('left', count($buffer));
            PHP, [$this->dsnAt($port)]);
        $child->waitFor('failures=');
        foreach (['flush', 'close'] as $method) {
            [$class, $message] = $child->reported($method);
            self::assertSame('WriteBuffer\ConnectionException', $class, $child->describe());
            self::assertStringContainsString('buffered', $message);
            self::assertStringNotContainsString(self::setting('DB_PASSWORD'), $message);
        }
        self::assertSame(60, $child->reported('pending'));
        self::assertSame(60, $child->reported('metrics')['rows_added']);
        self::assertNotNull($child->reported('metrics')['last_error']);
        self::assertSame([], $child->reported('failures'));
        $this->startProxy($port);
        $this->awaitOrders(20, $child);
        $child->send();
        $this->assertEndsWell($child);
        self::assertSame(0, $child->reported('left'));
        $this->assertOrders(range(1, 20), $child);
    }

    public function testAServerThatIsNeverThere(): void
    {
        $port = $this->reservePort();
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], flushIntervalMs: 1, shutdownTimeoutMs: 300, maxPendingRows: 30,
                overflowTimeoutMs: 100);
            Child::add($buffer, 1, 10);
            Child::await('a failed attempt', static fn () => $buffer->getMetrics()['last_error'] !== null);
            Child::report('full', Child::thrownBy(static fn () => Child::add($buffer, 11)));
            PHP, [$this->dsnAt($port)]);
        self::assertSame('exit 0', $child->finish(), $child->describe());
        self::assertSame('WriteBuffer\FullException', $child->reported('full')[0]);
        // The message says why there is no room.
        self::assertMatchesRegularExpression('/last attempt to write failed: .*connect/i', $child->reported('full')[1]);
        self::assertMatchesRegularExpression(
            '/^Warning: WriteBuffer: (?=.*\blost\b).*\b30 buffered rows\b/m',
            $child->complained(),
        );
        self::assertStringNotContainsString(self::setting('DB_PASSWORD'), $child->complained());
        self::assertSame(0, $this->orderCount());
    }

    /** The end of a buffer tries again after a failure, until shutdownTimeoutMs is over. */
    public function testTheEndGoesOnThroughFailures(): void
    {
        $port = $this->reservePort();
        // Nothing is due before the end.
        $child = $this->start('$buffer = Child::buffer(dsn: $argv[1]); Child::add($buffer, 1);', [$this->dsnAt($port)]);
        // Made after the child, which would inherit it.
        $nobody = stream_socket_server("tcp://127.0.0.1:{$port}");
        self::assertIsResource($nobody);
        for ($attempt = 1; $attempt <= 3; $attempt++) {
            $client = stream_socket_accept($nobody, 120);
            self::assertIsResource($client, "attempt {$attempt}: {$child->describe()}");
            fclose($client);
        }
        fclose($nobody);
        $this->startProxy($port);
        $this->assertEndsWell($child);
        $this->assertOrders([1], $child);
    }

    /**
     * The writer writes on until the server has been away three times, each time after some rows
     * were written.
     */
    public function testAServerThatGoesAndComesBack(): void
    {
        $repeatable = $this->makeRowsRepeatable();
        $port = $this->reservePort();
        $this->startProxy($port);
        $child = $this->startEndlessWriter("dsn: \$argv[1], flushIntervalMs: 5, {$repeatable}", [$this->dsnAt($port)]);
        $this->awaitOrders(200, $child);
        for ($outage = 1; $outage <= 3; $outage++) {
            $this->stopProxy($port);
            self::await('a session less', fn (): bool => $this->bufferConnections() === [], $child);
            $written = $this->orderCount();
            $this->startProxy($port);
            $this->awaitOrders($written + 200, $child);
        }
        $child->send();
        $this->assertEndsWell($child);
        self::assertGreaterThanOrEqual(3, $child->reported('reconnects'));
        self::assertSame([], $child->reported('failures'));
        $this->assertRepeatedOrders($child->reported('orders'), $child);
    }

    /**
     * The writer writes on until enough of its connections were killed, each after it had written
     * something.
     */
    public function testConnectionsThatAreKilledUnderLoad(): void
    {
        $kills = 20;
        $repeatable = $this->makeRowsRepeatable();
        $child = $this->startEndlessWriter("flushIntervalMs: 1, {$repeatable}");
        $killed = [];
        while (count($killed) < $kills) {
            self::await('a connection that is alive', function () use (&$living, $killed): bool {
                return ($living = array_diff($this->bufferConnections(), $killed)) !== [];
            }, $child);
            $this->awaitOrders($this->orderCount() + 1, $child);
            foreach ($living as $id) {
                try {
                    $this->admin()->exec("KILL {$id}");
                } catch (\PDOException) {
                    // It has gone by itself.
                }
                $killed[] = $id;
            }
        }
        $child->send();
        $this->assertEndsWell($child);
        self::assertGreaterThan($kills / 2, $child->reported('reconnects'));
        self::assertSame([], $child->reported('failures'));
        $this->assertRepeatedOrders($child->reported('orders'), $child);
    }

    /**
     * A child that adds orders until the test sends a line, and then waits until all are written.
     * It adds none while many wait, so its buffer is never full, however long the server is away.
     *
     * @param string       $settings  of its buffer, in PHP
     * @param list<string> $arguments
     */
    private function startEndlessWriter(string $settings, array $arguments = []): ChildProcess
    {
        return $this->start(<<<PHP
            \$buffer = Child::buffer({$settings});
            stream_set_blocking(STDIN, false);
            for (\$id = 0; fgets(STDIN) === false; usleep(1_000)) {
                if (count(\$buffer) < 3_000) {
                    Child::add(\$buffer, ++\$id);
                }
            }
            Child::report('orders', \$id);
            Child::await('all written', static fn () => count(\$buffer) === 0);
            Child::report('reconnects', \$buffer->getMetrics()['reconnects']);
            Child::report('failures', \$buffer->takeFailures());
            PHP, $arguments);
    }

    /** @return iterable<string, array{string}> */
    public static function flushAndClose(): iterable
    {
        yield 'flush' => ['flush'];
        yield 'close' => ['close'];
    }

    /**
     * @dataProvider flushAndClose
     */
    #[DataProvider('flushAndClose')]
    public function testWhatTheServerRefusedInTheBackgroundIsThrownByTheNextCall(string $method): void
    {
        $child = $this->runToItsEnd(<<<PHP
            \$buffer = Child::buffer(flushIntervalMs: 10);
            Child::add(\$buffer, 1, 5);
            \$buffer->add(['id' => 6, 'v' => str_repeat('x', 21), 'n' => 1], Child::trades(6));
            Child::add(\$buffer, 7, 20);
            Child::await('all settled', static fn () => count(\$buffer) === 0);
            Child::report('rows_refused', \$buffer->getMetrics()['rows_refused']);
            try {
                \$buffer->{$method}();
            } catch (WriteBuffer\\FlushException \$thrown) {
                Child::report('thrown', [\$thrown->getCode(), \$thrown->getMessage(), \$thrown->getFailures()]);
            }
            Child::report('again', Child::thrownBy(static fn () => \$buffer->{$method}()));
            Child::report('taken', \$buffer->takeFailures());
            Child::report('taken again', \$buffer->takeFailures());
            PHP);
        self::assertSame(Child::ROWS_PER_GROUP, $child->reported('rows_refused'));
        [$code, , $failures] = $child->reported('thrown');
        self::assertSame(1406, $code);
        self::assertSame(['', ''], $child->reported('again'));
        $taken = $child->reported('taken');
        self::assertSame($failures, $taken);
        self::assertCount(1, $taken);
        self::assertSame(1406, $taken[0]['code']);
        self::assertSame([Child::ORDERS, Child::TRADES, Child::TRADES], array_column($taken[0]['rows'], 'table'));
        self::assertSame(6, $taken[0]['rows'][0]['row']['id']);
        self::assertSame([], $child->reported('taken again'));
        $this->assertOrders([...range(1, 5), ...range(7, 20)], $child);
    }

    public function testFailuresThatNobodyTookAreAWarningAtTheEnd(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 10);
            Child::add($buffer, 1, 5);
            $buffer->add(['id' => 6, 'v' => str_repeat('x', 21), 'n' => 1], Child::trades(6));
            PHP);
        self::assertSame('exit 0', $child->finish(), $child->describe());
        self::assertMatchesRegularExpression(
            '/^Warning: WriteBuffer: (?=.*\b3 rows\b).*nobody called takeFailures\(\)/m',
            $child->complained(),
        );
        $this->assertOrders(range(1, 5), $child);
    }

    public function testRowsOfATableThatIsNotThereWaitForIt(): void
    {
        $this->dropLater('DROP TABLE IF EXISTS wb_process_late');
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 10, orderTable: 'wb_process_late', tables: []);
            Child::add($buffer, 1, 10);
            [$class, $message] = Child::thrownBy(static fn () => $buffer->flush());
            Child::report('class', $class);
            Child::report('message', $message);
            Child::report('pending', count($buffer));
            Child::hear();
            Child::await('all written', static fn () => count($buffer) === 0);
            Child::report('failures', $buffer->takeFailures());
            PHP);
        self::assertContains(
            $child->reported('class'),
            ['WriteBuffer\BlockedException', 'WriteBuffer\ConfigException'],
            $child->describe(),
        );
        self::assertStringContainsString('wb_process_late', $child->reported('message'));
        self::assertSame(30, $child->reported('pending'));
        $this->pdo()->exec('CREATE TABLE wb_process_late LIKE ' . Child::ORDERS);
        $child->send();
        $this->assertEndsWell($child);
        self::assertSame([], $child->reported('failures'));
        $this->assertSameRows(
            array_map(Child::order(...), range(1, 10)),
            'SELECT id, v, n FROM wb_process_late ORDER BY id',
            $child,
        );
    }

    public function testAllArrivesInOrderAfterAStop(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 5);
            Child::add($buffer, 1, 10);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::add($buffer, 11, 500);
            Child::report('flush', Child::thrownBy(static fn () => $buffer->flush(200)));
            Child::report('pending', count($buffer));
            PHP);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        self::assertSame('WriteBuffer\TimeoutException', $child->reported('flush')[0], $child->describe());
        self::assertSame(490 * Child::ROWS_PER_GROUP, $child->reported('pending'));
        $this->continueDatabase();
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, 500), $child);
    }
}
