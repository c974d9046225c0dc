<?php

declare(strict_types=1);

return [

    'name' => env('APP_NAME', 'Spot Exchange'),

    'env' => env('APP_ENV', 'local'),

    'debug' => (bool) env('APP_DEBUG', false),

    'url' => env('APP_URL', 'http://localhost'),

    'timezone' => 'UTC',

    'locale' => 'en',

    'fallback_locale' => 'en',

    // Only what the commands and the API use: no session, no mail.
    'providers' => [
        Illuminate\Bus\BusServiceProvider::class,
        Illuminate\Cache\CacheServiceProvider::class,
        Illuminate\Database\DatabaseServiceProvider::class,
        Illuminate\Filesystem\FilesystemServiceProvider::class,
        Illuminate\Foundation\Providers\ConsoleSupportServiceProvider::class,
        Illuminate\Foundation\Providers\FoundationServiceProvider::class,
        Illuminate\Queue\QueueServiceProvider::class,
        Illuminate\Translation\TranslationServiceProvider::class,
        Illuminate\Validation\ValidationServiceProvider::class,
        Illuminate\View\ViewServiceProvider::class,

        // Composer's auto-discovery would find it, but needs a vendor folder.
        WriteBuffer\Laravel\WriteBufferServiceProvider::class,

        App\Providers\AppServiceProvider::class,
    ],

    'aliases' => [],

];
