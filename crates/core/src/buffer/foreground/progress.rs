//! What has become of the rows that a foreground buffer took: its one lane.

use std::ops::Range;
use std::time::Instant;

use crate::buffer::failures::Failures;
use crate::buffer::leftovers::LeftGroup;
use crate::buffer::metrics::Metrics;
use crate::buffer::parking::{LaneProgress, Parking, Work};
use crate::buffer::queue::{Due, LaneId, Queue};
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::rows::arena::Row;
use crate::writer::observer::{Commit, Event, Observer};

/// What has become of the rows that were taken.
pub(super) struct ForegroundProgress {
    pub queue: Queue,
    /// What waits for a table. The queue does not have it any more.
    pub parking: Parking,
    pub metrics: Metrics,
    pub failures: Failures,
    /// Rows that this flush has committed.
    pub committed_rows: usize,
}

/// The one lane of a foreground buffer.
pub(super) fn only_lane() -> LaneId {
    LaneId::new(0)
}

impl LaneProgress for Queue {
    fn is_settled_in(&self, _lane: LaneId, number: u64) -> bool {
        self.is_settled(number)
    }

    fn is_settled(&self, number: u64) -> bool {
        Self::is_settled(self, number)
    }
}

impl ForegroundProgress {
    fn settle(&mut self, groups: usize, rows: usize, is_committed: bool) {
        if self.parking.has_flight(only_lane()) {
            self.parking.settle(only_lane(), groups, is_committed);
        } else {
            self.queue.settle(groups, rows);
            self.parking.lane_moved();
        }
    }

    /// What there is to write, or to give up.
    pub fn take_up(&mut self, now: Instant) -> Option<Work> {
        let is_new = self.queue.has_nothing_in_flight();
        if is_new && self.parking.due(only_lane(), now, None) == Due::Now {
            let parked = self.parking.take(only_lane(), now, &self.queue);
            if parked.is_some() {
                return parked;
            }
        }
        let (mut batches, done) = self.queue.begin(now, |_| true);
        if is_new && !self.parking.is_empty() {
            self.parking.hold_back(&mut self.queue, only_lane(), now);
            batches = self.queue.flight();
        }
        (!batches.is_empty()).then_some(Work {
            batches,
            done,
            gives_up: None,
            reads: Vec::new(),
            repeats: None,
        })
    }

    /// All groups that are not settled, in the order in which they were added. Of each: its number,
    /// whether it may be committed all the same, and its rows.
    pub fn groups(&self) -> Vec<(u64, bool, Box<dyn Iterator<Item = Row<'_>> + '_>)> {
        let queue = &self.queue;
        let waiting = queue.groups().map(|(number, rows)| {
            let rows: Box<dyn Iterator<Item = Row<'_>> + '_> = Box::new(rows);
            (number, queue.is_in_doubt(number), rows)
        });
        let mut groups: Vec<_> = waiting.chain(self.parking.all_groups()).collect();
        groups.sort_by_key(|(number, ..)| *number);
        groups
    }

    /// Takes all groups that are not settled, in the order in which they were added.
    pub fn take_left(&mut self) -> Vec<LeftGroup> {
        let mut left = self.queue.take_left();
        left.extend(self.parking.take_left());
        left.sort_by_key(|group| group.number);
        left
    }

    /// Whether a group is not settled.
    pub fn has(&self, group: u64) -> bool {
        self.queue.has(group) || self.parking.has(group)
    }

    /// All groups up to this number are settled. `taken` is the number of the last one.
    pub fn settled_through(&self, taken: u64) -> u64 {
        let first = self
            .queue
            .first_unsettled()
            .into_iter()
            .chain(self.parking.first())
            .min();
        first.map_or(taken, |first| first - 1)
    }

    /// The number of the group that is settled next.
    fn next_to_settle(&self) -> Option<u64> {
        let next = self.parking.next_in_flight(only_lane());
        next.or_else(|| self.queue.first_unsettled())
    }

    pub fn pending_rows(&self) -> usize {
        self.queue.pending_rows() + self.parking.rows()
    }

    pub fn pending_bytes(&self) -> usize {
        self.queue.pending_bytes() + self.parking.bytes()
    }

    pub fn oldest(&self) -> Option<Instant> {
        self.queue.oldest().into_iter().chain(self.parking.oldest()).min()
    }

    /// Whether there is something to do at once that is not new.
    pub fn has_work(&self, now: Instant) -> bool {
        self.queue.pending_rows() > 0 || self.parking.due(only_lane(), now, None) == Due::Now
    }
}

impl Observer for ForegroundProgress {
    fn may_commit(&mut self, groups: &Range<usize>) -> bool {
        if self.parking.has_flight(only_lane()) {
            self.parking.begin_commit(only_lane(), groups);
        } else {
            self.queue.begin_commit(groups);
        }
        true
    }

    fn not_committed(&mut self) {
        if self.parking.has_flight(only_lane()) {
            self.parking.commit_failed(only_lane());
        } else {
            self.queue.commit_failed();
        }
    }

    fn committed(&mut self, commit: &Commit) {
        self.settle(commit.groups.len(), commit.rows, true);
        self.committed_rows += commit.rows;
        self.metrics.committed(commit);
    }

    fn given_up(&mut self, letter: DeadLetter) {
        let number = self.next_to_settle().unwrap_or_default();
        self.settle(1, letter.rows.len(), false);
        self.metrics.refused(letter.rows.len());
        self.failures.keep(number, letter);
    }

    fn may_lack_earlier_groups(&mut self, error: &Error) -> bool {
        self.next_to_settle().is_some_and(|next| {
            let earlier_waits = self.queue.first_unsettled().is_some_and(|first| first < next);
            earlier_waits || self.parking.may_hold_what_lacks(next, error)
        })
    }

    fn has_room_for_failure(&self) -> bool {
        self.failures.has_room()
    }

    fn happened(&mut self, event: &Event<'_>) {
        if matches!(event, Event::CommitUnknown) {
            if self.parking.has_flight(only_lane()) {
                self.parking.commit_unclear(only_lane());
            } else {
                self.queue.commit_unclear();
            }
        }
        self.metrics.count(event);
    }
}
