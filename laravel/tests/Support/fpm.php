<?php

// A request of an application with this package, under php-fpm: it adds a row to a persistent
// buffer, ends its work, and answers with what its exception handler was told.
//
// The body is JSON: the `connection`, the settings of the `buffer`, the folder `status`, and a
// `row` to add, or null. Then `await`: how many failures to wait for.

declare(strict_types=1);

use Illuminate\Config\Repository;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Foundation\Application;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Tests\Support\RecordingHandler;
use WriteBuffer\Laravel\WriteBufferServiceProvider;

require dirname(__DIR__) . '/bootstrap.php';

header('X-Worker: ' . getmypid());
$request = json_decode((string) file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR);
$app = new Application(__DIR__);
$app->instance('env', 'production');
$app->instance('config', new Repository([
    'app' => ['env' => 'production'],
    'database' => ['default' => 'mysql', 'connections' => ['mysql' => $request['connection']]],
    'write-buffer' => [
        'default' => 'default',
        'status' => $request['status'],
        'buffers' => ['default' => $request['buffer']],
    ],
]));
$app->singleton(ExceptionHandler::class, RecordingHandler::class);
$app->register(\Illuminate\Database\DatabaseServiceProvider::class);
$app->register(WriteBufferServiceProvider::class);
$app->bootstrapWith([]);
$app->boot();

$buffer = $app->make(Buffer::class);
if ($request['row'] !== null) {
    $buffer->add($request['row']);
}
$deadline = hrtime(true) + 60_000_000_000;
while (count($buffer->failures()) < $request['await'] && hrtime(true) < $deadline) {
    usleep(1_000);
}
$app->terminate();

echo json_encode([
    'failures' => count($buffer->failures()),
    'reported' => array_map(
        static fn (Throwable $e): array => array_column(
            array_column(array_merge(...array_column($e->context()['given_up'], 'rows')), 'key'),
            'id',
        ),
        $app->make(ExceptionHandler::class)->reported,
    ),
], JSON_THROW_ON_ERROR);
