<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use DateTimeImmutable;
use PHPUnit\Framework\Attributes\DataProvider;
use SyncWriteBuffer;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Rows whose values stand in the statements' text, since no statement may be prepared. */
final class TextProtocolTest extends DatabaseTestCase
{
    private const COLUMNS = [
        'i' => 'INT', 'b' => 'BIGINT', 'u' => 'BIGINT UNSIGNED', 'd' => 'DECIMAL(40,20)', 'f' => 'DOUBLE', 'r' => 'FLOAT',
        'v' => 'VARCHAR(300) CHARACTER SET utf8mb4', 'l' => 'VARCHAR(300) CHARACTER SET latin1', 't' => 'LONGTEXT CHARACTER SET utf8mb4',
        'g' => 'VARCHAR(300) CHARACTER SET gbk', 'o' => 'LONGBLOB', 'y' => 'VARBINARY(300)', 'p' => 'BINARY(8)',
        'e' => "ENUM('b','a','2')", 's' => "SET('b','a')", 'bits' => 'BIT(12)', 'j' => 'JSON', 'day' => 'DATE', 'at' => 'DATETIME(6)',
        'ts' => 'TIMESTAMP(3)', 'h' => 'TIME(3)', 'year' => 'YEAR',
    ];

    /** @return list<mixed> */
    private static function values(): array
    {
        mt_srand(7);
        $random = '';
        for ($at = 0; $at < 200; $at++) {
            $random .= chr(mt_rand(0, 255));
        }

        return [
            null, true, false, 0, 1, -1, 7, 4095, PHP_INT_MAX, PHP_INT_MIN, 0.1, -0.0, -2.5, 1.5e300, 1e-7, 2.0,
            '', ' ', 'a ', "'", "''", '\\', "\\'", "'\\", '\\\\', '\\0', "\0", "a\0b", "\x1a", "\n\r\t", '%_', '?', '`?`', '"', '-- ',
            '/*', "' OR 1 = 1 -- ", 'ä€😀', "\xff\xfe", "\xc3", "\xc3'", "\xbf\\", "\xbf'", "\xbf\\'", "\x81\\", "\x95\\", "\xe4\x5c\x27",
            $random, str_repeat("'\\", 100), implode('', array_map(chr(...), range(0, 255))),
            '0', '-0.4', '1e5', '0x41', ' 12', '12abc', '007', '18446744073709551615', '18446744073709551616',
            '12345678901234567890.00000000000000000001', '-9223372036854775809', '2024-02-29', '2023-02-29', '2024-02-29 12:34:56.789012',
            '0000-00-00', '23:59:59.9999', '838:59:59', '-12:00:00', '2024', '99', '{"a":"\\u00e4\\\\\\"x"}', '[1,2]', 'null', '"text"',
            'b,a', 'A', new DateTimeImmutable('2024-02-29 23:59:59.999999'),
        ];
    }

    /** Those that a session reads texts for. */
    private const TEXTS = ['v', 'l', 't', 'g', 'o', 'y', 'p', 'e', 'j', 'd'];

    /** @return iterable<string, array{string, 1?: list<string>}> options of the DSN, and columns */
    public static function sessions(): iterable
    {
        yield 'as it is' => ['', array_keys(self::COLUMNS)];
        yield 'backslashes are letters' => ['sql_mode=STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES'];
        yield 'lenient, and ANSI' => ['sql_mode=ANSI'];
        yield 'latin1' => ['charset=latin1'];
        yield 'bytes' => ['charset=binary&sql_mode=STRICT_ALL_TABLES'];
        yield 'backslashes in letters: GBK' => ['charset=gbk'];
        yield 'backslashes in letters: Shift-JIS' => ['charset=sjis&sql_mode=NO_BACKSLASH_ESCAPES'];
    }

    private function table(string $name): void
    {
        $columns = array_map(
            static fn (string $column, string $type): string => "{$column} {$type} NULL DEFAULT NULL",
            array_keys(self::COLUMNS),
            self::COLUMNS,
        );
        $this->createTable($name, 'id INT PRIMARY KEY, ' . implode(', ', $columns));
    }

    /**
     * Each value into each type of column, bound and as text: the same is stored, and the same is
     * refused, by the same code.
     *
     * @dataProvider sessions
     *
     * @param list<string> $columns
     */
    #[DataProvider('sessions')]
    public function testATextIsWhatABoundValueIs(string $session, array $columns = self::TEXTS): void
    {
        $dsn = $this->dsnWith("connect_timeout_ms=60000&{$session}");
        $codes = [];
        foreach (['wb_bound' => 32, 'wb_text' => 0] as $table => $statements) {
            $this->table($table);
            $buffer = new SyncWriteBuffer($dsn, maxRetries: 3, maxPreparedStatements: $statements);
            $id = 0;
            foreach ($columns as $column) {
                foreach (self::values() as $at => $value) {
                    try {
                        $buffer->put($table, ['id' => ++$id, $column => $value]);
                    } catch (FlushException $refused) {
                        $codes[$table]["{$column}, value {$at}"] = $refused->getCode();
                    }
                }
            }
        }
        self::assertNotEmpty($codes['wb_bound']);
        self::assertSame($codes['wb_bound'], $codes['wb_text']);
        $hex = implode(', ', array_map(static fn (string $column): string => "HEX({$column}) AS {$column}", array_keys(self::COLUMNS)));
        $rows = $this->rows('wb_bound', "id, {$hex}", 'id');
        self::assertGreaterThan(20 * count($columns), count($rows));
        foreach ($this->rows('wb_text', "id, {$hex}", 'id') as $at => $row) {
            self::assertSame($rows[$at], $row);
        }
        self::assertSame(count($rows), (int) $this->value('SELECT COUNT(*) FROM wb_text'));
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [['background' => false]];
        yield 'background' => [['background' => true]];
        yield 'lanes' => [['background' => true, 'lanes' => 3]];
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testRowsFlowWhenAllPreparedStatementsAreUsedUp(array $settings): void
    {
        $this->createTable('wb_flow', 'id INT PRIMARY KEY, n INT NOT NULL, `a?``b` VARCHAR(20) NULL, v INT NULL');
        $this->createTable('wb_flow_log', 'id INT AUTO_INCREMENT PRIMARY KEY, t VARCHAR(20) NOT NULL');
        $settings += ['tables' => ['wb_flow' => ['merge' => ['n' => 'sum'], 'guard' => 'v'], 'wb_flow_log' => ['mode' => 'insert']]];
        $buffer = $this->buffer(...$settings);
        // It has some of its own already.
        $buffer->put('wb_flow', ['id' => 1, 'n' => 1, 'a?`b' => 'x', 'v' => 1]);
        $buffer->flush();
        $this->setGlobal('max_prepared_stmt_count', 0);
        for ($id = 1; $id <= 300; $id++) {
            $buffer->put('wb_flow', ['id' => $id, 'n' => 1, 'a?`b' => "it's ?", 'v' => 2]);
            $buffer->put('wb_flow_log', ['t' => "\\{$id}"]);
        }
        // Rows that only update, older ones, one that is refused.
        $buffer->put('wb_flow', ['id' => 2, 'v' => 3]);
        $buffer->put('wb_flow', ['id' => 3, 'n' => 5, 'a?`b' => 'older', 'v' => 1]);
        $buffer->put('wb_flow', ['id' => 4, 'n' => -4, 'a?`b' => str_repeat('x', 21), 'v' => 9]);
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        self::assertSame([1406], array_column($failed->getFailures(), 'code'), $failed->getMessage());
        self::assertCount(0, $buffer);
        self::assertSame('301', $this->value('SELECT SUM(n) FROM wb_flow'));
        self::assertSame('300', $this->value("SELECT COUNT(*) FROM wb_flow WHERE `a?``b` = 'it''s ?'"));
        self::assertSame('3', $this->value('SELECT v FROM wb_flow WHERE id = 2'));
        self::assertSame('2', $this->value('SELECT v FROM wb_flow WHERE id = 3'));
        self::assertSame('300', $this->value('SELECT COUNT(*) FROM wb_flow_log'));
        self::assertSame('300', $this->value("SELECT COUNT(DISTINCT t) FROM wb_flow_log WHERE t LIKE '\\\\\\\\%'"));
    }

    /**
     * Rows that share an UPDATE or a DELETE when it is prepared. One finds no row.
     *
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testPartialRowsAndDeletionsFlowToo(array $settings): void
    {
        $columns = 'n INT NOT NULL, `a?``b` VARCHAR(20) NULL, v INT NULL';
        $this->createTable('wb_flow', "id INT PRIMARY KEY, {$columns}");
        $this->createTable('wb_pair', "k VARCHAR(9), id INT, {$columns}, PRIMARY KEY (k, id)");
        for ($id = 1; $id <= 300; $id++) {
            $this->pdo()->exec("INSERT INTO wb_flow VALUES ({$id}, 1, NULL, NULL)");
            $this->pdo()->exec("INSERT INTO wb_pair VALUES ('k''{$id}', {$id}, 1, NULL, NULL)");
        }
        $this->setGlobal('max_prepared_stmt_count', 0);
        $buffer = $this->buffer(...$settings, batchSize: 1_000);
        for ($id = 1; $id <= 300; $id++) {
            $buffer->put('wb_flow', ['id' => $id, 'a?`b' => "it's ? {$id}", 'v' => -$id]);
        }
        for ($id = 1; $id <= 300; $id++) {
            $buffer->put('wb_pair', ['k' => "k'{$id}", 'id' => $id, 'v' => -$id]);
        }
        for ($id = 1; $id <= 100; $id++) {
            $buffer->delete('wb_flow', $id);
            $buffer->delete('wb_pair', ['k' => "k'{$id}", 'id' => $id]);
        }
        $buffer->put('wb_flow', ['id' => 301, 'v' => 1]);
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        self::assertCount(1, $failed->getFailures(), $failed->getMessage());
        self::assertStringContainsString('there is no row with its key', $failed->getMessage());
        self::assertCount(0, $buffer);
        $sums = 'COUNT(*), SUM(n), SUM(v), MIN(id)';
        $expected = ['200', '200', (string) -array_sum(range(101, 300)), '101'];
        foreach (['wb_flow', 'wb_pair'] as $table) {
            self::assertSame($expected, array_map(strval(...), array_values($this->rows($table, $sums, '1')[0])), $table);
        }
        self::assertSame('200', $this->value("SELECT COUNT(*) FROM wb_flow WHERE `a?``b` = CONCAT('it''s ? ', id)"));
    }

    /** A row that is longer as text than the server takes waits for a prepared statement. */
    public function testARowThatIsTooLongAsTextWaits(): void
    {
        $this->createTable('wb_flow', 'id INT PRIMARY KEY, t LONGBLOB NULL');
        $packet = (int) $this->value('SELECT @@max_allowed_packet');
        $buffer = $this->buffer(background: false, maxPendingBytes: 4 * $packet);
        $buffer->put('wb_flow', ['id' => 1, 't' => str_repeat("'", intdiv($packet * 2, 3))]);
        $buffer->put('wb_flow', ['id' => 2, 't' => 'x']);
        $this->setGlobal('max_prepared_stmt_count', 0);
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertSame(1461, $failed?->getCode(), (string) $failed?->getMessage());
        self::assertCount(0, $buffer->takeFailures(), 'no row is at fault');
        self::assertCount(2, $buffer);
        $this->setGlobal('max_prepared_stmt_count', 16_382);
        self::assertSame(2, $buffer->flush());
        self::assertSame((string) intdiv($packet * 2, 3), $this->value('SELECT LENGTH(t) FROM wb_flow WHERE id = 1'));
    }

    public function testAConnectionHasNoMoreThanItMay(): void
    {
        foreach ([0, 1, 5] as $most) {
            $this->table('wb_text');
            $before = (int) $this->prepared();
            $buffer = $this->buffer(background: false, maxPreparedStatements: $most, batchSize: 1_000);
            for ($round = 0; $round < 2; $round++) {
                foreach (['i', 'b', 'u', 'v', 't', 'o', 'at'] as $at => $column) {
                    for ($id = 0; $id <= $at; $id++) {
                        $buffer->put('wb_text', ['id' => 100 * $at + $id, $column => 2024_01_01]);
                    }
                }
                $buffer->flush();
                self::assertSame($most, (int) $this->prepared() - $before);
            }
            self::assertSame('28', $this->value('SELECT COUNT(*) FROM wb_text'));
            $buffer = null;
            $this->awaitNoConnections();
        }
    }

    /** How many statements are prepared on the server. */
    private function prepared(): string
    {
        return (string) $this->admin()->query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")->fetchColumn(1);
    }
}
