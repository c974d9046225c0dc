//! Coalescing: rows with the same table and key become one, and a deletion takes the place of what
//! came before it ([`versions`](crate::plan::versions)).
//!
//! Aim: **writing the coalesced rows leaves the table exactly as writing the rows one after the
//! other would**, so no result depends on where a batch ends.
//! `a_plan_does_what_its_rows_do_one_by_one` in `crates/core/tests/coalesce_model/main.rs` holds
//! this against a plain model of a server, `php-tests/Twin` against the servers themselves.
//!
//! Some merges would need to know what the table holds. Such rows are not merged: the later one
//! goes into the next *layer*, and layers are written one after the other. If the server's idea of
//! equal keys is not certain (see [`ColumnKind::key`](crate::table::column::ColumnKind::key)), the
//! whole table keeps the order of its rows. Nothing is merged or sorted then, and the last row in
//! order wins.
//!
//! `docs/design/coalescing.md` says why.

use std::sync::Arc;

use crate::error::Result;
use crate::plan::binder::BoundRow;
use crate::plan::merge::{ColumnUnions, MergedRow};
use crate::plan::versions::Versions;
use crate::table::rules::Mode;

/// A table's rows, ready to be written.
#[derive(Debug, Default)]
pub struct Coalesced<'a> {
    /// Layers, to be written one after the other. Within a layer no two rows have the same key,
    /// unless the rows keep their order.
    pub layers: Vec<Vec<BoundRow<'a>>>,
    /// Whether the rows keep their order: then only neighbours share a statement.
    pub in_order: bool,
    /// How many rows were merged into others.
    pub coalesced_rows: usize,
    /// How many of these have a guard and change nothing: one before them is newer, or the same.
    pub stale_rows: usize,
}

/// Coalesces the rows of one table, in the order in which they were added. No merge makes a row of
/// more than `max_row_bytes` on the wire.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn coalesce(rows: Vec<BoundRow<'_>>, max_row_bytes: usize) -> Result<Coalesced<'_>> {
    let Some(model) = rows.first().map(|row| Arc::clone(&row.bound.model)) else {
        return Ok(Coalesced::default());
    };
    let keys = if model.may_sort() { Keys::of(&rows) } else { None };
    let Some(keys) = keys else {
        return Ok(Coalesced {
            layers: vec![rows],
            in_order: true,
            ..Coalesced::default()
        });
    };
    if keys.are_ascending() {
        // Nothing to sort, and no two rows of one key: most batches end here.
        return Ok(Coalesced {
            layers: vec![rows],
            ..Coalesced::default()
        });
    }
    let order = keys.order();
    match model.mode {
        Mode::Upsert => merge_by_key(rows, &keys, &order, model.may_merge().then_some(max_row_bytes)),
        Mode::Insert => {
            let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
            let sorted = order.iter().filter_map(|at| rows.get_mut(*at)?.take());
            Ok(Coalesced {
                layers: vec![sorted.collect()],
                ..Coalesced::default()
            })
        }
    }
}

/// The key forms of rows, one after the other.
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// `None` if that of one row is not certain.
    fn of(rows: &[BoundRow<'_>]) -> Option<Self> {
        let mut keys = Self {
            bytes: Vec::with_capacity(16 * rows.len()),
            ends: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            row.append_key(&mut keys.bytes)?;
            keys.ends.push(keys.bytes.len());
        }
        Some(keys)
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default()..end).unwrap_or_default()
    }

    fn are_ascending(&self) -> bool {
        (1..self.ends.len()).all(|at| self.get(at - 1) < self.get(at))
    }

    /// The rows by key; those of one key in their order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by(|left, right| self.get(*left).cmp(self.get(*right)));
        order
    }
}

/// Rows by key, those of one key merged or in layers. `max_row_bytes`: `None` merges nothing.
fn merge_by_key<'a>(
    rows: Vec<BoundRow<'a>>,
    keys: &Keys,
    order: &[usize],
    max_row_bytes: Option<usize>,
) -> Result<Coalesced<'a>> {
    let total = rows.len();
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    let mut unions = max_row_bytes.map(ColumnUnions::new);
    let mut layers: Vec<Vec<BoundRow<'a>>> = vec![Vec::with_capacity(total)];
    let (mut kept, mut stale_rows) = (0, 0);
    for same_key in order.chunk_by(|left, right| keys.get(*left) == keys.get(*right)) {
        // The rows of the key by layer, nearly always one.
        let mut depth = 0;
        let mut settle = |row: MergedRow<'a>| {
            for row in row.into_rows() {
                place(&mut layers, depth, row);
                depth += 1;
                kept += 1;
            }
        };
        let mut versions = Versions::default();
        for row in same_key.iter().filter_map(|at| rows.get_mut(*at)?.take()) {
            versions.add(row, unions.as_mut(), &mut settle)?;
        }
        versions.settle(&mut settle);
        stale_rows += versions.stale_rows();
    }
    Ok(Coalesced {
        layers,
        in_order: false,
        coalesced_rows: total - kept,
        stale_rows,
    })
}

fn place<'a>(layers: &mut Vec<Vec<BoundRow<'a>>>, layer: usize, row: BoundRow<'a>) {
    if layers.len() <= layer {
        layers.resize_with(layer + 1, Vec::new);
    }
    if let Some(rows) = layers.get_mut(layer) {
        rows.push(row);
    }
}
