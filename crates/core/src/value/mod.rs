//! Owns one column's value, its encoded form in a batch ([`room`]: many values at once), and exact
//! numbers ([`decimal`]).
//!
//! A batch keeps its values in one byte vector, each as a tag byte and a payload. So taking a row
//! costs no allocation per value, and dropping it costs none either.
//!
//! Invariant: what [`Value::encode`] wrote, [`Values`] reads back.
//!
//! Bounds: a value has at most [`MAX_VALUE_BYTES`] bytes (4 GiB), a decimal 200 digits on either
//! side of the point.

pub mod decimal;
pub mod float_text;
pub mod room;

use std::borrow::Cow;

/// The longest string that a row may have. LONGBLOB and LONGTEXT, the longest types, end here too:
/// <https://dev.mysql.com/doc/refman/8.4/en/storage-requirements.html>.
pub const MAX_VALUE_BYTES: usize = u32::MAX as usize;

/// A value as it came from PHP, or as a merge computed it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A PHP int, or a bool as 1 or 0.
    Int(i64),
    /// A finite PHP float.
    Float(f64),
    /// A PHP string: any bytes.
    Bytes(Cow<'a, [u8]>),
    /// A `DateTimeInterface`, as `YYYY-MM-DD HH:MM:SS.ffffff`. It is cut to its column's precision
    /// before it is sent: the server would round it, and 23:59:59.9 would become another day.
    DateTime(Cow<'a, str>),
}

/// The bytes of an encoded string beside its own.
pub(crate) const STRING_OVERHEAD_BYTES: usize = 5;

const TAG_NULL: u8 = 0;
const TAG_INT: u8 = 1;
const TAG_FLOAT: u8 = 2;
const TAG_BYTES: u8 = 3;
const TAG_DATE_TIME: u8 = 4;

impl<'a> Value<'a> {
    /// Borrows a string's bytes.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    /// Borrows a string's bytes.
    pub fn text(text: &'a str) -> Self {
        Self::bytes(text.as_bytes())
    }

    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value with memory of its own.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(number),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::DateTime(text) => Value::DateTime(Cow::Owned(text.into_owned())),
        }
    }

    /// The bytes that this value takes on the wire, at most. A number may be sent as text (see
    /// `sink/mysql/parameters.rs`). The longest are -9223372036854775808 and
    /// -2.2250738585072014e-308.
    pub fn wire_bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Int(_) => 1 + 20,
            Self::Float(_) => 1 + 24,
            Self::Bytes(bytes) => 9 + bytes.len(),
            Self::DateTime(text) => 9 + text.len(),
        }
    }

    /// Appends the encoded value.
    ///
    /// # Errors
    ///
    /// A string longer than [`MAX_VALUE_BYTES`]; nothing was appended.
    pub fn encode(&self, arena: &mut Vec<u8>) -> Result<(), ValueTooLong> {
        match self {
            Self::Null => encode_null(arena),
            Self::Int(number) => encode_int(arena, *number),
            Self::Float(number) => encode_float(arena, *number),
            Self::Bytes(bytes) => encode_bytes(arena, bytes)?,
            Self::DateTime(text) => encode_string(arena, TAG_DATE_TIME, text.as_bytes())?,
        }
        Ok(())
    }
}

/// A string longer than [`MAX_VALUE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueTooLong;

#[inline]
fn encode_null(arena: &mut Vec<u8>) {
    arena.push(TAG_NULL);
}

#[inline]
fn encode_int(arena: &mut Vec<u8>, number: i64) {
    encode_word(arena, TAG_INT, number.to_le_bytes());
}

#[inline]
fn encode_float(arena: &mut Vec<u8>, number: f64) {
    encode_word(arena, TAG_FLOAT, number.to_le_bytes());
}

#[inline]
fn encode_bytes(arena: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ValueTooLong> {
    encode_string(arena, TAG_BYTES, bytes)
}

/// In one piece: each append checks whether there is room.
#[inline]
fn encode_word(arena: &mut Vec<u8>, tag: u8, bytes: [u8; 8]) {
    let mut word = [tag; 9];
    if let Some(payload) = word.get_mut(1..) {
        payload.copy_from_slice(&bytes);
    }
    arena.extend_from_slice(&word);
}

#[inline]
fn encode_string(arena: &mut Vec<u8>, tag: u8, bytes: &[u8]) -> Result<(), ValueTooLong> {
    let length = u32::try_from(bytes.len()).map_err(|_| ValueTooLong)?;
    let [a, b, c, d] = length.to_le_bytes();
    arena.reserve(STRING_OVERHEAD_BYTES + bytes.len());
    arena.extend_from_slice(&[tag, a, b, c, d]);
    arena.extend_from_slice(bytes);
    Ok(())
}

/// Reads the values of one row, in the order of its shape's columns.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    /// Reads what [`Value::encode`] wrote.
    pub fn new(encoded: &'a [u8]) -> Self {
        Self { rest: encoded }
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    #[inline]
    fn take_string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    /// Of a row all values are read, one by one.
    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let [tag] = self.take()?;
        match tag {
            TAG_NULL => Some(Value::Null),
            TAG_INT => Some(Value::Int(i64::from_le_bytes(self.take()?))),
            TAG_FLOAT => Some(Value::Float(f64::from_le_bytes(self.take()?))),
            TAG_BYTES => Some(Value::bytes(self.take_string()?)),
            TAG_DATE_TIME => {
                let text = std::str::from_utf8(self.take_string()?).ok()?;
                Some(Value::DateTime(Cow::Borrowed(text)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<f64>()
                .prop_filter("PHP's NAN is refused before", |float| !float.is_nan())
                .prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(Cow::Owned(bytes))),
            "[0-9: .-]{0,26}".prop_map(|text| Value::DateTime(Cow::Owned(text))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values in prop::collection::vec(any_value(), 0..20)) {
            let mut arena = Vec::new();
            for value in &values {
                value.encode(&mut arena).expect("short values");
            }
            prop_assert_eq!(Values::new(&arena).collect::<Vec<_>>(), values);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Values::new(&bytes).count();
        }
    }
}
