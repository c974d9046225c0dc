<?php

// A queue worker of an application with this package, as artisan's queue:work is one. It works on
// the jobs of the queue `database` until there is none.
//
// The argument is JSON: the `connection`, and the settings of the `buffer`. The exception handler
// prints what it is told.

declare(strict_types=1);

use Illuminate\Foundation\Bootstrap\HandleExceptions;
use Illuminate\Queue\WorkerOptions;
use Illuminate\Support\Facades\Facade;
use WriteBuffer\Laravel\WriteBufferServiceProvider;

require dirname(__DIR__) . '/bootstrap.php';

$work = json_decode($argv[1], true, 512, JSON_THROW_ON_ERROR);
$app = (require __DIR__ . '/application.php')([
    'app' => ['env' => 'production', 'key' => str_repeat('k', 32), 'cipher' => 'AES-256-CBC'],
    'cache' => ['default' => 'array', 'stores' => ['array' => ['driver' => 'array']]],
    'queue' => ['default' => 'database', 'failed' => ['driver' => 'null'], 'connections' => [
        'database' => ['driver' => 'database', 'table' => 'wb_jobs', 'queue' => 'default', 'retry_after' => 90],
    ]],
    'database' => ['default' => 'mysql', 'connections' => ['mysql' => $work['connection']]],
    'write-buffer' => [
        'default' => 'default',
        'status' => false,
        'flush_timeout_ms' => 120_000,
        'buffers' => ['default' => $work['buffer']],
    ],
]);
Facade::setFacadeApplication($app);
foreach (
    [
        \Illuminate\Bus\BusServiceProvider::class,
        \Illuminate\Cache\CacheServiceProvider::class,
        \Illuminate\Database\DatabaseServiceProvider::class,
        \Illuminate\Encryption\EncryptionServiceProvider::class,
        \Illuminate\Foundation\Providers\FoundationServiceProvider::class,
        \Illuminate\Queue\QueueServiceProvider::class,
        WriteBufferServiceProvider::class,
    ] as $provider
) {
    $app->register($provider);
}
$app->bootstrapWith([HandleExceptions::class]);
$app->boot();

$app->make('queue.worker')->daemon('database', 'default', new WorkerOptions(sleep: 0, maxTries: 1, stopWhenEmpty: true));
