//! How a [background buffer](crate::buffer::background) keeps what it takes in its journal, and has
//! that survive the machine.
//!
//! Bounds: `add()` waits for room in the journal as long as for room in memory. With
//! `journalSync: 'interval'` a thread syncs as often as that says while something new comes, and
//! waits without an alarm otherwise.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::buffer::background::lanes::Chosen;
use crate::buffer::background::route::Route;
use crate::buffer::background::shared::{Shared, State, SyncerState};
use crate::buffer::background::{BackgroundBuffer, WaitEnd};
use crate::buffer::journal::{GroupJournal, MustSync};
use crate::clock::Clock as _;
use crate::dead_letter::FlushError;
use crate::error::{Error, Kind, Result};
use crate::rows::group::Group;
use crate::settings::JournalSync;

/// A group's place, and what has to be waited for before it is said to be taken.
type Kept<'s> = (MutexGuard<'s, State>, Chosen, Option<MustSync>);

impl BackgroundBuffer {
    /// Keeps a group in the journal before it is taken. Waits for room there, as for room in
    /// memory.
    pub(super) fn keep<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        group: &Group,
        route: Option<&Route>,
        mut chosen: Chosen,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Kept<'s>> {
        self.start_syncer(&mut state)?;
        loop {
            let Some(journal) = &mut state.journal else {
                // The buffer ends.
                return Err(Error::closed());
            };
            let error = match journal.append(chosen.number, chosen.lane, group) {
                Ok((spot, must_sync)) => {
                    chosen.spot = Some(spot);
                    if state.syncer == SyncerState::Idle {
                        state.syncer = SyncerState::Busy;
                        self.shared.unsynced.notify_one();
                    }
                    return Ok((state, chosen, must_sync));
                }
                Err(error) if error.kind() == Kind::Full => error,
                Err(error) => return Err(error),
            };
            state = self.wait_for_room_on_disk(state, limit, interrupted, error)?;
            // Others may have come meanwhile: numbers only grow.
            if !state.lanes.fits(group) {
                state = self.wait_for_room(state, group, limit, interrupted)?;
            }
            chosen = state.lanes.choose(route, || self.clock.now());
        }
    }

    /// Waits until something was settled that the journal may give up.
    fn wait_for_room_on_disk<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        limit: Option<Instant>,
        interrupted: &dyn Fn() -> bool,
        error: Error,
    ) -> Result<MutexGuard<'s, State>> {
        if let Some(must_sync) = state.journal.as_ref().and_then(GroupJournal::owed_to_room) {
            drop(state);
            // Whoever hears of it has to know that the group was not taken.
            let no_room = |failed: Error| Error::full(format!("{error}; the disk failed: {failed}"));
            must_sync.wait().map_err(no_room)?;
            state = self.shared.lock();
            let through = state.lanes.settled_through();
            if let Some(journal) = &mut state.journal {
                journal.give_up_settled(through).map_err(no_room)?;
            }
            return Ok(state);
        }
        if limit.is_none() || state.lanes.pending_rows() == 0 {
            return Err(error);
        }
        let started = self.clock.now();
        let given_up = |state: &State| state.journal.as_ref().map_or(0, GroupJournal::given_up);
        let before = given_up(&state);
        state.lanes.request_flush();
        state.wake_all();
        let may_go = |state: &State| {
            given_up(state) != before
                || state.lanes.pending_rows() == 0
                || state
                    .journal
                    .as_ref()
                    .is_none_or(|journal| journal.owed_to_room().is_some())
        };
        let (mut state, why) = self.wait(state, limit, interrupted, may_go);
        state.time_blocked += self.clock.now().saturating_duration_since(started);
        match why {
            WaitEnd::Done => Ok(state),
            WaitEnd::Interrupted => Err(Error::interrupted()),
            WaitEnd::TimeOver => Err(match state.last_failed_attempt() {
                Some(last) => Error::full(format!("{error}; the last attempt to write failed: {last}")),
                None => error,
            }),
        }
    }

    /// Before the first group is kept: a group that is in the journal is taken.
    fn start_syncer(&self, state: &mut State) -> Result<()> {
        let sync = self.settings.journal.as_ref().map(|journal| journal.sync);
        let Some(JournalSync::Interval(interval)) = sync.filter(|_| state.syncer == SyncerState::None) else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let started = (self.spawn)(Box::new(move || sync_again_and_again(&shared, interval)));
        started.map_err(|error| Error::full(format!("the journal's thread cannot be started: {error}")))?;
        state.syncer = SyncerState::Busy;
        Ok(())
    }

    /// Waits until all that was taken so far would survive a power cut. `None`: there is no
    /// journal, so only the server can have it.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn sync_journal(&self) -> Option<Result<(), FlushError>> {
        self.settings.journal.as_ref()?;
        let must_sync = self.shared.lock().journal.as_ref().and_then(GroupJournal::all);
        Some(must_sync.map_or(Ok(()), |must_sync| must_sync.wait().map_err(FlushError::from)))
    }

    /// The last record that the journal has taken, and the last that would survive a power cut, as
    /// long as there is a journal.
    pub fn journal_progress(&self) -> Option<(u64, u64)> {
        let state = self.shared.lock();
        state.journal.as_ref().map(GroupJournal::progress)
    }

    /// The writer's name in the ledger and of its folder, as long as there is a journal.
    pub fn journal_writer(&self) -> Option<String> {
        let state = self.shared.lock();
        state.journal.as_ref().map(|journal| journal.writer().to_owned())
    }
}

/// The thread that syncs, until the buffer ends.
fn sync_again_and_again(shared: &Shared, interval: Duration) {
    loop {
        let must_sync = {
            let mut state = shared.lock();
            loop {
                let Some(journal) = state.journal.as_ref().filter(|_| !state.stopping) else {
                    state.syncer = SyncerState::None;
                    return;
                };
                // After a failure the next group leaves the file that failed.
                if let Some(must_sync) = journal.all().filter(|must_sync| !must_sync.would_fail()) {
                    break must_sync;
                }
                state.syncer = SyncerState::Idle;
                state = shared.unsynced.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let began = Instant::now();
        if let Err(error) = must_sync.wait() {
            shared.lock().last_error = Some(error.to_string());
        }
        // A caller may wait for room that this gives.
        shared.done.notify_all();
        std::thread::sleep(interval.saturating_sub(began.elapsed()));
    }
}
