//! What a writer tells the buffer that it writes for.

use std::ops::Range;
use std::time::Duration;

use crate::dead_letter::DeadLetter;
use crate::error::Error;

/// What may happen on the way to a committed transaction.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The transaction lost a race, and is repeated.
    Retried(&'a Error),
    /// The connection was lost before anything could be committed, and the transaction is repeated over a new one.
    Reconnected,
    /// A COMMIT was not answered.
    CommitUnknown,
    /// The ledger said whether such a COMMIT was carried out.
    LedgerAnswered {
        /// It was.
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
    /// How many of them went into others.
    pub coalesced_rows: usize,
    /// How long it took, with all repetitions.
    pub took: Duration,
}

/// The buffer that a writer writes for.
pub trait Observer {
    /// The next groups are committed.
    fn committed(&mut self, written: &Commit);
    /// The next group is given up, and kept nowhere but here, unless there is a dead-letter file.
    fn given_up(&mut self, letter: DeadLetter);
    /// Waits until all groups that were added before the next one are settled, in other lanes too. Gives whether that took a
    /// wait: then the next group, which the server has refused, may be taken now.
    fn waited_for_earlier_groups(&mut self) -> bool {
        false
    }
    /// Whether one more group that is given up can be kept in memory.
    fn has_room_for_failure(&self) -> bool;
    /// Something happened on the way.
    fn happened(&mut self, event: &Event<'_>);
}
