//! Owns the portable form of one value: a tag byte, then the payload. Numbers are little-endian.
//!
//! | tag | value | payload |
//! |---|---|---|
//! | 0 | NULL | |
//! | 1 | an integer | 8 bytes |
//! | 2 | a float | 8 bytes |
//! | 3 | a string of any bytes | length in 4 bytes, then the bytes |
//! | 4 | a date and time, `YYYY-MM-DD HH:MM:SS.ffffff` | as a string |
//!
//! The engine's own batches have the same form, so that a row is encoded once. It may change there
//! only with the version of the [group](crate::group).

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string: any bytes.
    Bytes(&'a [u8]),
    /// A date and time.
    DateTime(&'a str),
}

/// Reads the values of one row. Ends early at bytes that are none.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    /// Reads a row's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        Some(match self.take()? {
            [0] => Value::Null,
            [1] => Value::Int(i64::from_le_bytes(self.take()?)),
            [2] => Value::Float(f64::from_le_bytes(self.take()?)),
            [3] => Value::Bytes(self.string()?),
            [4] => Value::DateTime(std::str::from_utf8(self.string()?).ok()?),
            _ => return None,
        })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let before = self.rest;
        let value = self.value();
        if value.is_none() {
            self.rest = before;
        }
        value
    }
}

/// Appends a value.
///
/// # Errors
///
/// A string of more than 4 GiB. Nothing was appended.
pub fn encode(value: Value<'_>, into: &mut Vec<u8>) -> Result<(), TooLong> {
    let (tag, bytes) = match value {
        Value::Null => {
            into.push(0);
            return Ok(());
        }
        Value::Int(number) => {
            into.push(1);
            into.extend_from_slice(&number.to_le_bytes());
            return Ok(());
        }
        Value::Float(number) => {
            into.push(2);
            into.extend_from_slice(&number.to_le_bytes());
            return Ok(());
        }
        Value::Bytes(bytes) => (3, bytes),
        Value::DateTime(text) => (4, text.as_bytes()),
    };
    let length = u32::try_from(bytes.len()).map_err(|_| TooLong)?;
    into.push(tag);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(bytes);
    Ok(())
}

/// More than the form has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;
