<?php

declare(strict_types=1);

use App\Console\Kernel;
use App\Exceptions\Handler;
use Illuminate\Contracts\Console\Kernel as KernelContract;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as HttpKernelContract;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Http\Kernel as HttpKernel;

$app = new Application(dirname(__DIR__));
if (method_exists($app, 'dontMergeFrameworkConfiguration')) {
    // Since Laravel 11: config/ has all that is used here, and Debian's package has no defaults.
    $app->dontMergeFrameworkConfiguration();
}

$app->singleton(KernelContract::class, Kernel::class);
$app->singleton(HttpKernelContract::class, HttpKernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);

return $app;
