//! A lane's flusher: the thread's side of a [background buffer](crate::buffer::background).
//!
//! Invariants:
//! - Groups leave the queue under the lock, as they are committed or given up.
//! - A group is given up only after the other lanes have settled all that was added before it. One
//!   of those groups may hold the row that it refers to. Until then it is
//!   [parked](crate::buffer::parking), and the lane goes on.
//! - A panic while it writes is caught: the rows stay, and are tried again.
//! - COMMIT is sent, and a failure kept, only if nobody has taken the groups away. What an attempt
//!   tells of groups that were taken away is not heard.
//!
//! Bounds: after a failure it waits 50 ms, then twice as long each time, up to 2 s, or 500 ms where
//! nobody takes connections, each wait
//! spread from half to one and a half.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use crate::buffer::background::attempts::{failed, note, succeeded};
use crate::buffer::background::journaled::{self, Ending};
use crate::buffer::background::lanes::LaneSet;
use crate::buffer::background::read_back;
use crate::buffer::background::shared::{Shared, State, Watch};
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::parking::Models;
use crate::buffer::queue::{Due, LaneId};
use crate::buffer::snapshot::ThreadState;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::ledger::Position;
use crate::rows::batch::Batch;
use crate::writer::Writer;
use crate::writer::observer::{Commit, Event, Observer};
use crate::writer::obstacle::Obstacle;

/// The flusher's thread: takes what is due, writes it, settles it, until the buffer ends.
pub fn run(shared: &Arc<Shared>, lane: LaneId, mut writer: Writer) {
    let mut taken_back = 0;
    loop {
        let work = {
            let Some(state) = wait_for_work(shared, lane) else {
                return end(shared, lane, writer);
            };
            let Some(mut state) = read_back::read_back(shared, lane, state, &writer) else {
                continue;
            };
            let flusher = &mut state.lanes.lane_mut(lane).flusher;
            flusher.thread = ThreadState::Writing;
            flusher.attempts += 1;
            if state.taken_back != taken_back {
                // The groups of the attempt before this one do not come again.
                taken_back = state.taken_back;
                writer.forget_doubts();
            }
            if state.draining {
                writer.wait_patiently_for_locks();
            }
            let work = state.lanes.take_up(lane, Instant::now());
            wake_waiting(&mut state);
            work
        };
        let Some(work) = work else {
            // All that was due is parked.
            shared.done.notify_all();
            continue;
        };
        let batches: Vec<&Batch> = work.batches.iter().map(|batch| &**batch).collect();
        let attempted = catch_unwind(AssertUnwindSafe(|| {
            let mut observer = LaneObserver {
                shared,
                lane,
                taken_back,
            };
            match &work.gives_up {
                None => {
                    work.prepare(&mut writer, None, &mut observer);
                    writer.write(&batches, work.done, None, &mut observer)
                }
                Some(why) => {
                    let given_up = writer.give_up_all(&batches, work.done, why, None, &mut observer);
                    given_up.map_err(Obstacle::Failed)
                }
            }
        }));
        let mut state = shared.lock();
        let flusher = &mut state.lanes.lane_mut(lane).flusher;
        flusher.reconnects = writer.reconnects();
        flusher.is_connecting = false;
        flusher.is_giving_up = false;
        match attempted {
            // How an attempt ended whose groups were taken away says nothing of those that came
            // since.
            _ if state.taken_back != taken_back => succeeded(&mut state, lane),
            Ok(Ok(())) => succeeded(&mut state, lane),
            Ok(Err(obstacle)) if work.gives_up.is_none() => met(&mut state, lane, obstacle, writer.models()),
            Ok(Err(obstacle)) => {
                note(&mut state, lane, obstacle.error());
                state.lanes.postpone(lane, Instant::now());
            }
            Err(_) => {
                let bug = "a bug in write_buffer ended an attempt to write; the rows stay buffered";
                failed(&mut state, lane, Error::bug(bug));
            }
        }
        wake_waiting(&mut state);
        drop(state);
        shared.done.notify_all();
        journaled::prepare_ahead(shared);
    }
}

/// Wakes lanes that may wait for groups that are parked now.
fn wake_waiting(state: &mut State) {
    if state.lanes.has_parked_groups() {
        state.wake_all();
    }
}

/// Parks what an obstacle stands in the way of. What is left is tried at once.
fn met(state: &mut State, lane: LaneId, obstacle: Obstacle, models: &Models) {
    let error = obstacle.error().clone();
    match state.lanes.park(lane, obstacle, models, Instant::now()) {
        Ok(true) => {
            succeeded(state, lane);
            note(state, lane, &error);
        }
        Ok(false) | Err(_) => failed(state, lane, error),
    }
}

/// The end of the thread, within [`RETIRE_TIMEOUT`] if nothing is left to write. The thread is said
/// to have ended only after its connection is closed: the process may exit right then.
fn end(shared: &Shared, lane: LaneId, mut writer: Writer) {
    let ending = journaled::end(shared, lane);
    let retired = catch_unwind(AssertUnwindSafe(move || {
        let until = Instant::now() + RETIRE_TIMEOUT;
        let closed = match ending {
            Ending::Unclean => Ok(()),
            Ending::Clean => {
                writer.retire(until);
                Ok(())
            }
            // The rows in the ledger go last: as long as the folder is there, they say what of it
            // is settled.
            Ending::Journaled(mut journal) => journal.close().map(|()| writer.retire_all(until)),
        };
        drop(writer);
        closed
    }));
    let mut state = shared.lock();
    match retired {
        Ok(Ok(())) => {}
        Ok(Err(error)) => state.last_error = Some(error.to_string()),
        Err(_) => state.last_error = Some("a bug in write_buffer ended its end".to_owned()),
    }
    state.lanes.lane_mut(lane).flusher.thread = ThreadState::None;
    drop(state);
    shared.done.notify_all();
}

/// Waits until something is due. `None`: the thread has to end.
fn wait_for_work(shared: &Arc<Shared>, lane: LaneId) -> Option<MutexGuard<'_, State>> {
    let mut state = shared.lock();
    let work = state.work(lane);
    loop {
        let now = Instant::now();
        let due = state.lanes.due(lane, now);
        // Rows that wait for another lane will be due: the lane is empty only when all its rows are
        // settled.
        let is_empty = state.lanes.pending_rows() == 0;
        if state.abandoned || (state.stopping && is_empty) {
            return None;
        }
        // Whoever holds it looks itself.
        let may_look = lane == LaneId::new(0) && !state.stopping && state.holds == 0;
        let mut looks = state.looks.as_mut().filter(|_| may_look);
        if let Some(look) = looks.as_mut().and_then(|looks| looks.take_due(now)) {
            drop(state);
            look(Watch::new(shared));
            state = shared.lock();
            continue;
        }
        let next_look = looks.map(|looks| looks.next());
        let due = if state.holds > 0 { Due::Never } else { due };
        let flusher = &mut state.lanes.lane_mut(lane).flusher;
        flusher.thread = if flusher.failures_in_a_row > 0 {
            ThreadState::Backoff
        } else {
            ThreadState::Idle
        };
        let until = match due {
            Due::Now => return Some(state),
            Due::Never => next_look,
            Due::At(at) => Some(next_look.map_or(at, |next| next.min(at))),
        };
        state = match until {
            None => work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let waited = work.wait_timeout(state, at.saturating_duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Moves groups out of the queue, under the lock, and tells those who wait.
struct LaneObserver<'s> {
    shared: &'s Shared,
    lane: LaneId,
    /// As it was when the attempt began.
    taken_back: u64,
}

impl LaneObserver<'_> {
    /// The state, unless the attempt's groups were taken away.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.shared.lock();
        (state.taken_back == self.taken_back).then_some(state)
    }

    fn tell(&self, state: MutexGuard<'_, State>, lanes: LaneSet) {
        let sleepers = state.sleepers(lanes);
        drop(state);
        self.shared.done.notify_all();
        sleepers.wake();
    }
}

impl Observer for LaneObserver<'_> {
    fn may_commit(&mut self, groups: &Range<usize>) -> bool {
        let Some(mut state) = self.lock() else { return false };
        state.lanes.begin_commit(self.lane, groups);
        true
    }

    fn not_committed(&mut self) {
        if let Some(mut state) = self.lock() {
            state.lanes.commit_failed(self.lane);
        }
        self.shared.done.notify_all();
    }

    fn may_give_up(&mut self) -> bool {
        let Some(mut state) = self.lock() else { return false };
        state.lanes.lane_mut(self.lane).flusher.is_giving_up = true;
        true
    }

    fn position(&mut self, groups: &Range<usize>, transaction: u64) -> Result<Option<Position>> {
        let Some(mut state) = self.lock() else {
            return Err(Error::taken_back());
        };
        let (position, must_sync) = journaled::before_commit(&mut state, self.lane, groups, transaction)?;
        drop(state);
        if let Some(must_sync) = must_sync {
            must_sync.wait()?;
        }
        Ok(position)
    }

    fn committed(&mut self, commit: &Commit) {
        let Some(mut state) = self.lock() else { return };
        state.lanes.lane_mut(self.lane).flusher.metrics.committed(commit);
        journaled::committed(&mut state, self.lane, commit);
        let lanes = state.lanes.settle(self.lane, commit.groups.len(), commit.rows);
        journaled::give_up_settled(&mut state);
        self.tell(state, lanes);
    }

    fn given_up(&mut self, letter: DeadLetter) {
        let rows = letter.rows.len();
        let Some(mut state) = self.lock() else { return };
        let number = state.lanes.next_to_settle(self.lane).unwrap_or_default();
        state.last_error = Some(letter.message.to_string());
        let flusher = &mut state.lanes.lane_mut(self.lane).flusher;
        flusher.metrics.refused(rows);
        flusher.is_giving_up = false;
        state.failures.keep(number, letter);
        journaled::given_up(&mut state, self.lane, number);
        let lanes = state.lanes.give_up(self.lane, rows);
        journaled::give_up_settled(&mut state);
        self.tell(state, lanes);
    }

    fn letter_id(&self) -> Option<Box<str>> {
        let state = self.lock()?;
        let number = state.lanes.next_to_settle(self.lane)?;
        Some(state.journal.as_ref()?.letter_id(number))
    }

    fn may_lack_earlier_groups(&mut self, error: &Error) -> bool {
        let Some(mut state) = self.lock() else { return false };
        let may_lack = state.lanes.may_lack_earlier_groups(self.lane, error);
        if may_lack {
            // They are due at once.
            state.wake_all();
        }
        may_lack
    }

    fn has_room_for_failure(&self) -> bool {
        self.shared.lock().failures.has_room()
    }

    fn happened(&mut self, event: &Event<'_>) {
        let mut state = self.shared.lock();
        let is_current = state.taken_back == self.taken_back;
        let flusher = &mut state.lanes.lane_mut(self.lane).flusher;
        flusher.metrics.count(event);
        match event {
            Event::Connecting => flusher.is_connecting = true,
            Event::Connected => flusher.is_connecting = false,
            Event::CommitUnknown if is_current => state.lanes.commit_unclear(self.lane),
            _ => {}
        }
    }
}
