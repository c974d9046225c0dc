//! The end of a [background buffer](crate::buffer::background): its rows are waited for, what is
//! left is kept elsewhere, and its threads go.
//!
//! Invariant: once groups were taken out of the lanes, no attempt to write them commits them.
//!
//! Bounds: the end's time; 200 ms for the answer to a COMMIT, and [`RETIRE_TIMEOUT`] for the
//! threads if all rows were written.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::buffer::background::BackgroundBuffer;
use crate::buffer::background::shared::State;
use crate::buffer::leftovers::{self, EndCause, EndTime, Left, LeftGroup};
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::metrics::count;
use crate::buffer::queue::LaneId;
use crate::buffer::queue::stored::StoredBatch;
use crate::clock::Clock as _;
use crate::dead_letter::file::DeadLetterFile;
use crate::error::{Error, Result};
use crate::sink::Place;

impl BackgroundBuffer {
    /// Waits until all rows are written, through failures, as long as the end's time lasts. It does
    /// not wait for what cannot pass by itself.
    ///
    /// # Errors
    ///
    /// Why rows are left.
    pub fn drain(&self, time: EndTime) -> Result<(), EndCause> {
        let unstarted = self.start_missing_threads().err();
        let mut state = self.shared.lock();
        if state.lanes.pending_rows() == 0 {
            return Ok(());
        }
        state.draining = true;
        state.lanes.request_flush();
        state.wake_all();
        let flushed_before = state.rows_committed();
        let attempts_before: Vec<u64> = state.lanes.iter().map(|lane| lane.flusher.attempts).collect();
        let is_done = |state: &State| {
            state.lanes.is_tried(u64::MAX)
                // One that cannot be started now is tried again and again.
                || (state.all_threads_ended() && state.lanes_without_thread().is_empty())
                || state.is_stuck(&attempts_before, self.clock.now())
        };
        let waited = self.wait(state, Some(time.limit), &|| false, is_done).0;
        let is_settled = |state: &State| !state.is_amid_settling();
        state = self.wait(waited, Some(time.commit_limit()), &|| false, is_settled).0;
        if state.lanes.pending_rows() == 0 {
            return Ok(());
        }
        let parking = state.lanes.parking();
        let all_are_parked = parking.rows() == state.lanes.pending_rows();
        let parked = parking.error(u64::MAX, self.clock.now()).filter(|_| all_are_parked);
        let failed = parked.or_else(|| state.last_failed_attempt().cloned());
        let error = match failed.or(unstarted) {
            Some(error) => error,
            None => {
                let has_moved = state.rows_committed() > flushed_before;
                Error::timeout(format!(
                    "{} did not take them within {} ms: {}",
                    self.place_in_words(),
                    time.said.as_millis(),
                    Self::slowness(&state, has_moved)
                ))
            }
        };
        Err(EndCause {
            error,
            place: self.place.clone(),
            names_keys: !self.settings.redact_values,
        })
    }

    pub(super) fn place_in_words(&self) -> String {
        self.place
            .as_ref()
            .map_or_else(|| "the database".to_owned(), Place::to_string)
    }

    /// What a wait without an error has waited for. `has_moved`: rows were committed meanwhile.
    pub(super) fn slowness(state: &State, has_moved: bool) -> &'static str {
        let is_connecting = state.lanes.iter().any(|lane| lane.flusher.is_connecting);
        if is_connecting {
            "it has not answered the attempt to connect; check that the server runs there, and the DSN's host and port, or its \
             unix_socket"
        } else if has_moved {
            "it takes rows more slowly; give it more time"
        } else {
            "it has not answered the statements that were sent; look there for locks and load (SHOW PROCESSLIST)"
        }
    }

    /// Where it writes to.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What to say if the rows that are left will be lost: all but those of groups that are
    /// `in_files`. They stay.
    pub fn lost_warning(&self, cause: &EndCause, in_files: &BTreeSet<u64>) -> Option<String> {
        if self.settings.journal.is_some() {
            return None;
        }
        leftovers::warning(self.shared.lock().lanes.groups(), in_files, cause)
    }

    /// The end of the rows that are left: they leave the buffer, and go into the dead-letter file,
    /// but for those of groups that are `in_files` already. If there is a journal they stay there,
    /// for whoever comes next.
    /// An attempt to write them that is under way commits nothing any more.
    pub fn keep_left(&self, cause: &EndCause, time: EndTime, in_files: &BTreeSet<u64>) -> Left {
        let (left, stored) = self.take_left(in_files);
        if self.settings.journal.is_some() {
            let kept = left.iter().filter(|group| in_files.contains(&group.number));
            let is_stored = |number: &u64| stored.iter().any(|stored| stored.numbers().position(*number).is_some());
            // What was not in memory was never sent.
            let stored = in_files.iter().copied().filter(is_stored).map(|number| (number, false));
            return Left {
                untold: None,
                in_files: kept
                    .map(|group| (group.number, group.is_uncertain))
                    .chain(stored)
                    .collect(),
            };
        }
        let file = self.settings.dead_letter_file.clone().map(DeadLetterFile::new);
        leftovers::keep(left, in_files, file.as_ref(), cause, time)
    }

    /// Takes all groups out, but for their journal. Those that are `in_files` leave it, too.
    /// Returns those in memory, and those in the journal alone.
    pub(super) fn take_left(&self, in_files: &BTreeSet<u64>) -> (Vec<LeftGroup>, Vec<Arc<StoredBatch>>) {
        let mut state = self.shared.lock();
        state.taken_back += 1;
        let journal = state.journal.take();
        let stays_in_journal = journal.is_some();
        if let Some(mut journal) = journal.filter(|_| !in_files.is_empty()) {
            journal.settled(LaneId::new(0), in_files.iter().copied().collect());
        }
        // Its folder is there for a successor from now on.
        let lanes: Vec<LaneId> = state.lanes.ids().collect();
        for id in lanes {
            let lane = state.lanes.lane_mut(id);
            lane.flusher.metrics.rows_refused += count(lane.queue.pending_rows());
        }
        let parked = count(state.lanes.parking().rows());
        state.lanes.lane_mut(LaneId::new(0)).flusher.metrics.rows_refused += parked;
        let stored = state.lanes.take_stored();
        let left = state.lanes.take_left();
        let in_journal: usize = stored.iter().map(|stored| stored.numbers().count()).sum();
        state.lanes.lane_mut(LaneId::new(0)).flusher.metrics.groups_refused += count(left.len() + in_journal);
        let in_memory = left.iter().map(|group| group.number);
        for number in in_memory.chain(stored.iter().flat_map(|stored| stored.numbers().iter())) {
            if stays_in_journal && !in_files.contains(&number) {
                state.failures.left_in_journal(number);
            } else {
                state.failures.not_committed(number);
            }
        }
        drop(state);
        // A flusher may wait for another lane, and a caller for room.
        self.shared.done.notify_all();
        (left, stored)
    }

    /// The end: lets the threads go. Rows that are not written by now are lost: an attempt that is
    /// under way commits nothing any more.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        // A server that did not take all gets no more time.
        state.abandoned = state.lanes.pending_rows() > 0 || state.taken_back > 0;
        state.taken_back += u64::from(state.lanes.pending_rows() > 0);
        state.wake_all();
        // A flusher may wait for another lane.
        self.shared.done.notify_all();
        self.shared.unsynced.notify_all();
        if !state.abandoned {
            let goodbye = self.clock.now() + RETIRE_TIMEOUT;
            drop(self.wait(state, Some(goodbye), &|| false, State::all_threads_ended));
        }
    }
}
