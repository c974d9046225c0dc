//! Encoded rows, one after the other in one byte vector, and the shapes they use.

use std::sync::Arc;

use crate::error::Result as CoreResult;
use crate::table::bound::BoundColumns;
use crate::table::shape::Shape;
use crate::value::Values;

#[derive(Debug, Clone, Copy)]
pub(super) struct RowHead {
    pub shape: usize,
    pub start: usize,
}

/// Encoded rows and the shapes they use.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub arena: Vec<u8>,
    pub heads: Vec<RowHead>,
    pub shapes: Vec<Arc<Shape>>,
}

impl Rows {
    /// The position of a shape, which is nearly always the last one used.
    pub fn shape(&mut self, shape: &Arc<Shape>) -> usize {
        if let Some(at) = self.shapes.iter().rposition(|known| Arc::ptr_eq(known, shape)) {
            return at;
        }
        self.shapes.push(Arc::clone(shape));
        self.shapes.len() - 1
    }

    pub fn row(&self, at: usize) -> Option<Row<'_>> {
        let head = self.heads.get(at)?;
        let end = self.heads.get(at + 1).map_or(self.arena.len(), |next| next.start);
        Some(Row {
            shape: self.shapes.get(head.shape)?,
            encoded: self.arena.get(head.start..end)?,
        })
    }

    pub fn clear(&mut self) {
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
    /// Its columns bound to its table, after a check of its values. `None` if the table is not
    /// known yet.
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
