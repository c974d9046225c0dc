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

const ROUNDS = 7;
const ROWS = 20_000;
const TABLES = [
    'orders' => 'id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL, symbol VARCHAR(16) NOT NULL, price DECIMAL(20,8) NOT NULL,
        filled DECIMAL(20,8) NOT NULL, status VARCHAR(16) NOT NULL, updated_at DATETIME(6) NOT NULL, KEY u (user_id),
        KEY s (symbol, updated_at)',
    'narrow' => 'id BIGINT PRIMARY KEY, name VARCHAR(16) NOT NULL, v INT NOT NULL',
    'by_text' => 'id CHAR(26) CHARACTER SET ascii PRIMARY KEY, name VARCHAR(16) NOT NULL, v INT NOT NULL',
];

/** The server's CPU time so far, in microseconds. */
function cpu_us(): float
{
    $stat = (string) file_get_contents('/proc/' . getenv('DB_SERVER_PID') . '/stat');
    $fields = explode(' ', substr($stat, (int) strrpos($stat, ')') + 2));

    return ((int) $fields[11] + (int) $fields[12]) * 10_000.0;
}

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

/** @param list<float> $values */
function median(array $values): float
{
    sort($values);

    return $values[intdiv(count($values), 2)];
}

$pdo = new PDO(sprintf('mysql:unix_socket=%s;dbname=%s', getenv('DB_SOCKET'), getenv('DB_DATABASE')), 'root');
$pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
foreach (TABLES as $table => $definition) {
    $name = "bench_partial_{$table}";
    $pdo->exec("DROP TABLE IF EXISTS {$name}");
    $pdo->exec("CREATE TABLE {$name} ({$definition})");
    $buffer = new WriteBuffer((string) getenv('WRITE_BUFFER_TEST_DSN'), batchSize: 1_000);
    $rates = $cpu = $ratios = [];
    for ($round = 0; $round <= ROUNDS; $round++) {
        foreach (['whole', 'partial'] as $at => $kind) {
            $rows = array_map(
                static fn (int $id): array => row($table, $id, 2 * $round + $at, $kind === 'whole'),
                range(1, ROWS),
            );
            [$cpuBefore, $before] = [cpu_us(), hrtime(true)];
            foreach ($rows as $row) {
                $buffer->put($name, $row);
            }
            $buffer->flush();
            // The first round makes the rows, and prepares the statements.
            if ($round > 0) {
                $rates[$kind][] = ROWS / (hrtime(true) - $before) * 1e9;
                $cpu[$kind][] = (cpu_us() - $cpuBefore) / ROWS;
            }
        }
        if ($round > 0) {
            $ratios[] = end($rates['partial']) / end($rates['whole']);
        }
    }
    $buffer->close();
    $pdo->exec("DROP TABLE {$name}");
    printf("%-8s", $table);
    foreach ($rates as $kind => $found) {
        printf(" %s: %7.0f rows/s, server %5.2f us a row;", $kind, median($found), median($cpu[$kind]));
    }
    printf(" partial to whole %.2f\n", median($ratios));
}
