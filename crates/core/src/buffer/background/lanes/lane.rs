//! One lane, and some of them.

pub use crate::buffer::queue::MAX_LANES;

use crate::buffer::queue::{LaneId, Queue};

/// One lane: what waits in it, and who writes it.
#[derive(Debug)]
pub struct Lane<F> {
    /// What waits.
    pub queue: Queue,
    /// Who writes it. In tests of the rules alone: nobody.
    pub flusher: F,
}

/// Some lanes of one set, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneSet(u64);

impl LaneSet {
    /// One more.
    pub fn add(&mut self, lane: LaneId) {
        self.0 |= 1 << lane.index();
    }

    /// The lanes.
    pub fn ids(self) -> impl Iterator<Item = LaneId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lane = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (lane < MAX_LANES).then(|| LaneId::new(lane))
        })
    }
}
