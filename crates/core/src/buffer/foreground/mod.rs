//! The buffer that flushes on its caller's thread: in `add()` when it is full or overdue, in
//! `flush()`, and at the end. `SyncWriteBuffer` is one whose every group is a batch.
//!
//! If the flush in `add()` fails, `add()` throws after the group was taken: the group stays
//! buffered, and a later flush writes it. The exception's class says that (see [`crate::error`]).
//!
//! A batch counts rows of one key once, since the keys are known as rows are added. So `batchSize`
//! orders and their updates make one batch.
//!
//! Invariants:
//! - A row that was taken is in exactly one place: the queue, a committed transaction, or the
//!   failures.
//! - `rows_added = rows_committed + pending rows + rows_refused`.
//! - A group is never split: it is taken whole, committed in one transaction, or given up whole.
//! - Batches are committed in the order in which they were filled. Those of a failed transaction
//!   stay together until all their groups are settled.
//!
//! `crates/core/tests/foreground_model.rs` checks these after every call.
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes` over all batches; those of the [queue](Queue)
//! and the [failures](Failures).

mod end;
mod progress;
mod tickets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::failures::Failures;
use crate::buffer::find::{Finder, Found, KeyPart, TableIndex};
use crate::buffer::foreground::progress::{ForegroundProgress, only_lane};
use crate::buffer::limits::{
    FIRST_RETRY_BACKOFF, LONGEST_FOREGROUND_BACKOFF, LONGEST_RETRY_BACKOFF, describe_bounds, group_too_large,
};
use crate::buffer::metrics::{Metrics, count};
use crate::buffer::parking::{ParkedTable, Parking};
use crate::buffer::queue::{Due, Queue, RowKey};
use crate::buffer::snapshot::Pending;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetter, FlushError};
use crate::error::decision::parks;
use crate::error::{Error, Kind, Result};
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::sink::{Place, Sink};
use crate::table::catalog::Catalog;
use crate::table::model::TableModel;
use crate::table::rules::Mode;
use crate::writer::Writer;
use crate::writer::obstacle::Obstacle;

/// A buffer that flushes on its caller's thread: see the module.
pub struct ForegroundBuffer {
    settings: Settings,
    catalog: Catalog,
    writer: Writer,
    clock: Arc<dyn Clock>,
    progress: ForegroundProgress,
    finder: Finder,
    /// The number of groups ever taken, which is the number of the last one.
    taken: u64,
    /// The server did not describe a table at `add()`. It is asked again once a flush has
    /// succeeded, not at each row.
    schema_deferred: bool,
    /// Rows were left at an end.
    has_left: bool,
    /// The server could not be reached.
    backoff: Option<Backoff>,
}

/// A server that cannot be reached: until when `add()` lets it alone, unless it needs room.
struct Backoff {
    until: Instant,
    failures_in_a_row: u32,
}

/// Who asks for a flush.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// `flush()`, or the end: whatever is parked is tried, and said.
    Caller,
    /// `add()`: what is parked is tried when its time has come, and said once.
    Add,
}

impl ForegroundBuffer {
    /// An empty buffer.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(settings: Settings, sink: Box<dyn Sink>, clock: Arc<dyn Clock>) -> Result<Self> {
        settings.check()?;
        let catalog = settings.catalog(sink.database())?;
        Ok(Self {
            catalog,
            writer: Writer::new(sink, Arc::clone(&clock), &settings),
            progress: ForegroundProgress {
                queue: Queue::new(&settings),
                parking: Parking::new(&settings),
                metrics: Metrics::default(),
                failures: Failures::new(settings.dead_letter_file.is_some()),
                committed_rows: 0,
            },
            finder: Finder::default(),
            settings,
            clock,
            taken: 0,
            schema_deferred: false,
            has_left: false,
            backoff: None,
        })
    }

    /// The tables and shapes, for whoever makes groups.
    pub fn catalog(&mut self) -> &mut Catalog {
        &mut self.catalog
    }

    /// Takes a group. Flushes if that makes the buffer full or overdue. Returns its number. `None`:
    /// there was no row to take.
    ///
    /// # Errors
    ///
    /// [Config](Kind::Config), [full](Kind::Full) and [too large](Kind::TooLarge): the group was
    /// not taken. Any other error: the group was taken, and the flush failed.
    pub fn add(&mut self, group: &Group) -> Result<Option<u64>, FlushError> {
        if group.is_empty() {
            return Ok(None);
        }
        let keys = self.check_group(group)?;
        self.make_room(group)?;
        let now = self.clock.now();
        self.taken += 1;
        let number = self.taken;
        self.progress.queue.add_keyed(group, self.taken, &keys, now);
        self.progress.metrics.rows_added += count(group.len());
        let probe_is_due = || self.progress.parking.due(only_lane(), now, None) == Due::Now;
        if (self.is_full() || self.is_overdue(now) || probe_is_due()) && !self.backs_off(now) {
            self.flush_and_tell(None, Trigger::Add)?;
        }
        Ok(Some(number))
    }

    /// Commits all rows that were added before, within `timeout`. Returns the number of rows that
    /// this flush committed.
    ///
    /// # Errors
    ///
    /// Groups that the server or a check refused: they are given up. Rows that wait for a table,
    /// once all others are committed. Or the reason why rows could not be written: they stay, in
    /// order.
    pub fn flush(&mut self, timeout: Option<Duration>) -> Result<usize, FlushError> {
        let deadline = timeout.and_then(|timeout| self.clock.now().checked_add(timeout));
        self.flush_and_tell(deadline, Trigger::Caller)
    }

    /// A flush whose caller hears of the groups that it gave up.
    fn flush_and_tell(&mut self, deadline: Option<Instant>, trigger: Trigger) -> Result<usize, FlushError> {
        let flushed = self.flush_until(deadline, trigger);
        if let Err(failed) = &flushed {
            self.progress.failures.told(failed);
        }
        flushed
    }

    /// The row still buffered under a key. `key` names its columns, or has the values in the key's
    /// order.
    ///
    /// # Errors
    ///
    /// A table whose key cannot be known; a key of the wrong shape.
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Found> {
        let Some(table) = self.catalog.known_table(table) else {
            return Ok(Found::Nothing);
        };
        let ForegroundProgress { queue, parking, .. } = &self.progress;
        if !queue.has_rows_of(table) && !parking.has_rows_of(table) {
            return Ok(Found::Nothing);
        }
        let Some(entry) = self.catalog.entry(table) else {
            return Ok(Found::Nothing);
        };
        let model = match self.writer.model(entry, self.writer.look_up_limit()) {
            Err(error) if parks(&error.clone().after_taking()).is_some() => Arc::new(TableModel::without_schema(
                &entry.name,
                &entry.rules,
                entry.default_mode,
            )?),
            model => model?,
        };
        let mut look = |index: &mut TableIndex, wanted| {
            let seen = index.look(std::iter::once(queue), parking, wanted, &|_| None);
            (seen, queue.pending_rows() + parking.rows())
        };
        let found = self.finder.find(table, &model, key, &mut look)?;
        if found != Found::Nothing || !parking.blocks(entry) {
            return Ok(found);
        }
        self.finder.find_blocked(table, entry, key, &mut look)
    }

    /// Whether the buffered rows of any one table have reached the batch size. Rows of one key
    /// count once.
    pub fn is_full(&self) -> bool {
        self.progress.queue.has_full_batch()
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let oldest = self.progress.queue.oldest();
        oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) >= self.settings.flush_interval)
    }

    /// Where it writes to.
    pub fn place(&self) -> Option<Place> {
        self.writer.place()
    }

    /// Rows that were taken and are not settled.
    pub fn pending_rows(&self) -> usize {
        self.progress.pending_rows()
    }

    /// Rows that wait for a table, and those behind them.
    pub fn parked_rows(&self) -> usize {
        self.progress.parking.rows()
    }

    /// The tables that they wait for.
    pub fn parked_tables(&self) -> Vec<ParkedTable> {
        self.progress.parking.tables(self.clock.now())
    }

    /// Rows that were taken and are not settled.
    pub fn pending(&self) -> Pending {
        let progress = &self.progress;
        Pending::new(
            progress.pending_rows(),
            progress.pending_bytes(),
            progress.oldest(),
            self.clock.now(),
        )
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.progress.metrics
    }

    /// Connections opened after the first.
    pub fn reconnects(&self) -> u64 {
        self.writer.reconnects()
    }

    /// The failures. They stay.
    pub fn failures(&self) -> Vec<DeadLetter> {
        self.progress.failures.all()
    }

    /// The failures. They are kept no longer.
    pub fn take_failures(&mut self) -> Vec<DeadLetter> {
        self.progress.failures.take()
    }

    /// The number of rows that were given up without anybody being told.
    pub fn untold_failed_rows(&self) -> usize {
        self.progress.failures.untold_rows()
    }

    /// Refuses rows of a group that is being gathered, as [`Self::add`] would.
    ///
    /// # Errors
    ///
    /// A row that its table can never take.
    pub fn check(&mut self, rows: &Group) -> Result<()> {
        self.check_group(rows).map(drop)
    }

    /// Refuses a group that could never be written, as far as that is known before a flush. If the
    /// server cannot be reached the group is taken unchecked: a short outage is no reason to refuse
    /// an order.
    ///
    /// Returns each row's table, and a hash of its key if that is known and rows of one key become
    /// one.
    fn check_group(&mut self, group: &Group) -> Result<Vec<RowKey>> {
        // One time for all tables.
        let limit = self.writer.look_up_limit();
        for row in group.rows() {
            let entry = &row.shape.entry;
            let is_known = entry.model().is_some() && !entry.is_outdated();
            if is_known || self.schema_deferred || self.progress.parking.blocks(entry) {
                continue;
            }
            let started = self.clock.now();
            if self.backs_off(started) && self.writer.asks_server() {
                continue;
            }
            let model = self.writer.model(&row.shape.entry, limit);
            let ready = model.and_then(|model| self.writer.prepare_ledger(&model, limit));
            self.progress.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
            match ready {
                Err(error) if error.kind() == Kind::Config => {
                    row.shape.entry.set_model(None);
                    return Err(error);
                }
                // Its caller has waited long enough, and nothing is kept for later.
                Err(error) if error.kind() == Kind::Timeout && !self.settings.keeps_rows => return Err(error),
                // The flush parks it, and says so.
                Err(error) if parks(&error).is_some() => {}
                Err(error) => {
                    self.schema_deferred = true;
                    self.back_off(&error, started);
                }
                Ok(()) => {}
            }
        }
        let mut scratch = Vec::new();
        group
            .rows()
            .map(|row| {
                let key = row.check(|bound| {
                    let bound =
                        bound.filter(|bound| bound.model.mode == Mode::Upsert && !bound.model.writes_each_version())?;
                    bound.key_hash(&row.values(), &mut scratch)
                });
                let key = match key {
                    Ok(key) => key,
                    Err(error) => row.shape.entry.unless_outdated(error)?,
                };
                Ok((row.shape.table, key))
            })
            .collect()
    }

    /// Flushes if the group does not fit. Refuses it if that does not help.
    fn make_room(&mut self, group: &Group) -> Result<()> {
        let (max_rows, max_bytes) = (self.settings.max_pending_rows, self.settings.max_pending_bytes);
        let fits = |progress: &ForegroundProgress| {
            progress.pending_rows() + group.len() <= max_rows
                && progress.pending_bytes() + group.size_bytes() <= max_bytes
        };
        if fits(&self.progress) {
            return Ok(());
        }
        // Also while the server is left alone: the group would be refused without a try.
        let failed = if self.pending_rows() > 0 {
            self.flush_until(None, Trigger::Add).err().map(|failed| failed.error)
        } else {
            None
        };
        let failed = failed.or_else(|| self.progress.parking.error(u64::MAX, self.clock.now()));
        let progress = &self.progress;
        if fits(progress) {
            return Ok(());
        }
        let pending = (progress.pending_rows(), progress.pending_bytes());
        let bounds = describe_bounds(&self.settings, pending, (group.len(), group.size_bytes()));
        let could_ever_fit = group.len() <= max_rows && group.size_bytes() <= max_bytes;
        Err(match failed.filter(|_| could_ever_fit) {
            Some(failed) => Error::full(format!("the buffer is full and cannot be flushed ({bounds}): {failed}")),
            None => group_too_large(&bounds),
        })
    }

    /// The error of a group that passed the bounds as it was gathered, with so many rows and bytes.
    pub fn too_large(&self, rows: usize, bytes: usize) -> Error {
        let progress = &self.progress;
        let pending = (progress.pending_rows(), progress.pending_bytes());
        group_too_large(&describe_bounds(&self.settings, pending, (rows, bytes)))
    }

    /// Whether nobody tries to reach the server now.
    fn backs_off(&self, now: Instant) -> bool {
        self.settings.keeps_rows && self.backoff.as_ref().is_some_and(|backoff| backoff.until > now)
    }

    /// Notes how an attempt ended that began at `started`.
    fn back_off(&mut self, error: &Error, started: Instant) {
        if !error.is_connection() {
            return;
        }
        let now = self.clock.now();
        let failures = self.backoff.as_ref().map_or(0, |backoff| backoff.failures_in_a_row);
        let took = now.saturating_duration_since(started);
        self.backoff = Some(Backoff {
            until: now + backoff_after(failures, took, fastrand::f64()),
            failures_in_a_row: failures + 1,
        });
    }

    /// Commits the queue, oldest batches first, and what is parked and may be written again.
    fn flush_until(&mut self, deadline: Option<Instant>, trigger: Trigger) -> Result<usize, FlushError> {
        let started = self.clock.now();
        self.progress.committed_rows = 0;
        if trigger == Trigger::Caller {
            self.progress.parking.request_probes();
        }
        let result = self.write_until_unlocked(deadline, trigger);
        self.progress.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
        let failed = match result {
            Ok(()) => {
                self.backoff = None;
                self.schema_deferred = false;
                let parking = &mut self.progress.parking;
                let is_news = parking.tell();
                let parked = parking.error(u64::MAX, self.clock.now());
                let parked = parked.filter(|_| is_news || trigger == Trigger::Caller);
                match FlushError::given_up(self.progress.failures.unreported(), parked) {
                    None => {
                        if self.progress.pending_rows() == 0 {
                            // Nothing waits that it could find.
                            self.finder = Finder::default();
                        }
                        return Ok(self.progress.committed_rows);
                    }
                    Some(failed) => failed,
                }
            }
            Err(error) => {
                self.back_off(&error, started);
                self.progress.failures.reported_by(error)
            }
        };
        self.progress.metrics.failed(&failed.error);
        Err(failed)
    }

    /// As [`Self::write_all`]. A flush of the caller waits for tables that are locked, as long as
    /// the server itself would wait.
    fn write_until_unlocked(&mut self, deadline: Option<Instant>, trigger: Trigger) -> Result<()> {
        loop {
            self.write_all(deadline)?;
            let next = self.progress.parking.awaits_lock();
            let Some(next) = next.filter(|_| trigger == Trigger::Caller) else {
                return Ok(());
            };
            if deadline.is_some_and(|deadline| deadline <= next) {
                // What is parked is said.
                return Ok(());
            }
            self.clock.sleep(next.saturating_duration_since(self.clock.now()));
        }
    }

    fn write_all(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.progress.queue.want(self.taken);
        self.write_while(deadline, ForegroundProgress::has_work)
    }

    /// Writes what is due, for as long as there is a reason to.
    fn write_while(
        &mut self,
        deadline: Option<Instant>,
        goes_on: impl Fn(&ForegroundProgress, Instant) -> bool,
    ) -> Result<()> {
        while goes_on(&self.progress, self.clock.now()) {
            let Some(work) = self.progress.take_up(self.clock.now()) else {
                continue;
            };
            let batches: Vec<&Batch> = work.batches.iter().map(|batch| &**batch).collect();
            if let Some(why) = &work.gives_up {
                let given_up = self
                    .writer
                    .give_up_all(&batches, work.done, why, deadline, &mut self.progress);
                if let Err(error) = given_up {
                    self.progress.metrics.failed(&error);
                    self.progress.parking.postpone(only_lane(), self.clock.now());
                }
                continue;
            }
            work.prepare(&mut self.writer, deadline, &mut self.progress);
            let written = self.writer.write(&batches, work.done, deadline, &mut self.progress);
            if let Err(obstacle) = written {
                self.park(obstacle)?;
            }
        }
        Ok(())
    }

    /// Parks what an obstacle stands in the way of.
    fn park(&mut self, obstacle: Obstacle) -> Result<()> {
        let error = obstacle.error().clone();
        let ForegroundProgress { queue, parking, .. } = &mut self.progress;
        if parking.park(queue, only_lane(), obstacle, self.writer.models(), self.clock.now())? {
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// The wait after failures in a row to reach a server, the last of which took some time. A caller
/// waits for a dead server for a fifth of the time at most.
fn backoff_after(failures_in_a_row: u32, took: Duration, jitter: f64) -> Duration {
    let doubled = FIRST_RETRY_BACKOFF.saturating_mul(2_u32.saturating_pow(failures_in_a_row));
    let wait = doubled.min(LONGEST_RETRY_BACKOFF).mul_f64(0.5 + jitter);
    wait.max(took.saturating_mul(4)).min(LONGEST_FOREGROUND_BACKOFF)
}
