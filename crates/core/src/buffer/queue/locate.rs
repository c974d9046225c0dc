//! Where a queue has the groups that were stored in the journal, for whoever looks for their rows.

use std::sync::Arc;

use crate::buffer::queue::Queue;
use crate::buffer::queue::sealed::{Kept, Location};
use crate::rows::batch::Batch;

impl Queue {
    /// Whether there is anything that was stored.
    pub fn has_stored(&self) -> bool {
        self.times_stored() > 0
    }

    /// The batches that were stored, and whose first group is behind this one, in order.
    pub fn stored_behind(&self, number: u64) -> impl Iterator<Item = Location<'_>> {
        let mut before = 0;
        let in_flight = self.in_flight.iter().filter_map(move |batch| {
            let first = before;
            before += batch.group_count();
            let is_new = batch.is_read_back && batch.first_group > number;
            is_new.then(|| self.in_memory(batch, (first, self.done_groups), true))
        });
        let from = self
            .sealed
            .partition_point(|sealed| sealed.rows.first_group() <= number);
        let sealed = self.sealed.range(from..).filter_map(|sealed| match &sealed.rows {
            Kept::Journal(stored) => Some(Location::Journal(stored)),
            Kept::Memory(batch) if batch.is_read_back => {
                let first = self.unsettled.binary_search(&batch.first_group).ok()?;
                Some(self.in_memory(batch, (first, 0), false))
            }
            Kept::Memory(_) => None,
        });
        in_flight.chain(sealed)
    }

    /// Where a group is that was stored, as long as it is not settled.
    pub fn locate(&self, number: u64) -> Option<Location<'_>> {
        if let Some(stored) = self.stored_with(number) {
            return Some(Location::Journal(stored));
        }
        let at = self.unsettled.binary_search(&number).ok()?;
        let mut position = at + self.done_groups;
        for batch in &self.in_flight {
            if position < batch.group_count() {
                return batch.is_read_back.then(|| Location::Memory {
                    batch,
                    groups: vec![(number, position)],
                    is_in_flight: true,
                });
            }
            position -= batch.group_count();
        }
        let behind = self
            .sealed
            .partition_point(|sealed| sealed.rows.first_group() <= number);
        let batch = self.sealed.get(behind.checked_sub(1)?)?.rows.memory()?;
        let first = self.unsettled.binary_search(&batch.first_group).ok()?;
        batch.is_read_back.then(|| Location::Memory {
            batch,
            groups: vec![(number, at - first)],
            is_in_flight: false,
        })
    }

    /// A batch whose first group has this position in what is in flight, of which so many are
    /// settled; or this one among the numbers, of which none is.
    fn in_memory<'q>(
        &'q self,
        batch: &'q Arc<Batch>,
        (first, done): (usize, usize),
        is_in_flight: bool,
    ) -> Location<'q> {
        let positions = first.max(done)..first + batch.group_count();
        let number = |position: usize| self.unsettled.get(position.checked_sub(done)?).copied();
        let groups = positions.filter_map(|position| Some((number(position)?, position - first)));
        Location::Memory {
            batch,
            groups: groups.collect(),
            is_in_flight,
        }
    }
}
