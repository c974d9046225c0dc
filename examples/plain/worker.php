<?php

declare(strict_types=1);

// Works on the table jobs until SIGTERM or SIGINT.

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));

$isRunning = true;
pcntl_async_signals(true);
foreach ([SIGTERM, SIGINT] as $signal) {
    pcntl_signal($signal, function () use (&$isRunning): void {
        $isRunning = false;
    });
}

while ($isRunning) {
    $jobs = pdo()->query('SELECT id, text FROM jobs ORDER BY id LIMIT 100')->fetchAll(PDO::FETCH_ASSOC);
    foreach ($jobs as $job) {
        $buffer->put('results', ['job_id' => $job['id'], 'words' => str_word_count($job['text'])]);
    }
    $buffer->flush();                                   // a job may go when its result is committed
    foreach ($jobs as $job) {
        pdo()->prepare('DELETE FROM jobs WHERE id = ?')->execute([$job['id']]);
    }
    if ($jobs === []) {
        usleep(50_000);
    }
}
$buffer->close();
echo "stopped\n";
