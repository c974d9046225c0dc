//! What is parked, for whoever looks for rows.

use std::sync::Arc;

use crate::buffer::parking::{Arrivals, Parking};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::table::entry::{TableEntry, TableId};

impl Parking {
    /// All groups that are parked or on their way again, in order, each alone in a batch.
    pub fn groups(&self) -> impl Iterator<Item = (u64, &Arc<Batch>)> {
        self.groups.iter().map(|(number, group)| (*number, &group.batch))
    }

    /// All of them, in order, each with its number, whether it may be committed all the same, and
    /// its rows.
    pub fn all_groups(&self) -> impl Iterator<Item = (u64, bool, Box<dyn Iterator<Item = Row<'_>> + '_>)> {
        self.groups.iter().map(|(number, group)| {
            let rows: Box<dyn Iterator<Item = Row<'_>> + '_> = Box::new(group.batch.all_rows());
            (*number, self.is_in_doubt(*number, group), rows)
        })
    }

    /// The rows of a table, in order, each with its group's number.
    pub fn rows_of(&self, table: TableId) -> impl Iterator<Item = (u64, Row<'_>)> {
        self.groups.iter().flat_map(move |(number, group)| {
            let rows = group.batch.all_rows().filter(move |row| row.shape.table == table);
            rows.map(|row| (*number, row))
        })
    }

    /// Whether a group has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        self.table_rows.contains_key(&table)
    }

    /// Whether a table takes no rows now, as far as that is known.
    pub fn blocks(&self, table: &Arc<TableEntry>) -> bool {
        self.causes.iter().any(|cause| Arc::ptr_eq(&cause.entry, table))
    }

    /// Whether [`Self::arrived`] goes on where somebody has stopped. Otherwise it begins anew.
    pub fn goes_on(&self, seen: Arrivals) -> bool {
        self.log.goes_on(seen)
    }

    /// The next groups that came, each alone in its batch, with its number: `most` of them at most.
    /// None: that were all.
    pub fn arrived(&self, seen: Arrivals, most: usize) -> (Arrivals, Vec<(u64, Arc<Batch>)>) {
        let mut behind = if self.goes_on(seen) { seen } else { self.log.start() };
        let mut new = Vec::new();
        for (next, number) in self.log.since(seen) {
            if new.len() == most {
                break;
            }
            behind = next;
            new.extend(self.group(number).map(|batch| (number, batch)));
        }
        (behind, new)
    }

    /// A group that is parked, or on its way again.
    pub fn group(&self, number: u64) -> Option<Arc<Batch>> {
        self.groups.get(&number).map(|group| Arc::clone(&group.batch))
    }
}
