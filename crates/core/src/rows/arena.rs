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
    /// Those in use, and behind them the ones that were when it was [cleared](Self::clear): the
    /// next rows are likely to have the same.
    pub shapes: Vec<Arc<Shape>>,
    used_shapes: usize,
    /// The positions of the shapes, by address, once there are more than [`SCANNED_SHAPES`].
    pub by_address: FxHashMap<usize, usize>,
}

impl Rows {
    /// Empty ones with room for so many rows, whose values have so many bytes.
    pub fn with_capacity(rows: usize, arena_bytes: usize) -> Self {
        Self {
            arena: Vec::with_capacity(arena_bytes),
            heads: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    /// The shapes in use.
    pub fn shapes(&self) -> &[Arc<Shape>] {
        self.shapes.get(..self.used_shapes).unwrap_or_default()
    }

    /// The position of a shape, which is nearly always the last one used.
    pub fn shape(&mut self, shape: &Arc<Shape>) -> usize {
        let last = self.used_shapes.saturating_sub(SCANNED_SHAPES);
        let is_it = |known: &Arc<Shape>| Arc::ptr_eq(known, shape);
        if let Some(at) = self.shapes().iter().skip(last).rposition(is_it) {
            return last + at;
        }
        if self.shapes.get(self.used_shapes).is_some_and(is_it) {
            // No more than are scanned were kept, so none is to be found by its address.
            self.used_shapes += 1;
            return self.used_shapes - 1;
        }
        if last > 0
            && let Some(at) = self.by_address.get(&address(shape))
        {
            return *at;
        }
        self.push_shape(shape)
    }

    /// Other shapes in the places of those in use.
    pub fn replace_shapes(&mut self, shapes: Vec<Arc<Shape>>) {
        self.used_shapes = shapes.len();
        self.shapes = shapes;
        self.by_address.clear();
        if self.shapes.len() > SCANNED_SHAPES {
            let all = self.shapes.iter().enumerate();
            self.by_address.extend(all.map(|(at, shape)| (address(shape), at)));
        }
    }

    #[cold]
    fn push_shape(&mut self, shape: &Arc<Shape>) -> usize {
        self.shapes.truncate(self.used_shapes);
        self.shapes.push(Arc::clone(shape));
        self.used_shapes = self.shapes.len();
        if self.shapes.len() > SCANNED_SHAPES {
            let indexed = self.by_address.len();
            let new = self.shapes.iter().enumerate().skip(indexed);
            self.by_address.extend(new.map(|(at, shape)| (address(shape), at)));
        }
        self.used_shapes - 1
    }

    pub fn row(&self, at: usize) -> Option<Row<'_>> {
        let head = self.heads.get(at)?;
        let end = self.heads.get(at + 1).map_or(self.arena.len(), |next| next.start);
        Some(Row {
            shape: self.shapes().get(head.shape)?,
            encoded: self.arena.get(head.start..end)?,
        })
    }

    /// The memory that it holds, in bytes, filled or not.
    pub fn reserved_bytes(&self) -> usize {
        self.arena.capacity() + self.heads.capacity() * size_of::<RowHead>()
    }

    /// Forgets all rows. A few shapes stay.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.heads.clear();
        self.used_shapes = 0;
        if self.shapes.len() > SCANNED_SHAPES {
            self.shapes.clear();
            self.by_address.clear();
        }
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
    /// What `look` makes of its columns bound to its table, after a check of its values. `None` if
    /// the table is not known yet. `look` is short: meanwhile nobody can bind them anew.
    ///
    /// # Errors
    ///
    /// A row that its table can never take.
    pub fn check<R>(&self, look: impl FnOnce(Option<&BoundColumns>) -> R) -> CoreResult<R> {
        self.shape.with_bound(|bound| {
            if let Some(bound) = bound {
                bound.check(self.values())?;
            }
            Ok(look(bound.map(|bound| &**bound)))
        })
    }

    pub(super) fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The bytes that its values take.
    pub fn encoded_bytes(&self) -> usize {
        self.encoded.len()
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
            assert_eq!(rows.shapes().len(), shapes.len());
            rows.clear();
            assert_eq!(rows.shapes().len(), 0);
        }
        for shape in &shapes {
            rows.shape(shape);
        }
        rows.replace_shapes(shapes.iter().rev().cloned().collect());
        assert_eq!(rows.shape(&shapes[0]), shapes.len() - 1);
        assert_eq!(rows.shape(&shapes[99]), 0);
    }

    #[test]
    fn what_was_cleared_does_not_show_in_other_rows() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let shapes = ["a", "b", "c"].map(|name| {
            let columns = std::iter::once(name.as_bytes());
            catalog.shape(TableId(0), columns).expect("a shape")
        });
        let mut rows = Rows::default();
        // The same shapes again, fewer, others, in another order.
        for order in [
            &[0, 1, 2][..],
            &[0, 1, 2],
            &[0],
            &[1, 0],
            &[0, 2, 1, 0],
            &[],
            &[2, 0, 1],
        ] {
            rows.clear();
            let mut seen: Vec<usize> = Vec::new();
            for at in order {
                let expected = seen.iter().position(|other| other == at).unwrap_or(seen.len());
                assert_eq!(rows.shape(&shapes[*at]), expected, "{order:?}");
                if expected == seen.len() {
                    seen.push(*at);
                }
                let known: Vec<_> = rows.shapes().iter().map(Arc::as_ptr).collect();
                let wanted: Vec<_> = seen.iter().map(|at| Arc::as_ptr(&shapes[*at])).collect();
                assert_eq!(known, wanted, "{order:?}");
            }
        }
    }
}
