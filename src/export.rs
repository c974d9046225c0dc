//! From Rust to PHP: rows, failures and metrics as arrays.

use std::time::{Duration, SystemTime};

use ext_php_rs::types::{ZendStr, Zval};
use write_buffer_core::buffer::parking::ParkedTable;
use write_buffer_core::buffer::snapshot::{LaneSnapshot, Snapshot};
use write_buffer_core::dead_letter::line::DELETION;
use write_buffer_core::dead_letter::{DeadLetter, LetterRow};
use write_buffer_core::table::shape::RowKind;
use write_buffer_core::value::Value;

use crate::zend::array::ArrayBuilder;

/// A PHP int. A counter beyond PHP's range stays at its end.
pub fn int(number: impl TryInto<i64>) -> Zval {
    let mut value = Zval::new();
    value.set_long(number.try_into().unwrap_or(i64::MAX));
    value
}

/// A PHP float.
pub fn float(number: f64) -> Zval {
    let mut value = Zval::new();
    value.set_double(number);
    value
}

/// A PHP bool.
pub fn boolean(value: bool) -> Zval {
    let mut zval = Zval::new();
    zval.set_bool(value);
    zval
}

/// A PHP string.
pub fn string(bytes: impl AsRef<[u8]>) -> Zval {
    let mut value = Zval::new();
    value.set_zend_string(ZendStr::new(bytes, false));
    value
}

/// Milliseconds.
pub fn milliseconds(duration: Duration) -> Zval {
    float(duration.as_secs_f64() * 1_000.0)
}

fn value(value: &Value<'_>) -> Zval {
    match value {
        Value::Null => Zval::null(),
        Value::Int(number) => int(*number),
        Value::Float(number) => float(*number),
        Value::Bytes(bytes) => string(bytes),
        Value::DateTime(text) => string(text.as_bytes()),
    }
}

/// A row as an associative array.
pub fn row(columns: &[(Box<str>, Value<'static>)]) -> Zval {
    let mut array = ArrayBuilder::new();
    for (name, column) in columns {
        array.set(name, value(column));
    }
    array.build()
}

/// A row's values as a list.
fn values(columns: &[(Box<str>, Value<'static>)]) -> Zval {
    let mut list = ArrayBuilder::new();
    for (_, column) in columns {
        list.push(value(column));
    }
    list.build()
}

/// Failures as `takeFailures()` returns them.
pub fn failures(letters: &[DeadLetter]) -> Zval {
    let mut list = ArrayBuilder::new();
    for letter in letters {
        let mut rows = ArrayBuilder::new();
        for LetterRow { table, columns, kind } in &*letter.rows {
            let entry = ArrayBuilder::new().with("table", string(table));
            let entry = match kind {
                RowKind::Row => entry.with("row", row(columns)),
                RowKind::Deletion => entry.with(DELETION, row(columns)),
                RowKind::DeletionByPlace => entry.with(DELETION, values(columns)),
            };
            rows.push(entry.build());
        }
        let time = letter.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let letter = ArrayBuilder::new()
            .with("id", string(letter.id.as_bytes()))
            .with("tag", letter.tag.as_deref().map_or_else(Zval::null, string))
            .with("rows", rows.build())
            .with("status", string(letter.status.name()))
            .with("code", int(letter.code))
            .with("message", string(letter.message.full()))
            .with("time", float(time.as_secs_f64()));
        list.push(letter.build());
    }
    list.build()
}

/// The metrics as `getMetrics()` returns them.
pub fn metrics(snapshot: &Snapshot) -> Zval {
    let Snapshot { metrics, pending, .. } = snapshot;
    let last_error = metrics.last_error.as_ref().map_or_else(Zval::null, string);
    ArrayBuilder::new()
        .with("flush_count", int(metrics.flush_count))
        .with("total_flushed", int(metrics.total_flushed))
        .with("total_flush_time_ms", milliseconds(metrics.total_flush_time))
        .with("added_rows", int(metrics.added_rows))
        .with("coalesced_rows", int(metrics.coalesced_rows))
        .with("pending_rows", int(pending.rows as u64))
        .with("pending_bytes", int(pending.bytes as u64))
        .with("parked_rows", int(snapshot.parked_rows as u64))
        .with("parked_tables", parked_tables(&snapshot.parked_tables))
        .with("oldest_pending_age_ms", milliseconds(pending.oldest_age))
        .with("failed_rows", int(metrics.failed_rows))
        .with("failed_flushes", int(metrics.failed_flushes))
        .with("retries", int(metrics.retries))
        .with("retries_deadlock", int(metrics.retries_deadlock))
        .with("retries_lock_wait_timeout", int(metrics.retries_lock_wait_timeout))
        .with("retries_record_changed", int(metrics.retries_record_changed))
        .with("retries_other", int(metrics.retries_other))
        .with("retries_reconnect", int(metrics.retries_reconnect))
        .with("unknown_commits", int(metrics.unknown_commits))
        .with("ledger_lookups", int(metrics.ledger_lookups))
        .with("ledger_confirmed", int(metrics.ledger_confirmed))
        .with("reconnects", int(snapshot.reconnects))
        .with("time_blocked_ms", milliseconds(metrics.time_blocked))
        .with("flush_latency_p50_ms", milliseconds(metrics.latency(50.0)))
        .with("flush_latency_p95_ms", milliseconds(metrics.latency(95.0)))
        .with("flush_latency_p99_ms", milliseconds(metrics.latency(99.0)))
        .with("flush_latency_max_ms", milliseconds(metrics.latency(100.0)))
        .with("batch_rows_avg", float(metrics.batch_rows_avg()))
        .with("batch_rows_max", int(metrics.batch_rows_max))
        .with("lanes", int(snapshot.lanes.len() as u64))
        .with("lane_metrics", lane_metrics(&snapshot.lanes))
        .with("thread_state", string(snapshot.thread.name()))
        .with("pid", int(std::process::id()))
        .with("last_error", last_error)
        .build()
}

/// The tables that rows wait for, by name.
fn parked_tables(tables: &[ParkedTable]) -> Zval {
    let mut array = ArrayBuilder::new();
    for table in tables {
        let parked = ArrayBuilder::new()
            .with("rows", int(table.rows as u64))
            .with("code", int(table.code))
            .with("message", string(&table.message))
            .with("age_ms", milliseconds(table.age));
        array.set(&table.name, parked.build());
    }
    array.build()
}

fn lane_metrics(lanes: &[LaneSnapshot]) -> Zval {
    let mut list = ArrayBuilder::new();
    for LaneSnapshot {
        metrics,
        pending_rows,
        thread,
        reconnects,
    } in lanes
    {
        let lane = ArrayBuilder::new()
            .with("flush_count", int(metrics.flush_count))
            .with("total_flushed", int(metrics.total_flushed))
            .with("added_rows", int(metrics.added_rows))
            .with("pending_rows", int(*pending_rows as u64))
            .with("failed_rows", int(metrics.failed_rows))
            .with("retries", int(metrics.retries))
            .with("retries_deadlock", int(metrics.retries_deadlock))
            .with("reconnects", int(*reconnects))
            .with("flush_latency_p50_ms", milliseconds(metrics.latency(50.0)))
            .with("flush_latency_p99_ms", milliseconds(metrics.latency(99.0)))
            .with("batch_rows_avg", float(metrics.batch_rows_avg()))
            .with("thread_state", string(thread.name()));
        list.push(lane.build());
    }
    list.build()
}
