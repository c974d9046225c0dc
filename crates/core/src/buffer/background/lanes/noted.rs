//! What a journal asks of the lanes.

use crate::buffer::background::lanes::{Chosen, Lanes};
use crate::buffer::queue::LaneId;

impl<F> Lanes<F> {
    /// The place of a group that has its number already, in the first lane. Numbers only grow.
    pub fn choose_again(&mut self, number: u64) -> Chosen {
        self.taken = self.taken.max(number);
        Chosen {
            lane: LaneId::new(0),
            number,
            after: Vec::new(),
            is_free: false,
            spot: None,
            is_in_run: false,
        }
    }

    /// The number of a group that a lane's queue has in flight, by its position there.
    pub fn number_in_flight(&self, lane: LaneId, position: usize) -> Option<u64> {
        self.lane(lane).queue.number_in_flight(position)
    }

    /// Begins to remember which groups leave their lanes, for [`Self::newly_parked`].
    pub fn note_parked(&mut self) {
        self.parking.note_parked();
    }

    /// The groups that have left their lanes to be parked, until somebody takes them out.
    pub fn newly_parked(&mut self) -> &mut Vec<u64> {
        self.parking.newly_parked()
    }
}
