<?php

declare(strict_types=1);

return [

    /*
    |--------------------------------------------------------------------------
    | Default Buffer
    |--------------------------------------------------------------------------
    |
    | The buffer that is injected wherever WriteBuffer\Buffer is type-hinted,
    | and that the facade uses when no other one is named. It is one of the
    | buffers below.
    |
    */

    'default' => env('WRITE_BUFFER', 'default'),

    /*
    |--------------------------------------------------------------------------
    | Flushing
    |--------------------------------------------------------------------------
    |
    | The buffers that were used are flushed where a piece of work ends: after
    | the response was sent (except persistent buffers, which are there for
    | the next request), after each job and when the worker stops, after each
    | scheduled task and each command. What such a flush meets is reported to
    | the exception handler; it may take so long for each buffer.
    |
    */

    'flush_after' => [
        'request' => true,
        'job' => true,
        'worker' => true,
        'task' => true,
        'command' => true,
    ],

    'flush_timeout_ms' => env('WRITE_BUFFER_FLUSH_TIMEOUT_MS', 5000),

    /*
    |--------------------------------------------------------------------------
    | Watching
    |--------------------------------------------------------------------------
    |
    | Each of these flushes is written to the log channel named here, at the
    | level debug, and what it failed by at the level error; null writes none.
    | The metrics of the process's buffers go into the folder "status" then, at
    | most once a second, for `php artisan write-buffer:status`; false turns
    | that off.
    |
    */

    'log_channel' => env('WRITE_BUFFER_LOG_CHANNEL'),

    'status' => env('WRITE_BUFFER_STATUS', true) ? storage_path('framework/write-buffer') : false,

    /*
    |--------------------------------------------------------------------------
    | Buffers
    |--------------------------------------------------------------------------
    |
    | Each buffer writes to one of the connections of config/database.php,
    | null being the default one, and takes server, account, character set,
    | time zone, modes and prefix from there. A setting that is null takes
    | the value that php.ini gives it.
    |
    | Drivers: "native"  the extension; a native thread writes the rows
    |          "sync"    the extension; each call is committed at once
    |          "php"     Laravel's own connection, without the extension
    |          "null"    takes rows, and drops them
    |
    */

    'buffers' => [

        'default' => [
            'driver' => env('WRITE_BUFFER_DRIVER', 'native'),
            'connection' => env('WRITE_BUFFER_CONNECTION'),

            // Rows that are added in a transaction of Laravel's on the same
            // connection wait for its commit, and go with its rollback.
            'after_commit' => env('WRITE_BUFFER_AFTER_COMMIT', true),

            // Where the two arguments of add() go.
            'order_table' => 'orders',
            'trade_table' => 'trades',

            // Per table: its key (default: the primary key), its mode, what
            // happens to each column when a row meets an earlier one, and a
            // guard column, by which an older row never replaces a newer one.
            'tables' => [
                'orders' => ['key' => 'id'],
                'trades' => ['key' => 'id', 'mode' => 'insert'],
                'balances' => ['key' => App\Models\Balance::KEY],
            ],

            // Models whose tables get rules of their own making: the key, and
            // created_at, which the first row sets. What stands in "tables"
            // goes before.
            'models' => [],

            // A flush is due when a table has so many rows, or the oldest row
            // is so old.
            'batch_size' => env('WRITE_BUFFER_BATCH_SIZE'),
            'flush_interval_ms' => env('WRITE_BUFFER_FLUSH_INTERVAL_MS'),
            'max_retries' => null,

            // False: add() flushes on its caller's thread when a flush is due.
            'background' => null,

            // What waits at most, and what add() does then: "block" or "throw".
            'max_pending_rows' => null,
            'max_pending_bytes' => null,
            'overflow' => null,
            'overflow_timeout_ms' => null,

            // How long the end of the buffer may take to write what is left.
            'shutdown_timeout_ms' => null,

            // A name under which the buffer outlives the request, in php-fpm.
            'persistent' => env('WRITE_BUFFER_PERSISTENT'),

            // A file that gets a JSON line for each group that the server
            // refuses for good.
            'dead_letter_file' => env('WRITE_BUFFER_DEAD_LETTER_FILE'),

            // When transactions are entered in the table write_buffer_ledger:
            // "auto", "always" or "never".
            'ledger' => null,
        ],

    ],

];
