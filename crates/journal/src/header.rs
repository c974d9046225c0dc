//! Owns what stands at the head of a lane's folder and of each segment. Pure.
//!
//! A lane's header says to whoever takes the folder over where its rows belong and how they are
//! written. A segment's header says which records it has.
//!
//! Invariant: nothing in them is believed before their checksum is right. A later version of the
//! format keeps magic, version and checksum where they are.

use crate::files::BootId;
use crate::record::{u32_at, u64_at};

/// The version of both formats.
pub const VERSION: u32 = 1;
/// Records begin here in a segment.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The part of it that is used: less than a sector, so that it is never half old.
pub const SEGMENT_HEADER_USED: usize = 80;
/// A lane's header is no longer.
pub const LANE_HEADER_BYTES_MAX: usize = 16 * 1024 * 1024;

const SEGMENT_MAGIC: &[u8; 8] = b"WBJSEG\r\n";
const LANE_MAGIC: &[u8; 8] = b"WBJLAN\r\n";
/// Magic, version and checksum.
const PREFIX_BYTES: usize = 16;

/// Why a header is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// Nothing was written yet.
    Unwritten,
    /// A later version wrote it.
    Version(u32),
    /// The bytes are no header.
    Damaged,
}

/// Whose a lane's folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneHeader {
    /// The machine's life in which it was made.
    pub boot_id: BootId,
    /// The writer's name in the ledger.
    pub writer: String,
    /// Where its rows go. Without the password: that is the caller's to leave out.
    pub dsn: String,
    /// The tables' rules and the settings that matter, as the engine spells them.
    pub settings: String,
}

impl LaneHeader {
    /// The header's bytes. `None`: it is too long.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut body = self.boot_id.to_vec();
        for text in [&self.writer, &self.dsn, &self.settings] {
            body.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        let mut bytes = prefix(*LANE_MAGIC, &body).to_vec();
        bytes.append(&mut body);
        (bytes.len() <= LANE_HEADER_BYTES_MAX).then_some(bytes)
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let body = body(bytes, *LANE_MAGIC)?;
        let (boot_id, mut rest) = body.split_first_chunk().ok_or(HeaderError::Damaged)?;
        let mut text = || {
            let length = usize::try_from(u32_at(rest, 0)?).ok()?;
            let (text, others) = rest.get(4..)?.split_at_checked(length)?;
            rest = others;
            String::from_utf8(text.to_vec()).ok()
        };
        let mut next = || text().ok_or(HeaderError::Damaged);
        Ok(Self {
            boot_id: *boot_id,
            writer: next()?,
            dsn: next()?,
            settings: next()?,
        })
    }
}

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// What its checksums start from: new with each life of the file.
    pub salt: u64,
    /// Segments count from 1.
    pub sequence: u64,
    /// Its records come after this ordinal.
    pub base_ordinal: u64,
    /// Its groups come after this number, and nothing between is elsewhere.
    pub base_number: u64,
    /// Records up to this ordinal were given up before: each was settled.
    pub given_up: u64,
    /// When it was begun, in milliseconds since 1970. For people.
    pub begun_unix_ms: u64,
    /// The machine's life in which it was begun.
    pub boot_id: BootId,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_USED] {
        let mut bytes = [0; SEGMENT_HEADER_USED];
        let numbers = [
            self.salt,
            self.sequence,
            self.base_ordinal,
            self.base_number,
            self.given_up,
            self.begun_unix_ms,
        ];
        let words = numbers.iter().flat_map(|number| number.to_le_bytes());
        let (head, body) = bytes.split_at_mut(PREFIX_BYTES);
        for (place, byte) in body.iter_mut().zip(words.chain(self.boot_id)) {
            *place = byte;
        }
        head.copy_from_slice(&prefix(*SEGMENT_MAGIC, body));
        bytes
    }

    /// Reads a segment's first bytes.
    ///
    /// # Errors
    ///
    /// Why they are no header.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..SEGMENT_HEADER_USED).ok_or(HeaderError::Unwritten)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderError::Unwritten);
        }
        let body = body(bytes, *SEGMENT_MAGIC)?;
        let number = |at: usize| u64_at(body, at * 8).ok_or(HeaderError::Damaged);
        let boot_id = body.last_chunk().ok_or(HeaderError::Damaged)?;
        Ok(Self {
            salt: number(0)?,
            sequence: number(1)?,
            base_ordinal: number(2)?,
            base_number: number(3)?,
            given_up: number(4)?,
            begun_unix_ms: number(5)?,
            boot_id: *boot_id,
        })
    }
}

fn checksum(magic_and_version: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(magic_and_version), body)
}

fn prefix(magic: [u8; 8], body: &[u8]) -> [u8; PREFIX_BYTES] {
    let mut bytes = [0; PREFIX_BYTES];
    let (head, crc) = bytes.split_at_mut(12);
    for (place, byte) in head.iter_mut().zip(magic.into_iter().chain(VERSION.to_le_bytes())) {
        *place = byte;
    }
    crc.copy_from_slice(&checksum(head, body).to_le_bytes());
    bytes
}

fn body(bytes: &[u8], magic: [u8; 8]) -> Result<&[u8], HeaderError> {
    let (head, body) = bytes.split_at_checked(PREFIX_BYTES).ok_or(HeaderError::Damaged)?;
    let (head, crc) = head.split_at(12);
    if !head.starts_with(&magic) || crc != checksum(head, body).to_le_bytes() {
        return Err(HeaderError::Damaged);
    }
    match u32_at(head, 8) {
        Some(VERSION) => Ok(body),
        version => Err(HeaderError::Version(version.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> LaneHeader {
        LaneHeader {
            boot_id: [7; 16],
            writer: "host-1-ab".to_owned(),
            dsn: "mysql://app@db/orders".to_owned(),
            settings: "{\"order\":\"orders\"}".to_owned(),
        }
    }

    const SEGMENT: SegmentHeader = SegmentHeader {
        salt: u64::MAX,
        sequence: 3,
        base_ordinal: 4,
        base_number: 5,
        given_up: 2,
        begun_unix_ms: 6,
        boot_id: [9; 16],
    };

    #[test]
    fn headers_are_read_back() {
        let bytes = lane().encode().expect("short");
        assert_eq!(LaneHeader::decode(&bytes), Ok(lane()));
        assert_eq!(SegmentHeader::decode(&SEGMENT.encode()), Ok(SEGMENT));
    }

    #[test]
    fn each_changed_bit_is_seen() {
        let bytes = lane().encode().expect("short");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            LaneHeader::decode(&changed).expect_err("changed");
        }
        for bit in 0..SEGMENT_HEADER_USED * 8 {
            let mut changed = SEGMENT.encode();
            changed[bit / 8] ^= 1 << (bit % 8);
            SegmentHeader::decode(&changed).expect_err("changed");
        }
        for length in 0..bytes.len() {
            LaneHeader::decode(&bytes[..length]).expect_err("cut");
        }
    }

    #[test]
    fn a_later_version_says_so() {
        let mut bytes = SEGMENT.encode();
        bytes[8] = 2;
        let crc = checksum(&bytes[..12], &bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Version(2)));
        assert_eq!(SegmentHeader::decode(&[0; 4096]), Err(HeaderError::Unwritten));
        assert_eq!(SegmentHeader::decode(&[]), Err(HeaderError::Unwritten));
    }
}
