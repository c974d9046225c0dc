//! Names of lanes, and of groups in them.

/// A lane, by its position in its set. Only that set makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(usize);

impl LaneId {
    pub(in crate::buffer) fn new(index: usize) -> Self {
        Self(index)
    }

    /// The position, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A group of another lane that has to be settled first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPosition {
    /// Its lane.
    pub lane: LaneId,
    /// Its number.
    pub number: u64,
}
