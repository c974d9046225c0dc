//! The queue of a background buffer: which batches there are, and what is due at a given instant. Pure: time comes in as
//! an argument, nothing waits and nothing is written here.
//!
//! Invariants:
//! - Groups leave in the order in which they came: `in_flight`, then `sealed`, then `open`.
//! - `pending_rows` and `pending_bytes` cover all three.
//! - While something is in flight nothing else is taken up; what failed stays in flight and is tried again.
//!
//! Bounds: the caller asks [`Queue::fits`] before it adds; [`MAX_TRANSACTION_ROWS`] and [`MAX_TRANSACTION_BYTES`] a
//! transaction, except that one batch is never split.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{Batch, Group, Row, TableId};
use crate::config::Settings;
use crate::foreground::{MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS};

/// What the flusher has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Write.
    Now,
    /// Nothing before this instant, unless something changes.
    At(Instant),
    /// Nothing until something changes.
    Never,
}

/// What an added group changes for a flusher that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Nothing: it has its alarm set, or works.
    Nothing,
    /// There is something to do, or a new alarm to set.
    Wake,
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    batch_size: usize,
    flush_interval: Duration,
    max_pending_rows: usize,
    max_pending_bytes: usize,
    open: Option<Batch>,
    sealed: VecDeque<Arc<Batch>>,
    in_flight: Vec<Arc<Batch>>,
    /// How many of the groups in flight are settled: committed or given up.
    done_groups: usize,
    pending_rows: usize,
    pending_bytes: usize,
    /// How many groups were ever taken, and settled.
    taken_groups: u64,
    settled_groups: u64,
    /// Groups up to this number are to be written without waiting for a full batch or the interval.
    wanted_groups: u64,
    /// After a failure: not before this.
    retry_at: Option<Instant>,
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: &Settings) -> Self {
        Self {
            batch_size: settings.batch_size,
            flush_interval: settings.flush_interval,
            max_pending_rows: settings.max_pending_rows,
            max_pending_bytes: settings.max_pending_bytes,
            open: None,
            sealed: VecDeque::new(),
            in_flight: Vec::new(),
            done_groups: 0,
            pending_rows: 0,
            pending_bytes: 0,
            taken_groups: 0,
            settled_groups: 0,
            wanted_groups: 0,
            retry_at: None,
        }
    }

    /// Whether the group fits under the bounds, beside what waits already.
    pub fn fits(&self, group: &Group) -> bool {
        self.pending_rows + group.len() <= self.max_pending_rows
            && self.pending_bytes + group.size_bytes() <= self.max_pending_bytes
    }

    /// Whether the group would fit if nothing waited.
    pub fn could_ever_fit(&self, group: &Group) -> bool {
        group.len() <= self.max_pending_rows && group.size_bytes() <= self.max_pending_bytes
    }

    /// Takes a group.
    pub fn add(&mut self, group: &Group, now: Instant) -> Added {
        let open = self.open.get_or_insert_with(|| Batch::new(now));
        let was_empty = open.is_empty();
        let bytes_before = open.size_bytes();
        open.append(group, now);
        self.pending_rows += group.len();
        self.pending_bytes += open.size_bytes() - bytes_before;
        self.taken_groups += 1;
        let is_full = open.largest_table_rows() >= self.batch_size;
        if is_full {
            self.seal();
        }
        if is_full || was_empty {
            Added::Wake
        } else {
            Added::Nothing
        }
    }

    fn seal(&mut self) {
        if let Some(batch) = self.open.take() {
            self.sealed.push_back(Arc::new(batch));
        }
    }

    /// Asks for all groups taken so far, at once; gives the number of the last one.
    pub fn want_all(&mut self) -> u64 {
        self.wanted_groups = self.taken_groups;
        self.retry_at = None;
        self.taken_groups
    }

    /// Whether all groups up to a number are settled.
    pub fn is_settled(&self, group: u64) -> bool {
        self.settled_groups >= group
    }

    /// What there is to do.
    pub fn due(&self, now: Instant) -> Due {
        if self.pending_rows == 0 {
            return Due::Never;
        }
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return Due::At(at);
        }
        let open_is_wanted = self.wanted_groups > self.settled_groups;
        if !self.in_flight.is_empty() || !self.sealed.is_empty() || open_is_wanted {
            return Due::Now;
        }
        match &self.open {
            None => Due::Never,
            Some(open) if now >= open.oldest + self.flush_interval => Due::Now,
            Some(open) => Due::At(open.oldest + self.flush_interval),
        }
    }

    /// Takes batches into flight, or those that are still there after a failure. Gives them, and how many of their
    /// groups are settled already.
    pub fn begin(&mut self, now: Instant) -> (Vec<Arc<Batch>>, usize) {
        self.retry_at = None;
        if self.in_flight.is_empty() {
            let open_is_due = self.wanted_groups > self.settled_groups
                || self
                    .open
                    .as_ref()
                    .is_some_and(|open| now >= open.oldest + self.flush_interval);
            if open_is_due {
                self.seal();
            }
            let (mut rows, mut bytes) = (0, 0);
            while let Some(batch) = self.sealed.front() {
                rows += batch.rows();
                bytes += batch.size_bytes();
                if !self.in_flight.is_empty() && (rows > MAX_TRANSACTION_ROWS || bytes > MAX_TRANSACTION_BYTES) {
                    break;
                }
                self.in_flight.extend(self.sealed.pop_front());
            }
        }
        (self.in_flight.clone(), self.done_groups)
    }

    /// The next `groups` groups in flight, with `rows` rows, are committed or given up.
    pub fn settle(&mut self, groups: usize, rows: usize) {
        self.done_groups += groups;
        self.settled_groups += u64::try_from(groups).unwrap_or(u64::MAX);
        self.pending_rows -= rows;
        let all: usize = self.in_flight.iter().map(|batch| batch.group_count()).sum();
        if self.done_groups >= all {
            self.pending_bytes -= self.in_flight.iter().map(|batch| batch.size_bytes()).sum::<usize>();
            self.in_flight.clear();
            self.done_groups = 0;
        }
    }

    /// What is in flight failed; it stays there, and is due again at `retry_at`.
    pub fn failed(&mut self, retry_at: Instant) {
        self.retry_at = Some(retry_at);
    }

    /// All rows that are not settled, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let in_flight = self
            .in_flight
            .iter()
            .flat_map(|batch| batch.groups())
            .skip(self.done_groups)
            .flatten();
        let sealed = self.sealed.iter().flat_map(|batch| batch.all_rows());
        in_flight
            .chain(sealed)
            .chain(self.open.iter().flat_map(Batch::all_rows))
    }

    /// Whether any batch has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        let waiting = self.in_flight.iter().chain(&self.sealed).map(|batch| &**batch);
        waiting.chain(&self.open).any(|batch| batch.rows_of(table) > 0)
    }

    /// Rows taken and not settled.
    pub fn pending_rows(&self) -> usize {
        self.pending_rows
    }

    /// The memory they take, in bytes.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        let waiting = self.in_flight.iter().chain(&self.sealed).map(|batch| &**batch);
        waiting.chain(&self.open).map(|batch| batch.oldest).next()
    }

    /// Whether the rows of any one table have reached the batch size, those in flight counted.
    pub fn is_full(&self) -> bool {
        let batches = || {
            self.in_flight
                .iter()
                .chain(&self.sealed)
                .map(|batch| &**batch)
                .chain(&self.open)
        };
        batches()
            .flat_map(Batch::tables)
            .any(|(table, _)| batches().map(|batch| batch.rows_of(table)).sum::<usize>() >= self.batch_size)
    }
}
