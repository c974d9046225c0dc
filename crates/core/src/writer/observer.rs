//! What a writer tells the buffer that it writes for.

use std::ops::Range;
use std::time::Duration;

use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::ledger::Position;
use crate::rows::batch::Batch;

/// What may happen on the way to a committed transaction.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The transaction lost a race, and is repeated.
    Retried(&'a Error),
    /// The connection was lost before anything could be committed. The transaction is repeated over
    /// a new one.
    Reconnected,
    /// A connection is about to be opened.
    Connecting,
    /// The connection is open.
    Connected,
    /// A COMMIT had no clear answer.
    CommitUnknown,
    /// The ledger said whether such a COMMIT was carried out.
    LedgerAnswered {
        /// Whether it was.
        committed: bool,
    },
}

/// A transaction that was committed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its groups, counted over all batches.
    pub groups: Range<usize>,
    /// Rows committed, coalesced ones counted.
    pub rows: usize,
    /// How many of them were merged into others.
    pub coalesced_rows: usize,
    /// How many have a guard and changed nothing: see [`crate::buffer::metrics`].
    pub stale_rows: usize,
    /// The time that it took, with all repetitions.
    pub took: Duration,
}

impl Commit {
    /// The same, as far as it is about this group and those after it.
    #[must_use]
    pub fn from_group(self, start: usize, batches: &[&Batch]) -> Self {
        if self.groups.start >= start {
            return self;
        }
        let groups = start..self.groups.end.max(start);
        let all = batches.iter().flat_map(|batch| batch.groups());
        let rows = all.skip(groups.start).take(groups.len()).map(Iterator::count).sum();
        Self {
            groups,
            rows,
            coalesced_rows: 0,
            stale_rows: 0,
            took: self.took,
        }
    }
}

/// The buffer that a writer writes for.
pub trait Observer {
    /// Which groups are settled once these are committed, counted over all batches: asked right
    /// before their transaction is entered in the ledger, under this number. `None`: the ledger
    /// keeps the position that it has.
    ///
    /// # Errors
    ///
    /// Nothing is sent, and the attempt ends as if the server had answered by this.
    fn position(&mut self, _groups: &Range<usize>, _transaction: u64) -> Result<Option<Position>> {
        Ok(None)
    }
    /// Asked right before COMMIT is sent for these groups, counted over all batches. `false`:
    /// somebody has taken them away, and nothing may be committed.
    fn may_commit(&mut self, groups: &Range<usize>) -> bool;
    /// The COMMIT that was allowed last is answered, or was never sent: nothing was committed.
    fn not_committed(&mut self);
    /// Asked right before the next group is kept as a failure. `false`: somebody has taken it away.
    fn may_give_up(&mut self) -> bool {
        true
    }
    /// The name of the next group as a failure. `None`: a new one. A group that a successor may
    /// find once more has one name for all, so that it is kept once.
    fn letter_id(&self) -> Option<Box<str>> {
        None
    }
    /// The next groups are committed.
    fn committed(&mut self, written: &Commit);
    /// The next group is given up. The buffer keeps it; beside that it is only in the dead-letter
    /// file, if there is one.
    fn given_up(&mut self, letter: DeadLetter);
    /// Whether groups that were added before the next one are not settled, and may hold what it
    /// lacks: the server refused it with this error, and may take it after them.
    fn may_lack_earlier_groups(&mut self, error: &Error) -> bool;
    /// Whether one more group can be given up.
    fn has_room_for_failure(&self) -> bool;
    /// Something happened on the way.
    fn happened(&mut self, event: &Event<'_>);
}
