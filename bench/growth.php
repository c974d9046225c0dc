<?php

/**
 * What a row costs in the background, by the number of rows, keys and columns. A row has another
 * value each time its key comes again. `repeat` buffers run one after the other, each on an empty
 * table; the answer has a list for each figure.
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Task;
use Bench\Usage;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $count = $task->int('rows');
    $keys = min($task->int('keys'), $count);
    $columns = $task->int('columns');
    $names = array_map(static fn (int $at): string => "c{$at}", range(1, $columns - 1));
    $pdo = Database::pdo(direct: true);
    $pdo->exec('DROP TABLE IF EXISTS growth');
    $pdo->exec('CREATE TABLE growth (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, '
        . implode(', ', array_map(static fn (string $name): string => "{$name} DECIMAL(20,8) NOT NULL", $names))
        . ') ENGINE=InnoDB');
    // Two rows for each key, which take turns. They are made before the clock starts.
    $rows = [];
    foreach ([1, 2] as $turn) {
        for ($key = 0; $key < $keys; $key++) {
            $row = ['id' => $key];
            foreach ($names as $at => $name) {
                $row[$name] = "{$key}.{$turn}{$at}";
            }
            $rows[] = $row;
        }
    }
    $rowCount = count($rows);
    $figures = ['wall_us' => [], 'process_us' => [], 'rss_peak_kib' => []];
    for ($repetition = 0; $repetition < $task->int('repeat', 1); $repetition++) {
        $pdo->exec('TRUNCATE TABLE growth');
        $buffer = new WriteBuffer(dsn: Database::dsn(), batchSize: $task->int('batch', 100), background: true);
        // Connects, and reads the schema.
        $buffer->put('growth', $rows[0]);
        $buffer->flush();
        $usage = Usage::start();
        for ($at = 0; $at < $count; $at++) {
            $buffer->put('growth', $rows[$at % $rowCount]);
        }
        $buffer->flush();
        $used = $usage->stop();
        $figures['wall_us'][] = $used['elapsed_s'] * 1e6 / $count;
        $figures['process_us'][] = $used['process_us'] / $count;
        $figures['rss_peak_kib'][] = $used['rss_peak_kib'];
        $buffer->close();
        // The last row of each key.
        $expected = [];
        for ($key = 0; $key < $keys; $key++) {
            $last = intdiv($count - 1 - $key, $keys) * $keys + $key;
            $expected[] = "{$key} " . str_pad($rows[$last % $rowCount]['c1'], strlen((string) $key) + 9, '0');
        }
        $found = $pdo->query('SELECT CONCAT(id, " ", c1) FROM growth ORDER BY id')->fetchAll(PDO::FETCH_COLUMN);
        if ($found !== $expected) {
            throw new RuntimeException('The table growth differs from what was added.');
        }
    }
    $pdo->exec('DROP TABLE growth');

    return $figures;
});
