//! Owns a segment's file while somebody holds it, and walks its records.
//!
//! A walk finds each record that is whole, wherever it stands: behind bytes that are none, it looks
//! at each place where a record may begin. So one damaged record does not hide those after it, and
//! no length is believed that a checksum does not cover.
//!
//! Bounds: a walk holds 64 KiB and one payload.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::files::{File, read_full};
use crate::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::{ALIGN, HEAD_BYTES, Head, Kind, record_bytes, seed};

/// No payload is longer.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

const WINDOW_BYTES: usize = 64 * 1024;
/// Records are written again so many bytes at a time, and the rest of the last one.
const RUN_BYTES: usize = 256 * 1024;
/// What is skipped where the disk cannot read.
const PAGE_BYTES: u64 = 4096;

/// A segment's file.
#[derive(Debug)]
pub struct Segment<F> {
    /// The file.
    pub file: F,
    /// Its path.
    pub path: PathBuf,
    /// What it holds.
    pub header: SegmentHeader,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Its last record, once it takes no more; 0 before.
    pub(crate) last_ordinal: AtomicU64,
    /// How many records it has, once it takes no more.
    records: AtomicU64,
    /// A sync of it failed: nobody can say what of it is on the disk.
    pub(crate) is_failed: AtomicBool,
    /// A process that is dead wrote it, and nobody knows whether a sync of that one failed: its
    /// records are written once more before it is synced.
    pub(crate) is_doubtful: AtomicBool,
}

impl<F: File> Segment<F> {
    /// A segment that was just begun, or found.
    pub(crate) fn new(file: F, path: PathBuf, header: SegmentHeader, bytes: u64) -> Self {
        Self {
            file,
            path,
            header,
            bytes,
            last_ordinal: AtomicU64::new(0),
            records: AtomicU64::new(0),
            is_failed: AtomicBool::new(false),
            is_doubtful: AtomicBool::new(false),
        }
    }

    /// It takes no more: so many records, up to this one.
    pub(crate) fn seal(&self, last_ordinal: u64, records: u64) {
        self.records.store(records, Ordering::Release);
        // 0 is for those that are open.
        self.last_ordinal.store(last_ordinal.max(1), Ordering::Release);
    }

    /// Refuses a sealed segment in which not so many records were found.
    pub(crate) fn check_records(&self, found: u64) -> io::Result<()> {
        let wanted = self.records.load(Ordering::Acquire);
        if found >= wanted {
            return Ok(());
        }
        let missing = wanted - found;
        Err(io::Error::other(format!(
            "records that cannot be read any more: {missing}"
        )))
    }

    /// Writes a dead process's records once more, if that was not done yet: the same bytes to the
    /// same place. So the next sync writes them, whatever has become of that process's own.
    pub(crate) fn write_again(self: &Arc<Self>) -> io::Result<()> {
        if !self.is_doubtful.load(Ordering::Acquire) {
            return Ok(());
        }
        self.file.write_at(0, &self.header.encode())?;
        let mut walk = Walk::new(Arc::clone(self));
        let mut run = Run::default();
        let mut records = 0;
        while let Some(found) = walk.next_found() {
            records += 1;
            if run.next() != found.offset || run.bytes.len() >= RUN_BYTES {
                run.write(&self.file)?;
                run.at = found.offset;
            }
            run.bytes.resize(run.bytes.len().next_multiple_of(ALIGN), 0);
            run.bytes.extend_from_slice(&found.head.encode(walk.seed));
            run.bytes.extend_from_slice(&found.payload);
        }
        run.write(&self.file)?;
        self.check_records(records)?;
        self.is_doubtful.store(false, Ordering::Release);
        self.file.begin_sync();
        Ok(())
    }

    /// Whether it takes no more records, and this one and all before it are among the first so
    /// many.
    pub(crate) fn is_sealed_within(&self, ordinal: u64) -> bool {
        let last = self.last_ordinal.load(Ordering::Acquire);
        last != 0 && last <= ordinal
    }
}

/// Records that follow each other, to be written at once.
#[derive(Default)]
struct Run {
    at: u64,
    bytes: Vec<u8>,
}

impl Run {
    /// Where the next record begins, if there is nothing between.
    fn next(&self) -> u64 {
        self.at + self.bytes.len().next_multiple_of(ALIGN) as u64
    }

    fn write<F: File>(&mut self, file: &F) -> io::Result<()> {
        file.write_at(self.at, &self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The ordinal of its last record, or of the last one before it.
    pub ordinal: u64,
    /// The number of its last group, or of the last one before it.
    pub number: u64,
    /// How many records it has.
    pub records: u64,
}

impl Contents {
    /// Nothing, after these.
    pub fn after(ordinal: u64, number: u64) -> Self {
        Self {
            ordinal,
            number,
            records: 0,
        }
    }

    /// With this record at its end.
    pub fn push(&mut self, head: &Head) {
        self.ordinal = head.ordinal;
        self.number = head.number;
        self.records += 1;
    }
}

/// Where a group stands. Its segment stays readable as long as somebody has this.
#[derive(Debug)]
pub struct Place<F> {
    /// The segment.
    pub segment: Arc<Segment<F>>,
    /// Where its record begins.
    pub offset: u64,
    /// Its ordinal: what [`sync_through`](crate::lane::sync::Syncer::sync_through) takes.
    pub ordinal: u64,
}

impl<F> Clone for Place<F> {
    fn clone(&self) -> Self {
        Self {
            segment: Arc::clone(&self.segment),
            ..*self
        }
    }
}

impl<F: File> Place<F> {
    /// Reads the groups of this segment, from this one on, and the notes between them.
    pub fn groups(&self) -> Walk<F> {
        let mut walk = Walk::new(Arc::clone(&self.segment));
        walk.begin_at(self.offset);
        walk
    }
}

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Its ordinal.
    pub ordinal: u64,
    /// The number of its segment.
    pub sequence: u64,
    /// Where it begins there.
    pub offset: u64,
}

/// A record that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its head.
    pub head: Head,
    /// Where it begins.
    pub offset: u64,
    /// Its payload. Empty for a group, if the walk is [without](Walk::without_payloads) them.
    pub payload: Vec<u8>,
}

impl Found {
    /// Where the next one should begin.
    pub fn end(&self) -> u64 {
        let length = usize::try_from(self.head.length).unwrap_or(usize::MAX);
        let bytes = record_bytes(length).unwrap_or(HEAD_BYTES);
        self.offset.saturating_add(bytes as u64)
    }
}

/// What a walk came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Where.
    pub offset: u64,
    /// The head that stands there, if it is right.
    pub head: Option<Head>,
    /// The last whole record before it.
    pub after: u64,
    /// The first whole record after it, if one has been found.
    pub before: Option<u64>,
}

/// Kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The head is right, the payload is not.
    Payload,
    /// A later version's record.
    Unknown(u8),
    /// The disk cannot read.
    Unreadable(String),
}

/// Walks the records of a segment.
#[derive(Debug)]
pub struct Walk<F> {
    segment: Arc<Segment<F>>,
    seed: u32,
    at: u64,
    last_ordinal: u64,
    last_number: u64,
    window: Vec<u8>,
    window_at: u64,
    faults: Vec<Fault>,
    is_without_payloads: bool,
}

impl<F: File> Walk<F> {
    /// Begins at a segment's first record.
    pub fn new(segment: Arc<Segment<F>>) -> Self {
        Self {
            seed: seed(segment.header.salt),
            at: SEGMENT_HEADER_BYTES as u64,
            last_ordinal: segment.header.base_ordinal,
            last_number: segment.header.base_number,
            segment,
            window: Vec::new(),
            window_at: 0,
            faults: Vec::new(),
            is_without_payloads: false,
        }
    }

    /// Begins at a record that stands here.
    pub(crate) fn begin_at(&mut self, offset: u64) {
        self.at = offset;
    }

    /// Groups are checked all the same, and their payloads are not kept.
    pub(crate) fn without_payloads(&mut self) {
        self.is_without_payloads = true;
    }

    /// The same walk, from the first record on, with payloads.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(Arc::clone(&self.segment))
    }

    /// The segment.
    pub fn segment(&self) -> &Segment<F> {
        &self.segment
    }

    /// What was found so far that is not as it should be.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The next record that is whole.
    pub fn next_found(&mut self) -> Option<Found> {
        loop {
            let end = self.at.checked_add(HEAD_BYTES as u64)?;
            if end > self.segment.bytes {
                self.window = Vec::new();
                return None;
            }
            let ordinals = self.last_ordinal..self.ordinal_max();
            let seed = self.seed;
            let Some(bytes) = self.look(HEAD_BYTES) else {
                self.at = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
                continue;
            };
            let ordinal = Head::ordinal(bytes).unwrap_or(0);
            let is_likely = ordinals.contains(&ordinal.wrapping_sub(1));
            let head = is_likely.then(|| Head::decode(bytes, seed)).flatten();
            match head.filter(|head| head.may_follow(self.last_number)) {
                Some(head) => {
                    if let Some(found) = self.take(head) {
                        return Some(found);
                    }
                }
                None => self.at += ALIGN as u64,
            }
        }
    }

    /// The last ordinal that the segment has room for.
    fn ordinal_max(&self) -> u64 {
        let records = self.segment.bytes / HEAD_BYTES as u64;
        self.segment.header.base_ordinal.saturating_add(records)
    }

    fn take(&mut self, head: Head) -> Option<Found> {
        let offset = self.at;
        let payload = self.payload(head);
        let Some(payload) = payload else {
            self.at += ALIGN as u64;
            return None;
        };
        for fault in self.faults.iter_mut().filter(|fault| fault.before.is_none()) {
            fault.before = Some(head.ordinal);
        }
        self.last_ordinal = head.ordinal;
        self.last_number = head.number;
        let found = Found { head, offset, payload };
        self.at = found.end();
        if let Kind::Unknown(kind) = head.kind {
            self.last_ordinal = head.ordinal - 1;
            self.fault(FaultKind::Unknown(kind), offset, Some(head));
            self.last_ordinal = head.ordinal;
            return None;
        }
        Some(found)
    }

    fn payload(&mut self, head: Head) -> Option<Vec<u8>> {
        let offset = self.at;
        let length = usize::try_from(head.length)
            .ok()
            .filter(|length| *length <= PAYLOAD_BYTES_MAX);
        let start = offset + HEAD_BYTES as u64;
        let fits = length.filter(|length| {
            let end = start.checked_add(*length as u64);
            end.is_some_and(|end| end <= self.segment.bytes)
        });
        let Some(length) = fits else {
            self.fault(FaultKind::Payload, offset, Some(head));
            return None;
        };
        let (seed, is_kept) = (self.seed, !self.is_without_payloads || head.kind != Kind::Group);
        let payload = match self.look(HEAD_BYTES + length.min(WINDOW_BYTES - HEAD_BYTES)) {
            Some(bytes) if bytes.len() == HEAD_BYTES + length => {
                let payload = bytes.get(HEAD_BYTES..)?;
                if crc32c::crc32c_append(seed, payload) == head.payload_crc {
                    return Some(if is_kept { payload.to_vec() } else { Vec::new() });
                }
                Vec::new()
            }
            _ => {
                let mut payload = vec![0; length];
                match read_full(&self.segment.file, start, &mut payload) {
                    Ok(read) if read == length => payload,
                    Ok(_) => Vec::new(),
                    Err(error) => {
                        self.fault(FaultKind::Unreadable(error.to_string()), offset, Some(head));
                        return None;
                    }
                }
            }
        };
        let is_whole = payload.len() == length && crc32c::crc32c_append(seed, &payload) == head.payload_crc;
        if !is_whole {
            self.fault(FaultKind::Payload, offset, Some(head));
            return None;
        }
        Some(payload)
    }

    fn fault(&mut self, kind: FaultKind, offset: u64, head: Option<Head>) {
        // One of a kind in a row is enough.
        if self
            .faults
            .last()
            .is_some_and(|last| last.before.is_none() && last.kind == kind)
        {
            return;
        }
        self.faults.push(Fault {
            kind,
            offset,
            head,
            after: self.last_ordinal,
            before: None,
        });
    }

    /// The bytes from here on. `None`: they cannot be read.
    fn look(&mut self, bytes: usize) -> Option<&[u8]> {
        let start = usize::try_from(self.at.wrapping_sub(self.window_at)).unwrap_or(usize::MAX);
        let is_there = start.checked_add(bytes).is_some_and(|end| end <= self.window.len());
        if self.at < self.window_at || !is_there {
            self.fill(bytes)?;
            return self.window.get(..bytes);
        }
        self.window.get(start..)?.get(..bytes)
    }

    fn fill(&mut self, bytes: usize) -> Option<()> {
        self.window_at = self.at;
        let rest = usize::try_from(self.segment.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX);
        // Where much cannot be read, a little may be.
        for wanted in [WINDOW_BYTES.max(bytes), bytes] {
            self.window.resize(wanted.min(rest), 0);
            match read_full(&self.segment.file, self.at, &mut self.window) {
                Ok(read) => {
                    self.window.truncate(read);
                    return Some(());
                }
                Err(error) if wanted == bytes => {
                    self.fault(FaultKind::Unreadable(error.to_string()), self.at, None);
                }
                Err(_) => {}
            }
        }
        self.window.clear();
        None
    }
}
