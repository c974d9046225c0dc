//! Opening and closing lanes: what [`width`](super::width) is told, and what follows from it.

use std::time::Instant;

use crate::buffer::background::lanes::memory::Memory;
use crate::buffer::background::lanes::width::{Arrival, Waiting};
use crate::buffer::background::lanes::{Lanes, is_settled_everywhere};
use crate::buffer::queue::{Due, LaneId, Queue};

impl<F> Lanes<F> {
    /// How many lanes take new groups: the first ones.
    pub fn open_lanes(&self) -> usize {
        self.width.open()
    }

    /// A group was taken: see [`Width::took`](super::width::Width::took).
    pub(super) fn widen(&mut self, number: u64, is_free: bool, now: Instant) {
        let queues = || self.all.iter().map(|lane| &lane.queue);
        let arrival = Arrival {
            number,
            is_free,
            waiting: Waiting {
                rows: queues().map(Queue::pending_rows).sum(),
                bytes: queues().map(Queue::pending_bytes).sum(),
            },
            is_in_first_lane: queues().skip(1).all(|queue| queue.pending_rows() == 0),
        };
        let knew_keys = self.width.knows_keys();
        let lanes = &self.all;
        self.width
            .took(&arrival, now, |group| is_settled_everywhere(lanes, group));
        if knew_keys && !self.width.knows_keys() {
            self.memory = Memory::default();
        }
    }

    /// Whether others try what is parked: the lane takes no new groups.
    pub(super) fn leaves_parked_to_others(&self, lane: LaneId) -> bool {
        lane.index() >= self.width.open() && !self.parking.has_flight(lane)
    }

    /// When a lane's connection may go, unless something comes meanwhile. [`Due::Never`]: it has
    /// something to write, or is one of those that are open for good.
    pub fn closes(&mut self, lane: LaneId, now: Instant) -> Due {
        self.width.close(now);
        match self.width.closes_at(lane.index()) {
            Some(at) => Due::At(at),
            None if lane.index() < self.width.open() => Due::Never,
            None if self.lane(lane).queue.pending_rows() > 0 || self.parking.has_flight(lane) => Due::Never,
            None => Due::Now,
        }
    }
}
