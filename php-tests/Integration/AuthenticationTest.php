<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use PDOException;
use WriteBuffer\Synchronous\ConnectionException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * How accounts authenticate over TCP, TLS and the unix socket, and what those are told that are
 * refused.
 */
final class AuthenticationTest extends DatabaseTestCase
{
    /** Every character that is special in a URL or in SQL. */
    private const PASSWORD = 'S3cr3t p@ss:w/o?r#d%+\'"ü';

    private const CHECK_PASSWORD = '; check user and password of the DSN (percent-encode special characters)';

    private int $id = 0;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY');
    }

    private static function isMariaDb(): bool
    {
        return self::setting('DB_SERVER') === 'mariadb';
    }

    /** Creates an account for both names of this machine, and drops it at the test's end. */
    private function createAccount(string $name, string $as, string $options = ''): void
    {
        foreach (['localhost', '127.0.0.1'] as $host) {
            $this->admin()->exec("CREATE USER '{$name}'@'{$host}' {$as} {$options}");
            $this->dropLater("DROP USER '{$name}'@'{$host}'");
            $this->admin()->exec("GRANT ALL ON `write\\_buffer\\_%`.* TO '{$name}'@'{$host}'");
        }
    }

    private function quoted(string $password): string
    {
        return $this->admin()->quote($password);
    }

    /** @return array{tcp: string, tls: string, socket: string} DSNs by the way to the server */
    private static function ways(string $user, string $password = self::PASSWORD): array
    {
        $account = rawurlencode($user) . ':' . rawurlencode($password);
        $database = self::setting('DB_DATABASE');
        $tcp = "mysql://{$account}@127.0.0.1:" . self::setting('DB_PORT') . "/{$database}";

        return [
            'tcp' => $tcp,
            'tls' => $tcp . '?tls_ca=' . rawurlencode(self::setting('DB_TLS_DIR') . '/ca.pem'),
            'socket' => "mysql://{$account}@localhost/{$database}?unix_socket=" . rawurlencode(self::setting('DB_SOCKET')),
        ];
    }

    private function assertConnects(string $dsn, string $way): void
    {
        $buffer = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
        $buffer->add(['id' => ++$this->id]);
        self::assertSame((string) $this->id, $this->value('SELECT MAX(id) FROM wb_orders'), $way);
    }

    /** @param string $message a pattern of what follows "cannot connect to PLACE as USER: " */
    private function assertRefused(string $dsn, int $code, string $message): void
    {
        $buffer = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
        $thrown = self::assertThrowsMatching(
            ConnectionException::class,
            "/^cannot connect to \\S+\\/write_buffer_test as \"\\w+\": {$message}\$/D",
            static fn () => $buffer->add(['id' => 1_000]),
            $code,
        );
        foreach ([self::PASSWORD, 'S3cr3t', self::setting('DB_PASSWORD')] as $secret) {
            self::assertStringNotContainsString($secret, (string) $thrown);
        }
        self::assertNull($this->value('SELECT id FROM wb_orders WHERE id = 1000'));
    }

    /** The account is let in each way, and never with another password. */
    private function assertAuthenticates(string $user): void
    {
        foreach (self::ways($user) as $way => $dsn) {
            // After a full check the server may take a shorter way.
            $this->admin()->exec('FLUSH PRIVILEGES');
            $this->assertConnects($dsn, "{$user} over {$way}, for the first time");
            $this->assertConnects($dsn, "{$user} over {$way}, again");
        }
        foreach (['tcp', 'tls', 'socket'] as $way) {
            foreach (['S3cr3t', ''] as $password) {
                $this->assertRefused(
                    self::ways($user, $password)[$way],
                    1045,
                    "Access denied for user '{$user}'@'.*' \\(using password: .*\\)"
                        . preg_quote(self::CHECK_PASSWORD, '/') . '; an account that REQUIREs .*',
                );
            }
        }
    }

    public function testCachingSha2Password(): void
    {
        if (self::isMariaDb()) {
            self::markTestSkipped('MariaDB 10.11 has no caching_sha2_password');
        }
        $this->createAccount('wb_sha2', 'IDENTIFIED WITH caching_sha2_password BY ' . $this->quoted(self::PASSWORD));
        $this->assertAuthenticates('wb_sha2');
    }

    public function testMysqlNativePassword(): void
    {
        if (!self::isMariaDb()) {
            self::markTestSkipped('MySQL 9 has no mysql_native_password');
        }
        $this->createAccount('wb_native', 'IDENTIFIED VIA mysql_native_password USING PASSWORD('
            . $this->quoted(self::PASSWORD) . ')');
        $this->assertAuthenticates('wb_native');
    }

    public function testEd25519(): void
    {
        if (!self::isMariaDb()) {
            self::markTestSkipped('ed25519 is MariaDB\'s');
        }
        if ($this->admin()->query("SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'")->fetch() === false) {
            self::markTestSkipped('the server has no plugin ed25519: scripts/fetch-mariadb-plugins says why');
        }
        $this->createAccount('wb_ed', 'IDENTIFIED VIA ed25519 USING PASSWORD(' . $this->quoted(self::PASSWORD) . ')');
        $this->assertAuthenticates('wb_ed');
    }

    public function testAnAccountWithoutAPassword(): void
    {
        $this->createAccount('wb_open', "IDENTIFIED BY ''");
        foreach (self::ways('wb_open', '') as $way => $dsn) {
            $this->assertConnects($dsn, "with an empty password, over {$way}");
            $this->assertConnects(str_replace('wb_open:@', 'wb_open@', $dsn), "with none, over {$way}");
        }
    }

    public function testAnAccountThatRequiresTls(): void
    {
        $this->createAccount('wb_ssl', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD), 'REQUIRE SSL');
        $denied = "Access denied for user 'wb_ssl'@'.*' \\(using password: YES\\)" . preg_quote(self::CHECK_PASSWORD, '/');
        ['tcp' => $tcp, 'tls' => $tls, 'socket' => $socket] = self::ways('wb_ssl');
        $this->assertRefused($tcp, 1045, "{$denied}; an account that REQUIREs SSL needs tls=required");
        $this->assertRefused($socket, 1045, "{$denied}; an account that REQUIREs SSL needs TCP and tls=required");
        $this->assertConnects($tls, 'over TLS');
    }

    public function testAnAccountThatRequiresACertificate(): void
    {
        $this->createAccount('wb_x509', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD), 'REQUIRE X509');
        $tls = self::ways('wb_x509')['tls'];
        $this->assertRefused(
            $tls,
            1045,
            "Access denied for user 'wb_x509'@'.*' \\(using password: YES\\)" . preg_quote(self::CHECK_PASSWORD, '/')
                . '; an account that REQUIREs X509 needs tls_cert and tls_key',
        );
        $folder = rawurlencode(self::setting('DB_TLS_DIR'));
        $this->assertConnects("{$tls}&tls_cert={$folder}/client-cert.pem&tls_key={$folder}/client-key.pem", 'with a certificate');
    }

    public function testAServerThatRequiresTls(): void
    {
        $this->createAccount('wb_any', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD));
        $this->setGlobal('require_secure_transport', 1);
        ['tcp' => $tcp, 'tls' => $tls, 'socket' => $socket] = self::ways('wb_any');
        if (self::isMariaDb()) {
            $this->assertRefused($tcp, 1045, 'Access denied .*; an account that REQUIREs SSL needs tls=required');
        } else {
            $this->assertRefused(
                $tcp,
                3159,
                'Connections using insecure transport are prohibited .*; the server wants TLS: tls=required',
            );
        }
        $this->admin()->exec('SET GLOBAL require_secure_transport = 0');
        $this->pdo();
        $this->admin()->exec('SET GLOBAL require_secure_transport = 1');
        $this->assertConnects($tls, 'over TLS');
        $this->assertConnects($socket, 'over the socket');
    }

    public function testAPluginThatIsNotKnownHere(): void
    {
        if (self::isMariaDb()) {
            $this->admin()->exec("INSTALL SONAME 'auth_pam_v1'");
            $this->dropLater("UNINSTALL SONAME 'auth_pam_v1'");
            $this->createAccount('wb_pam', 'IDENTIFIED VIA pam');
            $plugin = 'dialog';
        } else {
            $this->createAccount('wb_pam', 'IDENTIFIED WITH sha256_password BY ' . $this->quoted(self::PASSWORD));
            $plugin = 'sha256_password';
        }
        $this->assertRefused(
            self::ways('wb_pam')['tcp'],
            2059,
            "the account's way to authenticate is not known here \\(Unknown authentication protocol: `{$plugin}`\\); give the "
                . 'account caching_sha2_password, mysql_native_password or ed25519',
        );
    }

    public function testAnExpiredPassword(): void
    {
        $this->createAccount('wb_old', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD), 'PASSWORD EXPIRE');
        $this->assertRefused(
            self::ways('wb_old')['tcp'],
            self::isMariaDb() ? 1820 : 1862,
            '.*; the password has expired: set another with ALTER USER',
        );
    }

    public function testAnAccountWithTooManyConnections(): void
    {
        $this->createAccount('wb_one', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD), 'WITH MAX_USER_CONNECTIONS 1');
        $tcp = self::ways('wb_one')['tcp'];
        $only = $this->syncBuffer(dsn: $tcp, orderTable: 'wb_orders');
        $only->add(['id' => 1]);
        $this->assertRefused(
            $tcp,
            1226,
            "User 'wb_one' has exceeded the 'max_user_connections' resource \\(current value: 1\\); raise the account's limit "
                . '\(ALTER USER … WITH MAX_USER_CONNECTIONS\), or use fewer connections',
        );
    }

    public function testAnAccountThatHasUsedUpItsHour(): void
    {
        $this->createAccount('wb_hour', 'IDENTIFIED BY ' . $this->quoted(self::PASSWORD), 'WITH MAX_CONNECTIONS_PER_HOUR 1');
        $tcp = self::ways('wb_hour')['tcp'];
        $this->syncBuffer(dsn: $tcp, orderTable: 'wb_orders')->add(['id' => 1]);
        $this->assertRefused(
            $tcp,
            1226,
            "User 'wb_hour' has exceeded the 'max_connections_per_hour' resource \\(current value: 1\\); raise that limit of "
                . 'the account \(ALTER USER … WITH …\), or wait: it counts anew each hour',
        );
    }

    public function testAServerWithTooManyConnections(): void
    {
        $this->pdo();
        $this->setGlobal('max_connections', 10);
        $others = [];
        $full = null;
        while ($full === null) {
            self::assertLessThan(20, count($others), 'the server is never full');
            try {
                $others[] = $this->connect();
            } catch (PDOException $exception) {
                $full = $exception;
            }
        }
        $this->assertRefused($this->dsn(), 1040, 'Too many connections; raise max_connections, or use fewer connections');
        $others = null;
        $this->admin()->exec('SET GLOBAL max_connections = 100');
        $this->assertConnects($this->dsn(), 'when there is room again');
    }

    public function testAHostThatMayNotConnect(): void
    {
        // If any account were left for 127.0.0.1, the answer would be that to a wrong password.
        $this->pdo();
        $accounts = $this->admin()->query("SELECT User FROM mysql.user WHERE Host = '127.0.0.1'")->fetchAll(PDO::FETCH_COLUMN);
        foreach ($accounts as $account) {
            $this->admin()->exec("RENAME USER '{$account}'@'127.0.0.1' TO '{$account}'@'192.0.2.1'");
            $this->dropLater("RENAME USER '{$account}'@'192.0.2.1' TO '{$account}'@'127.0.0.1'");
        }
        $this->assertRefused(
            $this->dsn(),
            1130,
            "Host '127\\.0\\.0\\.1' is not allowed to connect to this M\\w+ server; create an account for this machine's address, "
                . "'user'@'address', or connect from another",
        );
    }
}
