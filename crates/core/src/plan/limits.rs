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

/// The most by which a value's bytes in an execute packet exceed those in a batch: a float's.
const VALUE_GROWTH_BYTES: usize = 1 + 24 + 3 - 9;

/// At most so many bytes has a row in an execute packet, by what it takes in a batch.
pub(crate) fn row_bytes_max(encoded_bytes: usize, values: usize) -> usize {
    encoded_bytes + VALUE_GROWTH_BYTES * values
}

/// A row's bytes in an execute packet: its values, and for each of them its type (2 bytes) and its
/// bit for NULL.
pub(crate) fn row_bytes(row: &[Value<'_>]) -> usize {
    row.iter().map(|value| value.wire_bytes() + 3).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value<'static>> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
            Just(Value::DateTime("2026-01-01 00:00:00.000000".into())),
        ]
    }

    proptest! {
        #[test]
        fn no_row_is_larger_than_its_bytes_in_a_batch_say(row in prop::collection::vec(value(), 0..20)) {
            let mut encoded = Vec::new();
            for value in &row {
                value.encode(&mut encoded).expect("short");
            }
            prop_assert!(row_bytes(&row) <= row_bytes_max(encoded.len(), row.len()));
        }
    }
}
