//! Reads groups back that a lane still has, while it takes more.
//!
//! A [`Spot`] names a record: where it was written, and its ordinal. The ordinal counts: after a
//! failed sync the records stand in [other segments](super::Lane::leave_failed), and then the spot
//! is looked for there.
//!
//! Reading goes through the file, and each record's checksums are compared: a page that the disk
//! cannot read is a [`Fault`], and not the end of the process.
//!
//! Invariant: as long as somebody has a stretch, its segments are not used again.

use std::path::Path;
use std::sync::Arc;

use super::Lane;
use crate::files::Files;
use crate::record::Kind;
use crate::segment::{Contents, Fault, Found, Segment, Spot, Walk};

/// Records of a lane that follow each other, to be read from any thread.
#[derive(Debug)]
pub struct Stretch<F: Files> {
    /// Those that have them now, in their order.
    segments: Vec<Arc<Segment<F::File>>>,
}

impl<F: Files> Lane<F> {
    /// The records from one on, up to an ordinal, as far as the lane has them.
    pub fn stretch(&self, from: Spot, through: u64) -> Stretch<F> {
        let sealed = self
            .segments
            .sealed
            .iter()
            .map(|sealed| (&sealed.segment, sealed.contents));
        let open = self.segments.open.iter().map(|open| (&open.segment, open.contents));
        let has_some = |(segment, contents): &(&Arc<Segment<F::File>>, Contents)| {
            segment.header.base_ordinal < through && contents.ordinal >= from.ordinal
        };
        let segments = sealed.chain(open).filter(has_some);
        Stretch {
            segments: segments.map(|(segment, _)| Arc::clone(segment)).collect(),
        }
    }
}

impl<F: Files> Stretch<F> {
    /// The files that have them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.segments.iter().map(|segment| &*segment.path)
    }

    /// Calls back with each group, from a spot on, up to an ordinal, until it says `false`. Returns
    /// what was found there that is not as it should be.
    pub fn read(
        &self,
        from: Spot,
        through: u64,
        mut take: impl FnMut(Found) -> bool,
    ) -> Vec<(Arc<Segment<F::File>>, Fault)> {
        let mut faults = Vec::new();
        let begins = self
            .segments
            .iter()
            .position(|segment| segment.header.sequence == from.sequence);
        for (at, segment) in self.segments.iter().enumerate().skip(begins.unwrap_or(0)) {
            let mut walk = Walk::new(Arc::clone(segment));
            if begins == Some(at) {
                walk.begin_at(from.offset);
            }
            let is_over = loop {
                let Some(found) = walk.next_found().filter(|found| found.head.ordinal <= through) else {
                    break false;
                };
                let is_last = found.head.ordinal == through;
                let is_wanted = found.head.kind == Kind::Group && found.head.ordinal >= from.ordinal;
                if (is_wanted && !take(found)) || is_last {
                    break true;
                }
            };
            faults.extend(walk.faults().iter().map(|fault| (Arc::clone(segment), fault.clone())));
            if is_over {
                break;
            }
        }
        faults
    }
}
