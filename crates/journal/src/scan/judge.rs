//! Judges where a log ends: see [`ending`](super::ending).

use super::ending::{Damage, DamageKind, Ending, WholeLog, WholeSegment, damage, is_relevant};
use super::{Peeked, Scan};
use crate::files::Files;

impl<F: Files> Scan<F> {
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
        let was_synced = next <= self.synced.min(later.saturating_sub(1));
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
        self.whole
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
            last_number: self.last_number(),
            // What is there after the machine was off was on the disk.
            synced: if is_old { self.last_ordinal() } else { self.synced },
            given_up: self.given_up,
        }
    }
}
