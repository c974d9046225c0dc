//! Batches whose rows stand in the journal alone, as one: what a queue has to know of them.
//!
//! They become one batch again when their turn comes, with the same groups in the same order.
//!
//! Bound: some 300 bytes, 32 for each [`GROUPS_PER_MARK`] groups, and a byte for each group whose
//! number does not follow on the one before it.

use std::sync::Arc;
use std::time::Instant;

use write_buffer_journal::segment::Spot;

use crate::buffer::queue::numbers::Numbers;
use crate::rows::batch::Batch;
use crate::table::entry::TableId;
use crate::table::shape::Shape;

/// The places of groups are known at least so many groups apart.
const GROUPS_PER_MARK: usize = 64;

/// Where a batch's records are in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first one.
    pub from: Spot,
    /// The last one's ordinal.
    pub through: u64,
}

/// Batches whose rows stand in the journal alone: see the module.
#[derive(Debug)]
pub struct StoredBatch {
    numbers: Numbers,
    /// Numbers of groups, and where these are.
    marks: Vec<(u64, Spot)>,
    /// So many groups come before the last one of these.
    marked: usize,
    through: u64,
    rows: usize,
    value_bytes: usize,
    table_rows: Vec<usize>,
    shapes: Arc<[Arc<Shape>]>,
    oldest: Instant,
}

impl StoredBatch {
    /// The first batch, with these numbers.
    pub fn new(batch: &Batch, numbers: impl Iterator<Item = u64>, span: Span) -> Self {
        let mut stored = Self {
            numbers: Numbers::default(),
            marks: Vec::new(),
            marked: 0,
            through: 0,
            rows: 0,
            value_bytes: 0,
            table_rows: Vec::new(),
            shapes: Arc::from(Vec::new()),
            oldest: batch.oldest,
        };
        stored.append(batch, numbers, span);
        stored
    }

    /// The next batch.
    pub fn append(&mut self, batch: &Batch, numbers: impl Iterator<Item = u64>, span: Span) {
        let before = self.numbers.count();
        for number in numbers {
            let is_first = self.numbers.count() == before;
            if is_first && (before == 0 || before - self.marked >= GROUPS_PER_MARK) {
                self.marks.push((number, span.from));
                self.marked = before;
            }
            self.numbers.push(number);
        }
        self.through = span.through;
        self.rows += batch.rows();
        self.value_bytes += batch.arena_bytes();
        for (TableId(table), _) in batch.tables() {
            if self.table_rows.len() <= table {
                self.table_rows.resize(table + 1, 0);
            }
        }
        for (table, rows) in self.table_rows.iter_mut().enumerate() {
            *rows += batch.rows_of(TableId(table));
        }
        let mut shapes = self.shapes.iter();
        let new: Vec<_> = batch
            .shapes()
            .filter(|shape| shapes.clone().all(|known| !Arc::ptr_eq(known, shape)))
            .cloned()
            .collect();
        if !new.is_empty() {
            self.shapes = shapes.by_ref().cloned().chain(new).collect();
        }
    }

    /// It takes no more. Shares what it has in common with the one before it.
    pub fn finish(&mut self, before: Option<&Self>) {
        let is_same = |other: &&Self| {
            let mut shapes = other.shapes.iter().zip(self.shapes.iter());
            other.shapes.len() == self.shapes.len() && shapes.all(|(one, other)| Arc::ptr_eq(one, other))
        };
        if let Some(before) = before.filter(is_same) {
            self.shapes = Arc::clone(&before.shapes);
        }
        self.numbers.shrink();
        self.marks.shrink_to_fit();
        self.table_rows.shrink_to_fit();
    }

    /// The numbers of its groups.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Where to begin to read for a group: at it, or some groups before it.
    pub fn mark(&self, number: u64) -> Option<Spot> {
        let at = self.marks.partition_point(|(marked, _)| *marked <= number);
        self.marks.get(at.checked_sub(1)?).map(|(_, spot)| *spot)
    }

    /// Where its first record is.
    pub fn begins(&self) -> Option<Spot> {
        self.marks.first().map(|(_, spot)| *spot)
    }

    /// The ordinal of its last record.
    pub fn through(&self) -> u64 {
        self.through
    }

    /// The tables and columns of its rows.
    pub fn shapes(&self) -> &[Arc<Shape>] {
        &self.shapes
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The memory that its rows' values take once they are read, in bytes.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// How many rows of a table it has.
    pub fn rows_of(&self, table: TableId) -> usize {
        self.table_rows.get(table.0).copied().unwrap_or(0)
    }

    /// When its first group was taken.
    pub fn oldest(&self) -> Instant {
        self.oldest
    }

    /// The memory that it takes here, in bytes.
    pub fn size_bytes(&self) -> usize {
        const ALLOCATIONS: usize = 5 * 2 * size_of::<usize>();
        size_of::<Self>()
            + ALLOCATIONS
            + self.numbers.size_bytes()
            + self.marks.capacity() * size_of::<(u64, Spot)>()
            + self.table_rows.capacity() * size_of::<usize>()
            + self.shapes.len() * size_of::<Arc<Shape>>()
    }
}
