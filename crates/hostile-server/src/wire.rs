//! Packets and their parts, as a server writes them.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>
//!
//! Bound: a client's packet has at most 16 MiB, as the protocol's first one.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

/// The longest payload of one packet.
pub const FULL_PAYLOAD_BYTES: usize = 0xff_ff_ff;
/// `SERVER_STATUS_AUTOCOMMIT`.
pub const AUTOCOMMIT: u16 = 2;
/// `SERVER_MORE_RESULTS_EXISTS`.
pub const MORE_RESULTS: u16 = 8;
/// The end of columns, or of rows.
pub const EOF: [u8; 5] = [0xfe, 0, 0, 2, 0];

/// A packet: header and payload. The header says the payload's length modulo 2²⁴.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, ..] = payload.len().to_le_bytes();
    [&[low, middle, high, sequence], payload].concat()
}

/// A number in the protocol's variable length.
pub fn length(number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    match number {
        0..=250 => bytes[..1].to_vec(),
        251..=0xff_ff => [&[0xfc], &bytes[..2]].concat(),
        0x1_0000..=0xff_ff_ff => [&[0xfd], &bytes[..3]].concat(),
        _ => [&[0xfe], &bytes[..]].concat(),
    }
}

/// A text with its length before it.
pub fn text(bytes: &[u8]) -> Vec<u8> {
    [length(bytes.len() as u64), bytes.to_vec()].concat()
}

/// OK, with this number of rows.
pub fn ok(affected_rows: u64, status: u16) -> Vec<u8> {
    [&[0], &length(affected_rows)[..], &[0], &status.to_le_bytes(), &[0, 0]].concat()
}

/// An error.
pub fn error(code: u16, message: &[u8]) -> Vec<u8> {
    [&[0xff], &code.to_le_bytes()[..], b"#HY000", message].concat()
}

/// The definition of a column of text.
pub fn column(name: &[u8]) -> Vec<u8> {
    let names: Vec<u8> = [&b"def"[..], b"", b"", b"", name, b""]
        .into_iter()
        .flat_map(text)
        .collect();
    let utf8 = 33_u16.to_le_bytes();
    let width = 255_u32.to_le_bytes();
    [&names, &[0x0c][..], &utf8, &width, &[0xfd, 0, 0, 0, 0, 0]].concat()
}

/// A row of the text protocol.
pub fn row(values: &[Option<&str>]) -> Vec<u8> {
    let value = |value: Option<&str>| value.map_or_else(|| vec![0xfb], |value| text(value.as_bytes()));
    values.iter().copied().flat_map(value).collect()
}

/// The payloads of a result: the number of columns, each column, the end, each row, the end.
pub fn result(columns: usize, rows: &[Vec<Option<&str>>]) -> Vec<Vec<u8>> {
    let mut payloads = vec![length(columns as u64)];
    payloads.extend((0..columns).map(|at| column(format!("c{at}").as_bytes())));
    payloads.push(EOF.to_vec());
    payloads.extend(rows.iter().map(|values| row(values)));
    payloads.push(EOF.to_vec());
    payloads
}

/// Payloads as packets whose numbers follow each other.
pub fn packets(first: u8, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut sequence = first;
    let mut bytes = Vec::new();
    for payload in payloads {
        bytes.extend(packet(sequence, payload));
        sequence = sequence.wrapping_add(1);
    }
    bytes
}

/// A connection of a client.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
}

impl Session {
    /// The session of an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// Reads a packet. Returns its number and its payload.
    pub fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header)?;
        let [low, middle, high, sequence] = header;
        let mut payload = vec![0; usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16];
        self.stream.read_exact(&mut payload)?;
        Ok((sequence, payload))
    }

    /// Sends bytes, whatever they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says nothing more, until the client has gone.
    pub fn keep_silent(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_protocol_has_them() {
        for (number, expected) in [
            (0, vec![0]),
            (250, vec![250]),
            (251, vec![0xfc, 251, 0]),
            (0x1_0000, vec![0xfd, 0, 0, 1]),
            (1 << 40, vec![0xfe, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(length(number), expected, "{number}");
        }
    }

    #[test]
    fn packets_are_numbered() {
        assert_eq!(packets(255, &[vec![1], vec![]]), [1, 0, 0, 255, 1, 0, 0, 0, 0]);
    }
}
