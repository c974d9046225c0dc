<?php

declare(strict_types=1);

// A page for Prometheus: php -S 127.0.0.1:8080 metrics.php

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), persistent: 'events');

$buffer->put('events', ['kind' => 'scrape', 'page' => '/metrics', 'at' => new DateTimeImmutable()]);
$buffer->flush();

header('Content-Type: text/plain; version=0.0.4');
foreach ($buffer->getMetrics() as $name => $value) {
    if (is_int($value) || is_float($value)) {
        printf("write_buffer_%s{process=\"%d\"} %s\n", $name, getmypid(), $value);
    }
}
