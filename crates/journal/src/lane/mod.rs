//! A lane's journal: one writer's folder, to which groups are appended, and notes between them.
//!
//! Invariants:
//! - A group that [`Record::commit`] returned for is in the file, and outlives the process. What
//!   was begun and not committed is not there.
//! - Numbers of groups grow; ordinals count each record.
//! - A segment is given up only when its owner says so, or when it is copied into another one that
//!   is on the disk.
//! - Nothing is written to mark a group as settled: the ledger says it.
//! - No append leaves the lane worse than it was: one that fails has appended nothing.
//!
//! Bounds: `max_bytes` on the disk, but for copies after a failed sync and one segment for notes;
//! the mapping that is written, two to be used again, one to be let go; two spare segments. A group
//! or a note has at most 1 GiB.
//!
//! Threads: a lane is `Send`, and one thread at a time appends and settles. [`Syncer`] and
//! [`Place`] are for all.

pub mod ahead;
mod bounds;
mod copy;
mod resume;
mod segments;
pub mod stretch;
pub mod sync;

use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::error::{Error, Result};
use crate::files::{Files, Locked};
use crate::folder;
use crate::header::LaneHeader;
use crate::record::{HEAD_BYTES, Head, Kind, record_bytes};
use crate::segment::{PAYLOAD_BYTES_MAX, Place, Spot};
use ahead::{Ahead, Prepared};
pub use bounds::Limits;
use bounds::Room;
use segments::Segments;
use sync::{Shared, Syncer};

/// A lane's journal, to append to.
#[derive(Debug)]
pub struct Lane<F: Files> {
    segments: Segments<F>,
    last_number: u64,
    last_ordinal: u64,
    /// The process that made it.
    pid: u32,
    /// Let go after everything else.
    _lock: F::Lock,
}

impl<F: Files> Lane<F> {
    /// Makes a writer's folder in the journal's directory.
    ///
    /// # Errors
    ///
    /// The system's; the name is none, or is taken.
    pub(crate) fn create(files: &F, directory: &Path, header: &LaneHeader, limits: Limits) -> Result<Self> {
        let writer = &header.writer;
        folder::check_writer(writer)?;
        let bytes = header.encode().ok_or(Error::GroupTooLarge {
            bytes: header.settings.len(),
        })?;
        let (new, path) = (folder::new_folder(directory, writer), directory.join(writer));
        files.make_folder(&new).map_err(Error::io("make", &new))?;
        let made = Self::fill(files, &new, &path, &bytes);
        let lock = match made {
            Ok(lock) => lock,
            Err(error) => {
                // Nobody else knows it. What cannot be removed holds nothing.
                let _ = folder::remove(files, directory, &new, false);
                return Err(error);
            }
        };
        let shared = Arc::new(Shared::new(files.clone(), directory, &path, bytes));
        let segments = Segments::new(files.clone(), directory, path, limits, header.boot_id, shared);
        Ok(Self {
            segments,
            last_number: 0,
            last_ordinal: 0,
            pid: process::id(),
            _lock: lock,
        })
    }

    fn fill(files: &F, new: &Path, path: &Path, header: &[u8]) -> Result<F::Lock> {
        let lock = new.join(folder::LOCK);
        let Locked::Taken(lock) = files.lock(&lock).map_err(Error::io("lock", &lock))? else {
            let error = std::io::Error::other("another process has it");
            return Err(Error::io("lock", &lock)(error));
        };
        folder::write_header(files, new, header)?;
        files.rename(new, path).map_err(Error::io("make", path))?;
        Ok(lock)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.segments.folder()
    }

    /// What it takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// The number of the last group that it has taken.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The ordinal of the last record that it has taken.
    pub fn last_ordinal(&self) -> u64 {
        self.last_ordinal
    }

    /// Makes what it has taken survive a power cut.
    pub fn syncer(&self) -> Syncer<F> {
        Syncer {
            shared: Arc::clone(self.segments.shared()),
        }
    }

    fn check_process(&self) -> Result<()> {
        if process::id() == self.pid {
            Ok(())
        } else {
            Err(Error::Forked)
        }
    }

    /// Begins a group whose payload has at most so many bytes. It is written by [`Record::put`],
    /// and there once [`Record::commit`] returns. `lane` is the engine's own, which the group goes
    /// through; it comes back with the group.
    ///
    /// # Errors
    ///
    /// There is no room, the number is not above the last one, the group is too large, or this
    /// process is a child. Nothing was appended.
    pub fn begin(&mut self, number: u64, lane: u8, payload_bytes: usize) -> Result<Record<'_, F>> {
        if number <= self.last_number {
            return Err(Error::NumberNotAbove {
                number,
                last: self.last_number,
            });
        }
        self.begin_record(Kind::Group, number, lane, payload_bytes)
    }

    /// Appends a group that is there already, in parts.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub fn append(&mut self, number: u64, lane: u8, parts: &[&[u8]]) -> Result<Place<F::File>> {
        let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut record = self.begin(number, lane, bytes)?;
        for part in parts {
            record.put(part)?;
        }
        record.commit()
    }

    /// Appends a note: bytes of the engine's, which outlive the process and are synced as groups
    /// are, and are found between the same groups. It finds room where a group did: one segment
    /// beyond the bound is for notes.
    ///
    /// Returns its ordinal: what [`sync_through`](Syncer::sync_through) takes.
    ///
    /// A note is found as long as it is not [given up](Self::give_up_through). What was given up
    /// may still be found: a note that no longer holds needs another one that says so.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub fn note(&mut self, bytes: &[u8]) -> Result<u64> {
        let mut record = self.begin_record(Kind::Note, self.last_number, 0, bytes.len())?;
        record.put(bytes)?;
        Ok(record.end()?.ordinal)
    }

    fn begin_record(&mut self, kind: Kind, number: u64, lane: u8, payload_bytes: usize) -> Result<Record<'_, F>> {
        let room = if kind == Kind::Note { Room::Note } else { Room::Group };
        self.leave_failed()?;
        let needed = record_bytes(payload_bytes).filter(|_| payload_bytes <= PAYLOAD_BYTES_MAX);
        let needed = needed.ok_or(Error::GroupTooLarge { bytes: payload_bytes })?;
        if !self.segments.has_room(needed, room)? {
            self.check_process()?;
            let after = (self.last_ordinal, self.last_number);
            self.segments.rotate(needed, after, room)?;
        }
        let open = self.segments.open_mut()?;
        Ok(Record {
            crc: open.seed,
            payload_at: open.at + HEAD_BYTES,
            payload_max: payload_bytes,
            length: 0,
            kind,
            number,
            engine_lane: lane,
            lane: self,
        })
    }

    /// The last record of those sealed segments all of whose groups have numbers up to this one.
    /// `None`: there is nothing to give up.
    pub fn sealed_within(&self, number: u64) -> Option<u64> {
        self.segments.sealed_within(number)
    }

    /// Records up to this one are needed no more: what of them is groups is settled. Segments that
    /// hold nothing else are used again, or removed.
    ///
    /// The caller's part of the order: COMMIT was answered, or the file with the failures is
    /// synced, and a [note](Self::note) says that records [up to this one](crate::scan::GivenUp)
    /// may be gone, before this is called.
    ///
    /// # Errors
    ///
    /// A segment that cannot be removed. That is no harm: what is in it is settled.
    pub fn give_up_through(&mut self, ordinal: u64) -> Result<()> {
        self.check_process()?;
        self.segments.give_up_through(ordinal)
    }

    /// What can be [prepared](ahead) now, so that no append has to.
    pub fn take_ahead(&mut self) -> Option<Ahead<F>> {
        self.segments.take_ahead()
    }

    /// Takes back what was prepared.
    pub fn put_ahead(&mut self, prepared: Prepared<F>) {
        self.segments.put_ahead(prepared);
    }

    /// Leaves the segments whose sync has failed: their records are copied into new ones, which
    /// can be synced. Each append does this first.
    ///
    /// # Errors
    ///
    /// There is no room for the copies, or a group cannot be read any more. Nothing was given up.
    pub fn leave_failed(&mut self) -> Result<()> {
        if !self.segments.shared().has_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check_process()?;
        copy::leave_failed(&mut self.segments)
    }

    /// Removes the folder. Each of its groups is settled, and its last note says that all records
    /// before it may be gone: it goes last.
    ///
    /// # Errors
    ///
    /// The system's. What is left is settled.
    pub fn close(mut self) -> Result<()> {
        self.check_process()?;
        self.segments.remove_folder()
    }
}

/// How the payloads of many records begin, one like the other: the checksum of so many bytes is
/// computed once a segment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beginning {
    bytes: usize,
    /// What it was computed from, and the checksum.
    checksum: Option<(u32, u32)>,
}

impl Beginning {
    /// The first bytes, so many.
    pub fn of(bytes: usize) -> Self {
        Self { bytes, checksum: None }
    }
}

/// A group, or a note, that is being written.
#[derive(Debug)]
pub struct Record<'l, F: Files> {
    lane: &'l mut Lane<F>,
    payload_at: usize,
    payload_max: usize,
    length: usize,
    crc: u32,
    kind: Kind,
    number: u64,
    engine_lane: u8,
}

impl<F: Files> Record<'_, F> {
    /// Appends to the payload.
    ///
    /// # Errors
    ///
    /// More bytes than were announced, or this process is a child. The group is to be dropped.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.copy(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }

    /// As [`Self::put`], before anything else is put. The bytes begin as those of the record before
    /// did, for which the same `beginning` was given.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    #[inline]
    pub fn put_alike(&mut self, bytes: &[u8], beginning: &mut Beginning) -> Result<()> {
        let Some((alike, rest)) = bytes.split_at_checked(beginning.bytes).filter(|_| self.length == 0) else {
            return self.put(bytes);
        };
        self.copy(bytes)?;
        let crc = match beginning.checksum {
            Some((seed, crc)) if seed == self.crc => crc,
            _ => crc32c::crc32c_append(self.crc, alike),
        };
        debug_assert_eq!(crc, crc32c::crc32c_append(self.crc, alike), "it begins otherwise");
        beginning.checksum = Some((self.crc, crc));
        self.crc = crc32c::crc32c_append(crc, rest);
        Ok(())
    }

    #[inline]
    fn copy(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.length.saturating_add(bytes.len());
        if length > self.payload_max {
            return Err(Error::GroupTooLarge { bytes: length });
        }
        let open = self.lane.segments.open_mut()?;
        open.put(self.payload_at + self.length, bytes)?;
        self.length = length;
        Ok(())
    }

    /// Ends the group: from now on it outlives the process. Returns where it stands.
    ///
    /// # Errors
    ///
    /// This process is a child.
    pub fn commit(self) -> Result<Place<F::File>> {
        let (lane, offset, ordinal) = self.finish()?;
        Ok(Place {
            segment: Arc::clone(&lane.segments.open_mut()?.segment),
            offset: offset as u64,
            ordinal,
        })
    }

    /// As [`Self::commit`]. Returns where it stands in a form that holds nothing, which costs less.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`].
    pub fn end(self) -> Result<Spot> {
        let (lane, offset, ordinal) = self.finish()?;
        Ok(Spot {
            ordinal,
            sequence: lane.segments.open_mut()?.segment.header.sequence,
            offset: offset as u64,
        })
    }
}

impl<'l, F: Files> Record<'l, F> {
    fn finish(self) -> Result<(&'l mut Lane<F>, usize, u64)> {
        let (Ok(length), Some(bytes)) = (u32::try_from(self.length), record_bytes(self.length)) else {
            return Err(Error::GroupTooLarge { bytes: self.length });
        };
        let lane = self.lane;
        let ordinal = lane.last_ordinal + 1;
        let synced = lane.segments.shared().synced.load(Ordering::Acquire);
        let open = lane.segments.open_mut()?;
        let head = Head {
            payload_crc: self.crc,
            length,
            kind: self.kind,
            lane: self.engine_lane,
            ordinal,
            number: self.number,
            synced,
        };
        // Where a head is, its payload is whole: whoever finds it otherwise knows of a damage.
        compiler_fence(Ordering::Release);
        let offset = open.at;
        open.put(offset, &head.encode(open.seed))?;
        open.at += bytes;
        open.contents.push(&head);
        lane.last_ordinal = ordinal;
        lane.last_number = self.number;
        lane.segments.shared().appended.store(ordinal, Ordering::Release);
        Ok((lane, offset, ordinal))
    }
}
