//! What a server accepts at once.

use crate::value::Value;

/// The bytes of an execute packet beside its values, rounded up: its command, statement, flags,
/// count and the mark of new types are 11, and a server may want a packet to be smaller than its
/// bound.
pub(crate) const PACKET_OVERHEAD_BYTES: usize = 16;

/// The limits that a transaction's rows must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_allowed_packet`.
    pub max_packet_bytes: usize,
}

impl Limits {
    /// The largest row that a packet takes, in bytes.
    pub fn max_row_bytes(&self) -> usize {
        self.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES)
    }
}

/// A row's bytes in an execute packet: its values, and for each of them its type (2 bytes) and its
/// bit for NULL.
pub(crate) fn row_bytes(row: &[Value<'_>]) -> usize {
    row.iter().map(|value| value.wire_bytes() + 3).sum()
}
