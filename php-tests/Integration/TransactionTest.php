<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** One batch is one transaction, and a group is never split over two. */
final class TransactionTest extends DatabaseTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v VARCHAR(20)');
        $this->createTable('wb_trades', 'id INT PRIMARY KEY, order_id INT NOT NULL');
        $this->createTable(
            'wb_seen',
            'seq INT AUTO_INCREMENT PRIMARY KEY, tab VARCHAR(10), id INT, connection BIGINT, in_transaction INT',
        );
        // A transaction that the client began, not the one that every statement has.
        $inTransaction = self::isMySql()
            ? "(SELECT AUTOCOMMIT = 'NO' FROM performance_schema.events_transactions_current "
                . "WHERE THREAD_ID = PS_CURRENT_THREAD_ID() AND STATE = 'ACTIVE')"
            : '@@in_transaction';
        foreach (['wb_orders', 'wb_trades'] as $table) {
            $this->admin()->exec("CREATE TRIGGER {$table}_seen AFTER INSERT ON {$table} FOR EACH ROW "
                . "INSERT INTO wb_seen (tab, id, connection, in_transaction) "
                . "VALUES ('{$table}', NEW.id, CONNECTION_ID(), {$inTransaction})");
        }
    }

    public function testOrdersAndTheirTradesShareATransaction(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders', tradeTable: 'wb_trades', batchSize: 7);
        $sizes = [];
        for ($order = 1; $order <= 50; $order++) {
            $trades = [];
            for ($trade = 0; $trade < $order % 5; $trade++) {
                $trades[] = ['id' => $order * 10 + $trade, 'order_id' => $order];
            }
            $buffer->add(['id' => $order, 'v' => "order {$order}"], $trades);
            // Another connection always sees whole groups.
            $orders = $this->rows('wb_orders', 'id', '1');
            $visible = $this->value('SELECT COUNT(*) FROM wb_trades');
            $expected = array_sum(array_map(static fn (array $row): int => (int) $row['id'] % 5, $orders));
            self::assertSame((string) $expected, $visible, "after order {$order}");
            $sizes[count($orders)] = true;
        }
        $buffer->flush();
        self::assertGreaterThan(3, count($sizes), 'several batches were committed on the way');
        self::assertCount(50, $this->rows('wb_orders'));
        self::assertCount(100, $this->rows('wb_trades'));
        self::assertSame('1', $this->value('SELECT MIN(in_transaction) FROM wb_seen'));
        self::assertSame('1', $this->value('SELECT COUNT(DISTINCT connection) FROM wb_seen'), 'one connection of its own');
        self::assertSame(
            array_map('strval', range(1, 50)),
            array_column($this->rows("wb_seen WHERE tab = 'wb_orders'", 'id', 'seq'), 'id'),
        );
    }

    /** Triggers see rows in the order in which they were added, whatever their keys and tables. */
    public function testABatchIsWrittenAsTriggersWouldSeeItRowByRow(): void
    {
        $this->addThreeGroups();
        self::assertSame(
            ['wb_orders 3', 'wb_trades 31', 'wb_orders 1', 'wb_trades 12', 'wb_trades 11', 'wb_orders 2'],
            array_map(
                static fn (array $row): string => implode(' ', $row),
                $this->rows('wb_seen', 'tab, id', 'seq'),
            ),
        );
    }

    /**
     * Where nobody sees the order, it is that of the keys: two writers lock rows in the same one.
     */
    public function testABatchIsWrittenByKeyWhereNobodySeesIt(): void
    {
        $this->admin()->exec('DROP TRIGGER wb_orders_seen');
        $this->admin()->exec('DROP TRIGGER wb_trades_seen');
        $this->admin()->exec("SET GLOBAL log_output = 'TABLE'");
        $this->admin()->exec('TRUNCATE mysql.general_log');
        $this->admin()->exec('SET GLOBAL general_log = 1');
        try {
            $this->addThreeGroups();
        } finally {
            $this->admin()->exec('SET GLOBAL general_log = 0');
        }
        $statements = $this->admin()
            ->query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Execute'")
            ->fetchAll(PDO::FETCH_COLUMN);
        $written = array_values(preg_grep('/^INSERT INTO `wb_(orders|trades)`/', $statements));
        self::assertCount(2, $written, implode("\n", $statements));
        $keys = static function (string $sql): array {
            preg_match_all('/\(\'?(\d+)\'?[,)]/', $sql, $found);

            return $found[1];
        };
        self::assertSame([['1', '2', '3'], ['11', '12', '31']], array_map($keys, $written));
    }

    private function addThreeGroups(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders', tradeTable: 'wb_trades');
        $buffer->add(['id' => 3], ['id' => 31, 'order_id' => 3]);
        $buffer->add(['id' => 1], [['id' => 12, 'order_id' => 1], ['id' => 11, 'order_id' => 1]]);
        $buffer->add(['id' => 2]);
        $buffer->flush();
    }

    public function testAFailureTakesBackTheWholeBatch(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_orders', tradeTable: 'wb_trades', batchSize: 10_000);
        for ($order = 1; $order <= 3_000; $order++) {
            $buffer->add(['id' => $order, 'v' => 'x'], ['id' => $order, 'order_id' => $order]);
        }
        // Refused after thousands of rows were sent, and no row is at fault.
        $this->pdo()->exec('ALTER TABLE wb_trades DROP order_id');
        $buffer->add(null, ['id' => 3_001, 'order_id' => 0]);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertSame(1054, $thrown?->getCode());
        foreach (['wb_orders', 'wb_trades', 'wb_seen'] as $table) {
            self::assertSame('0', $this->value("SELECT COUNT(*) FROM {$table}"), $table);
        }
        $this->pdo()->exec('ALTER TABLE wb_trades ADD order_id INT NULL');
        self::assertSame(6_001, $buffer->flush());
        self::assertSame('3000', $this->value('SELECT COUNT(*) FROM wb_orders'));
        self::assertSame('3001', $this->value('SELECT COUNT(*) FROM wb_trades'));
        self::assertSame(
            '0',
            $this->value('SELECT COUNT(*) FROM wb_orders o LEFT JOIN wb_trades t ON t.order_id = o.id WHERE t.id IS NULL'),
        );
    }

    public function testAnotherConnectionsTransactionIsNotTouched(): void
    {
        $this->pdo()->beginTransaction();
        $this->pdo()->exec("INSERT INTO wb_orders VALUES (100, 'mine')");
        $buffer = $this->buffer(orderTable: 'wb_orders', tradeTable: 'wb_trades');
        $buffer->add(['id' => 1, 'v' => 'buffered']);
        self::assertSame(1, $buffer->flush());
        $this->pdo()->rollBack();
        self::assertSame([['id' => '1', 'v' => 'buffered']], $this->rows('wb_orders'));
    }
}
