//! A queue of batches, and what is due at a given instant. A background buffer has one in each
//! lane. A foreground buffer has one, and its caller is the flusher. Pure: time comes in as an
//! argument, and nothing waits or is written here.
//!
//! Invariants:
//! - Groups leave in the order in which they came: `in_flight`, then `sealed`, then `open`. Their
//!   numbers only grow; they count the groups of all lanes.
//! - `pending_rows` and `pending_bytes` cover all three.
//! - While something is in flight nothing else is taken up. What failed stays in flight and is
//!   tried again.
//! - A batch that waits for a group of another lane is not taken up before that group is settled.
//!   Only its first group waits.
//!
//! - Of a buffer with a journal, batches that wait for long are [there alone](storing). They count
//!   in `pending_rows`, and are read back before they are taken up.
//!
//! `crates/core/tests/queue_model.rs` holds the first three.
//!
//! Bounds: the caller asks for room before it adds. A batch, and so a transaction, has at most
//! [`MAX_TRANSACTION_BYTES`], but for one group that has more alone. It has at most
//! [`MAX_TRANSACTION_ROWS`] too, but for such a group, and for rows of few keys that a foreground
//! buffer will merge.

mod late;
mod locate;
pub mod numbers;
mod position;
pub mod sealed;
mod set_aside;
pub mod stored;
mod storing;

pub use position::{GroupPosition, LaneId, MAX_LANES, PackedPosition};

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::buffer::doubt::Doubt;
use crate::buffer::leftovers::LeftGroup;
use crate::buffer::limits::{MAX_ROWS_PER_KEY, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS};
use crate::buffer::queue::sealed::{Kept, SealedBatch, Stored};
use crate::buffer::queue::stored::Span;
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::table::entry::TableId;

/// What the flusher has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Write.
    Now,
    /// Nothing before this instant, unless something changes.
    At(Instant),
    /// Nothing, until something changes.
    Never,
}

impl Due {
    /// What comes first.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
            (Self::Never, due) | (due, Self::Never) => due,
        }
    }
}

/// What an added group changes for a flusher that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddEffect {
    /// Nothing: its alarm is set, or it works.
    Nothing,
    /// There is something to do, or a new alarm to set.
    Wake,
}

/// A row's table, and a hash of its key if that is known and rows of one key become one.
pub type RowKey = (TableId, Option<u64>);

/// The number of rows that a batch will write, by table: rows of one key count once.
#[derive(Debug, Default)]
struct DistinctRows {
    /// Hashes of the keys, by table. After a collision the batch gets one row more than it should,
    /// and nothing else.
    keys: FxHashSet<(TableId, u64)>,
    by_table: FxHashMap<TableId, usize>,
}

impl DistinctRows {
    fn add(&mut self, keys: &[RowKey]) {
        for (table, key) in keys {
            if key.is_none_or(|key| self.keys.insert((*table, key))) {
                *self.by_table.entry(*table).or_default() += 1;
            }
        }
    }
}

/// The batch that takes groups.
#[derive(Debug)]
struct WaitingBatch {
    batch: Batch,
    /// Counted if the keys are known as rows are added.
    distinct: DistinctRows,
    /// The groups that its first group waits for.
    after: Vec<GroupPosition>,
    is_full: bool,
    /// Where it is in the journal, if all of it is.
    span: Option<Span>,
}

/// Whether a batch with the group would be larger than a transaction.
fn has_no_room(open: &WaitingBatch, group: &Group) -> bool {
    open.batch.size_bytes() + group.size_bytes() > MAX_TRANSACTION_BYTES
}

/// A queue of batches: see the module.
#[derive(Debug)]
pub struct Queue {
    batch_size: usize,
    flush_interval: Duration,
    open: Option<WaitingBatch>,
    sealed: VecDeque<SealedBatch>,
    in_flight: Vec<Arc<Batch>>,
    /// The number of groups in flight that are settled: committed or given up.
    done_groups: usize,
    pending_rows: usize,
    pending_bytes: usize,
    /// The numbers of the groups that are not settled, and not in the journal alone.
    unsettled: VecDeque<u64>,
    /// Those of them that may be committed all the same.
    doubt: Doubt,
    /// Groups up to this number are due at once, whether or not their batch is full or old enough.
    wanted: u64,
    /// After a failure: nothing is due before this.
    retry_at: Option<Instant>,
    /// One of the batches in flight was full.
    is_full_in_flight: bool,
    /// The rows and bytes of the last batch: the next one is likely to have as many.
    last_batch: (usize, usize),
    stored: Stored,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: &Settings) -> Self {
        Self {
            batch_size: settings.batch_size,
            flush_interval: settings.flush_interval,
            open: None,
            sealed: VecDeque::new(),
            in_flight: Vec::new(),
            done_groups: 0,
            pending_rows: 0,
            pending_bytes: 0,
            unsettled: VecDeque::new(),
            doubt: Doubt::default(),
            wanted: 0,
            retry_at: None,
            is_full_in_flight: false,
            last_batch: (0, 0),
            stored: Stored::default(),
        }
    }

    /// Takes a group with its number. It waits for the groups `after`, of other lanes. A batch is
    /// full when a table has `batch_size` rows in it: the keys may not be known yet.
    pub fn add(&mut self, group: &Group, number: u64, after: Vec<GroupPosition>, now: Instant) -> AddEffect {
        let too_large =
            |open: &WaitingBatch| open.batch.rows() + group.len() > MAX_TRANSACTION_ROWS || has_no_room(open, group);
        let must_seal = self
            .open
            .as_ref()
            .is_some_and(|open| !after.is_empty() || too_large(open));
        if must_seal {
            self.seal();
        }
        let batch_size = self.batch_size;
        let open = self.append(group, number, after, now);
        let is_first = open.batch.group_count() == 1;
        open.is_full = open.batch.largest_table_rows() >= batch_size;
        let is_full = open.is_full;
        if is_full {
            self.seal();
        }
        if is_full || is_first || must_seal {
            AddEffect::Wake
        } else {
            AddEffect::Nothing
        }
    }

    /// Takes a group with its number and its rows' keys. A batch is full when a table has
    /// `batch_size` rows of different keys in it, or all tables together have [`MAX_ROWS_PER_KEY`]
    /// times as many rows.
    pub fn add_keyed(&mut self, group: &Group, number: u64, keys: &[RowKey], now: Instant) {
        let batch_size = self.batch_size;
        if self.open.as_ref().is_some_and(|open| has_no_room(open, group)) {
            self.seal();
        }
        let open = self.append(group, number, Vec::new(), now);
        open.distinct.add(keys);
        open.is_full = open.distinct.by_table.values().any(|rows| *rows >= batch_size)
            || open.batch.rows() >= batch_size * MAX_ROWS_PER_KEY;
        if open.is_full {
            self.seal();
        }
    }

    /// Appends a group to the open batch.
    fn append(&mut self, group: &Group, number: u64, after: Vec<GroupPosition>, now: Instant) -> &mut WaitingBatch {
        let (rows, bytes) = self.last_batch;
        let open = self.open.get_or_insert_with(|| {
            let mut batch = Batch::with_capacity(now, rows, bytes);
            batch.first_group = number;
            WaitingBatch {
                batch,
                distinct: DistinctRows::default(),
                after,
                is_full: false,
                span: None,
            }
        });
        let is_first = open.batch.is_empty();
        let bytes_before = if is_first { 0 } else { open.batch.size_bytes() };
        open.batch.append(group, now);
        open.span = self.stored.next_span(open.span, is_first);
        self.pending_rows += group.len();
        self.pending_bytes += open.batch.size_bytes() - bytes_before;
        self.unsettled.push_back(number);
        open
    }

    fn seal(&mut self) {
        if let Some(mut open) = self.open.take() {
            self.last_batch = (open.batch.rows(), open.batch.arena_bytes());
            open.batch.give_back_memory();
            let batch = Arc::new(open.batch);
            self.sealed.push_back(SealedBatch {
                rows: Kept::Memory(Arc::clone(&batch)),
                after: open.after,
                is_full: open.is_full,
                span: open.span,
            });
            self.has_sealed(batch);
        }
    }

    /// Whether a batch that waits, or is in flight, is full.
    pub fn has_full_batch(&self) -> bool {
        self.is_full_in_flight || self.sealed.iter().any(|waiting| waiting.is_full)
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        self.open = None;
        self.sealed.clear();
        self.in_flight.clear();
        self.unsettled.clear();
        self.done_groups = 0;
        self.pending_rows = 0;
        self.pending_bytes = 0;
        self.is_full_in_flight = false;
        self.retry_at = None;
        self.stored.forget();
    }

    /// Makes all groups up to a number due at once. After a failure they wait like others.
    pub fn want(&mut self, group: u64) {
        self.wanted = self.wanted.max(group);
    }

    /// Ends the wait after a failure.
    pub fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// The number of the first group that is not settled.
    pub fn first_unsettled(&self) -> Option<u64> {
        let stored = self.next_stored().map(|stored| stored.numbers().first());
        stored.or_else(|| self.unsettled.front().copied())
    }

    /// Whether a group waits here, or is in flight.
    pub fn has(&self, group: u64) -> bool {
        self.unsettled.binary_search(&group).is_ok() || self.stored_with(group).is_some()
    }

    /// Whether all groups up to a number are settled.
    pub fn is_settled(&self, group: u64) -> bool {
        self.first_unsettled().is_none_or(|first| first > group)
    }

    fn open_is_wanted(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.batch.first_group <= self.wanted)
    }

    /// What there is to do. `is_settled` says whether a group of another lane is settled.
    pub fn due(&self, now: Instant, is_settled: impl Fn(&GroupPosition) -> bool) -> Due {
        if self.pending_rows == 0 {
            return Due::Never;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Due::At(at);
        }
        if !self.in_flight.is_empty() {
            return Due::Now;
        }
        match (self.sealed.front(), &self.open) {
            (Some(first), _) if first.after.iter().all(&is_settled) => Due::Now,
            (None, Some(open)) if open.after.iter().all(&is_settled) => {
                let at = open.batch.oldest + self.flush_interval;
                if now >= at || self.open_is_wanted() {
                    Due::Now
                } else {
                    Due::At(at)
                }
            }
            _ => Due::Never,
        }
    }

    /// Whether the next batch waits for another lane.
    pub fn waits_for_others(&self) -> bool {
        let open = || self.open.as_ref().map(|open| &open.after);
        let after = self.sealed.front().map(|next| &next.after).or_else(open);
        self.in_flight.is_empty() && after.is_some_and(|after| !after.is_empty())
    }

    /// Takes batches into flight, or those that are still there after a failure. Returns them, and
    /// how many of their groups are settled already.
    pub fn begin(&mut self, now: Instant, is_settled: impl Fn(&GroupPosition) -> bool) -> (Vec<Arc<Batch>>, usize) {
        self.retry_at = None;
        // A panic may have ended the attempt before.
        self.doubt.unclear();
        if self.in_flight.is_empty() {
            let open_is_due = self.open_is_wanted()
                || self
                    .open
                    .as_ref()
                    .is_some_and(|open| now >= open.batch.oldest + self.flush_interval);
            if open_is_due {
                self.seal();
            }
            let (mut rows, mut bytes) = (0, 0);
            let may_go = |next: &&SealedBatch| next.after.iter().all(&is_settled);
            while let Some(next) = self.sealed.front().filter(may_go) {
                let Kept::Memory(batch) = &next.rows else { break };
                rows += batch.rows();
                bytes += batch.size_bytes();
                if !self.in_flight.is_empty() && (rows > MAX_TRANSACTION_ROWS || bytes > MAX_TRANSACTION_BYTES) {
                    break;
                }
                self.is_full_in_flight |= next.is_full;
                self.stored.has_taken(batch);
                self.in_flight.push(Arc::clone(batch));
                self.sealed.pop_front();
            }
        }
        (self.in_flight.clone(), self.done_groups)
    }

    /// The next `groups` groups in flight, with `rows` rows, are committed or given up.
    pub fn settle(&mut self, groups: usize, rows: usize) {
        self.doubt.committed();
        self.done_groups += groups;
        self.unsettled.drain(..groups.min(self.unsettled.len()));
        self.pending_rows -= rows;
        let all: usize = self.in_flight.iter().map(|batch| batch.group_count()).sum();
        if self.done_groups >= all {
            self.pending_bytes -= self.in_flight.iter().map(|batch| batch.size_bytes()).sum::<usize>();
            self.in_flight.clear();
            self.is_full_in_flight = false;
            self.done_groups = 0;
        }
    }

    /// Whether nothing is in flight.
    pub fn has_nothing_in_flight(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The batches in flight.
    pub fn flight(&self) -> Vec<Arc<Batch>> {
        self.in_flight.clone()
    }

    /// The end of the wait after a failure.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The attempt to write what is in flight failed. It stays there, and is due again at
    /// `retry_at`.
    pub fn failed(&mut self, retry_at: Instant) {
        self.retry_at = Some(retry_at);
    }

    /// The batches in flight, and how many of their groups are settled.
    pub fn in_flight(&self) -> (&[Arc<Batch>], usize) {
        (&self.in_flight, self.done_groups)
    }

    /// The first batch that is not in flight, by the number of its first group.
    pub fn first_waiting(&self) -> Option<u64> {
        let sealed = self.sealed.front().map(|sealed| sealed.rows.first_group());
        sealed.or_else(|| self.open.as_ref().map(|open| open.batch.first_group))
    }

    /// The batches in memory that take no more groups and are not in flight, behind the one with
    /// this first group.
    pub fn sealed_behind(&self, first_group: u64) -> impl Iterator<Item = &Arc<Batch>> {
        let from = self
            .sealed
            .partition_point(|sealed| sealed.rows.first_group() <= first_group);
        self.sealed.range(from..).filter_map(|sealed| sealed.rows.memory())
    }

    /// The batch that takes groups.
    pub fn open_batch(&self) -> Option<&Batch> {
        self.open.as_ref().map(|open| &open.batch)
    }

    /// The number of a group in flight, by its position there.
    pub fn number_in_flight(&self, position: usize) -> Option<u64> {
        let at = position.checked_sub(self.done_groups)?;
        self.unsettled.get(at).copied()
    }

    /// COMMIT is about to be sent for these groups in flight.
    pub fn begin_commit(&mut self, groups: &Range<usize>) {
        if groups.is_empty() {
            return;
        }
        let number = |position| self.number_in_flight(position);
        if let (Some(first), Some(last)) = (number(groups.start), number(groups.end.saturating_sub(1))) {
            self.doubt.begin(first, last);
        }
    }

    /// Nothing was committed.
    pub fn commit_failed(&mut self) {
        self.doubt.failed();
    }

    /// Nobody knows whether the groups were committed.
    pub fn commit_unclear(&mut self) {
        self.doubt.unclear();
    }

    /// Whether the answer to a COMMIT is awaited.
    pub fn awaits_commit(&self) -> bool {
        self.doubt.is_awaited()
    }

    /// Whether a group that is not settled may be committed all the same.
    pub fn is_in_doubt(&self, number: u64) -> bool {
        self.doubt.covers(number)
    }

    /// Takes all groups that are not settled, in order, but for those that are in the journal
    /// alone: these are forgotten.
    pub fn take_left(&mut self) -> Vec<LeftGroup> {
        self.seal();
        let waiting = std::mem::take(&mut self.sealed);
        let mut batches = std::mem::take(&mut self.in_flight);
        batches.extend(waiting.iter().filter_map(|waiting| waiting.rows.memory().cloned()));
        let positions = batches
            .iter()
            .flat_map(|batch| (0..batch.group_count()).map(move |position| (batch, position)));
        let groups = positions.skip(self.done_groups).zip(&self.unsettled);
        let left = groups.map(|((batch, position), number)| LeftGroup {
            number: *number,
            batch: Arc::clone(batch),
            position,
            is_uncertain: self.doubt.covers(*number),
            reason: None,
        });
        let left = left.collect();
        self.clear();
        self.doubt = Doubt::default();
        left
    }

    /// Those in memory.
    fn batches(&self) -> impl Iterator<Item = &Batch> {
        let sealed = self.sealed.iter().filter_map(|sealed| sealed.rows.memory());
        let closed = self.in_flight.iter().chain(sealed);
        closed.map(|batch| &**batch).chain(self.open_batch())
    }

    /// All groups in memory that are not settled, in order, each with its number.
    pub fn groups(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = Row<'_>>)> {
        let groups = self.batches().flat_map(Batch::groups).skip(self.done_groups);
        self.unsettled.iter().copied().zip(groups)
    }

    /// Whether any batch has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        self.batches().any(|batch| batch.rows_of(table) > 0) || self.stored().any(|stored| stored.rows_of(table) > 0)
    }

    /// Rows that were taken and are not settled.
    pub fn pending_rows(&self) -> usize {
        self.pending_rows
    }

    /// The memory of the batches that hold them, in bytes.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        let in_flight = self.in_flight.first().map(|batch| batch.oldest);
        in_flight.or_else(|| self.waits_since())
    }

    /// The tables that have rows here. Some come more than once.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        let of_batches = self.batches().flat_map(Batch::tables).map(|(table, _)| table);
        let stored = self.stored().flat_map(|stored| stored.shapes());
        of_batches.chain(stored.map(|shape| shape.table))
    }

    /// The number of rows of a table. Settled rows count until their whole transaction is settled.
    pub fn rows_of(&self, table: TableId) -> usize {
        let stored: usize = self.stored().map(|stored| stored.rows_of(table)).sum();
        stored + self.batches().map(|batch| batch.rows_of(table)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::value::Value;

    /// Adds groups of so many bytes each. Returns the bytes of each transaction.
    fn transactions(is_keyed: bool, groups: &[usize]) -> Vec<usize> {
        let settings = Settings {
            batch_size: 10_000,
            ..Settings::default()
        };
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let columns = ["id".as_bytes(), "text".as_bytes()].into_iter();
        let shape = catalog.shape(TableId(0), columns).expect("a shape");
        let (mut queue, now) = (Queue::new(&settings), Instant::now());
        for (number, bytes) in (1_u64..).zip(groups) {
            let (text, mut group) = (vec![b'x'; *bytes], Group::default());
            let row = [Value::Int(i64::try_from(number).expect("few")), Value::bytes(&text)];
            group.push_row(&shape, &row).expect("short");
            if is_keyed {
                queue.add_keyed(&group, number, &[(TableId(0), Some(number))], now);
            } else {
                queue.add(&group, number, Vec::new(), now);
            }
        }
        queue.want(u64::MAX);
        let mut transactions = Vec::new();
        while queue.pending_rows() > 0 {
            let (batches, _) = queue.begin(now, |_| true);
            transactions.push(batches.iter().map(|batch| batch.arena_bytes()).sum());
            let groups = batches.iter().map(|batch| batch.group_count()).sum();
            queue.settle(groups, groups);
        }
        transactions
    }

    #[test]
    fn a_transaction_is_bounded_in_bytes_within_a_batch_too() {
        let large = MAX_TRANSACTION_BYTES / 3;
        for is_keyed in [false, true] {
            let sizes = transactions(is_keyed, &[large; 10]);
            assert!(sizes.iter().all(|bytes| *bytes <= MAX_TRANSACTION_BYTES), "{sizes:?}");
            assert_eq!(sizes.len(), 5);
            // A group is never split.
            let sizes = transactions(is_keyed, &[10, 2 * MAX_TRANSACTION_BYTES, 10]);
            assert_eq!(sizes.len(), 3);
            assert!(transactions(is_keyed, &[100; 100]).len() == 1);
        }
    }
}
