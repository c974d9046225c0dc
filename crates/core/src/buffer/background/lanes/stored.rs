//! What the lanes have in the journal alone.

use std::sync::Arc;
use std::time::Instant;

use crate::buffer::background::lanes::Lanes;
use crate::buffer::queue::LaneId;
use crate::buffer::queue::sealed::Storing;
use crate::buffer::queue::stored::StoredBatch;
use crate::rows::batch::Batch;
use crate::settings::Settings;

impl<F> Lanes<F> {
    /// From now on groups are in the journal, and those that wait for long are there alone.
    pub fn store(&mut self, settings: &Settings) {
        for lane in &mut self.all {
            lane.queue.store(Storing::new(settings));
        }
    }

    /// What a lane takes up next, as far as it has to be read back before.
    pub fn wants_back(&self, lane: LaneId, now: Instant) -> Vec<Arc<StoredBatch>> {
        let queue = &self.lane(lane).queue;
        queue.wants_back(now, |after| self.is_group_settled(after))
    }

    /// Takes back what a lane wanted, but for groups that are lost. Returns whether it is wanted
    /// still.
    pub fn take_back(&mut self, lane: LaneId, read: Vec<(Arc<StoredBatch>, Batch)>, lost: &[u64]) -> bool {
        if !lost.is_empty() {
            self.parking.lane_moved();
        }
        self.lane_mut(lane).queue.take_back(read, lost)
    }

    /// Rows that are in the journal alone.
    pub fn stored_rows(&self) -> usize {
        let stored = self.all.iter().flat_map(|lane| lane.queue.stored());
        stored.map(|stored| stored.rows()).sum()
    }

    /// How often batches were stored, in all lanes.
    pub fn times_stored(&self) -> u64 {
        self.all.iter().map(|lane| lane.queue.times_stored()).sum()
    }

    /// Takes the batches that are in the journal alone, at the end of the buffer.
    pub fn take_stored(&mut self) -> Vec<Arc<StoredBatch>> {
        self.all.iter_mut().flat_map(|lane| lane.queue.take_stored()).collect()
    }
}
