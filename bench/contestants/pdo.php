<?php

/**
 * What a careful PHP programmer writes: multi-row statements that the server prepares once, and one
 * transaction for each batch.
 */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\Rows;
use Bench\Task;

return static function (Task $task): Contestant {
    return new class (Database::pdo(), $task->int('batch')) implements Contestant {
        /** @var array<string, PDOStatement> by table and number of rows */
        private array $statements = [];

        public function __construct(private readonly PDO $pdo, private readonly int $batchSize)
        {
        }

        public function write(array $pairs): void
        {
            $orders = $trades = [];
            $count = 0;
            foreach ($pairs as [$order, $trade]) {
                foreach ($order as $value) {
                    $orders[] = $value;
                }
                foreach ($trade as $value) {
                    $trades[] = $value;
                }
                if (++$count === $this->batchSize) {
                    $this->flush($orders, $trades, $count);
                    $orders = $trades = [];
                    $count = 0;
                }
            }
            if ($count > 0) {
                $this->flush($orders, $trades, $count);
            }
        }

        /**
         * @param list<int|string> $orders values, row after row
         * @param list<int|string> $trades
         */
        private function flush(array $orders, array $trades, int $count): void
        {
            $this->pdo->beginTransaction();
            $this->statement('orders', Rows::ORDER_COLUMNS, $count)->execute($orders);
            $this->statement('trades', Rows::TRADE_COLUMNS, $count)->execute($trades);
            $this->pdo->commit();
        }

        /** @param list<string> $columns */
        private function statement(string $table, array $columns, int $count): PDOStatement
        {
            return $this->statements["{$table} {$count}"] ??= $this->pdo->prepare(
                "INSERT INTO {$table} (" . implode(',', $columns) . ') VALUES '
                . implode(',', array_fill(0, $count, '(' . implode(',', array_fill(0, count($columns), '?')) . ')'))
                . ' ON DUPLICATE KEY UPDATE '
                . implode(',', array_map(
                    static fn (string $column): string => "{$column}=VALUES({$column})",
                    array_slice($columns, 1),
                ))
            );
        }
    };
};
