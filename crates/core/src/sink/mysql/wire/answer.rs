//! The packets that end an answer or a part of one: OK, ERR, EOF.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html>.
//!
//! Bound: an error's message has 4 KiB ([`MESSAGE_BYTES_MAX`]); what is longer is cut.

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

/// An OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// With `CLIENT_FOUND_ROWS` this counts the rows that were found.
    pub affected_rows: u64,
    /// What the session is like now.
    pub status: StatusFlags,
}

/// Reads an OK. `None`: it is none.
pub fn read_ok(packet: &[u8]) -> Option<Done> {
    let mut fields = Fields::of(packet);
    (fields.byte()? == OK).then_some(())?;
    let affected_rows = fields.length()?;
    let _last_insert = fields.length()?;
    let status = StatusFlags::from_bits_truncate(fields.u16()?);
    let _warnings = fields.u16()?;
    Some(Done { affected_rows, status })
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
