<?php

declare(strict_types=1);

use Monolog\Handler\NullHandler;

return [

    'default' => env('LOG_CHANNEL', 'single'),

    // Laravel 8 on PHP 8.2 raises deprecations that this application cannot change.
    'deprecations' => env('LOG_DEPRECATIONS_CHANNEL', 'null'),

    'channels' => [
        'single' => [
            'driver' => 'single',
            'path' => storage_path('logs/laravel.log'),
            'level' => env('LOG_LEVEL', 'debug'),
        ],
        'null' => [
            'driver' => 'monolog',
            'handler' => NullHandler::class,
        ],
    ],

];
