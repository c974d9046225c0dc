<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Rows that lack a required column, many in a batch: they share UPDATEs. */
final class PartialRowsTest extends DatabaseTestCase
{
    private const ROWS = 200;

    private function orders(): \WriteBuffer
    {
        $this->createTable('wb_shared', 'id BIGINT PRIMARY KEY, name VARCHAR(10) NOT NULL, v TINYINT NOT NULL DEFAULT 0');
        $rows = array_map(static fn (int $id): string => "({$id}, 'whole', 0)", range(1, self::ROWS));
        $this->pdo()->exec('INSERT INTO wb_shared VALUES ' . implode(',', $rows));

        return $this->buffer(batchSize: 1_000);
    }

    /** @return array<string, int> how many UPDATEs of several tables and of one there were */
    private function updates(): array
    {
        $found = $this->admin()->query("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_update_multi', 'Com_update')");

        return array_map('intval', $found->fetchAll(PDO::FETCH_KEY_PAIR));
    }

    public function testRowsShareAnUpdate(): void
    {
        $buffer = $this->orders();
        $before = $this->updates();
        for ($id = 1; $id <= self::ROWS; $id++) {
            $buffer->put('wb_shared', ['id' => $id, 'v' => $id % 100]);
        }
        $buffer->flush();
        $after = $this->updates();
        self::assertSame(2, $after['Com_update_multi'] - $before['Com_update_multi'], '128 rows, and 72');
        self::assertSame(0, $after['Com_update'] - $before['Com_update']);
        self::assertSame('0', $this->value('SELECT COUNT(*) FROM wb_shared WHERE v <> id % 100 OR name <> \'whole\''));
    }

    public function testRowsThatChangeNothingAreFound(): void
    {
        $buffer = $this->orders();
        for ($id = 1; $id <= self::ROWS; $id++) {
            $buffer->put('wb_shared', ['id' => $id, 'v' => 0]);
        }
        $before = $this->updates();
        self::assertSame(self::ROWS, $buffer->flush());
        self::assertSame(0, $this->updates()['Com_update'] - $before['Com_update']);
        self::assertSame([], $buffer->takeFailures());
    }

    public function testARowThatIsNotThereIsItsOwnErrorAlone(): void
    {
        $buffer = $this->orders();
        $absent = [77, 78, 150];
        $this->pdo()->exec('DELETE FROM wb_shared WHERE id IN (' . implode(',', $absent) . ')');
        for ($id = 1; $id <= self::ROWS; $id++) {
            $buffer->put('wb_shared', ['id' => $id, 'v' => 1]);
        }
        self::assertThrowsMatching(RefusedException::class, '/gave up 3 rows/', static fn () => $buffer->flush());
        $failures = $buffer->takeFailures();
        self::assertSame($absent, array_map(static fn (array $failure): int => $failure['rows'][0]['row']['id'], $failures));
        foreach ($failures as $failure) {
            self::assertStringContainsString('can only update, and there is no row with its key (id)', $failure['message']);
        }
        self::assertSame((string) (self::ROWS - 3), $this->value('SELECT COUNT(*) FROM wb_shared WHERE v = 1'));
    }

    public function testAValueThatIsRefusedIsItsOwnRowsErrorAlone(): void
    {
        $buffer = $this->orders();
        for ($id = 1; $id <= self::ROWS; $id++) {
            $buffer->put('wb_shared', ['id' => $id, 'v' => $id === 99 ? 128 : 1]);
        }
        self::assertThrowsMatching(RefusedException::class, '/gave up 1 row/', static fn () => $buffer->flush(), 1264);
        self::assertSame(99, $buffer->takeFailures()[0]['rows'][0]['row']['id']);
        self::assertSame((string) (self::ROWS - 1), $this->value('SELECT COUNT(*) FROM wb_shared WHERE v = 1'));
    }

    /** An UPDATE would compare the digits of its number, or a text that is no member. */
    public function testAMemberThatIsComparedHasItsName(): void
    {
        $this->createTable('wb_members', "id INT PRIMARY KEY, r INT NOT NULL, e ENUM('c', 'b', 'a'), s SET('w', 'x', 'z')");
        foreach (['min' => ['c', 'z'], 'max' => ['a', 'w']] as $rule => [$e, $s]) {
            $buffer = $this->buffer(tables: ['wb_members' => ['merge' => ['e' => $rule, 's' => $rule]]]);
            $buffer->put('wb_members', ['id' => 1, 'r' => 1, 'e' => 2, 's' => 2]);
            $buffer->flush();
            foreach ([['e' => 1], ['s' => 1], ['e' => 'd'], ['s' => 'x,w'], ['e' => 'B']] as $strange) {
                $name = array_key_first($strange);
                self::assertThrowsMatching(
                    \WriteBuffer\ConfigException::class,
                    "/table wb_members: column {$name} is compared here, and this is no member's name as the column has it/",
                    static fn () => $buffer->put('wb_members', ['id' => 1] + $strange),
                );
            }
            $buffer->put('wb_members', ['id' => 1, 'e' => $e, 's' => $s]);
            $buffer->flush();
            self::assertSame([['id' => '1', 'r' => '1', 'e' => 'b', 's' => 'x']], $this->rows('wb_members'), $rule);
            $this->pdo()->exec('DELETE FROM wb_members');
        }
    }

    public function testARowThatACheckRefusesIsFoundAmongThoseThatShareAnUpdate(): void
    {
        $this->createTable('wb_checked', 'id INT PRIMARY KEY, name VARCHAR(10) NOT NULL, v INT NULL, CHECK (v <> 13)');
        $this->pdo()->exec("INSERT INTO wb_checked VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)");
        $buffer = $this->buffer();
        foreach ([1 => 12, 2 => 13, 3 => 14] as $id => $value) {
            $buffer->put('wb_checked', ['id' => $id, 'v' => $value]);
        }
        self::assertThrowsMatching(RefusedException::class, '/gave up 1 row/', static fn () => $buffer->flush(), self::isMySql() ? 3819 : 4025);
        self::assertSame(2, $buffer->takeFailures()[0]['rows'][0]['row']['id']);
        self::assertSame(['12', '0', '14'], array_column($this->rows('wb_checked'), 'v'));
    }

    /** @return iterable<string, array{list<string>, list<list<int|string>>}> */
    public static function keys(): iterable
    {
        $big = '12345678901234567890123456789012345.12345678901234567890123456789';
        $keys = [
            'TINYINT' => [1, -128, '127'],
            'BIGINT' => [1, '-9223372036854775808', '9223372036854775807'],
            'BIGINT UNSIGNED' => [1, '18446744073709551614', '18446744073709551615'],
            'DECIMAL(65,30)' => [1, "{$big}1", "{$big}2"],
            'DECIMAL(10,2) UNSIGNED' => ['1', '1.01', '99999999.99'],
            'CHAR(26) CHARACTER SET ascii' => ['a', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'b'],
            'CHAR(36) COLLATE utf8mb4_unicode_ci' => ['a', '0f8fad5b-d9cb-469f-a165-70867728950e', 'b'],
            'VARCHAR(600) COLLATE utf8mb4_bin' => ['a', str_repeat('ä', 300), '😀'],
            'VARCHAR(36) CHARACTER SET latin1 COLLATE latin1_bin' => ['a', 'b', 'C'],
            'BINARY(16)' => ['0123456789abcdef', "\0\1\2\3\4\5\6\7\x80\x90\xa0\xb0\xc0\xff\xff\xff", str_repeat('x', 16)],
            'VARBINARY(20)' => ['a', "\0\1\xff", str_repeat('x', 20)],
            'DATE' => ['2024-02-29', '1000-01-01', '9999-12-31'],
            'DATETIME' => ['2024-02-29 00:00:00', '2024-02-29 00:00:01', '1000-01-01 00:00:00'],
            'DATETIME(6)' => ['2024-02-29 00:00:00', '2024-02-29 00:00:00.000001', '1000-01-01 00:00:00.5'],
            'TIMESTAMP(3)' => ['2024-02-29 10:00:00', '2024-02-29 10:00:00.001', '2030-01-01 10:00:00'],
        ];
        foreach ($keys as $type => $values) {
            yield $type => [[$type], array_map(static fn (int|string $value): array => [$value], $values)];
            yield "INT, {$type}" => [['INT', $type], array_map(static fn (int|string $value): array => [7, $value], $values)];
        }
    }

    /**
     * A key's value is compared in its column's own type and collation. Otherwise the server would
     * read the whole table, and lock it.
     *
     * @dataProvider keys
     *
     * @param list<string>           $types
     * @param list<list<int|string>> $keys
     */
    #[DataProvider('keys')]
    public function testTheKeysIndexIsUsed(array $types, array $keys): void
    {
        $names = array_map(static fn (int $at): string => "k{$at}", array_keys($types));
        $columns = array_map(static fn (string $name, string $type): string => "{$name} {$type} NOT NULL", $names, $types);
        $list = implode(', ', $names);
        $this->createTable('wb_keyed', implode(', ', $columns) . ", x INT NOT NULL, v VARCHAR(20) NULL, PRIMARY KEY ({$list})");
        $buffer = $this->buffer(dsn: $this->dsnWith('timezone=%2B00:00'));
        foreach ($keys as $key) {
            $buffer->put('wb_keyed', array_combine($names, $key) + ['x' => 1]);
        }
        $buffer->flush();
        $this->setGlobal('log_output', 'TABLE');
        $this->setGlobal('general_log', 1);
        $this->admin()->exec('TRUNCATE TABLE mysql.general_log');
        $parameters = [];
        foreach ($keys as $at => $key) {
            $buffer->put('wb_keyed', array_combine($names, $key) + ['v' => "value {$at}"]);
            array_push($parameters, ...$key, ...["value {$at}"]);
        }
        $buffer->flush();
        $this->admin()->exec('SET GLOBAL general_log = 0');
        self::assertSame('3', $this->value('SELECT COUNT(DISTINCT v) FROM wb_keyed'));
        $sent = $this->admin()->query(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log
                WHERE command_type = 'Prepare' AND argument LIKE 'UPDATE (%'",
        )->fetchAll(PDO::FETCH_COLUMN);
        self::assertCount(1, $sent);
        $pdo = $this->connect();
        $pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
        $explain = $pdo->prepare((self::isMySql() ? 'EXPLAIN FORMAT=TRADITIONAL ' : 'EXPLAIN ') . $sent[0]);
        $explain->execute(array_map('strval', $parameters));
        $access = array_column($explain->fetchAll(PDO::FETCH_ASSOC), null, 'table')['wb_keyed'];
        self::assertSame(['eq_ref', 'PRIMARY'], [$access['type'], $access['key']]);
        self::assertSame(count($names), substr_count($access['ref'], ',') + 1, 'the whole key');
    }
}
