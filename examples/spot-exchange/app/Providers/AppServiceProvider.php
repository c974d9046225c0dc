<?php

declare(strict_types=1);

namespace App\Providers;

use App\Buffers\PhpWriteBuffer;
use App\Matching\Accounts;
use App\Matching\Exchange;
use App\Matching\Market;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;
use WriteBuffer\Laravel\BufferManager;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        // An exchange without an order: whoever makes one goes on from what is saved, or begins anew.
        $this->app->bind(Exchange::class, static function (Application $app): Exchange {
            return new Exchange(Market::fromConfig($app['config']['exchange.markets']), new Accounts());
        });
    }

    public function boot(): void
    {
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
