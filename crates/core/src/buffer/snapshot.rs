//! A buffer's counters and state at one instant.

use std::time::{Duration, Instant};

use crate::buffer::metrics::Metrics;
use crate::buffer::parking::ParkedTable;

/// What waits in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Rows that were taken and are not settled.
    pub rows: usize,
    /// The memory that they take, in bytes.
    pub bytes: usize,
    /// The time that the oldest of them has waited.
    pub oldest_age: Duration,
}

impl Pending {
    /// `rows` and `bytes` that wait at `now`, the oldest taken at `oldest`.
    pub fn new(rows: usize, bytes: usize, oldest: Option<Instant>, now: Instant) -> Self {
        Self {
            rows,
            bytes,
            oldest_age: oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest)),
        }
    }
}

/// What a flusher is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ThreadState {
    /// There is no thread: no row has come yet, or it has ended.
    #[default]
    None,
    /// It waits for rows, or until they are due.
    Idle,
    /// It writes.
    Writing,
    /// It waits after a failure.
    Backoff,
}

impl ThreadState {
    /// The name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Idle => "idle",
            Self::Writing => "writing",
            Self::Backoff => "backoff",
        }
    }
}

/// The counters, and the state, at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The counters of all lanes together.
    pub metrics: Metrics,
    /// What waits in all lanes.
    pub pending: Pending,
    /// Of the pending rows, those that wait for a table, and those behind them.
    pub parked_rows: usize,
    /// The tables that they wait for.
    pub parked_tables: Vec<ParkedTable>,
    /// What the busiest thread does.
    pub thread: ThreadState,
    /// Connections opened after each lane's first.
    pub reconnects: u64,
    /// Each lane by itself.
    pub lanes: Vec<LaneSnapshot>,
    /// How many of them take new groups, or still have a connection.
    pub lanes_open: usize,
}

/// A lane at one instant.
#[derive(Debug, Clone)]
pub struct LaneSnapshot {
    /// Its counters.
    pub metrics: Metrics,
    /// Rows that were taken and are neither settled nor parked.
    pub pending_rows: usize,
    /// What its thread does.
    pub thread: ThreadState,
    /// Connections opened after its first.
    pub reconnects: u64,
}
