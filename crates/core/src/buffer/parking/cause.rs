//! A table that takes no rows now, or none with certain columns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::queue::LaneId;
use crate::error::decision::{ParkEnd, parks};
use crate::error::{Error, Kind, codes};
use crate::rows::batch::Batch;
use crate::table::entry::TableEntry;
use crate::table::model::TableModel;
use crate::table::shape::Shape;

/// The time from one probe of a table to the next.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Why groups are parked.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Cause {
    pub entry: Arc<TableEntry>,
    /// Rows with other columns may be taken. `None`: no rows are.
    columns: Option<Arc<[Box<str>]>>,
    pub error: Error,
    /// When it was first met.
    pub since: Instant,
    pub next_probe: Instant,
    /// Somebody flushes: it is probed at once.
    pub is_wanted: bool,
    /// And once more after the probe that is under way.
    pub is_wanted_again: bool,
    /// Somebody was told of it.
    pub is_told: bool,
    /// The lane that probes it.
    pub prober: Option<LaneId>,
    /// No group could be chosen for a probe: each waits for something else. Until that changes.
    pub is_stalled: bool,
    /// A probe of it failed at another table, so nobody knows. It holds nothing up until it is met
    /// again.
    pub is_doubtful: bool,
    /// What the table was when it was met.
    seen: Option<Arc<TableModel>>,
    /// Somebody holds a lock there.
    lock: Option<LockWaits>,
}

/// The waits for a lock.
#[derive(Debug, Clone, Copy)]
struct LockWaits {
    /// When the first one began since somebody asked for a flush. `None`: there was none.
    since: Option<Instant>,
    /// The server's own time-out is over since then. A flush fails.
    is_over: bool,
}

impl Cause {
    pub fn new(shape: &Arc<Shape>, error: Error, seen: Option<Arc<TableModel>>, now: Instant) -> Self {
        Self {
            columns: columns_of(&error),
            entry: Arc::clone(&shape.entry),
            seen,
            error,
            since: now,
            next_probe: now + PROBE_INTERVAL,
            is_wanted: false,
            is_wanted_again: false,
            is_told: false,
            prober: None,
            is_stalled: false,
            is_doubtful: false,
            lock: None,
        }
    }

    /// Whether an error says the same again.
    pub fn is_same(&self, shape: &Arc<Shape>, error: &Error) -> bool {
        Arc::ptr_eq(&self.entry, &shape.entry) && self.columns == columns_of(error)
    }

    /// It was met again.
    pub fn met(&mut self, error: Error, seen: Option<Arc<TableModel>>, now: Instant) {
        self.error = error;
        self.seen = seen;
        self.next_probe = now + PROBE_INTERVAL;
        self.is_wanted = std::mem::take(&mut self.is_wanted_again);
        self.prober = None;
        self.is_stalled = false;
        self.is_doubtful = false;
    }

    /// A probe of it failed at another table.
    pub fn doubt(&mut self) {
        self.is_doubtful = true;
        self.prober = None;
        self.is_wanted = false;
        self.is_wanted_again = false;
        self.is_stalled = false;
    }

    /// Somebody flushes: it is probed at once, or once more after the probe that is under way.
    pub fn want(&mut self) {
        if self.prober.is_some() {
            // The table may have been put right since that probe began.
            self.is_wanted_again = true;
        } else if !self.is_doubtful {
            self.is_wanted = true;
        }
        self.is_stalled = false;
        if let Some(lock) = &mut self.lock {
            lock.since = None;
            lock.is_over = false;
        }
    }

    /// Notes how long a lock was waited for in vain, and the server's own time-out. `None`: it was
    /// no lock.
    pub fn waited(&mut self, waited: Option<(Duration, Duration)>, now: Instant) {
        let before = self.lock.and_then(|lock| lock.since);
        if let Some((waited, _)) = waited {
            // A short wait is worth another one soon: it holds up a lane for a fifth of the time.
            self.next_probe = now + PROBE_INTERVAL.min(waited * 4);
        }
        self.lock = waited.map(|(waited, max)| {
            let since = before.unwrap_or_else(|| now.checked_sub(waited).unwrap_or(now));
            LockWaits {
                since: Some(since),
                is_over: now.saturating_duration_since(since) >= max,
            }
        });
    }

    /// Whether somebody holds a lock there.
    pub fn is_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether a flush waits for it: the server's own time-out for locks is not over.
    pub fn is_waited_for(&self) -> bool {
        !self.is_doubtful && self.lock.is_some_and(|lock| !lock.is_over)
    }

    /// Whether rows of a shape wait for it.
    pub fn is_of(&self, shape: &Shape) -> bool {
        !self.is_doubtful && self.concerns(shape)
    }

    /// Whether it is about rows of a shape, doubtful or not.
    fn concerns(&self, shape: &Shape) -> bool {
        Arc::ptr_eq(&self.entry, &shape.entry) && self.columns.as_ref().is_none_or(|columns| *columns == shape.columns)
    }

    pub fn is_of_any(&self, batch: &Batch) -> bool {
        batch.shapes().any(|shape| self.is_of(shape))
    }

    pub fn concerns_any(&self, batch: &Batch) -> bool {
        batch.shapes().any(|shape| self.concerns(shape))
    }

    /// Whether its groups are given up after a time.
    pub fn ends(&self) -> bool {
        parks(&self.error) == Some(ParkEnd::Timeout)
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.awaits_probe() && (self.is_wanted || self.next_probe <= now)
    }

    /// Whether a probe of it comes, in its time.
    pub fn awaits_probe(&self) -> bool {
        self.prober.is_none() && !self.is_stalled && !self.is_doubtful
    }

    /// Wants a probe if somebody has read the table since, and it is not what it was.
    pub fn look_at_table(&mut self) {
        if self.prober.is_some() || self.is_doubtful {
            return;
        }
        if let Some(model) = self.entry.model()
            && self
                .seen
                .as_ref()
                .is_none_or(|seen| !Arc::ptr_eq(seen, &model) && *seen != model)
        {
            self.is_wanted = true;
            self.seen = Some(model);
        }
    }
}

fn columns_of(error: &Error) -> Option<Arc<[Box<str>]>> {
    let is_of_columns = error.kind() == Kind::Blocked || codes::is_of_columns(error.code());
    error.place().filter(|_| is_of_columns)?.columns.clone()
}
