//! Commands of the client/server protocol, several of them sent before the first is answered.
//!
//! Why does the engine speak the protocol itself? The client library waits for each answer and
//! copies each value. A transaction of five statements is then five round trips, and the server
//! idles while the next statement is encoded. Here a transaction's statements are encoded from the
//! batch's memory while the server executes those before them, and the network's latency is paid
//! once for all of them. Everything else stays the library's: connecting, authentication, TLS,
//! preparing, COMMIT, ROLLBACK. Under TLS all of it does, since the stream is the library's own.
//!
//! Only what a transaction's statements need is here: `COM_QUERY` and `COM_STMT_EXECUTE`, answered
//! by an OK or an ERR packet.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>,
//! <https://mariadb.com/kb/en/com_stmt_execute/>.
//!
//! Invariants: whoever sends takes all answers before the client library gets the connection back.
//! After an error of the socket, or an answer of another kind, the connection is of no use any
//! more.
//!
//! Bound: the buffers keep the size of the largest command, which `max_allowed_packet` bounds.

use std::io::{Error, ErrorKind, Result};

use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::socket::SocketHooks;

const COM_QUERY: u8 = 0x03;
const COM_STMT_EXECUTE: u8 = 0x17;
const OK: u8 = 0x00;
const ERR: u8 = 0xff;
const TYPE_NULL: u8 = 0x06;
const TYPE_LONGLONG: u8 = 0x08;
const TYPE_VAR_STRING: u8 = 0xfd;
/// A longer command is several packets:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>.
const MAX_PACKET_BYTES: usize = 0xff_ffff;
const HEADER_BYTES: usize = 4;
/// The bytes that are read at once, at most.
const READ_BYTES: usize = 4_096;
/// The columns and rows of a result that is asked for here, at most: a table's definition has four
/// and one.
const RESULT_COLUMNS_MAX: u64 = 16;
const RESULT_ROWS_MAX: usize = 16;
const END_OF_PART: u8 = 0xfe;
const NULL_COLUMN: u8 = 0xfb;

/// The server's answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was executed. With `CLIENT_FOUND_ROWS` this counts the rows that it found.
    Ok { affected_rows: u64 },
    /// It was executed, and has a result: its first row. NULL is empty.
    Row { columns: Vec<Vec<u8>> },
    /// It was not executed.
    Err { code: u16, state: String, message: String },
}

/// The buffers of one connection.
#[derive(Debug, Default)]
pub struct PacketBuffers {
    output: Vec<u8>,
    sent_to: usize,
    input: Vec<u8>,
    read_to: usize,
}

impl PacketBuffers {
    /// Encodes a statement's text, to be sent.
    pub fn query(&mut self, sql: &str) {
        self.begin(COM_QUERY);
        self.output.extend_from_slice(sql.as_bytes());
        split_into_packets(&mut self.output);
    }

    /// Encodes the parameters of a prepared statement, to be sent.
    pub fn execute(&mut self, statement: u32, parameters: &[Parameter<'_>]) {
        self.begin(COM_STMT_EXECUTE);
        encode_execute(&mut self.output, statement, parameters);
        split_into_packets(&mut self.output);
    }

    fn begin(&mut self, command: u8) {
        self.sent_to = 0;
        self.output.clear();
        self.output.extend_from_slice(&[0; HEADER_BYTES]);
        self.output.push(command);
    }

    /// Sends what was encoded. After a time-out it goes on where it was.
    pub fn send(&mut self, fd: i32, hooks: SocketHooks) -> Result<()> {
        while let Some(rest) = self.output.get(self.sent_to..).filter(|rest| !rest.is_empty()) {
            self.sent_to += (hooks.send)(fd, rest)?;
        }
        Ok(())
    }

    /// Whether a part of a command was sent, and not all of it.
    pub fn is_partly_sent(&self) -> bool {
        self.sent_to > 0 && self.sent_to < self.output.len()
    }

    /// The answer to the first command that has none yet.
    pub fn receive(&mut self, fd: i32, hooks: SocketHooks) -> Result<Answer> {
        let packet = self.receive_packet(fd, hooks)?;
        if let Some(answer) = answer(&packet) {
            return Ok(answer);
        }
        let columns = length_of(&packet).filter(|columns| (1..=RESULT_COLUMNS_MAX).contains(columns));
        for _ in 0..columns.ok_or_else(unknown_answer)? {
            self.receive_packet(fd, hooks)?;
        }
        if !is_end_of_part(&self.receive_packet(fd, hooks)?) {
            return Err(unknown_answer());
        }
        let mut first: Option<Vec<Vec<u8>>> = None;
        for _ in 0..RESULT_ROWS_MAX {
            let packet = self.receive_packet(fd, hooks)?;
            if is_end_of_part(&packet) {
                let columns = first.unwrap_or_default();
                return Ok(Answer::Row { columns });
            }
            if let Some(error @ Answer::Err { .. }) = answer(&packet) {
                return Ok(error);
            }
            if first.is_none() {
                first = Some(columns_of(&packet).ok_or_else(unknown_answer)?);
            }
        }
        Err(unknown_answer())
    }

    fn receive_packet(&mut self, fd: i32, hooks: SocketHooks) -> Result<Vec<u8>> {
        loop {
            if let Some((packet, end)) = packet(self.input.get(self.read_to..).unwrap_or_default()) {
                let packet = packet.to_vec();
                self.read_to += end;
                if self.read_to == self.input.len() {
                    self.input.clear();
                    self.read_to = 0;
                }
                return Ok(packet);
            }
            let before = self.input.len();
            self.input.resize(before + READ_BYTES, 0);
            let read = (hooks.receive)(fd, self.input.get_mut(before..).unwrap_or_default());
            self.input.truncate(before + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether nothing was received that nobody asked for.
    pub fn is_in_step(&self) -> bool {
        self.input.is_empty()
    }
}

fn unknown_answer() -> Error {
    Error::new(ErrorKind::InvalidData, "the server sent no answer that is known")
}

/// What ends the columns of a result, and its rows:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html>.
fn is_end_of_part(packet: &[u8]) -> bool {
    packet.first() == Some(&END_OF_PART) && packet.len() < 9
}

/// The values of a row in the text protocol.
fn columns_of(packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut columns = Vec::new();
    let mut rest = packet;
    while let Some((first, after)) = rest.split_first() {
        if *first == NULL_COLUMN {
            columns.push(Vec::new());
            rest = after;
            continue;
        }
        let length = usize::try_from(length_of(rest)?).ok()?;
        let start = 1 + length_bytes(*first);
        let end = start.checked_add(length)?;
        columns.push(rest.get(start..end)?.to_vec());
        rest = rest.get(end..)?;
    }
    Some(columns)
}

/// The body of `COM_STMT_EXECUTE`, with the types of the parameters. The server remembers types,
/// but the rows may mix them.
fn encode_execute(output: &mut Vec<u8>, statement: u32, parameters: &[Parameter<'_>]) {
    output.extend_from_slice(&statement.to_le_bytes());
    // No cursor, one execution.
    output.push(0);
    output.extend_from_slice(&1_u32.to_le_bytes());
    if parameters.is_empty() {
        return;
    }
    for eight in parameters.chunks(8) {
        let nulls = eight
            .iter()
            .enumerate()
            .map(|(at, one)| u8::from(*one == Parameter::Null) << at);
        output.push(nulls.fold(0, |all, one| all | one));
    }
    output.push(1);
    for parameter in parameters {
        let kind = match parameter {
            Parameter::Null => TYPE_NULL,
            Parameter::Int(_) => TYPE_LONGLONG,
            Parameter::Text(_) => TYPE_VAR_STRING,
        };
        output.extend_from_slice(&[kind, 0]);
    }
    for parameter in parameters {
        match parameter {
            Parameter::Null => {}
            Parameter::Int(number) => output.extend_from_slice(&number.to_le_bytes()),
            Parameter::Text(text) => {
                encode_length(output, text.len());
                output.extend_from_slice(text);
            }
        }
    }
}

/// Appends a length-encoded integer:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html>.
fn encode_length(output: &mut Vec<u8>, length: usize) {
    let bytes = (length as u64).to_le_bytes();
    let (marker, used) = match length {
        0..=0xfa => (None, 1),
        0xfb..=0xffff => (Some(0xfc), 2),
        0x1_0000..=0xff_ffff => (Some(0xfd), 3),
        _ => (Some(0xfe), 8),
    };
    output.extend(marker);
    output.extend_from_slice(bytes.get(..used).unwrap_or_default());
}

/// Fills in the headers of a command, which begins with room for one.
fn split_into_packets(output: &mut Vec<u8>) {
    let length = output.len() - HEADER_BYTES;
    if length < MAX_PACKET_BYTES {
        if let Some(header) = output.get_mut(..HEADER_BYTES) {
            header.copy_from_slice(&header_of(length, 0));
        }
        return;
    }
    let command = output.split_off(HEADER_BYTES);
    output.clear();
    let mut sequence: u8 = 0;
    let mut chunks = command.chunks(MAX_PACKET_BYTES);
    loop {
        // A packet of the full length says that another one follows, even if that is empty.
        let chunk = chunks.next().unwrap_or_default();
        output.extend_from_slice(&header_of(chunk.len(), sequence));
        output.extend_from_slice(chunk);
        sequence = sequence.wrapping_add(1);
        if chunk.len() < MAX_PACKET_BYTES {
            return;
        }
    }
}

fn header_of(length: usize, sequence: u8) -> [u8; HEADER_BYTES] {
    let [first, second, third, ..] = (length as u64).to_le_bytes();
    [first, second, third, sequence]
}

/// The first packet, if all of it is there, and where it ends.
fn packet(input: &[u8]) -> Option<(&[u8], usize)> {
    let [first, second, third, _] = *input.first_chunk::<HEADER_BYTES>()?;
    let length = u32::from_le_bytes([first, second, third, 0]) as usize;
    let end = HEADER_BYTES + length;
    input.get(HEADER_BYTES..end).map(|packet| (packet, end))
}

fn answer(packet: &[u8]) -> Option<Answer> {
    let (kind, rest) = packet.split_first()?;
    match *kind {
        OK => Some(Answer::Ok {
            affected_rows: length_of(rest)?,
        }),
        ERR => {
            let (code, rest) = rest.split_first_chunk::<2>()?;
            // There is no state before a handshake is over. A proxy may leave it out, too.
            let (state, message) = match rest.split_at_checked(6) {
                Some((state, message)) if state.first() == Some(&b'#') => (state.get(1..).unwrap_or_default(), message),
                _ => (b"HY000".as_slice(), rest),
            };
            Some(Answer::Err {
                code: u16::from_le_bytes(*code),
                state: String::from_utf8_lossy(state).into_owned(),
                message: String::from_utf8_lossy(message).into_owned(),
            })
        }
        _ => None,
    }
}

/// How many bytes follow the first one of a length-encoded integer.
fn length_bytes(first: u8) -> usize {
    match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => 0,
    }
}

/// A length-encoded integer.
fn length_of(bytes: &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    match length_bytes(*first) {
        0 if *first <= 0xfa => Some(u64::from(*first)),
        0 => None,
        used => {
            let mut number = [0; 8];
            number.get_mut(..used)?.copy_from_slice(rest.get(..used)?);
            Some(u64::from_le_bytes(number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::io::ParseBuf;
    use mysql_common::packets::ComStmtExecuteRequestBuilder;
    use mysql_common::proto::MySerialize as _;
    use mysql_common::value::Value as SqlValue;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn parameter() -> impl Strategy<Value = Parameter<'static>> {
        prop_oneof![
            Just(Parameter::Null),
            any::<i64>().prop_map(Parameter::Int),
            prop::collection::vec(any::<u8>(), 0..400).prop_map(|bytes| Parameter::Text(Cow::Owned(bytes))),
        ]
    }

    proptest! {
        /// The client library's own encoding is the reference.
        #[test]
        fn an_execution_is_encoded_as_the_library_does(parameters in prop::collection::vec(parameter(), 0..40), id: u32) {
            let values: Vec<SqlValue> = parameters.iter().cloned().map(SqlValue::from).collect();
            let (request, _) = ComStmtExecuteRequestBuilder::new(id).build(&values);
            let mut expected = Vec::new();
            request.serialize(&mut expected);
            let mut encoded = vec![COM_STMT_EXECUTE];
            encode_execute(&mut encoded, id, &parameters);
            prop_assert_eq!(encoded, expected);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = packet(&bytes).map(|(packet, _)| (answer(packet), columns_of(packet)));
        }

        #[test]
        fn lengths_are_read_as_they_are_written(length in prop_oneof![0..300_u64, 0..70_000_u64, any::<u64>()]) {
            let mut bytes = Vec::new();
            encode_length(&mut bytes, usize::try_from(length).expect("64 bit"));
            prop_assert_eq!(length_of(&bytes), Some(length));
            prop_assert_eq!(ParseBuf(&bytes).eat_lenenc_int(), length);
        }
    }

    #[test]
    fn long_commands_are_several_packets() {
        for (length, lengths) in [
            (1, vec![1]),
            (MAX_PACKET_BYTES - 1, vec![MAX_PACKET_BYTES - 1]),
            (MAX_PACKET_BYTES, vec![MAX_PACKET_BYTES, 0]),
            (2 * MAX_PACKET_BYTES + 5, vec![MAX_PACKET_BYTES, MAX_PACKET_BYTES, 5]),
        ] {
            let mut output = vec![0; HEADER_BYTES];
            output.resize(HEADER_BYTES + length, 7);
            split_into_packets(&mut output);
            let (mut rest, mut found) = (output.as_slice(), Vec::new());
            while let Some((packet, end)) = packet(rest) {
                assert_eq!(usize::from(rest[3]), found.len(), "the sequence");
                assert!(packet.iter().all(|byte| *byte == 7));
                found.push(packet.len());
                rest = &rest[end..];
            }
            assert_eq!((found, rest.len()), (lengths, 0), "{length}");
        }
    }

    #[test]
    fn the_columns_of_a_row_are_read() {
        let long = [b"\xfc\x2c\x01".as_slice(), &[b'x'; 300]].concat();
        for (packet, expected) in [
            (
                b"\x01t\xfb\x00".to_vec(),
                Some(vec![b"t".to_vec(), Vec::new(), Vec::new()]),
            ),
            (long, Some(vec![vec![b'x'; 300]])),
            (b"\x05ab".to_vec(), None),
            (Vec::new(), Some(Vec::new())),
        ] {
            assert_eq!(columns_of(&packet), expected, "{packet:?}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let refused = |state: &str| Answer::Err {
            code: 1062,
            state: state.to_owned(),
            message: "no".to_owned(),
        };
        for (packet, expected) in [
            (
                b"\x00\x05\x00\x02\x00\x00\x00".as_slice(),
                Some(Answer::Ok { affected_rows: 5 }),
            ),
            (b"\x00\xfc\x00\x01\x00", Some(Answer::Ok { affected_rows: 256 })),
            (b"\xff\x26\x04#23000no", Some(refused("23000"))),
            (b"\xff\x26\x04no", Some(refused("HY000"))),
            (b"\xfe\x00\x00\x02\x00", None),
            (b"\x00", None),
            (b"\xff\x26", None),
            (b"", None),
        ] {
            assert_eq!(answer(packet), expected, "{packet:?}");
        }
    }
}
