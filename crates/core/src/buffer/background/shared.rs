//! What a background buffer's callers and its flushers share, under one lock. The lock is held
//! while a group is copied, a queue changes or counters are read, and never while something is
//! sent.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::lanes::{Lane, LaneSet, Lanes};
use crate::buffer::failures::Failures;
use crate::buffer::journal::GroupJournal;
use crate::buffer::metrics::Metrics;
use crate::buffer::queue::{Due, LaneId};
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
    /// How often in a row what comes next could not be read back from the journal.
    pub unread: u32,
    pub reconnects: u64,
    /// It opens a connection.
    pub is_connecting: bool,
    /// It keeps a group as a failure.
    pub is_giving_up: bool,
    /// Its thread has nothing more to write.
    pub is_ending: bool,
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
            unread: 0,
            reconnects: 0,
            is_connecting: false,
            is_giving_up: false,
            is_ending: false,
        }
    }
}

/// What the thread does that syncs the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncerState {
    /// There is none.
    None,
    /// It waits for something new.
    Idle,
    /// It syncs, or looks again soon.
    Busy,
}

/// The state behind the lock.
pub struct State {
    pub lanes: Lanes<Flusher>,
    pub failures: Failures,
    pub last_error: Option<String>,
    pub time_blocked: Duration,
    /// The buffer ends, and its rows are waited for.
    pub draining: bool,
    /// No row will come any more: end when the queue is empty.
    pub stopping: bool,
    /// The time to end is over: end after the attempt that is under way.
    pub abandoned: bool,
    /// What was taken, in files.
    pub journal: Option<GroupJournal>,
    /// So many wait for the rows of dead writers, which are written first.
    pub holds: u32,
    /// What the first lane's thread does now and then.
    pub looks: Option<Looks>,
    /// The thread that syncs the journal.
    pub syncer: SyncerState,
    /// How often all groups were taken out of the lanes. An attempt that began before the last time
    /// may not commit, and what it tells is about groups that are not here any more.
    pub taken_back: u64,
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

    /// The lanes that have rows and no thread: it could not be started, or nobody has tried yet.
    pub fn lanes_without_thread(&self) -> Vec<LaneId> {
        let is_missing = |id: &LaneId| {
            let Lane { queue, flusher } = self.lanes.lane(*id);
            flusher.thread == ThreadState::None && flusher.writer.is_some() && queue.pending_rows() > 0
        };
        self.lanes.ids().filter(is_missing).collect()
    }

    /// Rows committed by all lanes.
    pub fn rows_committed(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.flusher.metrics.rows_committed).sum()
    }

    /// The error of a lane whose last attempt failed.
    pub fn last_failed_attempt(&self) -> Option<&Error> {
        let mut failed = self
            .lanes
            .iter()
            .filter_map(|lane| lane.flusher.failed_attempt.as_ref());
        failed.next().map(|(_, error)| error)
    }

    /// Whether a lane awaits the answer to a COMMIT, or keeps a failure: its end is near, and says
    /// what became of some groups.
    pub fn is_amid_settling(&self) -> bool {
        self.lanes
            .ids()
            .any(|lane| self.lanes.awaits_commit(lane) || self.lanes.lane(lane).flusher.is_giving_up)
    }

    /// Whether nothing of what is left can be written before somebody puts something right: each
    /// lane has tried since, in vain, or waits for one that has.
    pub fn is_stuck(&self, attempts_before: &[u64], now: Instant) -> bool {
        let failed_for_good = |lane: &Lane<Flusher>, before: u64| {
            let failed = lane.flusher.failed_attempt.as_ref();
            failed.is_some_and(|(attempt, error)| *attempt > before && !error.may_pass())
        };
        // Any thread takes parked groups that are due.
        let has_parked_work = |lane: &Lane<Flusher>, id: LaneId| {
            self.lanes.parking().has_flight(id)
                || (lane.flusher.thread != ThreadState::None && self.lanes.due(id, now) == Due::Now)
        };
        let lanes = || self.lanes.iter().zip(self.lanes.ids()).zip(attempts_before);
        lanes().any(|((lane, _), before)| failed_for_good(lane, *before))
            && lanes().all(|((lane, id), before)| {
                (lane.queue.pending_rows() == 0 && !has_parked_work(lane, id))
                    || failed_for_good(lane, *before)
                    || (lane.flusher.thread == ThreadState::Idle && self.lanes.due(id, now) == Due::Never)
            })
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
    /// The thread that syncs the journal waits here.
    pub unsynced: Condvar,
    /// There is a journal, or was one, which goes to a successor.
    pub is_journaled: bool,
}

impl Shared {
    /// Shares the state.
    pub fn new(state: State) -> Self {
        Self {
            is_journaled: state.journal.is_some(),
            state: Mutex::new(state),
            done: Condvar::new(),
            unsynced: Condvar::new(),
        }
    }

    /// A panic while the lock is held is a bug. What it leaves is still counted right: each step
    /// changes the queue at its end.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whether a buffer ends.
pub struct Watch(Arc<Shared>);

/// What a buffer does now and then: see `look_every` in
/// [`succession`](crate::buffer::background).
pub type Look = Arc<dyn Fn(Watch) + Send + Sync>;

/// When it does that.
pub struct Looks {
    look: Look,
    interval: Duration,
    next: Instant,
}

impl Looks {
    /// From `next` on, as often as the interval says.
    pub fn new(look: Look, interval: Duration, next: Instant) -> Self {
        Self { look, interval, next }
    }

    /// What is due now. The next one is due an interval later.
    pub fn take_due(&mut self, now: Instant) -> Option<Look> {
        if now < self.next {
            return None;
        }
        self.next = now + self.interval;
        Some(Arc::clone(&self.look))
    }

    /// When the next one is due.
    pub fn next(&self) -> Instant {
        self.next
    }
}

impl Watch {
    /// Of a buffer.
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// Notes an error for whoever looks at the metrics.
    pub fn note(&self, error: &Error) {
        self.0.lock().last_error = Some(error.to_string());
    }

    /// Whether it does.
    pub fn is_stopping(&self) -> bool {
        self.0.lock().stopping
    }
}
