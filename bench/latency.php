<?php

/**
 * How long add() takes if orders come at a fixed rate, whether it is ready or not (an open loop).
 * The time counts from the instant when the order was due, so a wait for an earlier order counts
 * too. The server may be stopped (SIGSTOP) for some seconds in between. In the end the tables are
 * compared with what was added.
 */

declare(strict_types=1);

use Bench\Checksum;
use Bench\Database;
use Bench\Rows;
use Bench\Schema;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $perSecond = $task->int('rate');
    $total = (int) ($perSecond * $task->int('ms') / 1_000);
    $stoppedNs = $task->int('stopped_ms', 0) * 1_000_000;
    $isNative = $task->string('contestant') === 'native';
    $pdo = Database::pdo(direct: true);
    Schema::create($pdo);
    $rows = new Rows();
    $pairs = $rows->pairs($total);
    $buffer = $isNative
        ? new WriteBuffer(
            dsn: Database::dsn(),
            background: true,
            // Room for all rows: how long add() waits at a bound depends on the server.
            maxPendingRows: 2 * $total + 1_000,
            maxPendingBytes: 1 << 31,
        )
        : new class () {
            /** Does nothing, so the times are those of the clock and the machine. */
            public function add(array $order, array $trade): void
            {
            }
        };
    $buffer->add(...$pairs[0]);
    $server = (int) getenv('DB_SERVER_PID');
    // Stops the server after a quarter of the orders.
    $stopAt = $stoppedNs > 0 ? intdiv($total, 4) : -1;
    $continueAtNs = null;
    $times = array_fill(0, $total, 0);
    $start = hrtime(true) + 1_000_000;
    try {
        for ($at = 1; $at < $total; $at++) {
            [$order, $trade] = $pairs[$at];
            $due = $start + intdiv($at * 1_000_000_000, $perSecond);
            while (hrtime(true) < $due) {
            }
            $buffer->add($order, $trade);
            $now = hrtime(true);
            $times[$at] = $now - $due;
            if ($at === $stopAt) {
                posix_kill($server, SIGSTOP);
                $continueAtNs = $now + $stoppedNs;
            } elseif ($continueAtNs !== null && $now > $continueAtNs) {
                posix_kill($server, SIGCONT);
                $continueAtNs = null;
            }
        }
    } finally {
        posix_kill($server, SIGCONT);
    }
    $pending = $isNative ? count($buffer) : 0;
    if ($isNative) {
        $buffer->flush();
        Checksum::compare($pdo, $rows, $total);
    }
    sort($times);
    $percentile = static fn (float $share): float => $times[(int) ($share * ($total - 1))] / 1_000;

    return [
        'orders' => $total,
        'pending_rows' => $pending,
        'p50_us' => $percentile(0.5),
        'p99_us' => $percentile(0.99),
        'p999_us' => $percentile(0.999),
        'max_us' => $percentile(1.0),
    ];
});
