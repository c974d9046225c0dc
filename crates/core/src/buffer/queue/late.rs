//! Whether what waits is late.

use std::time::Instant;

use crate::buffer::queue::Queue;

impl Queue {
    /// Whether something has waited for the flush interval behind what is in flight.
    pub fn is_late(&self, now: Instant) -> bool {
        let is_due = || {
            let next = self.waiting().next();
            next.is_some_and(|next| now >= next.oldest + self.flush_interval)
        };
        !self.has_nothing_in_flight() && is_due()
    }
}
