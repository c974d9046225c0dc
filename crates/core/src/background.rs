//! The buffer whose rows a native thread writes: `add()` copies and returns; the flusher writes when a batch is full or
//! its oldest row is `flush_interval` old, whatever the caller does meanwhile.
//!
//! Invariants:
//! - A row taken is in exactly one place: the [`Queue`], a committed transaction, or the failures. The flusher moves it
//!   under the lock.
//! - The lock is held for copies and counters only: no I/O, no wait, no allocation that grows with the backlog but the
//!   batch's own.
//! - The flusher starts with the first row, waits without an alarm while nothing is buffered, and ends with the buffer.
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes`; every wait of a caller has a limit or ends with an attempt that
//! failed; [`MAX_FAILURES`] failures are kept.
//!
//! The locks are the standard library's: they have no state outside themselves, so a forked child that makes a new buffer
//! never meets a lock of a thread that it has not.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Group};
use crate::catalog::Catalog;
use crate::clock::{Clock, SystemClock};
use crate::config::{Overflow, Settings};
use crate::dead_letter::{DeadLetter, FlushError, NamedRow};
use crate::error::{Error, Result};
use crate::find::{self, KeyPart};
use crate::foreground::{GOODBYE, MAX_FAILURES, Pending, keep_failure};
use crate::metrics::{Event, Metrics};
use crate::plan::Binder;
use crate::queue::{Added, Due, Queue};
use crate::sink::{LocalModel, Sink};
use crate::table::TableModel;
use crate::writer::{Observer, Writer, Written};

/// The wait after the first failure in a row.
const FIRST_RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait after a failure: a server that is back is noticed within this time.
const LONGEST_RECONNECT_BACKOFF: Duration = Duration::from_secs(2);
/// How often a waiting caller looks whether its thread is wanted elsewhere.
const INTERRUPT_CHECK: Duration = Duration::from_millis(20);

/// Starts a thread: the binding's own way, since signals must stay with PHP's thread.
pub type Spawn = fn(Box<dyn FnOnce() + Send>) -> std::io::Result<()>;

/// What the flusher is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadState {
    /// There is no thread: no row has come yet, or it has ended.
    None,
    /// It waits for rows, or for their time.
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

struct State {
    queue: Queue,
    metrics: Metrics,
    failures: VecDeque<DeadLetter>,
    has_dead_letter_file: bool,
    /// What a caller has not been told yet.
    unreported: Vec<DeadLetter>,
    /// Attempts to write that were begun, and the last one that failed.
    attempts: u64,
    failed_attempt: Option<(u64, Error)>,
    failures_in_a_row: u32,
    thread: ThreadState,
    reconnects: u64,
    /// No row will come any more: end when the queue is empty.
    stopping: bool,
    /// The time to end is over: end after the attempt that is under way.
    abandoned: bool,
}

impl State {
    fn pending(&self, now: Instant) -> Pending {
        let oldest = self.queue.oldest();
        Pending {
            rows: self.queue.pending_rows(),
            bytes: self.queue.pending_bytes(),
            oldest_age: oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest)),
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// The flusher waits here.
    work: Condvar,
    /// Callers wait here.
    done: Condvar,
}

impl Shared {
    /// A panic while the lock is held is a bug, and what it leaves is still counted right: each step changes the queue
    /// at its end.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub struct BackgroundBuffer {
    settings: Settings,
    catalog: Mutex<Catalog>,
    shared: Arc<Shared>,
    clock: SystemClock,
    spawn: Spawn,
    local_model: Option<LocalModel>,
    /// What the thread is made of, until it runs.
    writer: Arc<Mutex<Option<Writer>>>,
}

/// Why a wait ended.
enum Waited {
    Done,
    TimeOver,
    Interrupted,
}

impl BackgroundBuffer {
    /// An empty buffer. Its thread starts with the first row.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(settings: Settings, sink: Box<dyn Sink>, spawn: Spawn) -> Result<Self> {
        settings.check()?;
        let state = State {
            queue: Queue::new(&settings),
            metrics: Metrics::default(),
            failures: VecDeque::new(),
            has_dead_letter_file: settings.dead_letter_file.is_some(),
            unreported: Vec::new(),
            attempts: 0,
            failed_attempt: None,
            failures_in_a_row: 0,
            thread: ThreadState::None,
            reconnects: 0,
            stopping: false,
            abandoned: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
        };
        Ok(Self {
            catalog: Mutex::new(settings.catalog()?),
            shared: Arc::new(shared),
            clock: SystemClock,
            spawn,
            local_model: sink.local_model(),
            writer: Arc::new(Mutex::new(Some(Writer::new(sink, Arc::new(SystemClock), &settings)))),
            settings,
        })
    }

    /// The tables and shapes, for whoever makes groups.
    pub fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a wait for room that begins now must end; `None`: there is none.
    pub fn room_limit(&self) -> Option<Instant> {
        let blocks = self.settings.overflow == Overflow::Block;
        blocks.then(|| self.clock.now() + self.settings.overflow_timeout)
    }

    /// Takes a group. Waits only where it does not fit, until `limit`.
    ///
    /// # Errors
    ///
    /// The group was not taken: it can never be written as far as that is known, it does not fit, or the wait was [interrupted](Error::is_interrupted).
    pub fn add(&self, group: &Group, limit: Option<Instant>, interrupted: &dyn Fn() -> bool) -> Result<()> {
        self.check_group(group)?;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if group.is_empty() {
            return Ok(());
        }
        if !state.queue.fits(group) {
            state = self.wait_for_room(state, &shared, group, limit, interrupted)?;
        }
        let added = state.queue.add(group, self.clock.now());
        state.metrics.added_rows += count(group.len());
        let is_waiting = state.thread == ThreadState::Idle;
        let is_first = state.thread == ThreadState::None && !state.stopping;
        if is_first {
            state.thread = ThreadState::Idle;
        }
        drop(state);
        if is_first {
            return self.start_thread();
        }
        if added == Added::Wake && is_waiting {
            shared.work.notify_one();
        }
        Ok(())
    }

    /// Refuses a group that can never be written, as far as its tables are known.
    fn check_group(&self, group: &Group) -> Result<()> {
        let mut binder = Binder::default();
        for row in group.rows() {
            let entry = &row.shape.entry;
            if let (None, Some(local_model)) = (entry.model(), self.local_model) {
                entry.set_model(Some(Arc::new(local_model(entry)?)));
            }
            // The flusher forgets a model after an error, also between two looks of ours.
            binder.bind_known(&row)?;
        }
        Ok(())
    }

    fn wait_for_room<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        shared: &'s Shared,
        group: &Group,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<MutexGuard<'s, State>> {
        if limit.is_some() && state.queue.could_ever_fit(group) {
            let started = self.clock.now();
            state.queue.want_all();
            shared.work.notify_one();
            let (waited, why) = self.wait(shared, state, limit, interrupted, |state| state.queue.fits(group));
            state = waited;
            state.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
            match why {
                Waited::Done => return Ok(state),
                Waited::Interrupted => return Err(Error::interrupted()),
                Waited::TimeOver => {}
            }
        }
        let bound = format!(
            "maxPendingRows is {}, maxPendingBytes {}; {} rows and {} bytes are buffered, the group has {} rows and {} bytes",
            self.settings.max_pending_rows,
            self.settings.max_pending_bytes,
            state.queue.pending_rows(),
            state.queue.pending_bytes(),
            group.len(),
            group.size_bytes()
        );
        Err(Error::full(match &state.failed_attempt {
            _ if !state.queue.could_ever_fit(group) => {
                format!("the group does not fit into the buffer ({bound}): add fewer rows at once, or raise the bound")
            }
            Some((_, error)) => format!("the buffer is full ({bound}), and the last attempt to write failed: {error}"),
            None => format!("the buffer is full ({bound}): the database takes rows more slowly than they are added"),
        }))
    }

    /// Starts the flusher. Where that fails the rows stay, and the next `add()` tries again.
    fn start_thread(&self) -> Result<()> {
        let (shared, slot) = (Arc::clone(&self.shared), Arc::clone(&self.writer));
        let body = move || {
            let writer = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(mut writer) = writer {
                run(&shared, &mut writer);
            }
        };
        (self.spawn)(Box::new(body)).map_err(|error| {
            self.shared.lock().thread = ThreadState::None;
            Error::connection(
                0,
                format!("the group was taken, but the flusher's thread cannot be started: {error}"),
            )
        })
    }

    /// Waits until all rows added before are committed or given up.
    ///
    /// # Errors
    ///
    /// An attempt that failed after this call began, the time, groups that were given up since the last report, or an
    /// [interruption](Error::is_interrupted), after which the caller calls again. The rows that are not written stay.
    pub fn flush(&self, timeout: Option<Duration>, interrupted: &dyn Fn() -> bool) -> Result<usize, FlushError> {
        let started = self.clock.now();
        let limit = timeout.and_then(|timeout| started.checked_add(timeout));
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let target = state.queue.want_all();
        let flushed_before = state.metrics.total_flushed;
        let attempts_before = state.attempts;
        shared.work.notify_one();
        let failed_since = |state: &State| {
            state
                .failed_attempt
                .as_ref()
                .is_some_and(|(attempt, _)| *attempt > attempts_before)
        };
        let (waited, why) = self.wait(&shared, state, limit, interrupted, |state| {
            state.queue.is_settled(target) || failed_since(state)
        });
        state = waited;
        state.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
        if matches!(why, Waited::Interrupted) {
            return Err(Error::interrupted().into());
        }
        let failures = std::mem::take(&mut state.unreported);
        let error = match (why, &state.failed_attempt) {
            (Waited::Done, _) if state.queue.is_settled(target) => {
                return match FlushError::given_up(failures) {
                    Some(failed) => Err(failed),
                    None => Ok(usize::try_from(state.metrics.total_flushed - flushed_before).unwrap_or(usize::MAX)),
                };
            }
            (Waited::Done, Some((_, error))) => error.clone(),
            (Waited::TimeOver, Some((_, error))) => {
                Error::timeout(format!("the time given is over; the last error: {error}"))
            }
            _ => Error::timeout("the time given is over"),
        };
        Err(FlushError { error, failures })
    }

    fn wait<'s>(
        &self,
        shared: &'s Shared,
        mut state: MutexGuard<'s, State>,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
        is_done: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'s, State>, Waited) {
        loop {
            if is_done(&state) {
                return (state, Waited::Done);
            }
            let now = self.clock.now();
            if limit.is_some_and(|limit| now >= limit) {
                return (state, Waited::TimeOver);
            }
            if interrupted() {
                return (state, Waited::Interrupted);
            }
            let slice = limit.map_or(INTERRUPT_CHECK, |limit| limit.duration_since(now).min(INTERRUPT_CHECK));
            let waited = shared.done.wait_timeout(state, slice);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the flusher to write all that was added so far, and does not wait for it.
    pub fn want_all(&self) {
        self.shared.lock().queue.want_all();
        self.shared.work.notify_one();
    }

    /// Waits until all is written, through failures, for up to `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, and why rows are left.
    pub fn drain_through_failures(&self, timeout: Duration) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.queue.pending_rows() == 0 {
            return Ok(());
        }
        state.queue.want_all();
        shared.work.notify_one();
        let limit = self.clock.now() + timeout;
        let is_done = |state: &State| state.queue.pending_rows() == 0 || state.thread == ThreadState::None;
        state = self.wait(&shared, state, Some(limit), &|| false, is_done).0;
        if state.queue.pending_rows() == 0 {
            return Ok(());
        }
        Err(Error::timeout(state.failed_attempt.as_ref().map_or_else(
            || format!("the database did not take them within {} ms", timeout.as_millis()),
            |(_, error)| error.to_string(),
        )))
    }

    /// The end: lets the thread go. Rows that are not written by now are lost; the attempt that is under way goes on.
    pub fn stop(&self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.stopping = true;
        state.abandoned = state.queue.pending_rows() > 0;
        shared.work.notify_one();
        if !state.abandoned {
            let goodbye = self.clock.now() + GOODBYE;
            let is_gone = |state: &State| state.thread == ThreadState::None;
            drop(self.wait(&shared, state, Some(goodbye), &|| false, is_gone));
        }
    }

    /// The row still buffered under a key. Where the server has not been asked for the table yet, the configured key, or
    /// `id`, is taken for its key.
    ///
    /// # Errors
    ///
    /// A key of the wrong shape.
    pub fn find(&self, table: &str, key: &[KeyPart<'_>]) -> Result<Option<NamedRow>> {
        let catalog = self.catalog();
        let Some((id, entry)) = catalog
            .known_table(table)
            .and_then(|id| Some((id, Arc::clone(catalog.entry(id)?))))
        else {
            return Ok(None);
        };
        drop(catalog);
        let state = self.shared.lock();
        if !state.queue.has_rows_of(id) {
            return Ok(None);
        }
        let model = match entry.model() {
            Some(model) => model,
            None => Arc::new(TableModel::without_schema(
                &entry.name,
                &entry.rules,
                entry.default_mode,
            )?),
        };
        find::find(state.queue.rows().filter(|row| row.shape.table == id), &model, key)
    }

    /// Whether the rows of any one table have reached the batch size, those in flight counted.
    pub fn is_full(&self) -> bool {
        self.shared.lock().queue.is_full()
    }

    /// Rows taken and not yet committed.
    pub fn pending(&self) -> Pending {
        let now = self.clock.now();
        self.shared.lock().pending(now)
    }

    /// The counters, and the state of the queue at the same instant.
    pub fn snapshot(&self) -> (Metrics, Pending, ThreadState, u64) {
        let now = self.clock.now();
        let state = self.shared.lock();
        (
            state.metrics.clone(),
            state.pending(now),
            state.thread,
            state.reconnects,
        )
    }

    /// The failures, handed over once.
    pub fn take_failures(&self) -> Vec<DeadLetter> {
        let mut state = self.shared.lock();
        state.unreported.clear();
        state.failures.drain(..).collect()
    }

    /// How many rows the failures hold that nobody took.
    pub fn untaken_failed_rows(&self) -> usize {
        self.shared
            .lock()
            .failures
            .iter()
            .map(|failure| failure.rows.len())
            .sum()
    }

    /// The last error, as text.
    pub fn last_error(&self) -> Option<String> {
        self.shared.lock().metrics.last_error.clone()
    }
}

/// The flusher's thread.
fn run(shared: &Shared, writer: &mut Writer) {
    loop {
        let (batches, done) = {
            let Some(mut state) = wait_for_work(shared) else {
                return end(shared, writer);
            };
            state.thread = ThreadState::Writing;
            state.attempts += 1;
            state.queue.begin(Instant::now())
        };
        let batches: Vec<&Batch> = batches.iter().map(|batch| &**batch).collect();
        let attempted = catch_unwind(AssertUnwindSafe(|| {
            writer.write(&batches, done, None, &mut Settling { shared })
        }));
        let error = match attempted {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(Error::row(
                "a bug in write_buffer ended an attempt to write; the rows stay buffered",
            )),
        };
        let mut state = shared.lock();
        state.reconnects = writer.reconnects();
        match error {
            None => {
                state.failures_in_a_row = 0;
                state.failed_attempt = None;
            }
            Some(error) => {
                let doubled = FIRST_RECONNECT_BACKOFF.saturating_mul(2_u32.saturating_pow(state.failures_in_a_row));
                let wait = doubled.min(LONGEST_RECONNECT_BACKOFF).mul_f64(0.5 + fastrand::f64());
                state.failures_in_a_row += 1;
                state.queue.failed(Instant::now() + wait);
                state.metrics.failed(&error);
                state.failed_attempt = Some((state.attempts, error));
            }
        }
        drop(state);
        shared.done.notify_all();
    }
}

/// The end of the thread, within [`GOODBYE`] where nothing is left to write.
fn end(shared: &Shared, writer: &mut Writer) {
    let is_clean = shared.lock().queue.pending_rows() == 0;
    let retired = catch_unwind(AssertUnwindSafe(|| {
        if is_clean {
            writer.retire(Instant::now() + GOODBYE);
        }
    }));
    let mut state = shared.lock();
    if retired.is_err() {
        state.metrics.last_error = Some("a bug in write_buffer ended its end".to_owned());
    }
    state.thread = ThreadState::None;
    drop(state);
    shared.done.notify_all();
}

/// Waits until something is due. `None`: the thread shall end.
fn wait_for_work(shared: &Shared) -> Option<MutexGuard<'_, State>> {
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let due = state.queue.due(now);
        let is_over = state.abandoned || (state.stopping && due == Due::Never);
        if is_over {
            return None;
        }
        state.thread = if state.failures_in_a_row > 0 {
            ThreadState::Backoff
        } else {
            ThreadState::Idle
        };
        state = match due {
            Due::Now => return Some(state),
            Due::Never => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Due::At(at) => {
                let waited = shared.work.wait_timeout(state, at.saturating_duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Moves groups out of the queue, under the lock, and tells those who wait.
struct Settling<'s> {
    shared: &'s Shared,
}

impl Observer for Settling<'_> {
    fn committed(&mut self, written: &Written) {
        let mut state = self.shared.lock();
        if written.rows > 0 {
            let (rows, coalesced_rows) = (count(written.rows), count(written.coalesced_rows));
            state.metrics.committed(rows, coalesced_rows, written.took);
        }
        state.queue.settle(written.groups.len(), written.rows);
        drop(state);
        self.shared.done.notify_all();
    }

    fn given_up(&mut self, letter: DeadLetter) {
        let rows = letter.rows.len();
        let mut state = self.shared.lock();
        state.metrics.last_error = Some(letter.message.clone());
        state.metrics.failed_rows += count(rows);
        if state.unreported.len() < MAX_FAILURES {
            state.unreported.push(letter.clone());
        }
        keep_failure(&mut state.failures, letter);
        state.queue.settle(1, rows);
        drop(state);
        self.shared.done.notify_all();
    }

    fn has_room_for_failure(&self) -> bool {
        let state = self.shared.lock();
        state.has_dead_letter_file || state.failures.len() < MAX_FAILURES
    }

    fn happened(&mut self, event: &Event<'_>) {
        self.shared.lock().metrics.count(event);
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
