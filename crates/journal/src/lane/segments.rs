//! Owns a lane's segments: the one that takes groups, those that wait to be settled, the spare
//! ones.
//!
//! A spare segment is a file whose groups were all settled. It is used again under a new name and a
//! new salt: its room is taken already, and its old records are none of the new segment's.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ahead::{Ahead, MappingOf, Prepared, Spare};
use super::bounds::{Limits, Room};
use super::sync::Shared;
use crate::error::{Error, Result};
use crate::files::{BootId, File as _, Files, Mapping as _, is_forked};
use crate::folder;
use crate::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::record::seed;
use crate::segment::{Contents, Segment};

/// So many settled segments are kept to be used again.
const SPARES_MAX: usize = 2;
/// The next segment is prepared once such a part of this one is full.
const PREPARED_AFTER: u64 = 8;

/// The segment that takes groups.
#[derive(Debug)]
pub(super) struct Open<F: Files> {
    pub segment: Arc<Segment<F::File>>,
    pub mapping: MappingOf<F>,
    pub seed: u32,
    /// Where the next record begins.
    pub at: usize,
    pub contents: Contents,
    /// It was begun beyond the bound: groups may use it once others are given up.
    is_beyond: bool,
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
    pub contents: Contents,
    /// For when it is used again.
    pub mapping: Option<MappingOf<F>>,
}

/// A segment whose groups were copied.
#[derive(Debug)]
pub(super) struct Copied<F: Files> {
    pub sealed: Sealed<F>,
    /// The copies by which it is needed no more.
    pub copies: u64,
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
    /// A mapping that nobody needs. To let it go takes a while.
    retired: Option<MappingOf<F>>,
    /// What is being [prepared](super::ahead), in bytes.
    ahead_bytes: u64,
    ahead_count: u64,
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
            retired: None,
            ahead_bytes: 0,
            ahead_count: 0,
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
        self.kept_bytes().saturating_add(self.copied_bytes())
    }

    fn copied_bytes(&self) -> u64 {
        let copied = self.copied.iter().map(|copied| copied.sealed.segment.bytes);
        copied.fold(0, u64::saturating_add)
    }

    /// Without the segments that go once their copies are on the disk.
    fn kept_bytes(&self) -> u64 {
        let open = self.open.iter().map(|open| open.segment.bytes);
        let sealed = self.sealed.iter().map(|sealed| sealed.segment.bytes);
        let spares = self.spares.iter().map(|spare| spare.bytes);
        let all = open.chain(sealed).chain(spares).chain([self.ahead_bytes]);
        all.fold(0, u64::saturating_add)
    }

    /// What can be prepared now for the next segment, and let go of the last one. `None`: nothing.
    pub fn take_ahead(&mut self) -> Option<Ahead<F>> {
        let length = whole_pages(self.limits.segment_bytes);
        let spare = self.take_spare_ahead(length);
        let retired = self.retired.take();
        (spare.is_some() || retired.is_some()).then(|| Ahead::new(self.files.clone(), spare, length, retired))
    }

    /// What the next segment can be made of. `None`: one is prepared, or nobody needs one.
    fn take_spare_ahead(&mut self, length: u64) -> Option<std::result::Result<PathBuf, Spare<F>>> {
        let is_ready = self.spares.iter().any(|spare| spare.is_ready);
        let is_wanted = |open: &Open<F>| open.at as u64 > open.segment.bytes / PREPARED_AFTER;
        if is_ready || self.ahead_bytes > 0 || !self.open.as_ref().is_some_and(is_wanted) {
            return None;
        }
        let spare = match self.spares.pop() {
            Some(spare) => Err(spare),
            None if self.may_take(length, Room::Group) => {
                self.ahead_count += 1;
                Ok(folder::ahead(&self.folder, self.ahead_count))
            }
            None => return None,
        };
        self.ahead_bytes = length;
        Some(spare)
    }

    /// Takes back what was prepared, or what is left of it.
    pub fn put_ahead(&mut self, prepared: Prepared<F>) {
        if prepared.was_wanted {
            self.ahead_bytes = 0;
            self.spares.extend(prepared.spare);
        }
    }

    /// Whether a record fits into the segment that is open, and can be written there.
    pub fn has_room(&mut self, bytes: usize, room: Room) -> Result<bool> {
        let is_beyond = self.open.as_ref().is_some_and(|open| open.is_beyond);
        if is_beyond && room == Room::Group && self.kept_bytes() > self.limits.max_bytes {
            // What is left of it is for notes.
            return Ok(false);
        }
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
    pub fn rotate(&mut self, bytes: usize, after: (u64, u64), room: Room) -> Result<()> {
        if room == Room::Group && self.kept_bytes() > self.limits.max_bytes {
            // Notes have passed the bound: a spare one would be room that they need.
            self.remove_spares()?;
        }
        let open = self.begin(bytes, after, room)?;
        self.seal();
        self.shared.begin(Arc::clone(&open.segment));
        self.open = Some(open);
        Ok(())
    }

    /// The open segment takes no more.
    pub fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            open.segment.seal(open.contents.ordinal, open.contents.records);
            let mut mapping = Some(open.mapping);
            if self.mappings_kept() >= SPARES_MAX {
                self.retired = mapping.take();
            }
            self.sealed.push_back(Sealed {
                segment: open.segment,
                contents: open.contents,
                mapping,
            });
        }
    }

    /// How many mappings there are for segments to come.
    fn mappings_kept(&self) -> usize {
        let sealed = self.sealed.iter().filter(|sealed| sealed.mapping.is_some());
        let spares = self.spares.iter().filter(|spare| spare.mapping.is_some());
        sealed.count() + spares.count()
    }

    /// Makes a segment for records after this ordinal and this number.
    pub fn begin(&mut self, bytes: usize, (base_ordinal, base_number): (u64, u64), room: Room) -> Result<Open<F>> {
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
        let usable = || {
            self.spares
                .iter()
                .enumerate()
                .filter(|(_, spare)| spare.bytes == length)
        };
        let (file, mapping) = match usable().max_by_key(|(_, spare)| (spare.is_ready, spare.mapping.is_some())) {
            Some((at, _)) => {
                let spare = self.spares.remove(at);
                self.files
                    .rename(&spare.path, &new)
                    .map_err(Error::io("rename", &spare.path))?;
                (spare.file, spare.mapping)
            }
            None => (self.create(&new, length, room)?, None),
        };
        // Names of files are not used twice, not even by those that fail.
        self.last_sequence = header.sequence;
        let segment = Segment::new(file, path, header, length);
        let is_beyond = self.kept_bytes().saturating_add(length) > self.limits.max_bytes;
        let open = self.map(segment, mapping, &new, bytes, is_beyond);
        if open.is_err() {
            // What cannot be removed holds no group.
            let _ = self.files.remove_file(&new);
        }
        open
    }

    fn map(
        &self,
        segment: Segment<F::File>,
        mapping: Option<MappingOf<F>>,
        new: &Path,
        bytes: usize,
        is_beyond: bool,
    ) -> Result<Open<F>> {
        let length = usize::try_from(segment.bytes).unwrap_or(usize::MAX);
        let header = segment.header;
        let begin = || {
            let mut mapping = match mapping {
                Some(mapping) => mapping,
                None => segment.file.map(length)?,
            };
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
            contents: Contents::after(header.base_ordinal, header.base_number),
            is_beyond,
            segment: Arc::new(segment),
        })
    }

    fn create(&mut self, path: &Path, length: u64, room: Room) -> Result<F::File> {
        if !self.may_take(length, room) {
            self.remove_spares()?;
            if !self.may_take(length, room) {
                return Err(Error::Full {
                    folder: self.folder.clone(),
                    bytes: self.bytes().saturating_add(length),
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

    /// Whether another segment keeps to the bound.
    fn may_take(&self, length: u64, room: Room) -> bool {
        let max_bytes = self.limits.max_bytes;
        let fits = |bytes: u64, max_bytes| bytes.saturating_add(length) <= max_bytes;
        match room {
            Room::Copy => true,
            Room::Group => fits(self.bytes(), max_bytes),
            // Groups leave a segment for them, and stop where the first note needs it.
            Room::Note => {
                let bytes = self.kept_bytes();
                bytes <= max_bytes || fits(bytes, max_bytes.saturating_add(self.limits.segment_bytes))
            }
        }
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

    /// The last ordinal of the sealed segments whose groups have numbers up to this one.
    pub fn sealed_within(&self, number: u64) -> Option<u64> {
        let gone = self.sealed.iter().take_while(|sealed| sealed.contents.number <= number);
        gone.map(|sealed| sealed.contents.ordinal).last()
    }

    /// Gives up segments that have no record after this one, and those whose copies are on the
    /// disk.
    pub fn give_up_through(&mut self, ordinal: u64) -> Result<()> {
        let mut result = Ok(());
        while let Some(first) = self.sealed.front().filter(|first| first.contents.ordinal <= ordinal) {
            self.shared.forget(&first.segment);
            if let Some(sealed) = self.sealed.pop_front() {
                result = result.and(self.give_up(sealed));
            }
        }
        result.and(self.give_up_copied(ordinal))
    }

    fn give_up_copied(&mut self, ordinal: u64) -> Result<()> {
        let mut result = Ok(());
        let shared = &self.shared;
        let is_needless =
            |copied: &Copied<F>| copied.sealed.contents.ordinal <= ordinal || shared.are_copies_synced(copied.copies);
        let (gone, left) = std::mem::take(&mut self.copied).into_iter().partition(is_needless);
        self.copied = left;
        for copied in gone as Vec<Copied<F>> {
            result = result.and(self.remove_file(&copied.sealed.segment.path));
        }
        result
    }

    fn give_up(&mut self, sealed: Sealed<F>) -> Result<()> {
        self.given_up = self.given_up.max(sealed.contents.ordinal);
        // What was for notes is theirs again.
        let is_bounded = self.kept_bytes().saturating_add(sealed.segment.bytes) <= self.limits.max_bytes;
        let is_usable = sealed.segment.bytes == whole_pages(self.limits.segment_bytes)
            && !sealed.segment.is_failed.load(Ordering::Acquire)
            && self.spares.len() < SPARES_MAX
            && is_bounded;
        let mut mapping = sealed.mapping;
        if let Some(mapping) = &mut mapping {
            mapping.begin_again();
        }
        match Arc::try_unwrap(sealed.segment) {
            Ok(segment) if is_usable => {
                self.spares.push(Spare {
                    file: segment.file,
                    path: segment.path,
                    bytes: segment.bytes,
                    mapping,
                    is_ready: false,
                });
                Ok(())
            }
            other => {
                if mapping.is_some() {
                    self.retired = mapping;
                }
                // Whoever still reads it goes on reading what was there.
                let path = match &other {
                    Ok(segment) => &segment.path,
                    Err(segment) => &segment.path,
                };
                self.remove_file(path)
            }
        }
    }

    /// Takes over what another process has left: segments in their order.
    pub fn inherit(&mut self, sealed: VecDeque<Sealed<F>>, last_sequence: u64, given_up: u64) {
        self.sealed = sealed;
        self.last_sequence = last_sequence;
        self.given_up = given_up;
    }

    pub fn remove_folder(&mut self) -> Result<()> {
        self.open = None;
        folder::remove(
            &self.files,
            &self.directory,
            &self.folder,
            self.shared.is_maybe_on_disk(),
        )
    }
}

fn whole_pages(bytes: u64) -> u64 {
    const PAGE_BYTES: u64 = 4096;
    bytes.checked_next_multiple_of(PAGE_BYTES).unwrap_or(bytes)
}
