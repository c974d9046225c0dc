<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\ConnectionException;
use WriteBuffer\Synchronous;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\Tests\Support\Proxies;

/** From the first connection to a lost one. */
final class ConnectionTest extends DatabaseTestCase
{
    use Proxies;

    /** Linux: a connection is taken with the client's first word. PHP names it from 8.3 on. */
    private const TCP_DEFER_ACCEPT = 9;

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

    public function testConnectsWithTheFirstRow(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders');
        $buffer->flush();
        $buffer->add(null);
        self::assertNull($buffer->find('wb_orders', 1));
        self::assertSame([], $this->bufferConnections(), 'nothing to write, nothing to ask');
        $buffer->add(['id' => 1]);
        self::assertCount(1, $this->bufferConnections());
        $buffer->flush();
        $buffer->add(['id' => 2]);
        $buffer->flush();
        self::assertCount(1, $this->bufferConnections());
        self::assertSame(0, $buffer->getMetrics()['reconnects']);
        unset($buffer);
        $this->awaitNoConnections();
    }

    public function testConnectsOverAUnixSocket(): void
    {
        $dsn = sprintf(
            'mysql://%s:%s@localhost/%s?unix_socket=%s',
            self::setting('DB_USERNAME'),
            rawurlencode(self::setting('DB_PASSWORD')),
            self::setting('DB_DATABASE'),
            rawurlencode(self::setting('DB_SOCKET')),
        );
        $buffer = $this->buffer(dsn: $dsn, orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        $buffer->flush();
        self::assertSame(['1'], array_column($this->rows('wb_orders'), 'id'));
        $host = $this->admin()
            ->query("SELECT HOST FROM information_schema.PROCESSLIST WHERE USER = 'write_buffer' AND HOST = 'localhost'")
            ->fetchColumn();
        self::assertSame('localhost', $host);
    }

    public function testAnAccountWithSpecialCharacters(): void
    {
        $admin = $this->admin();
        foreach (['localhost', '127.0.0.1'] as $host) {
            $admin->exec("DROP USER IF EXISTS 'a b@c:d/e'@'{$host}'");
            $admin->exec("CREATE USER 'a b@c:d/e'@'{$host}' IDENTIFIED BY 'p@ss:w/o?r#d%ü+ x'");
            $admin->exec("GRANT ALL ON `write\\_buffer\\_%`.* TO 'a b@c:d/e'@'{$host}'");
            $this->dropLater("DROP USER 'a b@c:d/e'@'{$host}'");
        }
        $buffer = $this->buffer(orderTable: 'wb_orders', dsn: sprintf(
            'mysql://%s:%s@%s:%s/%s',
            rawurlencode('a b@c:d/e'),
            rawurlencode('p@ss:w/o?r#d%ü+ x'),
            self::setting('DB_HOST'),
            self::setting('DB_PORT'),
            self::setting('DB_DATABASE'),
        ));
        $buffer->add(['id' => 1]);
        self::assertSame(1, $buffer->flush());
    }

    public function testAKilledIdleConnectionIsReplaced(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders');
        for ($round = 1; $round <= 3; $round++) {
            $buffer->add(['id' => $round]);
            $buffer->flush();
            foreach ($this->bufferConnections() as $id) {
                $this->admin()->exec("KILL CONNECTION {$id}");
            }
            $this->awaitNoConnections();
        }
        $buffer->add(['id' => 4]);
        $buffer->flush();
        self::assertSame(['1', '2', '3', '4'], array_column($this->rows('wb_orders'), 'id'));
        self::assertSame([3, 0], [$buffer->getMetrics()['reconnects'], $buffer->getMetrics()['transactions_failed']]);
    }

    public function testAConnectionThatWaitTimeoutClosedIsReplaced(): void
    {
        $this->setGlobal('wait_timeout', 1);
        $buffer = $this->buffer(orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $this->awaitNoConnections();
        $buffer->add(['id' => 2]);
        self::assertSame(1, $buffer->flush());
        self::assertSame(1, $buffer->getMetrics()['reconnects']);
        self::assertSame(['1', '2'], array_column($this->rows('wb_orders'), 'id'));
    }

    public function testAConnectionKilledInsideATransactionDoublesNothing(): void
    {
        $this->createTable('wb_sums', 'id INT PRIMARY KEY, total INT NOT NULL DEFAULT 0');
        $this->pdo()->exec('INSERT INTO wb_sums VALUES (1, 0)');
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec('UPDATE wb_sums SET total = total WHERE id = 1');
        $writer = new PhpProcess(
            <<<'PHP'
                $buffer = new WriteBuffer(
                    $argv[1],
                    flushIntervalMs: 3_600_000,
                    orderTable: 'wb_orders',
                    tables: ['wb_sums' => ['merge' => ['total' => 'sum']]],
                );
                $buffer->add(['id' => 1]);
                $buffer->put('wb_sums', ['id' => 1, 'total' => 5]);
                echo "writing\n";
                echo $buffer->flush(), ' rows, ', $buffer->getMetrics()['reconnects'], " reconnect\n";
                PHP,
            [],
            [$this->dsnWith('lock_wait_timeout_ms=600000')],
        );
        $writer->waitFor("writing\n");
        $id = $this->awaitLockWait();
        $this->admin()->exec("KILL CONNECTION {$id}");
        $holder->commit();
        self::assertSame("writing\n2 rows, 1 reconnect\n", $writer->finish());
        self::assertSame('5', $this->value('SELECT total FROM wb_sums'));
    }

    public function testSaysWhyItCannotConnect(): void
    {
        [$host, $port, $database, $user, $password] = array_map(
            self::setting(...),
            ['DB_HOST', 'DB_PORT', 'DB_DATABASE', 'DB_USERNAME', 'DB_PASSWORD'],
        );
        $place = preg_quote("{$host}:{$port}", '/');
        $kept = ' \(1 row still buffered\)';
        foreach (
            [
                'a wrong password' => [
                    "mysql://{$user}:Wr0ng-Passw0rd@{$host}:{$port}/{$database}",
                    1045,
                    "cannot connect to {$place}\\/{$database} as \"{$user}\": Access denied for user '{$user}'@'.*' "
                        . '\(using password: YES\); check user and password of the DSN \(percent-encode special characters\); an account '
                        . 'that REQUIREs SSL needs tls=required',
                ],
                'no password' => [
                    "mysql://{$user}@{$host}:{$port}/{$database}",
                    1045,
                    "cannot connect to {$place}\\/{$database} as \"{$user}\": Access denied for user '{$user}'@'.*' "
                        . '\(using password: NO\); check user and password of the DSN \(percent-encode special characters\); an account '
                        . 'that REQUIREs SSL needs tls=required',
                ],
                'an unknown database' => [
                    "mysql://{$user}:{$password}@{$host}:{$port}/write_buffer_gone",
                    1049,
                    "cannot connect to {$place}\\/write_buffer_gone as \"{$user}\": Unknown database 'write_buffer_gone'; create "
                        . 'the database, or correct the DSN',
                ],
                'a database of others' => [
                    "mysql://{$user}:{$password}@{$host}:{$port}/mysql",
                    1044,
                    "cannot connect to {$place}\\/mysql as \"{$user}\": Access denied for user '{$user}'@'.*' to database "
                        . '\'mysql\'; GRANT the account access to the database, or correct the DSN',
                ],
                'nobody there' => [
                    "mysql://{$user}:{$password}@127.0.0.1:1/{$database}",
                    2003,
                    "cannot connect to 127\\.0\\.0\\.1:1\\/{$database} as \"{$user}\": .*refused.*; check that the server runs "
                        . 'there, and the DSN\'s host and port, or its unix_socket',
                ],
                'no socket there' => [
                    "mysql://{$user}:{$password}@localhost/{$database}?unix_socket=/nowhere/mysqld.sock",
                    2003,
                    "cannot connect to \\/nowhere\\/mysqld\\.sock\\/{$database} as \"{$user}\": .*; check that the server runs "
                        . 'there, and the DSN\'s host and port, or its unix_socket',
                ],
                'no such host' => [
                    "mysql://{$user}:{$password}@host.invalid/{$database}",
                    2005,
                    "cannot connect to host\\.invalid:3306\\/{$database} as \"{$user}\": the host's address cannot be found "
                        . "\\(.*\\); check the DSN's host, and the machine's resolver",
                ],
                'an unknown time zone' => [
                    "mysql://{$user}:{$password}@{$host}:{$port}/{$database}?timezone=Nowhere/Land",
                    1298,
                    "cannot connect to {$place}\\/{$database} as \"{$user}\": Unknown or incorrect time zone: 'Nowhere\\/Land'; "
                        . 'load the server\'s time zone tables, or give an offset such as timezone=%2B00:00',
                ],
                'an unknown charset' => [
                    "mysql://{$user}:{$password}@{$host}:{$port}/{$database}?charset=klingon",
                    1115,
                    "cannot connect to {$place}\\/{$database} as \"{$user}\": Unknown character set: 'klingon'; correct "
                        . 'charset and collation of the DSN',
                ],
            ] as $case => [$dsn, $code, $pattern]
        ) {
            $buffer = $this->buffer(dsn: $dsn, orderTable: 'wb_orders', shutdownTimeoutMs: 60_000);
            $warnings = self::warningsOf(static function () use (&$buffer, $pattern, $code, $kept): void {
                $buffer->add(['id' => 1]);
                self::assertCount(1, $buffer, 'a short outage is no reason to refuse an order');
                $thrown = self::assertThrowsMatching(
                    ConnectionException::class,
                    "/^{$pattern}{$kept}\$/D",
                    static fn () => $buffer->flush(),
                    $code,
                );
                self::assertStringNotContainsString('Wr0ng', (string) $thrown);
                self::assertStringNotContainsString(self::setting('DB_PASSWORD'), (string) $thrown);
                self::assertStringNotContainsString(self::setting('DB_PASSWORD'), print_r($buffer, true));
                self::assertCount(1, $buffer);
                $buffer = null;
            });
            self::assertCount(1, $warnings, $case);
            self::assertMatchesRegularExpression(
                "/^WriteBuffer: lost 1 buffered row: {$pattern}\\. They were for .*: 1 row of wb_orders \\(id 1\\)\\. "
                    . 'Call flush\(\) or close\(\) before the end to handle this, or set deadLetterFile to keep them$/D',
                $warnings[0],
                $case,
            );
            $sync = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
            self::assertThrowsMatching(
                Synchronous\ConnectionException::class,
                "/^{$pattern}\$/D",
                static fn () => $sync->add(['id' => 1]),
                $code,
            );
            self::assertCount(0, $sync, $case);
        }
        self::assertSame([], $this->rows('wb_orders'));
    }

    public function testASilentServerIsLeftAfterConnectTimeout(): void
    {
        // It accepts and says nothing. The handshake is part of connecting.
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $place = stream_socket_get_name($server, false);
        $buffer = $this->buffer(
            dsn: "mysql://user:secret@{$place}/db?connect_timeout_ms=200",
            orderTable: 'wb_orders',
        );
        $started = hrtime(true);
        $buffer->add(['id' => 1]);
        self::assertThrows(
            ConnectionException::class,
            "cannot connect to {$place}/db as \"user\": no answer within 200 ms (connect_timeout_ms); check that the server "
                . 'runs there, and the DSN\'s host and port, or its unix_socket (1 row still buffered)',
            static fn () => $buffer->flush(),
            2003,
        );
        // A hundred times the time-out: slowness alone takes no machine as long.
        self::assertLessThan(20_000.0, (hrtime(true) - $started) / 1e6, 'milliseconds');
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertStringNotContainsString('secret', $warnings[0]);
    }

    /**
     * A server that is killed as a connection to it begins can leave a client connected to nobody:
     * its kernel forgets the connection, and resets nothing. So it does whenever a listener is
     * closed that waits for the client's first word.
     */
    public function testAConnectionThatTheServerHasForgottenIsLeft(): void
    {
        if (!extension_loaded('sockets')) {
            self::markTestSkipped('the extension sockets, which can lose a connection, is not there');
        }
        $port = $this->reservePort();
        $listener = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        self::assertTrue(socket_set_option($listener, SOL_SOCKET, SO_REUSEADDR, 1));
        self::assertTrue(socket_set_option($listener, SOL_TCP, self::TCP_DEFER_ACCEPT, 3_600));
        self::assertTrue(socket_bind($listener, '127.0.0.1', $port) && socket_listen($listener));
        $buffer = $this->buffer(
            dsn: str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsnWith('connect_timeout_ms=86400000')),
            background: true,
            flushIntervalMs: 1,
            orderTable: 'wb_orders',
        );
        $buffer->add(['id' => 1]);
        self::await('a connection', static fn (): bool => self::isConnectedTo($port));
        socket_close($listener);
        $this->startProxy($port);
        self::await('the row', fn (): bool => $this->value('SELECT COUNT(*) FROM wb_orders') === '1');
        $buffer->close();
    }

    /** Whether this machine has a connection to a port of 127.0.0.1, by its own side of it. */
    private static function isConnectedTo(int $port): bool
    {
        return preg_match(sprintf('/ 0100007F:%04X 01 /', $port), (string) file_get_contents('/proc/net/tcp')) === 1;
    }

    public function testAReadTimeoutEndsAConnection(): void
    {
        // The read time-out comes a hundred times sooner, on a busy machine too.
        $this->setGlobal('innodb_lock_wait_timeout', 20);
        $this->pdo()->exec("INSERT INTO wb_orders VALUES (1, 'before')");
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec("UPDATE wb_orders SET v = 'held' WHERE id = 1");
        $buffer = $this->buffer(dsn: $this->dsnWith('read_timeout_ms=200'), orderTable: 'wb_orders');
        self::thrownBy(static fn () => $buffer->add(['id' => 1, 'v' => 'ours']));
        self::assertCount(1, $buffer);
        // On a busy machine the server may be as slow already before the lock.
        self::await('a write that is not answered', function () use ($buffer, &$thrown): bool {
            $thrown = self::assertThrowsMatching(
                ConnectionException::class,
                '/lost the connection to 127\.0\.0\.1:\d+\/write_buffer_test: no answer within 200 ms '
                    . '\(read_timeout_ms\) \(1 row still buffered\)$/D',
                static fn () => $buffer->flush(),
                2013,
            );

            return str_starts_with($thrown->getMessage(), 'table wb_orders: lost');
        });
        self::assertStringNotContainsString(self::setting('DB_PASSWORD'), (string) $thrown);
        $holder->rollBack();
        self::await('a flush in time', static fn (): bool => self::thrownBy(static fn () => $buffer->flush()) === null);
        self::assertCount(0, $buffer);
        self::assertSame('ours', $this->value('SELECT v FROM wb_orders'));
    }

    public function testRowsTakenDuringAnOutageAreCheckedAndWrittenLater(): void
    {
        $user = self::setting('DB_USERNAME');
        $this->pdo();
        foreach (['localhost', '127.0.0.1'] as $host) {
            $this->admin()->exec("ALTER USER '{$user}'@'{$host}' ACCOUNT LOCK");
            $this->dropLater("ALTER USER '{$user}'@'{$host}' ACCOUNT UNLOCK");
        }
        $buffer = $this->buffer(orderTable: 'wb_orders');
        $buffer->add(['id' => 1, 'v' => 'a']);
        $buffer->add(['id' => 1, 'v' => 'b']);
        self::assertInstanceOf(ConnectionException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertCount(2, $buffer);
        foreach (['localhost', '127.0.0.1'] as $host) {
            $this->admin()->exec("ALTER USER '{$user}'@'{$host}' ACCOUNT UNLOCK");
        }
        self::assertSame(2, $buffer->flush());
        self::assertSame([['id' => '1', 'v' => 'b']], $this->rows('wb_orders'));
    }
}
