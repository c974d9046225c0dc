<?php

declare(strict_types=1);

setlocale(LC_ALL, 'C');
date_default_timezone_set('UTC');
(require __DIR__ . '/../../scripts/load-laravel.php')(dirname(__DIR__), [
    'WriteBuffer\\Laravel\\Tests\\' => __DIR__ . '/',
    'WriteBuffer\\Tests\\' => __DIR__ . '/../../php-tests/',
]);
