//! Since when something waits, and whether it is late.

use std::time::Instant;

use crate::buffer::queue::Queue;

impl Queue {
    /// Whether something has waited for the flush interval behind what is in flight.
    pub fn is_late(&self, now: Instant) -> bool {
        let is_due = |since| now >= since + self.flush_interval;
        !self.has_nothing_in_flight() && self.waits_since().is_some_and(is_due)
    }

    /// When the oldest group that waits behind what is in flight was taken.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let sealed = self.sealed.front().map(|sealed| sealed.rows.oldest());
        sealed.or_else(|| self.open.as_ref().map(|open| open.batch.oldest))
    }
}
