<?php

declare(strict_types=1);

namespace App\Providers;

use App\Buffers\Buffer;
use App\Buffers\BufferFactory;
use App\Matching\Accounts;
use App\Matching\Market;
use App\Services\OrderService;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton(Buffer::class, static function (Application $app): Buffer {
            return $app->make(BufferFactory::class)->make($app['config']['exchange.buffer']);
        });

        $this->app->singleton(OrderService::class, static function (Application $app): OrderService {
            return new OrderService(
                Market::fromConfig($app['config']['exchange.markets']),
                $app->make(Accounts::class),
                $app->make(Buffer::class),
            );
        });
    }
}
