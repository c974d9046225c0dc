<?php

// An application with this package, whose exception handler prints what it is told.

declare(strict_types=1);

use Illuminate\Config\Repository;
use Illuminate\Contracts\Console\Kernel as KernelContract;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Console\Kernel;

return static function (array $config): Application {
    $app = new Application(__DIR__);
    $app->instance('env', 'production');
    $app->instance('config', new Repository($config));
    $app->singleton(KernelContract::class, Kernel::class);
    $app->instance(ExceptionHandler::class, new class () implements ExceptionHandler {
        public function report(Throwable $e): void
        {
            echo 'reported: ', $e->getMessage(), "\n";
        }

        public function shouldReport(Throwable $e): bool
        {
            return true;
        }

        public function render($request, Throwable $e): never
        {
            throw $e;
        }

        public function renderForConsole($output, Throwable $e): void
        {
        }
    });

    return $app;
};
