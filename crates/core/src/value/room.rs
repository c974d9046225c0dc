//! Room for the encoded values of a row: one after the other, each with one look whether there is
//! room.
//!
//! Invariant: the bytes are those that [`Value::encode`](crate::value::Value::encode) appends.

use crate::value::{TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_NULL};

/// What is left of the room. `None`: a value has found none.
#[derive(Debug)]
pub struct Room<'r> {
    rest: Option<&'r mut [u8]>,
}

impl<'r> Room<'r> {
    /// All of these bytes.
    pub(crate) fn new(bytes: &'r mut [u8]) -> Self {
        Self { rest: Some(bytes) }
    }

    /// How many bytes are left. `None`: a value has found no room.
    pub(crate) fn left(&self) -> Option<usize> {
        self.rest.as_ref().map(|rest| rest.len())
    }

    /// The next bytes, to be written.
    #[inline]
    fn next<const N: usize>(&mut self) -> Option<&'r mut [u8; N]> {
        let (next, rest) = self.rest.take()?.split_first_chunk_mut()?;
        self.rest = Some(rest);
        Some(next)
    }

    #[inline]
    fn put_word(&mut self, new_tag: u8, new_word: [u8; 8]) -> Option<()> {
        let [tag, word @ ..] = self.next::<9>()?;
        *tag = new_tag;
        *word = new_word;
        Some(())
    }

    /// NULL. `None`: there is no room.
    #[inline]
    pub fn null(&mut self) -> Option<()> {
        *self.next()? = [TAG_NULL];
        Some(())
    }

    /// An int. `None`: there is no room.
    #[inline]
    pub fn int(&mut self, number: i64) -> Option<()> {
        self.put_word(TAG_INT, number.to_le_bytes())
    }

    /// A finite float. `None`: there is no room.
    #[inline]
    pub fn float(&mut self, number: f64) -> Option<()> {
        self.put_word(TAG_FLOAT, number.to_le_bytes())
    }

    /// A string. `None`: there is no room.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        // What is too long for this is too long for any room.
        let new_length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let [tag, length @ ..] = self.next::<5>()?;
        *tag = TAG_BYTES;
        *length = new_length.to_le_bytes();
        let (place, rest) = self.rest.take()?.split_at_mut_checked(bytes.len())?;
        place.copy_from_slice(bytes);
        self.rest = Some(rest);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{MAX_VALUE_BYTES, Value};
    use proptest::prelude::*;

    const _: () = assert!(
        MAX_VALUE_BYTES <= u32::MAX as usize,
        "a room is smaller than a value may be"
    );

    fn value() -> impl Strategy<Value = Value<'static>> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        ]
    }

    fn put(room: &mut Room<'_>, value: &Value<'_>) -> Option<()> {
        match value {
            Value::Null => room.null(),
            Value::Int(number) => room.int(*number),
            Value::Float(number) => room.float(*number),
            Value::Bytes(bytes) => room.bytes(bytes),
            Value::DateTime(_) => None,
        }
    }

    proptest! {
        #[test]
        fn values_are_encoded_as_elsewhere_or_find_no_room(
            values in prop::collection::vec(value(), 0..10),
            size in 0..200_usize,
        ) {
            let mut expected = Vec::new();
            for value in &values {
                value.encode(&mut expected).expect("short");
            }
            let mut bytes = vec![0; size];
            let mut room = Room::new(&mut bytes);
            let done = values.iter().try_for_each(|value| put(&mut room, value));
            match (done, room.left()) {
                (Some(()), Some(left)) => {
                    let used = size - left;
                    prop_assert_eq!(&bytes[..used], &expected[..]);
                }
                (None, None) => prop_assert!(expected.len() > size),
                (done, left) => prop_assert!(false, "{:?} with {:?} bytes left", done, left),
            }
        }
    }
}
