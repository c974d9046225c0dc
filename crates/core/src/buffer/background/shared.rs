//! What a background buffer's callers and its flushers share, under one lock. The lock is held
//! while a group is copied, a queue changes or counters are read, and never while something is
//! sent.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::lanes::{LaneSet, Lanes};
use crate::buffer::failures::Failures;
use crate::buffer::metrics::Metrics;
use crate::buffer::queue::LaneId;
use crate::buffer::snapshot::{Pending, ThreadState};
use crate::error::Error;
use crate::writer::Writer;

/// What a lane has beside its queue: its writer, and how that went.
pub struct Flusher {
    /// The writer, until its thread runs and takes it.
    pub writer: Option<Writer>,
    /// The lane's thread waits here.
    work: Arc<Condvar>,
    /// What the thread does.
    pub thread: ThreadState,
    pub metrics: Metrics,
    /// The number of attempts to write that were begun.
    pub attempts: u64,
    pub failed_attempt: Option<(u64, Error)>,
    pub failures_in_a_row: u32,
    pub reconnects: u64,
}

impl Flusher {
    /// A flusher whose thread does not run yet.
    pub fn new(writer: Writer) -> Self {
        Self {
            writer: Some(writer),
            work: Arc::new(Condvar::new()),
            thread: ThreadState::None,
            metrics: Metrics::default(),
            attempts: 0,
            failed_attempt: None,
            failures_in_a_row: 0,
            reconnects: 0,
        }
    }
}

/// The state behind the lock.
pub struct State {
    pub lanes: Lanes<Flusher>,
    pub failures: Failures,
    pub last_error: Option<String>,
    pub time_blocked: Duration,
    /// No row will come any more: end when the queue is empty.
    pub stopping: bool,
    /// The time to end is over: end after the attempt that is under way.
    pub abandoned: bool,
}

impl State {
    /// Rows that were taken and are not settled.
    pub fn pending(&self, now: Instant) -> Pending {
        let lanes = &self.lanes;
        Pending::new(lanes.pending_rows(), lanes.pending_bytes(), lanes.oldest(), now)
    }

    /// Whether all threads have ended, or never began.
    pub fn all_threads_ended(&self) -> bool {
        self.lanes.iter().all(|lane| lane.flusher.thread == ThreadState::None)
    }

    /// Rows committed by all lanes.
    pub fn total_flushed(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.flusher.metrics.total_flushed).sum()
    }

    /// The error of a lane whose last attempt failed.
    pub fn last_failed_attempt(&self) -> Option<&Error> {
        let mut failed = self
            .lanes
            .iter()
            .filter_map(|lane| lane.flusher.failed_attempt.as_ref());
        failed.next().map(|(_, error)| error)
    }

    /// The lanes' threads that wait for work, to be woken without the lock.
    pub fn sleepers(&self, lanes: LaneSet) -> Sleepers {
        let idle = |id: &LaneId| self.lanes.lane(*id).flusher.thread == ThreadState::Idle;
        Sleepers(lanes.ids().filter(idle).map(|id| self.work(id)).collect())
    }

    /// Where a lane's thread waits.
    pub fn work(&self, lane: LaneId) -> Arc<Condvar> {
        Arc::clone(&self.lanes.lane(lane).flusher.work)
    }

    /// Wakes all threads.
    pub fn wake_all(&self) {
        self.lanes.iter().for_each(|lane| lane.flusher.work.notify_one());
    }
}

/// Threads that wait for work.
pub struct Sleepers(Vec<Arc<Condvar>>);

impl Sleepers {
    /// Wakes them.
    pub fn wake(self) {
        self.0.iter().for_each(|work| work.notify_one());
    }
}

/// The state and its lock: see the module.
pub struct Shared {
    state: Mutex<State>,
    /// Callers wait here, and so do flushers that wait for other lanes.
    pub done: Condvar,
}

impl Shared {
    /// Shares the state.
    pub fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            done: Condvar::new(),
        }
    }

    /// A panic while the lock is held is a bug. What it leaves is still counted right: each step
    /// changes the queue at its end.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
