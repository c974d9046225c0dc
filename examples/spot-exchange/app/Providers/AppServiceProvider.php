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

/**
 * Owns the application's bindings: an empty exchange, the lock, and the demo's own buffer driver.
 */
class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        // An exchange without orders. Its caller adds what was saved, or begins with nothing.
        $this->app->bind(Exchange::class, static function (Application $app): Exchange {
            return new Exchange(Market::fromConfig($app['config']['exchange.markets']), new Accounts());
        });
        $this->app->singleton(ExchangeLock::class);
    }

    public function boot(): void
    {
        $this->loadRoutesFrom($this->app->basePath('routes/api.php'));
        // Runs after the package's callback, which flushes: its provider is registered first.
        $this->app->terminating(fn () => $this->app->make(ExchangeLock::class)->release());

        // The application's own driver, for the demo.
        $this->app->make(BufferManager::class)->extend(
            'php-class',
            fn (Application $app, array $config): PhpWriteBuffer => new PhpWriteBuffer(
                $app->make('db')->connection($config['connection'] ?? null),
                (int) ($config['batch_size'] ?? 100),
                (int) ($config['flush_interval_ms'] ?? 500),
                (int) ($config['max_retries'] ?? 3),
            ),
        );
    }
}
