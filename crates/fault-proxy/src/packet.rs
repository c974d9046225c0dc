//! The framing of the MySQL protocol. A packet has a header of four bytes (three of length, the
//! lowest first, and a sequence number) and a payload. The next packet continues a payload of
//! [`FULL_PAYLOAD_BYTES`].
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>
//!
//! Invariant: what is passed on is what was read, byte for byte.
//!
//! Bounds: at most 16 KiB of a packet are held in memory ([`HEAD_BYTES_MAX`]). The rest goes from
//! reader to writer.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

/// The length of a header.
pub const HEADER_BYTES: usize = 4;
/// The longest payload of one packet. A packet of this length is not the last of its message.
pub const FULL_PAYLOAD_BYTES: usize = 0xff_ff_ff;
/// The bytes of a payload that are looked at, at most.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The beginning of a packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    header: [u8; HEADER_BYTES],
    /// The first bytes of the payload: all of it, or [`HEAD_BYTES_MAX`].
    pub head: Vec<u8>,
    /// Whether it goes on with the payload of the packet before.
    pub continues: bool,
}

impl Packet {
    fn payload_bytes(&self) -> usize {
        usize::from(self.header[0]) | usize::from(self.header[1]) << 8 | usize::from(self.header[2]) << 16
    }

    /// Its length on the wire, header counted.
    pub fn total_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes()
    }

    /// Its number in the sequence.
    pub fn sequence(&self) -> u8 {
        self.header[3]
    }

    /// Whether the message goes on with the next packet.
    pub fn is_continued(&self) -> bool {
        self.payload_bytes() == FULL_PAYLOAD_BYTES
    }

    /// Whether it begins a command, when it comes from a client: the answers of a handshake have
    /// higher numbers.
    pub fn begins_command(&self) -> bool {
        self.header[3] == 0 && !self.continues
    }
}

/// Reads packets from one side.
#[derive(Debug)]
pub struct PacketReader<R> {
    input: BufReader<R>,
    /// Bytes of the last packet's payload, beyond its head, that are still to be read.
    rest: usize,
    previous_was_full: bool,
}

impl<R: Read> PacketReader<R> {
    /// A reader at the beginning of a packet.
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BUFFER_BYTES, input),
            rest: 0,
            previous_was_full: false,
        }
    }

    /// The next packet. `None` at the end of the stream. What was not passed on of the last one is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Those of reading, and an end in the middle of a packet.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        self.copy_rest(usize::MAX, &mut io::sink())?;
        let at_end = loop {
            match self.input.fill_buf() {
                Ok(buffer) => break buffer.is_empty(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if at_end {
            return Ok(None);
        }
        let mut packet = Packet {
            header: [0; HEADER_BYTES],
            head: Vec::new(),
            continues: self.previous_was_full,
        };
        self.input.read_exact(&mut packet.header)?;
        let payload_bytes = packet.payload_bytes();
        packet.head = vec![0; payload_bytes.min(HEAD_BYTES_MAX)];
        self.input.read_exact(&mut packet.head)?;
        self.rest = payload_bytes - packet.head.len();
        self.previous_was_full = payload_bytes == FULL_PAYLOAD_BYTES;
        Ok(Some(packet))
    }

    /// Writes the first `bytes` of the packet that was read last, header counted.
    ///
    /// # Errors
    ///
    /// Those of reading and writing, and an end in the middle of the packet.
    pub fn pass(&mut self, packet: &Packet, bytes: usize, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&packet.header[..bytes.min(HEADER_BYTES)])?;
        let bytes = bytes.saturating_sub(HEADER_BYTES);
        output.write_all(&packet.head[..bytes.min(packet.head.len())])?;
        self.copy_rest(bytes.saturating_sub(packet.head.len()), output)
    }

    /// Whether the next packet, or a part of it, is here already.
    pub fn has_more(&self) -> bool {
        !self.input.buffer().is_empty()
    }

    fn copy_rest(&mut self, bytes_max: usize, output: &mut impl Write) -> io::Result<()> {
        let wanted = self.rest.min(bytes_max) as u64;
        let copied = io::copy(&mut self.input.by_ref().take(wanted), output)?;
        if copied < wanted {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.rest -= self.rest.min(bytes_max);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], payload].concat()
    }

    /// Returns its bytes one at a time, as a slow network may.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self.0.split_at(self.0.len().min(1));
            self.0 = rest;
            buffer[..first.len()].copy_from_slice(first);
            Ok(first.len())
        }
    }

    fn pass_all(input: impl Read) -> (Vec<(usize, bool, bool)>, Vec<u8>) {
        let mut reader = PacketReader::new(input);
        let (mut seen, mut output) = (Vec::new(), Vec::new());
        while let Some(packet) = reader.next_packet().unwrap() {
            seen.push((packet.total_bytes(), packet.begins_command(), packet.continues));
            reader.pass(&packet, packet.total_bytes(), &mut output).unwrap();
        }
        (seen, output)
    }

    #[test]
    fn packets_pass_unchanged() {
        let long = vec![7; HEAD_BYTES_MAX + 1];
        let stream = [packet(0, b"\x03SELECT 1"), packet(1, b""), packet(0, &long)].concat();
        let expected = vec![(13, true, false), (4, false, false), (HEAD_BYTES_MAX + 5, true, false)];
        for (seen, output) in [pass_all(&stream[..]), pass_all(Trickle(&stream))] {
            assert_eq!(seen, expected);
            assert!(output == stream);
        }
    }

    #[test]
    fn a_message_over_16_mb_is_one_command() {
        let message = vec![3; FULL_PAYLOAD_BYTES + 10];
        let (first, second) = message.split_at(FULL_PAYLOAD_BYTES);
        // The number of a continuing packet may have wrapped to 0.
        let stream = [packet(0, first), packet(0, second), packet(0, b"\x0e")].concat();
        let (seen, output) = pass_all(&stream[..]);
        let full = FULL_PAYLOAD_BYTES + HEADER_BYTES;
        assert_eq!(seen, [(full, true, false), (14, false, true), (5, true, false)]);
        assert!(output == stream);
    }

    #[test]
    fn a_message_of_just_16_mb_ends_with_an_empty_packet() {
        let stream = [
            packet(0, &vec![3; FULL_PAYLOAD_BYTES]),
            packet(1, b""),
            packet(0, b"\x0e"),
        ]
        .concat();
        let continuing: Vec<bool> = pass_all(&stream[..]).0.iter().map(|seen| seen.2).collect();
        assert_eq!(continuing, [false, true, false]);
    }

    #[test]
    fn a_part_of_a_packet_passes() {
        let long = packet(0, &vec![9; HEAD_BYTES_MAX * 2]);
        for bytes in [
            0,
            1,
            4,
            5,
            HEAD_BYTES_MAX,
            HEAD_BYTES_MAX + 4,
            HEAD_BYTES_MAX + 5,
            long.len() - 1,
        ] {
            let stream = [long.clone(), packet(0, b"\x01")].concat();
            let mut reader = PacketReader::new(&stream[..]);
            let (first, mut output) = (reader.next_packet().unwrap().unwrap(), Vec::new());
            reader.pass(&first, bytes, &mut output).unwrap();
            assert!(output == long[..bytes], "{bytes}");
            let second = reader.next_packet().unwrap().unwrap();
            assert_eq!(second.head, b"\x01", "the next packet is found after {bytes} bytes");
        }
    }

    #[test]
    fn an_end_in_a_packet_is_an_error() {
        let whole = packet(0, &vec![1; HEAD_BYTES_MAX + 2]);
        for bytes in [1, 4, 5, whole.len() - 1] {
            let mut reader = PacketReader::new(&whole[..bytes]);
            let result = reader.next_packet().and_then(|packet| match packet {
                Some(packet) => reader.pass(&packet, packet.total_bytes(), &mut io::sink()),
                None => Ok(()),
            });
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{bytes}");
        }
        assert_eq!(PacketReader::new(&b""[..]).next_packet().unwrap(), None);
    }
}
