<?php

/**
 * What deletions cost: operations over few keys, 80 % upserts of whole orders and 20 % deletions,
 * to the same number of upserts alone, in interleaved rounds: by the clock, and by the CPU time of
 * PHP and the server together, which other load does not change. The table is compared with what
 * the operations leave, each alone.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/deletions.php
 *   scripts/with-mysql scripts/php-with-extension bench/deletions.php
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Rows;
use Bench\Schema;

require __DIR__ . '/lib/autoload.php';

const ROUNDS = 7;
const OPERATIONS = 200_000;
const KEYS = [100, 1_000, 10_000];

/** The CPU time of PHP and of the server so far, in seconds. */
function cpu_s(): float
{
    $usage = getrusage();
    $stat = (string) file_get_contents('/proc/' . (int) getenv('DB_SERVER_PID') . '/stat');
    // Behind the name: the state, and then the fields from the fourth on. In hundredths.
    $fields = explode(' ', substr($stat, (int) strrpos($stat, ')') + 2));

    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6 + ((int) $fields[11] + (int) $fields[12]) / 100;
}

/**
 * @param list<array<string, int|string>> $rows
 * @param array<int, bool>                $left the ids that are left in the table
 *
 * @return array{float, float} operations a second, by the clock and by CPU time
 */
function operations_per_second(array $rows, int $deletions, array &$left): array
{
    $buffer = new WriteBuffer(dsn: Database::dsn(), flushIntervalMs: 1_000);
    $keys = count($rows);
    mt_srand(1);
    [$started, $cpu] = [hrtime(true), cpu_s()];
    for ($operation = 0; $operation < OPERATIONS; $operation++) {
        $at = mt_rand(0, $keys - 1);
        // The same random numbers with and without deletions.
        $isDeletion = mt_rand(1, 100) <= $deletions;
        if ($isDeletion) {
            $buffer->delete('orders', $at + 1);
        } else {
            $buffer->put('orders', $rows[$at]);
        }
        $left[$at + 1] = !$isDeletion;
    }
    $buffer->flush();
    [$elapsed, $cpu] = [(hrtime(true) - $started) / 1e9, cpu_s() - $cpu];
    $metrics = $buffer->getMetrics();
    $buffer->close();
    if ($metrics['rows_committed'] !== OPERATIONS) {
        throw new RuntimeException("{$metrics['rows_committed']} operations were written");
    }

    return [OPERATIONS / $elapsed, OPERATIONS / $cpu];
}

/** @param list<float> $values */
function median(array $values): float
{
    sort($values);

    return $values[intdiv(count($values), 2)];
}

$reader = Database::pdo(direct: true);
$generator = new Rows();
foreach (KEYS as $keys) {
    $rows = array_column($generator->pairs($keys), 0);
    $speeds = [0 => [], 20 => []];
    for ($round = 0; $round < ROUNDS; $round++) {
        foreach (array_keys($speeds) as $deletions) {
            Schema::create($reader);
            $left = [];
            $speeds[$deletions][] = operations_per_second($rows, $deletions, $left);
            $expected = array_keys(array_filter($left));
            sort($expected);
            $found = $reader->query('SELECT id FROM orders ORDER BY id')->fetchAll(PDO::FETCH_COLUMN);
            if (array_map('intval', $found) !== $expected) {
                throw new RuntimeException("{$keys} keys, {$deletions} % deletions: the table has other rows");
            }
        }
    }
    foreach (['by the clock', 'by CPU time'] as $by => $what) {
        [$without, $with] = array_map(static fn (array $rounds): array => array_column($rounds, $by), [$speeds[0], $speeds[20]]);
        $ratios = array_map(static fn (float $with, float $without): float => $with / $without, $with, $without);
        printf(
            "%6d keys, %s: %7.0f operations/s with 20 %% deletions, %7.0f without: ratio %.2f (%.2f to %.2f)\n",
            $keys,
            $what,
            median($with),
            median($without),
            median($ratios),
            min($ratios),
            max($ratios),
        );
    }
}
