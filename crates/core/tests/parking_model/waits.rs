//! Who waits for a flush, or for one group, and what may be left then.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::World;
use super::steps::LANES;

impl World {
    /// The groups that depend on a table that takes none now.
    pub fn blocked(&self) -> BTreeSet<u64> {
        let mut blocked: BTreeSet<u64> = BTreeSet::new();
        for number in &self.pending {
            let group = &self.groups[number];
            let meets_blocked = || {
                let others = blocked.iter().flat_map(|number| &self.groups[number].rows);
                group
                    .rows
                    .iter()
                    .any(|row| others.clone().any(|other| other.meets(row)))
            };
            // A refused group waits for all that was added before it.
            let was_refused =
                || group.parent.is_some_and(|parent| !self.committed.contains(&parent)) && !blocked.is_empty();
            if group.rows.iter().any(|row| self.is_blocked(row)) || meets_blocked() || was_refused() {
                blocked.insert(*number);
            }
        }
        blocked
    }

    /// Somebody waits for a group: it is settled without anybody's further word, or it depends on a
    /// table that was tried.
    pub fn wait_for(&mut self, number: u64) -> Result<(), TestCaseError> {
        self.lanes.request_group(number);
        let mut has_probed = false;
        for round in 0.. {
            prop_assert!(round < 2_000, "group {number} waits for ever");
            if !self.lanes.has(number) {
                return Ok(());
            }
            if self.lanes.parking().has(number) && !std::mem::replace(&mut has_probed, true) {
                self.lanes.request_probes();
            }
            if self.lanes.is_tried_and_parked(number) {
                break;
            }
            for lane in 0..LANES {
                self.work(lane)?;
            }
        }
        prop_assert!(self.blocked().contains(&number), "group {number} waits for nothing");
        Ok(())
    }

    /// After a flush, with nothing left to do: what waits depends on a table that is gone.
    pub fn check_flushed(&self, target: u64) -> Result<(), TestCaseError> {
        prop_assert!(self.lanes.is_tried(target), "something is untried");
        let blocked = self.blocked();
        for number in &self.pending {
            prop_assert!(blocked.contains(number), "group {number} waits for nothing");
        }
        for number in 1..=self.groups.len() as u64 {
            let why = self.lanes.parking().why_waits(number);
            prop_assert_eq!(why.is_some(), self.lanes.parking().has(number));
            if let Some(why) = why {
                // Its table's own error, or one of those that it waits behind.
                let begin = format!("ticket {number} waits");
                prop_assert!(why.to_string().starts_with(&begin), "{why}");
            }
        }
        let error = self.lanes.parking().error(target, self.now);
        prop_assert_eq!(error.is_some(), self.pending.range(..=target).next().is_some());
        Ok(())
    }
}
