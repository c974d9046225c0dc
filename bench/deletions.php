<?php

/**
 * What deletions cost: operations a second over few keys, 80 % upserts of whole orders and 20 %
 * deletions, to the same number of upserts alone, in interleaved rounds. The table is compared with
 * what the operations leave, each alone.
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

/**
 * @param list<array<string, int|string>> $rows
 * @param array<int, bool>                $left the ids that are left in the table
 */
function operations_per_second(array $rows, int $deletions, array &$left): float
{
    $buffer = new WriteBuffer(dsn: Database::dsn(), flushIntervalMs: 1_000);
    $keys = count($rows);
    mt_srand(1);
    $started = hrtime(true);
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
    $elapsed = (hrtime(true) - $started) / 1e9;
    $metrics = $buffer->getMetrics();
    $buffer->close();
    if ($metrics['total_flushed'] !== OPERATIONS) {
        throw new RuntimeException("{$metrics['total_flushed']} operations were written");
    }

    return OPERATIONS / $elapsed;
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
    $ratios = array_map(static fn (float $with, float $without): float => $with / $without, $speeds[20], $speeds[0]);
    printf(
        "%6d keys: %9.0f operations/s with 20 %% deletions, %9.0f without: ratio %.2f (%.2f to %.2f)\n",
        $keys,
        median($speeds[20]),
        median($speeds[0]),
        median($ratios),
        min($ratios),
        max($ratios),
    );
}
