//! Random numbers that a seed repeats.

/// A source of them: <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// A source that a seed determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// Another source, whose numbers have nothing to do with this one's.
    pub fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_their_end_and_all_are_met() {
        let mut random = Random::new(1);
        let mut met = [0; 5];
        for _ in 0..1_000 {
            met[usize::try_from(random.below(5)).unwrap()] += 1;
        }
        assert!(met.iter().all(|times| *times > 100), "{met:?}");
    }

    #[test]
    fn a_seed_repeats_itself() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            let mut other = random.fork();
            (0..20).map(|_| (random.below(9), other.below(9))).collect::<Vec<_>>()
        };
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
        assert!(numbers(3).iter().any(|(one, other)| one != other));
    }
}
