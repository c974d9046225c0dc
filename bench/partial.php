<?php

/**
 * How fast partial rows are, which lack a required column, to whole ones, in the same run: rows a
 * second from the first put() to the last commit, and the server's CPU time a row. Every row is
 * there and changes. Medians of interleaved rounds.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/partial.php
 *   scripts/with-mysql scripts/php-with-extension bench/partial.php
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Findings;
use Bench\Server;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

const ROWS = 20_000;
const TABLES = [
    'orders' => 'id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL, symbol VARCHAR(16) NOT NULL, price DECIMAL(20,8) NOT NULL,
        filled DECIMAL(20,8) NOT NULL, status VARCHAR(16) NOT NULL, updated_at DATETIME(6) NOT NULL, KEY u (user_id),
        KEY s (symbol, updated_at)',
    'narrow' => 'id BIGINT PRIMARY KEY, name VARCHAR(16) NOT NULL, v INT NOT NULL',
    'by_text' => 'id CHAR(26) CHARACTER SET ascii PRIMARY KEY, name VARCHAR(16) NOT NULL, v INT NOT NULL',
];

/** @return array<string, int|string> */
function row(string $table, int $id, int $round, bool $isWhole): array
{
    if ($table !== 'orders') {
        $key = $table === 'narrow' ? $id : sprintf('01ARZ3NDEKTSV4RRFF%08d', $id);

        return ['id' => $key, 'v' => $id + $round] + ($isWhole ? ['name' => 'whole'] : []);
    }
    $row = [
        'id' => $id,
        'filled' => "{$round}.25",
        'status' => "status {$round}",
        'updated_at' => sprintf('2024-01-02 00:00:%02d.654321', $round),
    ];

    return $row + ($isWhole ? ['user_id' => $id % 997, 'symbol' => 'S' . $id % 7, 'price' => '123.45678901'] : []);
}

Findings::run(static function (Task $task, Findings $findings): void {
    $pdo = Database::root();
    $rounds = $task->rounds(7, 2);
    foreach (TABLES as $table => $definition) {
        $name = "bench_partial_{$table}";
        $pdo->exec("DROP TABLE IF EXISTS {$name}");
        $pdo->exec("CREATE TABLE {$name} ({$definition})");
        $buffer = new WriteBuffer(Database::dsn(), batchSize: 1_000);
        for ($round = 0; $round <= $rounds; $round++) {
            $rates = [];
            foreach (['whole', 'partial'] as $at => $kind) {
                $rows = array_map(
                    static fn (int $id): array => row($table, $id, 2 * $round + $at, $kind === 'whole'),
                    range(1, ROWS),
                );
                [$cpuBefore, $before] = [Server::cpuUs(), hrtime(true)];
                foreach ($rows as $row) {
                    $buffer->put($name, $row);
                }
                $buffer->flush();
                $rates[$kind] = ROWS / (hrtime(true) - $before) * 1e9;
                // The first round makes the rows, and prepares the statements.
                if ($round > 0) {
                    $findings->add("{$table}, {$kind} rows: rows/s", 'rows/s', $rates[$kind]);
                    $findings->add("{$table}, {$kind} rows: the server's CPU a row", 'µs', (Server::cpuUs() - $cpuBefore) / ROWS);
                }
            }
            if ($round > 0) {
                $findings->add("{$table}: partial rows to whole ones, by time", '', $rates['partial'] / $rates['whole']);
            }
        }
        $buffer->close();
        $pdo->exec("DROP TABLE {$name}");
    }
});
