//! What came to be parked, in the order in which it came: for an index that is asked now and then.

use std::sync::Arc;

use crate::buffer::parking::Parking;
use crate::rows::batch::Batch;

/// The log is made anew when it has so many more groups than are parked.
const SETTLED_KEPT: usize = 1_024;

/// The groups that came, by number.
#[derive(Debug, Default)]
pub(super) struct Log {
    groups: Vec<u64>,
    /// How often it was made anew.
    editions: u64,
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    edition: u64,
    groups: usize,
}

impl Log {
    pub fn push(&mut self, number: u64) {
        self.groups.push(number);
    }

    pub fn clear(&mut self) {
        self.groups = Vec::new();
        self.editions += 1;
    }

    /// Forgets settled groups, once they are more than the others.
    pub fn forget_settled(&mut self, parked: usize, is_parked: impl Fn(u64) -> bool) {
        if self.groups.len() > 2 * parked + SETTLED_KEPT {
            self.groups.retain(|number| is_parked(*number));
            self.groups.shrink_to_fit();
            self.editions += 1;
        }
    }
}

impl Parking {
    /// Whether [`Self::arrived`] goes on where somebody has stopped. Otherwise it begins anew.
    pub fn goes_on(&self, seen: Arrivals) -> bool {
        seen.edition == self.log.editions
    }

    /// The next groups that came, each alone in its batch, with its number: `most` of them at most.
    /// None: that were all.
    pub fn arrived(&self, seen: Arrivals, most: usize) -> (Arrivals, Vec<(u64, Arc<Batch>)>) {
        let mut groups = if self.goes_on(seen) { seen.groups } else { 0 };
        let mut new = Vec::new();
        for number in self.log.groups.iter().skip(groups) {
            if new.len() == most {
                break;
            }
            groups += 1;
            new.extend(self.group(*number).map(|batch| (*number, batch)));
        }
        let edition = self.log.editions;
        (Arrivals { edition, groups }, new)
    }

    /// A group that is parked, or on its way again.
    pub fn group(&self, number: u64) -> Option<Arc<Batch>> {
        self.groups.get(&number).map(|group| Arc::clone(&group.batch))
    }
}
