//! A lane's journal: one writer's folder, to which groups are appended.
//!
//! Invariants:
//! - A group that [`Record::commit`] returned for is in the file, and outlives the process. What
//!   was begun and not committed is not there.
//! - Numbers grow; ordinals count each record.
//! - A segment is given up only when each of its groups is settled, or copied into another one that
//!   is on the disk. Nothing is written to mark a group as settled: the ledger says it.
//! - No append leaves the lane worse than it was: one that fails has appended nothing.
//!
//! Bounds: `max_bytes` on the disk, but for copies after a failed sync; one mapping; two spare
//! segments. A group has at most 1 GiB.
//!
//! Threads: a lane is `Send`, and one thread at a time appends and settles. [`Syncer`] and
//! [`Place`] are for all.

mod copy;
mod segments;
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
use crate::segment::{PAYLOAD_BYTES_MAX, Place};
pub use segments::Limits;
use segments::Segments;
use sync::{Shared, Syncer};

/// A lane's journal, to append to.
#[derive(Debug)]
pub struct Lane<F: Files> {
    segments: Segments<F>,
    last_number: u64,
    last_ordinal: u64,
    settled: u64,
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
            settled: 0,
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
        folder::write_header(files, new, header, false)?;
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
    /// and there once [`Record::commit`] returns.
    ///
    /// # Errors
    ///
    /// There is no room, the number is not above the last one, the group is too large, or this
    /// process is a child. Nothing was appended.
    pub fn begin(&mut self, number: u64, payload_bytes: usize) -> Result<Record<'_, F>> {
        if number <= self.last_number {
            return Err(Error::NumberNotAbove {
                number,
                last: self.last_number,
            });
        }
        self.leave_failed()?;
        let too_large = Error::GroupTooLarge { bytes: payload_bytes };
        let needed = record_bytes(payload_bytes).filter(|_| payload_bytes <= PAYLOAD_BYTES_MAX);
        let needed = needed.ok_or(too_large)?;
        if !self.segments.has_room(needed)? {
            self.check_process()?;
            self.segments.rotate(needed, self.last_ordinal, self.last_number)?;
        }
        let open = self.segments.open_mut()?;
        Ok(Record {
            crc: open.seed,
            payload_at: open.at + HEAD_BYTES,
            payload_max: payload_bytes,
            length: 0,
            number,
            lane: self,
        })
    }

    /// Appends a group that is there already, in parts.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub fn append(&mut self, number: u64, parts: &[&[u8]]) -> Result<Place<F::File>> {
        let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut record = self.begin(number, bytes)?;
        for part in parts {
            record.put(part)?;
        }
        record.commit()
    }

    /// All groups up to a number are settled: committed for certain, or kept elsewhere for certain.
    /// Segments that hold nothing else are used again, or removed.
    ///
    /// The caller's part of the order: COMMIT was answered, or the file with the failures is
    /// synced, before this is called.
    ///
    /// # Errors
    ///
    /// A segment that cannot be removed. That is no harm: what is in it is settled.
    pub fn settle_through(&mut self, number: u64) -> Result<()> {
        self.check_process()?;
        self.settled = self.settled.max(number.min(self.last_number));
        self.segments.give_up_settled(self.settled)
    }

    /// Leaves the segments whose sync has failed: their unsettled groups are copied into new ones,
    /// which can be synced. Each append does this first.
    ///
    /// # Errors
    ///
    /// There is no room for the copies, or a group cannot be read any more. Nothing was given up.
    pub fn leave_failed(&mut self) -> Result<()> {
        if !self.segments.shared().has_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check_process()?;
        copy::leave_failed(&mut self.segments, self.settled)
    }

    /// Removes the folder, if each group is settled. Otherwise it stays, for whoever comes next.
    /// Returns whether it is gone.
    ///
    /// # Errors
    ///
    /// The system's. What is left is settled.
    pub fn close(mut self) -> Result<bool> {
        self.check_process()?;
        if self.settled < self.last_number {
            return Ok(false);
        }
        self.segments.remove_folder()?;
        Ok(true)
    }
}

/// A group that is being written.
#[derive(Debug)]
pub struct Record<'l, F: Files> {
    lane: &'l mut Lane<F>,
    payload_at: usize,
    payload_max: usize,
    length: usize,
    crc: u32,
    number: u64,
}

impl<F: Files> Record<'_, F> {
    /// Appends to the payload.
    ///
    /// # Errors
    ///
    /// More bytes than were announced, or this process is a child. The group is to be dropped.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.length.saturating_add(bytes.len());
        if length > self.payload_max {
            return Err(Error::GroupTooLarge { bytes: length });
        }
        let open = self.lane.segments.open_mut()?;
        open.put(self.payload_at + self.length, bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.length = length;
        Ok(())
    }

    /// Ends the group: from now on it outlives the process.
    ///
    /// # Errors
    ///
    /// This process is a child.
    pub fn commit(self) -> Result<Place<F::File>> {
        let too_large = Error::GroupTooLarge { bytes: self.length };
        let (Ok(length), Some(bytes)) = (u32::try_from(self.length), record_bytes(self.length)) else {
            return Err(too_large);
        };
        let lane = self.lane;
        let ordinal = lane.last_ordinal + 1;
        let shared = Arc::clone(lane.segments.shared());
        let open = lane.segments.open_mut()?;
        let head = Head {
            payload_crc: self.crc,
            length,
            kind: Kind::Group,
            ordinal,
            number: self.number,
            synced: shared.synced.load(Ordering::Acquire),
        };
        // Where a head is, its payload is whole: whoever finds it otherwise knows of a damage.
        compiler_fence(Ordering::Release);
        open.put(open.at, &head.encode(open.seed))?;
        let place = Place {
            segment: Arc::clone(&open.segment),
            offset: open.at as u64,
            ordinal,
        };
        open.at += bytes;
        open.last = (ordinal, self.number);
        lane.last_ordinal = ordinal;
        lane.last_number = self.number;
        shared.appended.store(ordinal, Ordering::Release);
        Ok(place)
    }
}
