//! The buffer that flushes on its caller's thread: in `add()` when it is full or overdue, in `flush()`, and at the end.
//!
//! Invariants:
//! - A row taken is, at any time, in exactly one place: the queue, a committed transaction, or the failures.
//! - `added_rows = total_flushed + pending rows + failed_rows`.
//! - A group is never split: it is taken whole, committed in one transaction, or given up whole.
//! - Batches are committed in the order in which they were filled. Those of a transaction that failed stay together, as they
//!   are, until all their groups are settled.
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes` over all batches; [`MAX_TRANSACTION_ROWS`] and
//! [`MAX_TRANSACTION_BYTES`] a transaction, except that one batch is never split; [`MAX_ROWS_PER_KEY`]; [`MAX_FAILURES`] failures kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::buffer::failures::{MAX_FAILURES, keep_failure};
use crate::buffer::find;
use crate::buffer::find::KeyPart;
use crate::buffer::limits::{MAX_ROWS_PER_KEY, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS, RETIRE_TIMEOUT};
use crate::buffer::metrics::{Metrics, count};
use crate::buffer::snapshot::Pending;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetter, FlushError, NamedRow};
use crate::error::{Error, Kind, Result};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::table::catalog::Catalog;
use crate::table::entry::TableId;
use crate::table::rules::Mode;
use crate::writer::Writer;
use crate::writer::observer::{Commit, Event, Observer};

/// A batch in the queue, and how much of it will be written.
#[derive(Debug)]
struct KeyedBatch {
    batch: Batch,
    /// Hashes of the keys that it has, by table: rows of one key are written once. A collision makes the batch a row
    /// larger than it should be, and nothing else.
    keys: FxHashSet<(TableId, u64)>,
    /// Rows by table as they will be written, as far as that is known: by keys, or each on its own.
    sizes: FxHashMap<TableId, usize>,
}

impl KeyedBatch {
    fn new(now: Instant) -> Self {
        Self {
            batch: Batch::new(now),
            keys: FxHashSet::default(),
            sizes: FxHashMap::default(),
        }
    }

    fn append(&mut self, group: &Group, keys: &[(TableId, Option<u64>)], now: Instant) {
        self.batch.append(group, now);
        for (table, key) in keys {
            if key.is_none_or(|key| self.keys.insert((*table, key))) {
                *self.sizes.entry(*table).or_default() += 1;
            }
        }
    }

    fn is_full(&self, batch_size: usize) -> bool {
        self.sizes.values().any(|rows| *rows >= batch_size) || self.batch.rows() >= batch_size * MAX_ROWS_PER_KEY
    }
}

/// What has become of the rows taken.
#[derive(Default)]
struct ForegroundProgress {
    metrics: Metrics,
    failures: VecDeque<DeadLetter>,
    has_dead_letter_file: bool,
    /// How many of the groups in flight are settled.
    done_groups: usize,
    pending_rows: usize,
    /// What this flush committed and gave up.
    committed_rows: usize,
    given_up: Vec<DeadLetter>,
}

impl Observer for ForegroundProgress {
    fn committed(&mut self, written: &Commit) {
        self.done_groups = written.groups.end;
        self.pending_rows -= written.rows;
        self.committed_rows += written.rows;
        self.metrics.committed(written);
    }

    fn given_up(&mut self, letter: DeadLetter) {
        self.done_groups += 1;
        self.pending_rows -= letter.rows.len();
        self.metrics.failed_rows += count(letter.rows.len());
        self.given_up.push(letter.clone());
        keep_failure(&mut self.failures, letter);
    }

    fn has_room_for_failure(&self) -> bool {
        self.has_dead_letter_file || self.failures.len() < MAX_FAILURES
    }

    fn happened(&mut self, event: &Event<'_>) {
        self.metrics.count(event);
    }
}

/// See the module.
pub struct ForegroundBuffer {
    settings: Settings,
    catalog: Catalog,
    writer: Writer,
    clock: Arc<dyn Clock>,
    /// Batches in order; the last one is open when it is not full.
    queue: VecDeque<KeyedBatch>,
    /// The batches of the transaction that is under way, or failed.
    in_flight: Vec<KeyedBatch>,
    settled: ForegroundProgress,
    pending_bytes: usize,
    /// A table could not be asked for at `add()`: ask again when a flush comes through, not at each row.
    schema_deferred: bool,
}

impl ForegroundBuffer {
    /// An empty buffer.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(settings: Settings, sink: Box<dyn Sink>, clock: Arc<dyn Clock>) -> Result<Self> {
        settings.check()?;
        let catalog = settings.catalog()?;
        Ok(Self {
            catalog,
            writer: Writer::new(sink, Arc::clone(&clock), &settings),
            settled: ForegroundProgress {
                has_dead_letter_file: settings.dead_letter_file.is_some(),
                ..ForegroundProgress::default()
            },
            settings,
            clock,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            pending_bytes: 0,
            schema_deferred: false,
        })
    }

    /// The tables and shapes, for whoever makes groups.
    pub fn catalog(&mut self) -> &mut Catalog {
        &mut self.catalog
    }

    /// Takes a group. When that makes the buffer full or overdue, flushes.
    ///
    /// # Errors
    ///
    /// [Config](Kind::Config) and [full](Kind::Full): the group was not taken. Any
    /// other: it was, and the flush failed.
    pub fn add(&mut self, group: &Group) -> Result<(), FlushError> {
        if group.is_empty() {
            return Ok(());
        }
        let keys = self.check_group(group)?;
        self.make_room(group)?;
        let now = self.clock.now();
        let batch_size = self.settings.batch_size;
        if self.queue.back().is_none_or(|last| last.is_full(batch_size)) {
            self.queue.push_back(KeyedBatch::new(now));
        }
        if let Some(open) = self.queue.back_mut() {
            let bytes_before = open.batch.size_bytes();
            open.append(group, &keys, now);
            self.settled.pending_rows += group.len();
            self.pending_bytes += open.batch.size_bytes() - bytes_before;
            self.settled.metrics.added_rows += count(group.len());
        }
        if self.is_full() || self.is_overdue(now) {
            self.flush_until(None)?;
        }
        Ok(())
    }

    /// Commits everything added before.
    ///
    /// # Errors
    ///
    /// Groups that the server or a check refused, which are given up; or why rows could not be written, which stay, in order.
    pub fn flush(&mut self, timeout: Option<Duration>) -> Result<usize, FlushError> {
        let deadline = timeout.and_then(|timeout| self.clock.now().checked_add(timeout));
        self.flush_until(deadline)
    }

    /// The flush at destruction, bounded by `shutdown_timeout`.
    ///
    /// # Errors
    ///
    /// As [`Self::flush`].
    pub fn shut_down(&mut self) -> Result<(), FlushError> {
        if self.settled.pending_rows == 0 {
            return Ok(());
        }
        let deadline = self.clock.now().checked_add(self.settings.shutdown_timeout);
        self.flush_until(deadline).map(|_| ())
    }

    /// The end, after [`Self::shut_down`]: leaves the ledger.
    pub fn end(&mut self) {
        if self.settled.pending_rows == 0 {
            self.writer.retire(Instant::now() + RETIRE_TIMEOUT);
        }
    }

    /// Gives up all buffered rows, for a caller that reports each one's error itself.
    pub fn discard(&mut self) {
        let metrics = &mut self.settled.metrics;
        metrics.added_rows = metrics.added_rows.saturating_sub(count(self.settled.pending_rows));
        self.queue.clear();
        self.in_flight.clear();
        self.settled.done_groups = 0;
        self.settled.pending_rows = 0;
        self.pending_bytes = 0;
        self.writer.forget_doubts();
    }

    /// All batches, in order, those in flight first.
    fn batches(&self) -> impl Iterator<Item = &KeyedBatch> {
        self.in_flight.iter().chain(&self.queue)
    }

    /// All rows that are not settled, in order.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let in_flight = self.in_flight.iter().flat_map(|queued| queued.batch.groups());
        let waiting = self.queue.iter().flat_map(|queued| queued.batch.all_rows());
        in_flight.skip(self.settled.done_groups).flatten().chain(waiting)
    }

    /// The row still buffered under a key: `key` names its columns, or gives the values in the key's order.
    ///
    /// # Errors
    ///
    /// A table whose key cannot be known; a key of the wrong shape.
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Option<NamedRow>> {
        let Some(table) = self.catalog.known_table(table) else {
            return Ok(None);
        };
        if self.batches().all(|queued| queued.batch.rows_of(table) == 0) {
            return Ok(None);
        }
        let Some(entry) = self.catalog.entry(table) else {
            return Ok(None);
        };
        let model = self.writer.model(entry, None)?;
        find::find(self.rows().filter(|row| row.shape.table == table), &model, key)
    }

    /// Whether the buffered rows of any one table, those with the same key counted once, have reached the batch size.
    pub fn is_full(&self) -> bool {
        self.batches().any(|queued| queued.is_full(self.settings.batch_size))
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.batches()
            .next()
            .is_some_and(|queued| now.saturating_duration_since(queued.batch.oldest) >= self.settings.flush_interval)
    }

    /// Rows taken and not yet committed.
    pub fn pending(&self) -> Pending {
        let now = self.clock.now();
        Pending {
            rows: self.settled.pending_rows,
            bytes: self.pending_bytes,
            oldest_age: self.batches().next().map_or(Duration::ZERO, |queued| {
                now.saturating_duration_since(queued.batch.oldest)
            }),
        }
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.settled.metrics
    }

    /// Connections opened after the first.
    pub fn reconnects(&self) -> u64 {
        self.writer.reconnects()
    }

    /// The failures, handed over once.
    pub fn take_failures(&mut self) -> Vec<DeadLetter> {
        self.settled.failures.drain(..).collect()
    }

    /// How many rows the failures hold that nobody took.
    pub fn untaken_failed_rows(&self) -> usize {
        self.settled.failures.iter().map(|failure| failure.rows.len()).sum()
    }

    /// Refuses a group that could never be written, as far as that is known before a flush. Where the server cannot be
    /// reached the group is taken unchecked: a short outage is no reason to refuse an order.
    ///
    /// Gives each row's table and a hash of its key, where that is known and rows of one key become one.
    fn check_group(&mut self, group: &Group) -> Result<Vec<(TableId, Option<u64>)>> {
        for row in group.rows() {
            if row.shape.entry.model().is_some() || self.schema_deferred {
                continue;
            }
            let started = self.clock.now();
            let model = self.writer.model(&row.shape.entry, None);
            let ready = model.and_then(|model| self.writer.prepare_ledger(&model, None));
            self.settled.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
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
                let bound = row.check()?.filter(|bound| bound.model.mode == Mode::Upsert);
                let key = bound.and_then(|bound| bound.key_hash(&row.values(), &mut scratch));
                Ok((row.shape.table, key))
            })
            .collect()
    }

    /// Flushes when the group would not fit, and refuses it when that did not help.
    fn make_room(&mut self, group: &Group) -> Result<()> {
        let fits = |buffer: &Self| {
            buffer.settled.pending_rows + group.len() <= buffer.settings.max_pending_rows
                && buffer.pending_bytes + group.size_bytes() <= buffer.settings.max_pending_bytes
        };
        if fits(self) {
            return Ok(());
        }
        let failed = if self.settled.pending_rows > 0 {
            self.flush_until(None).err()
        } else {
            None
        };
        if fits(self) {
            return Ok(());
        }
        let bound = format!(
            "maxPendingRows is {}, maxPendingBytes {}; {} rows and {} bytes are buffered, the group has {} rows and {} bytes",
            self.settings.max_pending_rows,
            self.settings.max_pending_bytes,
            self.settled.pending_rows,
            self.pending_bytes,
            group.len(),
            group.size_bytes()
        );
        Err(Error::full(match failed {
            Some(failed) => format!("the buffer is full and cannot be flushed ({bound}): {}", failed.error),
            None => {
                format!("the group does not fit into the buffer ({bound}): add fewer rows at once, or raise the bound")
            }
        }))
    }

    /// Commits the queue, oldest batches first.
    fn flush_until(&mut self, deadline: Option<Instant>) -> Result<usize, FlushError> {
        let started = self.clock.now();
        self.settled.committed_rows = 0;
        let result = self.write_all(deadline);
        let failures = std::mem::take(&mut self.settled.given_up);
        self.settled.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
        let failed = match result {
            Ok(()) => match FlushError::given_up(failures) {
                None => {
                    self.schema_deferred = false;
                    return Ok(self.settled.committed_rows);
                }
                Some(failed) => failed,
            },
            Err(error) => FlushError { error, failures },
        };
        self.settled.metrics.failed(&failed.error);
        Err(failed)
    }

    fn write_all(&mut self, deadline: Option<Instant>) -> Result<()> {
        while !self.in_flight.is_empty() || !self.queue.is_empty() {
            if self.in_flight.is_empty() {
                self.in_flight = self.take_batches();
            }
            let batches: Vec<&Batch> = self.in_flight.iter().map(|queued| &queued.batch).collect();
            let done = self.settled.done_groups;
            self.writer.write(&batches, done, deadline, &mut self.settled)?;
            self.pending_bytes -= batches.iter().map(|batch| batch.size_bytes()).sum::<usize>();
            self.settled.done_groups = 0;
            self.in_flight.clear();
        }
        Ok(())
    }

    /// Takes the batches of one transaction off the queue.
    fn take_batches(&mut self) -> Vec<KeyedBatch> {
        let mut taken: Vec<KeyedBatch> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(next) = self.queue.pop_front() {
            rows += next.batch.rows();
            bytes += next.batch.size_bytes();
            if !taken.is_empty() && (rows > MAX_TRANSACTION_ROWS || bytes > MAX_TRANSACTION_BYTES) {
                self.queue.push_front(next);
                break;
            }
            taken.push(next);
        }
        taken
    }
}
