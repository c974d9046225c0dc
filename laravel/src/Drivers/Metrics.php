<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers;

/** Owns the names of the metrics, so that every driver's getMetrics() has the same keys. */
final class Metrics
{
    /** Rows given up. */
    public const REFUSED = 'rows_refused';

    /** Rows taken and not yet committed. */
    public const PENDING = 'rows_pending';

    /** Tables that take no rows now, by name, each with `rows`, `code`, `message`. */
    public const PARKED = 'tables_parked';

    /** How long the oldest of these has waited. */
    public const AGE_OLDEST_MS = 'age_oldest_ms';

    /** Rows committed. */
    public const COMMITTED = 'rows_committed';

    /** Transactions committed. */
    public const TRANSACTIONS = 'transactions';

    /** The time that these took. */
    public const TRANSACTION_TIME_MS = 'transaction_time_sum_ms';

    /** @return array<string, mixed> the metrics of a buffer that has done nothing */
    public static function none(): array
    {
        return [
            'flush_count' => 0,
            'total_flushed' => 0,
            'total_flush_time_ms' => 0.0,
            'rows_added' => 0,
            'rows_committed' => 0,
            'rows_coalesced' => 0,
            'rows_stale' => 0,
            'rows_refused' => 0,
            'rows_pending' => 0,
            'rows_parked' => 0,
            'groups_refused' => 0,
            'bytes_pending' => 0,
            'age_oldest_ms' => 0.0,
            'tables_parked' => [],
            'transactions' => 0,
            'transactions_failed' => 0,
            'transaction_time_sum_ms' => 0.0,
            'transaction_time_p50_ms' => 0.0,
            'transaction_time_p95_ms' => 0.0,
            'transaction_time_p99_ms' => 0.0,
            'transaction_time_max_ms' => 0.0,
            'transaction_rows_avg' => 0.0,
            'transaction_rows_max' => 0,
            'retries' => 0,
            'retries_deadlock' => 0,
            'retries_lock_wait_timeout' => 0,
            'retries_record_changed' => 0,
            'retries_other' => 0,
            'retries_reconnect' => 0,
            'commits_unknown' => 0,
            'commits_looked_up' => 0,
            'commits_confirmed' => 0,
            'reconnects' => 0,
            'time_blocked_ms' => 0.0,
            'lanes' => 1,
            'lanes_open' => 1,
            'lane_metrics' => [],
            'thread_state' => 'none',
            'pid' => (int) getmypid(),
            'last_error' => null,
        ];
    }

    /**
     * @param array<string, mixed> $metrics some of the metrics
     *
     * @return array<string, mixed> all of them; the three old names say what the new ones do
     */
    public static function of(array $metrics): array
    {
        $all = array_replace(self::none(), $metrics);

        return array_replace($all, [
            'flush_count' => $all['transactions'],
            'total_flushed' => $all['rows_committed'],
            'total_flush_time_ms' => $all['transaction_time_sum_ms'],
        ]);
    }
}
