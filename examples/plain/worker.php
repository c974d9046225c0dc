<?php

declare(strict_types=1);

// Works on the table jobs until SIGTERM or SIGINT.

use WriteBuffer\RefusedException;

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
    $jobs = pdo()->query('SELECT id, text FROM jobs ORDER BY id LIMIT 100')->fetchAll(PDO::FETCH_KEY_PAIR);
    if ($jobs === []) {
        usleep(50_000);
        continue;
    }
    foreach ($jobs as $id => $text) {
        $buffer->put('results', ['job_id' => $id, 'words' => str_word_count($text)]);
    }
    try {
        $buffer->flush();                               // a job may go when its result is committed
    } catch (RefusedException $refused) {               // or can never be
        echo "refused: {$refused->getMessage()}\n";
        $buffer->takeFailures();
    }
    pdo()->exec('DELETE FROM jobs WHERE id IN (' . implode(', ', array_keys($jobs)) . ')');
}
$buffer->close();
echo "stopped\n";
