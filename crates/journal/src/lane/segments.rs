//! Owns a lane's segments: the one that takes groups, those that wait to be settled, the spare
//! ones.
//!
//! A spare segment is a file whose groups were all settled. It is used again under a new name and a
//! new salt: its room is taken already, and its old records are none of the new segment's.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::sync::Shared;
use crate::error::{Error, Result};
use crate::files::{BootId, File as _, Files, Mapping as _, is_forked};
use crate::folder;
use crate::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::seed;
use crate::segment::Segment;

/// So many settled segments are kept to be used again.
const SPARES_MAX: usize = 2;

/// What a lane may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A segment's length. A larger group gets a segment of its own.
    pub segment_bytes: u64,
    /// On the disk, in all.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            max_bytes: 1 << 30,
        }
    }
}

/// The segment that takes groups.
#[derive(Debug)]
pub(super) struct Open<F: Files> {
    pub segment: Arc<Segment<F::File>>,
    pub mapping: <F::File as crate::files::File>::Mapping,
    pub seed: u32,
    /// Where the next record begins.
    pub at: usize,
    /// The ordinal and number of its last record, or of the last one before it.
    pub last: (u64, u64),
}

impl<F: Files> Open<F> {
    /// Writes into the segment.
    #[inline]
    pub fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        self.mapping.put(at, bytes).map_err(|error| {
            if is_forked(&error) {
                Error::Forked
            } else {
                Error::io("write", &self.segment.path)(error)
            }
        })
    }
}

/// A segment that takes no more groups.
#[derive(Debug)]
pub(super) struct Sealed<F: Files> {
    pub segment: Arc<Segment<F::File>>,
    /// As in [`Open`].
    pub last: (u64, u64),
}

/// A segment whose groups were copied.
#[derive(Debug)]
pub(super) struct Copied<F: Files> {
    pub sealed: Sealed<F>,
    /// The copies by which it is needed no more.
    pub copies: u64,
}

#[derive(Debug)]
struct Spare<F: Files> {
    file: F::File,
    path: PathBuf,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Segments<F: Files> {
    files: F,
    directory: PathBuf,
    folder: PathBuf,
    limits: Limits,
    boot_id: BootId,
    shared: Arc<Shared<F>>,
    pub open: Option<Open<F>>,
    pub sealed: VecDeque<Sealed<F>>,
    pub copied: Vec<Copied<F>>,
    spares: Vec<Spare<F>>,
    last_sequence: u64,
    /// Records up to this ordinal are in segments that were given up.
    given_up: u64,
}

impl<F: Files> Segments<F> {
    pub fn new(
        files: F,
        directory: &Path,
        folder: PathBuf,
        limits: Limits,
        boot_id: BootId,
        shared: Arc<Shared<F>>,
    ) -> Self {
        Self {
            files,
            directory: directory.to_owned(),
            folder,
            limits,
            boot_id,
            shared,
            open: None,
            sealed: VecDeque::new(),
            copied: Vec::new(),
            spares: Vec::new(),
            last_sequence: 0,
            given_up: 0,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn shared(&self) -> &Arc<Shared<F>> {
        &self.shared
    }

    pub fn open_mut(&mut self) -> Result<&mut Open<F>> {
        let folder = &self.folder;
        self.open.as_mut().ok_or_else(|| {
            let error = std::io::Error::other("no segment is open");
            Error::io("write", folder)(error)
        })
    }

    /// What all of it takes, in bytes.
    pub fn bytes(&self) -> u64 {
        let open = self.open.iter().map(|open| open.segment.bytes);
        let sealed = self.sealed.iter().map(|sealed| sealed.segment.bytes);
        let copied = self.copied.iter().map(|copied| copied.sealed.segment.bytes);
        let spares = self.spares.iter().map(|spare| spare.bytes);
        open.chain(sealed)
            .chain(copied)
            .chain(spares)
            .fold(0, u64::saturating_add)
    }

    /// Whether a record fits into the segment that is open, and can be written there.
    pub fn has_room(&mut self, bytes: usize) -> Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        let end = open.at.saturating_add(bytes) as u64;
        if end > open.segment.bytes {
            return Ok(false);
        }
        match open.mapping.prepare(open.at, bytes) {
            Ok(()) => Ok(true),
            Err(error) if is_forked(&error) => Err(Error::Forked),
            // Another segment may do.
            Err(_) => Ok(false),
        }
    }

    /// Opens another segment, for a record of so many bytes. If that fails, the one that was open
    /// still is.
    pub fn rotate(&mut self, bytes: usize, last_ordinal: u64, last_number: u64) -> Result<()> {
        let open = self.begin(bytes, last_ordinal, last_number, true)?;
        self.seal();
        self.shared.begin(Arc::clone(&open.segment));
        self.open = Some(open);
        Ok(())
    }

    /// The open segment takes no more.
    pub fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            // 0 is for those that are open.
            open.segment.last_ordinal.store(open.last.0.max(1), Ordering::Release);
            self.sealed.push_back(Sealed {
                segment: open.segment,
                last: open.last,
            });
        }
    }

    /// Makes a segment for records after these.
    pub fn begin(&mut self, bytes: usize, base_ordinal: u64, base_number: u64, is_bounded: bool) -> Result<Open<F>> {
        let needed = (bytes as u64).saturating_add(SEGMENT_HEADER_BYTES as u64);
        let length = whole_pages(needed.max(self.limits.segment_bytes));
        let header = SegmentHeader {
            salt: self
                .files
                .salt()
                .map_err(Error::io("begin a segment in", &self.folder))?,
            sequence: self.last_sequence + 1,
            base_ordinal,
            base_number,
            given_up: self.given_up,
            begun_unix_ms: self.files.now_unix_ms(),
            boot_id: self.boot_id,
        };
        let (path, new) = folder::segment(&self.folder, header.sequence);
        let file = match self.spares.iter().position(|spare| spare.bytes == length) {
            Some(at) => {
                let spare = self.spares.remove(at);
                self.files
                    .rename(&spare.path, &new)
                    .map_err(Error::io("rename", &spare.path))?;
                spare.file
            }
            None => self.create(&new, length, is_bounded)?,
        };
        // Names of files are not used twice, not even by those that fail.
        self.last_sequence = header.sequence;
        let segment = Segment::new(file, path, header, length);
        let open = self.map(segment, &new, bytes);
        if open.is_err() {
            // What cannot be removed holds no group.
            let _ = self.files.remove_file(&new);
        }
        open
    }

    fn map(&self, segment: Segment<F::File>, new: &Path, bytes: usize) -> Result<Open<F>> {
        let length = usize::try_from(segment.bytes).unwrap_or(usize::MAX);
        let header = segment.header;
        let begin = || {
            let mut mapping = segment.file.map(length)?;
            mapping.prepare(0, SEGMENT_HEADER_BYTES.saturating_add(bytes))?;
            mapping.put(0, &header.encode())?;
            // A process that ends here leaves no header that is half one.
            self.files.rename(new, &segment.path)?;
            Ok(mapping)
        };
        Ok(Open {
            mapping: begin().map_err(Error::io("begin", &segment.path))?,
            seed: seed(header.salt),
            at: SEGMENT_HEADER_BYTES,
            last: (header.base_ordinal, header.base_number),
            segment: Arc::new(segment),
        })
    }

    fn create(&mut self, path: &Path, length: u64, is_bounded: bool) -> Result<F::File> {
        if is_bounded && self.bytes().saturating_add(length) > self.limits.max_bytes {
            self.remove_spares()?;
            let bytes = self.bytes().saturating_add(length);
            if bytes > self.limits.max_bytes {
                return Err(Error::Full {
                    folder: self.folder.clone(),
                    bytes,
                    max_bytes: self.limits.max_bytes,
                });
            }
        }
        let file = self.files.create(path).map_err(Error::io("make", path))?;
        if let Err(error) = file.allocate(length) {
            // What cannot be removed holds no group.
            let _ = self.files.remove_file(path);
            return Err(Error::io("take room for", path)(error));
        }
        Ok(file)
    }

    fn remove_spares(&mut self) -> Result<()> {
        while let Some(spare) = self.spares.pop() {
            self.remove_file(&spare.path)?;
        }
        Ok(())
    }

    pub fn remove_file(&self, path: &Path) -> Result<()> {
        self.files.remove_file(path).map_err(Error::io("remove", path))
    }

    /// Gives up segments all of whose groups are settled, and those whose copies are on the disk.
    pub fn give_up_settled(&mut self, settled: u64) -> Result<()> {
        let mut result = Ok(());
        while let Some(first) = self.sealed.front().filter(|first| first.last.1 <= settled) {
            self.shared.forget(&first.segment);
            if let Some(sealed) = self.sealed.pop_front() {
                result = result.and(self.give_up(sealed));
            }
        }
        result.and(self.give_up_copied(settled))
    }

    fn give_up_copied(&mut self, settled: u64) -> Result<()> {
        let mut result = Ok(());
        let shared = &self.shared;
        let is_needless =
            |copied: &Copied<F>| copied.sealed.last.1 <= settled || shared.are_copies_synced(copied.copies);
        let (gone, left) = std::mem::take(&mut self.copied).into_iter().partition(is_needless);
        self.copied = left;
        for copied in gone as Vec<Copied<F>> {
            result = result.and(self.remove_file(&copied.sealed.segment.path));
        }
        result
    }

    fn give_up(&mut self, sealed: Sealed<F>) -> Result<()> {
        self.given_up = self.given_up.max(sealed.last.0);
        let is_usable = sealed.segment.bytes == whole_pages(self.limits.segment_bytes)
            && !sealed.segment.is_failed.load(Ordering::Acquire)
            && self.spares.len() < SPARES_MAX;
        match Arc::try_unwrap(sealed.segment) {
            Ok(segment) if is_usable => {
                self.spares.push(Spare {
                    file: segment.file,
                    path: segment.path,
                    bytes: segment.bytes,
                });
                Ok(())
            }
            Ok(segment) => self.remove_file(&segment.path),
            // Whoever still reads it goes on reading what was there.
            Err(segment) => self.remove_file(&segment.path),
        }
    }

    pub fn remove_folder(&mut self) -> Result<()> {
        self.open = None;
        folder::remove(&self.files, &self.directory, &self.folder, self.shared.has_synced())
    }
}

fn whole_pages(bytes: u64) -> u64 {
    const PAGE_BYTES: u64 = 4096;
    bytes.checked_next_multiple_of(PAGE_BYTES).unwrap_or(bytes)
}
