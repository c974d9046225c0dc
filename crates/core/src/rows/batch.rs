//! A batch: the log of groups that wait together.
//!
//! Invariants: a group's rows stand together; a batch only grows at its end, and is dropped whole.
//!
//! Bound: it reserves at most 1 MiB for values that have not come yet. What it has reserved in vain
//! it gives back when it takes no more groups.

use std::sync::Arc;
use std::time::Instant;

use crate::rows::arena::{GROUP_BYTES, Row, RowHead, Rows};
use crate::rows::group::{Group, tag_bytes};
use crate::table::entry::{TableEntry, TableId};
use crate::table::shape::Shape;

/// A batch reserves at most this much memory for values that have not come yet.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;

/// The memory of a batch beside its rows and groups: itself, its shapes, its count of rows by
/// table, and what the allocator adds to each of these and to its vectors.
const OVERHEAD_BYTES: usize = size_of::<Batch>() + 256;

/// Groups collected together.
#[derive(Debug)]
pub struct Batch {
    rows: Rows,
    /// Where each group ends, as a row number.
    group_ends: Vec<usize>,
    /// The tags of groups that have one, by the groups' positions.
    tags: Vec<(usize, Arc<str>)>,
    tag_bytes: usize,
    /// Rows by table.
    table_rows: Vec<usize>,
    /// When the first group was taken.
    pub oldest: Instant,
    /// The number of its first group, if its queue gave it one.
    pub first_group: u64,
    /// It is what was left of another batch as groups were set aside.
    pub is_rest: bool,
    /// It was read back from the journal.
    pub is_read_back: bool,
}

impl Batch {
    /// An empty batch; `now` is when its first group is about to be taken.
    pub fn new(now: Instant) -> Self {
        Self::with_capacity(now, 0, 0)
    }

    /// An empty batch that is likely to get so many rows, with values of so many bytes.
    pub fn with_capacity(now: Instant, rows: usize, arena_bytes: usize) -> Self {
        Self {
            rows: Rows::with_capacity(rows, arena_bytes.min(MAX_RESERVED_BYTES)),
            group_ends: Vec::with_capacity(rows.div_ceil(2)),
            tags: Vec::new(),
            tag_bytes: 0,
            table_rows: Vec::new(),
            oldest: now,
            first_group: 0,
            is_rest: false,
            is_read_back: false,
        }
    }

    /// Takes a group, by copying it.
    pub fn append(&mut self, group: &Group, now: Instant) {
        if self.is_empty() {
            self.oldest = now;
        }
        let offset = self.rows.arena.len();
        self.rows.arena.extend_from_slice(&group.rows.arena);
        for head in &group.rows.heads {
            let Some(shape) = group.shapes().get(head.shape) else {
                continue;
            };
            let at = self.rows.shape(shape);
            self.rows.heads.push(RowHead {
                shape: at,
                start: head.start + offset,
            });
            self.count(shape.table);
        }
        if let Some(tag) = group.tag() {
            self.set_tag(tag);
        }
        self.group_ends.push(self.rows.heads.len());
    }

    /// Gives the group that comes next its tag.
    fn set_tag(&mut self, tag: &Arc<str>) {
        self.tags.push((self.group_ends.len(), Arc::clone(tag)));
        self.tag_bytes += tag_bytes(tag);
    }

    /// The tag of a group, by its position.
    pub fn tag(&self, position: usize) -> Option<&Arc<str>> {
        let at = self.tags.binary_search_by_key(&position, |(position, _)| *position);
        Some(&self.tags.get(at.ok()?)?.1)
    }

    /// Takes a copy of another batch's group, by its position.
    pub fn append_from(&mut self, other: &Self, position: usize) {
        if let Some(tag) = other.tag(position) {
            self.set_tag(tag);
        }
        for row in other.group(position) {
            let shape = self.rows.shape(row.shape);
            let start = self.rows.arena.len();
            self.rows.arena.extend_from_slice(row.encoded());
            self.rows.heads.push(RowHead { shape, start });
            self.count(row.shape.table);
        }
        self.group_ends.push(self.rows.heads.len());
    }

    fn count(&mut self, TableId(table): TableId) {
        if self.table_rows.len() <= table {
            self.table_rows.resize(table + 1, 0);
        }
        if let Some(rows) = self.table_rows.get_mut(table) {
            *rows += 1;
        }
    }

    /// The groups, in order, each as its rows.
    pub fn groups(&self) -> impl Iterator<Item = impl Iterator<Item = Row<'_>>> {
        let starts = std::iter::once(0).chain(self.group_ends.iter().copied());
        starts
            .zip(self.group_ends.iter().copied())
            .map(|(start, end)| (start..end).filter_map(|at| self.rows.row(at)))
    }

    /// A row, by its position.
    pub fn row(&self, at: usize) -> Option<Row<'_>> {
        self.rows.row(at)
    }

    /// How many rows the first `groups` groups have.
    pub fn rows_before(&self, groups: usize) -> usize {
        let last = groups.min(self.group_ends.len()).checked_sub(1);
        last.and_then(|last| self.group_ends.get(last)).copied().unwrap_or(0)
    }

    /// One group, by its position.
    pub fn group(&self, position: usize) -> impl Iterator<Item = Row<'_>> {
        let end = self.group_ends.get(position).copied().unwrap_or(0);
        let start = position
            .checked_sub(1)
            .and_then(|before| self.group_ends.get(before).copied())
            .unwrap_or(0);
        (start..end).filter_map(|at| self.rows.row(at))
    }

    /// All rows, in order.
    pub fn all_rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows()).filter_map(|at| self.rows.row(at))
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows.heads.len()
    }

    /// How many groups it has.
    pub fn group_count(&self) -> usize {
        self.group_ends.len()
    }

    /// The tables that it has rows for. Some come more than once.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Arc<TableEntry>)> {
        self.rows.shapes().iter().map(|shape| (shape.table, &shape.entry))
    }

    /// The tables and columns of its rows.
    pub fn shapes(&self) -> impl Iterator<Item = &Arc<Shape>> {
        self.rows.shapes().iter()
    }

    /// The most rows that any one table has.
    pub fn largest_table_rows(&self) -> usize {
        self.table_rows.iter().copied().max().unwrap_or(0)
    }

    /// How many rows of a table it has.
    pub fn rows_of(&self, table: TableId) -> usize {
        self.table_rows.get(table.0).copied().unwrap_or(0)
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.heads.is_empty()
    }

    /// The memory that it takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.rows.arena.len()
            + self.rows() * size_of::<RowHead>()
            + self.group_ends.len() * GROUP_BYTES
            + self.tag_bytes
            + OVERHEAD_BYTES
    }

    /// Gives back the memory that it has reserved in vain, if that is much.
    pub fn give_back_memory(&mut self) {
        fn shrink<T>(vector: &mut Vec<T>) {
            if vector.capacity() - vector.len() > vector.len() / 8 {
                vector.shrink_to_fit();
            }
        }
        shrink(&mut self.rows.arena);
        shrink(&mut self.rows.heads);
        shrink(&mut self.rows.shapes);
        shrink(&mut self.group_ends);
        shrink(&mut self.tags);
    }

    /// The memory that its rows' values take, in bytes.
    pub fn arena_bytes(&self) -> usize {
        self.rows.arena.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::value::Value;

    #[test]
    fn a_batch_gives_back_its_groups() {
        let mut catalog = Catalog::new(None, &["orders", "trades"], "trades", Vec::new()).expect("a catalog");
        let mut shape = |table, columns: &[&str]| {
            let names = columns.iter().map(|name| name.as_bytes());
            catalog.shape(TableId(table), names).expect("a shape")
        };
        let (orders, trades) = (shape(0, &["id", "price"]), shape(1, &["id"]));
        let now = Instant::now();
        let mut batch = Batch::new(now);
        let mut group = Group::default();
        for id in 0..3 {
            group.clear();
            group
                .push_row(&orders, &[Value::Int(id), Value::text("1.5")])
                .expect("short");
            for trade in 0..id {
                group.push_row(&trades, &[Value::Int(trade)]).expect("short");
            }
            batch.append(&group, now);
        }
        let groups: Vec<Vec<(usize, Vec<Value<'_>>)>> = batch
            .groups()
            .map(|rows| rows.map(|row| (row.shape.table.0, row.values().collect())).collect())
            .collect();
        let order = |id| (0, vec![Value::Int(id), Value::text("1.5")]);
        let trade = |id| (1, vec![Value::Int(id)]);
        assert_eq!(
            groups,
            vec![
                vec![order(0)],
                vec![order(1), trade(0)],
                vec![order(2), trade(0), trade(1)]
            ]
        );
        assert_eq!((batch.rows(), batch.group_count()), (6, 3));
        assert_eq!(
            (
                batch.rows_of(TableId(0)),
                batch.rows_of(TableId(1)),
                batch.rows_of(TableId(9))
            ),
            (3, 3, 0)
        );
    }
}
