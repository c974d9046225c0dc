<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Drivers\Native\NativeDsn;

/** The DSN of a connection in config/database.php. */
final class NativeDsnTest extends TestCase
{
    private const CONFIG = [
        'name' => 'mysql',
        'driver' => 'mysql',
        'host' => 'db.example.org',
        'port' => '3307',
        'database' => 'exchange',
        'username' => 'me@here',
        'password' => 'p:a/s#s?',
        'unix_socket' => '',
    ];

    private const ACCOUNT = 'mysql://me%40here:p%3Aa%2Fs%23s%3F@';

    private const STRICT = 'sql_mode=ONLY_FULL_GROUP_BY%2CSTRICT_TRANS_TABLES%2CNO_ZERO_IN_DATE%2CNO_ZERO_DATE%2C'
        . 'ERROR_FOR_DIVISION_BY_ZERO%2CNO_ENGINE_SUBSTITUTION';

    /** @return iterable<string, array{array<string, mixed>, string}> */
    public static function configurations(): iterable
    {
        $host = 'db.example.org:3307/exchange';
        yield 'a host' => [[], $host];
        yield 'no port' => [['port' => null], 'db.example.org/exchange'];
        yield 'several hosts' => [['host' => ['a', 'b']], 'a:3307,b:3307/exchange'];
        yield 'an IPv6 address' => [['host' => '::1'], '[::1]:3307/exchange'];
        yield 'mariadb' => [['driver' => 'mariadb'], $host];
        yield 'a socket' => [['unix_socket' => '/run/my sql.sock'], 'localhost/exchange?unix_socket=%2Frun%2Fmy%20sql.sock'];
        yield 'the session' => [
            [
                'charset' => 'utf8mb4',
                'collation' => 'utf8mb4_bin',
                'timezone' => '+00:00',
                'isolation_level' => 'REPEATABLE READ',
            ],
            $host . '?charset=utf8mb4&collation=utf8mb4_bin&timezone=%2B00%3A00&isolation_level=REPEATABLE%20READ',
        ];
        yield 'a collation without a charset, which Laravel does not set' => [['collation' => 'utf8mb4_bin'], $host];
        yield 'strict' => [['strict' => true], $host . '?' . self::STRICT];
        yield 'not strict' => [['strict' => false], $host . '?sql_mode=NO_ENGINE_SUBSTITUTION'];
        yield 'modes' => [['strict' => true, 'modes' => ['ANSI', 'NO_ZERO_DATE']], $host . '?sql_mode=ANSI%2CNO_ZERO_DATE'];
        yield 'no modes at all' => [['modes' => []], $host . '?sql_mode='];
        yield 'an authority' => [['options' => [PDO::MYSQL_ATTR_SSL_CA => '/ca.pem']], $host . '?tls=required&tls_ca=%2Fca.pem'];
        yield 'a certificate' => [
            ['options' => [
                PDO::MYSQL_ATTR_SSL_CA => '/ca.pem',
                PDO::MYSQL_ATTR_SSL_CERT => '/c.pem',
                PDO::MYSQL_ATTR_SSL_KEY => '/k.pem',
                PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => true,
            ]],
            $host . '?tls=required&tls_ca=%2Fca.pem&tls_cert=%2Fc.pem&tls_key=%2Fk.pem',
        ];
        yield 'a certificate that nobody looks at' => [
            ['options' => [
                PDO::MYSQL_ATTR_SSL_CA => '/ca.pem',
                PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false,
            ]],
            $host . '?tls=required&tls_verify=none',
        ];
        yield 'TLS and a socket' => [
            ['unix_socket' => '/s', 'options' => [PDO::MYSQL_ATTR_SSL_CA => '/ca.pem']],
            'localhost/exchange?unix_socket=%2Fs',
        ];
        yield 'a time-out, in seconds' => [['options' => [PDO::ATTR_TIMEOUT => 3]], $host . '?connect_timeout_ms=3000'];
    }

    /**
     * @dataProvider configurations
     *
     * @param array<string, mixed> $changes
     */
    #[DataProvider('configurations')]
    public function testTheDsnOfAConnection(array $changes, string $dsn): void
    {
        self::assertSame(self::ACCOUNT . $dsn, NativeDsn::fromConfig($changes + self::CONFIG));
    }

    public function testWithoutAPassword(): void
    {
        self::assertSame(
            'mysql://me%40here@db.example.org:3307/exchange',
            NativeDsn::fromConfig(['password' => ''] + self::CONFIG),
        );
    }

    /** @return iterable<string, array{array<string, mixed>, string}> */
    public static function refused(): iterable
    {
        yield 'another driver' => [
            ['driver' => 'sqlite'],
            'the connection mysql of config/database.php has the driver sqlite: the extension writes to mysql and mariadb;'
                . ' use the buffer driver "php" for others',
        ];
        yield 'no user' => [['username' => ''], 'the connection mysql of config/database.php has no username'];
        yield 'no host' => [['host' => []], 'the connection mysql of config/database.php has no host'];
        yield 'a folder of authorities' => [
            ['options' => [PDO::MYSQL_ATTR_SSL_CAPATH => '/etc/ssl/certs']],
            'the connection mysql of config/database.php sets MYSQL_ATTR_SSL_CAPATH, which the extension does not have:'
                . ' name one file by MYSQL_ATTR_SSL_CA, and leave the ciphers to the server',
        ];
    }

    /**
     * @dataProvider refused
     *
     * @param array<string, mixed> $changes
     */
    #[DataProvider('refused')]
    public function testWhatCannotBeCarriedOverIsRefused(array $changes, string $message): void
    {
        $this->expectException(ConfigException::class);
        $this->expectExceptionMessage($message);
        NativeDsn::fromConfig($changes + self::CONFIG);
    }
}
