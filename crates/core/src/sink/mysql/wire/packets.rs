//! Packets over a [`Stream`]: a header of three bytes of length and one number, and a payload.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>.
//!
//! Invariants:
//! - Every packet says its number in its dialogue. Whoever receives one compares it; the packets of
//!   one payload are compared here.
//! - Memory grows as bytes come, never by the length that a peer claims.
//!
//! Bounds: a payload has the room that its reader gives. The output's buffer keeps the size of the
//! largest command, which the server's `max_allowed_packet` bounds; the input's is given back above
//! 64 KiB ([`KEPT_BYTES`]).

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::time::Instant;

use crate::sink::mysql::wire::stream::{Encryption, Stream};

/// A longer payload is several packets.
pub const PACKET_BYTES_MAX: usize = 0xff_ffff;
const HEADER_BYTES: usize = 4;
/// The input's memory that is kept when all of it was read.
const KEPT_BYTES: usize = 64 * 1_024;

/// Something that the peer may not say.
pub fn protocol_error(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// A payload that came whole.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The number of its first packet.
    pub sequence: u8,
    /// The number of the packet after it.
    pub next_sequence: u8,
    payload: Range<usize>,
}

/// A payload in the input: where it is.
type Found = (Packet, usize);

/// See the module.
#[derive(Debug)]
pub struct Packets {
    stream: Stream,
    input: Vec<u8>,
    read_to: usize,
    output: Vec<u8>,
    sent_to: usize,
}

impl Packets {
    /// Packets over a stream that nothing was read from.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            read_to: 0,
            output: Vec::new(),
            sent_to: 0,
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.stream.transport().now()
    }

    /// Encrypts all that follows. What came before, and was not read, came from anybody.
    pub fn upgrade(&mut self, encryption: Encryption, deadline: Instant) -> Result<()> {
        if self.has_unread() {
            return Err(protocol_error(
                "there are unencrypted bytes before TLS that nobody asked for",
            ));
        }
        self.stream.upgrade(encryption, deadline)
    }

    /// Encodes a payload, to be sent. Returns the number of the packet after it.
    pub fn encode(&mut self, sequence: u8, payload: impl FnOnce(&mut Vec<u8>)) -> u8 {
        self.sent_to = 0;
        self.output.clear();
        self.output.extend_from_slice(&[0; HEADER_BYTES]);
        payload(&mut self.output);
        split(&mut self.output, sequence)
    }

    /// Sends what was encoded. After a time-out it goes on where it was.
    pub fn send(&mut self, deadline: Instant) -> Result<()> {
        self.stream.send(&self.output, &mut self.sent_to, deadline)
    }

    /// Whether some of what was encoded was sent, and not all of it.
    pub fn is_partly_sent(&self) -> bool {
        self.stream.has_unsent() || (self.sent_to > 0 && self.sent_to < self.output.len())
    }

    /// Whether bytes came that nobody has read.
    pub fn has_unread(&self) -> bool {
        self.read_to < self.input.len()
    }

    /// Looks, without waiting, whether bytes came that nobody has asked for.
    pub fn look(&mut self) -> Result<bool> {
        let now = self.now();
        self.wait(now)
    }

    /// Waits until then for bytes that nobody has read. Returns whether there are any.
    pub fn wait(&mut self, until: Instant) -> Result<bool> {
        if self.has_unread() {
            return Ok(true);
        }
        self.make_room();
        match self.stream.receive_what_is_there(&mut self.input, until) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The next payload, of `room` bytes at most.
    pub fn receive(&mut self, room: usize, deadline: Instant) -> Result<Packet> {
        loop {
            let unread = self.input.get(self.read_to..).unwrap_or_default();
            if let Some((mut packet, end)) = find(unread, room)? {
                packet.payload.start = packet.payload.start.saturating_add(self.read_to);
                packet.payload.end = packet.payload.end.saturating_add(self.read_to);
                let joined_at = self.read_to;
                self.read_to = self.read_to.saturating_add(end);
                if packet.payload.len() >= PACKET_BYTES_MAX {
                    self.join(joined_at, &mut packet);
                }
                return Ok(packet);
            }
            self.make_room();
            self.stream.receive(&mut self.input, deadline)?;
        }
    }

    /// The bytes of a payload, until the next one is received.
    pub fn payload(&self, packet: &Packet) -> &[u8] {
        self.input.get(packet.payload.clone()).unwrap_or_default()
    }

    /// Takes the headers out of a payload of several packets.
    fn join(&mut self, start: usize, packet: &mut Packet) {
        let (mut from, mut to) = (start, start);
        while let Some(length) = self.input.get(from..).and_then(length_of) {
            let payload = from.saturating_add(HEADER_BYTES);
            let end = payload.saturating_add(length).min(self.read_to);
            self.input.copy_within(payload.min(end)..end, to);
            to = to.saturating_add(end.saturating_sub(payload));
            from = end;
            if length < PACKET_BYTES_MAX {
                break;
            }
        }
        packet.payload = start..to;
    }

    /// Forgets what was read.
    fn make_room(&mut self) {
        if self.read_to < self.input.len() {
            self.input.drain(..self.read_to);
        } else {
            self.input.clear();
            self.input.shrink_to(KEPT_BYTES);
        }
        self.read_to = 0;
    }
}

/// The length that a header says.
fn length_of(header: &[u8]) -> Option<usize> {
    let [first, second, third, _] = *header.first_chunk::<HEADER_BYTES>()?;
    usize::try_from(u32::from_le_bytes([first, second, third, 0])).ok()
}

/// The first payload, if all of it is there, and where it ends. The payload's range is that from
/// its first byte to its last, with the headers between, if there are any.
fn find(input: &[u8], room: usize) -> Result<Option<Found>> {
    let Some(sequence) = input.get(3).copied() else {
        return Ok(None);
    };
    let mut next_sequence = sequence;
    let (mut start, mut payload_bytes) = (0_usize, 0_usize);
    while let Some(length) = input.get(start..).and_then(length_of) {
        if input.get(start.saturating_add(3)) != Some(&next_sequence) {
            return Err(protocol_error("the packets of one answer are out of order"));
        }
        next_sequence = next_sequence.wrapping_add(1);
        payload_bytes = payload_bytes.saturating_add(length);
        if payload_bytes > room {
            return Err(protocol_error("an answer is longer than any that was asked for"));
        }
        let end = start.saturating_add(HEADER_BYTES).saturating_add(length);
        if end > input.len() {
            return Ok(None);
        }
        if length < PACKET_BYTES_MAX {
            let payload = HEADER_BYTES..end;
            let packet = Packet {
                sequence,
                next_sequence,
                payload,
            };
            return Ok(Some((packet, end)));
        }
        start = end;
    }
    Ok(None)
}

/// Fills in the headers of a payload, which begins with room for one. Returns the number of the
/// packet after it.
fn split(output: &mut Vec<u8>, sequence: u8) -> u8 {
    let length = output.len().saturating_sub(HEADER_BYTES);
    if length < PACKET_BYTES_MAX {
        if let Some(header) = output.first_chunk_mut::<HEADER_BYTES>() {
            *header = header_of(length, sequence);
        }
        return sequence.wrapping_add(1);
    }
    let payload = output.split_off(HEADER_BYTES);
    output.clear();
    let mut sequence = sequence;
    let mut chunks = payload.chunks(PACKET_BYTES_MAX);
    loop {
        // A packet of the full length says that another one follows, even if that is empty.
        let chunk = chunks.next().unwrap_or_default();
        output.extend_from_slice(&header_of(chunk.len(), sequence));
        output.extend_from_slice(chunk);
        sequence = sequence.wrapping_add(1);
        if chunk.len() < PACKET_BYTES_MAX {
            return sequence;
        }
    }
}

fn header_of(length: usize, sequence: u8) -> [u8; HEADER_BYTES] {
    let [first, second, third, ..] = (length as u64).to_le_bytes();
    [first, second, third, sequence]
}
