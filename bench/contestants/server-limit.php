<?php

/**
 * The server alone, without a client or a protocol: a stored procedure copies a batch of orders and
 * of trades from staging tables and commits, in a loop on one connection. The statements are those
 * of the extension: orders are upserted, trades inserted.
 */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\DataFiles;
use Bench\Rows;
use Bench\Schema;
use Bench\Task;

return static function (Task $task): Contestant {
    $pdo = Database::pdo();
    Schema::createStaging($pdo);
    $root = Database::root();
    $files = new DataFiles($root, new Rows($task->int('seed')));
    $batchSize = $task->int('batch');
    foreach ($files->statements(1, $task->int('orders') + 1, 'staging_') as $statement) {
        $root->exec($statement);
    }
    $copy = static function (string $table, array $columns, bool $isUpsert) use ($batchSize): string {
        $names = implode(', ', $columns);
        $updates = array_map(
            static fn (string $column): string => "{$table}.{$column} = staging_{$table}.{$column}",
            array_slice($columns, 1),
        );

        return "INSERT INTO {$table} ({$names}) SELECT {$names} FROM staging_{$table}"
            . " WHERE staging_{$table}.id >= first_id AND staging_{$table}.id < first_id + {$batchSize}"
            . ($isUpsert ? ' ON DUPLICATE KEY UPDATE ' . implode(', ', $updates) : '') . ';';
    };
    $pdo->exec('DROP PROCEDURE IF EXISTS copy_all');
    $pdo->exec(
        'CREATE PROCEDURE copy_all(IN total BIGINT) BEGIN
            DECLARE first_id BIGINT DEFAULT 1;
            WHILE first_id <= total DO
                START TRANSACTION;
                ' . $copy('orders', Rows::ORDER_COLUMNS, true) . '
                ' . $copy('trades', Rows::TRADE_COLUMNS, false) . "
                COMMIT;
                SET first_id = first_id + {$batchSize};
            END WHILE;
        END"
    );
    $pdo->exec('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');

    return new class ($pdo) implements Contestant {
        public function __construct(private readonly PDO $pdo)
        {
        }

        public function write(array $pairs): void
        {
            $this->pdo->exec('CALL copy_all(' . count($pairs) . ')');
        }
    };
};
