<?php

/**
 * The contract of the write_buffer extension, for editors, static analysers and people.
 *
 * A test compares this file with Reflection, so it is what the loaded extension has.
 *
 * Every constructor parameter but `$tables` is nullable: null, or a parameter left out, takes the value of the
 * php.ini setting `write_buffer.NAME_IN_SNAKE_CASE`, whose own default is given with the parameter.
 */

namespace WriteBuffer {

    /**
     * Rows on their way to the database. Type-hint this interface: both classes implement it.
     *
     * **A row** is an associative array, a `stdClass`, an Eloquent model (an object with `getAttributes()`, `getTable()`
     * and `getKeyName()`; the model's table wins over the configured one), or an object with `toArray()`.
     * **A list of rows** is an array whose first key is a number, or a `Traversable`, of rows; an empty list is no row.
     *
     * **Values** are null, bool (stored as 1 or 0), int, finite float, string (any bytes), a backed enum (its value), a
     * `DateTimeInterface` (its wall-clock time in its own zone, cut, not rounded, to the column's precision) or a
     * `Stringable`. Anything else is a `TypeError` that names the table and the column. Give prices as strings: a
     * string reaches a DECIMAL column digit by digit, a float does not.
     *
     * **Where a flush happens.** In the background (the default) a native thread writes, and add() and put() wait only for
     * room under maxPendingRows and maxPendingBytes. What the thread met is thrown by the next flush() or close(). In the
     * foreground, and in {@see \SyncWriteBuffer}, the calling thread writes.
     *
     * **What an exception says about your rows.** `TypeError`, {@see ConfigException}, {@see FullException} and
     * {@see ClosedException}: the group was not taken, the buffer is as it was. {@see FlushException},
     * {@see ConnectionException} and {@see TimeoutException}: every row taken is still buffered, or is a failure in
     * {@see Buffer::takeFailures()}; do not add it again.
     */
    interface Buffer extends \Countable
    {
        /**
         * Takes a group: an order and its trades. A group enters whole or not at all, and is committed in one
         * transaction. In the foreground it flushes when the buffer is full, or when its oldest row is older than
         * flushIntervalMs; in the background it copies and returns.
         *
         * @param mixed $order null, one row, or a list of rows, for the order table
         * @param mixed $trade null, one row, or a list of rows, for the trade table
         *
         * @throws \TypeError       a value or a row of a wrong type; nothing was taken
         * @throws ConfigException  a row that its table cannot take (no key, no guard, a bad column name); nothing was taken
         * @throws FullException    maxPendingRows or maxPendingBytes reached; nothing was taken
         * @throws ClosedException  after close(); nothing was taken
         * @throws FlushException   foreground: the group was taken, and the flush that it made due was refused
         * @throws ConnectionException foreground: the group was taken, and the flush that it made due found no server
         */
        public function add(mixed $order, mixed $trade = null): void;

        /**
         * Takes a group of rows for any other table.
         *
         * @param string $table the table's name; `database.table` names another database on the same server
         * @param mixed  $row   one row, or a list of rows
         *
         * @throws \TypeError
         * @throws ConfigException
         * @throws FullException
         * @throws ClosedException
         * @throws FlushException
         * @throws ConnectionException
         */
        public function put(string $table, mixed $row): void;

        /**
         * The row still buffered under a key: all buffered rows of that key, merged by the table's rules. A column under
         * the rule `sum` holds the increment not yet committed, not the total.
         *
         * @param mixed $key the key's value; for a composite key an array, by column name or in the key's order
         *
         * @return array<string, int|float|string|null>|null null when nothing is buffered under that key
         *
         * @throws \TypeError      a key that is not a scalar, or an array of the wrong shape
         * @throws ConfigException the table's key is not known and cannot be read from the server
         */
        public function find(string $table, mixed $key): ?array;

        /**
         * Commits all rows added before the call, and returns when that is done. In the background it also throws what the
         * thread met since the last report. A wait in the background lets PHP see its signals and its time limit.
         *
         * @param int|null $timeoutMs how long it may take, in milliseconds; null: as long as the connection's own time-outs allow
         *
         * @return int the rows committed by this call, those counted that were coalesced into another
         *
         * @throws FlushException      the server refused rows, which were given up, and all others are committed: see takeFailures();
         *                             or it refused a table as it is configured: the rows stay buffered
         * @throws ConnectionException no server, or the connection was lost: the rows stay buffered
         * @throws TimeoutException    the time is over: the rows stay buffered
         * @throws ClosedException     after close()
         */
        public function flush(?int $timeoutMs = null): int;

        /**
         * Whether the buffered rows of any one table have reached batchSize. In the foreground those with the same key count
         * once.
         */
        public function isFull(): bool;

        /**
         * Counters since the buffer was made, and its state now. Times are in milliseconds, sizes in bytes. Always:
         * `added_rows` = `total_flushed` + `pending_rows` + `failed_rows`.
         *
         * @return array{
         *     flush_count: int,
         *     total_flushed: int,
         *     total_flush_time_ms: float,
         *     added_rows: int,
         *     coalesced_rows: int,
         *     pending_rows: int,
         *     pending_bytes: int,
         *     oldest_pending_age_ms: float,
         *     failed_rows: int,
         *     failed_flushes: int,
         *     retries: int,
         *     retries_deadlock: int,
         *     retries_lock_wait_timeout: int,
         *     retries_record_changed: int,
         *     retries_other: int,
         *     retries_reconnect: int,
         *     unknown_commits: int,
         *     ledger_lookups: int,
         *     ledger_confirmed: int,
         *     reconnects: int,
         *     time_blocked_ms: float,
         *     flush_latency_p50_ms: float,
         *     flush_latency_p95_ms: float,
         *     flush_latency_p99_ms: float,
         *     flush_latency_max_ms: float,
         *     batch_rows_avg: float,
         *     batch_rows_max: int,
         *     lanes: int,
         *     lane_metrics: list<array{
         *         flush_count: int,
         *         total_flushed: int,
         *         added_rows: int,
         *         pending_rows: int,
         *         failed_rows: int,
         *         retries: int,
         *         retries_deadlock: int,
         *         reconnects: int,
         *         flush_latency_p50_ms: float,
         *         flush_latency_p99_ms: float,
         *         batch_rows_avg: float,
         *         thread_state: string
         *     }>,
         *     thread_state: string,
         *     pid: int,
         *     last_error: ?string
         * }
         */
        public function getMetrics(): array;

        /** Rows taken and not yet committed. A row coalesced into another still counts: it is not committed yet. */
        public function count(): int;

        /**
         * The rows that can never be written (dead letters), handed over once.
         *
         * @return list<array{rows: list<array{table: string, row: array<string, int|float|string|null>}>, code: int, message: string, time: float}>
         *         a group each: its rows, the server's error code (0 for our own), why, and when (Unix time)
         */
        public function takeFailures(): array;

        /**
         * Puts failures back, each as the group that it was, for whoever removed the cause. Takes what takeFailures() and
         * {@see FlushException::getFailures()} give, and lines of the dead-letter file after `json_decode($line, true)`.
         *
         * @param array<array{rows: list<array{table: string, row: array<string, mixed>}>}> $failures
         *
         * @return int how many were put back: all, or as many as fit under maxPendingRows and maxPendingBytes, from the first on
         *
         * @throws \TypeError       an element is no failure; none was put back
         * @throws ConfigException  as add(); those before it were put back, and the message says which one it is
         * @throws FullException    not even the first one fits
         * @throws ClosedException  after close(); none was put back
         * @throws FlushException   foreground: as add()
         * @throws ConnectionException foreground: as add()
         */
        public function retry(array $failures): int;

        /**
         * Flushes, then refuses further adds. A second close() does nothing. When the flush fails, the buffer stays open
         * with its rows.
         *
         * @param int|null $timeoutMs as in flush()
         *
         * @throws FlushException
         * @throws ConnectionException
         * @throws TimeoutException
         */
        public function close(?int $timeoutMs = null): void;
    }

    /** Implemented by every exception of this extension, apart from PHP's own TypeError. */
    interface Exception extends \Throwable
    {
    }

    /** A setting, a table or a row that cannot work, whatever the state of the server. Nothing was taken. */
    final class ConfigException extends \InvalidArgumentException implements Exception
    {
    }

    /** The server cannot be reached, refused the login, or the connection was lost. The rows stay buffered. */
    final class ConnectionException extends \RuntimeException implements Exception
    {
    }

    /** maxPendingRows or maxPendingBytes is reached, and the rows before could not be written. The group was not taken. */
    final class FullException extends \RuntimeException implements Exception
    {
    }

    /** The server, or a check before it, refused rows. The code is the server's error code, or 0. */
    final class FlushException extends \RuntimeException implements Exception
    {
        /**
         * The groups that were given up by this flush, as in {@see Buffer::takeFailures()}, which still hands them over.
         * Empty when the rows stay buffered.
         *
         * @return list<array{rows: list<array{table: string, row: array<string, int|float|string|null>}>, code: int, message: string, time: float}>
         */
        public function getFailures(): array
        {
        }
    }

    /** The time given to flush() or close() is over. The rows stay buffered. */
    final class TimeoutException extends \RuntimeException implements Exception
    {
    }

    /** The buffer was closed. Nothing was taken. */
    final class ClosedException extends \RuntimeException implements Exception
    {
    }

    /**
     * The tables behind the DSN `memory:` (or `memory:NAME`, a separate set), for tests without a server. They live
     * until the request ends. Batches are applied with the rules that a server would apply.
     */
    final class MemorySink
    {
        /**
         * @param string $name the NAME of `memory:NAME`
         *
         * @return array<string, list<array<string, int|float|string|null>>> by table, its rows in the order in which they were inserted
         */
        public static function tables(string $name = ''): array
        {
        }

        /** Empties the tables, and forgets the failures that failNext() asked for. */
        public static function reset(string $name = ''): void
        {
        }

        /**
         * Makes the next transactions fail as a server would.
         *
         * @param int $code  a server error code: 1213 (deadlock), 1205 (lock wait time-out), 2006 (connection lost), 1062 …
         * @param int $times how many transactions in a row
         *
         * @throws \ValueError a code or a number of times below 1
         */
        public static function failNext(int $code, int $times = 1, string $name = ''): void
        {
        }
    }
}

namespace {

    /**
     * Collects rows and writes them to MySQL or MariaDB as batched upserts, one transaction a batch.
     *
     * Needs no `close()`: destruction waits for up to shutdownTimeoutMs until all is written, also after `exit` or an uncaught
     * exception. What it cannot write is a PHP warning with the count and the reason.
     */
    final class WriteBuffer implements \WriteBuffer\Buffer
    {
        /**
         * Opens no connection: the first row does.
         *
         * @param string|null $dsn `mysql://user:pass@host:3306/db?option=value`, with `host1:3306,host2:3306` for the servers of
         *        one cluster, `unix_socket=/path` for a socket, or `memory:`. User, password and database are percent-encoded.
         *        Options: unix_socket, tls (off, required), tls_ca, tls_cert, tls_key (PEM files), tls_verify (identity, ca,
         *        none), charset, collation, timezone, sql_mode, isolation_level, connect_timeout_ms, read_timeout_ms,
         *        write_timeout_ms. Default: `write_buffer.dsn`
         * @param int|null $batchSize rows of one table, those with the same key counted once, that make the buffer full. Default 100
         * @param int|null $flushIntervalMs milliseconds, since the oldest buffered row, after which a flush is due. Default 500
         * @param int|null $maxRetries how often a transaction is repeated after a deadlock or a lock wait time-out. Default 3
         * @param bool|null $background true: a native thread flushes when a batch is full or overdue, and add() never waits for
         *        the database; false: add() flushes on the calling thread. Default true
         * @param string|null $orderTable the table of add()'s first parameter. Default `orders`
         * @param string|null $tradeTable the table of add()'s second parameter. Default `trades`
         * @param array<string, array{
         *     key?: string|list<string>,
         *     mode?: 'upsert'|'insert',
         *     merge?: array<string, 'replace'|'keep'|'sum'|'min'|'max'>,
         *     guard?: string,
         *     allowSecondUnique?: bool,
         *     repeatable?: bool
         * }> $tables per table: its key (default: the primary key, read from the server; `id` for `memory:`), its mode (default:
         *        upsert, and insert for the trade table), a merge rule a column (default: replace), a guard column: a row is only
         *        replaced by one whose guard is not smaller. allowSecondUnique accepts that a row may update another row through
         *        a second unique index. repeatable accepts that rows are written twice where the ledger is off
         * @param int|null $maxPendingRows bound of buffered rows. Default 100000
         * @param int|null $maxPendingBytes bound of buffered bytes. Default 67108864
         * @param string|null $overflow what add() does in the background when a bound is reached: `block` waits for room, `throw`
         *        does not. Default `block`
         * @param int|null $overflowTimeoutMs how long `block` waits, in milliseconds; then FullException. Default 5000
         * @param int|null $shutdownTimeoutMs how long destruction, or the process's end for a persistent buffer, may take to flush, in
         *        milliseconds. Default 5000
         * @param int|null $lanes how many threads write side by side, each over a connection of its own: 1 to 64. Rows of one key
         *        are written in the order in which they were added, whatever their lanes; groups of different keys are not.
         *        Needs `background`. Default 1
         * @param string|null $routeBy the column whose value chooses a group's lane, `symbol` for instance: groups of one value go
         *        to one lane, unless a row of theirs still waits in another one. Without it, or where no row of a group has
         *        it, the key of the group's first row chooses
         * @param string|null $persistent a name: the buffer, its thread and its connection outlive the object and the request, and
         *        every object that gives this name in the process shares them. It is drained when the process ends in good
         *        order. Needs a server, and the same DSN and settings everywhere
         * @param string|null $deadLetterFile a file that gets a JSON line for each group that is given up, before it leaves the
         *        memory: `{"time":…,"code":…,"message":…,"rows":[{"table":…,"row":{…}}]}`, a string that is not UTF-8 as
         *        `{"base64":"…"}`. It is made with mode 0600. While it cannot be written to nothing is given up
         * @param string|null $ledger when a transaction is entered in the table `write_buffer_ledger`, which tells after a lost
         *        connection whether its COMMIT was carried out: `auto`: where it has insert-only or summed rows, which must not
         *        be written twice; `always`; or `never`: such tables are refused, unless they are `repeatable`. The table is
         *        made at its first use. Default `auto`
         *
         * @throws \TypeError
         * @throws \WriteBuffer\ConfigException
         */
        public function __construct(
            #[\SensitiveParameter] ?string $dsn = null,
            ?int $batchSize = null,
            ?int $flushIntervalMs = null,
            ?int $maxRetries = null,
            ?bool $background = null,
            ?string $orderTable = null,
            ?string $tradeTable = null,
            array $tables = [],
            ?int $maxPendingRows = null,
            ?int $maxPendingBytes = null,
            ?string $overflow = null,
            ?int $overflowTimeoutMs = null,
            ?int $shutdownTimeoutMs = null,
            ?int $lanes = null,
            ?string $routeBy = null,
            ?string $persistent = null,
            ?string $deadLetterFile = null,
            ?string $ledger = null,
        ) {
        }

        public function add(mixed $order, mixed $trade = null): void
        {
        }

        public function put(string $table, mixed $row): void
        {
        }

        public function find(string $table, mixed $key): ?array
        {
        }

        public function flush(?int $timeoutMs = null): int
        {
        }

        public function isFull(): bool
        {
        }

        public function getMetrics(): array
        {
        }

        public function count(): int
        {
        }

        public function takeFailures(): array
        {
        }

        public function retry(array $failures): int
        {
        }

        public function close(?int $timeoutMs = null): void
        {
        }

        /** The settings, without secrets, and the metrics, for var_dump(). */
        public function __debugInfo(): array
        {
        }
    }

    /**
     * The same interface, without a buffer: each add() and put() is committed before it returns, so an error surfaces at
     * the very line. When it throws, nothing was written and nothing is kept. For tests and scripts.
     */
    final class SyncWriteBuffer implements \WriteBuffer\Buffer
    {
        /**
         * @see WriteBuffer::__construct() for the parameters
         *
         * @throws \TypeError
         * @throws \WriteBuffer\ConfigException
         */
        public function __construct(
            #[\SensitiveParameter] ?string $dsn = null,
            ?int $maxRetries = null,
            ?string $orderTable = null,
            ?string $tradeTable = null,
            array $tables = [],
            ?string $ledger = null,
        ) {
        }

        public function add(mixed $order, mixed $trade = null): void
        {
        }

        public function put(string $table, mixed $row): void
        {
        }

        public function find(string $table, mixed $key): ?array
        {
        }

        public function flush(?int $timeoutMs = null): int
        {
        }

        public function isFull(): bool
        {
        }

        public function getMetrics(): array
        {
        }

        public function count(): int
        {
        }

        public function takeFailures(): array
        {
        }

        public function retry(array $failures): int
        {
        }

        public function close(?int $timeoutMs = null): void
        {
        }

        /** The settings, without secrets, and the metrics, for var_dump(). */
        public function __debugInfo(): array
        {
        }
    }
}
