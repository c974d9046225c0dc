<?php

declare(strict_types=1);

namespace App\Providers;

use App\Buffers\PhpWriteBuffer;
use App\Matching\Accounts;
use App\Matching\Exchange;
use App\Matching\Market;
use App\Services\ExchangeLock;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;
use WriteBuffer\Laravel\Buffers\BufferManager;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        // An exchange without an order: whoever makes one goes on from what is saved, or begins anew.
        $this->app->bind(Exchange::class, static function (Application $app): Exchange {
            return new Exchange(Market::fromConfig($app['config']['exchange.markets']), new Accounts());
        });
        $this->app->singleton(ExchangeLock::class);
    }

    public function boot(): void
    {
        $this->loadRoutesFrom($this->app->basePath('routes/api.php'));
        // After the package's own callback, which flushes: its provider is registered before this one.
        $this->app->terminating(fn () => $this->app->make(ExchangeLock::class)->release());

        // A driver of the application's own, for the demo.
        $this->app->make(BufferManager::class)->extend(
            'batching',
            fn (Application $app, array $config): PhpWriteBuffer => new PhpWriteBuffer(
                $app->make('db')->connection($config['connection'] ?? null),
                (int) ($config['batch_size'] ?? 100),
                (int) ($config['flush_interval_ms'] ?? 500),
                (int) ($config['max_retries'] ?? 3),
            ),
        );
    }
}
