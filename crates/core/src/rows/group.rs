//! A group: the rows of one `add()`.
//!
//! Invariant: it is taken whole, committed in one transaction, or given up whole.

use std::sync::Arc;

use crate::rows::arena::{Row, RowHead, Rows};
use crate::table::shape::Shape;
use crate::value;
use crate::value::{Value, ValueTooLong};

/// A position in a group that is being made.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    rows: usize,
    bytes: usize,
}

/// The rows of one `add()`, collected before any of them is taken.
#[derive(Debug, Default)]
pub struct Group {
    pub(super) rows: Rows,
}

impl Group {
    /// The same rows with other shapes: `shape` returns the new one for each.
    ///
    /// # Errors
    ///
    /// As `shape`.
    pub fn reshaped<E>(mut self, shape: impl FnMut(&Arc<Shape>) -> Result<Arc<Shape>, E>) -> Result<Self, E> {
        let shapes = self.rows.shapes.iter().map(shape).collect::<Result<_, E>>()?;
        self.rows.replace_shapes(shapes);
        Ok(self)
    }

    /// Begins a row. [`Self::push`] adds its values.
    pub fn begin_row(&mut self, shape: &Arc<Shape>) {
        let shape = self.rows.shape(shape);
        let start = self.rows.arena.len();
        self.rows.heads.push(RowHead { shape, start });
    }

    /// The position at which the group ends now.
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

    /// Adds NULL to the row that was begun last.
    #[inline]
    pub fn push_null(&mut self) {
        value::encode_null(&mut self.rows.arena);
    }

    /// Adds an int to the row that was begun last.
    #[inline]
    pub fn push_int(&mut self, number: i64) {
        value::encode_int(&mut self.rows.arena, number);
    }

    /// Adds a float to the row that was begun last.
    #[inline]
    pub fn push_float(&mut self, number: f64) {
        value::encode_float(&mut self.rows.arena, number);
    }

    /// Adds a string to the row that was begun last.
    ///
    /// # Errors
    ///
    /// It is too long.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), ValueTooLong> {
        value::encode_bytes(&mut self.rows.arena, bytes)
    }

    /// Adds a value to the row that was begun last.
    ///
    /// # Errors
    ///
    /// A string that is too long.
    pub fn push(&mut self, value: &Value<'_>) -> Result<(), ValueTooLong> {
        value.encode(&mut self.rows.arena)
    }

    /// Begins a row and adds all its values.
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
