<?php

/**
 * What it costs the server that each transaction reads its tables' definitions: the CPU time of the
 * connection's thread for them, to that for a transaction of one, a hundred, and many orders and
 * their trades. Beside it what other statements cost that could say less, and how many transactions
 * a background buffer makes when it has much to write. Medians of interleaved rounds.
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
const BACKGROUND_PAIRS = 20_000;
/** What an open transaction may ask, by name: text statements, and those that are prepared once. */
const QUESTIONS = [
    'both definitions' => [['SHOW CREATE TABLE `orders`', 'SHOW CREATE TABLE `trades`'], []],
    'nothing, once' => [['DO 1'], []],
    'an empty SELECT of each, prepared' => [[], ['SELECT 1 FROM orders LIMIT 0', 'SELECT 1 FROM trades LIMIT 0']],
    'an empty SELECT of both, prepared' => [[], ['SELECT 1 FROM orders, trades LIMIT 0']],
    'Com_stmt_reprepare, prepared' => [[], [
        "SELECT VARIABLE_VALUE FROM %s.session_status WHERE VARIABLE_NAME = 'Com_stmt_reprepare'",
    ]],
];

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

$isMySql = getenv('DB_SERVER') === 'mysql';
$reader = Database::pdo(direct: true);
// As the extension does: text, not prepared, and over TCP.
$reader->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
Schema::create($reader);
$id = static fn (PDO $pdo): int => (int) $pdo->query('SELECT CONNECTION_ID()')->fetchColumn();
$others = static fn (): array => array_map('intval', $reader
    ->query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = CURRENT_USER() OR USER = '"
        . getenv('DB_USERNAME') . "'")->fetchAll(PDO::FETCH_COLUMN));
$before = $others();
$settings = [
    'dsn' => Database::dsn(),
    'orderTable' => 'orders',
    'tradeTable' => 'trades',
    'flushIntervalMs' => 3_600_000,
];
$buffer = new WriteBuffer(...$settings, background: false, batchSize: 10_000);
$rows = new Rows();
$next = 1;
$write = static function (int $pairs, WriteBuffer $buffer) use ($rows, &$next): void {
    foreach ($rows->pairs($pairs, $next) as [$order, $trade]) {
        $buffer->add($order, $trade);
    }
    $next += $pairs;
    $buffer->flush();
};
// Statements of each length are prepared once.
foreach ([...array_keys(TRANSACTIONS), ...array_keys(TRANSACTIONS)] as $pairs) {
    $write($pairs, $buffer);
}
[$writer] = array_values(array_diff($others(), $before));
$reading = $id($reader);
$questions = [];
foreach (QUESTIONS as $what => [$texts, $prepared]) {
    $reader->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
    $schema = $isMySql ? 'performance_schema' : 'information_schema';
    $statements = array_map(static fn (string $sql): PDOStatement => $reader->prepare(sprintf($sql, $schema)), $prepared);
    $reader->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
    $questions[$what] = static function () use ($reader, $texts, $statements): void {
        foreach ($texts as $sql) {
            $reader->query($sql)->fetchAll();
        }
        foreach ($statements as $statement) {
            $statement->execute();
            $statement->fetchAll();
        }
    };
}
$asked = $costs = $shares = [];
for ($round = 0; $round < ROUNDS; $round++) {
    $reader->beginTransaction();
    $reader->exec('DELETE FROM orders WHERE FALSE');
    foreach ($questions as $what => $ask) {
        $ask();
        $began = cpu_us($reading);
        for ($times = 0; $times < DEFINITIONS; $times++) {
            $ask();
        }
        $asked[$what][$round] = (cpu_us($reading) - $began) / DEFINITIONS;
    }
    $reader->rollBack();
    $definition = $asked['both definitions'][$round];
    foreach (TRANSACTIONS as $pairs => $transactions) {
        $began = cpu_us($writer);
        for ($times = 0; $times < $transactions; $times++) {
            $write($pairs, $buffer);
        }
        $costs[$pairs][] = $cost = (cpu_us($writer) - $began) / $transactions;
        $shares[$pairs][] = 100 * $definition / ($cost - $definition);
    }
}
foreach ($asked as $what => $values) {
    report("in a transaction: {$what}", 'µs', $values);
}
foreach (array_keys(TRANSACTIONS) as $pairs) {
    report("a transaction of {$pairs} orders and trades", 'µs', $costs[$pairs]);
    report('  the definitions to the rest of it', '%', $shares[$pairs]);
}
$commits = static fn (): int => (int) $reader->query("SHOW GLOBAL STATUS LIKE 'Com_commit'")->fetchAll()[0]['Value'];
$background = new WriteBuffer(...$settings, background: true);
$before = $commits();
$write(BACKGROUND_PAIRS, $background);
printf("a background buffer writes %d orders and trades in %d transactions\n", BACKGROUND_PAIRS, $commits() - $before);
