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
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Console\AboutSection;
use WriteBuffer\Laravel\Console\FailedCommand;
use WriteBuffer\Laravel\Console\InstallCommand;
use WriteBuffer\Laravel\Console\JournalCommand;
use WriteBuffer\Laravel\Console\RecoverCommand;
use WriteBuffer\Laravel\Console\StatusCommand;
use WriteBuffer\Laravel\Eloquent\BufferedFinder;
use WriteBuffer\Laravel\Eloquent\BufferedRelations;
use WriteBuffer\Laravel\EndOfWork\EndOfWorkFlusher;
use WriteBuffer\Laravel\EndOfWork\FlushLog;
use WriteBuffer\Laravel\EndOfWork\Listeners;
use WriteBuffer\Laravel\Testing\TestEnd;
use WriteBuffer\Laravel\Transactions\OpenTransactions;

/**
 * Owns the package's place in the application: bindings, listeners, commands, and what can be
 * published. It uses every folder, and no folder uses it.
 */
final class WriteBufferServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/../config/write-buffer.php', 'write-buffer');

        // Made here, which costs nothing, and not at their first use. Octane gives each request a
        // copy of the application, and all copies share the worker's buffers and transactions.
        $this->app->instance(BufferManager::class, new BufferManager($this->app));
        $this->app->instance(OpenTransactions::class, new OpenTransactions($this->app));
        // Not a singleton: the manager keeps the buffer, and purge() makes it forget it.
        $this->app->bind(
            Buffer::class,
            static fn (Application $app): Buffer => $app->make(BufferManager::class)->buffer(),
        );
        foreach ((array) $this->app->make('config')->get('write-buffer.buffers') as $name => $config) {
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
        $end = new EndOfWorkFlusher($this->app);
        Listeners::register($this->app, $end);
        (new FlushLog($this->app))->register($this->app->make('events'));

        BufferedFinder::register();
        BufferedRelations::register();
        TestEnd::register($this->app, $this->app->make(BufferManager::class));

        if ($this->app->runningInConsole()) {
            $this->commands([
                FailedCommand::class, InstallCommand::class, JournalCommand::class, RecoverCommand::class, StatusCommand::class,
            ]);
            $this->publishes(
                [__DIR__ . '/../config/write-buffer.php' => $this->app->configPath('write-buffer.php')],
                'write-buffer-config',
            );
            $this->publishes([
                __DIR__ . '/../database/migrations/create_write_buffer_ledger_table.php' => $this->app->databasePath(
                    'migrations/' . gmdate('Y_m_d_His') . '_create_write_buffer_ledger_table.php',
                ),
            ], 'write-buffer-migrations');
            AboutSection::register($this->app);
        }
    }
}
