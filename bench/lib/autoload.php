<?php

/** Loads classes of the benchmark, and of the exchange: its models and buffer are contestants. */

declare(strict_types=1);

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    if ((error_reporting() & $level) === 0 || ($level & (E_DEPRECATED | E_USER_DEPRECATED)) !== 0) {
        return true;
    }

    throw new ErrorException($message, 0, $level, $file, $line);
});
date_default_timezone_set('UTC');

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Bench\\')) {
        require __DIR__ . '/' . substr($class, strlen('Bench\\')) . '.php';
    }
});
