<?php

declare(strict_types=1);

(require __DIR__ . '/../../../scripts/load-laravel.php')(dirname(__DIR__), [
    'App\\' => __DIR__ . '/../app/',
    'Database\\Seeders\\' => __DIR__ . '/../database/seeders/',
    'Tests\\' => __DIR__ . '/../tests/',
    // These tests use the FastCGI client of the extension's tests.
    'WriteBuffer\\Tests\\' => __DIR__ . '/../../../php-tests/',
]);
