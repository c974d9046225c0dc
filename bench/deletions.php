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
use Bench\Findings;
use Bench\Rows;
use Bench\Schema;
use Bench\Server;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

const OPERATIONS = 200_000;
const KEYS = [100, 1_000, 10_000];

/** The CPU time of PHP and of the server so far, in seconds. */
function cpu_s(): float
{
    $usage = getrusage();

    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'] + Server::cpuUs()) / 1e6;
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

Findings::run(static function (Task $task, Findings $findings): void {
    $reader = Database::pdo(direct: true);
    $generator = new Rows();
    $rounds = $task->rounds(7, 1);
    foreach (KEYS as $keys) {
        $rows = array_column($generator->pairs($keys), 0);
        for ($round = 0; $round < $rounds; $round++) {
            $speeds = [];
            foreach ([0, 20] as $deletions) {
                Schema::create($reader);
                $left = [];
                $speeds[] = operations_per_second($rows, $deletions, $left);
                $expected = array_keys(array_filter($left));
                sort($expected);
                $found = $reader->query('SELECT id FROM orders ORDER BY id')->fetchAll(PDO::FETCH_COLUMN);
                if (array_map('intval', $found) !== $expected) {
                    throw new RuntimeException("{$keys} keys, {$deletions} % deletions: the table has other rows");
                }
            }
            [$without, $with] = $speeds;
            $what = "{$keys} keys, 20 % deletions";
            $findings->add("{$what}: operations/s", 'operations/s', $with[0]);
            $findings->add("{$what}: to upserts alone, by time", '', $with[0] / $without[0]);
            $findings->add("{$what}: to upserts alone, by CPU time", '', $with[1] / $without[1]);
        }
    }
});
