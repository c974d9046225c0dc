<?php

/**
 * What it costs the server that each transaction reads its tables' definitions: the CPU time of the
 * connection's thread for them, to that for a transaction of one, a hundred, and many orders and
 * their trades. Medians of interleaved rounds.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/definitions.php
 *   scripts/with-mysql scripts/php-with-extension bench/definitions.php
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Rows;
use Bench\Schema;

require __DIR__ . '/lib/autoload.php';

const ROUNDS = 15;
const DEFINITIONS = 300;
/** Pairs in a transaction => transactions in a round. */
const TRANSACTIONS = [1 => 100, 100 => 20, 5_000 => 1];

/** The CPU time of a connection's thread so far, in microseconds. */
function cpu_us(int $connection): float
{
    static $root = null;
    $root ??= new PDO('mysql:unix_socket=' . getenv('DB_SOCKET'), 'root');
    $isMySql = getenv('DB_SERVER') === 'mysql';
    $thread = (int) $root->query($isMySql
        ? "SELECT THREAD_OS_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = {$connection}"
        : "SELECT TID FROM information_schema.PROCESSLIST WHERE ID = {$connection}")->fetchColumn();
    $server = (int) getenv('DB_SERVER_PID');

    return (int) explode(' ', (string) file_get_contents("/proc/{$server}/task/{$thread}/schedstat"))[0] / 1e3;
}

/** @param list<float> $values */
function quantile(array $values, float $part): float
{
    sort($values);

    return $values[(int) round($part * (count($values) - 1))];
}

function report(string $what, string $unit, array $values): void
{
    $quartiles = array_map(static fn (float $part): float => quantile($values, $part), [0.5, 0.25, 0.75]);
    printf("%-50s %8.2f %s (%.2f to %.2f)\n", $what, $quartiles[0], $unit, $quartiles[1], $quartiles[2]);
}

$reader = Database::pdo(direct: true);
// As the extension does: text, not prepared.
$reader->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
Schema::create($reader);
$id = static fn (PDO $pdo): int => (int) $pdo->query('SELECT CONNECTION_ID()')->fetchColumn();
$others = static fn (): array => array_map('intval', $reader
    ->query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = CURRENT_USER() OR USER = '"
        . getenv('DB_USERNAME') . "'")->fetchAll(PDO::FETCH_COLUMN));
$before = $others();
$buffer = new WriteBuffer(
    dsn: Database::dsn(),
    background: false,
    batchSize: 10_000,
    orderTable: 'orders',
    tradeTable: 'trades',
    flushIntervalMs: 3_600_000,
);
$rows = new Rows();
$next = 1;
$write = static function (int $pairs) use ($buffer, $rows, &$next): void {
    foreach ($rows->pairs($pairs, $next) as [$order, $trade]) {
        $buffer->add($order, $trade);
    }
    $next += $pairs;
    $buffer->flush();
};
// Statements of each length are prepared once.
array_map($write, [...array_keys(TRANSACTIONS), ...array_keys(TRANSACTIONS)]);
[$writer] = array_values(array_diff($others(), $before));
$reading = $id($reader);
$definitions = $costs = $shares = [];
for ($round = 0; $round < ROUNDS; $round++) {
    $began = cpu_us($reading);
    for ($times = 0; $times < DEFINITIONS; $times++) {
        foreach (['orders', 'trades'] as $table) {
            $reader->query("SHOW CREATE TABLE `{$table}`")->fetchAll();
        }
    }
    $definitions[] = $definition = (cpu_us($reading) - $began) / DEFINITIONS;
    foreach (TRANSACTIONS as $pairs => $transactions) {
        $began = cpu_us($writer);
        for ($times = 0; $times < $transactions; $times++) {
            $write($pairs);
        }
        $costs[$pairs][] = $cost = (cpu_us($writer) - $began) / $transactions;
        $shares[$pairs][] = 100 * $definition / ($cost - $definition);
    }
}
report('both definitions', 'µs', $definitions);
foreach (array_keys(TRANSACTIONS) as $pairs) {
    report("a transaction of {$pairs} orders and trades", 'µs', $costs[$pairs]);
    report('  the definitions to the rest of it', '%', $shares[$pairs]);
}
