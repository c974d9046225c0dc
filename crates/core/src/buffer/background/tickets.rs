//! Waiting for one group of a [background buffer](crate::buffer::background), by its number: PHP
//! calls it a ticket.
//!
//! A group's number is the one that it was taken with: one sequence over all lanes. What is not
//! settled stands in the queues and the parking, in order, so nothing more is kept of it.
//!
//! Bounds: a look takes a search in each lane, under the lock.

use std::time::Duration;

use crate::buffer::background::shared::State;
use crate::buffer::background::{BackgroundBuffer, WaitEnd};
use crate::clock::Clock as _;
use crate::dead_letter::FlushError;
use crate::error::Error;

impl BackgroundBuffer {
    /// The number of groups ever taken, which is the number of the last one.
    pub fn taken(&self) -> u64 {
        self.shared.lock().lanes.taken()
    }

    /// Whether a group that was taken is settled.
    pub fn is_settled(&self, group: u64) -> bool {
        !self.shared.lock().lanes.has(group)
    }

    /// All groups up to this number are settled: committed, or given up.
    pub fn settled_through(&self) -> u64 {
        self.shared.lock().lanes.settled_through()
    }

    /// What became of a group that was taken, if it is settled. As [`Self::wait_for`] says it.
    pub fn fate(&self, group: u64) -> Option<Result<(), FlushError>> {
        let mut state = self.shared.lock();
        (!state.lanes.has(group)).then(|| state.failures.tell_of(group))
    }

    /// Waits until a group that was taken is committed, and for nothing that came later.
    ///
    /// # Errors
    ///
    /// It was given up. It waits for a table, which was tried once more. An attempt failed after
    /// this call began that may have held it. The time is over. A thread cannot be started. An
    /// [interruption](crate::error::Kind::Interrupted), after which the caller calls again. Unless
    /// it was given up it stays.
    pub fn wait_for(
        &self,
        group: u64,
        timeout: Option<Duration>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), FlushError> {
        let started = self.clock.now();
        let limit = timeout.and_then(|timeout| started.checked_add(timeout));
        let mut state = self.shared.lock();
        if !state.lanes.has(group) {
            return state.failures.tell_of(group);
        }
        drop(state);
        self.start_missing_threads()?;
        state = self.shared.lock();
        state.lanes.request_group(group);
        let flushed_before = state.rows_committed();
        let attempts_before: Vec<u64> = state.lanes.iter().map(|lane| lane.flusher.attempts).collect();
        state.wake_all();
        let has_failed = |state: &State| failed_since(state, group, &attempts_before).is_some();
        let is_parked = |state: &State| state.lanes.parking().has(group);
        let (mut state, mut why) = self.wait(state, limit, interrupted, |state| {
            !state.lanes.has(group) || is_parked(state) || has_failed(state)
        });
        if matches!(why, WaitEnd::Done) && is_parked(&state) && !has_failed(&state) {
            // Its table may be well by now. While other groups are waited for, nobody asks: a
            // probe of a table that is locked would hold them up.
            state.lanes.request_probes();
            state.wake_all();
            (state, why) = self.wait(state, limit, interrupted, |state| {
                !is_parked(state) || state.lanes.is_tried_and_parked(group) || has_failed(state)
            });
        }
        state.time_blocked += self.clock.now().saturating_duration_since(started);
        if !state.lanes.has(group) {
            return state.failures.tell_of(group);
        }
        let failed = failed_since(&state, group, &attempts_before);
        let parked = state.lanes.parking().why_waits(group);
        // Or one that failed before.
        let any_failed = || failed_since(&state, group, &vec![0; attempts_before.len()]);
        let error = match (why, failed.or(parked)) {
            (WaitEnd::Interrupted, _) => Error::interrupted(),
            (WaitEnd::Done, Some(error)) => error,
            (_, error) => match error.or_else(any_failed) {
                Some(error) => Error::timeout(format!("the time given is over; the last error: {error}")),
                None => Error::timeout(format!(
                    "the time given is over, and {} has not taken the rows of ticket {group}: {}",
                    self.place_in_words(),
                    Self::slowness(&state, state.rows_committed() > flushed_before)
                )),
            },
        };
        Err(error.into())
    }
}

/// The error of an attempt that began since, and may have held a group, or what it waits for.
fn failed_since(state: &State, group: u64, attempts_before: &[u64]) -> Option<Error> {
    let mut lanes = state.lanes.ids().zip(attempts_before);
    lanes.find_map(|(lane, before)| {
        let (attempt, error) = state.lanes.lane(lane).flusher.failed_attempt.as_ref()?;
        (attempt > before && state.lanes.may_hold_up(lane, group)).then(|| error.clone())
    })
}
