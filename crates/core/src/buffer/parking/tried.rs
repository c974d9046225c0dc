//! What was tried since somebody asked, for whoever waits.

use std::time::Instant;

use crate::buffer::parking::Parking;
use crate::buffer::parking::cause::Cause;
use crate::rows::batch::Batch;

impl Parking {
    /// When a table is probed that is locked, and that a flush waits for.
    pub fn awaits_lock(&self) -> Option<Instant> {
        let awaited = self.causes.iter().filter(|cause| cause.is_waited_for());
        awaited.map(|cause| cause.next_probe).min()
    }

    /// Whether a group up to a number waits for a lock that a flush waits for.
    pub fn awaits_lock_up_to(&self, number: u64) -> bool {
        let is_awaited = |batch: &Batch| {
            let mut causes = self.causes.iter();
            causes.any(|cause| cause.is_waited_for() && cause.is_of_any(batch))
        };
        self.awaits_lock().is_some() && self.groups.range(..=number).any(|(_, group)| is_awaited(&group.batch))
    }

    /// Whether all parked groups up to a number were tried since, or wait behind others that were.
    /// A table that is locked is tried until the server's own time-out for locks is over.
    pub fn is_tried(&self, number: u64) -> bool {
        let Some(first) = self.first() else {
            return true;
        };
        first > number
            || !(self.is_changed
                || self.waits_for_lanes
                || self.flights.iter().any(|flight| flight.has_group_up_to(number))
                || self.causes.iter().any(|cause| cause.is_wanted && !cause.is_stalled)
                || self.awaits_lock_up_to(number))
    }

    /// Whether a parked group was tried since somebody asked for probes, or waits behind others
    /// that were. What came later does not matter. `lanes_are_settled`: the lanes' queues have
    /// settled all groups up to it.
    pub fn is_group_tried(&self, number: u64, lanes_are_settled: bool) -> bool {
        let has_group_of = |cause: &Cause| {
            let mut groups = self.groups.range(..=number);
            groups.any(|(_, group)| cause.is_of_any(&group.batch))
        };
        let mut probes = self.causes.iter().filter(|cause| cause.is_wanted && !cause.is_stalled);
        !(self.is_changed
            || (self.waits_for_lanes && !lanes_are_settled)
            || self.flights.iter().any(|flight| flight.has_group_up_to(number))
            || probes.any(has_group_of)
            || self.awaits_lock_up_to(number))
    }

    /// Whether a group is parked, or on its way again.
    pub fn has(&self, number: u64) -> bool {
        self.groups.contains_key(&number)
    }

    /// The number of the first group that is parked, or on its way again.
    pub fn first(&self) -> Option<u64> {
        self.groups.first_key_value().map(|(first, _)| *first)
    }

    /// Whether a group up to a number is parked.
    pub fn holds_up_to(&self, number: u64) -> bool {
        self.first().is_some_and(|first| first <= number)
    }
}
