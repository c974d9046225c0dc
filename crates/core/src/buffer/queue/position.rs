//! Names of lanes, and of groups in them.

/// The most lanes: more than a server profits from, and as many as a set of them has bits.
pub const MAX_LANES: usize = 64;

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

/// A group's position in one word, where there is one for each row. They are in the order of the
/// groups' numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PackedPosition(u64);

impl PackedPosition {
    /// Packs it.
    pub fn new(position: GroupPosition) -> Self {
        Self(position.number * MAX_LANES as u64 + position.lane.index() as u64)
    }

    /// Unpacks it.
    pub fn unpacked(self) -> GroupPosition {
        let lane = self.0 % MAX_LANES as u64;
        GroupPosition {
            lane: LaneId::new(usize::try_from(lane).unwrap_or_default()),
            number: self.0 / MAX_LANES as u64,
        }
    }
}
