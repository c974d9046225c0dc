//! The buffer whose rows a native thread writes. `add()` copies them and returns. A flusher writes
//! when a batch is full or its oldest row is `flush_interval` old, whatever the caller does
//! meanwhile.
//!
//! It has one or several lanes. Each is a queue, a thread, a connection and a row in the ledger.
//!
//! A batch counts rows as they were added: their keys may not be known before the flusher has read
//! the table's schema, and `add()` does not wait for that.
//!
//! Invariants:
//! - A row that was taken is in exactly one place: the [`Lanes`], a committed transaction, or the
//!   failures. The flusher moves it under the lock.
//! - Nothing is sent or waited for under the lock. `add()` copies under it; `find()` takes
//!   references to batches under it, and reads the one that takes rows. Of a table that has parked
//!   rows it reads all rows there.
//! - A lane's flusher starts with the lane's first row, waits without an alarm while nothing is
//!   buffered, and ends with the buffer. With a journal the first one looks for dead writers now
//!   and then.
//! - The rows of one key are written in the order in which they were added, whatever their lanes:
//!   see [`lanes`].
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes`; those of the [`Failures`]. `add()` waits for
//! room up to `overflow_timeout`, the end up to `shutdown_timeout` and 500 ms. `flush()` waits up
//! to its time. Without one it waits until all is settled or an attempt fails.
//!
//! The locks are the standard library's, which have no state outside themselves. So a forked child
//! that makes a new buffer never meets a lock held by a thread that it does not have: see
//! `docs/design/forks-and-ends.md`.

mod attempts;
mod checks;
mod end;
mod flusher;
mod journaled;
pub mod lanes;
mod read_back;
pub mod route;
mod seen;
mod shared;
mod succession;
mod syncing;
mod tickets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::lanes::{Chosen, Lanes};
use crate::buffer::background::route::Route;
use crate::buffer::background::shared::{Flusher, Shared, State, SyncerState};
use crate::buffer::failures::Failures;
use crate::buffer::find::{Finder, Found, KeyPart, TableIndex};
use crate::buffer::journal::GroupJournal;
use crate::buffer::limits::{describe_bounds, group_too_large};
use crate::buffer::metrics::count;
use crate::buffer::queue::LaneId;
use crate::buffer::queue::stored::StoredBatch;
use crate::buffer::snapshot::ThreadState;
use crate::clock::{Clock, SystemClock};
use crate::dead_letter::FlushError;
use crate::error::{Error, Result};
use crate::rows::group::Group;
use crate::settings::{Overflow, Settings};
use crate::sink::{LocalModel, Place, Sink};
use crate::table::catalog::Catalog;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;
use crate::writer::Writer;

/// How often a waiting caller checks whether its thread is wanted elsewhere.
const INTERRUPT_CHECK: Duration = Duration::from_millis(20);

pub use shared::Watch;
pub use succession::Hold;

/// Starts a thread. The binding does that in its own way: signals must stay with PHP's thread.
pub type Spawn = fn(Box<dyn FnOnce() + Send>) -> std::io::Result<()>;

/// A buffer whose rows native threads write: see the module.
pub struct BackgroundBuffer {
    settings: Settings,
    catalog: Mutex<Catalog>,
    shared: Arc<Shared>,
    clock: SystemClock,
    spawn: Spawn,
    local_model: Option<LocalModel>,
    finder: Mutex<Finder>,
    /// The servers, for messages.
    place: Option<Place>,
}

/// Why a wait ended.
enum WaitEnd {
    Done,
    TimeOver,
    Interrupted,
}

impl BackgroundBuffer {
    /// An empty buffer with a lane for each sink. A lane's thread starts with its first row.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(settings: Settings, mut sinks: Vec<Box<dyn Sink>>, spawn: Spawn) -> Result<Self> {
        settings.check()?;
        let settings = settings.with_journal_needs();
        let journal = settings
            .journal
            .as_ref()
            .map(|journal| GroupJournal::begin(journal, &settings, &mut sinks));
        let buffer = Self::with_journal(settings, sinks, spawn, journal.transpose()?)?;
        if buffer.settings.journal.is_some() {
            buffer.shared.lock().lanes.store(&buffer.settings);
        }
        Ok(buffer)
    }

    /// As [`Self::new`], with this journal, whose writer the sinks have been told.
    pub(in crate::buffer) fn with_journal(
        settings: Settings,
        sinks: Vec<Box<dyn Sink>>,
        spawn: Spawn,
        journal: Option<GroupJournal>,
    ) -> Result<Self> {
        if sinks.len() != settings.lanes {
            return Err(Error::config(format!(
                "{} lanes need as many sinks, not {}",
                settings.lanes,
                sinks.len()
            )));
        }
        let local_model = sinks.first().and_then(|sink| sink.local_model());
        let catalog = settings.catalog(sinks.first().and_then(|sink| sink.database()))?;
        let place = sinks.first().and_then(|sink| sink.place());
        let flusher = |sink| Flusher::new(Writer::new(sink, Arc::new(SystemClock), &settings));
        let mut lanes = Lanes::new(&settings, sinks.into_iter().map(flusher));
        if journal.is_some() {
            lanes.note_parked();
        }
        let state = State {
            lanes,
            failures: Failures::new(settings.dead_letter_file.is_some()),
            last_error: None,
            time_blocked: Duration::ZERO,
            draining: false,
            stopping: false,
            abandoned: false,
            journal,
            holds: 0,
            looks: None,
            syncer: SyncerState::None,
            taken_back: 0,
        };
        Ok(Self {
            place,
            catalog: Mutex::new(catalog),
            shared: Arc::new(Shared::new(state)),
            clock: SystemClock,
            spawn,
            local_model,
            finder: Mutex::default(),
            settings,
        })
    }

    /// The tables and shapes, for whoever makes groups.
    pub fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a wait for room that begins now must end. `None`: do not wait.
    pub fn room_limit(&self) -> Option<Instant> {
        let blocks = self.settings.overflow == Overflow::Block;
        blocks.then(|| self.room_limit_if_waiting())
    }

    /// The same for whoever waits, whatever `overflow` says.
    pub fn room_limit_if_waiting(&self) -> Instant {
        self.clock.now() + self.settings.overflow_timeout
    }

    /// Takes a group. If it does not fit, waits for room until `limit`. Returns its number. `None`:
    /// there was no row to take.
    ///
    /// # Errors
    ///
    /// The group was not taken if it can never be written, as far as that is known; if it does not
    /// fit; or if the wait was [interrupted](crate::error::Kind::Interrupted). If the thread cannot
    /// be started, the group was taken.
    pub fn add(&self, group: &Group, limit: Option<Instant>, interrupted: &dyn Fn() -> bool) -> Result<Option<u64>> {
        let route = self.check_group(group)?;
        if group.is_empty() {
            return Ok(None);
        }
        let mut state = self.shared.lock();
        if !state.lanes.fits(group) {
            state = self.wait_for_room(state, group, limit, interrupted)?;
        }
        let mut chosen = state.lanes.choose(route.as_ref(), || self.clock.now());
        let mut must_sync = None;
        if self.settings.journal.is_some() {
            (state, chosen, must_sync) = self.keep(state, group, route.as_ref(), chosen, limit, interrupted)?;
        }
        let number = chosen.number;
        self.take_at(state, group, route.as_ref(), chosen)?;
        if let Some(must_sync) = must_sync {
            must_sync
                .wait()
                .map_err(|error| error.context("the group was taken, and may not survive a power cut"))?;
        }
        Ok(Some(number))
    }

    /// Takes a group at its place, and starts the lane's thread if there is none.
    fn take_at(
        &self,
        mut state: MutexGuard<'_, State>,
        group: &Group,
        route: Option<&Route>,
        chosen: Chosen,
    ) -> Result<()> {
        let lane = chosen.lane;
        let wake = state.lanes.add_at(group, route, chosen, self.clock.now());
        let stopping = state.stopping;
        let flusher = &mut state.lanes.lane_mut(lane).flusher;
        flusher.metrics.rows_added += count(group.len());
        let is_first = flusher.thread == ThreadState::None && !stopping;
        if is_first {
            flusher.thread = ThreadState::Idle;
        }
        let sleepers = state.sleepers(wake);
        drop(state);
        sleepers.wake();
        if is_first {
            self.start_thread(lane)
                .map_err(|error| error.context("the group was taken, and waits"))?;
        }
        Ok(())
    }

    /// Starts the threads of lanes that have rows and none: one could not be started before.
    fn start_missing_threads(&self) -> Result<()> {
        let mut state = self.shared.lock();
        if state.stopping {
            return Ok(());
        }
        let missing = state.lanes_without_thread();
        for lane in &missing {
            state.lanes.lane_mut(*lane).flusher.thread = ThreadState::Idle;
        }
        drop(state);
        missing
            .into_iter()
            .map(|lane| self.start_thread(lane))
            .fold(Ok(()), Result::and)
    }

    fn wait_for_room<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        group: &Group,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<MutexGuard<'s, State>> {
        if limit.is_some() && state.lanes.could_ever_fit(group) {
            let started = self.clock.now();
            state.lanes.request_flush();
            state.wake_all();
            let (waited, why) = self.wait(state, limit, interrupted, |state| state.lanes.fits(group));
            state = waited;
            state.time_blocked += self.clock.now().saturating_duration_since(started);
            match why {
                WaitEnd::Done => return Ok(state),
                WaitEnd::Interrupted => return Err(Error::interrupted()),
                WaitEnd::TimeOver => {}
            }
        }
        let pending = (state.lanes.pending_rows(), state.lanes.pending_bytes());
        let bounds = describe_bounds(&self.settings, pending, (group.len(), group.size_bytes()));
        if !state.lanes.could_ever_fit(group) {
            return Err(group_too_large(&bounds));
        }
        Err(Error::full(match state.last_failed_attempt() {
            Some(error) => format!("the buffer is full ({bounds}), and the last attempt to write failed: {error}"),
            None if state.lanes.parking().rows() > 0 => {
                let parked = state.lanes.parking().error(u64::MAX, self.clock.now());
                let why = parked.map_or_else(String::new, |error| error.to_string());
                format!("the buffer is full ({bounds}): {why}")
            }
            None => format!("the buffer is full ({bounds}): the database takes rows more slowly than they are added"),
        }))
    }

    /// Starts a lane's flusher. If that fails the rows stay, and whoever adds or waits next tries
    /// again.
    fn start_thread(&self, lane: LaneId) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let body = move || {
            let writer = shared.lock().lanes.lane_mut(lane).flusher.writer.take();
            if let Some(writer) = writer {
                flusher::run(&shared, lane, writer);
            }
        };
        (self.spawn)(Box::new(body)).map_err(|error| {
            self.shared.lock().lanes.lane_mut(lane).flusher.thread = ThreadState::None;
            Error::connection(0, format!("the flusher's thread cannot be started: {error}"))
        })
    }

    /// Waits until all rows that were added before are committed or given up. Returns the number of
    /// rows committed meanwhile.
    ///
    /// # Errors
    ///
    /// An attempt that failed after this call began; the time is over; groups that were given up
    /// since the last report; rows that wait for a table, once all others are committed; a thread
    /// that cannot be started; or an [interruption](crate::error::Kind::Interrupted), after which
    /// the caller calls again. The rows that are not written stay.
    pub fn flush(&self, timeout: Option<Duration>, interrupted: &dyn Fn() -> bool) -> Result<usize, FlushError> {
        let flushed = self.wait_for_flush(timeout, interrupted)?;
        let waiting = self.pending().rows;
        if waiting == 0
            && let Ok(mut finder) = self.finder.try_lock()
        {
            // Nothing waits that it could find.
            *finder = Finder::default();
        }
        Ok(flushed)
    }

    fn wait_for_flush(&self, timeout: Option<Duration>, interrupted: &dyn Fn() -> bool) -> Result<usize, FlushError> {
        let started = self.clock.now();
        let limit = timeout.and_then(|timeout| started.checked_add(timeout));
        self.start_missing_threads()?;
        let mut state = self.shared.lock();
        let target = state.lanes.request_flush();
        let flushed_before = state.rows_committed();
        let attempts_before: Vec<u64> = state.lanes.iter().map(|lane| lane.flusher.attempts).collect();
        state.wake_all();
        let failed_since = |state: &State| {
            let mut lanes = state.lanes.iter().zip(&attempts_before);
            let failed = lanes.find_map(|(lane, before)| {
                let (attempt, error) = lane.flusher.failed_attempt.as_ref()?;
                (attempt > before).then_some(error)
            });
            failed.cloned()
        };
        let (waited, why) = self.wait(state, limit, interrupted, |state| {
            state.lanes.is_tried(target) || failed_since(state).is_some()
        });
        state = waited;
        state.time_blocked += self.clock.now().saturating_duration_since(started);
        if matches!(why, WaitEnd::Interrupted) {
            return Err(Error::interrupted().into());
        }
        let failed = failed_since(&state).or_else(|| state.last_failed_attempt().cloned());
        // Or a table that is locked.
        let failed = failed.or_else(|| state.lanes.parking().error(target, self.clock.now()));
        let error = match (why, failed) {
            (WaitEnd::Done, _) if state.lanes.is_tried(target) => {
                let parked = state.lanes.parking().error(target, self.clock.now());
                return match FlushError::given_up(state.failures.unreported(), parked) {
                    Some(failed) => {
                        state.failures.told(&failed);
                        Err(failed)
                    }
                    None => Ok(usize::try_from(state.rows_committed() - flushed_before).unwrap_or(usize::MAX)),
                };
            }
            (WaitEnd::Done, Some(error)) => error,
            (WaitEnd::TimeOver, Some(error)) => {
                Error::timeout(format!("the time given is over; the last error: {error}"))
            }
            _ => Error::timeout(format!(
                "the time given is over, and {} has not taken all rows: {}",
                self.place_in_words(),
                Self::slowness(&state, state.rows_committed() > flushed_before)
            )),
        };
        let failed = state.failures.reported_by(error);
        state.failures.told(&failed);
        Err(failed)
    }

    fn wait<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
        is_done: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'s, State>, WaitEnd) {
        loop {
            if !state.stopping && !state.lanes_without_thread().is_empty() {
                drop(state);
                // If it fails, the next round tries again.
                drop(self.start_missing_threads());
                state = self.shared.lock();
            }
            if is_done(&state) {
                return (state, WaitEnd::Done);
            }
            let now = self.clock.now();
            if limit.is_some_and(|limit| now >= limit) {
                return (state, WaitEnd::TimeOver);
            }
            if interrupted() {
                return (state, WaitEnd::Interrupted);
            }
            let slice = limit.map_or(INTERRUPT_CHECK, |limit| limit.duration_since(now).min(INTERRUPT_CHECK));
            let waited = self.shared.done.wait_timeout(state, slice);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the flushers to write all that was added so far. Does not wait for it.
    pub fn request_flush(&self) {
        let mut state = self.shared.lock();
        state.lanes.request_flush();
        state.wake_all();
    }

    /// The row still buffered under a key. If the server has not described the table yet, its key
    /// is the configured one, or `id`.
    ///
    /// # Errors
    ///
    /// A key of the wrong shape.
    pub fn find(&self, table: &str, key: &[KeyPart<'_>]) -> Result<Found> {
        let catalog = self.catalog();
        let Some((id, entry)) = catalog
            .known_table(table)
            .and_then(|id| Some((id, Arc::clone(catalog.entry(id)?))))
        else {
            return Ok(Found::Nothing);
        };
        drop(catalog);
        let model = entry.model().map_or_else(
            || TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).map(Arc::new),
            Ok,
        );
        let found = model.and_then(|model| {
            loop {
                let stored_before = self.shared.lock().lanes.times_stored();
                let found = self.find_by(id, &entry, &model, key);
                // What left the memory after it was looked for was not found there.
                if self.shared.lock().lanes.times_stored() == stored_before {
                    return found;
                }
            }
        });
        match found {
            // Nothing could be found by any key.
            Err(_) if !self.shared.lock().lanes.has_rows_of(id) => Ok(Found::Nothing),
            found => found,
        }
    }

    fn find_by(
        &self,
        id: TableId,
        entry: &Arc<TableEntry>,
        model: &Arc<TableModel>,
        key: &[KeyPart<'_>],
    ) -> Result<Found> {
        let mut look = |index: &mut TableIndex, wanted| {
            let state = self.shared.lock();
            let (lanes, journal) = (&state.lanes, state.journal.as_ref());
            let read = |stored: &Arc<StoredBatch>| journal?.reading(stored);
            let queues = lanes.iter().map(|lane| &lane.queue);
            let seen = index.look(queues, lanes.parking(), wanted, &read);
            (seen, lanes.pending_rows())
        };
        let mut finder = self.finder.lock().unwrap_or_else(PoisonError::into_inner);
        let found = finder.find(id, model, key, &mut look)?;
        if found != Found::Nothing || !self.shared.lock().lanes.parking().blocks(entry) {
            return Ok(found);
        }
        finder.find_blocked(id, entry, key, &mut look)
    }
}
