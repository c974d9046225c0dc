//! Judges where a log ends: see [`ending`](super::ending).

use super::ending::{Damage, DamageKind, Ending, WholeLog, WholeSegment, damage, is_relevant};
use super::{Peeked, Scan};
use crate::files::Files;
use crate::record::{Head, Kind};
use crate::segment::Fault;

impl<F: Files> Scan<F> {
    /// Notes a gap in what is settled, and goes on with this ordinal.
    pub(super) fn pass(&mut self, ordinal: u64) {
        if let Some(damage) = self.lost_before(ordinal) {
            self.damages.push(damage);
        }
        self.next = ordinal;
    }

    /// Whether a segment of this life of the machine goes on behind the gap before an ordinal, and
    /// has lost something in it: but for a group, of which the head is there.
    fn lost_before(&self, ordinal: u64) -> Option<Damage> {
        let first = self.next.max(self.given_up.saturating_add(1));
        let is_lost = |peeked: &&Peeked<F::File>| {
            let first = first.max(peeked.header().base_ordinal.saturating_add(1));
            let Some(found) = &peeked.found else {
                // It may end there: with a copy that was never finished.
                return false;
            };
            let end = found.head.ordinal.min(ordinal);
            let is_group = |fault: &Fault| {
                let is_it = |head: &Head| head.kind == Kind::Group && head.ordinal == first;
                fault.head.as_ref().is_some_and(is_it)
            };
            let is_known = end == first + 1 && peeked.walk.faults().iter().any(is_group);
            peeked.is_same_boot && first < end && !is_known
        };
        let peeked = self.walks.iter().find(is_lost)?;
        Some(Damage {
            path: peeked.walk.segment().path.clone(),
            offset: peeked.ends.1,
            kind: DamageKind::Missing,
        })
    }

    /// Why there are no more groups. Reads on, to see what comes later.
    pub fn ending(&mut self) -> Ending {
        let (mut later, mut is_later_same_boot) = (u64::MAX, false);
        for peeked in &mut self.walks {
            while let Some(found) = peeked.peek(self.next, &mut self.synced) {
                later = later.min(found.head.ordinal);
                is_later_same_boot |= peeked.is_same_boot;
                peeked.found = None;
            }
        }
        let has_later = later != u64::MAX;
        let mut damages = self.damages.clone();
        let next = self.next;
        for peeked in &self.walks {
            let path = &peeked.walk.segment().path;
            let faults = peeked.walk.faults().iter().filter(|fault| is_relevant(fault, next));
            damages.extend(faults.filter_map(|fault| damage(path, fault, peeked.is_same_boot)));
        }
        let headless = self.headless.iter().map(|path| Damage {
            path: path.clone(),
            offset: 0,
            kind: DamageKind::Header,
        });
        let missing = Damage {
            path: self.place.0.to_path_buf(),
            offset: self.place.1,
            kind: DamageKind::Missing,
        };
        let first_missing = self.next.max(self.given_up.saturating_add(1));
        // If the position's own group is not there, what was synced of the missing may be settled.
        let is_unsettled = self.last_number() >= self.after;
        let was_synced = is_unsettled && first_missing <= self.synced.min(later.saturating_sub(1));
        if self.is_same_boot() || was_synced {
            damages.extend(headless);
        }
        if has_later && (is_later_same_boot || was_synced) {
            damages.push(missing.clone());
        }
        if damages.is_empty() && !has_later && self.headless.is_empty() {
            self.whole = Some(self.whole_log());
        }
        // What follows is read anew.
        for peeked in &mut self.walks {
            *peeked = Peeked::new(peeked.walk.again(), peeked.is_same_boot);
        }
        if !damages.is_empty() {
            Ending::Damaged(damages)
        } else if has_later || !self.headless.is_empty() {
            Ending::PowerCut(missing)
        } else {
            Ending::Whole
        }
    }

    /// The log, if its [ending](Self::ending) is whole.
    pub(crate) fn into_whole(mut self) -> Option<WholeLog> {
        if self.whole.is_none() {
            self.ending();
        }
        self.whole.filter(|_| !self.has_guessed)
    }

    fn whole_log(&self) -> WholeLog {
        let segments = self.walks.iter().map(|peeked| WholeSegment {
            path: peeked.walk.segment().path.clone(),
            header: peeked.header(),
            bytes: peeked.walk.segment().bytes,
            contents: peeked.contents,
            is_same_boot: peeked.is_same_boot,
        });
        let is_old = self.walks.iter().all(|peeked| !peeked.is_same_boot);
        WholeLog {
            segments: segments.collect(),
            last_ordinal: self.last_ordinal(),
            last_number: self.last_number().max(self.after),
            after: self.after,
            // What is there after the machine was off was on the disk.
            synced: if is_old { self.last_ordinal() } else { self.synced },
            given_up: self.given_up,
        }
    }
}
