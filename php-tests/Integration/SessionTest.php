<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Synchronous\ConnectionException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Proxies;

/** The engine's session is not the application's. A trigger sees what is set in it. */
final class SessionTest extends DatabaseTestCase
{
    use Proxies;

    /**
     * A trigger runs with the character sets and the sql_mode of its creation, so these are not
     * among them.
     */
    private const VARIABLES = ['isolation', 'time_zone', 'autocommit'];

    protected function tearDown(): void
    {
        $this->stopProxies();
        parent::tearDown();
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->awaitNoConnections();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, at TIMESTAMP NULL, t VARCHAR(5)');
        $columns = implode(', ', array_map(static fn (string $name): string => "{$name} VARCHAR(255)", self::VARIABLES));
        $this->createTable('wb_session', $columns);
        $values = implode(', ', array_map(self::variable(...), self::VARIABLES));
        $this->admin()->exec(
            "CREATE TRIGGER wb_orders_session AFTER INSERT ON wb_orders FOR EACH ROW INSERT INTO wb_session VALUES ({$values})"
        );
    }

    private static function variable(string $name): string
    {
        $isolation = self::isMySql() ? 'transaction_isolation' : 'tx_isolation';

        return '@@SESSION.' . ($name === 'isolation' ? $isolation : $name);
    }

    /**
     * @return iterable<string, array{string, array<string, string>}> options of the DSN, variables
     */
    public static function options(): iterable
    {
        yield 'none' => ['', [
            'isolation' => 'READ-COMMITTED',
            // In the middle of a transaction. Nothing of it may commit by itself.
            'autocommit' => '0',
            'time_zone' => 'SYSTEM',
        ]];
        yield 'timezone' => ['timezone=%2B02:00', ['time_zone' => '+02:00']];
        foreach (['read committed', 'REPEATABLE-READ', 'serializable', 'read_uncommitted'] as $level) {
            yield "isolation_level {$level}" => [
                'isolation_level=' . rawurlencode($level),
                ['isolation' => strtoupper(strtr($level, ' _', '--'))],
            ];
        }
    }

    /**
     * @dataProvider options
     *
     * @param array<string, string> $expected
     */
    #[DataProvider('options')]
    public function testOptionsReachTheSession(string $options, array $expected): void
    {
        $buffer = $this->buffer(dsn: $options === '' ? $this->dsn() : $this->dsnWith($options), orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $session = $this->rows('wb_session');
        self::assertCount(1, $session);
        self::assertSame($expected, array_intersect_key(array_replace($expected, $session[0]), $expected));
    }

    /**
     * @return iterable<string, array{string, string}> options of the DSN, and how the session
     *         begins
     */
    public static function characterSets(): iterable
    {
        yield 'none' => ['', "SET NAMES 'utf8mb4', "];
        yield 'charset' => ['?charset=latin1', "SET NAMES 'latin1', "];
        yield 'collation' => [
            '?charset=utf8mb4&collation=utf8mb4_unicode_ci',
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci', ",
        ];
    }

    /**
     * @dataProvider characterSets
     */
    #[DataProvider('characterSets')]
    public function testCharacterSetsReachTheSession(string $options, string $begins): void
    {
        $this->setGlobal('log_output', 'TABLE');
        $this->setGlobal('general_log', 1);
        $this->admin()->exec('TRUNCATE mysql.general_log');
        $buffer = $this->buffer(dsn: $this->dsn() . $options, orderTable: 'wb_orders');
        $buffer->add(['id' => 1, 't' => 'abc']);
        $buffer->flush();
        $this->admin()->exec('SET GLOBAL general_log = 0');
        $begun = $this->admin()
            ->query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE 'SET NAMES%SESSION%'")
            ->fetchAll(\PDO::FETCH_COLUMN);
        self::assertCount(1, $begun);
        self::assertStringStartsWith($begins, $begun[0]);
    }

    public function testTheServerSaysOfTheSessionWhatTheDsnSays(): void
    {
        $isolation = self::isMySql() ? 'transaction_isolation' : 'tx_isolation';
        $expected = [
            'autocommit' => '0',
            'character_set_client' => 'latin1',
            'character_set_connection' => 'latin1',
            'character_set_results' => 'latin1',
            'collation_connection' => 'latin1_german1_ci',
            $isolation => 'SERIALIZABLE',
            'sql_mode' => 'ANSI_QUOTES,STRICT_ALL_TABLES',
            'time_zone' => '+05:30',
        ];
        // MariaDB's defaults may read the session. MySQL's may not, but it shows one session's
        // variables to another.
        $columns = array_map(static fn (string $name): string => "{$name} VARCHAR(255)", array_keys($expected));
        if (!self::isMySql()) {
            $columns = array_map(
                static fn (string $name): string => "{$name} VARCHAR(255) DEFAULT (@@SESSION.{$name})",
                array_keys($expected),
            );
        }
        $this->createTable('wb_variables', 'id INT PRIMARY KEY, ' . implode(', ', $columns));
        $buffer = $this->buffer(orderTable: 'wb_variables', dsn: $this->dsnWith(http_build_query([
            'charset' => 'latin1',
            'collation' => 'latin1_german1_ci',
            'isolation_level' => 'serializable',
            'sql_mode' => 'STRICT_ALL_TABLES,ANSI_QUOTES',
            'timezone' => '+05:30',
        ], '', '&', PHP_QUERY_RFC3986)));
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $session = $this->rows('wb_variables', implode(', ', array_keys($expected)), 'id')[0];
        if (self::isMySql()) {
            $session = $this->variablesOf($this->bufferConnections()[0], array_keys($expected));
        }
        ksort($expected);
        ksort($session);
        self::assertSame($expected, $session);
    }

    /**
     * @param list<string> $names
     *
     * @return array<string, string> of MySQL, by name
     */
    private function variablesOf(string $connection, array $names): array
    {
        $list = implode(', ', array_map(fn (string $name): string => $this->admin()->quote($name), $names));
        $variables = $this->admin()
            ->query('SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.variables_by_thread '
                . "JOIN performance_schema.threads USING (THREAD_ID) WHERE PROCESSLIST_ID = {$connection} "
                . "AND VARIABLE_NAME IN ({$list})")
            ->fetchAll(\PDO::FETCH_KEY_PAIR);

        return array_replace($variables, ['autocommit' => $variables['autocommit'] === 'ON' ? '1' : '0']);
    }

    /**
     * @return iterable<string, array{string, string, string, string}> options of the DSN, what a
     *         proxy makes of what, and what is said
     */
    public static function settingsThatAProxyChanges(): iterable
    {
        yield 'character sets' => [
            '',
            "SET NAMES 'utf8mb4'",
            "SET NAMES 'latin1' ",
            'character_set_client is "latin1", although "utf8mb4" was set',
        ];
        yield 'collation' => [
            '?collation=utf8mb4_bin',
            "COLLATE 'utf8mb4_bin'",
            '                     ',
            'collation_connection is "utf8mb4_\\w+", although "utf8mb4_bin" was set',
        ];
        yield 'time zone' => [
            '?timezone=%2B02:00',
            "'+02:00'",
            "'+03:00'",
            'time_zone is "\\+03:00", although "\\+02:00" was set',
        ];
        yield 'mode' => ['?sql_mode=ANSI_QUOTES', "'ANSI_QUOTES'", "''           ", 'sql_mode is "", although "ANSI_QUOTES" was set'];
        yield 'isolation' => [
            '',
            "'READ-COMMITTED'",
            "'SERIALIZABLE'  ",
            'transaction_isolation is "SERIALIZABLE", although "READ-COMMITTED" was set',
        ];
        yield 'autocommit' => ['', 'autocommit = 1', 'autocommit = 0', 'autocommit is "0", although "1" was set'];
    }

    /**
     * @dataProvider settingsThatAProxyChanges
     */
    #[DataProvider('settingsThatAProxyChanges')]
    public function testASessionWithOtherSettingsIsRefused(string $options, string $from, string $to, string $message): void
    {
        $port = $this->startProxy(0, $from, $to);
        $dsn = str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsn() . $options);
        $buffer = $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders');
        self::assertThrowsMatching(
            ConnectionException::class,
            "/^cannot connect to 127\\.0\\.0\\.1:{$port}\\/write_buffer_test as \"write_buffer\": the session's {$message}; a proxy before "
                . "the server does not pass the settings on: connect to the server itself, or make the DSN's settings those of the "
                . 'proxy$/D',
            static fn () => $buffer->add(['id' => 1]),
        );
        self::assertSame([], $this->rows('wb_orders'));
    }

    public function testBytesAreOfTheSessionsCharacterSet(): void
    {
        $latin = $this->buffer(dsn: $this->dsnWith('charset=latin1'), orderTable: 'wb_orders');
        $latin->add(['id' => 1, 't' => "\xe4"]);
        $latin->flush();
        self::assertSame('ä', $this->value('SELECT t FROM wb_orders'));
    }

    public function testOptionsReachEveryLaterConnection(): void
    {
        $buffer = $this->buffer(dsn: $this->dsnWith('timezone=-05:00'), orderTable: 'wb_orders');
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id]);
            $buffer->flush();
            foreach ($this->bufferConnections() as $connection) {
                $this->admin()->exec("KILL CONNECTION {$connection}");
            }
        }
        self::assertSame(['-05:00', '-05:00'], array_column($this->rows('wb_session'), 'time_zone'));
    }

    public function testATimestampIsOfTheSessionsZone(): void
    {
        $buffer = $this->buffer(dsn: $this->dsnWith('timezone=%2B09:00'), orderTable: 'wb_orders');
        $buffer->add(['id' => 1, 'at' => '2024-01-01 09:00:00']);
        $buffer->flush();
        $this->pdo()->exec("SET time_zone = '+00:00'");
        self::assertSame('2024-01-01 00:00:00', $this->value('SELECT at FROM wb_orders'));
    }

    public function testMomentsComeBackAsTheyWereUnderTheZoneOfTheDsn(): void
    {
        $this->createTable(
            'wb_moments',
            'id INT PRIMARY KEY, must INT NOT NULL, d DATETIME(3), t TIMESTAMP(3) NULL, latest TIMESTAMP(3) NULL, v TIMESTAMP NULL',
        );
        $buffer = $this->buffer(
            dsn: $this->dsnWith('timezone=%2B05:30'),
            tables: ['wb_moments' => ['guard' => 'v', 'merge' => ['latest' => 'max']]],
        );
        $moment = '2024-01-01 03:00:00.250';
        $late = new \DateTimeImmutable('2024-06-30 23:59:59.9999');
        $whole = ['id' => 1, 'must' => 1, 'd' => $moment, 't' => $moment, 'latest' => $moment, 'v' => '2024-01-01 03:00:00'];
        $buffer->put('wb_moments', $whole);
        $buffer->put('wb_moments', ['id' => 2, 'd' => $late, 't' => $late, 'latest' => $late, 'v' => $late] + $whole);
        $buffer->flush();
        // Rows that only update: one older than the guard, and one newer.
        $buffer->put('wb_moments', ['id' => 1, 'd' => $late, 'v' => '2024-01-01 02:59:59']);
        $buffer->put('wb_moments', ['id' => 2, 't' => $moment, 'latest' => $moment, 'v' => '2024-07-01 00:00:00']);
        $buffer->flush();
        $this->pdo()->exec("SET time_zone = '+05:30'");
        $cut = '2024-06-30 23:59:59.999';
        self::assertSame(
            [
                ['d' => $moment, 't' => $moment, 'latest' => $moment, 'v' => '2024-01-01 03:00:00'],
                ['d' => $cut, 't' => $moment, 'latest' => $cut, 'v' => '2024-07-01 00:00:00'],
            ],
            $this->rows('wb_moments', 'd, t, latest, v', 'id'),
        );
        $this->pdo()->exec("SET time_zone = '+00:00'");
        self::assertSame(
            [
                ['d' => $moment, 't' => '2023-12-31 21:30:00.250', 'latest' => '2023-12-31 21:30:00.250', 'v' => '2023-12-31 21:30:00'],
                ['d' => $cut, 't' => '2023-12-31 21:30:00.250', 'latest' => '2024-06-30 18:29:59.999', 'v' => '2024-06-30 18:30:00'],
            ],
            $this->rows('wb_moments', 'd, t, latest, v', 'id'),
            'a DATETIME is what was said, a TIMESTAMP the instant that was meant',
        );
    }

    public function testALenientModeCutsWhatAStrictOneRefuses(): void
    {
        $strict = $this->buffer(orderTable: 'wb_orders', dsn: $this->dsnWith('sql_mode=STRICT_ALL_TABLES'));
        $strict->add(['id' => 1, 't' => 'abcdef']);
        self::assertSame(1406, self::thrownBy(static fn () => $strict->flush())?->getCode());
        $this->pdo()->exec('ALTER TABLE wb_orders MODIFY t VARCHAR(6)');
        $strict->retry($strict->takeFailures());
        $strict->flush();
        $lenient = $this->buffer(orderTable: 'wb_orders', dsn: $this->dsnWith('sql_mode='));
        $lenient->add(['id' => 2, 't' => 'abcdefg']);
        $lenient->flush();
        self::assertSame(['abcdef', 'abcdef'], array_column($this->rows('wb_orders'), 't'));
    }

    public function testAnsiQuotesAndNoBackslashEscapesBreakNothing(): void
    {
        $this->createTable('`wb "odd\\`` t`', 'id INT PRIMARY KEY, `a "\\b` VARCHAR(50)');
        $modes = rawurlencode('ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES');
        $buffer = $this->buffer(dsn: $this->dsnWith("sql_mode={$modes}"));
        $text = 'back\\slash \' " ` %';
        $buffer->put('wb "odd\\` t', ['id' => 1, 'a "\\b' => $text]);
        $buffer->put('wb "odd\\` t', ['id' => 1, 'a "\\b' => $text]);
        self::assertSame(2, $buffer->flush());
        self::assertSame([['id' => '1', 'a "\\b' => $text]], $this->rows('`wb "odd\\`` t`'));
    }

    public function testTheServersOwnStrictnessDecidesWithoutAnOption(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders');
        $buffer->add(['id' => 1, 't' => 'abcdef']);
        self::assertSame(1406, self::thrownBy(static fn () => $buffer->flush())?->getCode());
        $this->pdo()->exec('ALTER TABLE wb_orders MODIFY t VARCHAR(6)');
        $buffer->retry($buffer->takeFailures());
        $buffer->flush();
        self::assertSame('abcdef', $this->value('SELECT t FROM wb_orders'));
    }
}
