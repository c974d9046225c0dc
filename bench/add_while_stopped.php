<?php

/**
 * How long add() takes while the server is stopped (SIGSTOP) for three seconds: prints percentiles, and compares the
 * table with what was added.
 *
 *     scripts/with-mariadb scripts/php-with-extension bench/add_while_stopped.php [ADDS_PER_SECOND]
 */

declare(strict_types=1);

const STOPPED_S = 3;

$perSecond = (int) ($argv[1] ?? 20_000);
$total = $perSecond * (STOPPED_S + 2);
$pdo = new PDO(
    sprintf('mysql:host=%s;port=%d;dbname=%s', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_DATABASE')),
    (string) getenv('DB_USERNAME'),
    (string) getenv('DB_PASSWORD'),
);
$pdo->exec('DROP TABLE IF EXISTS bench_orders');
$pdo->exec('CREATE TABLE bench_orders (id BIGINT PRIMARY KEY, price DECIMAL(36,18) NOT NULL, status VARCHAR(20) NOT NULL)');
$buffer = new WriteBuffer(
    dsn: (string) getenv('WRITE_BUFFER_TEST_DSN'),
    background: true,
    orderTable: 'bench_orders',
    maxPendingRows: 2 * $total,
    maxPendingBytes: 1 << 30,
);
$server = (int) getenv('DB_SERVER_PID');
$stoppedAt = null;
$isStopped = false;
$times = [];
$start = hrtime(true);
try {
    for ($id = 0; $id < $total; $id++) {
        // Open loop: an order is due at its time, and what it waits for an earlier one counts.
        $due = $start + intdiv($id * 1_000_000_000, $perSecond);
        while (hrtime(true) < $due) {
        }
        if ($stoppedAt === null && $id >= $perSecond) {
            posix_kill($server, SIGSTOP);
            $stoppedAt = hrtime(true);
            $isStopped = true;
        } elseif ($isStopped && hrtime(true) - $stoppedAt > STOPPED_S * 1_000_000_000) {
            posix_kill($server, SIGCONT);
            $isStopped = false;
        }
        $buffer->add(['id' => $id, 'price' => "{$id}.25", 'status' => 'open']);
        $times[] = hrtime(true) - $due;
    }
} finally {
    posix_kill($server, SIGCONT);
}
$pending = count($buffer);
$buffer->flush();

sort($times);
printf("%s orders at %s a second, the server stopped for %d s in between\n", number_format($total), number_format($perSecond), STOPPED_S);
foreach (['p50' => 0.5, 'p99' => 0.99, 'p99.9' => 0.999] as $name => $share) {
    printf("add() %-6s %8.1f us\n", $name, $times[(int) ($share * ($total - 1))] / 1_000);
}
printf("add() %-6s %8.1f us\n", 'max', end($times) / 1_000);
printf("buffered after the last add(): %s rows\n", number_format($pending));
$rows = $pdo->query('SELECT COUNT(*), SUM(id), SUM(price) FROM bench_orders')->fetch(PDO::FETCH_NUM);
$sum = intdiv($total * ($total - 1), 2);
$expected = [(string) $total, (string) $sum, bcadd((string) $sum, bcmul((string) $total, '0.25', 18), 18)];
$isSame = array_map('strval', $rows) === $expected;
echo $isSame ? "the table holds what was added\n" : 'the table differs: ' . json_encode([$rows, $expected]) . "\n";
$pdo->exec('DROP TABLE bench_orders');
exit($isSame ? 0 : 1);
