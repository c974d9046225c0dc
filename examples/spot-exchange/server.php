<?php

// What `php artisan serve` gives each request to: files of public/ as they are, all else to the application.

declare(strict_types=1);

$path = urldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if ($path !== '/' && is_file(__DIR__ . '/public' . $path)) {
    return false;
}

require __DIR__ . '/public/index.php';
