<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers;

/** Owns the names of the metrics, so that every driver's getMetrics() has the same keys. */
final class Metrics
{
    /** @return array<string, mixed> the metrics of a buffer that has done nothing */
    public static function none(): array
    {
        return [
            'flush_count' => 0,
            'total_flushed' => 0,
            'total_flush_time_ms' => 0.0,
            'added_rows' => 0,
            'coalesced_rows' => 0,
            'pending_rows' => 0,
            'pending_bytes' => 0,
            'parked_rows' => 0,
            'parked_tables' => [],
            'oldest_pending_age_ms' => 0.0,
            'failed_rows' => 0,
            'failed_flushes' => 0,
            'retries' => 0,
            'retries_deadlock' => 0,
            'retries_lock_wait_timeout' => 0,
            'retries_record_changed' => 0,
            'retries_other' => 0,
            'retries_reconnect' => 0,
            'unknown_commits' => 0,
            'ledger_lookups' => 0,
            'ledger_confirmed' => 0,
            'reconnects' => 0,
            'time_blocked_ms' => 0.0,
            'flush_latency_p50_ms' => 0.0,
            'flush_latency_p95_ms' => 0.0,
            'flush_latency_p99_ms' => 0.0,
            'flush_latency_max_ms' => 0.0,
            'batch_rows_avg' => 0.0,
            'batch_rows_max' => 0,
            'lanes' => 1,
            'lane_metrics' => [],
            'thread_state' => 'none',
            'pid' => (int) getmypid(),
            'last_error' => null,
        ];
    }
}
