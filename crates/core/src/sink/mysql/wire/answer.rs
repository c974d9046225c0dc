//! The packets that end an answer or a part of one: OK, ERR, EOF.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html>.
//!
//! Bounds: an error's message has 4 KiB ([`MESSAGE_BYTES_MAX`]); what is longer is cut. Of an OK's
//! words 512 bytes are read.

use mysql::MySqlError;
use mysql::consts::StatusFlags;

use crate::sink::mysql::wire::fields::Fields;

/// The first byte of an OK.
pub const OK: u8 = 0x00;
/// The first byte of an ERR.
pub const ERR: u8 = 0xff;
/// The first byte of an EOF, and of the switch to another way to authenticate.
pub const EOF: u8 = 0xfe;
/// Servers have 512.
const MESSAGE_BYTES_MAX: usize = 4_096;
/// Those of a server have less than a hundred.
const INFO_BYTES_MAX: usize = 512;

/// An OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// With `CLIENT_FOUND_ROWS` this counts the rows that were found.
    pub affected_rows: u64,
    /// The number that the statement made, or gave to `LAST_INSERT_ID()`.
    pub last_insert_id: u64,
    /// The first two numbers of its words: `Records: 3  Duplicates: 1  Warnings: 0`, `Rows matched:
    /// 3  Changed: 1  Warnings: 0`. The words themselves are in the language of `lc_messages`.
    pub counts: Option<[u64; 2]>,
    /// What the session is like now.
    pub status: StatusFlags,
}

/// Reads an OK. `None`: it is none.
pub fn read_ok(packet: &[u8]) -> Option<Done> {
    let mut fields = Fields::of(packet);
    (fields.byte()? == OK).then_some(())?;
    let affected_rows = fields.length()?;
    let last_insert_id = fields.length()?;
    let status = StatusFlags::from_bits_truncate(fields.u16()?);
    let _warnings = fields.u16()?;
    Some(Done {
        affected_rows,
        last_insert_id,
        counts: read_counts(fields.rest()),
        status,
    })
}

/// Reads the numbers in an OK's words. `None`: there are not three.
fn read_counts(info: &[u8]) -> Option<[u64; 2]> {
    // The length before the words may look like a digit. Some leave it out.
    let mut behind_length = Fields::of(info);
    let words = behind_length.text().filter(|_| behind_length.rest().is_empty());
    let words = words.unwrap_or(info);
    let words = words.get(..INFO_BYTES_MAX).unwrap_or(words);
    let digits = words
        .split(|byte| !byte.is_ascii_digit())
        .filter(|part| !part.is_empty());
    let mut numbers = digits.map(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let counts = [numbers.next()??, numbers.next()??];
    numbers.next()?.map(|_warnings: u64| counts)
}

/// Reads an EOF. `None`: it is none.
pub fn read_eof(packet: &[u8]) -> Option<StatusFlags> {
    let mut fields = Fields::of(packet);
    (fields.byte()? == EOF && packet.len() < 9).then_some(())?;
    let _warnings = fields.u16()?;
    Some(StatusFlags::from_bits_truncate(fields.u16()?))
}

/// Reads an ERR. `None`: it is none.
pub fn read_err(packet: &[u8]) -> Option<MySqlError> {
    let mut fields = Fields::of(packet);
    (fields.byte()? == ERR).then_some(())?;
    let code = fields.u16()?;
    let rest = fields.rest();
    // There is no state before a handshake is over. A proxy may leave it out, too.
    let (state, message) = match rest.split_at_checked(6) {
        Some(([b'#', state @ ..], message)) => (state, message),
        _ => (b"HY000".as_slice(), rest),
    };
    let message = message.get(..MESSAGE_BYTES_MAX).unwrap_or(message);
    Some(MySqlError {
        state: String::from_utf8_lossy(state).into_owned(),
        message: String::from_utf8_lossy(message).into_owned(),
        code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::constants::CapabilityFlags;
    use mysql_common::io::ParseBuf;
    use mysql_common::packets::{CommonOkPacket, ErrPacket, OkPacketDeserializer};
    use proptest::prelude::*;

    #[test]
    fn answers_are_told_apart() {
        let refused = |state: &str| MySqlError {
            code: 1062,
            state: state.to_owned(),
            message: "no".to_owned(),
        };
        for (packet, rows, error, is_eof) in [
            (b"\x00\x05\x00\x02\x00\x00\x00".as_slice(), Some(5), None, false),
            (b"\x00\xfc\x00\x01\x00\x02\x00\x00\x00", Some(256), None, false),
            (b"\x00\x00\x00\x02\x00\x00\x00\x05words", Some(0), None, false),
            (b"\xff\x26\x04#23000no", None, Some(refused("23000")), false),
            (b"\xff\x26\x04no", None, Some(refused("HY000")), false),
            (b"\xfe\x00\x00\x02\x00", None, None, true),
            (b"\xfe\x00\x00\x02", None, None, false),
            (b"\xfe\x00\x00\x02\x00\x00\x00\x00\x00", None, None, false),
            (b"\x00", None, None, false),
            (b"\x00\x00\x00\x02\x00\x00", None, None, false),
            (b"\xff\x26", None, None, false),
            (b"", None, None, false),
        ] {
            assert_eq!(read_ok(packet).map(|done| done.affected_rows), rows, "{packet:?}");
            let read = read_err(packet).map(|error| (error.code, error.state, error.message));
            assert_eq!(
                read,
                error.map(|error| (error.code, error.state, error.message)),
                "{packet:?}"
            );
            assert_eq!(read_eof(packet).is_some(), is_eof, "{packet:?}");
        }
        let long = [b"\xff\x26\x04#23000".as_slice(), &b"x".repeat(100_000)].concat();
        assert_eq!(
            read_err(&long).map(|error| error.message.len()),
            Some(MESSAGE_BYTES_MAX)
        );
    }

    #[test]
    fn the_numbers_of_the_words_are_read() {
        let records = "Records: 2  Duplicates: 1  Warnings: 0";
        let sixteen = "Records: 16  Duplicates: 1234567  Warnings: 10000";
        // Their lengths are digits, too.
        assert_eq!((records.len(), sixteen.len()), (38, 49));
        for (words, expected) in [
            (records, Some([2, 1])),
            (sixteen, Some([16, 1_234_567])),
            ("Rows matched: 1  Changed: 0  Warnings: 0", Some([1, 0])),
            ("Datensätze gefunden: 2  Geändert: 0  Warnungen: 0", Some([2, 0])),
            ("レコード数: 2  重複数: 2  警告: 0", Some([2, 2])),
            ("Records: 2  Duplicates: 1", None),
            ("Records: 99999999999999999999  Duplicates: 1  Warnings: 0", None),
            ("(Rows)", None),
            ("", None),
        ] {
            let length = u8::try_from(words.len()).expect("short");
            for before in [&[length][..], &[]] {
                let packet = [b"\x00\x03\x07\x02\x00\x00\x00", before, words.as_bytes()].concat();
                let done = read_ok(&packet).expect("an OK");
                assert_eq!((done.affected_rows, done.last_insert_id), (3, 7));
                assert_eq!(done.counts, expected, "{words} behind {before:?}");
            }
        }
    }

    proptest! {
        /// Whatever the client library reads is read to the same, and nothing panics.
        #[test]
        fn packets_are_read_as_the_library_reads_them(
            first in prop_oneof![Just(OK), Just(ERR), any::<u8>()],
            rest in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let packet = [&[first][..], &rest].concat();
            let capabilities = CapabilityFlags::CLIENT_PROTOCOL_41;
            let _ = read_eof(&packet);
            if let Some(done) = read_ok(&packet) {
                let theirs = ParseBuf(&packet).parse::<OkPacketDeserializer<CommonOkPacket>>(capabilities);
                if let Ok(theirs) = theirs.map(OkPacketDeserializer::into_inner) {
                    prop_assert_eq!(done.affected_rows, theirs.affected_rows());
                    prop_assert_eq!(done.status, theirs.status_flags());
                    prop_assert_eq!(done.last_insert_id, theirs.last_insert_id().unwrap_or_default());
                }
            }
            if let (Some(error), Ok(ErrPacket::Error(theirs))) =
                (read_err(&packet), ParseBuf(&packet).parse::<ErrPacket<'_>>(capabilities))
            {
                prop_assert_eq!(error.code, theirs.error_code());
                prop_assert_eq!(error.message, theirs.message_str());
            }
        }
    }
}
