<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PDO;
use PHPUnit\Framework\TestCase;

/** A test with a MariaDB or MySQL server of its own: see scripts/with-server. */
abstract class DatabaseTestCase extends TestCase
{
    use AssertsExceptions;
    use ChecksBuffers;

    /**
     * When a wait ends in vain. Nothing here takes as long, even on one slow processor with load
     * beside. So it is no bound on how fast anything is.
     */
    protected const TIMEOUT_S = 120.0;

    /** How long the end of a buffer may take to leave the ledger and the server. */
    protected const GOODBYE_NS = 500_000_000;

    private ?PDO $pdo = null;

    private ?PDO $admin = null;

    /** @var list<string> quoted names of tables and databases to drop, the last first */
    private array $dropped = [];

    /** @var array<string, string> global variables as they were */
    private array $globals = [];

    protected function setUp(): void
    {
        if (self::environment('WRITE_BUFFER_TEST_DSN') === null) {
            self::fail('WRITE_BUFFER_TEST_DSN is not set: run the tests that need a server with `make test`');
        }
    }

    protected function tearDown(): void
    {
        foreach ($this->globals as $name => $value) {
            $this->admin()->exec("SET GLOBAL {$name} = {$value}");
        }
        $this->globals = [];
        if ($this->pdo?->inTransaction()) {
            $this->pdo->rollBack();
        }
        $this->drainBuffers();
        foreach (array_reverse($this->dropped) as $statement) {
            $this->admin()->exec($statement);
        }
        $this->dropped = [];
        $this->pdo = $this->admin = null;
    }

    private static function environment(string $name): ?string
    {
        $value = getenv($name);

        return $value === false || $value === '' ? null : $value;
    }

    protected static function setting(string $name): string
    {
        return self::environment($name) ?? self::fail("{$name} is not set: run the tests with `make test`");
    }

    /** Whether the server is MySQL, and not MariaDB. */
    protected static function isMySql(): bool
    {
        return self::environment('DB_SERVER') === 'mysql';
    }

    /** Connecting may take long on a busy machine, and is no test's matter here. */
    protected function defaultDsn(): string
    {
        return $this->dsnWith('connect_timeout_ms=60000');
    }

    protected function dsn(): string
    {
        return self::setting('WRITE_BUFFER_TEST_DSN');
    }

    /** The DSN with options. */
    protected function dsnWith(string $options): string
    {
        return $this->dsn() . '?' . $options;
    }

    /** The tests' own connection, as the same account. */
    protected function pdo(): PDO
    {
        return $this->pdo ??= $this->connect();
    }

    /** Another connection of the same account. */
    protected function connect(): PDO
    {
        return new PDO(
            sprintf(
                'mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4',
                self::setting('DB_HOST'),
                self::setting('DB_PORT'),
                self::setting('DB_DATABASE'),
            ),
            self::setting('DB_USERNAME'),
            self::setting('DB_PASSWORD'),
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /** The server's process now. A test may have started it again. */
    protected static function serverPid(): int
    {
        $ready = self::environment('DB_CONTROL_DIR') === null
            ? self::setting('DB_PORT') . ' ' . self::setting('DB_SERVER_PID')
            : (string) file_get_contents(self::setting('DB_CONTROL_DIR') . '/ready');

        return (int) explode(' ', $ready)[1];
    }

    /** Connects anew at the next use, because the server was restarted. */
    protected function forgetConnections(): void
    {
        $this->pdo = $this->admin = null;
    }

    protected function admin(): PDO
    {
        return $this->admin ??= new PDO(
            sprintf('mysql:unix_socket=%s;dbname=%s', self::setting('DB_SOCKET'), self::setting('DB_DATABASE')),
            'root',
            null,
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /** Creates a table and drops it at the test's end. The name is plain or already quoted. */
    protected function createTable(string $name, string $definition, string $options = ''): void
    {
        $this->pdo()->exec("DROP TABLE IF EXISTS {$name}");
        $this->pdo()->exec("CREATE TABLE {$name} ({$definition}) {$options}");
        $this->dropLater("DROP TABLE IF EXISTS {$name}");
    }

    /** Runs a statement at the test's end. */
    protected function dropLater(string $statement): void
    {
        $this->dropped[] = $statement;
    }

    /** Sets a global variable until the test's end. */
    protected function setGlobal(string $name, int|string $value): void
    {
        $was = $this->admin()->query("SELECT @@GLOBAL.{$name}")->fetchColumn();
        $this->globals += [$name => is_numeric($was) ? $was : $this->admin()->quote((string) $was)];
        $this->admin()->exec("SET GLOBAL {$name} = " . (is_int($value) ? $value : $this->admin()->quote($value)));
    }

    /** @return list<array<string, string|null>> a table's rows as text, by its first column */
    protected function rows(string $table, string $columns = '*', string $order = '1, 2'): array
    {
        $statement = $this->pdo()->query("SELECT {$columns} FROM {$table} ORDER BY {$order}");

        return $statement->fetchAll(PDO::FETCH_ASSOC);
    }

    protected function value(string $sql): ?string
    {
        $value = $this->pdo()->query($sql)->fetchColumn();

        return $value === false ? null : $value;
    }

    /** @return list<string> the connection ids of this account that are not the tests' own */
    protected function bufferConnections(): array
    {
        $own = array_filter([
            $this->pdo?->query('SELECT CONNECTION_ID()')->fetchColumn(),
            $this->admin()->query('SELECT CONNECTION_ID()')->fetchColumn(),
        ]);
        $ids = $this->admin()
            ->query('SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '
                . $this->admin()->quote(self::setting('DB_USERNAME')))
            ->fetchAll(PDO::FETCH_COLUMN);

        return array_values(array_diff($ids, $own));
    }

    /** When a wait that begins now ends in vain, in the nanoseconds of `hrtime()`. */
    protected static function deadline(): float
    {
        return hrtime(true) + static::TIMEOUT_S * 1e9;
    }

    /** Waits until a condition holds. */
    protected static function await(string $what, callable $condition): void
    {
        $deadline = self::deadline();
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                self::fail("waited in vain: {$what}");
            }
            usleep(5_000);
        }
    }

    /**
     * Waits until the server has ended all sessions of buffers. Then it has undone what they did
     * not commit. A test that counts sessions begins so: those of the last test may be about to
     * end.
     */
    protected function awaitNoConnections(): void
    {
        self::await('no connection of a buffer', fn (): bool => $this->bufferConnections() === []);
    }

    /**
     * Waits until a transaction waits for a lock, and returns its connection's id. InnoDB's report
     * is of this moment. INNODB_TRX is a copy, which stays old as long as anybody reads it.
     */
    protected function awaitLockWait(): string
    {
        self::await('a transaction that waits for a lock', function () use (&$id): bool {
            $report = $this->admin()->query('SHOW ENGINE INNODB STATUS')->fetch(PDO::FETCH_NUM)[2];
            foreach (array_slice(explode("\n---TRANSACTION ", $report), 1) as $transaction) {
                // The statement comes behind these lines, and may say anything.
                $head = implode("\n", array_slice(explode("\n", $transaction), 0, 5));
                if (preg_match('/^LOCK WAIT .*^(?:MariaDB|MySQL) thread id (\d+),/ms', $head, $match) === 1) {
                    $id = $match[1];

                    return true;
                }
            }

            return false;
        });

        return $id;
    }
}
