//! An index of one table's rows by key that stand in the journal alone, for `find()`. It goes on
//! with them when they are read back to be written.
//!
//! A `find()` reads what was stored since the last one, once, without the buffer's lock. For a key
//! it then reads the groups that may have it: some 64 records for each.
//!
//! Invariants:
//! - No row is missed: a stored batch is indexed whole, whether or not its rows were indexed before
//!   it was stored.
//! - None that is settled is found: a group counts only as long as its queue has it.
//!
//! Bounds: 16 bytes for each row of the table that is stored, and as much for those that were since
//! the index was cleaned. At most [`BATCHES_AT_ONCE`] batches are read in one step.

use std::sync::Arc;

use crate::buffer::journal::reading::Reading;
use crate::buffer::places::Places;
use crate::buffer::queue::sealed::Location;
use crate::buffer::queue::stored::StoredBatch;
use crate::buffer::queue::{GroupPosition, LaneId, PackedPosition, Queue};
use crate::error::Result;
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::table::entry::TableId;

/// So many batches are indexed in one step.
const BATCHES_AT_ONCE: usize = 16;
/// The index keeps up to this many places, settled or not.
const PLACES_KEPT: usize = 4_096;

/// Lets a look find out how stored groups are read.
pub type Read<'r> = &'r dyn Fn(&Arc<StoredBatch>) -> Option<Reading>;

/// See the module.
#[derive(Debug, Default)]
pub struct StoredIndex {
    /// By the hash of a row's key: the number of its group, and its lane.
    places: Places<PackedPosition>,
    /// The last group of each lane that is indexed.
    indexed: Vec<u64>,
    /// The first group of each lane that is not settled, at the last look.
    unsettled: Vec<u64>,
}

/// A batch that is not indexed yet.
#[derive(Debug)]
struct New {
    lane: usize,
    rows: NewRows,
}

#[derive(Debug)]
enum NewRows {
    Journal(Reading),
    /// It was read back: its groups, by number and position.
    Memory(Arc<Batch>, Vec<(u64, usize)>),
}

/// Where a group is that may have the key.
#[derive(Debug)]
enum Found {
    Journal(Reading),
    /// Its batch, and its position there.
    Memory(Arc<Batch>, usize),
}

/// A group that may have the key, and the number of its batch's first group.
#[derive(Debug)]
struct FoundGroup {
    number: u64,
    batch: u64,
    is_in_flight: bool,
    found: Found,
}

/// What a look saw.
#[derive(Debug, Default)]
pub struct StoredView {
    new: Vec<New>,
    found: Vec<FoundGroup>,
}

/// The rows of a group that may have the key.
#[derive(Debug)]
pub struct FoundRows {
    /// Its number.
    pub number: u64,
    /// The number of its batch's first group.
    pub batch: u64,
    /// It is being written.
    pub is_in_flight: bool,
    rows: GroupRows,
}

#[derive(Debug)]
enum GroupRows {
    Read(Group),
    Memory(Arc<Batch>, usize),
}

impl FoundRows {
    /// Its rows of a table.
    pub fn of(&self, table: TableId) -> impl Iterator<Item = Row<'_>> {
        let (read, memory) = match &self.rows {
            GroupRows::Read(group) => (Some(group.rows()), None),
            GroupRows::Memory(batch, position) => (None, Some(batch.group(*position))),
        };
        let rows = read.into_iter().flatten().chain(memory.into_iter().flatten());
        rows.filter(move |row| row.shape.table == table)
    }
}

impl StoredView {
    /// Whether all that is stored is indexed.
    pub fn is_complete(&self) -> bool {
        self.new.is_empty()
    }

    /// The groups that may have the key, in their order, read without the lock.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn read(&self) -> Result<Vec<FoundRows>> {
        let read = |found: &FoundGroup| {
            Ok(FoundRows {
                number: found.number,
                batch: found.batch,
                is_in_flight: found.is_in_flight,
                rows: match &found.found {
                    Found::Journal(reading) => GroupRows::Read(reading.read_group(found.number)?),
                    Found::Memory(batch, position) => GroupRows::Memory(Arc::clone(batch), *position),
                },
            })
        };
        self.found.iter().map(read).collect()
    }
}

impl StoredIndex {
    /// Looks at the queues of all lanes, in order, under their lock. `wanted` has the hash of the
    /// key that is looked for; `read` says how a stored batch is read.
    pub fn look<'q>(
        &mut self,
        queues: impl Iterator<Item = &'q Queue>,
        table: TableId,
        wanted: u64,
        read: Read<'_>,
    ) -> StoredView {
        let mut view = StoredView::default();
        let mut places: Vec<PackedPosition> = self.places.get(wanted).collect();
        places.sort_unstable();
        places.dedup();
        self.unsettled.clear();
        for (lane, queue) in queues.enumerate() {
            if self.indexed.len() <= lane {
                self.indexed.push(0);
            }
            self.unsettled.push(queue.first_unsettled().unwrap_or(u64::MAX));
            let seen = self.indexed.get_mut(lane);
            let Some(seen) = seen.filter(|_| queue.has_stored()) else {
                continue;
            };
            for location in queue.stored_behind(*seen) {
                let (rows, last, has_some) = match location {
                    Location::Journal(stored) => {
                        let has_some = stored.rows_of(table) > 0;
                        let Some(reading) = read(stored) else { continue };
                        (NewRows::Journal(reading), stored.numbers().last(), has_some)
                    }
                    Location::Memory { batch, groups, .. } => {
                        let last = groups.last().map_or(*seen, |(number, _)| *number);
                        (
                            NewRows::Memory(Arc::clone(batch), groups),
                            last,
                            batch.rows_of(table) > 0,
                        )
                    }
                };
                if has_some && view.new.len() == BATCHES_AT_ONCE {
                    break;
                }
                *seen = last;
                if has_some {
                    view.new.push(New { lane, rows });
                }
            }
            let positions = places.iter().map(|place| place.unpacked());
            for GroupPosition { number, .. } in positions.filter(|position| position.lane.index() == lane) {
                let (batch, is_in_flight, found) = match queue.locate(number) {
                    Some(Location::Journal(stored)) => {
                        let Some(reading) = read(stored) else { continue };
                        (stored.numbers().first(), false, Found::Journal(reading))
                    }
                    Some(Location::Memory {
                        batch,
                        groups,
                        is_in_flight,
                    }) => {
                        let Some((_, position)) = groups.first() else { continue };
                        let found = Found::Memory(Arc::clone(batch), *position);
                        (batch.first_group, is_in_flight, found)
                    }
                    None => continue,
                };
                view.found.push(FoundGroup {
                    number,
                    batch,
                    is_in_flight,
                    found,
                });
            }
        }
        view
    }

    /// Indexes the new batches of a look, without the lock, by the hash of each row's key.
    ///
    /// # Errors
    ///
    /// The journal cannot be read. The index begins anew.
    pub fn learn(
        &mut self,
        view: &StoredView,
        table: TableId,
        mut hash: impl FnMut(&Row<'_>) -> Option<u64>,
    ) -> Result<()> {
        let mut new = Vec::new();
        for New { lane, rows } in &view.new {
            let lane = LaneId::new(*lane);
            let mut enter = |number: u64, row: Row<'_>| {
                if row.shape.table == table
                    && let Some(hash) = hash(&row)
                {
                    new.push((hash, PackedPosition::new(GroupPosition { lane, number })));
                }
            };
            match rows {
                NewRows::Memory(batch, groups) => {
                    for (number, position) in groups {
                        batch.group(*position).for_each(|row| enter(*number, row));
                    }
                }
                NewRows::Journal(reading) => match reading.read() {
                    Ok(batch) => {
                        for (number, rows) in reading.stored().numbers().iter().zip(batch.groups()) {
                            rows.for_each(|row| enter(number, row));
                        }
                    }
                    Err(unread) => {
                        *self = Self::default();
                        return Err(unread.error());
                    }
                },
            }
        }
        if !new.is_empty() {
            self.places.insert(new);
        }
        Ok(())
    }

    /// Forgets what is settled, as far as that is worth it. `pending_rows` wait.
    pub fn forget_settled(&mut self, pending_rows: usize) {
        if self.places.count() > PLACES_KEPT.max(2 * pending_rows) {
            let unsettled = &self.unsettled;
            self.places.retain(|place| {
                let GroupPosition { lane, number } = place.unpacked();
                unsettled.get(lane.index()).is_some_and(|first| number >= *first)
            });
        }
    }
}
