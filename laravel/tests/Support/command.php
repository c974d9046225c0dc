<?php

// A command of an application with this package, as artisan runs it: it adds rows, and returns 3.
// The exception handler prints what it is told.
//
// The argument is JSON: the `connection`, the settings of the `buffer`, whether `flush` ends the
// command, the `rows` to add to `table`, and whether a `transaction` holds them.

declare(strict_types=1);

use Illuminate\Contracts\Console\Kernel as KernelContract;
use Illuminate\Foundation\Bootstrap\HandleExceptions;
use Symfony\Component\Console\Input\ArgvInput;
use Symfony\Component\Console\Output\StreamOutput;
use WriteBuffer\Buffer;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\WriteBufferServiceProvider;

require dirname(__DIR__) . '/bootstrap.php';

$work = json_decode($argv[1], true, 512, JSON_THROW_ON_ERROR);
$app = (require __DIR__ . '/application.php')([
    'app' => ['env' => 'production'],
    'database' => ['default' => 'mysql', 'connections' => ['mysql' => $work['connection']]],
    'write-buffer' => [
        'default' => 'default',
        'status' => false,
        'flush_after' => ['command' => $work['flush']],
        'buffers' => ['default' => $work['buffer']],
    ],
]);
$app->register(\Illuminate\Database\DatabaseServiceProvider::class);
$app->register(WriteBufferServiceProvider::class);
$app->bootstrapWith([HandleExceptions::class]);
$app->boot();

$kernel = $app->make(KernelContract::class);
$kernel->command('work', function () use ($app, $work): int {
    $buffer = $app->make(Buffer::class);
    $add = static function () use ($buffer, $work): void {
        foreach ($work['rows'] as $row) {
            $buffer->put($work['table'], $row);
        }
    };
    try {
        $work['transaction'] ? $app->make('db')->transaction($add) : $add();
    } catch (BufferException $e) {
        echo 'caught: ', $e->getMessage(), "\n";
    }

    return 3;
});
$input = new ArgvInput(['artisan', 'work']);
$status = $kernel->handle($input, new StreamOutput(STDOUT));
$kernel->terminate($input, $status);
exit($status);
