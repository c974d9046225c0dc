//! An index of what is [parked](crate::buffer::parking), by key, for `find()`. It belongs to a
//! [`KeyIndex`](crate::buffer::key_index), which has the rows in queues.
//!
//! Whatever is parked is looked at once, by the first `find()` after that, and without the buffer's
//! lock. Under the lock a look takes references to groups that it does not know yet, and to those
//! that may have the key.
//!
//! Invariant: no row is missed, and none that is settled is found: a group counts only as long as
//! it is parked, or on its way again.
//!
//! Bounds: 16 bytes for each row of the table that is parked, and as much for those that were since
//! the index began anew. At most [`GROUPS_AT_ONCE`] groups are referred to in one hold of the lock.

use std::sync::Arc;

use crate::buffer::parking::{Arrivals, Parking};
use crate::buffer::places::Places;
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::table::entry::TableId;

/// So many groups are referred to in one step.
const GROUPS_AT_ONCE: usize = 10_000;
/// The index keeps up to this many places, settled or not.
const PLACES_KEPT: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub struct ParkedIndex {
    /// By the hash of a row's key: the number of its group.
    places: Places<u64>,
    seen: Arrivals,
}

/// What a look saw.
#[derive(Debug, Default)]
pub struct ParkedView {
    /// Groups that are not indexed yet.
    new: Vec<(u64, Arc<Batch>)>,
    /// Groups that may have the key, in order.
    found: Vec<(u64, Arc<Batch>)>,
}

impl ParkedView {
    /// Whether all that is parked is indexed.
    pub fn is_complete(&self) -> bool {
        self.new.is_empty()
    }

    /// The rows of a table that may have the key, in order.
    pub fn rows(&self, table: TableId) -> impl Iterator<Item = (u64, usize, Row<'_>)> {
        self.found.iter().flat_map(move |(number, batch)| {
            let rows = batch.all_rows().enumerate();
            let rows = rows.filter(move |(_, row)| row.shape.table == table);
            rows.map(|(at, row)| (*number, at, row))
        })
    }
}

impl ParkedIndex {
    /// Looks at what is parked, under its lock. `wanted` has the hash of the key that is looked
    /// for.
    pub fn look(&mut self, parking: &Parking, wanted: u64) -> ParkedView {
        let is_anew = !parking.goes_on(self.seen);
        if is_anew || self.places.count() > PLACES_KEPT.max(2 * parking.rows()) {
            *self = Self::default();
        }
        let (seen, new) = parking.arrived(self.seen, GROUPS_AT_ONCE);
        self.seen = seen;
        let mut numbers: Vec<u64> = self.places.get(wanted).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let found = numbers
            .into_iter()
            .filter_map(|number| Some((number, parking.group(number)?)));
        ParkedView {
            found: found.collect(),
            new,
        }
    }

    /// Indexes the new groups of a look, without the lock, by the hash of each row's key.
    pub fn learn(&mut self, view: &ParkedView, table: TableId, mut hash: impl FnMut(&Row<'_>) -> Option<u64>) {
        let mut places = Vec::new();
        for (number, batch) in &view.new {
            let rows = batch.all_rows().filter(|row| row.shape.table == table);
            places.extend(rows.filter_map(|row| Some((hash(&row)?, *number))));
        }
        if !places.is_empty() {
            self.places.insert(places);
        }
    }
}
