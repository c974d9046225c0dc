<?php

/** Laravel's query builder: upsert() of a batch of orders and their trades, in one transaction. */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\Task;
use Illuminate\Database\Connection;

return static function (Task $task): Contestant {
    $connection = Database::laravel();
    $connection->getPdo();

    return new class ($connection, $task->int('batch')) implements Contestant {
        public function __construct(private readonly Connection $connection, private readonly int $batchSize)
        {
        }

        public function write(array $pairs): void
        {
            $orders = $trades = [];
            foreach ($pairs as [$order, $trade]) {
                $orders[] = $order;
                $trades[] = $trade;
                if (count($orders) === $this->batchSize) {
                    $this->flush($orders, $trades);
                    $orders = $trades = [];
                }
            }
            if ($orders !== []) {
                $this->flush($orders, $trades);
            }
        }

        /**
         * @param list<array<string, int|string>> $orders
         * @param list<array<string, int|string>> $trades
         */
        private function flush(array $orders, array $trades): void
        {
            $this->connection->transaction(function () use ($orders, $trades): void {
                $this->connection->table('orders')->upsert($orders, ['id']);
                $this->connection->table('trades')->upsert($trades, ['id']);
            });
        }
    };
};
