//! Why a group is parked: when somebody waits for it, and when its buffer ends.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::buffer::keys::{KeyHash, TableKey};
use crate::buffer::leftovers::LeftGroup;
use crate::buffer::parking::{ParkedGroup, Parking};
use crate::error::Error;
use crate::table::entry::TableId;

impl Parking {
    /// Takes all groups, in order.
    pub fn take_left(&mut self) -> Vec<LeftGroup> {
        let mut behind = Behind::default();
        let causes: Vec<Arc<Error>> = self.causes.iter().map(|cause| Arc::new(cause.error.clone())).collect();
        let left = self.groups.iter().map(|(number, group)| LeftGroup {
            number: *number,
            batch: Arc::clone(&group.batch),
            position: 0,
            is_uncertain: self.is_in_doubt(*number, group),
            reason: behind.reason(&group.keys, self.own_reason(group, &causes)),
        });
        let left = left.collect();
        self.clear();
        left
    }

    /// Why a group waits that is parked: its own reason, or that of the group that it waits behind.
    /// `None`: it is not parked.
    pub fn why_waits(&self, number: u64) -> Option<Error> {
        if !self.has(number) {
            return None;
        }
        let mut behind = Behind::default();
        let causes: Vec<Arc<Error>> = self.causes.iter().map(|cause| Arc::new(cause.error.clone())).collect();
        let mut reason = None;
        for group in self.groups.range(..=number).map(|(_, group)| group) {
            reason = behind.reason(&group.keys, self.own_reason(group, &causes));
        }
        Some(match reason {
            Some(error) => Error::clone(&error).context(&format!("ticket {number} waits")),
            None => Error::blocked(format!("ticket {number} waits for rows that were added before it")),
        })
    }

    /// Why a group is parked for its own sake. `None`: it is behind another one.
    fn own_reason(&self, group: &ParkedGroup, causes: &[Arc<Error>]) -> Option<Arc<Error>> {
        let of_table = self.causes.iter().position(|cause| cause.is_of_any(&group.batch));
        let of_table = of_table.and_then(|at| causes.get(at).cloned());
        of_table.or_else(|| Some(Arc::new(group.refused.as_ref()?.error.clone())))
    }
}

/// The reasons of the groups so far, by the keys of their rows.
#[derive(Default)]
struct Behind {
    known: FxHashMap<(TableId, u64), Arc<Error>>,
    /// Of any row of a table, and of those whose key is not known.
    any: FxHashMap<TableId, Arc<Error>>,
    unknown: FxHashMap<TableId, Arc<Error>>,
}

impl Behind {
    /// The reason of the next group: its own, or that of the group that it waits behind.
    fn reason(&mut self, keys: &[TableKey], own: Option<Arc<Error>>) -> Option<Arc<Error>> {
        let reason = own.or_else(|| keys.iter().find_map(|key| self.met(key)))?;
        for (table, key) in keys {
            self.any.entry(*table).or_insert_with(|| Arc::clone(&reason));
            let of_key = match key {
                KeyHash::Known(hash) => self.known.entry((*table, *hash)),
                KeyHash::Unknown => {
                    self.unknown.entry(*table).or_insert_with(|| Arc::clone(&reason));
                    continue;
                }
            };
            of_key.or_insert_with(|| Arc::clone(&reason));
        }
        Some(reason)
    }

    fn met(&self, (table, key): &TableKey) -> Option<Arc<Error>> {
        let met = match key {
            KeyHash::Known(hash) => self.known.get(&(*table, *hash)).or_else(|| self.unknown.get(table)),
            KeyHash::Unknown => self.any.get(table),
        };
        met.cloned()
    }
}
