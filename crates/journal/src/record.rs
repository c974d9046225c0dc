//! Owns the form of a record: a head of 40 bytes, then the payload, padded to a multiple of 8.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | CRC-32C of the rest of the head |
//! | 4–7 | CRC-32C of the payload |
//! | 8–11 | the payload's length, in bytes |
//! | 12 | its kind: 1 is a group, 2 a note |
//! | 13 | the engine's lane of a group; 0 for a note. 14–15 are zero |
//! | 16–23 | ordinal: records of a lane count from 1, without a gap |
//! | 24–31 | number: the group's, from the engine; it only grows. A note has the last group's |
//! | 32–39 | synced: each record up to this ordinal was on the disk when this one was written |
//!
//! All numbers are little-endian. Both checksums start from the segment's salt, so a record of a
//! segment's former life is none of this one.
//!
//! Invariant: a length is believed only once the head's checksum is right. The head is written
//! after the payload: where a head is, the payload was whole.

/// The bytes of a head.
pub const HEAD_BYTES: usize = 40;
/// Records start at multiples of this.
pub const ALIGN: usize = 8;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A group of rows, in its [portable form](crate::group).
    Group,
    /// Bytes of the engine's, between groups.
    Note,
    /// Something of a later version.
    Unknown(u8),
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Group => 1,
            Self::Note => 2,
            Self::Unknown(code) => code,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Group,
            2 => Self::Note,
            other => Self::Unknown(other),
        }
    }
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The payload's checksum.
    pub payload_crc: u32,
    /// The payload's length, in bytes.
    pub length: u32,
    /// What the payload is.
    pub kind: Kind,
    /// The engine's lane of a group; 0 for a note.
    pub lane: u8,
    /// Its place among the records of its lane.
    pub ordinal: u64,
    /// The group's number; a note's is that of the group before it.
    pub number: u64,
    /// What was on the disk by then.
    pub synced: u64,
}

impl Head {
    /// The head's bytes, in a segment of this seed.
    pub fn encode(&self, seed: u32) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let words: [(usize, &[u8]); 6] = [
            (4, &self.payload_crc.to_le_bytes()),
            (8, &self.length.to_le_bytes()),
            (12, &[self.kind.code(), self.lane]),
            (16, &self.ordinal.to_le_bytes()),
            (24, &self.number.to_le_bytes()),
            (32, &self.synced.to_le_bytes()),
        ];
        for (at, word) in words {
            if let Some(place) = bytes.get_mut(at..at + word.len()) {
                place.copy_from_slice(word);
            }
        }
        let (crc, rest) = bytes.split_at_mut(4);
        crc.copy_from_slice(&crc32c::crc32c_append(seed, rest).to_le_bytes());
        bytes
    }

    /// Whether a record may come after one of this number: groups' numbers grow, and a note has the
    /// number of the group before it.
    pub fn may_follow(&self, number: u64) -> bool {
        match self.kind {
            Kind::Group => self.number > number,
            Kind::Note | Kind::Unknown(_) => self.number >= number,
        }
    }

    /// Reads a head. `None`: these bytes are none, in a segment of this seed.
    pub fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let bytes: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let (crc, rest) = bytes.split_at(4);
        if crc != crc32c::crc32c_append(seed, rest).to_le_bytes() {
            return None;
        }
        let [kind, lane, 0, 0] = bytes.get(12..)?.first_chunk()? else {
            return None;
        };
        Some(Self {
            payload_crc: u32_at(bytes, 4)?,
            length: u32_at(bytes, 8)?,
            kind: Kind::from_code(*kind),
            lane: *lane,
            ordinal: Self::ordinal(bytes)?,
            number: u64_at(bytes, 24)?,
            synced: u64_at(bytes, 32)?,
        })
    }

    /// The ordinal of what may be a head: a look that costs no checksum.
    pub fn ordinal(bytes: &[u8]) -> Option<u64> {
        u64_at(bytes, 16)
    }
}

/// What the checksums of a segment start from.
pub fn seed(salt: u64) -> u32 {
    crc32c::crc32c(&salt.to_le_bytes())
}

/// What a record of this payload takes, in bytes. `None`: no length of a payload.
pub fn record_bytes(payload: usize) -> Option<usize> {
    u32::try_from(payload).ok()?;
    payload.checked_add(HEAD_BYTES)?.checked_next_multiple_of(ALIGN)
}

/// A little-endian number.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A little-endian number.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: Head = Head {
        payload_crc: 7,
        length: 300,
        kind: Kind::Group,
        lane: 200,
        ordinal: 9,
        number: u64::MAX,
        synced: 4,
    };

    #[test]
    fn a_head_is_read_in_its_own_segment_only() {
        let bytes = HEAD.encode(seed(1));
        assert_eq!(Head::decode(&bytes, seed(1)), Some(HEAD));
        assert_eq!(Head::decode(&bytes, seed(2)), None);
        assert_eq!(Head::decode(&[0; HEAD_BYTES], seed(1)), None);
        assert_eq!(Head::decode(&bytes[..39], seed(1)), None);
    }

    #[test]
    fn a_head_says_its_kind_and_its_lane() {
        for (kind, code) in [(Kind::Group, 1), (Kind::Note, 2), (Kind::Unknown(3), 3)] {
            for lane in [0, 1, u8::MAX] {
                let head = Head { kind, lane, ..HEAD };
                let bytes = head.encode(seed(1));
                assert_eq!(bytes[12..16], [code, lane, 0, 0], "{head:?}");
                assert_eq!(Head::decode(&bytes, seed(1)), Some(head));
            }
        }
    }

    #[test]
    fn numbers_of_groups_grow_and_notes_stay_with_the_group_before() {
        let head = |kind| Head {
            kind,
            number: 7,
            ..HEAD
        };
        assert_eq!(
            [6, 7, 8].map(|last| head(Kind::Group).may_follow(last)),
            [true, false, false]
        );
        assert_eq!(
            [6, 7, 8].map(|last| head(Kind::Note).may_follow(last)),
            [true, true, false]
        );
    }

    #[test]
    fn each_changed_bit_is_seen() {
        let bytes = HEAD.encode(seed(1));
        for bit in 0..HEAD_BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&changed, seed(1)), None, "bit {bit}");
        }
    }

    #[test]
    fn records_are_aligned() {
        assert_eq!([0, 1, 8, 9].map(record_bytes), [Some(40), Some(48), Some(48), Some(56)]);
        assert_eq!(record_bytes(usize::MAX), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Head::decode(&bytes, 0);
        }
    }
}
