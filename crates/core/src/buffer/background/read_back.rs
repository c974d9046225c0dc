//! A lane's flusher reads back what comes next, if that stands in the journal alone. Without the
//! lock.
//!
//! What cannot be read is tried again as a server is: each time it is looked for anew, since a
//! failed sync may have had it copied elsewhere. After [`TRIES`] the groups that cannot be read
//! are failures, without their rows, and all others go on.
//!
//! Invariant: a group that cannot be read leaves the queue only when it stands in the dead-letter
//! file, and the file that should have it was copied.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use crate::buffer::background::attempts::failed;
use crate::buffer::background::journaled;
use crate::buffer::background::shared::{Shared, State};
use crate::buffer::journal::reading::{Reading, Unread};
use crate::buffer::queue::LaneId;
use crate::buffer::queue::stored::StoredBatch;
use crate::buffer::snapshot::ThreadState;
use crate::dead_letter::{DeadLetter, Status};
use crate::error::{Error, Result, count_rows};
use crate::rows::batch::Batch;
use crate::writer::Writer;

/// So often what cannot be read is tried before it is given up.
const TRIES: u32 = 5;

/// Reads back what a lane takes up next. `None`: that was done, or tried.
pub fn read_back<'s>(
    shared: &'s Shared,
    lane: LaneId,
    mut state: MutexGuard<'s, State>,
    writer: &Writer,
) -> Option<MutexGuard<'s, State>> {
    let wanted = state.lanes.wants_back(lane, Instant::now());
    if wanted.is_empty() {
        return Some(state);
    }
    let journal = state.journal.as_ref();
    let readings: Option<Vec<Reading>> = wanted.iter().map(|stored| journal?.reading(stored)).collect();
    let flusher = &mut state.lanes.lane_mut(lane).flusher;
    flusher.thread = ThreadState::Writing;
    let taken_back = state.taken_back;
    drop(state);
    let read = catch_unwind(AssertUnwindSafe(|| readings.map(read_some)));
    let mut state = shared.lock();
    let flusher = &mut state.lanes.lane_mut(lane).flusher;
    match read {
        Ok(Some((read, None))) => {
            flusher.unread = 0;
            state.lanes.take_back(lane, read, &[]);
        }
        Ok(Some((read, Some(_)))) if !read.is_empty() => {
            // The next time the one that cannot be read is the first.
            state.lanes.take_back(lane, read, &[]);
        }
        Ok(Some((_, Some((reading, unread))))) => {
            flusher.unread += 1;
            let mut error = unread.error();
            if flusher.unread >= TRIES && !unread.lost.is_empty() {
                drop(state);
                let given_up = give_up(shared, lane, (&reading, *unread), writer, taken_back);
                state = shared.lock();
                if let Err(why) = given_up {
                    error = why;
                } else {
                    state.lanes.lane_mut(lane).flusher.unread = 0;
                    // Other lanes may wait for what is settled now.
                    state.wake_all();
                    drop(state);
                    shared.done.notify_all();
                    return None;
                }
            }
            not_read(&mut state, lane, error);
        }
        _ => {
            let bug = "a bug in write_buffer ended an attempt to read the journal; the rows stay there";
            not_read(&mut state, lane, Error::bug(bug));
        }
    }
    drop(state);
    shared.done.notify_all();
    None
}

/// What was read, and the first that could not be.
type SomeRead = (Vec<(Arc<StoredBatch>, Batch)>, Option<(Reading, Box<Unread>)>);

fn read_some(readings: Vec<Reading>) -> SomeRead {
    let mut some = Vec::new();
    for reading in readings {
        match reading.read() {
            Ok(batch) => some.push((Arc::clone(reading.stored()), batch)),
            Err(unread) => return (some, Some((reading, unread))),
        }
    }
    (some, None)
}

fn not_read(state: &mut State, lane: LaneId, error: Error) {
    state.lanes.lane_mut(lane).flusher.attempts += 1;
    failed(state, lane, error);
}

/// Keeps the groups that cannot be read as failures. Nobody has their rows.
fn give_up(
    shared: &Shared,
    lane: LaneId,
    (reading, unread): (&Reading, Unread),
    writer: &Writer,
    taken_back: u64,
) -> Result<()> {
    let lost_rows = reading.stored().rows() - unread.batch.rows();
    let copies = unread.copy_files();
    let letters = {
        let state = shared.lock();
        let Some(journal) = state.journal.as_ref().filter(|_| state.taken_back == taken_back) else {
            // The buffer has ended: they are its successor's.
            return Ok(());
        };
        let letter = |number: &u64| DeadLetter {
            id: journal.letter_id(*number),
            ..letter(*number, &unread, lost_rows, &copies)
        };
        unread.lost.iter().map(letter).collect::<Vec<_>>()
    };
    writer.keep_lost(&letters)?;
    let mut state = shared.lock();
    let read = vec![(Arc::clone(reading.stored()), unread.batch)];
    if state.taken_back != taken_back || !state.lanes.take_back(lane, read, &unread.lost) {
        return Ok(());
    }
    state.last_error = letters.last().map(|letter| letter.message.to_string());
    for (at, (number, letter)) in unread.lost.iter().zip(letters).enumerate() {
        let flusher = &mut state.lanes.lane_mut(lane).flusher;
        // Together they have so many.
        flusher.metrics.refused(if at == 0 { lost_rows } else { 0 });
        state.failures.keep(*number, letter);
        journaled::given_up(&mut state, lane, *number);
    }
    journaled::give_up_settled(&mut state);
    Ok(())
}

fn letter(number: u64, unread: &Unread, lost_rows: usize, copies: &str) -> DeadLetter {
    let whose = if unread.lost.len() == 1 {
        "its".to_owned()
    } else {
        format!("the {} lost groups'", unread.lost.len())
    };
    let error = unread.error().context(&format!(
        "ticket {number} was not written, and nobody has {whose} {} any more; {copies}",
        count_rows(lost_rows)
    ));
    DeadLetter::new(std::iter::empty(), None, Status::Uncertain, &error, |_| None)
}
