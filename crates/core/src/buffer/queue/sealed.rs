//! A sealed batch of a queue, in memory or in the journal alone, and how much stays in memory.
//!
//! Bounds: [`Storing`].

use std::sync::Arc;
use std::time::Instant;

use write_buffer_journal::segment::Spot;

use crate::buffer::queue::position::GroupPosition;
use crate::buffer::queue::stored::{Span, StoredBatch};
use crate::rows::batch::Batch;
use crate::settings::Settings;

/// The largest stored batch, but for one batch alone that is larger.
const MAX_STORED_BYTES: usize = 4 << 20;
/// A queue keeps such a part of its lane's memory for what is taken up next,
const HEAD_PART: usize = 4;
/// and such a part for batches that are to be stored.
const TAIL_PART: usize = 16;

/// How much of a queue stays in memory.
#[derive(Debug, Clone, Copy)]
pub struct Storing {
    /// For what is taken up next,
    pub(super) head_bytes: usize,
    /// and for batches that are to be stored.
    pub(super) tail_bytes: usize,
}

impl Storing {
    /// What the settings leave for each lane.
    pub fn new(settings: &Settings) -> Self {
        let of_lane = settings.max_pending_bytes / settings.lanes.max(1);
        Self {
            head_bytes: of_lane / HEAD_PART,
            tail_bytes: (of_lane / TAIL_PART).clamp(1, MAX_STORED_BYTES),
        }
    }
}

/// The rows of a sealed batch.
#[derive(Debug)]
pub(super) enum Kept {
    /// In memory.
    Memory(Arc<Batch>),
    /// In the journal alone.
    Journal(Arc<StoredBatch>),
}

impl Kept {
    pub fn memory(&self) -> Option<&Arc<Batch>> {
        match self {
            Self::Memory(batch) => Some(batch),
            Self::Journal(_) => None,
        }
    }

    pub fn first_group(&self) -> u64 {
        match self {
            Self::Memory(batch) => batch.first_group,
            Self::Journal(stored) => stored.numbers().first(),
        }
    }

    pub fn oldest(&self) -> Instant {
        match self {
            Self::Memory(batch) => batch.oldest,
            Self::Journal(stored) => stored.oldest(),
        }
    }
}

/// The last batches that are in memory: those behind the last stored one, or all.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub batches: usize,
    pub rows: usize,
    pub bytes: usize,
}

impl Tail {
    pub fn add(&mut self, batch: &Batch) {
        self.batches += 1;
        self.rows += batch.rows();
        self.bytes += batch.size_bytes();
    }

    fn remove(&mut self, batch: &Batch) {
        self.batches -= 1;
        self.rows -= batch.rows();
        self.bytes -= batch.size_bytes();
    }
}

/// What a queue has in the journal alone.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub storing: Option<Storing>,
    /// Where the group is that comes next.
    pub next: Option<Spot>,
    /// How many of the sealed batches are stored.
    pub batches: usize,
    pub tail: Tail,
    /// How often batches were stored.
    pub times: u64,
}

impl Stored {
    /// Where a batch is in the journal that was at `span` before its last group came.
    pub fn next_span(&mut self, span: Option<Span>, is_first: bool) -> Option<Span> {
        let next = self.next.take()?;
        let from = if is_first { next } else { span?.from };
        Some(Span {
            from,
            through: next.ordinal,
        })
    }

    /// A batch goes into flight.
    pub fn has_taken(&mut self, batch: &Batch) {
        if self.storing.is_some() && self.batches == 0 {
            self.tail.remove(batch);
        }
    }

    /// Nothing is sealed any more.
    pub fn forget(&mut self) {
        self.batches = 0;
        self.tail = Tail::default();
    }
}

/// A batch that takes no more groups, and waits.
#[derive(Debug)]
pub(super) struct SealedBatch {
    pub rows: Kept,
    /// The groups that its first group waits for.
    pub after: Vec<GroupPosition>,
    pub is_full: bool,
    /// Where it is in the journal, if it may be stored there.
    pub span: Option<Span>,
}

/// Where groups are that were stored.
#[derive(Debug)]
pub enum Location<'q> {
    /// In the journal alone.
    Journal(&'q Arc<StoredBatch>),
    /// In memory again.
    Memory {
        /// Their batch.
        batch: &'q Arc<Batch>,
        /// Those that are not settled, by number and position in the batch.
        groups: Vec<(u64, usize)>,
        /// It is being written.
        is_in_flight: bool,
    },
}
