//! Owns what a lane may take.

/// What a lane may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A segment's length. A larger group gets a segment of its own.
    pub segment_bytes: u64,
    /// On the disk, in all. Notes may take one segment more, so that they find room where a group
    /// did.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            max_bytes: 1 << 30,
        }
    }
}

/// Whom a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It keeps to the bound.
    Group,
    /// It may pass it by a segment.
    Note,
    /// It may pass it: what it is a copy of goes soon.
    Copy,
}
