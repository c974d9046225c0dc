//! What came to be parked, in the order in which it came: for an index that is asked now and then.

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

    /// Before the first group.
    pub fn start(&self) -> Arrivals {
        let edition = self.editions;
        Arrivals { edition, groups: 0 }
    }

    /// Whether [`Self::since`] goes on where somebody has stopped. Otherwise it begins anew.
    pub fn goes_on(&self, seen: Arrivals) -> bool {
        seen.edition == self.editions
    }

    /// The groups that came since, each with how far somebody has read who has it.
    pub fn since(&self, seen: Arrivals) -> impl Iterator<Item = (Arrivals, u64)> {
        let from = if self.goes_on(seen) { seen.groups } else { 0 };
        let edition = self.editions;
        let behind = move |groups| Arrivals { edition, groups };
        let new = self.groups.iter().enumerate().skip(from);
        new.map(move |(at, number)| (behind(at + 1), *number))
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
