<?php

/**
 * Finds Laravel for the Laravel package and the example: in the project's Composer folder `vendor`,
 * or else in Debian's package php-laravel-framework. That package puts the same components on PHP's
 * include_path, each with its own autoload.php. Without Composer this file also finds the classes
 * of the project and of the Laravel package.
 *
 * Returns a function of the project's folder and of its "autoload" and "autoload-dev" in
 * composer.json.
 */

declare(strict_types=1);

return static function (string $project, array $folders): void {
    $vendor = "{$project}/vendor/autoload.php";
    if (is_file($vendor)) {
        require $vendor;

        return;
    }
    if (stream_resolve_include_path('Illuminate/autoload.php') === false) {
        fwrite(STDERR, 'Laravel was not found: install the Debian package php-laravel-framework, or run'
            . " composer install in {$project}" . PHP_EOL);
        exit(1);
    }

    $package = dirname(__DIR__) . '/laravel';
    // The longest prefix first.
    $folders += ['WriteBuffer\\Laravel\\' => "{$package}/src/", 'WriteBuffer\\' => "{$package}/polyfill/"];
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
};
