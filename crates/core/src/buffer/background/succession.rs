//! What a [background buffer](crate::buffer::background) does for the succession of dead writers:
//! as the buffer that writes what one has left, as the one that waits for that, and as one that
//! lives for long and looks for them now and then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::background::shared::{Look, Looks, Shared, Watch};
use crate::buffer::background::{BackgroundBuffer, Spawn, WaitEnd};
use crate::buffer::journal::GroupJournal;
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::queue::LaneId;
use crate::clock::Clock as _;
use crate::dead_letter::file::DeadLetterFile;
use crate::dead_letter::{DeadLetter, Status};
use crate::error::{Error, Result};
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::sink::Sink;

/// A buffer that writes nothing until it is let go.
pub struct Hold(Arc<Shared>);

impl Hold {
    /// Says later whether the buffer ends.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.0)
    }

    /// Notes an error for whoever looks at the metrics.
    pub fn note(&self, error: &Error) {
        self.0.lock().last_error = Some(error.to_string());
    }
}

impl Drop for Hold {
    /// Lets it go: it begins to write.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holds = state.holds.saturating_sub(1);
        state.wake_all();
    }
}

impl BackgroundBuffer {
    /// Has the buffer take rows, and write none until the hold ends.
    pub fn hold(&self) -> Hold {
        self.shared.lock().holds += 1;
        Hold(Arc::clone(&self.shared))
    }

    /// Has the first lane's thread do something now and then, whether or not it has rows, as long
    /// as it runs: from an interval from now on. It should not take long.
    pub fn look_every(&self, interval: Duration, look: Look) {
        let next = self.clock.now() + interval;
        self.shared.lock().looks = Some(Looks::new(look, interval, next));
    }

    /// A buffer that goes on in a dead writer's place, in its journal and its row in the ledger.
    ///
    /// # Errors
    ///
    /// The row cannot be taken over now.
    pub(in crate::buffer) fn succeed(
        settings: Settings,
        sink: Box<dyn Sink>,
        spawn: Spawn,
        journal: GroupJournal,
    ) -> Result<Self> {
        let buffer = Self::with_journal(settings, vec![sink], spawn, Some(journal))?;
        let mut state = buffer.shared.lock();
        if let Some(writer) = &mut state.lanes.lane_mut(LaneId::new(0)).flusher.writer {
            // A row that is not there is made, above whatever the dead process may send.
            while writer.take_over(None)?.is_none() && writer.register_successor(None)?.is_none() {}
        }
        drop(state);
        Ok(buffer)
    }

    /// Takes a group that is in the journal, under its number. Waits for room.
    ///
    /// # Errors
    ///
    /// The group can never be written, or somebody wants to stop. It was not taken.
    pub(in crate::buffer) fn take_again(&self, number: u64, group: &Group, stops: &dyn Fn() -> bool) -> Result<()> {
        self.check_group(group)?;
        let mut state = self.shared.lock();
        // One that was taken before is written, however large it is.
        if !state.lanes.fits(group) && state.lanes.pending_rows() > 0 {
            let (waited, why) = self.wait(state, None, stops, |state| {
                state.lanes.fits(group) || state.lanes.pending_rows() == 0
            });
            if matches!(why, WaitEnd::Interrupted) {
                return Err(Error::interrupted());
            }
            state = waited;
        }
        let chosen = state.lanes.choose_again(number);
        // It was taken, also if its thread cannot be started: whoever waits tries again.
        drop(self.take_at(state, group, None, chosen));
        Ok(())
    }

    /// Keeps a group of the journal in the dead-letter file.
    ///
    /// # Errors
    ///
    /// It cannot be kept there.
    pub(in crate::buffer) fn give_up_again(
        &self,
        number: u64,
        group: &Group,
        status: Status,
        error: &Error,
    ) -> Result<()> {
        let file = DeadLetterFile::of_journal(&self.settings)?;
        let mut letter = DeadLetter::new(group.rows(), group.tag(), status, error, |row| row.shape.entry.model());
        if let Some(journal) = &self.shared.lock().journal {
            letter.id = journal.letter_id(number);
        }
        file.append(&letter, None)?;
        let mut state = self.shared.lock();
        let first = LaneId::new(0);
        state.lanes.lane_mut(first).flusher.metrics.refused(letter.rows.len());
        if let Some(journal) = &mut state.journal {
            journal.settled(first, vec![number]);
        }
        Ok(())
    }

    /// Whether all that was taken is written, or waits for a table and was tried.
    pub(in crate::buffer) fn is_all_tried(&self) -> bool {
        drop(self.start_missing_threads());
        let mut state = self.shared.lock();
        if state.lanes.is_tried(u64::MAX) {
            return true;
        }
        state.lanes.request_flush();
        state.wake_all();
        false
    }

    /// Ends it. All is settled: the journal and the rows in the ledger go, also if there was
    /// nothing to write.
    ///
    /// # Errors
    ///
    /// The journal's.
    pub(in crate::buffer) fn end_succession(&self) -> Result<()> {
        self.stop();
        let (journal, writer) = {
            let mut state = self.shared.lock();
            if !state.all_threads_ended() {
                return Ok(());
            }
            let flusher = &mut state.lanes.lane_mut(LaneId::new(0)).flusher;
            let writer = flusher.writer.take();
            (state.journal.take(), writer)
        };
        if let Some(mut journal) = journal {
            journal.close()?;
            if let Some(mut writer) = writer {
                writer.retire_all(self.clock.now() + RETIRE_TIMEOUT);
            }
        }
        Ok(())
    }

    /// Ends it, and leaves what is not written to whoever comes next.
    pub(in crate::buffer) fn leave_to_successor(&self) {
        drop(self.take_left(&BTreeSet::new()));
        self.stop();
    }
}
