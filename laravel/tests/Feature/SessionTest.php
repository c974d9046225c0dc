<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * One source of truth: what config/database.php says of a session holds for Laravel's connection
 * and for the native one.
 *
 * Nobody can ask another connection for its variables. So the test finds in the server's log the
 * statement by which the native connection set up its session, and executes it on a connection of
 * its own. (The engine reads its variables back, and refuses any others.)
 */
final class SessionTest extends TestCase
{
    private const VARIABLES = [
        'character_set_client', 'character_set_connection', 'character_set_results', 'collation_connection', 'time_zone',
        'sql_mode',
    ];

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function connections(): iterable
    {
        yield 'as Laravel is installed' => [[]];
        yield 'a time zone' => [['timezone' => '+05:30']];
        yield 'an old character set' => [['charset' => 'latin1', 'collation' => 'latin1_german1_ci']];
        yield 'a character set without a collation' => [['collation' => null]];
        yield 'not strict' => [['strict' => false]];
        yield 'no word of strictness' => [['strict' => null]];
        yield 'modes' => [['modes' => ['STRICT_ALL_TABLES', 'ANSI_QUOTES', 'NO_ZERO_DATE']]];
        yield 'no modes' => [['modes' => []]];
        yield 'an isolation level' => [['isolation_level' => 'SERIALIZABLE']];
        yield 'several hosts, of which one is there' => [['host' => ['127.0.0.2', '127.0.0.1']]];
        yield 'a read/write split' => [[
            'host' => null,
            'read' => ['host' => ['192.0.2.1']],
            'write' => ['host' => ['127.0.0.1'], 'timezone' => '+01:00'],
        ]];
    }

    /**
     * @dataProvider connections
     *
     * @param array<string, mixed> $changes
     */
    #[DataProvider('connections')]
    public function testTheSessionsAreTheSame(array $changes): void
    {
        $this->compare(self::server(array_filter($changes, static fn (mixed $value): bool => $value !== null)
            + array_diff_key(self::server(), array_filter($changes, 'is_null'))), isset($changes['isolation_level']));
    }

    public function testAUnixSocket(): void
    {
        $this->compare(self::server(['unix_socket' => self::setting('DB_SOCKET'), 'host' => '192.0.2.1']));
    }

    public function testAUrl(): void
    {
        $this->compare([
            'driver' => 'mysql',
            'url' => self::setting('WRITE_BUFFER_TEST_DSN') . '?charset=utf8mb4&timezone=%2B02:00',
            'host' => '192.0.2.1',
            'database' => 'elsewhere',
            'username' => 'somebody',
            'prefix' => '',
        ]);
    }

    /** @param array<string, mixed> $server */
    private function compare(array $server, bool $withIsolation = false): void
    {
        $this->createTable('wb_session', 'id INT PRIMARY KEY');
        $this->app->make('config')->set('database.connections.compared', $server);
        $this->app->make('config')->set('write-buffer.buffers.compared', [
            'driver' => 'sync',
            'connection' => 'compared',
        ]);
        $admin = new PDO('mysql:unix_socket=' . self::setting('DB_SOCKET'), 'root');
        $buffer = $this->buffer('compared');
        $admin->exec("SET GLOBAL log_output = 'TABLE'");
        $admin->exec('SET GLOBAL general_log = 1');
        $admin->exec('TRUNCATE mysql.general_log');
        $buffer->put('wb_session', ['id' => 1]);
        $admin->exec('SET GLOBAL general_log = 0');
        $set = $admin->query(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE 'SET NAMES%SESSION%'"
        )->fetchAll(PDO::FETCH_COLUMN);
        self::assertCount(1, $set, 'the native connection sets up its session by one statement');

        $native = new PDO('mysql:unix_socket=' . self::setting('DB_SOCKET'), 'root');
        $native->exec($set[0]);
        $isolation = getenv('DB_SERVER') === 'mysql' ? 'transaction_isolation' : 'tx_isolation';
        $asked = 'SELECT @@SESSION.' . implode(', @@SESSION.', [...self::VARIABLES, $isolation]);
        $ofBuffer = $native->query($asked)->fetch(PDO::FETCH_ASSOC);
        $laravel = $this->app->make('db')->connection('compared');
        $ofLaravel = (array) $laravel->selectOne($asked, [], false);
        if (!$withIsolation) {
            self::assertSame('READ-COMMITTED', $ofBuffer["@@SESSION.{$isolation}"]);
            unset($ofBuffer["@@SESSION.{$isolation}"], $ofLaravel["@@SESSION.{$isolation}"]);
        }
        self::assertSame($ofLaravel, $ofBuffer);
        $laravel->disconnect();
    }
}
