//! What a [background buffer](crate::buffer::background) does for its [journal](GroupJournal), step
//! by step, under its lock. Without a journal each step does nothing.

use std::ops::Range;

use crate::buffer::background::lanes::Lane;
use crate::buffer::background::shared::{ConnectionUse, Flusher, Shared, State};
use crate::buffer::journal::{GroupJournal, MustSync};
use crate::buffer::queue::LaneId;
use crate::buffer::snapshot::ThreadState;
use crate::error::{Error, Result};
use crate::ledger::{self, Position};
use crate::writer::observer::Commit;

/// How a lane's thread ends.
pub enum Ending {
    /// Rows are left: what the server holds stays.
    Unclean,
    /// It leaves nothing behind.
    Clean,
    /// The same, and it is the last one of a buffer with a journal.
    Journaled(Box<GroupJournal>),
}

/// A transaction is about to be entered in the ledger: notes what its position does not say, and
/// returns the position, and what has to be on the disk before COMMIT.
///
/// # Errors
///
/// The journal takes no note now.
pub fn before_commit(
    state: &mut State,
    lane: LaneId,
    groups: &Range<usize>,
    transaction: u64,
) -> Result<(Option<Position>, Option<MustSync>)> {
    let transaction = ledger::transaction_count(transaction);
    let State { lanes, journal, .. } = state;
    let Some(journal) = journal else {
        return Ok((None, None));
    };
    let flight = lanes.parking().flight_numbers(lane, groups);
    let position = match (&flight, groups.end.checked_sub(1)) {
        (None, Some(last)) if !groups.is_empty() => {
            let through = lanes.number_in_flight(lane, last);
            let through = through.ok_or_else(|| Error::bug("a group that is written has no number"))?;
            Some(Position {
                through,
                succession: journal.succession(),
            })
        }
        _ => None,
    };
    let must_sync = journal.before_commit(lane, transaction, lanes.newly_parked(), flight)?;
    Ok((position, must_sync))
}

/// Groups are committed, and still in their lane or flight.
pub fn committed(state: &mut State, lane: LaneId, commit: &Commit) {
    if let Some(journal) = &mut state.journal
        && let Some(groups) = state.lanes.parking().flight_numbers(lane, &commit.groups)
    {
        journal.settled(lane, groups);
    }
}

/// A group is kept as a failure.
pub fn given_up(state: &mut State, lane: LaneId, number: u64) {
    if let Some(journal) = &mut state.journal {
        journal.settled(lane, vec![number]);
    }
}

/// Some groups are settled.
pub fn give_up_settled(state: &mut State) {
    let State { lanes, journal, .. } = state;
    if let Some(journal) = journal
        && let Err(error) = journal.give_up_settled(lanes.settled_through())
    {
        state.last_error = Some(error.to_string());
    }
}

/// Prepares the journal for groups to come, so that no `add()` has to. Without the lock.
pub fn prepare_ahead(shared: &Shared) {
    let Some(ahead) = shared.lock().journal.as_mut().and_then(GroupJournal::take_ahead) else {
        return;
    };
    let prepared = ahead.prepare();
    if let Some(journal) = &mut shared.lock().journal {
        journal.put_ahead(prepared);
    }
}

/// A lane's thread ends.
pub fn end(shared: &Shared, lane: LaneId) -> Ending {
    let mut state = shared.lock();
    state.lanes.lane_mut(lane).flusher.is_ending = true;
    let is_clean = state.lanes.lane(lane).queue.pending_rows() == 0 && state.lanes.parking().is_empty();
    if !shared.is_journaled {
        return if is_clean { Ending::Clean } else { Ending::Unclean };
    }
    // A lane that is closed has no connection to remove rows by. The first one is never closed.
    let is_closed = |flusher: &Flusher| flusher.connection == ConnectionUse::Closed;
    if is_closed(&state.lanes.lane(lane).flusher) {
        return Ending::Unclean;
    }
    let has_ended = |Lane { flusher, .. }: &Lane<Flusher>| {
        flusher.thread == ThreadState::None || flusher.is_ending || is_closed(flusher)
    };
    if !state.lanes.iter().all(has_ended) {
        return Ending::Unclean;
    }
    // The last one.
    let journal = state
        .journal
        .take()
        .filter(|_| state.lanes.pending_rows() == 0 && state.taken_back == 0);
    journal.map_or(Ending::Unclean, |journal| Ending::Journaled(Box::new(journal)))
}
