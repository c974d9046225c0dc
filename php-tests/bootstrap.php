<?php

declare(strict_types=1);

if (!extension_loaded('write_buffer')) {
    fwrite(STDERR, <<<'TEXT'
        The extension write_buffer is not loaded. Run the tests with: make test-php
        or, after `make build`, with: scripts/php-with-extension "$(command -v phpunit)"

        TEXT);
    exit(1);
}

// Values of any column are compared as text; a locale must not change what PHP prints.
setlocale(LC_ALL, 'C');
date_default_timezone_set('UTC');
// As in production: a trace that keeps arguments lets an exception and a closure hold each other,
// and the buffer of a test that is over.
ini_set('zend.exception_ignore_args', '1');

spl_autoload_register(static function (string $class): void {
    $prefix = 'WriteBuffer\\Tests\\';
    if (str_starts_with($class, $prefix)) {
        $file = __DIR__ . '/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
