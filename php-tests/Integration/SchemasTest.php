<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Tables with keys and columns that the caller does not give. */
final class SchemasTest extends DatabaseTestCase
{
    public function testAServerThatWantsPrimaryKeysIsContent(): void
    {
        $this->setGlobal(self::isMySql() ? 'sql_require_primary_key' : 'innodb_force_primary_key', 1);
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable('wb_trades', 'id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id INT');
        $this->createTable('wb_balances', 'id INT PRIMARY KEY, total DECIMAL(10,2) NOT NULL DEFAULT 0');
        $refused = self::thrownBy(fn () => $this->connect()->exec('CREATE TABLE wb_keyless (id INT)'));
        self::assertInstanceOf(\PDOException::class, $refused, 'the server means it');
        $buffer = $this->buffer(
            orderTable: 'wb_orders',
            tradeTable: 'wb_trades',
            tables: ['wb_balances' => ['merge' => ['total' => 'sum']]],
        );
        $buffer->add(['id' => 1, 'v' => 1], [['order_id' => 1], ['order_id' => 1]]);
        $buffer->put('wb_balances', ['id' => 1, 'total' => '0.10']);
        self::assertSame(4, $buffer->flush());
        self::assertSame(['1', '1'], array_column($this->rows('wb_trades'), 'order_id'));
        self::assertSame('0.10', $this->value('SELECT total FROM wb_balances'));
    }

    /** @return iterable<string, array{string}> */
    public static function generatedColumns(): iterable
    {
        yield 'virtual' => ['VIRTUAL'];
        yield 'stored' => ['STORED'];
    }

    /**
     * @dataProvider generatedColumns
     */
    #[DataProvider('generatedColumns')]
    public function testARowMustNotNameAGeneratedColumn(string $kind): void
    {
        $this->createTable('wb_orders', "id INT PRIMARY KEY, price INT NOT NULL, twice INT AS (price * 2) {$kind}");
        $buffer = $this->buffer(orderTable: 'wb_orders', background: true);
        $buffer->add(['id' => 1, 'price' => 5]);
        $buffer->add(['id' => 2, 'price' => 6, 'twice' => 12]);
        $buffer->add(['id' => 1, 'price' => 7]);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame(self::isMySql() ? 3105 : 1906, $thrown->getCode(), $thrown->getMessage());
        self::assertStringContainsString('generated column', $thrown->getMessage());
        self::assertCount(1, $buffer->takeFailures());
        self::assertSame([['id' => '1', 'price' => '7', 'twice' => '14']], $this->rows('wb_orders'));
    }

    public function testAKeyThatTheServerMadeUpIsNoKeyOfTheCallers(): void
    {
        if (!self::isMySql()) {
            self::markTestSkipped('MariaDB makes up no primary key: sql_generate_invisible_primary_key is MySQL\'s');
        }
        $this->setGlobal('sql_generate_invisible_primary_key', 1);
        $this->createTable('wb_log', 'line VARCHAR(10) NOT NULL');
        self::assertSame(
            'my_row_id',
            $this->value("SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_NAME = 'wb_log'"),
            'the server made it up',
        );
        $upserts = $this->buffer(orderTable: 'wb_log');
        $message = 'table wb_log has no primary key: name a unique key with \'key\' in `tables`, or use mode \'insert\'';
        self::assertThrows(ConfigException::class, $message, static fn () => $upserts->add(['line' => 'a']));
        self::assertThrows(ConfigException::class, $message, static fn () => $upserts->add(['line' => 'a', 'my_row_id' => 1]));
        self::assertCount(0, $upserts);
        $inserts = $this->buffer(tradeTable: 'wb_log');
        $inserts->add(null, [['line' => 'a'], ['line' => 'a'], ['line' => 'b']]);
        self::assertSame(3, $inserts->flush());
        self::assertSame(['a', 'a', 'b'], array_column($this->rows('wb_log', 'line', 'my_row_id'), 'line'));
    }

    public function testAMadeUpKeyStandsBesideAUniqueOne(): void
    {
        if (!self::isMySql()) {
            self::markTestSkipped('MariaDB makes up no primary key: sql_generate_invisible_primary_key is MySQL\'s');
        }
        $this->setGlobal('sql_generate_invisible_primary_key', 1);
        $this->createTable('wb_orders', 'code INT NOT NULL, v INT, UNIQUE KEY code (code)');
        $buffer = $this->buffer(tables: ['wb_orders' => ['key' => 'code']]);
        foreach ([[1, 10], [2, 20], [1, 11]] as [$code, $value]) {
            $buffer->put('wb_orders', ['code' => $code, 'v' => $value]);
            $buffer->flush();
        }
        self::assertSame([['code' => '1', 'v' => '11'], ['code' => '2', 'v' => '20']], $this->rows('wb_orders'));
    }

    public function testAUniqueIndexOverAnExpressionIsASecondOne(): void
    {
        if (!self::isMySql()) {
            self::markTestSkipped('MariaDB has no index over an expression');
        }
        $this->createTable('wb_users', 'id INT PRIMARY KEY, email VARCHAR(50), UNIQUE KEY lowered ((LOWER(email)))');
        $careful = $this->buffer(orderTable: 'wb_users');
        self::assertThrows(
            ConfigException::class,
            'table wb_users has a second unique index, lowered (an expression): an upsert could update another row than the one '
                . 'with its key (id). Drop the index, use mode \'insert\', or accept it with \'allowSecondUnique\' => true in '
                . '`tables`',
            static fn () => $careful->add(['id' => 1, 'email' => 'a@example.com']),
        );
        $inserts = $this->buffer(tradeTable: 'wb_users', background: true);
        $inserts->add(null, ['id' => 1, 'email' => 'a@example.com']);
        $inserts->add(null, ['id' => 2, 'email' => 'A@EXAMPLE.com']);
        $inserts->add(null, ['id' => 3, 'email' => 'b@example.com']);
        self::assertSame(1062, self::thrownBy(static fn () => $inserts->flush())?->getCode());
        self::assertCount(1, $inserts->takeFailures());
        self::assertSame(['1', '3'], array_column($this->rows('wb_users'), 'id'));
        $accepted = $this->buffer(orderTable: 'wb_users', tables: ['wb_users' => ['allowSecondUnique' => true]]);
        $accepted->add(['id' => 3, 'email' => 'c@example.com']);
        $accepted->flush();
        self::assertSame(['a@example.com', 'c@example.com'], array_column($this->rows('wb_users'), 'email'));
    }

    public function testAPartitionedTableIsWrittenAsAnyOther(): void
    {
        $this->createTable(
            'wb_orders',
            'id INT PRIMARY KEY, v INT, must INT NOT NULL',
            'PARTITION BY HASH (id) PARTITIONS 4',
        );
        $buffer = $this->buffer(orderTable: 'wb_orders', batchSize: 10);
        foreach ([1, 2] as $round) {
            for ($id = 1; $id <= 40; $id++) {
                $buffer->add(['id' => $id, 'v' => $round * $id, 'must' => 1]);
            }
        }
        $buffer->add(['id' => 7, 'v' => 0]);
        $buffer->flush();
        $expected = array_map(static fn (int $id): string => $id === 7 ? '0' : (string) (2 * $id), range(1, 40));
        self::assertSame($expected, array_column($this->rows('wb_orders'), 'v'));
    }

    /** @return iterable<string, array{bool}> */
    public static function buffers(): iterable
    {
        yield 'background' => [true];
        yield 'foreground' => [false];
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testNoRowIsGivenUpForAColumnThatBecameRequired(bool $background): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v INT');
        $buffer = $this->buffer(orderTable: 'wb_orders', background: $background);
        $buffer->add(['id' => 1, 'v' => 1]);
        $buffer->flush();
        $this->pdo()->exec('ALTER TABLE wb_orders ADD must INT NOT NULL');
        $buffer->add(['id' => 1, 'v' => 2]);
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => '1', 'v' => '2', 'must' => '0']], $this->rows('wb_orders'));
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testNoRowIsGivenUpForAColumnThatIsRequiredNoLonger(bool $background): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v INT, must INT NOT NULL');
        $buffer = $this->buffer(orderTable: 'wb_orders', background: $background);
        $buffer->add(['id' => 1, 'v' => 1, 'must' => 1]);
        $buffer->flush();
        $this->pdo()->exec('ALTER TABLE wb_orders ALTER must SET DEFAULT 5');
        $buffer->add(['id' => 2, 'v' => 2]);
        self::assertSame(1, $buffer->flush());
        self::assertSame(
            [['id' => '1', 'v' => '1', 'must' => '1'], ['id' => '2', 'v' => '2', 'must' => '5']],
            $this->rows('wb_orders'),
        );
    }

    /** More statements than are sent ahead: the refusal comes before the definition is read. */
    public function testNoRowIsGivenUpForAColumnThatBecameRequiredAmidManyStatements(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v INT, w INT');
        $buffer = $this->buffer(orderTable: 'wb_orders', background: true);
        $buffer->add(['id' => 0, 'v' => 0]);
        $buffer->add(['id' => 0, 'w' => 0]);
        $buffer->flush();
        $this->pdo()->exec('INSERT INTO wb_orders (id) SELECT 1 UNION SELECT 2');
        $this->pdo()->exec('ALTER TABLE wb_orders ADD must INT NOT NULL');
        $group = [];
        for ($round = 1; $round <= 30; $round++) {
            $group[] = ['id' => 1, $round % 2 === 0 ? 'v' : 'w' => $round];
            $group[] = ['id' => 2, $round % 2 === 0 ? 'w' : 'v' => $round];
        }
        $buffer->add($group);
        self::assertSame(60, $buffer->flush());
        self::assertSame(
            [['v' => '30', 'w' => '29'], ['v' => '29', 'w' => '30']],
            $this->rows('wb_orders', 'v, w', 'id LIMIT 2 OFFSET 1'),
        );
    }
}
