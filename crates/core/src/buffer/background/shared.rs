//! What a background buffer's callers and its flushers share, under one lock.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::lanes::{LaneSet, Lanes};
use crate::buffer::metrics::Metrics;
use crate::buffer::snapshot::{Pending, ThreadState};
use crate::dead_letter::DeadLetter;
use crate::error::Error;

/// A lane, beside its queue.
#[derive(Default)]
pub(crate) struct LaneState {
    pub metrics: Metrics,
    /// Attempts to write that were begun, and the last one that failed.
    pub attempts: u64,
    pub failed_attempt: Option<(u64, Error)>,
    pub failures_in_a_row: u32,
    pub thread: ThreadState,
    pub reconnects: u64,
}

pub(crate) struct State {
    pub lanes: Lanes,
    pub flushers: Vec<LaneState>,
    pub failures: VecDeque<DeadLetter>,
    pub has_dead_letter_file: bool,
    /// What a caller has not been told yet.
    pub unreported: Vec<DeadLetter>,
    pub last_error: Option<String>,
    pub time_blocked: Duration,
    /// No row will come any more: end when the queue is empty.
    pub stopping: bool,
    /// The time to end is over: end after the attempt that is under way.
    pub abandoned: bool,
}

impl State {
    pub fn pending(&self, now: Instant) -> Pending {
        let oldest = self.lanes.oldest();
        Pending {
            rows: self.lanes.pending_rows(),
            bytes: self.lanes.pending_bytes(),
            oldest_age: oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest)),
        }
    }

    pub fn is_idle(&self, lane: usize) -> bool {
        self.flushers
            .get(lane)
            .is_some_and(|flusher| flusher.thread == ThreadState::Idle)
    }

    pub fn all_threads_ended(&self) -> bool {
        self.flushers.iter().all(|flusher| flusher.thread == ThreadState::None)
    }

    pub fn total_flushed(&self) -> u64 {
        self.flushers.iter().map(|flusher| flusher.metrics.total_flushed).sum()
    }

    /// The error of a lane whose last attempt failed.
    pub fn last_failed_attempt(&self) -> Option<&Error> {
        let mut failed = self
            .flushers
            .iter()
            .filter_map(|flusher| flusher.failed_attempt.as_ref());
        failed.next().map(|(_, error)| error)
    }
}

pub(crate) struct Shared {
    pub state: Mutex<State>,
    /// Each lane's flusher waits at its own.
    pub work: Vec<Condvar>,
    /// Callers wait here, and flushers for other lanes.
    pub done: Condvar,
}

impl Shared {
    /// A panic while the lock is held is a bug, and what it leaves is still counted right: each step changes the queue
    /// at its end.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wake(&self, lane: usize) {
        if let Some(work) = self.work.get(lane) {
            work.notify_one();
        }
    }

    pub fn wake_all(&self) {
        self.work.iter().for_each(Condvar::notify_one);
    }

    pub fn tell(&self, wake: LaneSet) {
        self.done.notify_all();
        wake.lanes().for_each(|lane| self.wake(lane));
    }
}
