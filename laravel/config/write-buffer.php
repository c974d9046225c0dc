<?php

declare(strict_types=1);

return [

    /*
    |--------------------------------------------------------------------------
    | Default Buffer
    |--------------------------------------------------------------------------
    |
    | One of the buffers below. It is injected for every type hint
    | WriteBuffer\Buffer, and the facade uses it when it names no buffer.
    |
    */

    'default' => env('WRITE_BUFFER', 'default'),

    /*
    |--------------------------------------------------------------------------
    | Flushing
    |--------------------------------------------------------------------------
    |
    | The buffers that were used are flushed when work ends: after the response
    | was sent, after each job, when the worker stops, after each scheduled task
    | and after each command. A persistent buffer is not flushed after a
    | response, since it stays for the next request. Before a response with a
    | Location all are, since the client comes back at once. Errors are reported
    | to the exception handler. The time-out is for each buffer. With false the
    | rows wait for the thread, for batch_size, or for the end of the process,
    | and what the thread could not write is reported all the same.
    |
    */

    'flush_after' => [
        'request' => true,
        'redirect' => true,
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
    | These flushes are logged to the channel "log_channel": each at the level
    | debug, failures at the level error; null logs nothing. Afterwards the
    | metrics of the process's buffers are written into the folder "status", at
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
    | Each buffer writes to a connection of config/database.php; null is the
    | default connection. Server, account, character set, time zone, modes and
    | prefix come from there. A setting that is null has php.ini's value.
    |
    | Drivers: "native"  the extension; a native thread writes the rows
    |          "sync"    the extension; each call is committed at once
    |          "php"     Laravel's own connection, without the extension
    |          "null"    takes rows and drops them
    |
    */

    'buffers' => [

        'default' => [
            'driver' => env('WRITE_BUFFER_DRIVER', 'native'),
            'connection' => env('WRITE_BUFFER_CONNECTION'),

            // Rows that are added within a Laravel transaction on the same
            // connection wait for its commit. Its rollback drops them.
            'after_commit' => env('WRITE_BUFFER_AFTER_COMMIT', true),

            // The tables of add()'s two arguments.
            'order_table' => 'orders',
            'trade_table' => 'trades',

            // Per table: its key (default: the primary key), its mode, a
            // merge rule per column, for a row that meets an earlier row, and
            // a guard column: an older row never replaces a newer one. With
            // 'coalesce' => false every version of a row is written, as triggers
            // and history tables need. Words may be cases of WriteBuffer\Mode and
            // WriteBuffer\Merge.
            //
            // 'balances' => [
            //     'key' => ['user_id', 'asset'],
            //     'mode' => 'upsert',
            //     'merge' => ['available' => 'sum', 'created_at' => 'keep'],
            //     'guard' => 'version',
            // ],
            'tables' => [],

            // Models from which rules are made for their tables: the key, and
            // that the first row sets created_at. Rules in "tables" win. Every
            // model is taken as its save() would write it; 'raw', instead of a
            // list, takes attributes as they are, without events or timestamps.
            'models' => [],

            // A flush is due when a table has this many rows, or the oldest row
            // is this old.
            'batch_size' => env('WRITE_BUFFER_BATCH_SIZE'),
            'flush_interval_ms' => env('WRITE_BUFFER_FLUSH_INTERVAL_MS'),
            'max_retries' => null,

            // False: add() flushes on its caller's thread when a flush is due.
            'background' => null,

            // How many threads write side by side, each over its own
            // connection, and the column whose value chooses a row's thread.
            'lanes' => env('WRITE_BUFFER_LANES'),
            'route_by' => null,

            // How much may wait, and what add() does at that bound: "block" or
            // "throw", or a case of WriteBuffer\Overflow.
            'max_pending_rows' => null,
            'max_pending_bytes' => null,
            'overflow' => null,
            'overflow_timeout_ms' => null,

            // How long the buffer's end may take to write the rest.
            'shutdown_timeout_ms' => null,

            // A name: the buffer outlives the request, in php-fpm.
            'persistent' => env('WRITE_BUFFER_PERSISTENT'),

            // A file that gets a JSON line for each group that can never be
            // written.
            'dead_letter_file' => env('WRITE_BUFFER_DEAD_LETTER_FILE'),

            // A folder in which what was taken survives SIGKILL, the OOM killer and
            // crashes. The next process that uses the buffer writes what is left,
            // each group once; `write-buffer:recover` does so at once. The disk is
            // the machine's own, and the folder is one user's. WRITE_BUFFER_JOURNAL is
            // true, or an absolute path. For the driver "native" in the background.
            'journal' => env('WRITE_BUFFER_JOURNAL') === true
                ? storage_path('write-buffer')
                : env('WRITE_BUFFER_JOURNAL'),

            // When it survives a power cut, too: "none", when the system writes it,
            // "interval", journal_sync_ms later, or "always", when add() returns; or a
            // case of WriteBuffer\JournalSync. And how much of the disk each process
            // may take.
            'journal_sync' => env('WRITE_BUFFER_JOURNAL_SYNC'),
            'journal_sync_ms' => env('WRITE_BUFFER_JOURNAL_SYNC_MS'),
            'journal_max_bytes' => env('WRITE_BUFFER_JOURNAL_MAX_BYTES'),

            // Which transactions are entered in the ledger: "auto", "always" or
            // "never", or a case of WriteBuffer\Ledger. And its table,
            // write_buffer_ledger, without a prefix: "table" or "database.table".
            'ledger' => null,
            'ledger_table' => null,

            // True: values of rows that the server quotes in its errors stay
            // out of messages, logs and metrics. Failures have them.
            'redact_values' => env('WRITE_BUFFER_REDACT_VALUES', true),

            // How long rows wait for a table that takes none, until they are given
            // up; 0: until they are written.
            'park_timeout_ms' => null,

            // How many statements a connection has prepared on the server, which
            // has 16,382 for all its clients. 0: rows are sent as text.
            'max_prepared_statements' => null,

            // The zone to which DateTimeInterface objects are converted before
            // they are written. Without it each keeps its own wall-clock time.
            'time_zone' => null,
        ],

    ],

];
