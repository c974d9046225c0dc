//! Makes what a lane has taken survive a power cut. Any thread may, while the lane takes more.
//!
//! Invariants:
//! - What [`Syncer::sync_through`] returns for is on the disk: the groups, the names of their
//!   files, the lane's header, the names of the folders.
//! - A sync that failed is not tried again on the same file: the next answer may be untrue. The
//!   segment is left, and its groups are copied by the lane's next append. Until then each sync
//!   fails.
//! - Of what a dead process has left nobody knows whether its last sync failed, and the kernel says
//!   so once. So its records are written once more, the same bytes to the same place, before the
//!   first sync of their file: only then is the answer true.
//! - Callers that wait for the same sync share it.

use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::files::{File as _, Files};
use crate::folder;
use crate::segment::Segment;

/// What the lane and its syncers share.
#[derive(Debug)]
pub(super) struct Shared<F: Files> {
    files: F,
    directory: PathBuf,
    folder: PathBuf,
    header: Vec<u8>,
    /// The process that made it.
    pid: u32,
    /// The last record that the lane has taken.
    pub appended: AtomicU64,
    /// The last one that is on the disk, with all before it.
    pub synced: AtomicU64,
    /// A sync failed, and the lane has not left the segment yet.
    pub has_failed: AtomicBool,
    unsynced: Mutex<Unsynced<F>>,
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Unsynced<F: Files> {
    /// Segments that hold something new, in their order.
    segments: Vec<Arc<Segment<F::File>>>,
    /// How often names in the folder were changed, and how many of these changes are on the disk.
    names: u64,
    synced_names: u64,
    is_header_synced: bool,
    header_tries: u64,
    is_folder_synced: bool,
    /// The folder's names may be on the disk.
    is_maybe_on_disk: bool,
    /// How often segments were copied, and how many of these copies are on the disk.
    copies: u64,
    synced_copies: u64,
}

impl<F: Files> Shared<F> {
    pub fn new(files: F, directory: &Path, folder: &Path, header: Vec<u8>) -> Self {
        Self {
            files,
            directory: directory.to_owned(),
            folder: folder.to_owned(),
            header,
            pid: process::id(),
            appended: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            unsynced: Mutex::new(Unsynced {
                segments: Vec::new(),
                names: 0,
                synced_names: 0,
                is_header_synced: false,
                header_tries: 0,
                is_folder_synced: false,
                is_maybe_on_disk: false,
                copies: 0,
                synced_copies: 0,
            }),
            turn: Mutex::new(()),
        }
    }

    /// Takes over what another process has left: records up to this one, of which these are on the
    /// disk for certain.
    pub fn inherit(&self, appended: u64, synced: u64) {
        self.appended.store(appended, Ordering::Release);
        self.synced.store(synced, Ordering::Release);
        self.unsynced().is_maybe_on_disk = true;
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced<F>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a segment's first record.
    pub fn begin(&self, segment: Arc<Segment<F::File>>) {
        let mut unsynced = self.unsynced();
        unsynced.names += 1;
        unsynced.segments.push(segment);
    }

    /// A segment that nobody needs any more.
    pub fn forget(&self, segment: &Arc<Segment<F::File>>) {
        self.unsynced().segments.retain(|other| !Arc::ptr_eq(other, segment));
    }

    /// The groups of these segments were copied into later ones. Returns the copies' number.
    pub fn copied(&self, sources: &[Arc<Segment<F::File>>]) -> u64 {
        let mut unsynced = self.unsynced();
        let is_source = |segment: &Arc<_>| sources.iter().any(|source| Arc::ptr_eq(source, segment));
        unsynced.segments.retain(|segment| !is_source(segment));
        unsynced.copies += 1;
        self.has_failed.store(false, Ordering::Release);
        unsynced.copies
    }

    /// Whether so many copies are on the disk.
    pub fn are_copies_synced(&self, copies: u64) -> bool {
        self.unsynced().synced_copies >= copies
    }

    /// Whether the folder's names may be on the disk.
    pub fn is_maybe_on_disk(&self) -> bool {
        self.unsynced().is_maybe_on_disk
    }

    fn sync(&self) -> Result<()> {
        // Before the segments are listed: each record up to it is in one of them.
        let through = self.appended.load(Ordering::Acquire);
        let (segments, names, copies, is_header_synced, is_folder_synced, header_tries) = {
            let mut unsynced = self.unsynced();
            unsynced.header_tries += u64::from(!unsynced.is_header_synced);
            let names = (unsynced.names != unsynced.synced_names).then_some(unsynced.names);
            let segments = unsynced.segments.clone();
            (
                segments,
                names,
                unsynced.copies,
                unsynced.is_header_synced,
                unsynced.is_folder_synced,
                unsynced.header_tries,
            )
        };
        // All of them are begun before the first one is waited for.
        self.each(&segments, Segment::write_again)?;
        self.each(&segments, |segment| segment.file.sync())?;
        if !is_header_synced {
            // A new file each time, for the same reason.
            folder::write_synced_header(&self.files, &self.folder, &self.header, header_tries)?;
        }
        if names.is_some() || !is_header_synced {
            self.sync_folder(&self.folder, &segments)?;
        }
        if !is_folder_synced {
            self.sync_folder(&self.directory, &segments)?;
            if let Some(parent) = self.directory.parent().filter(|parent| *parent != Path::new("")) {
                self.sync_folder(parent, &segments)?;
            }
        }
        let mut unsynced = self.unsynced();
        unsynced.segments.retain(|segment| !segment.is_sealed_within(through));
        unsynced.synced_names = names.unwrap_or(unsynced.synced_names);
        unsynced.synced_copies = copies;
        unsynced.is_header_synced = true;
        unsynced.is_folder_synced = true;
        unsynced.is_maybe_on_disk = true;
        self.synced.fetch_max(through, Ordering::AcqRel);
        Ok(())
    }

    /// Does something with each segment. The first one for which it fails is to be left.
    fn each(
        &self,
        segments: &[Arc<Segment<F::File>>],
        action: impl Fn(&Arc<Segment<F::File>>) -> io::Result<()>,
    ) -> Result<()> {
        for segment in segments {
            if let Err(error) = action(segment) {
                segment.is_failed.store(true, Ordering::Release);
                self.has_failed.store(true, Ordering::Release);
                return Err(Error::io("sync", &segment.path)(error));
            }
        }
        Ok(())
    }

    /// A folder's sync that failed makes its segments doubtful: they may be on no name.
    fn sync_folder(&self, path: &Path, segments: &[Arc<Segment<F::File>>]) -> Result<()> {
        self.files.sync_folder(path).map_err(|error| {
            for segment in segments {
                segment.is_failed.store(true, Ordering::Release);
            }
            self.has_failed.store(!segments.is_empty(), Ordering::Release);
            Error::io("sync", path)(error)
        })
    }
}

/// Syncs a lane, from any thread.
#[derive(Debug)]
pub struct Syncer<F: Files> {
    pub(super) shared: Arc<Shared<F>>,
}

impl<F: Files> Clone for Syncer<F> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<F: Files> Syncer<F> {
    /// Waits until all that the lane has taken so far would survive a power cut. Returns the
    /// ordinal of the last record that does.
    ///
    /// # Errors
    ///
    /// The system's. What was on the disk before still is; of the rest nothing is known. Each
    /// further sync fails until the lane has left the segment, which its next append does. In a
    /// child of the lane's process each sync fails.
    pub fn sync(&self) -> Result<u64> {
        self.sync_through(self.shared.appended.load(Ordering::Acquire))
    }

    /// As [`Self::sync`], for records up to one.
    ///
    /// # Errors
    ///
    /// As [`Self::sync`].
    pub fn sync_through(&self, ordinal: u64) -> Result<u64> {
        let shared = &self.shared;
        if self.synced() < ordinal {
            if process::id() != shared.pid {
                // A thread that the child does not have may hold the locks.
                return Err(Error::Forked);
            }
            let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.has_failed.load(Ordering::Acquire) {
                let error = std::io::Error::other("a sync failed before, and the groups are not copied yet");
                return Err(Error::io("sync", &shared.folder)(error));
            }
            // Another caller may have done it meanwhile.
            if self.synced() < ordinal {
                shared.sync()?;
            }
        }
        Ok(self.synced())
    }

    /// The last record that is on the disk.
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// The last record that the lane has taken.
    pub fn appended(&self) -> u64 {
        self.shared.appended.load(Ordering::Acquire)
    }

    /// Whether the lane has to leave a segment: see
    /// [`Lane::leave_failed`](super::Lane::leave_failed).
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Acquire)
    }
}
