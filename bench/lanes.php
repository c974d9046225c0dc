<?php

/**
 * What lanes give and cost, by how groups are spread over them: orders a second, and the server's
 * CPU time an order, in interleaved rounds; ratios to one lane are those of the same round. By key
 * is `routeBy: 'id'`: each order by itself chooses a lane. In runs is no `routeBy`.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/lanes.php [new|hot] [ROUNDS]
 *   scripts/with-mysql scripts/php-with-extension bench/lanes.php [new|hot] [ROUNDS]
 *
 * `new`: orders with their trades, all ids new and rising. `hot`: each order comes with a change of
 * one of 4 balances, so that nearly every group has a key that waits.
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Rows;
use Bench\Schema;

require __DIR__ . '/lib/autoload.php';

const ORDERS = 60_000;
const BALANCES = 4;
const CONTESTANTS = [
    '1 lane' => ['lanes' => 1],
    '2 lanes, by key' => ['lanes' => 2, 'routeBy' => 'id'],
    '2 lanes, by symbol' => ['lanes' => 2, 'routeBy' => 'symbol'],
    '2 lanes, in runs' => ['lanes' => 2],
    '4 lanes, by key' => ['lanes' => 4, 'routeBy' => 'id'],
    '4 lanes, by symbol' => ['lanes' => 4, 'routeBy' => 'symbol'],
    '4 lanes, in runs' => ['lanes' => 4],
];

/** The CPU time of the server so far, in seconds. */
function server_cpu_s(): float
{
    $stat = (string) file_get_contents('/proc/' . (int) getenv('DB_SERVER_PID') . '/stat');
    // Behind the name: the state, and then the fields from the fourth on. In hundredths.
    $fields = explode(' ', substr($stat, (int) strrpos($stat, ')') + 2));

    return ((int) $fields[11] + (int) $fields[12]) / 100;
}

/** @param list<float> $values */
function median(array $values): float
{
    sort($values);

    return $values[intdiv(count($values), 2)];
}

/**
 * @param list<array{array<string, int|string>, array<string, int|string>}> $pairs
 * @param array<string, mixed>                                              $settings
 *
 * @return array{float, float, float} orders a second, the server's CPU time an order in
 *         microseconds, deadlocks
 */
function measure(PDO $pdo, array $pairs, bool $isHot, array $settings): array
{
    Schema::create($pdo);
    $pdo->exec('DROP TABLE IF EXISTS balances');
    $pdo->exec('CREATE TABLE balances (id INT PRIMARY KEY, free BIGINT NOT NULL)');
    $buffer = new WriteBuffer(...$settings, ...[
        'dsn' => Database::dsn(),
        'background' => true,
        'tradeTable' => $isHot ? 'balances' : 'trades',
        'tables' => ['balances' => ['merge' => ['free' => 'sum']]],
    ]);
    // Connections and tables' definitions are there when the clock starts.
    foreach (array_slice($pairs, 0, 4_000) as [$order, $trade]) {
        $buffer->add($order, $trade);
    }
    $buffer->flush();
    Schema::truncate($pdo);
    $pdo->exec('TRUNCATE TABLE balances');
    [$started, $cpu] = [hrtime(true), server_cpu_s()];
    foreach ($pairs as [$order, $trade]) {
        $buffer->add($order, $trade);
    }
    $buffer->flush();
    $seconds = (hrtime(true) - $started) / 1e9;
    $cpu = server_cpu_s() - $cpu;
    $deadlocks = $buffer->getMetrics()['retries_deadlock'];
    $buffer->close();
    $written = (int) $pdo->query('SELECT COUNT(*) FROM orders')->fetchColumn();
    $free = (int) $pdo->query('SELECT COALESCE(SUM(free), 0) FROM balances')->fetchColumn();
    if ($written !== count($pairs) || $free !== ($isHot ? count($pairs) : 0)) {
        exit("{$written} orders and a balance of {$free} were written\n");
    }

    return [count($pairs) / $seconds, 1e6 * $cpu / count($pairs), (float) $deadlocks];
}

$isHot = ($argv[1] ?? 'new') === 'hot';
$pairs = (new Rows())->pairs(ORDERS);
if ($isHot) {
    foreach ($pairs as $at => [$order]) {
        $pairs[$at] = [$order, ['id' => crc32((string) $at) % BALANCES, 'free' => 1]];
    }
}
$pdo = Database::pdo();
$names = array_keys(CONTESTANTS);
$figures = [];
for ($round = 0; $round < (int) ($argv[2] ?? 7); $round++) {
    foreach ($names as $at => $_) {
        $name = $names[($at + $round) % count($names)];
        $figures[$name][] = measure($pdo, $pairs, $isHot, CONTESTANTS[$name]);
    }
}
printf("%-20s %9s %9s %9s %9s %9s\n", '', 'orders/s', 'to 1 lane', 'server µs', 'to 1 lane', 'deadlocks');
foreach ($figures as $name => $rounds) {
    $line = [];
    foreach ([0, 1] as $figure) {
        $values = array_column($rounds, $figure);
        $line[] = median($values);
        $line[] = median(array_map(
            static fn (float $one, float $other): float => $one / max($other, 1e-9),
            $values,
            array_column($figures['1 lane'], $figure),
        ));
    }
    printf("%-20s %9.0f %9.2f %9.1f %9.2f %9.0f\n", $name, ...[...$line, array_sum(array_column($rounds, 2))]);
}
