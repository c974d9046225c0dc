<?php

// `php artisan serve` runs this for each request. A file in public/ is sent as it is; the rest is
// the application's.

declare(strict_types=1);

$path = urldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if ($path !== '/' && is_file(__DIR__ . '/public' . $path)) {
    return false;
}

require __DIR__ . '/public/index.php';
