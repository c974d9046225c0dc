//! From Rust to PHP: rows, failures and metrics as arrays.

use std::time::{Duration, SystemTime};

use ext_php_rs::types::{ZendStr, Zval};
use write_buffer_core::buffer::journal::inspection::{Inspected, in_words};
use write_buffer_core::buffer::parking::ParkedTable;
use write_buffer_core::buffer::recovery::Recovered;
use write_buffer_core::buffer::snapshot::{LaneSnapshot, Snapshot};
use write_buffer_core::dead_letter::line::{DELETION, UPDATE};
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
                RowKind::Update => entry.with("row", row(columns)).with(UPDATE, boolean(true)),
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
        // Names that others read since before this buffer was.
        .with("flush_count", int(metrics.transactions))
        .with("total_flushed", int(metrics.rows_committed))
        .with("total_flush_time_ms", milliseconds(metrics.transaction_time))
        .with("rows_added", int(metrics.rows_added))
        .with("rows_committed", int(metrics.rows_committed))
        .with("rows_coalesced", int(metrics.rows_coalesced))
        .with("rows_stale", int(metrics.rows_stale))
        .with("rows_refused", int(metrics.rows_refused))
        .with("rows_pending", int(pending.rows as u64))
        .with("rows_parked", int(snapshot.parked_rows as u64))
        .with("groups_refused", int(metrics.groups_refused))
        .with("bytes_pending", int(pending.bytes as u64))
        .with("age_oldest_ms", milliseconds(pending.oldest_age))
        .with("tables_parked", parked_tables(&snapshot.parked_tables))
        .with("transactions", int(metrics.transactions))
        .with("transactions_failed", int(metrics.transactions_failed))
        .with("transaction_time_sum_ms", milliseconds(metrics.transaction_time))
        .with("transaction_time_p50_ms", milliseconds(metrics.latency(50.0)))
        .with("transaction_time_p95_ms", milliseconds(metrics.latency(95.0)))
        .with("transaction_time_p99_ms", milliseconds(metrics.latency(99.0)))
        .with("transaction_time_max_ms", milliseconds(metrics.latency(100.0)))
        .with("transaction_rows_avg", float(metrics.transaction_rows_avg()))
        .with("transaction_rows_max", int(metrics.transaction_rows_max))
        .with("retries", int(metrics.retries))
        .with("retries_deadlock", int(metrics.retries_deadlock))
        .with("retries_lock_wait_timeout", int(metrics.retries_lock_wait_timeout))
        .with("retries_record_changed", int(metrics.retries_record_changed))
        .with("retries_other", int(metrics.retries_other))
        .with("retries_reconnect", int(metrics.retries_reconnect))
        .with("commits_unknown", int(metrics.commits_unknown))
        .with("commits_looked_up", int(metrics.commits_looked_up))
        .with("commits_confirmed", int(metrics.commits_confirmed))
        .with("reconnects", int(snapshot.reconnects))
        .with("time_blocked_ms", milliseconds(metrics.time_blocked))
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
            .with("rows_added", int(metrics.rows_added))
            .with("rows_committed", int(metrics.rows_committed))
            .with("rows_stale", int(metrics.rows_stale))
            .with("rows_refused", int(metrics.rows_refused))
            .with("rows_pending", int(*pending_rows as u64))
            .with("transactions", int(metrics.transactions))
            .with("transaction_time_p50_ms", milliseconds(metrics.latency(50.0)))
            .with("transaction_time_p99_ms", milliseconds(metrics.latency(99.0)))
            .with("transaction_rows_avg", float(metrics.transaction_rows_avg()))
            .with("retries", int(metrics.retries))
            .with("retries_deadlock", int(metrics.retries_deadlock))
            .with("reconnects", int(*reconnects))
            .with("thread_state", string(thread.name()));
        list.push(lane.build());
    }
    list.build()
}

/// What became of dead writers' groups, as `Journal::recover()` returns it.
pub fn recovered(recovered: &[Recovered]) -> Zval {
    let mut list = ArrayBuilder::new();
    for writer in recovered {
        let path = writer
            .set_aside
            .as_ref()
            .map(|(path, _)| path.as_os_str().as_encoded_bytes());
        let damage = writer.set_aside.iter().flat_map(|(_, damages)| damages).next();
        let error = writer.error.as_ref().map(ToString::to_string);
        let error = error.or_else(|| damage.map(in_words));
        let entry = ArrayBuilder::new()
            .with("writer", string(&writer.writer))
            .with("groups", int(writer.groups))
            .with("rows_committed", int(writer.rows_committed))
            .with("rows_refused", int(writer.rows_refused))
            .with("rows_parked", int(writer.rows_parked))
            .with("set_aside", path.map_or_else(Zval::null, string))
            .with("error", error.map_or_else(Zval::null, string));
        list.push(entry.build());
    }
    list.build()
}

/// The folders of a journal, as `Journal::inspect()` returns them.
pub fn inspected(inspected: &[Inspected]) -> Zval {
    let mut list = ArrayBuilder::new();
    for writer in inspected {
        let entry = ArrayBuilder::new()
            .with("writer", string(&writer.writer))
            .with("pid", writer.pid.map_or_else(Zval::null, int))
            .with("groups", int(writer.groups))
            .with("bytes", int(writer.bytes))
            .with("age_oldest_ms", writer.oldest_age.map_or_else(Zval::null, milliseconds))
            .with("dsn", writer.dsn.as_ref().map_or_else(Zval::null, string))
            .with("damage", writer.damage.as_ref().map_or_else(Zval::null, string));
        list.push(entry.build());
    }
    list.build()
}
