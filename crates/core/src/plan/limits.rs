//! What the place that takes a transaction accepts at once.

use crate::value::Value;

/// What a packet holds beside the values, generously.
pub(crate) const PACKET_OVERHEAD_BYTES: usize = 64;

/// What a transaction's rows must fit into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_allowed_packet`.
    pub max_packet_bytes: usize,
}

impl Limits {
    /// The longest row that a packet takes.
    pub fn max_row_bytes(&self) -> usize {
        self.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES)
    }
}

/// What a row takes in an execute packet: its values, and for each the type (2 bytes) and its bit for NULL.
pub(crate) fn row_bytes(row: &[Value<'_>]) -> usize {
    row.iter().map(|value| value.wire_bytes() + 3).sum()
}
