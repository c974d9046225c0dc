//! Successors at work, one for each dead writer, and what became of its groups.

use std::path::PathBuf;
use std::time::Duration;

use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::scan::{Damage, Scan, Stored, StoredGroup};

use crate::buffer::background::BackgroundBuffer;
use crate::buffer::journal::form::Decoder;
use crate::buffer::journal::history::Fate;
use crate::dead_letter::Status;
use crate::error::{Error, Result};
use crate::rows::group::Group;
use crate::table::catalog::Catalog;

/// So many dead writers' rows are written at a time: each takes a connection and a thread.
pub const SUCCESSORS_MAX: usize = 8;
/// How often somebody looks whether parked groups are settled.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// What became of a dead writer's groups.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The writer.
    pub writer: String,
    /// Groups that were not settled.
    pub groups: u64,
    /// Rows of theirs that were committed.
    pub rows_committed: u64,
    /// Rows that went into the dead-letter file.
    pub rows_refused: u64,
    /// Rows that still wait for a table.
    pub rows_parked: u64,
    /// Where its folder was set aside, and what is wrong with it.
    pub set_aside: Option<(PathBuf, Vec<Damage>)>,
    /// Why not all of it is done. The folder is still there.
    pub error: Option<Error>,
}

/// A successor at work.
pub(super) struct Successor {
    pub buffer: BackgroundBuffer,
    pub decoder: Decoder,
    pub recovered: Recovered,
    /// Its buffer has been given all that is left in the journal.
    pub is_fed: bool,
}

/// What became of all folders.
#[derive(Default)]
pub(super) struct AllTaken {
    pub successors: Vec<Successor>,
    pub done: Vec<Recovered>,
    /// Those that wait for a table, and have made room for others: whoever comes next tries again.
    left: Vec<Recovered>,
}

impl AllTaken {
    /// Whether there is no place for another one.
    pub(super) fn is_full(&self) -> bool {
        self.successors.len() >= SUCCESSORS_MAX
    }

    /// Whether a writer's rows were tried.
    pub(super) fn has_tried(&self, writer: &str) -> bool {
        let mut tried = self.left.iter().chain(&self.done);
        tried.any(|recovered| recovered.writer == writer)
    }

    /// Makes room for others: those that are done end, or else those that wait for a table.
    pub(super) fn make_room(&mut self, stops: &dyn Fn() -> bool) {
        self.wait_until_tried(stops);
        self.end_those_that_are_done();
        if self.is_full() {
            let waiting = std::mem::take(&mut self.successors);
            self.left.extend(waiting.into_iter().map(Successor::end));
        }
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = &Error> {
        let going = self.successors.iter().map(|successor| &successor.recovered);
        self.done
            .iter()
            .chain(going)
            .filter_map(|recovered| recovered.error.as_ref())
    }

    /// Forgets those that may go better next time. Returns whether there were any.
    pub(super) fn drop_those_to_try_again(&mut self) -> bool {
        let before = self.done.len();
        let may_pass = |recovered: &Recovered| recovered.error.as_ref().is_some_and(Error::may_pass);
        self.done.retain(|recovered| !may_pass(recovered));
        self.done.len() < before
    }

    /// Ends those that have nothing left to write.
    pub(super) fn end_those_that_are_done(&mut self) {
        let (waiting, done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.successors)
            .into_iter()
            .partition(Successor::is_waiting);
        self.done.extend(done.into_iter().map(Successor::end));
        self.successors = waiting;
    }

    /// Whether each of those that are left still waits for something.
    pub(super) fn is_waiting(&self) -> bool {
        self.successors.iter().all(Successor::is_waiting)
    }

    pub(super) fn wait_until_tried(&mut self, stops: &dyn Fn() -> bool) {
        for successor in &self.successors {
            while !stops() && !successor.buffer.is_all_tried() {
                std::thread::sleep(LOOK);
            }
        }
    }

    /// Waits for what is parked, and ends.
    pub(super) fn end(self, stops: &dyn Fn() -> bool) -> Vec<Recovered> {
        while !stops() && self.successors.iter().any(Successor::is_waiting) {
            std::thread::sleep(LOOK);
        }
        let mut done = self.done;
        done.extend(self.left);
        done.extend(self.successors.into_iter().map(Successor::end));
        done
    }
}

impl Successor {
    fn is_waiting(&self) -> bool {
        self.buffer.pending().rows > 0
    }

    /// Has the buffer write what is not settled. If `stops` says so, some of it is left.
    pub(super) fn feed(&mut self, groups: Scan<Disk>, fates: &[(u64, Fate)], stops: &dyn Fn() -> bool) -> Result<()> {
        let mut fates = fates.iter().peekable();
        for stored in groups {
            let Stored::Group(stored) = stored else { continue };
            while fates.next_if(|(number, _)| *number < stored.number).is_some() {}
            let Some((_, fate)) = fates.next_if(|(number, _)| *number == stored.number) else {
                continue;
            };
            let taken = self.take(&stored, *fate, stops);
            if stops() {
                return Ok(());
            }
            taken?;
        }
        self.is_fed = true;
        Ok(())
    }

    fn take(&mut self, stored: &StoredGroup, fate: Fate, stops: &dyn Fn() -> bool) -> Result<()> {
        let Self { buffer, decoder, .. } = self;
        let give_up = |group: &Group, status, error: &Error| buffer.give_up_again(stored.number, group, status, error);
        let decoded = decoder.decode(&stored.payload, &mut buffer.catalog());
        match (decoded, fate) {
            (Ok(group), Fate::Uncertain) => give_up(group, Status::Uncertain, &no_row()),
            (Ok(group), _) => match buffer.take_again(stored.number, group, stops) {
                Err(error) if !stops() => give_up(group, Status::Refused, &error),
                taken => taken,
            },
            (Err(error), _) => {
                let mut without_rules = Decoder::default();
                let group = without_rules.decode(&stored.payload, &mut Catalog::default())?;
                give_up(group, Status::Refused, &error)
            }
        }
    }

    pub(super) fn end(mut self) -> Recovered {
        let snapshot = self.buffer.snapshot();
        self.recovered.rows_committed += snapshot.metrics.rows_committed;
        self.recovered.rows_refused += snapshot.metrics.rows_refused;
        self.recovered.rows_parked = snapshot.parked_rows as u64;
        let left = snapshot.pending.rows;
        if left > 0 || !self.is_fed {
            let what = if self.is_fed {
                format!("{left} rows are not written yet")
            } else {
                "not all of its groups were read yet".to_owned()
            };
            let why = snapshot
                .metrics
                .last_error
                .map_or_else(String::new, |why| format!(": {why}"));
            self.recovered
                .error
                .get_or_insert_with(|| Error::timeout(format!("{what}{why}")));
            self.buffer.leave_to_successor();
        } else if let Err(error) = self.buffer.end_succession() {
            self.recovered.error = Some(error);
        }
        self.recovered
    }
}

fn no_row() -> Error {
    Error::row(
        "the row of its writer in the ledger is gone, so nobody can say whether these rows were committed: look, and retry() what \
         is missing",
    )
}
