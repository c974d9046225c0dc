//! Reads a lane's groups back, in their order, from whatever a process or a machine left behind.
//!
//! Each record is found by its ordinal, in whichever segment it is whole: a copy stands for an
//! original that is lost, and an original for a copy that was never finished. The log ends before
//! the first ordinal that no segment has. What that end means is [`Ending`]'s to say:
//!
//! - Nothing whole comes later: it was the last record, or one that was being written.
//! - Something whole comes later, and the machine has lived on since: a damage. A process that ends
//!   leaves no holes.
//! - Something whole comes later, and the machine went down: its disk had written later pages and
//!   not earlier ones, which it may as long as nobody had waited for a sync. Each record says what
//!   was synced when it was written. So it is known for a damage if the missing one was among that.
//!
//! What was settled is not missed: its segments are used again, and their old records may be half
//! there. The log begins with the last segment whose groups come after a number that is settled; it
//! goes on behind a gap if a settled group is there, since numbers grow; and a segment's header
//! says which records had been given up when it was begun.
//!
//! Invariant: a record is returned only if both checksums are right, once, and in order. No length,
//! name or number of a file is believed otherwise, and no bytes make it panic.
//!
//! Bounds: a window of 64 KiB for each segment that it has begun, and one payload each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::files::{BootId, File, Files, read_full};
use crate::folder;
use crate::header::{HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::segment::{Fault, FaultKind, Found, Segment, Walk};

/// A group as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its number.
    pub number: u64,
    /// Its [portable form](crate::group).
    pub payload: Vec<u8>,
    /// The segment's file.
    pub segment: PathBuf,
    /// Where its record begins, in bytes.
    pub offset: u64,
}

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
    /// after them are there and uncertain: [`Scan::pass_gap`] goes on with them.
    PowerCut(Damage),
    /// The folder is to be set aside. What can be read follows by [`Scan::pass_gap`], and is
    /// uncertain.
    Damaged(Vec<Damage>),
}

/// Reads the groups of a lane. It iterates over them until the first that is missing.
#[derive(Debug)]
pub struct Scan<F: Files> {
    walks: Vec<Peeked<F::File>>,
    damages: Vec<Damage>,
    /// Files whose header is no header.
    headless: Vec<PathBuf>,
    boot_id: Option<BootId>,
    is_same_boot: bool,
    after: u64,
    next: u64,
    current: usize,
    /// Where the last record ended.
    place: (PathBuf, u64),
    synced: u64,
}

#[derive(Debug)]
struct Peeked<F> {
    walk: Walk<F>,
    found: Option<Found>,
    is_at_end: bool,
}

impl<F: File> Peeked<F> {
    /// The first record that is not before an ordinal.
    fn peek(&mut self, ordinal: u64, synced: &mut u64) -> Option<&Found> {
        while !self.is_at_end && self.found.as_ref().is_none_or(|found| found.head.ordinal < ordinal) {
            self.found = self.walk.next_found();
            self.is_at_end = self.found.is_none();
            if let Some(found) = &self.found {
                *synced = (*synced).max(found.head.synced);
            }
        }
        self.found.as_ref()
    }
}

impl<F: Files> Scan<F> {
    /// Reads what comes after a number, which is the ledger's position, 0 before the first commit.
    /// `None` for all that is there, if nobody knows the position: settled groups are among them.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed. What is wrong with a single file comes with the [`Ending`].
    pub fn new(files: &F, folder: &Path, after: Option<u64>) -> Result<Self> {
        let mut scan = Self {
            walks: Vec::new(),
            damages: Vec::new(),
            headless: Vec::new(),
            boot_id: None,
            is_same_boot: false,
            after: after.unwrap_or(0),
            next: 1,
            current: 0,
            place: (folder.to_owned(), 0),
            synced: 0,
        };
        for path in folder::segments(files, folder).map_err(Error::io("list", folder))? {
            scan.open(files, path);
        }
        scan.walks.sort_by_key(|peeked| peeked.walk.segment().header.sequence);
        let headers = || scan.walks.iter().map(|peeked| peeked.walk.segment().header);
        let settled = headers().filter(|header| header.base_number <= scan.after);
        let base = settled.map(|header| header.base_ordinal).max();
        let first = headers().map(|header| header.base_ordinal).min().unwrap_or(0);
        scan.next = match (base, after) {
            (Some(base), Some(_)) => base.saturating_add(1),
            // Groups after the position are missing: what comes before any that is there.
            (None, Some(_)) => first.max(1),
            (_, None) => first.saturating_add(1),
        };
        scan.boot_id = headers().map(|header| header.boot_id).next_back();
        scan.is_same_boot = match (scan.boot_id, files.boot_id()) {
            (Some(then), Ok(now)) => then == now,
            // Nothing is left in memory then, or nobody knows: the stricter reading.
            (None, _) => false,
            (Some(_), Err(_)) => true,
        };
        Ok(scan)
    }

    fn open(&mut self, files: &F, path: PathBuf) {
        let mut header = vec![0; SEGMENT_HEADER_BYTES];
        let read = files.open(&path).and_then(|file| {
            let bytes = file.bytes()?;
            let read = read_full(&file, 0, &mut header)?;
            header.truncate(read);
            Ok((file, bytes))
        });
        let damage = match read {
            // It was removed meanwhile, by its owner.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => DamageKind::Unreadable(error.to_string()),
            Ok((file, bytes)) => match SegmentHeader::decode(&header) {
                Ok(header) => {
                    let segment = Arc::new(Segment::new(file, path, header, bytes));
                    self.walks.push(Peeked {
                        walk: Walk::new(segment),
                        found: None,
                        is_at_end: false,
                    });
                    return;
                }
                Err(HeaderError::Version(version)) => DamageKind::Version(version),
                Err(HeaderError::Unwritten) if is_empty(&file, bytes) => return,
                Err(HeaderError::Unwritten | HeaderError::Damaged) => {
                    self.headless.push(path);
                    return;
                }
            },
        };
        let offset = 0;
        self.damages.push(Damage {
            path,
            offset,
            kind: damage,
        });
    }

    /// Whether the machine has not been off since the groups were written.
    pub fn is_same_boot(&self) -> bool {
        self.is_same_boot
    }

    /// When the oldest segment was begun, in milliseconds since 1970.
    pub fn oldest_unix_ms(&self) -> Option<u64> {
        let headers = self.walks.iter().map(|peeked| peeked.walk.segment().header);
        headers.map(|header| header.begun_unix_ms).min()
    }

    /// The segment that has the next record.
    fn find(&mut self) -> Option<usize> {
        let count = self.walks.len();
        // The one that had the last, then the one that begins nearest before it.
        let mut order: Vec<usize> = (0..count).collect();
        let key = |at: &usize| {
            let base = self
                .walks
                .get(*at)
                .map_or(0, |peeked| peeked.walk.segment().header.base_ordinal);
            (*at != self.current, std::cmp::Reverse(base))
        };
        order.sort_by_key(key);
        let (next, synced) = (self.next, &mut self.synced);
        let has_next = |peeked: &mut Peeked<F::File>| {
            peeked.walk.segment().header.base_ordinal < next
                && peeked
                    .peek(next, synced)
                    .is_some_and(|found| found.head.ordinal == next)
        };
        let mut has_next = has_next;
        order
            .into_iter()
            .find(|at| self.walks.get_mut(*at).is_some_and(&mut has_next))
    }

    /// A segment that has a record behind a gap before which all is settled, since numbers grow.
    fn find_settled(&mut self) -> Option<usize> {
        let (next, after, synced) = (self.next, self.after, &mut self.synced);
        let settled = self.walks.iter_mut().enumerate().filter_map(|(at, peeked)| {
            let head = peeked.peek(next, synced)?.head;
            (head.number <= after.saturating_add(1)).then_some((head.ordinal, at))
        });
        let (ordinal, at) = settled.min()?;
        self.next = ordinal;
        Some(at)
    }

    fn take(&mut self) -> Option<StoredGroup> {
        let is_next = |peeked: &Peeked<F::File>| {
            peeked
                .found
                .as_ref()
                .is_some_and(|found| found.head.ordinal == self.next)
        };
        if !self.walks.get(self.current).is_some_and(is_next) {
            let peeked = self.walks.get_mut(self.current)?;
            let found = peeked.peek(self.next, &mut self.synced);
            if found.is_none_or(|found| found.head.ordinal != self.next) {
                self.current = match self.find() {
                    Some(at) => at,
                    None => self.find_settled()?,
                };
            }
        }
        let peeked = self.walks.get_mut(self.current)?;
        let found = peeked.found.take()?;
        let path = peeked.walk.segment().path.clone();
        self.next = found.head.ordinal + 1;
        self.place = (path.clone(), found.end());
        Some(StoredGroup {
            number: found.head.number,
            offset: found.offset,
            payload: found.payload,
            segment: path,
        })
    }

    /// Why there are no more groups. Reads on, to see what comes later.
    pub fn ending(&mut self) -> Ending {
        let mut later = u64::MAX;
        for peeked in &mut self.walks {
            while let Some(found) = peeked.peek(self.next, &mut self.synced) {
                later = later.min(found.head.ordinal);
                peeked.found = None;
            }
        }
        let has_later = later != u64::MAX;
        let mut damages = self.damages.clone();
        let (next, is_same_boot) = (self.next, self.is_same_boot);
        for peeked in &self.walks {
            let path = &peeked.walk.segment().path;
            let faults = peeked.walk.faults().iter().filter(|fault| is_relevant(fault, next));
            damages.extend(faults.filter_map(|fault| damage(path, fault, is_same_boot)));
        }
        let headless = self.headless.iter().map(|path| Damage {
            path: path.clone(),
            offset: 0,
            kind: DamageKind::Header,
        });
        let missing = Damage {
            path: self.place.0.clone(),
            offset: self.place.1,
            kind: DamageKind::Missing,
        };
        let given_up = self
            .walks
            .iter()
            .map(|peeked| peeked.walk.segment().header.given_up)
            .max();
        let first_missing = self.next.max(given_up.unwrap_or(0).saturating_add(1));
        let was_synced = first_missing <= self.synced.min(later.saturating_sub(1));
        if is_same_boot || was_synced {
            damages.extend(headless);
            damages.extend(has_later.then(|| missing.clone()));
        }
        // What follows is read anew.
        for peeked in &mut self.walks {
            *peeked = Peeked {
                walk: peeked.walk.again(),
                found: None,
                is_at_end: false,
            };
        }
        if !damages.is_empty() {
            Ending::Damaged(damages)
        } else if has_later || !self.headless.is_empty() {
            Ending::PowerCut(missing)
        } else {
            Ending::Whole
        }
    }

    /// Goes on behind the gap, with the next group that can be read. It and all that follow are
    /// uncertain: they may rest on groups that are lost. Returns whether there is any.
    pub fn pass_gap(&mut self) -> bool {
        let (next, synced) = (self.next, &mut self.synced);
        let ordinals = self
            .walks
            .iter_mut()
            .filter_map(|peeked| Some(peeked.peek(next, synced)?.head.ordinal));
        match ordinals.min() {
            Some(ordinal) => {
                self.next = ordinal;
                true
            }
            None => false,
        }
    }
}

impl<F: Files> Iterator for Scan<F> {
    type Item = StoredGroup;

    fn next(&mut self) -> Option<StoredGroup> {
        loop {
            let group = self.take()?;
            if group.number > self.after {
                return Some(group);
            }
        }
    }
}

/// Whether what is missing from `next` on may be what the fault hides.
fn is_relevant(fault: &Fault, next: u64) -> bool {
    match fault.before {
        Some(before) => before > next,
        None => fault.after.saturating_add(1) >= next,
    }
}

fn damage(path: &Path, fault: &Fault, is_same_boot: bool) -> Option<Damage> {
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

/// Whether a file has no byte but zeros: it was made, and not begun.
fn is_empty(file: &impl File, bytes: u64) -> bool {
    let mut window = vec![0; SEGMENT_HEADER_BYTES * 16];
    let mut at = 0;
    while at < bytes {
        match read_full(file, at, &mut window) {
            Ok(0) => return true,
            Ok(read) if window.iter().take(read).all(|byte| *byte == 0) => at += read as u64,
            _ => return false,
        }
    }
    true
}
