//! The numbers of groups that follow each other in a lane. Pure.
//!
//! Groups of a single lane have numbers without gaps, and then they take no memory. Otherwise a
//! group takes a byte, or as many as the gap before it needs.

/// Seven bits of a gap, and whether more follow.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// Numbers that grow: see the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    first: u64,
    last: u64,
    count: usize,
    /// How many numbers are missing before each one but the first. Empty if none is.
    gaps: Vec<u8>,
}

impl Numbers {
    /// Adds a number, which is above all others.
    pub fn push(&mut self, number: u64) {
        if self.count == 0 {
            self.first = number;
        } else {
            let gap = number.saturating_sub(self.last + 1);
            if gap > 0 && self.gaps.is_empty() {
                self.gaps.resize(self.count - 1, 0);
            }
            if gap > 0 || !self.gaps.is_empty() {
                self.push_gap(gap);
            }
        }
        self.last = number;
        self.count += 1;
    }

    fn push_gap(&mut self, mut gap: u64) {
        loop {
            let low = u8::try_from(gap % u64::from(MORE)).unwrap_or_default();
            gap >>= BITS;
            if gap == 0 {
                return self.gaps.push(low);
            }
            self.gaps.push(low | MORE);
        }
    }

    /// The first one.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last one.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let (mut gaps, mut next) = (self.gaps.iter(), self.first);
        (0..self.count).map(move |at| {
            if at > 0 {
                let mut shift = 0;
                for byte in gaps.by_ref() {
                    next += u64::from(byte % MORE) << shift;
                    shift += BITS;
                    if byte & MORE == 0 {
                        break;
                    }
                }
            }
            next += 1;
            next - 1
        })
    }

    /// The position of a number.
    pub fn position(&self, number: u64) -> Option<usize> {
        if self.count == 0 || !(self.first..=self.last).contains(&number) {
            return None;
        }
        if self.gaps.is_empty() {
            return usize::try_from(number - self.first).ok();
        }
        let at = self.iter().position(|other| other >= number)?;
        (self.iter().nth(at) == Some(number)).then_some(at)
    }

    /// The memory that they take, in bytes, beside their own.
    pub fn size_bytes(&self) -> usize {
        self.gaps.capacity()
    }

    /// Gives back the memory that was reserved in vain.
    pub fn shrink(&mut self) {
        self.gaps.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_and_are_found(
            first in 1_u64..1000,
            steps in prop::collection::vec(prop_oneof![Just(1_u64), 1_u64..300, 1_u64..1 << 50], 0..100),
        ) {
            let mut all = vec![first];
            for step in steps {
                all.push(all[all.len() - 1] + step);
            }
            let mut numbers = Numbers::default();
            for number in &all {
                numbers.push(*number);
            }
            prop_assert_eq!(numbers.iter().collect::<Vec<_>>(), all.clone());
            prop_assert_eq!((numbers.first(), numbers.last(), numbers.count()), (first, all[all.len() - 1], all.len()));
            for (at, number) in all.iter().enumerate() {
                prop_assert_eq!(numbers.position(*number), Some(at));
                let next = number + 1;
                prop_assert_eq!(numbers.position(next), all.iter().position(|other| *other == next));
            }
            prop_assert_eq!(numbers.position(first - 1), None);
        }
    }

    #[test]
    fn numbers_without_gaps_take_no_memory() {
        let mut numbers = Numbers::default();
        (7..100_000).for_each(|number| numbers.push(number));
        assert_eq!(numbers.size_bytes(), 0);
        assert_eq!(numbers.position(99_999), Some(99_992));
        assert_eq!(Numbers::default().position(0), None);
    }
}
