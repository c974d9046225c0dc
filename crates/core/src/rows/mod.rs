//! Rows on their way: a group is one `add()`, a batch is the log of groups that wait together.
//!
//! A batch keeps every row as it was given, in order. Coalescing happens when the batch is written
//! ([`crate::plan::coalesce`]), so that taking a row is a copy and nothing else, and a batch can be written without one of its
//! groups: what the others make of the table never depends on it.
//!
//! Invariants: a group's rows stand together; a batch only grows at its end and is emptied whole.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use crate::error::Result as CoreResult;
use crate::table::BoundColumns;
use crate::table::catalog::TableEntry;
use crate::value::{self, Value, ValueTooLong, Values};

/// A batch reserves no more memory than this for rows that have not come yet.
const MAX_RESERVED_BYTES: usize = 1024 * 1024;

/// A table's place in its [`crate::table::catalog::Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub usize);

/// A table and the columns of a row, shared by all rows that have the same ones.
#[derive(Debug)]
pub struct Shape {
    /// The table's place.
    pub table: TableId,
    /// The table.
    pub entry: Arc<TableEntry>,
    /// The columns' names, in the row's order.
    pub columns: Arc<[Box<str>]>,
    /// The column that groups are routed by, where the row has it.
    pub route: Option<usize>,
    /// The columns bound to the table's model, and which of its models that was.
    binding: RwLock<Option<(u64, CoreResult<Arc<BoundColumns>>)>>,
}

impl Shape {
    /// The columns of a table's row.
    pub fn new(table: TableId, entry: Arc<TableEntry>, columns: Arc<[Box<str>]>, route_by: Option<&str>) -> Self {
        let is_route = |column: &str| route_by.is_some_and(|route_by| column.eq_ignore_ascii_case(route_by));
        Self {
            route: columns.iter().position(|column| is_route(column)),
            table,
            entry,
            columns,
            binding: RwLock::new(None),
        }
    }

    /// The columns bound to the table, as far as the table is known: once for each model that the table ever had.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written.
    pub fn bound(&self) -> CoreResult<Option<Arc<BoundColumns>>> {
        // The version before the model: a model that comes in between is bound under a version that is old already.
        let version = self.entry.model_version();
        if let Some((bound_for, bound)) = &*self.binding.read().unwrap_or_else(PoisonError::into_inner)
            && *bound_for == version
        {
            return bound.clone().map(Some);
        }
        let Some(model) = self.entry.model() else {
            return Ok(None);
        };
        let bound = model.bind(&self.columns).map(Arc::new);
        *self.binding.write().unwrap_or_else(PoisonError::into_inner) = Some((version, bound.clone()));
        bound.map(Some)
    }
}

#[derive(Debug, Clone, Copy)]
struct RowHead {
    shape: usize,
    start: usize,
}

/// Encoded rows and the shapes they use.
#[derive(Debug, Default)]
struct Rows {
    arena: Vec<u8>,
    heads: Vec<RowHead>,
    shapes: Vec<Arc<Shape>>,
}

impl Rows {
    /// The place of a shape, which is nearly always the last one used.
    fn shape(&mut self, shape: &Arc<Shape>) -> usize {
        if let Some(at) = self.shapes.iter().rposition(|known| Arc::ptr_eq(known, shape)) {
            return at;
        }
        self.shapes.push(Arc::clone(shape));
        self.shapes.len() - 1
    }

    fn row(&self, at: usize) -> Option<Row<'_>> {
        let head = self.heads.get(at)?;
        let end = self.heads.get(at + 1).map_or(self.arena.len(), |next| next.start);
        Some(Row {
            shape: self.shapes.get(head.shape)?,
            encoded: self.arena.get(head.start..end)?,
        })
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.heads.clear();
        self.shapes.clear();
    }
}

/// One row of a group or a batch.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its table and columns.
    pub shape: &'a Arc<Shape>,
    encoded: &'a [u8],
}

impl<'a> Row<'a> {
    /// Its columns bound to its table and its values checked, as far as the table is known.
    ///
    /// # Errors
    ///
    /// A row that its table can never take.
    pub fn check(&self) -> CoreResult<Option<Arc<BoundColumns>>> {
        let bound = self.shape.bound()?;
        if let Some(bound) = &bound {
            bound.check(self.values())?;
        }
        Ok(bound)
    }

    /// Its values, in the order of its columns.
    pub fn values(&self) -> Values<'a> {
        Values::new(self.encoded)
    }
}

/// A place in a group that is being gathered.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    rows: usize,
    bytes: usize,
}

/// The rows of one `add()`, gathered before any of them is taken.
#[derive(Debug, Default)]
pub struct Group {
    rows: Rows,
}

impl Group {
    /// The same rows with other shapes, as `shape` gives them for those they have.
    ///
    /// # Errors
    ///
    /// As `shape`.
    pub fn reshaped<E>(mut self, shape: impl FnMut(&Arc<Shape>) -> Result<Arc<Shape>, E>) -> Result<Self, E> {
        self.rows.shapes = self.rows.shapes.iter().map(shape).collect::<Result<_, E>>()?;
        Ok(self)
    }

    /// Starts a row; [`Self::push`] gives it its values.
    pub fn begin_row(&mut self, shape: &Arc<Shape>) {
        let shape = self.rows.shape(shape);
        let start = self.rows.arena.len();
        self.rows.heads.push(RowHead { shape, start });
    }

    /// Where the group ends now.
    pub fn mark(&self) -> Mark {
        Mark {
            rows: self.rows.heads.len(),
            bytes: self.rows.arena.len(),
        }
    }

    /// Forgets all that came after a mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.rows.heads.truncate(mark.rows);
        self.rows.arena.truncate(mark.bytes);
    }

    /// Adds NULL to the row begun last.
    #[inline]
    pub fn push_null(&mut self) {
        value::encode_null(&mut self.rows.arena);
    }

    /// Adds an int to the row begun last.
    #[inline]
    pub fn push_int(&mut self, number: i64) {
        value::encode_int(&mut self.rows.arena, number);
    }

    /// Adds a float to the row begun last.
    #[inline]
    pub fn push_float(&mut self, number: f64) {
        value::encode_float(&mut self.rows.arena, number);
    }

    /// Adds a string to the row begun last.
    ///
    /// # Errors
    ///
    /// It is too long.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), ValueTooLong> {
        value::encode_bytes(&mut self.rows.arena, bytes)
    }

    /// Adds a value to the row begun last.
    ///
    /// # Errors
    ///
    /// A string that is too long.
    pub fn push(&mut self, value: &Value<'_>) -> Result<(), ValueTooLong> {
        value.encode(&mut self.rows.arena)
    }

    /// Gives the row begun last all its values.
    ///
    /// # Errors
    ///
    /// A string that is too long.
    pub fn push_row(&mut self, shape: &Arc<Shape>, values: &[Value<'_>]) -> Result<(), ValueTooLong> {
        self.begin_row(shape);
        values.iter().try_for_each(|value| self.push(value))
    }

    /// Its rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|at| self.rows.row(at))
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.heads.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.heads.is_empty()
    }

    /// The memory that it will take in a batch, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.rows.arena.len() + self.len() * size_of::<RowHead>()
    }

    /// Empties it and keeps its memory for the next one.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}

/// Groups collected together.
#[derive(Debug)]
pub struct Batch {
    rows: Rows,
    /// Where each group ends, as a row number.
    group_ends: Vec<usize>,
    /// Rows by table.
    table_rows: Vec<usize>,
    /// When the first group was taken.
    pub oldest: Instant,
}

impl Batch {
    /// An empty batch; `now` is when its first group is about to be taken.
    pub fn new(now: Instant) -> Self {
        Self::with_capacity(now, 0, 0)
    }

    /// An empty batch that is likely to get so many rows, of so many bytes.
    pub fn with_capacity(now: Instant, rows: usize, arena_bytes: usize) -> Self {
        Self {
            rows: Rows {
                arena: Vec::with_capacity(arena_bytes.min(MAX_RESERVED_BYTES)),
                heads: Vec::with_capacity(rows),
                shapes: Vec::new(),
            },
            group_ends: Vec::with_capacity(rows.div_ceil(2)),
            table_rows: Vec::new(),
            oldest: now,
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
            let Some(shape) = group.rows.shapes.get(head.shape) else {
                continue;
            };
            let at = self.rows.shape(shape);
            self.rows.heads.push(RowHead {
                shape: at,
                start: head.start + offset,
            });
            let table = shape.table.0;
            if self.table_rows.len() <= table {
                self.table_rows.resize(table + 1, 0);
            }
            if let Some(rows) = self.table_rows.get_mut(table) {
                *rows += 1;
            }
        }
        self.group_ends.push(self.rows.heads.len());
    }

    /// The groups, in order, each as its rows.
    pub fn groups(&self) -> impl Iterator<Item = impl Iterator<Item = Row<'_>>> {
        let starts = std::iter::once(0).chain(self.group_ends.iter().copied());
        starts
            .zip(self.group_ends.iter().copied())
            .map(|(start, end)| (start..end).filter_map(|at| self.rows.row(at)))
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

    /// The tables that it has rows for, some of them more than once.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Arc<TableEntry>)> {
        self.rows.shapes.iter().map(|shape| (shape.table, &shape.entry))
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

    /// The memory that its rows take, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.rows.arena.len() + self.rows() * size_of::<RowHead>()
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

    #[test]
    fn a_batch_gives_back_its_groups() {
        let mut catalog = Catalog::new(&["orders", "trades"], "trades", Vec::new()).expect("a catalog");
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
