<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel;

use Illuminate\Contracts\Foundation\Application;
use Illuminate\Database\Events\ConnectionEvent;
use Illuminate\Database\Events\TransactionBeginning;
use Illuminate\Database\Events\TransactionCommitted;
use Illuminate\Database\Events\TransactionRolledBack;
use Illuminate\Support\ServiceProvider;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Transactions\OpenTransactions;

/** Registers the buffers of config/write-buffer.php. */
final class WriteBufferServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/../config/write-buffer.php', 'write-buffer');

        $this->app->singleton(BufferManager::class);
        $this->app->singleton(OpenTransactions::class);
        // Not a singleton: the manager keeps the buffer, and may be told to forget it.
        $this->app->bind(Buffer::class, static fn (Application $app): Buffer => $app->make(BufferManager::class)->buffer());
        foreach ($this->app->make('config')->get('write-buffer.buffers', []) as $name => $config) {
            $this->app->bind(
                "write-buffer.{$name}",
                static fn (Application $app): Buffer => $app->make(BufferManager::class)->buffer((string) $name),
            );
        }
    }

    public function boot(): void
    {
        $this->app->make('events')->listen(
            [TransactionBeginning::class, TransactionCommitted::class, TransactionRolledBack::class],
            fn (ConnectionEvent $event) => $this->app->make(OpenTransactions::class)->handle($event),
        );
        if ($this->app->runningInConsole()) {
            $this->publishes(
                [__DIR__ . '/../config/write-buffer.php' => $this->app->configPath('write-buffer.php')],
                'write-buffer-config',
            );
        }
    }
}
