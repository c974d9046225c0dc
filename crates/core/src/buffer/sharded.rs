//! A map from hashes that grows and shrinks a little at a time. A plain map of a million entries
//! moves all of them when it grows, which takes tens of milliseconds under the buffer's lock.
//!
//! It is extendible hashing: the first bits of a hash choose a shard, by a directory. A shard that
//! is full is split in two by the next bit, and nothing else moves.
//!
//! Bounds: an insertion moves at most 2 × [`SHARD_ENTRIES`] entries, a sweep looks at as many. The
//! directory has at most 8 places for each shard that so many entries need ([`MAX_PLACES`]): more
//! hashes than that with the same first bits, which chance does not make, share a larger shard.

use rustc_hash::{FxBuildHasher, FxHashMap};

/// The most entries of a shard: seven eighths of a power of two, which is when a map would grow.
const SHARD_ENTRIES: usize = 1_792;
/// The most places of the directory for each full shard. With less than four, many a shard would
/// grow instead of being split.
const MAX_PLACES: usize = 8;

#[derive(Debug)]
struct Shard<V> {
    entries: FxHashMap<u64, V>,
    /// So many first bits are the same for all its hashes.
    depth: u32,
}

/// A map from hashes: see the module.
#[derive(Debug)]
pub struct ShardedMap<V> {
    shards: Vec<Shard<V>>,
    /// The shard for each sequence of `depth` first bits.
    directory: Vec<usize>,
    depth: u32,
    entries: usize,
    /// The entries for which there is memory.
    capacity: usize,
    /// The shard that is swept next.
    next_swept: usize,
}

impl<V> Default for ShardedMap<V> {
    fn default() -> Self {
        Self {
            shards: vec![Shard {
                entries: FxHashMap::default(),
                depth: 0,
            }],
            directory: vec![0],
            depth: 0,
            entries: 0,
            capacity: 0,
            next_swept: 0,
        }
    }
}

/// Spreads a hash over all bits: the first ones choose the shard.
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The first bits of a spread hash, as a position.
fn first_bits(spread: u64, depth: u32) -> usize {
    let bits = if depth == 0 { 0 } else { spread >> (64 - depth) };
    usize::try_from(bits).unwrap_or_default()
}

impl<V> ShardedMap<V> {
    fn shard_of(&self, hash: u64) -> usize {
        let place = first_bits(spread(hash), self.depth);
        self.directory.get(place).copied().unwrap_or_default()
    }

    /// The value of a hash.
    pub fn get(&self, hash: u64) -> Option<&V> {
        self.shards.get(self.shard_of(hash))?.entries.get(&hash)
    }

    /// How many entries it has.
    pub fn count(&self) -> usize {
        self.entries
    }

    /// The memory that it takes, in bytes, roughly.
    pub fn size_bytes(&self) -> usize {
        // A map has eight places for seven entries, and a byte beside each.
        self.capacity * 8 / 7 * (size_of::<(u64, V)>() + 1)
    }

    /// Changes the value of a hash. It begins as `V::default()`.
    pub fn update(&mut self, hash: u64, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        let mut at = self.shard_of(hash);
        // Each split halves the shard, unless its hashes are alike.
        while self.is_to_split(at) {
            self.split(at, hash);
            at = self.shard_of(hash);
        }
        let Some(shard) = self.shards.get_mut(at) else { return };
        let (entries, capacity) = (shard.entries.len(), shard.entries.capacity());
        change(shard.entries.entry(hash).or_default());
        self.entries += shard.entries.len() - entries;
        self.capacity += shard.entries.capacity() - capacity;
    }

    fn is_to_split(&self, at: usize) -> bool {
        self.shards.get(at).is_some_and(|shard| {
            shard.entries.len() >= SHARD_ENTRIES
                && (shard.depth < self.depth
                    || 2 * self.directory.len() <= MAX_PLACES * (self.entries / SHARD_ENTRIES + 1))
        })
    }

    /// Splits the shard of a hash.
    #[cold]
    fn split(&mut self, at: usize, hash: u64) {
        let new = self.shards.len();
        let Some(shard) = self.shards.get_mut(at) else { return };
        shard.depth += 1;
        let depth = shard.depth;
        self.capacity -= shard.entries.capacity();
        let half = || FxHashMap::with_capacity_and_hasher(SHARD_ENTRIES / 2, FxBuildHasher);
        let (mut zeros, mut ones) = (half(), half());
        for (hash, value) in shard.entries.drain() {
            let is_one = first_bits(spread(hash), depth) & 1 == 1;
            if is_one { &mut ones } else { &mut zeros }.insert(hash, value);
        }
        self.capacity += zeros.capacity() + ones.capacity();
        shard.entries = zeros;
        self.shards.push(Shard { entries: ones, depth });
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|shard| [*shard, *shard]).collect();
            self.depth = depth;
        }
        // The places of the new shard: those of its first bits, whatever comes behind these.
        let places = 1 << (self.depth - depth);
        let first = (first_bits(spread(hash), depth) | 1) * places;
        for place in self.directory.iter_mut().skip(first).take(places) {
            *place = new;
        }
    }

    /// Forgets what is not to be kept, in one shard. The next call goes on with the next shard.
    pub fn sweep(&mut self, mut is_kept: impl FnMut(&V) -> bool) {
        self.next_swept = if self.next_swept + 1 < self.shards.len() {
            self.next_swept + 1
        } else {
            0
        };
        let Some(shard) = self.shards.get_mut(self.next_swept) else {
            return;
        };
        let (entries, capacity) = (shard.entries.len(), shard.entries.capacity());
        shard.entries.retain(|_, value| is_kept(value));
        if 4 * shard.entries.len() <= capacity {
            shard.entries.shrink_to_fit();
        }
        self.entries -= entries - shard.entries.len();
        self.capacity -= capacity - shard.entries.capacity();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn largest(map: &ShardedMap<u64>) -> usize {
        map.shards
            .iter()
            .map(|shard| shard.entries.capacity())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn it_holds_what_a_plain_map_holds() {
        let (mut map, mut model) = (ShardedMap::default(), HashMap::new());
        let mut random = fastrand::Rng::with_seed(1);
        for step in 0..300_000_u64 {
            // Some hashes come again, some are small numbers.
            let hash = match step % 3 {
                0 => random.u64(..),
                1 => random.u64(..20_000),
                _ => random.u64(..20_000) << 40,
            };
            map.update(hash, |value| *value = step);
            model.insert(hash, step);
            if map.count() > 100_000 {
                map.sweep(|value| *value % 2 == 0);
                model.retain(|hash, _| map.get(*hash).is_some());
            }
        }
        assert_eq!(map.count(), model.len());
        assert!(model.iter().all(|(hash, value)| map.get(*hash) == Some(value)));
        let capacity: usize = map.shards.iter().map(|shard| shard.entries.capacity()).sum();
        assert_eq!(map.capacity, capacity);
        for _ in 0..map.shards.len() {
            map.sweep(|_| false);
        }
        assert_eq!((map.count(), map.capacity), (0, 0));
        assert!(model.keys().all(|hash| map.get(*hash).is_none()));
    }

    #[test]
    fn no_insertion_moves_more_than_a_shard() {
        for entries in [10_000, 1_000_000_u64] {
            let mut map = ShardedMap::default();
            for hash in 0..entries {
                map.update(hash, |value| *value = hash);
            }
            assert!(largest(&map) <= 2 * SHARD_ENTRIES, "{}", largest(&map));
            assert!(map.shards.len() <= 4 * map.count().div_ceil(SHARD_ENTRIES));
            let bytes = map.size_bytes() / map.count();
            assert!((17..=48).contains(&bytes), "{bytes} bytes an entry");
        }
    }

    #[test]
    fn hashes_that_agree_in_their_first_bits_share_a_shard() {
        // The inverse of the multiplier, so that these spread to neighbours.
        let inverse = 0xf1de_83e1_9937_733d_u64;
        assert_eq!(spread(inverse), 1);
        let mut map = ShardedMap::default();
        for at in 0..10_000_u64 {
            map.update(at.wrapping_mul(inverse), |value| *value = at);
        }
        assert_eq!(map.count(), 10_000);
        assert!((0..10_000_u64).all(|at| map.get(at.wrapping_mul(inverse)) == Some(&at)));
        assert!(map.directory.len() <= 2 * MAX_PLACES * 6);
    }
}
