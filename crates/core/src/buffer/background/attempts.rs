//! How a lane's attempts went, and how long it waits after one that failed.

use std::time::Instant;

use crate::buffer::background::shared::State;
use crate::buffer::limits::{FIRST_RETRY_BACKOFF, LONGEST_BACKOFF_WITHOUT_SERVER, LONGEST_RETRY_BACKOFF};
use crate::buffer::queue::LaneId;
use crate::error::{Error, codes};

/// The attempt wrote what it had, or somebody else has it now.
pub fn succeeded(state: &mut State, lane: LaneId) {
    let flusher = &mut state.lanes.lane_mut(lane).flusher;
    flusher.failures_in_a_row = 0;
    flusher.failed_attempt = None;
}

/// Notes an error of an attempt.
pub fn note(state: &mut State, lane: LaneId, error: &Error) {
    state.lanes.lane_mut(lane).flusher.metrics.failed(error);
    state.last_error = Some(error.to_string());
}

/// Notes that nothing can be written now. The lane waits, longer each time.
pub fn failed(state: &mut State, lane: LaneId, error: Error) {
    note(state, lane, &error);
    let flusher = &mut state.lanes.lane_mut(lane).flusher;
    let doubled = FIRST_RETRY_BACKOFF.saturating_mul(2_u32.saturating_pow(flusher.failures_in_a_row));
    let nobody_listens = error.code() == codes::CR_CONN_HOST_ERROR;
    let longest = if nobody_listens {
        LONGEST_BACKOFF_WITHOUT_SERVER
    } else {
        LONGEST_RETRY_BACKOFF
    };
    let wait = doubled.min(longest).mul_f64(0.5 + fastrand::f64());
    flusher.failures_in_a_row += 1;
    flusher.failed_attempt = Some((flusher.attempts, error));
    state.lanes.failed(lane, Instant::now() + wait);
}
