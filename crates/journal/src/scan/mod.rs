//! Reads a lane's groups and notes back, in their order, from whatever processes and machines left
//! behind.
//!
//! Each record is found by its ordinal, in whichever segment it is whole: a copy stands for an
//! original that is lost, and an original for a copy that was never finished. The log ends before
//! the first ordinal that no segment has. What that end means is for [`ending`] to say.
//!
//! What was [given up](GivenUp) is not missed: its segments are used again, and their old records
//! may be half there. Whoever gave it up has noted that before. So at a gap the notes behind it are
//! asked, and if one says so the log goes on behind what was given up.
//!
//! A lane may have had several lives, one after the other, each of which [went
//! on](crate::journal::Adopted::resume) where the one before had ended whole. So each segment has
//! its own machine's life, and no ordinal has two records that are whole.
//!
//! Invariant: a record is returned only if both checksums are right, once, and in order. No length,
//! name or number of a file is believed otherwise, and no bytes make it panic.
//!
//! Bounds: a window of 64 KiB for each segment that it has begun, and one payload each.

pub mod ending;
mod judge;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::files::{BootId, File, Files, read_full};
use crate::folder;
use crate::header::{HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::Kind;
use crate::segment::{Contents, Found, Segment, Walk};
pub(crate) use ending::WholeLog;
pub use ending::{Damage, DamageKind, Ending};

/// A group as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its number.
    pub number: u64,
    /// The engine's lane, as it was [appended](crate::lane::Lane::append) with.
    pub lane: u8,
    /// Its [portable form](crate::group). Empty, if the scan is
    /// [without payloads](Scan::without_payloads).
    pub payload: Vec<u8>,
    /// The segment's file.
    pub segment: Arc<Path>,
    /// Where its record begins, in bytes.
    pub offset: u64,
}

/// A note as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNote {
    /// The number of the last group before it.
    pub after_number: u64,
    /// Its ordinal, as [`Lane::note`](crate::lane::Lane::note) returned it.
    pub ordinal: u64,
    /// What the engine wrote.
    pub bytes: Vec<u8>,
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A group.
    Group(StoredGroup),
    /// A note.
    Note(StoredNote),
}

impl Stored {
    /// The group, if it is one.
    pub fn into_group(self) -> Option<StoredGroup> {
        match self {
            Self::Group(group) => Some(group),
            Self::Note(_) => None,
        }
    }

    /// The note, if it is one.
    pub fn into_note(self) -> Option<StoredNote> {
        match self {
            Self::Note(note) => Some(note),
            Self::Group(_) => None,
        }
    }
}

/// Reads a note: records up to this ordinal may be gone, since what of them is groups is settled.
/// `None`: the note says nothing of that.
pub type GivenUp = fn(&[u8]) -> Option<u64>;

/// Reads the groups and notes of a lane. It iterates over them until the first that is missing.
#[derive(Debug)]
pub struct Scan<F: Files> {
    walks: Vec<Peeked<F::File>>,
    damages: Vec<Damage>,
    /// Files whose header is no header.
    headless: Vec<PathBuf>,
    /// The machine's life now.
    boot_id: Option<BootId>,
    says: GivenUp,
    /// Records up to this one were given up, as headers say, and notes once they were
    given_up: u64,
    /// asked.
    has_asked: bool,
    next: u64,
    last_number: u64,
    current: usize,
    /// Where the last record ended.
    place: (Arc<Path>, u64),
    synced: u64,
    whole: Option<WholeLog>,
}

#[derive(Debug)]
struct Peeked<F> {
    walk: Walk<F>,
    path: Arc<Path>,
    is_same_boot: bool,
    found: Option<Found>,
    is_at_end: bool,
    /// What was found so far,
    contents: Contents,
    /// and where the last of it ended, and the one before.
    ends: (u64, u64),
}

impl<F: File> Peeked<F> {
    fn new(walk: Walk<F>, is_same_boot: bool) -> Self {
        let header = walk.segment().header;
        Self {
            path: Arc::from(walk.segment().path.as_path()),
            walk,
            is_same_boot,
            found: None,
            is_at_end: false,
            contents: Contents::after(header.base_ordinal, header.base_number),
            ends: (SEGMENT_HEADER_BYTES as u64, SEGMENT_HEADER_BYTES as u64),
        }
    }

    fn header(&self) -> SegmentHeader {
        self.walk.segment().header
    }

    /// The first record that is not before an ordinal.
    fn peek(&mut self, ordinal: u64, synced: &mut u64) -> Option<&Found> {
        while !self.is_at_end && self.found.as_ref().is_none_or(|found| found.head.ordinal < ordinal) {
            self.found = self.walk.next_found();
            self.is_at_end = self.found.is_none();
            if let Some(found) = &self.found {
                *synced = (*synced).max(found.head.synced);
                self.contents.push(&found.head);
                self.ends = (found.end(), self.ends.0);
            }
        }
        self.found.as_ref()
    }
}

impl<F: Files> Scan<F> {
    /// Reads all that is there and was not given up. Settled groups may be among it: the ledger
    /// says which ones are.
    ///
    /// # Errors
    ///
    /// The folder cannot be listed. What is wrong with a single file comes with the [`Ending`].
    pub fn new(files: &F, folder: &Path, says: GivenUp) -> Result<Self> {
        let mut scan = Self {
            walks: Vec::new(),
            damages: Vec::new(),
            headless: Vec::new(),
            boot_id: files.boot_id().ok(),
            says,
            given_up: 0,
            has_asked: false,
            next: 1,
            last_number: 0,
            current: 0,
            place: (Arc::from(folder), 0),
            synced: 0,
            whole: None,
        };
        for path in folder::segments(files, folder).map_err(Error::io("list", folder))? {
            scan.open(files, path);
        }
        scan.walks.sort_by_key(|peeked| peeked.header().sequence);
        let given_up = scan.walks.iter().map(|peeked| peeked.header().given_up);
        scan.given_up = given_up.max().unwrap_or(0);
        scan.next = scan.given_up.saturating_add(1);
        Ok(scan)
    }

    /// The same without the groups' payloads, for whoever wants to know which ones there are. They
    /// are checked all the same. What is read after the [ending](Self::ending) has payloads.
    #[must_use]
    pub fn without_payloads(mut self) -> Self {
        for peeked in &mut self.walks {
            peeked.walk.without_payloads();
        }
        self
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
                    // Where nobody knows, the stricter reading.
                    let is_same_boot = self.boot_id.is_none_or(|now| now == header.boot_id);
                    self.walks.push(Peeked::new(Walk::new(segment), is_same_boot));
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

    /// Whether the machine has not been off since the last segment was begun. It may have been off
    /// since an older one.
    pub fn is_same_boot(&self) -> bool {
        self.walks.last().is_some_and(|peeked| peeked.is_same_boot)
    }

    /// Whether the machine was off since any of the segments was begun that are there.
    pub fn has_earlier_boot(&self) -> bool {
        self.walks.iter().any(|peeked| !peeked.is_same_boot)
    }

    /// When the oldest segment was begun, in milliseconds since 1970.
    pub fn oldest_unix_ms(&self) -> Option<u64> {
        self.walks.iter().map(|peeked| peeked.header().begun_unix_ms).min()
    }

    /// The ordinal of the last record so far; 0 if there is none.
    pub fn last_ordinal(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The number of the last group so far, settled ones and those that only a header tells of
    /// among them; 0 if there is none.
    pub fn last_number(&self) -> u64 {
        let headers = self.walks.iter().map(Peeked::header);
        let before = headers.filter(|header| header.base_ordinal < self.next);
        before.map(|header| header.base_number).fold(self.last_number, u64::max)
    }

    /// The segment that has the next record.
    fn find(&mut self) -> Option<usize> {
        let count = self.walks.len();
        // The one that had the last, then the one that begins nearest before it.
        let mut order: Vec<usize> = (0..count).collect();
        let key = |at: &usize| {
            let base = self.walks.get(*at).map_or(0, |peeked| peeked.header().base_ordinal);
            (*at != self.current, std::cmp::Reverse(base))
        };
        order.sort_by_key(key);
        let (next, synced) = (self.next, &mut self.synced);
        let has_next = |peeked: &mut Peeked<F::File>| {
            peeked.header().base_ordinal < next
                && peeked
                    .peek(next, synced)
                    .is_some_and(|found| found.head.ordinal == next)
        };
        let mut has_next = has_next;
        order
            .into_iter()
            .find(|at| self.walks.get_mut(*at).is_some_and(&mut has_next))
    }

    /// Goes on behind a gap, if a note says that what is missing was given up.
    fn skip_given_up(&mut self) -> bool {
        let (next, synced) = (self.next, &mut self.synced);
        let has_later = self.walks.iter_mut().any(|peeked| peeked.peek(next, synced).is_some());
        if !has_later || std::mem::replace(&mut self.has_asked, true) {
            return false;
        }
        let said = self.walks.iter().filter_map(|peeked| {
            let mut walk = peeked.walk.again();
            walk.without_payloads();
            let notes = std::iter::from_fn(|| walk.next_found()).filter(|found| found.head.kind == Kind::Note);
            // Nobody gives up what comes later.
            let say = |note: Found| (self.says)(&note.payload).filter(|said| *said < note.head.ordinal);
            notes.filter_map(say).max()
        });
        self.given_up = self.given_up.max(said.max().unwrap_or(0));
        self.next = next.max(self.given_up.saturating_add(1));
        self.next > next
    }

    fn take(&mut self) -> Option<(Found, Arc<Path>)> {
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
                    None if self.skip_given_up() => self.find()?,
                    None => return None,
                };
            }
        }
        let peeked = self.walks.get_mut(self.current)?;
        let found = peeked.found.take()?;
        let path = Arc::clone(&peeked.path);
        self.next = found.head.ordinal + 1;
        self.last_number = self.last_number.max(found.head.number);
        self.place = (Arc::clone(&path), found.end());
        Some((found, path))
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
    type Item = Stored;

    fn next(&mut self) -> Option<Stored> {
        loop {
            let (Found { head, offset, payload }, segment) = self.take()?;
            match head.kind {
                Kind::Note => {
                    return Some(Stored::Note(StoredNote {
                        after_number: head.number,
                        ordinal: head.ordinal,
                        bytes: payload,
                    }));
                }
                Kind::Group => {
                    return Some(Stored::Group(StoredGroup {
                        number: head.number,
                        lane: head.lane,
                        payload,
                        segment,
                        offset,
                    }));
                }
                // A walk returns none.
                Kind::Unknown(_) => {}
            }
        }
    }
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
