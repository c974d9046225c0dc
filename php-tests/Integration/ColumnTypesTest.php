<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use DateTimeImmutable;
use DateTimeZone;
use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Priority;
use WriteBuffer\Tests\Support\Side;
use WriteBuffer\Tests\Support\Text;

/** The column holds what was given, byte for byte. */
final class ColumnTypesTest extends DatabaseTestCase
{
    /**
     * @return iterable<string, array{string, list<array{mixed, string|null}>}> a type; values, and
     *         what the column holds
     */
    public static function columns(): iterable
    {
        $same = static fn (mixed ...$values): array => array_map(
            static fn (mixed $value): array => [$value, $value === null ? null : (string) $value],
            array_values($values),
        );
        $bytes = implode('', array_map('chr', range(0, 255)));
        $large = '99999999999999999999999999999999999.999999999999999999999999999999';
        yield 'DECIMAL' => ['DECIMAL(20,8)', [
            ['50000.10', '50000.10000000'],
            ['0.00000001', '0.00000001'],
            ['-123456789012.12345678', '-123456789012.12345678'],
            [7, '7.00000000'],
            [null, null],
        ]];
        yield 'DECIMAL(65,30)' => ['DECIMAL(65,30)', $same($large, "-{$large}", '0.000000000000000000000000000001')];
        yield 'TINYINT' => ['TINYINT', $same(-128, 127, 0, null)];
        yield 'BOOL' => ['BOOL', [[true, '1'], [false, '0'], [null, null]]];
        yield 'SMALLINT UNSIGNED' => ['SMALLINT UNSIGNED', $same(0, 65_535, '65535')];
        yield 'INT' => ['INT', [...$same(-2_147_483_648, 2_147_483_647), ['0012', '12'], [Priority::High, '9']]];
        yield 'BIGINT' => ['BIGINT', $same(PHP_INT_MIN, PHP_INT_MAX)];
        yield 'BIGINT UNSIGNED' => [
            'BIGINT UNSIGNED',
            $same('18446744073709551615', '9223372036854775808', PHP_INT_MAX, 0),
        ];
        yield 'DOUBLE' => ['DOUBLE', [
            [0.1, '0.1'],
            [-0.0, self::isMySql() ? '-0' : '0'],
            [1.7976931348623157e308, '1.7976931348623157e308'],
            [2.2250738585072014e-308, '2.2250738585072014e-308'],
            [1 / 3, '0.3333333333333333'],
            ['1e3', '1000'],
        ]];
        yield 'FLOAT' => ['FLOAT', [[0.5, '0.5'], [-1.25, '-1.25']]];
        yield 'BIT(1)' => ['BIT(1)', [[1, '1'], [0, '0'], [true, '1'], ["\1", '1']]];
        yield 'BIT(64)' => ['BIT(64)', [["\xff\0\0\0\0\0\0\x01", '18374686479671623681'], [5, '5']]];
        yield 'YEAR' => ['YEAR', [[2024, '2024'], ['1999', '1999']]];
        yield 'DATE' => ['DATE', [
            ['2024-02-29', '2024-02-29'],
            [new DateTimeImmutable('2024-12-31 23:59:59.999999'), '2024-12-31'],
        ]];
        yield 'DATETIME' => ['DATETIME', [
            ['2024-02-29 12:34:56', '2024-02-29 12:34:56'],
            [new DateTimeImmutable('2024-12-31 23:59:59.999999'), '2024-12-31 23:59:59'],
        ]];
        yield 'DATETIME(3)' => ['DATETIME(3)', [
            [new DateTimeImmutable('2024-12-31 23:59:59.999999'), '2024-12-31 23:59:59.999'],
        ]];
        yield 'DATETIME(6)' => ['DATETIME(6)', [
            ['2024-02-29 12:34:56.000001', '2024-02-29 12:34:56.000001'],
            [new DateTimeImmutable('2024-12-31 23:59:59.999999'), '2024-12-31 23:59:59.999999'],
            [
                new DateTimeImmutable('2024-07-01 08:00:00', new DateTimeZone('Asia/Tokyo')),
                '2024-07-01 08:00:00.000000',
            ],
            ['9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999'],
        ]];
        yield 'TIMESTAMP(6)' => ['TIMESTAMP(6) NULL', [
            ['2024-02-29 12:34:56.000001', '2024-02-29 12:34:56.000001'],
            [new DateTimeImmutable('2024-12-31 23:59:59.999999'), '2024-12-31 23:59:59.999999'],
            [null, null],
        ]];
        yield 'TIME(6)' => ['TIME(6)', [
            ['-838:59:59.000000', '-838:59:59.000000'],
            ['23:59:59.999999', '23:59:59.999999'],
        ]];
        yield 'ENUM' => ["ENUM('buy','sell')", [[Side::Sell, 'sell'], ['buy', 'buy'], [2, 'sell']]];
        yield 'SET' => ["SET('a','b','c')", [['a,c', 'a,c'], ['', ''], [5, 'a,c']]];
        $json = '{"b": 1, "a": [1.50, null, "ü😀"]}';
        yield 'JSON' => ['JSON', [
            // MariaDB keeps the text, MySQL the value.
            [$json, self::isMySql() ? '{"a": [1.5, null, "ü😀"], "b": 1}' : $json],
            ...$same('[]', 'null'),
        ]];
        yield 'VARCHAR' => ['VARCHAR(100)', [
            ...$same('', ' spaces ', 'Größe', '😀👩‍👩‍👧‍👦', "line\nbreak\ttab", "quote ' \" ` \\ % _", "NUL \0 in it"),
            [new Text('12.50'), '12.50'],
            [12, '12'],
        ]];
        yield 'CHAR' => ['CHAR(10)', [['abc', 'abc'], ['abc   ', 'abc']]];
        yield 'TEXT' => ['TEXT', $same(str_repeat('ü', 30_000), '')];
        yield 'MEDIUMTEXT' => ['MEDIUMTEXT', $same(str_repeat('0123456789', 100_000))];
        yield 'VARBINARY' => ['VARBINARY(300)', $same($bytes, '', "\0", "\xff\xfe", "trailing \0\0")];
        yield 'BINARY' => ['BINARY(4)', [["\xff\0", "\xff\0\0\0"]]];
        yield 'BLOB' => ['BLOB', $same(strrev($bytes), str_repeat("\0", 60_000))];
        if (!self::isMySql()) {
            yield 'UUID, a type of MariaDB' => ['UUID', $same('123e4567-e89b-12d3-a456-426655440000')];
            yield 'INET6, a type of MariaDB' => ['INET6', $same('2001:db8::ff00:42:8329')];
        }
    }

    /**
     * @dataProvider columns
     *
     * @param list<array{mixed, string|null}> $values
     */
    #[DataProvider('columns')]
    public function testRoundTrips(string $type, array $values): void
    {
        $this->createTable('wb_types', "id INT PRIMARY KEY, x {$type}, last VARCHAR(4) NOT NULL");
        foreach (['by inserts' => 1, 'by updates' => 2] as $how => $round) {
            $buffer = $this->buffer(dsn: $this->dsnWith('timezone=%2B00:00'));
            $this->pdo()->exec("SET time_zone = '+00:00'");
            foreach ($values as $at => [$value]) {
                $buffer->put('wb_types', ['id' => $at, 'x' => $value, 'last' => "r{$round}"]);
            }
            self::assertSame(count($values), $buffer->flush(), $how);
            $column = str_starts_with($type, 'BIT') ? 'CAST(x AS UNSIGNED) AS x' : 'x';
            $stored = $this->rows('wb_types', "id, {$column}, last", 'id');
            self::assertCount(count($values), $stored, $how);
            foreach ($values as $at => [, $expected]) {
                self::assertSame(['id' => (string) $at, 'x' => $expected, 'last' => "r{$round}"], $stored[$at], $how);
            }
            // The second round updates rows that are there and hold other values.
            $this->pdo()->exec('UPDATE wb_types SET x = NULL');
        }
    }

    public function testARealisticOrderWithEveryType(): void
    {
        $this->createTable('wb_orders', <<<'SQL'
            id BIGINT UNSIGNED PRIMARY KEY,
            uuid BINARY(16) NOT NULL,
            user_id BIGINT UNSIGNED NOT NULL,
            symbol VARCHAR(20) CHARACTER SET ascii NOT NULL,
            side ENUM('buy', 'sell') NOT NULL,
            flags SET('post_only', 'reduce_only') NOT NULL DEFAULT '',
            price DECIMAL(36,18) NOT NULL,
            quantity DECIMAL(65,30) NOT NULL,
            fee_rate DOUBLE NULL,
            is_maker BOOL NOT NULL DEFAULT FALSE,
            bits BIT(8) NULL,
            meta JSON NULL,
            note TEXT NULL,
            raw BLOB NULL,
            settles_on DATE NULL,
            settles_at TIME(3) NULL,
            year YEAR NULL,
            created_at DATETIME(6) NOT NULL,
            updated_at TIMESTAMP(6) NULL
            SQL);
        $buffer = $this->buffer(orderTable: 'wb_orders', dsn: $this->dsnWith('timezone=%2B00:00'));
        $this->pdo()->exec("SET time_zone = '+00:00'");
        $order = [
            'id' => '18446744073709551615',
            'uuid' => "\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\xff",
            'user_id' => 7,
            'symbol' => 'BTC-USD',
            'side' => Side::Buy,
            'flags' => 'post_only,reduce_only',
            'price' => '50000.100000000000000001',
            'quantity' => '0.000000000000000000000000000001',
            'fee_rate' => 0.001,
            'is_maker' => true,
            'bits' => 5,
            'meta' => '{"tags": ["a", "ü"], "client": "app"}',
            'note' => "Zeile\n2 😀",
            'raw' => "\0\xff\x80",
            'settles_on' => new DateTimeImmutable('2024-02-29'),
            'settles_at' => '12:34:56.789',
            'year' => 2024,
            'created_at' => new DateTimeImmutable('2024-02-29 12:34:56.789012'),
            'updated_at' => null,
        ];
        $buffer->add($order);
        $buffer->flush();
        self::assertSame(
            [array_replace($order, [
                'user_id' => '7',
                'side' => 'buy',
                'fee_rate' => '0.001',
                'is_maker' => '1',
                'bits' => "\5",
                'settles_on' => '2024-02-29',
                'year' => '2024',
                'created_at' => '2024-02-29 12:34:56.789012',
            ])],
            array_map(
                // The client may return a BIT as a number or as its bytes.
                static fn (array $row): array => array_replace($row, [
                    'bits' => ctype_digit($row['bits']) ? chr((int) $row['bits']) : $row['bits'],
                ]),
                $this->rows('wb_orders'),
            ),
        );
    }

    public function testADoubleKeepsEveryBit(): void
    {
        $this->createTable('wb_doubles', 'id INT PRIMARY KEY, x DOUBLE NOT NULL');
        mt_srand(20_240_229);
        $buffer = $this->buffer();
        $expected = [];
        while (count($expected) < 500) {
            $bits = pack('VV', mt_rand(0, 0xffff_ffff), mt_rand(0, 0xffff_ffff));
            $number = unpack('e', $bits)[1];
            if (is_finite($number)) {
                $buffer->put('wb_doubles', ['id' => count($expected), 'x' => $number]);
                $expected[] = $number;
            }
        }
        $buffer->flush();
        $statement = $this->pdo()->prepare('SELECT x FROM wb_doubles ORDER BY id');
        $statement->execute();
        $stored = array_map('floatval', $statement->fetchAll(PDO::FETCH_COLUMN));
        self::assertSame($expected, $stored);
    }
}
