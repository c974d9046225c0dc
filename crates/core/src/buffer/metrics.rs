//! Counters and latencies of one buffer.
//!
//! Rows are counted as they were added, so the counters balance: `rows_added = rows_committed +
//! pending rows + rows_refused`. `rows_coalesced` says how many of the committed rows went into
//! others.
//!
//! `rows_stale` says how many of the committed rows have a guard and changed nothing, because a
//! newer row was there, or the same: in the buffer ([`crate::plan::merge`]) or in the table
//! ([`Sink::stale_rows`](crate::sink::Sink::stale_rows)). Rows that went into one are one row
//! there. Counted at COMMIT, so a transaction that is repeated counts once.
//!
//! Bound: the histogram takes a fixed few kilobytes, whatever it records.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::Error;
use crate::error::codes::{ER_CHECKREAD, ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT};
use crate::writer::observer::{Commit, Event};

/// The longest latency that is recorded as it is: a day, in microseconds.
const MAX_LATENCY_US: u64 = 86_400_000_000;

/// What a buffer has counted since it was made. Durations cover whole transactions, with their
/// retries and the waits between them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Transactions committed.
    pub transactions: u64,
    /// Rows committed, coalesced ones counted.
    pub rows_committed: u64,
    /// Time spent in transactions that were committed.
    pub transaction_time: Duration,
    /// Rows taken.
    pub rows_added: u64,
    /// Committed rows that went into others.
    pub rows_coalesced: u64,
    /// Committed rows that their guard turned away, and those that were there already.
    pub rows_stale: u64,
    /// Rows given up.
    pub rows_refused: u64,
    /// Groups given up.
    pub groups_refused: u64,
    /// Flushes, and attempts of a thread, that ended with an error.
    pub transactions_failed: u64,
    /// Transactions repeated.
    pub retries: u64,
    /// Of these, after a deadlock (1213).
    pub retries_deadlock: u64,
    /// Of these, after a lock wait time-out (1205).
    pub retries_lock_wait_timeout: u64,
    /// Of these, after 1020.
    pub retries_record_changed: u64,
    /// Of these, after another lost race.
    pub retries_other: u64,
    /// Of these, over a new connection.
    pub retries_reconnect: u64,
    /// COMMITs without an answer that says whether they were carried out.
    pub commits_unknown: u64,
    /// The ledger's answers after such a COMMIT.
    pub commits_looked_up: u64,
    /// Those that found the transaction committed.
    pub commits_confirmed: u64,
    /// Time that callers spent waiting for the database.
    pub time_blocked: Duration,
    /// The most rows that one transaction committed.
    pub transaction_rows_max: u64,
    /// The last error, as text.
    pub last_error: Option<String>,
    latency_us: Option<Histogram<u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            transactions: 0,
            rows_committed: 0,
            transaction_time: Duration::ZERO,
            rows_added: 0,
            rows_coalesced: 0,
            rows_stale: 0,
            rows_refused: 0,
            groups_refused: 0,
            transactions_failed: 0,
            retries: 0,
            retries_deadlock: 0,
            retries_lock_wait_timeout: 0,
            retries_record_changed: 0,
            retries_other: 0,
            retries_reconnect: 0,
            commits_unknown: 0,
            commits_looked_up: 0,
            commits_confirmed: 0,
            time_blocked: Duration::ZERO,
            transaction_rows_max: 0,
            last_error: None,
            // Two digits: percentiles are right within one percent.
            latency_us: Histogram::new_with_bounds(1, MAX_LATENCY_US, 2).ok(),
        }
    }
}

impl Metrics {
    /// Counts a committed transaction, unless it had no row.
    pub fn committed(&mut self, written: &Commit) {
        if written.rows == 0 {
            return;
        }
        let (rows, took) = (count(written.rows), written.took);
        self.transactions += 1;
        self.rows_committed += rows;
        self.rows_coalesced += count(written.coalesced_rows);
        self.rows_stale += count(written.stale_rows);
        self.transaction_time += took;
        self.transaction_rows_max = self.transaction_rows_max.max(rows);
        if let Some(histogram) = &mut self.latency_us {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(MAX_LATENCY_US));
        }
    }

    /// Adds what another lane counted.
    pub fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.rows_committed += other.rows_committed;
        self.transaction_time += other.transaction_time;
        self.rows_added += other.rows_added;
        self.rows_coalesced += other.rows_coalesced;
        self.rows_stale += other.rows_stale;
        self.rows_refused += other.rows_refused;
        self.groups_refused += other.groups_refused;
        self.transactions_failed += other.transactions_failed;
        self.retries += other.retries;
        self.retries_deadlock += other.retries_deadlock;
        self.retries_lock_wait_timeout += other.retries_lock_wait_timeout;
        self.retries_record_changed += other.retries_record_changed;
        self.retries_other += other.retries_other;
        self.retries_reconnect += other.retries_reconnect;
        self.commits_unknown += other.commits_unknown;
        self.commits_looked_up += other.commits_looked_up;
        self.commits_confirmed += other.commits_confirmed;
        self.time_blocked += other.time_blocked;
        self.transaction_rows_max = self.transaction_rows_max.max(other.transaction_rows_max);
        if let (Some(all), Some(others)) = (&mut self.latency_us, &other.latency_us) {
            // Both histograms have the same bounds, so adding them cannot fail.
            let _ = all.add(others);
        }
    }

    /// Counts what happened on the way to a committed transaction.
    pub fn count(&mut self, event: &Event<'_>) {
        match event {
            Event::Retried(error) => {
                self.retries += 1;
                match error.code() {
                    ER_LOCK_DEADLOCK => self.retries_deadlock += 1,
                    ER_LOCK_WAIT_TIMEOUT => self.retries_lock_wait_timeout += 1,
                    ER_CHECKREAD => self.retries_record_changed += 1,
                    _ => self.retries_other += 1,
                }
            }
            Event::Connecting | Event::Connected => {}
            Event::Reconnected => {
                self.retries += 1;
                self.retries_reconnect += 1;
            }
            Event::CommitUnknown => self.commits_unknown += 1,
            Event::LedgerAnswered { committed } => {
                self.commits_looked_up += 1;
                self.commits_confirmed += u64::from(*committed);
            }
        }
    }

    /// Counts a group that is given up.
    pub fn refused(&mut self, rows: usize) {
        self.rows_refused += count(rows);
        self.groups_refused += 1;
    }

    /// Counts a flush that ended with an error.
    pub fn failed(&mut self, error: &Error) {
        self.transactions_failed += 1;
        self.last_error = Some(error.to_string());
    }

    /// A percentile (0 to 100) of the committed transactions' latencies; zero before the first.
    pub fn latency(&self, percentile: f64) -> Duration {
        let histogram = self.latency_us.as_ref().filter(|histogram| !histogram.is_empty());
        Duration::from_micros(histogram.map_or(0, |histogram| histogram.value_at_percentile(percentile)))
    }

    /// The mean number of rows of a committed transaction.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an average needs no more than a float's 53 bits"
    )]
    pub fn transaction_rows_avg(&self) -> f64 {
        if self.transactions == 0 {
            return 0.0;
        }
        self.rows_committed as f64 / self.transactions as f64
    }
}

/// A number of rows as the counters have it.
pub(crate) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
