<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Under the rule 'coalesce' => false whoever looks sees every version of a row, in order. */
final class EachVersionTest extends DatabaseTestCase
{
    /** @return iterable<string, array{array<string, mixed>}> */
    public static function buffers(): iterable
    {
        yield 'background' => [['background' => true]];
        yield 'foreground' => [['background' => false]];
        yield 'lanes' => [['background' => true, 'lanes' => 3]];
    }

    /**
     * @dataProvider buffers
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('buffers')]
    public function testAHistoryKeyedByTimeTakesEveryVersion(array $settings): void
    {
        $this->createTable('wb_prices', 'id INT PRIMARY KEY, price DECIMAL(10, 2) NOT NULL');
        $this->createTable('wb_history', 'id INT, at DATETIME(6), price DECIMAL(10, 2), PRIMARY KEY (id, at)');
        $this->log('wb_prices', 'wb_history', 'VALUES (NEW.id, NOW(6), NEW.price)');
        $buffer = $this->buffer(...$settings, batchSize: 1_000, tables: ['wb_prices' => ['coalesce' => false]]);
        $expected = [];
        for ($version = 1; $version <= 50; $version++) {
            foreach ([7, 3, 5] as $id) {
                if ($version % $id !== 0) {
                    $buffer->put('wb_prices', ['id' => $id, 'price' => "{$version}.{$id}0"]);
                    $expected[$id][] = "{$version}.{$id}0";
                }
            }
            $buffer->put('wb_prices', [['id' => 3, 'price' => "{$version}.01"], ['id' => 3, 'price' => "{$version}.02"]]);
            array_push($expected[3], "{$version}.01", "{$version}.02");
        }
        $buffer->flush();
        self::assertSame([], $buffer->takeFailures());
        self::assertSame(0, $buffer->getMetrics()['rows_coalesced']);
        foreach ($expected as $id => $prices) {
            $found = $this->rows("wb_history WHERE id = {$id}", 'price', 'at');
            self::assertSame($prices, array_column($found, 'price'), "row {$id}");
        }
    }

    public function testATriggerThatTheAccountMayNotSeeFiresForEveryVersion(): void
    {
        $this->createTable('wb_items', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable('wb_log', 'seq INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20)');
        $this->log('wb_items', 'wb_log', "(what) VALUES (CONCAT(NEW.id, ':', NEW.v))");
        $admin = $this->admin();
        $database = self::setting('DB_DATABASE');
        $admin->exec("CREATE USER 'wb_blind'@'127.0.0.1' IDENTIFIED BY 'pw-of-wb-blind'");
        try {
            $admin->exec("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {$database}.* TO 'wb_blind'@'127.0.0.1'");
            $dsn = sprintf('mysql://wb_blind:pw-of-wb-blind@127.0.0.1:%s/%s', self::setting('DB_PORT'), $database);
            $seen = [];
            foreach ([true, false] as $coalesce) {
                $buffer = $this->buffer(dsn: $dsn, tables: ['wb_items' => ['coalesce' => $coalesce]]);
                foreach ([[2, 1], [1, 1], [2, 2], [2, 2], [1, 2]] as [$id, $v]) {
                    $buffer->put('wb_items', ['id' => $id, 'v' => $v]);
                }
                $buffer->flush();
                $seen[] = array_column($this->rows('wb_log', 'what', 'seq'), 'what');
                $admin->exec("DELETE FROM {$database}.wb_items");
                $admin->exec("DELETE FROM {$database}.wb_log");
                unset($buffer);
            }
            $all = ['2:1', '1:1', '2:2', '2:2', '1:2'];
            // MariaDB says that there are triggers, whoever asks.
            self::assertSame([self::isMySql() ? ['1:2', '2:2'] : $all, $all], $seen);
        } finally {
            $admin->exec("DROP USER 'wb_blind'@'127.0.0.1'");
        }
    }

    public function testAFullBatchCountsEveryVersion(): void
    {
        $this->createTable('wb_items', 'id INT PRIMARY KEY, v INT NOT NULL');
        $buffer = $this->buffer(background: false, batchSize: 3, tables: ['wb_items' => ['coalesce' => false]]);
        foreach ([1, 2] as $v) {
            $buffer->put('wb_items', ['id' => 1, 'v' => $v]);
        }
        self::assertCount(2, $buffer);
        $buffer->put('wb_items', ['id' => 1, 'v' => 3]);
        self::assertCount(0, $buffer, 'three versions are a batch');
        self::assertSame([['v' => '3']], $this->rows('wb_items', 'v', 'id'));
    }

    /** Written twice, each version would be seen twice. */
    public function testItsTransactionsAreEnteredInTheLedger(): void
    {
        $this->createTable('wb_items', 'id INT PRIMARY KEY, v INT NOT NULL');
        foreach ([true, false] as $coalesce) {
            $buffer = $this->buffer(background: false, tables: ['wb_items' => ['coalesce' => $coalesce]]);
            $buffer->put('wb_items', ['id' => 1, 'v' => 1]);
            $buffer->flush();
            $entered = $this->pdo()->query("SHOW TABLES LIKE 'write_buffer_ledger'")->fetchAll() === []
                ? 0
                : (int) $this->value('SELECT COUNT(*) FROM write_buffer_ledger WHERE last_transaction > 0');
            self::assertSame($coalesce ? 0 : 1, $entered);
            unset($buffer);
        }
    }

    /** Has a trigger log each row that is inserted or updated. */
    private function log(string $table, string $log, string $values): void
    {
        foreach (['INSERT', 'UPDATE'] as $event) {
            $name = strtolower("{$table}_{$event}");
            $this->admin()->exec('USE ' . self::setting('DB_DATABASE'));
            $this->admin()->exec("CREATE TRIGGER {$name} AFTER {$event} ON {$table} FOR EACH ROW INSERT INTO {$log} {$values}");
        }
    }
}
