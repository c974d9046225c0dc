//! The memory of keys: for each key with a waiting row, the last group that has one.
//!
//! Bounds: it drops settled keys while it has more than 4,096, and more than twice as many as rows
//! are pending. It grows and drops a part at a time: no `add()` waits for all of it.

use crate::buffer::background::route::{KeyHash, Route};
use crate::buffer::queue::{GroupPosition, PackedPosition};
use crate::buffer::sharded::ShardedMap;
use crate::table::entry::TableId;

/// It keeps up to this many keys, settled or not.
pub(super) const KEYS_KEPT: usize = 4_096;
/// The most memory that counts for the key of a row.
const MAX_KEY_BYTES: usize = 40;
/// Another part of it is looked at for each so many keys that are entered.
const KEYS_PER_SWEEP: usize = 256;

/// The hash of a table's key among those of all tables.
fn key_hash(table: TableId, hash: u64) -> u64 {
    hash.wrapping_add((table.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The last groups of one table.
#[derive(Debug, Clone, Default)]
struct TablePositions {
    /// The last group with a row of the table, by lane.
    last: Vec<GroupPosition>,
    /// The last group with a row whose key is not known.
    unknown: Option<GroupPosition>,
}

/// The memory of keys: see the module.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last group with a row of a key, by the key's hash. After a collision a group waits
    /// without need, and nothing else.
    keys: ShardedMap<PackedPosition>,
    tables: Vec<TablePositions>,
}

impl Memory {
    /// The groups whose rows those of this route may meet, settled or not.
    pub fn met(&self, route: &Route) -> Vec<GroupPosition> {
        let mut met: Vec<GroupPosition> = Vec::new();
        for (table, key) in &route.keys {
            let positions = self.tables.get(table.0);
            match key {
                KeyHash::Known(hash) => {
                    let known = self.keys.get(key_hash(*table, *hash));
                    met.extend(known.map(|position| position.unpacked()));
                    met.extend(positions.and_then(|positions| positions.unknown));
                }
                KeyHash::Unknown => met.extend(positions.iter().flat_map(|positions| &positions.last)),
            }
        }
        met
    }

    /// Enters a group's keys, and drops some that are settled, while so many rows are pending.
    pub fn enter(
        &mut self,
        route: &Route,
        here: GroupPosition,
        pending_rows: usize,
        is_settled: impl Fn(&GroupPosition) -> bool,
    ) {
        for (table, key) in &route.keys {
            if self.tables.len() <= table.0 {
                self.tables.resize(table.0 + 1, TablePositions::default());
            }
            let positions = &mut self.tables[table.0];
            match positions.last.iter_mut().find(|last| last.lane == here.lane) {
                Some(last) => *last = here,
                None => positions.last.push(here),
            }
            match key {
                KeyHash::Unknown => positions.unknown = Some(here),
                KeyHash::Known(hash) => {
                    let packed = PackedPosition::new(here);
                    self.keys.update(key_hash(*table, *hash), |position| *position = packed);
                }
            }
        }
        // At least half of them are settled, in each part about as many.
        let most = KEYS_KEPT.max(2 * pending_rows);
        let sweeps = 1 + route.keys.len() / KEYS_PER_SWEEP;
        for _ in 0..sweeps {
            if self.keys.count() <= most {
                break;
            }
            self.keys.sweep(|position| {
                let position = position.unpacked();
                position == here || !is_settled(&position)
            });
        }
    }

    /// How many keys it has.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.keys.count()
    }

    /// The memory that counts for so many rows that are pending, in bytes.
    pub fn bytes(&self, pending_rows: usize) -> usize {
        self.keys.size_bytes().min(MAX_KEY_BYTES * pending_rows)
    }
}
