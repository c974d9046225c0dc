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
//! - `added_rows = total_flushed + pending rows + failed_rows`.
//! - A group is never split: it is taken whole, committed in one transaction, or given up whole.
//! - Batches are committed in the order in which they were filled. Those of a failed transaction
//!   stay together until all their groups are settled.
//!
//! `crates/core/tests/foreground_model.rs` checks these after every call.
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes` over all batches; those of the [queue](Queue)
//! and the [failures](Failures).

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::failures::Failures;
use crate::buffer::find::{Finder, KeyPart};
use crate::buffer::leftovers::{self, EndCause, EndTime};
use crate::buffer::limits::{RETIRE_TIMEOUT, describe_bounds, group_too_large};
use crate::buffer::metrics::{Metrics, count};
use crate::buffer::queue::{Queue, RowKey};
use crate::buffer::snapshot::Pending;
use crate::clock::Clock;
use crate::dead_letter::file::DeadLetterFile;
use crate::dead_letter::{DeadLetter, FlushError, NamedRow};
use crate::error::{Error, Kind, Result};
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::sink::{Place, Sink};
use crate::table::catalog::Catalog;
use crate::table::rules::Mode;
use crate::writer::Writer;
use crate::writer::observer::{Commit, Event, Observer};

/// What has become of the rows that were taken.
struct ForegroundProgress {
    queue: Queue,
    metrics: Metrics,
    failures: Failures,
    /// Rows that this flush has committed.
    committed_rows: usize,
}

impl Observer for ForegroundProgress {
    fn may_commit(&mut self, groups: &Range<usize>) -> bool {
        self.queue.begin_commit(groups);
        true
    }

    fn not_committed(&mut self) {
        self.queue.commit_failed();
    }

    fn committed(&mut self, commit: &Commit) {
        self.queue.settle(commit.groups.len(), commit.rows);
        self.committed_rows += commit.rows;
        self.metrics.committed(commit);
    }

    fn given_up(&mut self, letter: DeadLetter) {
        self.queue.settle(1, letter.rows.len());
        self.metrics.failed_rows += count(letter.rows.len());
        self.failures.keep(letter);
    }

    fn has_room_for_failure(&self) -> bool {
        self.failures.has_room()
    }

    fn happened(&mut self, event: &Event<'_>) {
        if matches!(event, Event::CommitUnknown) {
            self.queue.commit_unclear();
        }
        self.metrics.count(event);
    }
}

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
        })
    }

    /// The tables and shapes, for whoever makes groups.
    pub fn catalog(&mut self) -> &mut Catalog {
        &mut self.catalog
    }

    /// Takes a group. Flushes if that makes the buffer full or overdue.
    ///
    /// # Errors
    ///
    /// [Config](Kind::Config) and [full](Kind::Full): the group was not taken. Any other error: the
    /// group was taken, and the flush failed.
    pub fn add(&mut self, group: &Group) -> Result<(), FlushError> {
        if group.is_empty() {
            return Ok(());
        }
        let keys = self.check_group(group)?;
        self.make_room(group)?;
        let now = self.clock.now();
        self.taken += 1;
        self.progress.queue.add_keyed(group, self.taken, &keys, now);
        self.progress.metrics.added_rows += count(group.len());
        if self.is_full() || self.is_overdue(now) {
            self.flush_and_tell(None)?;
        }
        Ok(())
    }

    /// Commits all rows that were added before, within `timeout`. Returns the number of rows that
    /// this flush committed.
    ///
    /// # Errors
    ///
    /// Groups that the server or a check refused: they are given up. Or the reason why rows could
    /// not be written: they stay, in order.
    pub fn flush(&mut self, timeout: Option<Duration>) -> Result<usize, FlushError> {
        let deadline = timeout.and_then(|timeout| self.clock.now().checked_add(timeout));
        self.flush_and_tell(deadline)
    }

    /// A flush whose caller hears of the groups that it gave up.
    fn flush_and_tell(&mut self, deadline: Option<Instant>) -> Result<usize, FlushError> {
        let flushed = self.flush_until(deadline);
        if flushed.is_err() {
            self.progress.failures.told();
        }
        flushed
    }

    /// The flush at destruction.
    ///
    /// # Errors
    ///
    /// Why rows are left.
    pub fn drain(&mut self, time: EndTime) -> Result<(), EndCause> {
        if self.pending_rows() == 0 {
            return Ok(());
        }
        let flushed = self.flush_until(Some(time.limit));
        match flushed {
            Err(failed) if self.pending_rows() > 0 => Err(EndCause {
                error: failed.error,
                place: self.writer.place(),
                names_keys: !self.settings.redact_values,
            }),
            _ => Ok(()),
        }
    }

    /// What to say if the rows that are left will be lost. They stay.
    pub fn lost_warning(&self, cause: &EndCause) -> String {
        let queue = &self.progress.queue;
        let groups = queue.groups().map(|(number, rows)| (queue.is_in_doubt(number), rows));
        leftovers::warning(groups, cause)
    }

    /// The end of the rows that are left: they go into the dead-letter file, and leave the buffer.
    /// Returns what nobody was told of.
    pub fn keep_left(&mut self, cause: &EndCause, time: EndTime) -> Option<String> {
        let rows = self.progress.queue.pending_rows();
        let left = self.progress.queue.take_left();
        self.writer.forget_doubts();
        self.has_left = true;
        self.progress.metrics.failed_rows += count(rows);
        let file = self.settings.dead_letter_file.clone().map(DeadLetterFile::new);
        leftovers::keep(&left, file.as_ref(), cause, time)
    }

    /// The end, after [`Self::drain`]: removes this writer's row from the ledger, if all rows are
    /// written.
    pub fn end(&mut self) {
        // A server that did not take them gets no more time.
        if self.pending_rows() == 0 && !self.has_left {
            self.writer.retire(Instant::now() + RETIRE_TIMEOUT);
        }
    }

    /// Drops all buffered rows, for a caller that reports each one's error itself.
    pub fn discard(&mut self) {
        let metrics = &mut self.progress.metrics;
        let pending = count(self.progress.queue.pending_rows());
        metrics.added_rows = metrics.added_rows.saturating_sub(pending);
        self.progress.queue.clear();
        self.writer.forget_doubts();
    }

    /// The row still buffered under a key. `key` names its columns, or has the values in the key's
    /// order.
    ///
    /// # Errors
    ///
    /// A table whose key cannot be known; a key of the wrong shape.
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Option<NamedRow>> {
        let Some(table) = self.catalog.known_table(table) else {
            return Ok(None);
        };
        let queue = &self.progress.queue;
        if !queue.has_rows_of(table) {
            return Ok(None);
        }
        let Some(entry) = self.catalog.entry(table) else {
            return Ok(None);
        };
        let model = self.writer.model(entry, None)?;
        self.finder.find(table, &model, key, |index, wanted| {
            let view = index.look(std::iter::once(queue), wanted);
            (view, queue.pending_rows())
        })
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
        self.progress.queue.pending_rows()
    }

    /// Rows that were taken and are not settled.
    pub fn pending(&self) -> Pending {
        let queue = &self.progress.queue;
        Pending::new(
            queue.pending_rows(),
            queue.pending_bytes(),
            queue.oldest(),
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

    /// The failures. They are kept no longer.
    pub fn take_failures(&mut self) -> Vec<DeadLetter> {
        self.progress.failures.take()
    }

    /// The number of rows that were given up without anybody being told.
    pub fn untold_failed_rows(&self) -> usize {
        self.progress.failures.untold_rows()
    }

    /// Refuses a group that could never be written, as far as that is known before a flush. If the
    /// server cannot be reached the group is taken unchecked: a short outage is no reason to refuse
    /// an order.
    ///
    /// Returns each row's table, and a hash of its key if that is known and rows of one key become
    /// one.
    fn check_group(&mut self, group: &Group) -> Result<Vec<RowKey>> {
        for row in group.rows() {
            let entry = &row.shape.entry;
            if (entry.model().is_some() && !entry.is_outdated()) || self.schema_deferred {
                continue;
            }
            let started = self.clock.now();
            let model = self.writer.model(&row.shape.entry, None);
            let ready = model.and_then(|model| self.writer.prepare_ledger(&model, None));
            self.progress.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
            match ready {
                Err(error) if error.kind() == Kind::Config => {
                    row.shape.entry.set_model(None);
                    return Err(error);
                }
                Err(_) => self.schema_deferred = true,
                Ok(()) => {}
            }
        }
        let mut scratch = Vec::new();
        group
            .rows()
            .map(|row| {
                let bound = match row.check() {
                    Ok(bound) => bound,
                    Err(error) => row.shape.entry.unless_outdated(error)?,
                };
                let bound = bound.filter(|bound| bound.model.mode == Mode::Upsert);
                let key = bound.and_then(|bound| bound.key_hash(&row.values(), &mut scratch));
                Ok((row.shape.table, key))
            })
            .collect()
    }

    /// Flushes if the group does not fit. Refuses it if that does not help.
    fn make_room(&mut self, group: &Group) -> Result<()> {
        let (max_rows, max_bytes) = (self.settings.max_pending_rows, self.settings.max_pending_bytes);
        let fits = |queue: &Queue| {
            queue.pending_rows() + group.len() <= max_rows && queue.pending_bytes() + group.size_bytes() <= max_bytes
        };
        if fits(&self.progress.queue) {
            return Ok(());
        }
        let failed = if self.pending_rows() > 0 {
            self.flush_until(None).err()
        } else {
            None
        };
        let queue = &self.progress.queue;
        if fits(queue) {
            return Ok(());
        }
        let pending = (queue.pending_rows(), queue.pending_bytes());
        let bounds = describe_bounds(&self.settings, pending, (group.len(), group.size_bytes()));
        Err(match failed {
            Some(failed) => Error::full(format!(
                "the buffer is full and cannot be flushed ({bounds}): {}",
                failed.error
            )),
            None => group_too_large(&bounds),
        })
    }

    /// The error of a group that passed the bounds as it was gathered, with so many rows and bytes.
    pub fn too_large(&self, rows: usize, bytes: usize) -> Error {
        let queue = &self.progress.queue;
        let pending = (queue.pending_rows(), queue.pending_bytes());
        group_too_large(&describe_bounds(&self.settings, pending, (rows, bytes)))
    }

    /// Commits the queue, oldest batches first.
    fn flush_until(&mut self, deadline: Option<Instant>) -> Result<usize, FlushError> {
        let started = self.clock.now();
        self.progress.committed_rows = 0;
        let result = self.write_all(deadline);
        let failures = self.progress.failures.take_unreported();
        self.progress.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
        let failed = match result {
            Ok(()) => match FlushError::given_up(failures) {
                None => {
                    // Nothing waits that it could find.
                    self.finder = Finder::default();
                    self.schema_deferred = false;
                    return Ok(self.progress.committed_rows);
                }
                Some(failed) => failed,
            },
            Err(error) => FlushError { error, failures },
        };
        self.progress.metrics.failed(&failed.error);
        Err(failed)
    }

    fn write_all(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.progress.queue.want(self.taken);
        while self.pending_rows() > 0 {
            let (batches, done) = self.progress.queue.begin(self.clock.now(), |_| true);
            let batches: Vec<&Batch> = batches.iter().map(|batch| &**batch).collect();
            self.writer.write(&batches, done, deadline, &mut self.progress)?;
        }
        Ok(())
    }
}
