//! A lane's flusher: the thread's side of a [background buffer](crate::buffer::background), and the state that both sides share.
//!
//! Invariants: groups leave the queue under the lock, as they are committed or given up; a group is given up only when the
//! other lanes have settled what was added before it, since one of those may be what it refers to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::shared::{Shared, State};
use crate::buffer::failures::{MAX_FAILURES, keep_failure};
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::metrics::count;
use crate::buffer::queue::Due;
use crate::buffer::snapshot::ThreadState;
use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::rows::batch::Batch;
use crate::writer::Writer;
use crate::writer::observer::{Commit, Event, Observer};

/// The wait after the first failure in a row.
const FIRST_RECONNECT_BACKOFF: Duration = Duration::from_millis(50);

/// The longest wait after a failure: a server that is back is noticed within this time.
const LONGEST_RECONNECT_BACKOFF: Duration = Duration::from_secs(2);

/// The flusher's thread.
pub(crate) fn run(shared: &Shared, lane: usize, writer: &mut Writer) {
    loop {
        let (batches, done) = {
            let Some(mut state) = wait_for_work(shared, lane) else {
                return end(shared, lane, writer);
            };
            if let Some(flusher) = state.flushers.get_mut(lane) {
                flusher.thread = ThreadState::Writing;
                flusher.attempts += 1;
            }
            state.lanes.begin(lane, Instant::now())
        };
        let batches: Vec<&Batch> = batches.iter().map(|batch| &**batch).collect();
        let attempted = catch_unwind(AssertUnwindSafe(|| {
            writer.write(&batches, done, None, &mut LaneObserver { shared, lane })
        }));
        let error = match attempted {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(Error::bug(
                "a bug in write_buffer ended an attempt to write; the rows stay buffered",
            )),
        };
        let mut state = shared.lock();
        let reconnects = writer.reconnects();
        if let Some(error) = &error {
            state.last_error = Some(error.to_string());
        }
        let mut retry_at = None;
        if let Some(flusher) = state.flushers.get_mut(lane) {
            flusher.reconnects = reconnects;
            match error {
                None => {
                    flusher.failures_in_a_row = 0;
                    flusher.failed_attempt = None;
                }
                Some(error) => {
                    let doubled =
                        FIRST_RECONNECT_BACKOFF.saturating_mul(2_u32.saturating_pow(flusher.failures_in_a_row));
                    let wait = doubled.min(LONGEST_RECONNECT_BACKOFF).mul_f64(0.5 + fastrand::f64());
                    retry_at = Some(Instant::now() + wait);
                    flusher.failures_in_a_row += 1;
                    flusher.metrics.failed(&error);
                    flusher.failed_attempt = Some((flusher.attempts, error));
                }
            }
        }
        if let Some(retry_at) = retry_at {
            state.lanes.failed(lane, retry_at);
        }
        drop(state);
        shared.done.notify_all();
    }
}

/// The end of the thread, within [`RETIRE_TIMEOUT`] where nothing is left to write.
fn end(shared: &Shared, lane: usize, writer: &mut Writer) {
    let is_clean = shared
        .lock()
        .lanes
        .queue(lane)
        .is_none_or(|queue| queue.pending_rows() == 0);
    let retired = catch_unwind(AssertUnwindSafe(|| {
        if is_clean {
            writer.retire(Instant::now() + RETIRE_TIMEOUT);
        }
    }));
    let mut state = shared.lock();
    if retired.is_err() {
        state.last_error = Some("a bug in write_buffer ended its end".to_owned());
    }
    if let Some(flusher) = state.flushers.get_mut(lane) {
        flusher.thread = ThreadState::None;
    }
    drop(state);
    shared.done.notify_all();
}

/// Waits until something is due. `None`: the thread shall end.
fn wait_for_work(shared: &Shared, lane: usize) -> Option<MutexGuard<'_, State>> {
    let work = shared.work.get(lane)?;
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let due = state.lanes.due(lane, now);
        // What waits for another lane will be due: its lane is empty only when all its rows are settled.
        let is_empty = state.lanes.queue(lane).is_none_or(|queue| queue.pending_rows() == 0);
        if state.abandoned || (state.stopping && is_empty) {
            return None;
        }
        if let Some(flusher) = state.flushers.get_mut(lane) {
            flusher.thread = if flusher.failures_in_a_row > 0 {
                ThreadState::Backoff
            } else {
                ThreadState::Idle
            };
        }
        state = match due {
            Due::Now => return Some(state),
            Due::Never => work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Due::At(at) => {
                let waited = work.wait_timeout(state, at.saturating_duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Moves groups out of the queue, under the lock, and tells those who wait.
struct LaneObserver<'s> {
    shared: &'s Shared,
    lane: usize,
}

impl Observer for LaneObserver<'_> {
    fn committed(&mut self, written: &Commit) {
        let mut state = self.shared.lock();
        if let Some(flusher) = state.flushers.get_mut(self.lane) {
            flusher.metrics.committed(written);
        }
        let wake = state.lanes.settle(self.lane, written.groups.len(), written.rows);
        drop(state);
        self.shared.tell(wake);
    }

    fn given_up(&mut self, letter: DeadLetter) {
        let rows = letter.rows.len();
        let mut state = self.shared.lock();
        state.last_error = Some(letter.message.clone());
        if let Some(flusher) = state.flushers.get_mut(self.lane) {
            flusher.metrics.failed_rows += count(rows);
        }
        if state.unreported.len() < MAX_FAILURES {
            state.unreported.push(letter.clone());
        }
        keep_failure(&mut state.failures, letter);
        let wake = state.lanes.settle(self.lane, 1, rows);
        drop(state);
        self.shared.tell(wake);
    }

    fn waited_for_earlier_groups(&mut self) -> bool {
        let mut state = self.shared.lock();
        let mut has_waited = false;
        while !state.abandoned && !state.lanes.others_are_settled(self.lane) {
            has_waited = true;
            self.shared.wake_all();
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        has_waited
    }

    fn has_room_for_failure(&self) -> bool {
        let state = self.shared.lock();
        state.has_dead_letter_file || state.failures.len() < MAX_FAILURES
    }

    fn happened(&mut self, event: &Event<'_>) {
        if let Some(flusher) = self.shared.lock().flushers.get_mut(self.lane) {
            flusher.metrics.count(event);
        }
    }
}
