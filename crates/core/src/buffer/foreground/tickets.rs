//! Writing up to one group of a [foreground buffer](crate::buffer::foreground), by its number: PHP
//! calls it a ticket.

use std::time::{Duration, Instant};

use crate::buffer::foreground::ForegroundBuffer;
use crate::buffer::foreground::progress::{ForegroundProgress, only_lane};
use crate::buffer::queue::Due;
use crate::dead_letter::FlushError;
use crate::error::{Error, Result};

impl ForegroundBuffer {
    /// The number of groups ever taken, which is the number of the last one.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether a group that was taken is settled.
    pub fn is_settled(&self, group: u64) -> bool {
        !self.progress.has(group)
    }

    /// All groups up to this number are settled: committed, or given up.
    pub fn settled_through(&self) -> u64 {
        self.progress.settled_through(self.taken)
    }

    /// What became of a group that was taken, if it is settled. As [`Self::wait_for`] says it.
    pub fn fate(&mut self, group: u64) -> Option<Result<(), FlushError>> {
        (!self.progress.has(group)).then(|| self.progress.failures.tell_of(group))
    }

    /// Commits a group that was taken, and what was added before it. Batches that are full already
    /// may come with it.
    ///
    /// # Errors
    ///
    /// It was given up. It waits for a table, which was tried once more. Or the reason why it could
    /// not be written: it stays. What becomes of other groups the next flush reports.
    pub fn wait_for(&mut self, group: u64, timeout: Option<Duration>) -> Result<(), FlushError> {
        if !self.progress.has(group) {
            return self.progress.failures.tell_of(group);
        }
        let started = self.clock.now();
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        let written = self.write_group(group, deadline);
        self.progress.metrics.time_blocked += self.clock.now().saturating_duration_since(started);
        match &written {
            Ok(()) => {
                self.backoff = None;
                self.schema_deferred = false;
            }
            Err(error) => self.back_off(error, started),
        }
        if !self.progress.has(group) {
            return self.progress.failures.tell_of(group);
        }
        let failed = written.err().or_else(|| self.progress.parking.why_waits(group));
        let error = failed.unwrap_or_else(|| Error::bug(format!("ticket {group} is not written, for no reason")));
        self.progress.metrics.failed(&error);
        Err(error.into())
    }

    fn write_group(&mut self, group: u64, deadline: Option<Instant>) -> Result<()> {
        self.progress.queue.want(group);
        let is_waiting = |progress: &ForegroundProgress, now: Instant| {
            let parking = &progress.parking;
            progress.has(group)
                && (!progress.queue.is_settled(group) || parking.due(only_lane(), now, None) == Due::Now)
        };
        self.write_while(deadline, is_waiting)?;
        if !self.progress.parking.has(group) {
            return Ok(());
        }
        // Its table may be well by now.
        self.progress.parking.request_probes();
        loop {
            self.write_while(deadline, is_waiting)?;
            let parking = &self.progress.parking;
            let next = parking.awaits_lock().filter(|_| parking.awaits_lock_up_to(group));
            let Some(next) = next.filter(|next| deadline.is_none_or(|deadline| deadline > *next)) else {
                // If it is parked, that is said.
                return Ok(());
            };
            self.clock.sleep(next.saturating_duration_since(self.clock.now()));
        }
    }
}
