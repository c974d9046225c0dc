//! What is settled, by the numbers of groups, and how one group gets there. Lanes settle groups in
//! any order, and what is parked waits longer.

use std::ops::Range;

use crate::buffer::background::lanes::{Lanes, is_settled_everywhere};
use crate::buffer::queue::LaneId;

impl<F> Lanes<F> {
    /// The number of groups ever taken, which is the number of the last one.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Makes a group due at once, and what was added before it. What is parked waits on.
    pub fn request_group(&mut self, group: u64) {
        for lane in self.ids() {
            if self.may_hold_up(lane, group) {
                let queue = &mut self.lane_mut(lane).queue;
                queue.want(group);
                queue.retry_now();
            }
        }
    }

    /// Somebody waits for what is parked: all tables are probed at once.
    pub fn request_probes(&mut self) {
        for lane in &mut self.all {
            // A probe may be under way there.
            lane.queue.retry_now();
        }
        self.parking.request_probes();
    }

    /// Whether a group is parked, and was tried since the last [`Self::request_probes`].
    pub fn is_tried_and_parked(&self, group: u64) -> bool {
        let lanes_are_settled = is_settled_everywhere(&self.all, group);
        self.parking.has(group) && self.parking.is_group_tried(group, lanes_are_settled)
    }

    /// Whether a group is not settled.
    pub fn has(&self, group: u64) -> bool {
        self.parking.has(group) || self.all.iter().any(|lane| lane.queue.has(group))
    }

    /// Whether a lane has what a group may wait for: itself, or one that was added before it.
    pub fn may_hold_up(&self, lane: LaneId, group: u64) -> bool {
        !self.lane(lane).queue.is_settled(group) || self.parking.has_in_flight(lane, group)
    }

    /// All groups up to this number are settled, and the next one is not, or is not taken yet.
    pub fn settled_through(&self) -> u64 {
        let queued = self.all.iter().filter_map(|lane| lane.queue.first_unsettled());
        let first = queued.chain(self.parking.first()).min();
        first.map_or(self.taken, |first| first - 1)
    }

    /// The number of the group that a lane settles next.
    pub fn next_to_settle(&self, lane: LaneId) -> Option<u64> {
        let next = self.parking.next_in_flight(lane);
        next.or_else(|| self.lane(lane).queue.first_unsettled())
    }

    /// COMMIT is about to be sent for these groups of what a lane writes.
    pub fn begin_commit(&mut self, lane: LaneId, groups: &Range<usize>) {
        if self.parking.has_flight(lane) {
            self.parking.begin_commit(lane, groups);
        } else {
            self.lane_mut(lane).queue.begin_commit(groups);
        }
    }

    /// Nothing of it was committed.
    pub fn commit_failed(&mut self, lane: LaneId) {
        if self.parking.has_flight(lane) {
            self.parking.commit_failed(lane);
        } else {
            self.lane_mut(lane).queue.commit_failed();
        }
    }

    /// Nobody knows whether it was committed.
    pub fn commit_unclear(&mut self, lane: LaneId) {
        if self.parking.has_flight(lane) {
            self.parking.commit_unclear(lane);
        } else {
            self.lane_mut(lane).queue.commit_unclear();
        }
    }

    /// Whether a lane awaits the answer to a COMMIT.
    pub fn awaits_commit(&self, lane: LaneId) -> bool {
        self.lane(lane).queue.awaits_commit() || self.parking.awaits_commit(lane)
    }
}
