//! Owns what the end of a log means.
//!
//! - Nothing whole comes later: it was the last record, or one that was being written.
//! - Something whole comes later, and it was written in this life of the machine: a damage. A
//!   process that ends leaves no holes, and who goes on in a folder has found it whole.
//! - Something whole comes later, and the machine went down since: its disk had written later pages
//!   and not earlier ones, which it may as long as nobody had waited for a sync. Each record says
//!   what was synced when it was written. So it is known for a damage if the missing one was among
//!   that.
//!
//! What was given up is not missed: see [`GivenUp`](super::GivenUp).

use std::path::{Path, PathBuf};

use crate::header::SegmentHeader;
use crate::segment::{Contents, Fault, FaultKind};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What.
    pub kind: DamageKind,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// The bytes are no header.
    Header,
    /// A later version wrote it: of the format, or a kind of record.
    Version(u32),
    /// A record's checksum is wrong.
    Checksum,
    /// A record should begin here, since later ones are there.
    Missing,
    /// The disk cannot read.
    Unreadable(String),
}

/// Why the groups end where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// There are no more. A record that was being written does not count.
    Whole,
    /// The machine went down, and groups for which nobody had waited are lost in the middle. Those
    /// after them are there and uncertain: [`pass_gap`](super::Scan::pass_gap) goes on with them.
    PowerCut(Damage),
    /// The folder is to be set aside. What can be read follows by
    /// [`pass_gap`](super::Scan::pass_gap), and is uncertain.
    Damaged(Vec<Damage>),
}

/// What a successor has to know of a log that is whole.
#[derive(Debug)]
pub(crate) struct WholeLog {
    /// The segments, in their order.
    pub segments: Vec<WholeSegment>,
    /// The last record.
    pub last_ordinal: u64,
    /// The last group's number.
    pub last_number: u64,
    /// The last record that is on the disk for certain, with all before it.
    pub synced: u64,
    /// Records up to this one were given up.
    pub given_up: u64,
}

/// A segment of a log that is whole.
#[derive(Debug)]
pub(crate) struct WholeSegment {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub bytes: u64,
    pub contents: Contents,
    pub is_same_boot: bool,
}

/// Whether what is missing from `next` on may be what the fault hides.
pub(super) fn is_relevant(fault: &Fault, next: u64) -> bool {
    match fault.before {
        Some(before) => before > next,
        None => fault.after.saturating_add(1) >= next,
    }
}

/// What a fault is, if it is none that a machine which went down leaves.
pub(super) fn damage(path: &Path, fault: &Fault, is_same_boot: bool) -> Option<Damage> {
    let kind = match &fault.kind {
        // A head is written after its payload. Only a machine that went down leaves it without.
        FaultKind::Payload if !is_same_boot => return None,
        FaultKind::Payload => DamageKind::Checksum,
        FaultKind::Unknown(kind) => DamageKind::Version(u32::from(*kind)),
        FaultKind::Unreadable(error) => DamageKind::Unreadable(error.clone()),
    };
    Some(Damage {
        path: path.to_owned(),
        offset: fault.offset,
        kind,
    })
}
