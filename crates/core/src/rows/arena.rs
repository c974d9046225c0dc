//! Encoded rows, one after the other in one byte vector, and the shapes they use.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::Result as CoreResult;
use crate::table::bound::BoundColumns;
use crate::table::shape::Shape;
use crate::value::Values;

/// The memory of a group beside its rows: where it ends in its batch, its number in the queue.
pub(super) const GROUP_BYTES: usize = size_of::<usize>() + size_of::<u64>();
/// So many shapes are compared one by one. Further ones are found by their address.
const SCANNED_SHAPES: usize = 8;

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
    /// The positions of the shapes, by address, once there are more than [`SCANNED_SHAPES`].
    pub by_address: FxHashMap<usize, usize>,
}

impl Rows {
    /// The position of a shape, which is nearly always the last one used.
    pub fn shape(&mut self, shape: &Arc<Shape>) -> usize {
        let last = self.shapes.len().saturating_sub(SCANNED_SHAPES);
        let is_it = |known: &Arc<Shape>| Arc::ptr_eq(known, shape);
        if let Some(at) = self.shapes.iter().skip(last).rposition(is_it) {
            return last + at;
        }
        if last > 0
            && let Some(at) = self.by_address.get(&address(shape))
        {
            return *at;
        }
        self.push_shape(shape)
    }

    /// Other shapes in the places of these.
    pub fn replace_shapes(&mut self, shapes: Vec<Arc<Shape>>) {
        self.shapes = shapes;
        self.by_address.clear();
        if self.shapes.len() > SCANNED_SHAPES {
            let all = self.shapes.iter().enumerate();
            self.by_address.extend(all.map(|(at, shape)| (address(shape), at)));
        }
    }

    #[cold]
    fn push_shape(&mut self, shape: &Arc<Shape>) -> usize {
        self.shapes.push(Arc::clone(shape));
        if self.shapes.len() > SCANNED_SHAPES {
            let indexed = self.by_address.len();
            let new = self.shapes.iter().enumerate().skip(indexed);
            self.by_address.extend(new.map(|(at, shape)| (address(shape), at)));
        }
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

    /// The memory that it holds, in bytes, filled or not.
    pub fn reserved_bytes(&self) -> usize {
        self.arena.capacity() + self.heads.capacity() * size_of::<RowHead>()
    }

    pub fn clear(&mut self) {
        self.arena.clear();
        self.heads.clear();
        self.shapes.clear();
        self.by_address.clear();
    }
}

/// The shapes are held, so no other one gets the address meanwhile.
fn address(shape: &Arc<Shape>) -> usize {
    Arc::as_ptr(shape).addr()
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

    pub(super) fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// Its values, in the order of its columns.
    pub fn values(&self) -> Values<'a> {
        Values::new(self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::table::entry::TableId;

    #[test]
    fn each_of_many_shapes_keeps_its_position() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let shapes: Vec<_> = (0..100)
            .map(|at| {
                let name = format!("c{at}");
                let columns = std::iter::once(name.as_bytes());
                catalog.shape(TableId(0), columns).expect("a shape")
            })
            .collect();
        let mut rows = Rows::default();
        for _ in 0..2 {
            for round in 0..2 {
                for (at, shape) in shapes.iter().enumerate() {
                    assert_eq!(rows.shape(shape), at, "round {round}");
                }
            }
            assert_eq!(rows.shapes.len(), shapes.len());
            rows.clear();
        }
        for shape in &shapes {
            rows.shape(shape);
        }
        rows.replace_shapes(shapes.iter().rev().cloned().collect());
        assert_eq!(rows.shape(&shapes[0]), shapes.len() - 1);
        assert_eq!(rows.shape(&shapes[99]), 0);
    }
}
