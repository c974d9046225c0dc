//! Leaves segments whose sync has failed.
//!
//! After a failed sync the kernel may hold pages for clean that are not on the disk, and a second
//! sync of the file says that all is well. So its records are read (the pages are still in memory),
//! and written to another file. The old one stays until that one is synced, or is given up: of the
//! two, at least one has each record.
//!
//! The copies have the ordinals and numbers of the originals. Recovery takes each ordinal once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::bounds::Room;
use super::segments::{Copied, Open, Sealed, Segments};
use crate::error::{Error, Result};
use crate::files::{Files, Mapping as _};
use crate::record::{HEAD_BYTES, Head, record_bytes};
use crate::segment::{Found, Segment, Walk};

pub(super) fn leave_failed<F: Files>(segments: &mut Segments<F>) -> Result<()> {
    segments.seal();
    let is_failed = |sealed: &Sealed<F>| sealed.segment.is_failed.load(Ordering::Acquire);
    // Those after it as well: so the copies' ordinals follow each other.
    let first = segments.sealed.iter().position(is_failed).unwrap_or(0);
    let sources: Vec<Arc<Segment<F::File>>> = segments
        .sealed
        .iter()
        .skip(first)
        .map(|sealed| Arc::clone(&sealed.segment))
        .collect();
    let mut run = CopyRun::new(&sources);
    let result = sources.iter().try_for_each(|source| run.copy(segments, source));
    if let Err(error) = result {
        // Nothing was given up. The next try begins anew.
        for copy in run.segments {
            let _ = segments.remove_file(&copy.segment.path);
        }
        return Err(error);
    }
    let originals = segments.sealed.split_off(first);
    for copy in &run.segments {
        segments.shared().begin(Arc::clone(&copy.segment));
    }
    let copies = segments.shared().copied(&sources);
    let is_open = run.segments.pop();
    for copy in run.segments {
        segments.open = Some(copy);
        segments.seal();
    }
    segments.open = is_open;
    let originals = originals.into_iter().map(|sealed| Copied {
        sealed: Sealed {
            mapping: None,
            ..sealed
        },
        copies,
    });
    segments.copied.extend(originals);
    Ok(())
}

struct CopyRun<F: Files> {
    /// The ordinal and number of the last record that was copied.
    last: (u64, u64),
    segments: Vec<Open<F>>,
}

impl<F: Files> CopyRun<F> {
    fn new(sources: &[Arc<Segment<F::File>>]) -> Self {
        let header = sources.first().map(|first| first.header);
        Self {
            last: header.map_or((0, 0), |header| (header.base_ordinal, header.base_number)),
            segments: Vec::new(),
        }
    }

    /// Copies a segment, and refuses one in which a record is missing.
    fn copy(&mut self, segments: &mut Segments<F>, source: &Arc<Segment<F::File>>) -> Result<()> {
        let mut walk = Walk::new(Arc::clone(source));
        let mut records = 0;
        while let Some(found) = walk.next_found() {
            records += 1;
            if found.head.ordinal <= self.last.0 {
                // A process that is dead has copied it before.
                continue;
            }
            let is_next = found.head.ordinal == self.last.0 + 1;
            self.last.0 = found.head.ordinal - 1;
            self.append(segments, &found, is_next)?;
            self.last = (found.head.ordinal, found.head.number);
        }
        let checked = source.check_records(records);
        checked.map_err(Error::io("copy the groups of", &source.path))
    }

    fn append(&mut self, segments: &mut Segments<F>, found: &Found, is_next: bool) -> Result<()> {
        let bytes = record_bytes(found.payload.len()).unwrap_or(usize::MAX);
        let room = |open: &Open<F>| open.at.saturating_add(bytes) as u64 <= open.segment.bytes;
        // A dead process has given up what is missing before it: no segment has a hole for that.
        if !is_next || !self.segments.last().is_some_and(room) {
            let open = segments.begin(bytes, self.last, Room::Copy)?;
            self.segments.push(open);
        }
        let Some(open) = self.segments.last_mut() else {
            return Ok(());
        };
        open.mapping
            .prepare(open.at, bytes)
            .map_err(Error::io("write", &open.segment.path))?;
        let payload_crc = crc32c::crc32c_append(open.seed, &found.payload);
        let head = Head {
            payload_crc,
            ..found.head
        };
        open.put(open.at + HEAD_BYTES, &found.payload)?;
        open.put(open.at, &head.encode(open.seed))?;
        open.at += bytes;
        open.contents.push(&head);
        Ok(())
    }
}
