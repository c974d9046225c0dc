<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Which rows are one: keys as the server compares them. */
final class KeysTest extends DatabaseTestCase
{
    private const BALANCES = <<<'SQL'
        id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
        user_id BIGINT UNSIGNED NOT NULL,
        asset VARCHAR(10) NOT NULL,
        available DECIMAL(36,18) NOT NULL DEFAULT 0,
        created_at INT NULL,
        UNIQUE KEY user_asset (user_id, asset)
        SQL;

    public function testReadsThePrimaryKeyFromTheServer(): void
    {
        $this->createTable('wb_keys', 'name VARCHAR(20), code INT PRIMARY KEY');
        $buffer = $this->buffer(orderTable: 'wb_keys');
        $buffer->add([['code' => 1, 'name' => 'a'], ['name' => 'b', 'code' => 1], ['code' => 2, 'name' => 'c']]);
        self::assertSame(['name' => 'b', 'code' => 1], array_replace(['name' => '', 'code' => 0], $buffer->find('wb_keys', 1)));
        $buffer->flush();
        $buffer->add(['code' => 2, 'name' => 'd']);
        $buffer->flush();
        self::assertSame([['name' => 'b', 'code' => '1'], ['name' => 'd', 'code' => '2']], $this->rows('wb_keys'));
    }

    public function testReadsACompositePrimaryKey(): void
    {
        $this->createTable('wb_keys', 'b INT, v INT, a VARCHAR(5), PRIMARY KEY (a, b)');
        $buffer = $this->buffer();
        $buffer->put('wb_keys', [
            ['a' => 'x', 'b' => 1, 'v' => 1],
            ['a' => 'x', 'b' => 2, 'v' => 2],
            ['v' => 3, 'b' => 1, 'a' => 'x'],
        ]);
        self::assertSame(3, $buffer->find('wb_keys', ['x', 1])['v'], 'in the order of the index');
        $buffer->flush();
        self::assertSame(
            [['b' => '1', 'v' => '3', 'a' => 'x'], ['b' => '2', 'v' => '2', 'a' => 'x']],
            $this->rows('wb_keys'),
        );
    }

    public function testAModelsKeyGivesWayToTheServers(): void
    {
        $this->createTable('wb_keys', 'id INT NOT NULL, uuid VARCHAR(5) PRIMARY KEY');
        $buffer = $this->buffer();
        $buffer->add(new \WriteBuffer\Tests\Support\Model(['id' => 1, 'uuid' => 'a'], 'wb_keys', 'id'));
        $buffer->add(new \WriteBuffer\Tests\Support\Model(['id' => 2, 'uuid' => 'a'], 'wb_keys', 'id'));
        $buffer->flush();
        self::assertSame([['id' => '2', 'uuid' => 'a']], $this->rows('wb_keys'));
    }

    public function testBalancesAreKeyedByUserAndAsset(): void
    {
        $this->createTable('wb_balances', self::BALANCES);
        $buffer = $this->buffer(tables: ['wb_balances' => [
            'key' => ['user_id', 'asset'],
            'merge' => ['available' => 'sum', 'created_at' => 'keep'],
        ]]);
        foreach ([[1, 'BTC', '0.1', 10], [1, 'ETH', '5', 20], [1, 'BTC', '0.2', 30], [2, 'BTC', '-1', 40]] as $row) {
            $buffer->put('wb_balances', array_combine(['user_id', 'asset', 'available', 'created_at'], $row));
        }
        self::assertSame('0.3', $buffer->find('wb_balances', [1, 'BTC'])['available']);
        $buffer->flush();
        $buffer->put('wb_balances', ['user_id' => 1, 'asset' => 'BTC', 'available' => '0.000000000000000001', 'created_at' => 9]);
        $buffer->flush();
        self::assertSame(
            [
                ['user_id' => '1', 'asset' => 'BTC', 'available' => '0.300000000000000001', 'created_at' => '10'],
                ['user_id' => '1', 'asset' => 'ETH', 'available' => '5.000000000000000000', 'created_at' => '20'],
                ['user_id' => '2', 'asset' => 'BTC', 'available' => '-1.000000000000000000', 'created_at' => '40'],
            ],
            $this->rows('wb_balances', 'user_id, asset, available, created_at'),
        );
    }

    public function testRefusesAKeyThatIsNotUnique(): void
    {
        $this->createTable('wb_keys', 'id INT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL, t VARCHAR(50), '
            . 'KEY a (a), UNIQUE KEY ab (a, b), UNIQUE KEY prefix (t(5))');
        foreach ([['a'], ['b', 'id'], ['a', 'b', 'id'], ['t']] as $key) {
            $buffer = $this->buffer(tables: ['wb_keys' => ['key' => $key]]);
            self::assertThrows(
                ConfigException::class,
                'table wb_keys: the configured key (' . implode(', ', $key) . ') is no unique key of the table, so an upsert '
                    . 'would double rows. Its unique keys: PRIMARY (id); ab (a, b); prefix (t)',
                static fn () => $buffer->put('wb_keys', ['id' => 1, 'a' => 1, 'b' => 1, 't' => 'x']),
            );
            self::assertCount(0, $buffer);
        }
        $buffer = $this->buffer(tables: ['wb_keys' => ['key' => ['b', 'A'], 'allowSecondUnique' => true]]);
        $buffer->put('wb_keys', [['id' => 1, 'a' => 1, 'b' => 1], ['id' => 1, 'a' => 1, 'b' => 1]]);
        $buffer->flush();
        self::assertCount(1, $this->rows('wb_keys'));
    }

    public function testRefusesASecondUniqueIndexUnlessItIsAllowed(): void
    {
        $this->createTable('wb_users', 'id INT PRIMARY KEY, email VARCHAR(50) NOT NULL, UNIQUE KEY email (email)');
        $row = ['id' => 1, 'email' => 'a@example.org'];
        $buffer = $this->buffer();
        self::assertThrows(
            ConfigException::class,
            'table wb_users has a second unique index, email (email): an upsert could update another row than the one with '
                . 'its key (id). Drop the index, use mode \'insert\', or accept it with \'allowSecondUnique\' => true in '
                . '`tables`',
            static fn () => $buffer->put('wb_users', $row),
        );
        self::assertCount(0, $buffer);
        foreach ([['allowSecondUnique' => true], ['mode' => 'insert']] as $at => $rules) {
            $buffer = $this->buffer(tables: ['wb_users' => $rules]);
            $buffer->put('wb_users', ['id' => $at, 'email' => "{$at}@example.org"]);
            self::assertSame(1, $buffer->flush());
        }
        self::assertCount(2, $this->rows('wb_users'));
    }

    public function testANullableSecondIndexLeftOutIsNoDanger(): void
    {
        $this->createTable('wb_users', 'id INT PRIMARY KEY, email VARCHAR(50) NULL, v INT, UNIQUE KEY email (email)');
        $buffer = $this->buffer();
        $buffer->put('wb_users', [['id' => 1, 'v' => 1], ['id' => 2, 'v' => 2]]);
        $buffer->flush();
        self::assertThrowsMatching(
            ConfigException::class,
            '/^table wb_users has a second unique index, email \(email\)/',
            static fn () => $buffer->put('wb_users', ['id' => 1, 'email' => 'a']),
        );
        self::assertCount(2, $this->rows('wb_users'));
    }

    public function testATableWithoutAPrimaryKey(): void
    {
        $this->createTable('wb_log', 'line VARCHAR(20) NULL');
        $buffer = $this->buffer();
        self::assertThrows(
            ConfigException::class,
            'table wb_log has no primary key: name a unique key with \'key\' in `tables`, or use mode \'insert\'',
            static fn () => $buffer->put('wb_log', ['line' => 'a']),
        );
        $buffer = $this->buffer(tables: ['wb_log' => ['mode' => 'insert']]);
        $buffer->put('wb_log', [['line' => 'a'], ['line' => 'a'], ['line' => null]]);
        self::assertSame(3, $buffer->flush());
        self::assertSame([['line' => null], ['line' => 'a'], ['line' => 'a']], $this->rows('wb_log', '*', '1'));
    }

    public function testAPrimaryKeyOverAPrefixIsNoKeyOfARow(): void
    {
        $this->createTable('wb_log', 'id VARCHAR(20), v INT, PRIMARY KEY (id(2))');
        $buffer = $this->buffer();
        self::assertThrows(
            ConfigException::class,
            'table wb_log: its primary key has a part of a column only, so it does not tell rows apart by their values: name '
                . 'a unique key of whole columns with \'key\' in `tables`, or use \'key\' => \'server\' or mode \'insert\'',
            static fn () => $buffer->put('wb_log', ['id' => 'abc', 'v' => 1]),
        );
        $buffer = $this->buffer(tables: ['wb_log' => ['key' => 'server']]);
        $buffer->put('wb_log', ['id' => 'abc', 'v' => 1]);
        $buffer->put('wb_log', ['id' => 'abd', 'v' => 2]);
        $buffer->flush();
        self::assertSame([['id' => 'abd', 'v' => '2']], array_map(
            static fn (array $row): array => array_map('strval', $row),
            $this->rows('wb_log'),
        ));
    }

    public function testAColumnWhoseNameIsANumberHasARule(): void
    {
        $this->createTable('wb_log', 'id INT PRIMARY KEY, `1` INT');
        $buffer = $this->buffer(tables: ['wb_log' => ['merge' => ['1' => 'max']]]);
        foreach ([7, 3] as $value) {
            $buffer->put('wb_log', ['id' => 1, '1' => $value]);
        }
        $buffer->flush();
        self::assertEquals([['id' => 1, '1' => 7]], $this->rows('wb_log'));
    }

    public function testAnAutoIncrementFillsWhatAnInsertLeavesOut(): void
    {
        $this->createTable('wb_log', 'id INT AUTO_INCREMENT PRIMARY KEY, line VARCHAR(20)');
        $buffer = $this->buffer(tradeTable: 'wb_log');
        $buffer->add(null, [['line' => 'c'], ['line' => 'a'], ['line' => 'b']]);
        $buffer->flush();
        self::assertSame(['c', 'a', 'b'], array_column($this->rows('wb_log'), 'line'), 'in the order given');
    }

    /** Without a word in `tables`: beside rows with their keys, in the order given. */
    public function testARowWithoutItsAutoIncrementKeyIsAnInsert(): void
    {
        foreach ([true, false] as $background) {
            $this->createTable('wb_log', 'id INT AUTO_INCREMENT PRIMARY KEY, line VARCHAR(20) UNIQUE, n INT DEFAULT 0');
            $buffer = $this->buffer(background: $background, tables: ['wb_log' => ['merge' => ['n' => 'sum'],
                'allowSecondUnique' => true]]);
            // The first row is bound to a table that nobody knows yet.
            foreach (
                [
                    ['line' => 'c', 'n' => 1],
                    ['line' => 'a', 'n' => 1],
                    ['id' => 7, 'line' => 'x', 'n' => 1],
                    ['line' => 'b', 'n' => 1],
                    ['id' => 7, 'line' => 'y', 'n' => 5],
                    ['id' => 1, 'n' => 10],
                ] as $row
            ) {
                $buffer->put('wb_log', $row);
            }
            $buffer->flush();
            self::assertEquals(
                [
                    ['id' => 1, 'line' => 'c', 'n' => 11],
                    ['id' => 2, 'line' => 'a', 'n' => 1],
                    ['id' => 7, 'line' => 'y', 'n' => 6],
                    ['id' => 8, 'line' => 'b', 'n' => 1],
                ],
                $this->rows('wb_log'),
            );
            // Another unique key is not what the row is found by: it is refused, as an INSERT is.
            $buffer->put('wb_log', ['line' => 'a', 'n' => 100]);
            $buffer->put('wb_log', ['line' => 'd', 'n' => 1]);
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            self::assertInstanceOf(RefusedException::class, $thrown);
            self::assertSame(1062, $thrown->getCode());
            self::assertSame(
                [[['table' => 'wb_log', 'row' => ['line' => 'a', 'n' => 100]]]],
                array_column($buffer->takeFailures(), 'rows'),
            );
            self::assertSame(['c', 'a', 'y', 'b', 'd'], array_column($this->rows('wb_log'), 'line'));
            self::assertNull($buffer->find('wb_log', 9));
        }
    }

    public function testARowThatLacksMoreOfItsKeyIsRefused(): void
    {
        $this->createTable('wb_log', 'id INT AUTO_INCREMENT, tenant INT NOT NULL, line VARCHAR(20), PRIMARY KEY (id, tenant)');
        $buffer = $this->buffer(background: false);
        $buffer->put('wb_log', ['tenant' => 3, 'line' => 'a']);
        $buffer->flush();
        self::assertThrows(
            ConfigException::class,
            'table wb_log: a row has no key column tenant; give it a value, or configure another key in `tables`',
            static fn () => $buffer->put('wb_log', ['line' => 'b']),
        );
        self::assertThrows(
            ConfigException::class,
            'table wb_log: key column id is null or 0, for which the server makes a fresh number; give the row its key, or leave '
                . 'id out: it is a new row then',
            static fn () => $buffer->put('wb_log', ['id' => null, 'tenant' => 3, 'line' => 'b']),
        );
        self::assertEquals([['id' => 1, 'tenant' => 3, 'line' => 'a']], $this->rows('wb_log'));
    }

    /**
     * A key's column, keys that are written one after the other, and the key of each row that is
     * there at the end, with the number of the last row that had it.
     *
     * @return iterable<string, array{string, list<mixed>, list<array{string, string}>}>
     */
    public static function equalKeys(): iterable
    {
        $ci = 'VARCHAR(20) COLLATE utf8mb4_general_ci';
        $unicode = 'VARCHAR(20) COLLATE utf8mb4_unicode_ci';
        $bin = 'VARCHAR(20) COLLATE utf8mb4_bin';
        yield 'case' => [$ci, ['A', 'a'], [['A', '1']]];
        yield 'case, the other way' => [$ci, ['a', 'A', 'b', 'a'], [['a', '3'], ['b', '2']]];
        yield 'case in unicode' => [$unicode, ['A', 'a', 'É', 'é', 'e'], [['A', '1'], ['É', '4']]];
        yield 'accents' => [$ci, ['résumé', 'resume', 'Resume'], [['résumé', '2']]];
        yield 'spaces at the end' => [$ci, ['a', 'a ', 'a  '], [['a', '2']]];
        yield 'sharp s' => [$unicode, ['straße', 'STRASSE'], [['straße', '1']]];
        yield 'a language of its own' => [
            'VARCHAR(20) COLLATE utf8mb4_swedish_ci',
            ['v', 'w', 'W'],
            [['v', '0'], ['w', '2']],
        ];
        yield 'by bytes' => [$bin, ['A', 'a', 'ä', 'Ä', 'A'], [['A', '4'], ['a', '1'], ['Ä', '3'], ['ä', '2']]];
        yield 'by bytes, padded' => [$bin, ['a', 'a '], [['a', '1']]];
        yield 'by bytes, not padded' => [
            'VARCHAR(20) COLLATE ' . (self::isMySql() ? 'utf8mb4_0900_bin' : 'utf8mb4_nopad_bin'),
            ['a', 'a ', 'a'],
            [['a', '2'], ['a ', '1']],
        ];
        yield 'binary' => ['VARBINARY(20)', ["a\0", 'a', "\xff", 'A', "a\0"], [['A', '3'], ['a', '1'], ["a\0", '4'], ["\xff", '2']]];
        yield 'padded binary' => ['BINARY(3)', ['a', "a\0", "a\0\0", 'b'], [["a\0\0", '2'], ["b\0\0", '3']]];
        yield 'numbers' => ['INT', [1, '1', '01', '1.0', 2, '1e0'], [['1', '5'], ['2', '4']]];
        yield 'unsigned numbers' => [
            'BIGINT UNSIGNED',
            ['18446744073709551615', '18446744073709551614', '018446744073709551615'],
            [['18446744073709551614', '1'], ['18446744073709551615', '2']],
        ];
        yield 'decimals' => ['DECIMAL(10,2)', ['1.5', '1.50', '1.499', 2, '2.00'], [['1.50', '2'], ['2.00', '4']]];
        yield 'numbers as text' => [$ci, [1, '1', '01'], [['01', '2'], ['1', '1']]];
        yield 'dates' => [
            'DATE',
            ['2024-01-02', new \DateTimeImmutable('2024-01-02 23:59:59'), '2024-1-2', '20240103'],
            [['2024-01-02', '2'], ['2024-01-03', '3']],
        ];
        yield 'moments' => [
            'DATETIME(3)',
            ['2024-01-02 00:00:00', '2024-01-02', '2024-01-02 00:00:00.000', new \DateTimeImmutable('2024-01-02 00:00:00.0009')],
            [['2024-01-02 00:00:00.000', '3']],
        ];
        yield 'enums' => ["ENUM('x','y')", ['x', 'X', 1, 'y'], [['x', '2'], ['y', '3']]];
        yield 'times' => ['TIME', ['01:00:00', '1:0:0', 10_000, '02:00:00'], [['01:00:00', '2'], ['02:00:00', '3']]];
        if (!self::isMySql()) {
            yield 'uuids, a type of MariaDB' => [
                'UUID',
                ['123e4567-e89b-12d3-a456-426655440000', '123E4567E89B12D3A456426655440000'],
                [['123e4567-e89b-12d3-a456-426655440000', '1']],
            ];
        }
    }

    /**
     * @dataProvider equalKeys
     *
     * @param list<mixed>                  $keys
     * @param list<array{string, string}> $expected
     */
    #[DataProvider('equalKeys')]
    public function testTheLastOfEqualKeysWins(string $column, array $keys, array $expected): void
    {
        $forms = [
            'one set of columns' => static fn (int $at): array => ['v' => $at, 'w' => $at],
            'different sets of columns' => static fn (int $at): array => $at % 2 === 0 ? ['v' => $at, 'w' => $at] : ['v' => $at],
            'columns in another order' => static fn (int $at): array => $at % 2 === 0
                ? ['v' => $at, 'w' => $at]
                : ['w' => $at, 'v' => $at],
        ];
        foreach ($forms as $form => $values) {
            // All in one batch, one batch each, two batches.
            foreach ([null, 1, 2] as $flushEvery) {
                $this->createTable('wb_equal', "k {$column} PRIMARY KEY, v INT NOT NULL, w INT NULL");
                $buffer = $this->buffer();
                foreach ($keys as $at => $key) {
                    $buffer->put('wb_equal', ['k' => $key] + $values($at));
                    if ($flushEvery !== null && ($at + 1) % $flushEvery === 0) {
                        $buffer->flush();
                    }
                }
                $buffer->flush();
                $stored = array_map(
                    static fn (array $row): array => [$row['k'], $row['v']],
                    $this->rows('wb_equal', 'k, v', 'CAST(k AS BINARY)'),
                );
                sort($stored);
                sort($expected);
                self::assertSame($expected, $stored, $form . ', a flush every ' . ($flushEvery ?? 'never'));
            }
        }
    }

    public function testARowThatLacksAColumnUpdatesWhereItsKeyIs(): void
    {
        $this->createTable('wb_partial', 'id INT PRIMARY KEY, name VARCHAR(10) NOT NULL, v INT NOT NULL DEFAULT 0');
        $buffer = $this->buffer(tables: ['wb_partial' => ['merge' => ['v' => 'sum']]]);
        $buffer->put('wb_partial', ['id' => 1, 'name' => 'whole', 'v' => 1]);
        $buffer->put('wb_partial', ['id' => 1, 'v' => 2]);
        $buffer->flush();
        self::assertSame([['id' => '1', 'name' => 'whole', 'v' => '3']], $this->rows('wb_partial'), 'in one batch');
        $buffer->put('wb_partial', ['id' => 1, 'v' => 4]);
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => '1', 'name' => 'whole', 'v' => '7']], $this->rows('wb_partial'), 'in a later one');
        $buffer->put('wb_partial', ['id' => 1, 'v' => 0]);
        self::assertSame(1, $buffer->flush(), 'an update that changes nothing has found its row all the same');

        $buffer->put('wb_partial', ['id' => 2, 'v' => 1]);
        self::assertThrows(
            RefusedException::class,
            'gave up 1 row that can never be written, see takeFailures(); the first error: table wb_partial: a row without '
                . 'column name can only update, and there is no row with its key (id); add the whole row first',
            static fn () => $buffer->flush(),
        );
        self::assertCount(1, $this->rows('wb_partial'));
        $this->pdo()->exec("INSERT INTO wb_partial VALUES (2, 'late', 5)");
        $buffer->retry($buffer->takeFailures());
        self::assertSame(1, $buffer->flush());
        self::assertSame(['id' => '2', 'name' => 'late', 'v' => '6'], $this->rows('wb_partial')[1]);
    }

    public function testAPartialRowBeforeItsWholeRow(): void
    {
        $this->createTable('wb_partial', 'id INT PRIMARY KEY, name VARCHAR(10) NOT NULL, v INT NOT NULL DEFAULT 0');
        $buffer = $this->buffer();
        $buffer->put('wb_partial', ['id' => 1, 'v' => 2]);
        $buffer->put('wb_partial', ['id' => 1, 'name' => 'whole']);
        // Row by row the first one finds nothing to update, and the second one is written.
        self::assertThrowsMatching(
            RefusedException::class,
            '/a row without column name can only update, and there is no row with its key/',
            static fn () => $buffer->flush(),
        );
        self::assertSame([['id' => '1', 'name' => 'whole', 'v' => '0']], $this->rows('wb_partial'));
        self::assertCount(0, $buffer);
        $buffer->retry($buffer->takeFailures());
        $buffer->flush();
        self::assertSame([['id' => '1', 'name' => 'whole', 'v' => '2']], $this->rows('wb_partial'));
    }

    public function testRulesAreCheckedAgainstTheTable(): void
    {
        $this->createTable('wb_rules', 'id INT PRIMARY KEY, x DOUBLE, t VARCHAR(5), n INT NOT NULL DEFAULT 5, z INT DEFAULT 0');
        $inexact = 'has a type that cannot be summed exactly; use DECIMAL or an integer type';
        foreach (
            [
                'table wb_rules has no column gone, which its rules name: correct `tables`' => ['merge' => ['gone' => 'sum']],
                'table wb_rules has no column g, which its rules name: correct `tables`' => ['guard' => 'g'],
                "table wb_rules: column x {$inexact}" => ['merge' => ['x' => 'sum']],
                "table wb_rules: column t {$inexact}" => ['merge' => ['t' => 'sum']],
                'table wb_rules: column n has a default other than 0, so a sum over it would depend on where batches end; '
                    . 'make the default 0 or NULL' => ['merge' => ['n' => 'sum']],
            ] as $message => $rules
        ) {
            $buffer = $this->buffer(tables: ['wb_rules' => $rules]);
            self::assertThrows(ConfigException::class, $message, static fn () => $buffer->put('wb_rules', ['id' => 1]));
        }
        $buffer = $this->buffer(tables: ['wb_rules' => ['merge' => ['z' => 'sum']]]);
        $buffer->put('wb_rules', ['id' => 1, 'z' => 1]);
        self::assertSame(1, $buffer->flush());
    }
}
