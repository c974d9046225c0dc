//! Goes on in a folder that another process has left.
//!
//! What is found there stays as it is: new records come into new segments, with ordinals that
//! follow on the last one that is whole. Two records of one ordinal would be the end of all order.
//! So, before the first new one:
//!
//! - Nothing whole comes after the last record: the scan has looked, in each segment.
//! - What was removed or renamed, and could come back by a power cut, does not: the folder is
//!   synced.
//! - What only tells of later records goes: files that have nothing, files that were being begun,
//!   and segments that come after records that are lost.
//!
//! A record that was half written when the process or the machine went down keeps its place in an
//! old segment. It is not whole, and nobody writes there again: the record that gets its ordinal is
//! the only one.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Lane;
use super::bounds::Limits;
use super::segments::{Sealed, Segments};
use super::sync::Shared;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::folder;
use crate::header::{LaneHeader, SegmentHeader};
use crate::scan::WholeLog;
use crate::segment::{Contents, Segment};

impl<F: Files> Lane<F> {
    /// Goes on where a log ends. The folder is locked by `lock`.
    pub(crate) fn resume(
        (files, directory, folder): (&F, &Path, PathBuf),
        header: &LaneHeader,
        log: &WholeLog,
        limits: Limits,
        lock: F::Lock,
    ) -> Result<Self> {
        let boot_id = files.boot_id().map_err(Error::io("go on in", &folder))?;
        let bytes = header.encode().ok_or(Error::GroupTooLarge {
            bytes: header.settings.len(),
        })?;
        let last_sequence = folder::last_sequence(files, &folder).map_err(Error::io("list", &folder))?;
        remove_leftovers(files, &folder, log)?;
        let shared = Arc::new(Shared::new(files.clone(), directory, &folder, bytes));
        shared.inherit(log.last_ordinal, log.synced);
        let sealed = open_all(files, log, &shared)?;
        let last_sequence = log
            .segments
            .iter()
            .map(|segment| segment.header.sequence)
            .fold(last_sequence, u64::max);
        let mut segments = Segments::new(files.clone(), directory, folder, limits, boot_id, shared);
        segments.inherit(sealed, last_sequence, log.given_up);
        Ok(Self {
            segments,
            last_number: log.last_number,
            last_ordinal: log.last_ordinal,
            pid: process::id(),
            _lock: lock,
        })
    }
}

/// Whether a segment comes after records that nobody has any more: it has none itself.
fn is_astray(contents: Contents, log: &WholeLog) -> bool {
    contents.ordinal > log.last_ordinal
}

fn remove_leftovers<F: Files>(files: &F, folder: &Path, log: &WholeLog) -> Result<()> {
    // Nobody else may tell what was given up, before this lane does.
    let tells = |header: &SegmentHeader| log.given_up > 0 && header.given_up == log.given_up;
    let kept = |path: &PathBuf| {
        let mut segments = log.segments.iter().filter(|segment| segment.path == *path);
        segments.any(|segment| !is_astray(segment.contents, log) || tells(&segment.header))
    };
    let begun = folder::begun(files, folder).map_err(Error::io("list", folder))?;
    let mut segments = folder::segments(files, folder).map_err(Error::io("list", folder))?;
    segments.retain(|path| !kept(path));
    for path in begun.iter().chain(&segments) {
        match files.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
            _ => {}
        }
    }
    // Also what the dead process removed: it does not come back.
    files.sync_folder(folder).map_err(Error::io("sync", folder))
}

fn open_all<F: Files>(files: &F, log: &WholeLog, shared: &Shared<F>) -> Result<VecDeque<Sealed<F>>> {
    let mut sealed = VecDeque::new();
    for whole in log.segments.iter().filter(|whole| !is_astray(whole.contents, log)) {
        let file = files
            .open_to_write(&whole.path)
            .map_err(Error::io("open", &whole.path))?;
        let segment = Arc::new(Segment::new(file, whole.path.clone(), whole.header, whole.bytes));
        segment.seal(whole.contents.ordinal, whole.contents.records);
        if whole.is_same_boot {
            segment.is_doubtful.store(true, Ordering::Release);
            shared.begin(Arc::clone(&segment));
        }
        sealed.push_back(Sealed {
            segment,
            contents: whole.contents,
            mapping: None,
        });
    }
    Ok(sealed)
}
