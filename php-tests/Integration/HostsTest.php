<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Synchronous\ConnectionException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Proxies;
use WriteBuffer\Tests\Support\SecondServer;
use WriteBuffer\TimeoutException;

/** A DSN with several hosts: which one is tried when, and what is said of those that failed. */
final class HostsTest extends DatabaseTestCase
{
    use Proxies;

    private static ?SecondServer $second = null;

    public static function tearDownAfterClass(): void
    {
        self::$second?->stop();
        self::$second = null;
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->awaitNoConnections();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v VARCHAR(20)');
    }

    protected function tearDown(): void
    {
        $this->stopProxies();
        parent::tearDown();
    }

    /** The DSN with these ports of 127.0.0.1 as its hosts. */
    private function dsnOf(int|string ...$ports): string
    {
        $hosts = implode(',', array_map(static fn (int|string $port): string => "127.0.0.1:{$port}", $ports));
        $dsn = str_replace('@127.0.0.1:' . self::setting('DB_PORT') . '/', "@{$hosts}/", $this->dsn(), $count);
        self::assertSame(1, $count);

        return $dsn;
    }

    /** The same, where no host may seem dead because the machine is busy. */
    private function patientDsnOf(int|string ...$ports): string
    {
        return $this->dsnOf(...$ports) . '?connect_timeout_ms=60000';
    }

    /** A server that accepts connections, and says nothing. */
    private static function silentServer(): array
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        self::assertIsResource($server);

        return [$server, (int) substr((string) strrchr((string) stream_socket_get_name($server, false), ':'), 1)];
    }

    private static function secondServer(): SecondServer
    {
        return self::$second ??= SecondServer::start();
    }

    public function testTheFirstHostThatAnswersIsUsed(): void
    {
        $dsn = $this->patientDsnOf($this->reservePort(), $this->reservePort(), self::setting('DB_PORT'));
        $buffer = $this->buffer(dsn: $dsn, orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        self::assertSame(1, $buffer->flush());
        self::assertCount(1, $this->bufferConnections());
        self::assertSame(0, $buffer->getMetrics()['reconnects']);
    }

    public function testADeadHostIsPassedOver(): void
    {
        [$server, $port] = self::silentServer();
        $dsn = $this->dsnOf($port, self::setting('DB_PORT')) . '?connect_timeout_ms=200';
        $buffer = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
        foreach ([1, 2] as $id) {
            self::untilTheLiveHostAnswers(static fn () => $buffer->add(['id' => $id]));
            foreach ($this->bufferConnections() as $connection) {
                $this->admin()->exec("KILL CONNECTION {$connection}");
            }
        }
        self::assertSame(['1', '2'], array_column($this->rows('wb_orders'), 'id'));
        self::assertIsResource($server);
    }

    /** Repeats a call if a busy machine makes the live host seem dead, too. */
    private static function untilTheLiveHostAnswers(callable $call): void
    {
        $slow = '127.0.0.1:' . self::setting('DB_PORT') . '/write_buffer_test: no answer within 200 ms';
        self::await('an answer of the live host', static function () use ($call, $slow): bool {
            $thrown = self::thrownBy($call);
            if ($thrown !== null) {
                self::assertStringContainsString($slow, $thrown->getMessage());
            }

            return $thrown === null;
        });
    }

    public function testALostHostIsLeftForTheNext(): void
    {
        [$first, $second] = [$this->reservePort(), $this->reservePort()];
        $this->startProxy($first);
        $this->startProxy($second);
        $buffer = $this->syncBuffer(dsn: $this->patientDsnOf($first, $second), orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        $this->stopProxy($first);
        $buffer->add(['id' => 2]);
        // The host that works now is kept, although another comes first in the DSN.
        $this->startProxy($first);
        $this->stopProxy($second);
        $buffer->add(['id' => 3]);
        self::assertSame(['1', '2', '3'], array_column($this->rows('wb_orders'), 'id'));
        self::assertSame(2, $buffer->getMetrics()['reconnects']);
    }

    public function testEachHostThatWasTriedIsNamedWithItsReason(): void
    {
        [$server, $silent] = self::silentServer();
        $user = self::setting('DB_USERNAME');
        $port = self::setting('DB_PORT');
        $nobody = $this->reservePort();
        $dsn = str_replace(self::setting('DB_PASSWORD'), 'Wr0ng-Passw0rd', $this->dsnOf($nobody, $silent, $port));
        $buffer = $this->syncBuffer(dsn: "{$dsn}?connect_timeout_ms=200", orderTable: 'wb_orders');
        // A busy machine may make the live host seem dead, too.
        self::await('the refusal of the live host', static function () use ($buffer, &$refused): bool {
            $refused = self::thrownBy(static fn () => $buffer->add(['id' => 1]));

            return substr_count((string) $refused?->getMessage(), 'no answer within') < 2;
        });
        $thrown = self::assertThrowsMatching(
            ConnectionException::class,
            "/^cannot connect to any host as \"{$user}\": 127\\.0\\.0\\.1:{$nobody}\\/write_buffer_test: Connection refused \\(os error "
                . "111\\) \\| 127\\.0\\.0\\.1:{$silent}\\/write_buffer_test: no answer within 200 ms \\(connect_timeout_ms\\); "
                . "check that the server runs there, and the DSN's host and port, or its unix_socket \\| 127\\.0\\.0\\.1:{$port}"
                . "\\/write_buffer_test: Access denied for user '{$user}'@'.*' \\(using password: YES\\); check user and password "
                . 'of the DSN \(percent-encode special characters\); an account that REQUIREs SSL needs tls=required$/D',
            static fn () => throw $refused,
            2003,
        );
        self::assertStringNotContainsString('Wr0ng', (string) $thrown);
        self::assertCount(0, $buffer);
        self::assertIsResource($server);
    }

    public function testTheCallersTimeBoundsAllHosts(): void
    {
        [$server, $silent] = self::silentServer();
        $port = $this->startProxy();
        $dsn = $this->dsnOf($port, $silent, $silent) . '?connect_timeout_ms=60000';
        $buffer = $this->buffer(dsn: $dsn, background: false, orderTable: 'wb_orders', shutdownTimeoutMs: 1);
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $this->stopProxy($port);
        $buffer->add(['id' => 2]);
        // On a busy machine the time may be over before a host is tried.
        self::await('a host that was tried', static function () use ($buffer, &$over): bool {
            $over = self::assertThrowsMatching(
                TimeoutException::class,
                '/^the time given (is|was) over\b.* \(1 row still buffered\)$/D',
                static fn () => $buffer->flush(200),
            );

            return str_contains($over->getMessage(), 'no answer');
        });
        self::assertMatchesRegularExpression(
            "/^the time given was over before \"write_buffer\" was connected: .*127\\.0\\.0\\.1:{$silent}\\/write_buffer_test: no "
                . 'answer within the time given;.* \(1 row still buffered\)$/D',
            $over->getMessage(),
        );
        self::assertIsResource($server);
        self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
    }

    public function testAServerThatTakesWritesIsPreferred(): void
    {
        $second = self::secondServer();
        $second->admin->exec('SET GLOBAL read_only = 1');
        $dsn = $this->patientDsnOf($second->port, self::setting('DB_PORT'));
        $buffer = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        self::assertSame(['1'], array_column($this->rows('wb_orders'), 'id'));
        self::assertSame(0, $buffer->getMetrics()['reconnects'], 'it was found before a write failed');
        $second->admin->exec('SET GLOBAL read_only = 0');
    }

    public function testAServerThatTakesNoMoreWritesIsLeft(): void
    {
        $second = self::secondServer();
        $second->admin->exec('CREATE TABLE wb_orders (id INT PRIMARY KEY, v VARCHAR(20))');
        $buffer = $this->buffer(dsn: $this->patientDsnOf(self::setting('DB_PORT'), $second->port), orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $this->setGlobal('read_only', 1);
        $buffer->add(['id' => 2]);
        self::flushed($buffer);
        $second->admin->exec('SET GLOBAL read_only = 1');
        $this->admin()->exec('SET GLOBAL read_only = 0');
        $buffer->add(['id' => 3]);
        self::flushed($buffer);
        self::assertSame(['1', '3'], array_column($this->rows('wb_orders'), 'id'));
        self::assertSame(['2'], $second->admin->query('SELECT id FROM wb_orders')->fetchAll(\PDO::FETCH_COLUMN));
        $second->admin->exec('SET GLOBAL read_only = 0');
    }

    /** Flushes until the outage is over. */
    private static function flushed(\WriteBuffer $buffer): void
    {
        self::await('a flush that succeeds', static function () use ($buffer): bool {
            return self::thrownBy(static fn () => $buffer->flush(1_000)) === null;
        });
        self::assertCount(0, $buffer);
    }

    public function testASingleServerIsUsedWhateverItSays(): void
    {
        $this->setGlobal('read_only', 1);
        $buffer = $this->syncBuffer(orderTable: 'wb_orders');
        $thrown = self::thrownBy(static fn () => $buffer->add(['id' => 1]));
        self::assertSame(1290, $thrown?->getCode(), (string) $thrown?->getMessage());
        $this->admin()->exec('SET GLOBAL read_only = 0');
        $buffer->add(['id' => 2]);
        self::assertSame(['2'], array_column($this->rows('wb_orders'), 'id'));
    }

    /** @return iterable<string, array{string, string}> */
    public static function wrongLists(): iterable
    {
        $advice = 'cannot be read: write them as host1:3306,host2:3306, with a \',\' in the password as %2C';
        yield 'an empty host' => ['mysql://u:Secret@a,/d', "host 2 of the DSN {$advice}"];
        yield 'a wrong port' => ['mysql://u:Secret@a:x,b/d', "host 1 of the DSN {$advice}"];
        yield 'too many' => [
            'mysql://u:Secret@' . implode(',', array_fill(0, 17, 'h')) . '/d',
            'the DSN names 17 hosts, and may name 16',
        ];
        yield 'a socket beside them' => [
            'mysql://u:Secret@a,b/d?unix_socket=/s',
            'the DSN has several hosts and unix_socket, over which there is one server: leave out one of the two',
        ];
    }

    /**
     * @dataProvider wrongLists
     */
    #[DataProvider('wrongLists')]
    public function testAListThatCannotBeReadIsRefused(string $dsn, string $message): void
    {
        self::assertThrows(ConfigException::class, $message, static fn () => new \WriteBuffer($dsn));
    }
}
