//! Leaves segments whose sync has failed.
//!
//! After a failed sync the kernel may hold pages for clean that are not on the disk, and a second
//! sync of the file says that all is well. So the unsettled groups are read (the pages are still in
//! memory), and written to another file. The old one stays until that one is synced, or its groups
//! are settled: of the two, at least one has each group.
//!
//! The copies have the ordinals and numbers of the originals. Recovery takes each ordinal once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::put;
use super::segments::{Copied, Open, Sealed, Segments};
use crate::error::{Error, Result};
use crate::files::{Files, Mapping as _};
use crate::record::{Head, record_bytes};
use crate::segment::{Found, Segment, Walk};

pub(super) fn leave_failed<F: Files>(segments: &mut Segments<F>, settled: u64) -> Result<()> {
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
    let mut copier = Copier::new(&sources, settled);
    let copied = sources.iter().try_for_each(|source| copier.copy(segments, source));
    let last = segments.sealed.back().map_or(0, |sealed| sealed.last.0);
    let checked = copied.and_then(|()| copier.check(segments, last));
    if let Err(error) = checked {
        // Nothing was given up. The next try begins anew.
        for copy in copier.copies {
            let _ = segments.remove_file(&copy.segment.path);
        }
        return Err(error);
    }
    let originals = segments.sealed.split_off(first);
    for copy in &copier.copies {
        segments.shared().begin(Arc::clone(&copy.segment));
    }
    let copies = segments.shared().copied(&sources);
    let is_open = copier.copies.pop();
    for copy in copier.copies {
        segments.open = Some(copy);
        segments.seal();
    }
    segments.open = is_open;
    let originals = originals.into_iter().map(|sealed| Copied { sealed, copies });
    segments.copied.extend(originals);
    Ok(())
}

struct Copier<F: Files> {
    settled: u64,
    /// The last record that was copied, or is not to be.
    last: (u64, u64),
    copies: Vec<Open<F>>,
}

impl<F: Files> Copier<F> {
    fn new(sources: &[Arc<Segment<F::File>>], settled: u64) -> Self {
        let header = sources.first().map(|first| first.header);
        Self {
            settled,
            last: header.map_or((0, 0), |header| (header.base_ordinal, header.base_number)),
            copies: Vec::new(),
        }
    }

    fn copy(&mut self, segments: &mut Segments<F>, source: &Arc<Segment<F::File>>) -> Result<()> {
        let mut walk = Walk::new(Arc::clone(source));
        while let Some(found) = walk.next_found() {
            if found.head.ordinal != self.last.0 + 1 {
                break;
            }
            if found.head.number > self.settled {
                self.append(segments, &found)?;
            }
            self.last = (found.head.ordinal, found.head.number);
        }
        Ok(())
    }

    fn append(&mut self, segments: &mut Segments<F>, found: &Found) -> Result<()> {
        let bytes = record_bytes(found.payload.len()).unwrap_or(usize::MAX);
        let room = |open: &Open<F>| open.at.saturating_add(bytes) as u64 <= open.segment.bytes;
        if !self.copies.last().is_some_and(room) {
            let open = segments.begin(bytes, self.last.0, self.last.1, false)?;
            self.copies.push(open);
        }
        let Some(open) = self.copies.last_mut() else {
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
        put(open, open.at + crate::record::HEAD_BYTES, &found.payload)?;
        put(open, open.at, &head.encode(open.seed))?;
        open.at += bytes;
        open.last = (found.head.ordinal, found.head.number);
        Ok(())
    }

    /// Refuses copies in which a group is missing.
    fn check(&self, segments: &Segments<F>, last: u64) -> Result<()> {
        if self.last.0 >= last {
            return Ok(());
        }
        let missing = format!("record {} cannot be read any more", self.last.0 + 1);
        Err(Error::io("copy the groups of", segments.folder())(
            std::io::Error::other(missing),
        ))
    }
}
