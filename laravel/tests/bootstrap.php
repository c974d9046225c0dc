<?php

/**
 * Finds Laravel: a Composer vendor folder when there is one, otherwise Debian's package php-laravel-framework, which
 * installs the same components on PHP's include_path.
 */

declare(strict_types=1);

(static function (): void {
    setlocale(LC_ALL, 'C');
    date_default_timezone_set('UTC');
    $vendor = __DIR__ . '/../vendor/autoload.php';
    if (is_file($vendor)) {
        require $vendor;

        return;
    }
    if (stream_resolve_include_path('Illuminate/autoload.php') === false) {
        fwrite(STDERR, 'Laravel was not found: install the Debian package php-laravel-framework, or run'
            . ' composer install in ' . dirname(__DIR__) . PHP_EOL);
        exit(1);
    }
    // The same folders as "autoload" and "autoload-dev" in composer.json, the longest prefix first.
    $folders = [
        'WriteBuffer\\Laravel\\Tests\\' => __DIR__ . '/',
        'WriteBuffer\\Laravel\\' => __DIR__ . '/../src/',
        'WriteBuffer\\' => __DIR__ . '/../polyfill/',
    ];
    spl_autoload_register(static function (string $class) use ($folders): void {
        foreach ($folders as $prefix => $folder) {
            if (str_starts_with($class, $prefix)) {
                $file = $folder . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
                if (is_file($file)) {
                    require $file;
                }

                return;
            }
        }
    });
    require 'Illuminate/autoload.php';
})();
