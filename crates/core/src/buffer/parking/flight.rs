//! Parked groups that one lane has taken.

use std::sync::Arc;
use std::time::Instant;

use crate::buffer::queue::LaneId;
use crate::error::Error;
use crate::rows::batch::Batch;
use crate::table::entry::TableEntry;
use crate::writer::Writer;
use crate::writer::observer::Observer;

/// What a lane has to do with what it took.
#[derive(Debug, Clone)]
pub struct Work {
    /// The batches.
    pub batches: Vec<Arc<Batch>>,
    /// How many of their groups are settled already.
    pub done: usize,
    /// Give them up for this reason, instead of writing them.
    pub gives_up: Option<Error>,
    /// Tables to read first, if they are there: what they are is not known, so groups may wait for
    /// others that they could not meet.
    pub reads: Vec<Arc<TableEntry>>,
    /// They waited for a lock, in vain, and are tried once more.
    pub repeats: Option<Error>,
}

impl Work {
    /// Has the writer do what comes before the groups are written.
    pub fn prepare(&self, writer: &mut Writer, deadline: Option<Instant>, observer: &mut dyn Observer) {
        writer.read_tables(&self.reads, deadline);
        if let Some(failed) = &self.repeats {
            writer.probe_lock(failed, observer);
        }
    }
}

/// The groups that one lane took.
#[derive(Debug)]
pub(super) struct Flight {
    pub lane: LaneId,
    /// Each alone in its batch, with its number.
    pub groups: Vec<(u64, Arc<Batch>)>,
    pub done: usize,
    gives_up: Option<Error>,
    pub reads: Vec<Arc<TableEntry>>,
    pub repeats: Option<Error>,
    /// The groups of the COMMIT that was begun last, unless it was answered.
    pub committing: Vec<u64>,
    /// Its answer is awaited.
    pub awaits_commit: bool,
}

impl Flight {
    pub fn writing(lane: LaneId) -> Self {
        Self {
            lane,
            groups: Vec::new(),
            done: 0,
            gives_up: None,
            reads: Vec::new(),
            repeats: None,
            committing: Vec::new(),
            awaits_commit: false,
        }
    }

    pub fn giving_up(lane: LaneId, error: Error) -> Self {
        Self {
            gives_up: Some(error),
            ..Self::writing(lane)
        }
    }

    pub fn add(&mut self, number: u64, batch: Arc<Batch>) {
        self.groups.push((number, batch));
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups that are not settled.
    pub fn left(&self) -> &[(u64, Arc<Batch>)] {
        self.groups.get(self.done..).unwrap_or_default()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.left().iter().map(|(number, _)| *number)
    }

    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.left().iter().map(|(_, batch)| &**batch)
    }

    pub fn has_group_up_to(&self, number: u64) -> bool {
        self.left().iter().any(|(group, _)| *group <= number)
    }

    pub fn work(&self) -> Work {
        Work {
            batches: self.groups.iter().map(|(_, batch)| Arc::clone(batch)).collect(),
            done: self.done,
            gives_up: self.gives_up.clone(),
            reads: self.reads.clone(),
            repeats: self.repeats.clone(),
        }
    }
}
