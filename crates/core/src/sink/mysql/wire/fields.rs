//! Reads the fields of a packet, one after the other. A field that is not there, or not whole, is
//! `None`: nothing here indexes, and nothing here allocates.

/// The NULL of a text row, in the place of a length.
pub const NULL_COLUMN: u8 = 0xfb;

/// What is left of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'p>(&'p [u8]);

impl<'p> Fields<'p> {
    /// All of a packet.
    pub fn of(packet: &'p [u8]) -> Self {
        Self(packet)
    }

    /// What is left.
    pub fn rest(self) -> &'p [u8] {
        self.0
    }

    /// Some bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'p [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// As many bytes as the array has.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of one to nine bytes:
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html>.
    pub fn length(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Some(u64::from(small)),
            0xfc => self.u16().map(u64::from),
            0xfd => self
                .array()
                .map(|[first, second, third]| u64::from(u32::from_le_bytes([first, second, third, 0]))),
            0xfe => self.array().map(u64::from_le_bytes),
            // NULL, and the beginning of an error.
            0xfb | 0xff => None,
        }
    }

    /// Bytes behind their length.
    pub fn text(&mut self) -> Option<&'p [u8]> {
        let length = self.length()?;
        self.bytes(usize::try_from(length).ok()?)
    }

    /// Bytes up to a zero, which is taken too.
    pub fn until_zero(&mut self) -> Option<&'p [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let bytes = self.bytes(end)?;
        self.byte()?;
        Some(bytes)
    }
}

/// Appends a number of one to nine bytes.
#[inline]
pub fn push_length(output: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        // Most texts are short.
        Ok(length @ 0..=0xfa) => output.push(length),
        _ => push_large_length(output, length),
    }
}

fn push_large_length(output: &mut Vec<u8>, length: usize) {
    let bytes = (length as u64).to_le_bytes();
    let (marker, used) = match length {
        0..=0xffff => (0xfc, 2),
        0x1_0000..=0xff_ffff => (0xfd, 3),
        _ => (0xfe, 8),
    };
    output.push(marker);
    output.extend_from_slice(bytes.get(..used).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::io::ParseBuf;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths_are_read_as_they_are_written(length in prop_oneof![0..300_u64, 0..70_000_u64, any::<u64>()]) {
            let mut bytes = Vec::new();
            push_length(&mut bytes, usize::try_from(length).expect("64 bit"));
            prop_assert_eq!(Fields::of(&bytes).length(), Some(length));
            prop_assert_eq!(ParseBuf(&bytes).eat_lenenc_int(), length);
        }

        #[test]
        fn no_bytes_are_read_twice_or_invented(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut fields = Fields::of(&bytes);
            while let Some(text) = fields.text() {
                prop_assert!(text.len() < bytes.len());
            }
            prop_assert!(fields.rest().len() <= bytes.len());
            let mut fields = Fields::of(&bytes);
            let mut count = 0;
            while let Some(text) = fields.until_zero() {
                count += text.len() + 1;
            }
            prop_assert_eq!(count + fields.rest().len(), bytes.len());
        }
    }
}
