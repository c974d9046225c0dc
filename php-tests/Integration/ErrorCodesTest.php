<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\ErrorCodes;

/**
 * Errors that the server itself answers with: a row is given up if its own data is at fault, and
 * the rows are kept if something else is. Both are what the engine's table of codes says.
 */
final class ErrorCodesTest extends DatabaseTestCase
{
    private const TABLE = 'wb_codes';
    private const OTHER = 'wb_codes_other';
    private const VIEW = 'wb_codes_view';
    private const FUNCTION = 'wb_codes_function';
    private const DEFINER = "'wb_codes_definer'@'localhost'";

    /** @return iterable<string, array> statements, the row at fault, the others, the code, rules */
    public static function rowsAtFault(): iterable
    {
        $mySql = self::isMySql();
        $columns = static fn (string $columns): array => [self::table($columns)];
        $kind = static fn (string $type, mixed $wrong, mixed $right, int $code): array =>
            [$columns("v {$type}"), ['v' => $wrong], ['v' => $right], $code];

        yield 'NULL' => $kind('INT NOT NULL', null, 1, 1048);
        yield 'a number out of range' => $kind('TINYINT', 200, 1, 1264);
        yield 'a decimal out of range' => $kind('DECIMAL(4,2)', '100.00', '1.00', 1264);
        yield 'a year out of range' => $kind('YEAR', 3000, 2000, 1264);
        yield 'no member of an ENUM' => $kind("ENUM('a')", 'b', 'a', 1265);
        yield 'no member of a SET' => $kind("SET('a')", 'b', 'a', 1265);
        yield 'text behind a number' => $kind('INT', '12x', '12', 1265);
        yield 'no number' => $kind('INT', 'many', '12', 1366);
        yield 'no date' => $kind('DATE', 'soon', '2024-01-01', 1292);
        yield 'no time' => $kind('TIME', 'soon', '10:00:00', 1292);
        yield 'no timestamp' => $kind('TIMESTAMP NULL', '1969-01-01 00:00:00', '2024-01-01 00:00:00', 1292);
        yield 'no text' => $kind('VARCHAR(9)', "\xff", 'a', 1366);
        yield 'another character set' => $kind('VARCHAR(9) CHARACTER SET latin1', '😀', 'a', $mySql ? 3988 : 1366);
        yield 'too long' => $kind('VARCHAR(2)', 'abc', 'ab', 1406);
        yield 'too many bytes' => $kind('VARBINARY(2)', "\0\1\2", "\0", 1406);
        yield 'too many bits' => $kind('BIT(2)', "\xff", "\1", 1406);
        yield 'no JSON' => $kind('JSON', '{', '{}', $mySql ? 3140 : 4025);
        yield 'no geometry' => $kind('GEOMETRY', 'x', self::point(0), 1416);
        yield 'another geometry' => $kind('POLYGON', self::point(0), null, $mySql ? 1416 : 1366);
        yield 'a check' => $kind('INT CHECK (v > 0)', 0, 1, $mySql ? 3819 : 4025);
        yield 'a generated column' => [$columns('v INT AS (id) STORED'), ['v' => 1], [], $mySql ? 3105 : 1906];

        $computed = static fn (string $type, string $generated, mixed $wrong, mixed $right, int $code): array =>
            [$columns("v {$type}, g {$generated} STORED"), ['v' => $wrong], ['v' => $right], $code];
        yield 'a division by 0' => $computed('INT', 'INT AS (100 DIV v)', 0, 1, 1365);
        yield 'no logarithm' => $computed('INT', 'DOUBLE AS (LN(v))', -1, 1, $mySql ? 3020 : 1365);
        yield 'a product out of range' => $computed('BIGINT', 'BIGINT AS (v * v)', 9_000_000_000_000, 1, 1690);
        $dates = ['DATE', 'DATE AS (v + INTERVAL 1 DAY)', '9999-12-31', '2024-01-01'];
        yield 'a date out of range' => $computed(...[...$dates, $mySql ? 6527 : 1441]);
        $parsed = ['VARCHAR(20)', "DATE AS (STR_TO_DATE(v, '%Y-%m-%d'))", 'soon', '2024-01-01'];
        yield 'no date for a function' => $computed(...[...$parsed, 1411]);
        yield 'a text that grows' => $computed('INT', "LONGTEXT AS (REPEAT('x', v))", 90_000_000, 1, 1301);
        $json = ['VARCHAR(20)', "VARCHAR(20) AS (JSON_EXTRACT(v, '$.a'))", '{a', '{"a":1}'];
        yield 'no JSON for a function' => $computed(...[...$json, $mySql ? 3141 : 4038]);
        $number = ['JSON', "INT AS (JSON_EXTRACT(v, '$.a'))", '{"a":"x"}', '{"a":1}'];
        yield 'no number in JSON' => $computed(...[...$number, $mySql ? 3156 : 1366]);

        $long = implode(', ', array_map(static fn (int $number): string => "c{$number} VARCHAR(40)", range(1, 240)));
        $names = array_map(static fn (int $number): string => "c{$number}", range(1, 240));
        yield 'a row that is too long' => [
            ['SET SESSION innodb_strict_mode = 0', self::table($long, 'CHARACTER SET latin1')],
            array_fill_keys($names, str_repeat('x', 40)),
            array_fill_keys($names, 'x'),
            1118,
        ];
        yield 'no partition' => [
            [self::table('', 'PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (1000))')],
            ['id' => 1000],
            [],
            1526,
        ];
        yield 'a second unique key' => [$columns('v INT UNIQUE'), ['v' => 1], [], 1062, 'insert'];
        yield 'a missing column' => [$columns('v INT NOT NULL'), [], ['v' => 1], 1364, 'insert'];
        yield 'no parent' => [
            [
                'CREATE TABLE ' . self::OTHER . ' (id INT PRIMARY KEY)',
                self::table('v INT NULL, FOREIGN KEY (v) REFERENCES ' . self::OTHER . ' (id)'),
            ],
            ['v' => 5],
            ['v' => null],
            1452,
        ];
        yield 'a child' => [
            [
                self::table('v INT UNIQUE'),
                'INSERT INTO ' . self::TABLE . ' VALUES (2, 2)',
                'CREATE TABLE ' . self::OTHER . ' (v INT, FOREIGN KEY (v) REFERENCES ' . self::TABLE . ' (v))',
                'INSERT INTO ' . self::OTHER . ' VALUES (2)',
            ],
            ['v' => 5],
            [],
            1451,
            'two keys',
        ];
        $trigger = static fn (string $signal): array => [
            self::table('v INT NULL'),
            self::trigger("IF NEW.v = 0 THEN SIGNAL SQLSTATE {$signal}; END IF"),
        ];
        yield 'a trigger' => [$trigger("'45000'"), ['v' => 0], ['v' => 1], 1644];
        yield 'a trigger that names a code' => [$trigger("'45000' SET MYSQL_ERRNO = 30001"), ['v' => 0], ['v' => 1], 30_001];
        yield 'a trigger that names a state' => [$trigger("'22003'"), ['v' => 0], ['v' => 1], 1644];
        yield 'a trigger that finds nothing' => [$trigger("'02001'"), ['v' => 0], ['v' => 1], 1643];
        yield 'a view' => [
            [
                self::table('v INT'),
                'CREATE VIEW ' . self::VIEW . ' AS SELECT * FROM ' . self::TABLE . ' WHERE v > 0 WITH CHECK OPTION',
            ],
            ['v' => 0],
            ['v' => 1],
            1369,
            'view',
        ];
        yield 'a view that lacks a column' => [
            [
                self::table('v INT NOT NULL, n INT NULL'),
                'CREATE VIEW ' . self::VIEW . ' AS SELECT * FROM ' . self::TABLE,
            ],
            ['n' => 1],
            ['v' => 1],
            1423,
            'view',
        ];
        if ($mySql) {
            yield from self::rowsAtFaultOnMySql($kind, $computed);
        } else {
            yield 'no UUID' => $kind('UUID', 'x', '2f6c3a4e-0000-4000-8000-000000000000', 1292);
            yield 'no address' => $kind('INET6', 'x', '::1', 1292);
            yield 'a period that ends before it begins' => [
                $columns('s DATE, e DATE, PERIOD FOR p (s, e)'),
                ['s' => '2024-02-01', 'e' => '2024-01-01'],
                ['s' => '2024-01-01', 'e' => '2024-02-01'],
                4025,
            ];
        }
    }

    /** @return iterable<string, array> see {@see rowsAtFault()} */
    private static function rowsAtFaultOnMySql(callable $kind, callable $computed): iterable
    {
        yield 'another spatial reference system' => $kind(
            'POINT SRID 4326',
            self::point(0),
            self::point(4326),
            3643,
        );
        yield 'no vector' => $kind('VECTOR(3)', 'abc', pack('g3', 1, 2, 3), 6136);
        yield 'no value in JSON' => $computed(
            'JSON',
            "INT AS (JSON_VALUE(v, '$.a' ERROR ON EMPTY))",
            '{}',
            '{"a":1}',
            3966,
        );
        foreach (['a multi-valued index' => ['UNSIGNED ARRAY', 3903], 'an index' => ['CHAR(3)', 3751]] as $name => $index) {
            [$type, $code] = $index;
            $path = $type === 'CHAR(3)' ? "v->>'$.a'" : "v->'$.a'";
            yield "JSON for {$name}" => [
                [self::table("v JSON, INDEX ((CAST({$path} AS {$type})))")],
                ['v' => $type === 'CHAR(3)' ? '{"a":"long"}' : '{"a":["x"]}'],
                ['v' => $type === 'CHAR(3)' ? '{"a":"abc"}' : '{"a":[1]}'],
                $code,
            ];
        }
    }

    /**
     * @dataProvider rowsAtFault
     *
     * @param list<string>         $statements
     * @param array<string, mixed> $wrong
     * @param array<string, mixed> $right
     */
    #[DataProvider('rowsAtFault')]
    public function testARowAtFaultIsGivenUpAlone(
        array $statements,
        array $wrong,
        array $right,
        int $code,
        string $way = '',
    ): void {
        // SQLSTATE 45000 refuses a row with any code.
        self::assertContains([ErrorCodes::classOf($code), $code], [['Data', $code], ['Unlisted', 30_001]]);
        $this->arrange($statements);
        $table = $way === 'view' ? self::VIEW : self::TABLE;
        $buffer = $this->buffer(tables: [$table => self::rules($way)]);
        $wrong += ['id' => 2];
        // The second unique key is met by a row that is there already.
        $buffer->put($table, ['id' => 1] + $right + ($code === 1062 ? ['v' => 1] : []));
        $buffer->put($table, $wrong);
        $buffer->put($table, ['id' => 3] + $right);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame($code, $thrown->getCode(), $thrown->getMessage());
        self::assertCount(0, $buffer, 'nothing is kept');
        $failures = $buffer->takeFailures();
        self::assertSame([$code], array_column($failures, 'code'));
        self::assertSame([['table' => $table, 'row' => $wrong]], $failures[0]['rows']);
        $written = $this->admin()->query('SELECT id FROM ' . self::TABLE . ' WHERE id <> 2 ORDER BY id');
        self::assertSame(['1', '3'], $written->fetchAll(\PDO::FETCH_COLUMN), 'the others are written');
    }

    /** @return iterable<string, array> statements, the code, the cure, the row, rules */
    public static function healthyRows(): iterable
    {
        $table = self::table('v INT NULL');
        $trigger = static fn (string $body, string ...$later): array => [$table, self::trigger($body), ...$later];
        $other = 'CREATE TABLE ' . self::OTHER . ' (id INT, c INT)';
        $two = 'INSERT INTO ' . self::OTHER . ' VALUES (1, 1), (2, 2)';
        $drop = ['DROP TRIGGER wb_codes_trigger'];

        yield 'a trigger whose definer was dropped' => [
            [
                $table,
                'CREATE USER ' . self::DEFINER,
                'GRANT ALL ON *.* TO ' . self::DEFINER,
                self::trigger('SET NEW.v = 1', 'DEFINER = ' . self::DEFINER),
                'DROP USER ' . self::DEFINER,
            ],
            1449,
            $drop,
        ];
        yield 'a trigger whose definer lacks a right' => [
            [
                $table,
                $other,
                'CREATE USER ' . self::DEFINER,
                'GRANT ALL ON *.* TO ' . self::DEFINER,
                self::trigger('INSERT INTO ' . self::OTHER . ' VALUES (1, 1)', 'DEFINER = ' . self::DEFINER),
                'REVOKE INSERT ON *.* FROM ' . self::DEFINER,
            ],
            1142,
            ['GRANT INSERT ON *.* TO ' . self::DEFINER],
        ];
        yield 'a trigger whose function is gone' => [
            [
                'CREATE FUNCTION ' . self::FUNCTION . '() RETURNS INT DETERMINISTIC RETURN 1',
                ...$trigger('SET NEW.v = ' . self::FUNCTION . '()'),
                'DROP FUNCTION ' . self::FUNCTION,
            ],
            1305,
            $drop,
        ];
        yield 'a trigger whose table is gone' => [
            [$other, ...$trigger('INSERT INTO ' . self::OTHER . ' VALUES (1, 1)'), 'DROP TABLE ' . self::OTHER],
            1146,
            [$other],
        ];
        yield 'a trigger whose column is gone' => [
            [
                $other,
                ...$trigger('INSERT INTO ' . self::OTHER . ' (c) VALUES (1)'),
                'ALTER TABLE ' . self::OTHER . ' DROP COLUMN c',
            ],
            1054,
            ['ALTER TABLE ' . self::OTHER . ' ADD COLUMN c INT'],
        ];
        yield 'a trigger on its own table' => [$trigger('UPDATE ' . self::TABLE . ' SET v = 1'), 1442, $drop];
        yield 'a trigger without a case' => [$trigger('CASE NEW.id WHEN 9 THEN SET NEW.v = 1; END CASE'), 1339, $drop];
        yield 'a trigger that finds two rows' => [
            [$other, $two, ...$trigger('SELECT id INTO @wb_codes FROM ' . self::OTHER)],
            1172,
            $drop,
        ];
        yield 'a trigger that compares two rows' => [
            [$other, $two, ...$trigger('SET NEW.v = (SELECT id FROM ' . self::OTHER . ')')],
            1242,
            $drop,
        ];
        yield 'a trigger that names an unknown code' => [
            $trigger("SIGNAL SQLSTATE '99001' SET MYSQL_ERRNO = 5001"),
            5001,
            $drop,
        ];
        yield 'a trigger that names a code of tables' => [
            $trigger("SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1146"),
            1146,
            $drop,
        ];
        yield 'a file that was discarded' => [
            [$table, 'ALTER TABLE ' . self::TABLE . ' DISCARD TABLESPACE'],
            1814,
            ['DROP TABLE ' . self::TABLE, $table],
        ];
        yield 'no AUTO_INCREMENT number' => [
            [
                'CREATE TABLE ' . self::TABLE . ' (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT)',
                'INSERT INTO ' . self::TABLE . ' VALUES (18446744073709551615, 1)',
            ],
            1467,
            ['DELETE FROM ' . self::TABLE, 'ALTER TABLE ' . self::TABLE . ' AUTO_INCREMENT = 1'],
            ['v' => 1],
            'insert',
        ];
        yield 'a view that takes no rows' => [
            [$table, 'CREATE VIEW ' . self::VIEW . ' AS SELECT id, COUNT(*) AS v FROM ' . self::TABLE . ' GROUP BY id'],
            1471,
            [
                'DROP VIEW ' . self::VIEW,
                'CREATE VIEW ' . self::VIEW . ' AS SELECT * FROM ' . self::TABLE,
            ],
            ['v' => 1],
            'view',
        ];
        if (self::isMySql()) {
            $schema = 'ALTER SCHEMA ' . self::setting('DB_DATABASE') . ' READ ONLY =';
            yield 'a database that is read-only' => [[$table, "{$schema} 1"], 3989, ["{$schema} 0"]];
        } else {
            $compressed = 'SET GLOBAL innodb_read_only_compressed =';
            yield 'a compressed table that is read-only' => [
                [self::table('v INT NULL', 'ROW_FORMAT = COMPRESSED'), "{$compressed} 1"],
                4047,
                ["{$compressed} 0"],
            ];
            yield 'no small AUTO_INCREMENT number' => [
                [
                    'CREATE TABLE ' . self::TABLE . ' (id TINYINT AUTO_INCREMENT PRIMARY KEY, v INT)',
                    'INSERT INTO ' . self::TABLE . ' VALUES (127, 1)',
                ],
                167,
                ['DELETE FROM ' . self::TABLE, 'ALTER TABLE ' . self::TABLE . ' MODIFY id INT AUTO_INCREMENT'],
                ['v' => 1],
                'insert',
            ];
        }
    }

    /**
     * @dataProvider healthyRows
     *
     * @param list<string>         $statements
     * @param list<string>         $cure
     * @param array<string, mixed> $row
     */
    #[DataProvider('healthyRows')]
    public function testHealthyRowsAreKept(
        array $statements,
        int $code,
        array $cure,
        array $row = ['v' => 1],
        string $way = '',
    ): void {
        self::assertSame($code === 5001 ? 'Unlisted' : 'Blocked', ErrorCodes::classOf($code));
        $this->arrange($statements);
        try {
            $table = $way === 'view' ? self::VIEW : self::TABLE;
            $buffer = $this->buffer(tables: [$table => self::rules($way)]);
            foreach ([1, 2, 3] as $id) {
                $buffer->put($table, ($way === 'insert' ? [] : ['id' => $id]) + $row);
            }
            for ($attempt = 1; $attempt <= 2; $attempt++) {
                $thrown = self::thrownBy(static fn () => $buffer->flush());
                self::assertInstanceOf(FlushException::class, $thrown);
                self::assertSame($code, $thrown->getCode(), $thrown->getMessage());
                self::assertSame([3, []], [count($buffer), $buffer->takeFailures()], 'no row is at fault');
            }
        } finally {
            array_map($this->admin()->exec(...), $cure);
        }
        self::assertSame(3, $buffer->flush());
        self::assertSame('3', $this->value('SELECT COUNT(*) FROM ' . self::TABLE));
    }

    /** @return array<string, mixed> the table's rules */
    private static function rules(string $way): array
    {
        return match ($way) {
            '' => [],
            'two keys' => ['allowSecondUnique' => true],
            'insert', 'view' => ['mode' => 'insert'],
        };
    }

    private static function table(string $columns, string $options = ''): string
    {
        $columns = 'id INT PRIMARY KEY' . ($columns === '' ? '' : ", {$columns}");

        return 'CREATE TABLE ' . self::TABLE . " ({$columns}) {$options}";
    }

    private static function trigger(string $body, string $definer = ''): string
    {
        return "CREATE {$definer} TRIGGER wb_codes_trigger BEFORE INSERT ON " . self::TABLE . " FOR EACH ROW {$body}";
    }

    /** A point as the server stores it. */
    private static function point(int $srid): string
    {
        return pack('VCVee', $srid, 1, 1, 0.0, 0.0);
    }

    /** @param list<string> $statements */
    private function arrange(array $statements): void
    {
        foreach (
            [
                'DROP USER IF EXISTS ' . self::DEFINER,
                'DROP TABLE IF EXISTS ' . self::TABLE,
                'DROP TABLE IF EXISTS ' . self::OTHER,
                'DROP FUNCTION IF EXISTS ' . self::FUNCTION,
                'DROP VIEW IF EXISTS ' . self::VIEW,
                // The last is the first: each table may refer to the other.
                'SET SESSION foreign_key_checks = 0',
            ] as $drop
        ) {
            $this->dropLater($drop);
        }
        array_map($this->admin()->exec(...), $statements);
    }
}
