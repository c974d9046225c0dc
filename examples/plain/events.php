<?php

declare(strict_types=1);

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));      // mysql://user:pass@127.0.0.1:3306/app

for ($item = 1; $item <= 10_000; $item++) {
    $buffer->put('events', ['kind' => 'view', 'page' => "/items/{$item}", 'at' => new DateTimeImmutable()]);
}
$buffer->flush();                                       // returns when all rows are committed

$metrics = $buffer->getMetrics();
echo "{$metrics['total_flushed']} rows in {$metrics['flush_count']} transactions\n";
