<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * What else a table demands of a row. In the background the groups at fault are given up, and all
 * others are committed.
 */
final class ConstraintsTest extends DatabaseTestCase
{
    /**
     * Adds a group for each row, and expects the server to refuse those at the given places.
     *
     * @param array<string, mixed>                                $settings
     * @param list<array{array<string, mixed>, array<string, mixed>|null}> $groups order and trade
     * @param list<int>                                           $refused
     */
    private function assertRefused(array $settings, array $groups, array $refused, int $code): void
    {
        $buffer = $this->buffer(...['background' => true] + $settings);
        foreach ($groups as [$order, $trade]) {
            $buffer->add($order, $trade);
        }
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame($code, $thrown->getCode(), $thrown->getMessage());
        $failures = $buffer->takeFailures();
        self::assertSame(array_fill(0, count($refused), $code), array_column($failures, 'code'));
        $expected = array_map(static fn (int $at): array => array_values(array_filter($groups[$at])), $refused);
        $given = array_map(static fn (array $failure): array => array_column($failure['rows'], 'row'), $failures);
        self::assertSame($expected, $given);
        self::assertCount(0, $buffer);
    }

    public function testACheckRefusesItsRowAlone(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, price DECIMAL(20,8) NOT NULL, CONSTRAINT positive CHECK (price > 0)');
        $this->assertRefused(
            ['orderTable' => 'wb_orders'],
            [
                [['id' => 1, 'price' => '0.00000001'], null],
                [['id' => 2, 'price' => '0'], null],
                [['id' => 3, 'price' => '5'], null],
                [['id' => 4, 'price' => '-1'], null],
                [['id' => 5, 'price' => '6'], null],
            ],
            [1, 3],
            self::isMySql() ? 3819 : 4025,
        );
        self::assertSame(['1', '3', '5'], array_column($this->rows('wb_orders'), 'id'));
    }

    /** The server looks at the row that it would insert, which has the increment alone. */
    public function testAColumnThatTakesNoNegativeAloneRefusesADebit(): void
    {
        $columns = ['amount INT UNSIGNED NOT NULL' => 1264, 'amount INT NOT NULL CHECK (amount >= 0)' => self::isMySql() ? 3819 : 4025];
        foreach ($columns as $column => $code) {
            $this->createTable('wb_balances', "id INT PRIMARY KEY, {$column}");
            $this->pdo()->exec('INSERT INTO wb_balances VALUES (1, 10)');
            $this->assertRefused(
                ['orderTable' => 'wb_balances', 'tables' => ['wb_balances' => ['merge' => ['amount' => 'sum']]]],
                [
                    [['id' => 1, 'amount' => '5'], null],
                    [['id' => 1, 'amount' => '-3'], null],
                    [['id' => 1, 'amount' => '2'], null],
                ],
                [1],
                $code,
            );
            self::assertSame([['id' => '1', 'amount' => '17']], $this->rows('wb_balances'), $column);
        }
    }

    public function testARowThatIsReplacedIsCheckedTooOnAServerThatQuotesNoNames(): void
    {
        $this->setGlobal('sql_quote_show_create', 0);
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, price INT NOT NULL, tenfold TINYINT AS (price * 10) STORED');
        $this->assertRefused(
            ['orderTable' => 'wb_orders'],
            [[['id' => 1, 'price' => 20], null], [['id' => 1, 'price' => 5], null]],
            [0],
            1264,
        );
    }

    public function testAChildWithoutItsParentIsRefusedAndOthersFindTheirs(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY');
        $this->createTable('wb_trades', 'id INT PRIMARY KEY, order_id INT NOT NULL, '
            . 'CONSTRAINT wb_trade_order FOREIGN KEY (order_id) REFERENCES wb_orders (id)');
        $this->assertRefused(
            ['orderTable' => 'wb_orders', 'tradeTable' => 'wb_trades'],
            [
                // Its parent comes later, so alone it would be refused.
                [['id' => 9], ['id' => 10, 'order_id' => 1]],
                [['id' => 1], ['id' => 11, 'order_id' => 1]],
                [['id' => 2], ['id' => 20, 'order_id' => 77]],
                [['id' => 3], ['id' => 30, 'order_id' => 3]],
            ],
            [0, 2],
            1452,
        );
        self::assertSame(['1', '3'], array_column($this->rows('wb_orders', '*', '1'), 'id'));
        self::assertSame(['11', '30'], array_column($this->rows('wb_trades'), 'id'));
    }

    public function testAParentThatChildrenHoldIsNotChanged(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, code INT NOT NULL, UNIQUE KEY code (code)');
        $this->createTable('wb_trades', 'id INT PRIMARY KEY, order_code INT NOT NULL, '
            . 'CONSTRAINT wb_trade_code FOREIGN KEY (order_code) REFERENCES wb_orders (code)');
        $this->pdo()->exec('INSERT INTO wb_orders VALUES (1, 100), (2, 200)');
        $this->pdo()->exec('INSERT INTO wb_trades VALUES (1, 100)');
        $this->assertRefused(
            ['orderTable' => 'wb_orders', 'tables' => ['wb_orders' => ['allowSecondUnique' => true]]],
            [[['id' => 1, 'code' => 101], null], [['id' => 2, 'code' => 201], null], [['id' => 3, 'code' => 300], null]],
            [0],
            1451,
        );
        self::assertSame(['100', '201', '300'], array_column($this->rows('wb_orders'), 'code'));
    }

    public function testATriggersRefusalIsTheRows(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable('wb_audit', 'seq INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20), id INT, v INT');
        foreach (
            [
                "CREATE TRIGGER wb_before BEFORE INSERT ON wb_orders FOR EACH ROW BEGIN IF NEW.v = 13 THEN "
                    . "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not thirteen'; END IF; SET NEW.v = NEW.v * 10; END",
                "CREATE TRIGGER wb_after AFTER INSERT ON wb_orders FOR EACH ROW INSERT INTO wb_audit (what, id, v) "
                    . "VALUES ('inserted', NEW.id, NEW.v)",
                "CREATE TRIGGER wb_updated AFTER UPDATE ON wb_orders FOR EACH ROW INSERT INTO wb_audit (what, id, v) "
                    . "VALUES ('updated', NEW.id, NEW.v)",
            ] as $trigger
        ) {
            $this->admin()->exec($trigger);
        }
        $this->assertRefused(
            ['orderTable' => 'wb_orders'],
            [[['id' => 1, 'v' => 1], null], [['id' => 2, 'v' => 13], null], [['id' => 3, 'v' => 3], null]],
            [1],
            1644,
        );
        self::assertSame([['id' => '1', 'v' => '10'], ['id' => '3', 'v' => '30']], $this->rows('wb_orders'));
        self::assertSame(
            [['what' => 'inserted', 'id' => '1', 'v' => '10'], ['what' => 'inserted', 'id' => '3', 'v' => '30']],
            $this->rows('wb_audit', 'what, id, v', 'id'),
            'what was rolled back left no trace',
        );
        $buffer = $this->buffer(orderTable: 'wb_orders');
        $buffer->add(['id' => 1, 'v' => 5]);
        $buffer->flush();
        self::assertSame('50', $this->value('SELECT v FROM wb_orders WHERE id = 1'), 'as an upsert of one row does it');
        self::assertSame('updated 1 50', $this->value('SELECT CONCAT_WS(" ", what, id, v) FROM wb_audit ORDER BY seq DESC LIMIT 1'));
    }

    public function testARowThatNoPartitionTakesIsRefusedAlone(): void
    {
        $this->createTable(
            'wb_orders',
            'id INT, day INT, v INT, PRIMARY KEY (id, day)',
            'PARTITION BY RANGE (day) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20))',
        );
        $this->assertRefused(
            ['orderTable' => 'wb_orders'],
            [
                [['id' => 1, 'day' => 5, 'v' => 1], null],
                [['id' => 2, 'day' => 25, 'v' => 2], null],
                [['id' => 1, 'day' => 15, 'v' => 3], null],
                [['id' => 1, 'day' => 5, 'v' => 4], null],
            ],
            [1],
            1526,
        );
        self::assertSame(
            [['day' => '5', 'v' => '4'], ['day' => '15', 'v' => '3']],
            $this->rows('wb_orders', 'day, v'),
        );
        self::assertSame('1', $this->value('SELECT COUNT(*) FROM wb_orders PARTITION (p2)'));
    }
}
