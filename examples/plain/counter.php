<?php

declare(strict_types=1);

// php counter.php < access.log, with lines such as "2026-11-27 /items/7"

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), tables: [
    'page_views' => ['merge' => ['views' => 'sum']],
]);

while (($line = fgets(STDIN)) !== false) {
    [$day, $page] = explode(' ', trim($line));
    $buffer->put('page_views', ['page' => $page, 'day' => $day, 'views' => 1]);
}
$buffer->flush();
