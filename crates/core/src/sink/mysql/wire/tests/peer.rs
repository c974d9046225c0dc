//! A server that says what a test tells it, over a transport whose time only passes in waits.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::sink::mysql::wire::fields::push_length;
use crate::sink::mysql::wire::transport::Transport;

/// What the peer says after the client has sent something for the nth time.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How long each byte takes. Zero: all come at once.
    pub byte_time: Duration,
    /// Bytes are always there when they are asked for, while time passes all the same.
    pub is_flood: bool,
    /// The connection ends behind the bytes.
    pub is_last: bool,
}

impl Turn {
    /// All bytes at once.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::default()
        }
    }
}

/// What a test sees of the connection, also after its end.
#[derive(Debug, Default)]
pub struct Seen {
    /// All that the client sent.
    pub sent: Vec<u8>,
    /// The time that passed.
    pub elapsed: Duration,
    /// The bytes that were given to the client.
    pub delivered: usize,
    /// How many of them when the client sent COMMIT.
    pub delivered_before_commit: usize,
    /// How many turns have begun.
    pub turns: usize,
    /// The client may send no more than this.
    pub send_limit: Option<usize>,
}

/// The transport.
#[derive(Debug)]
pub struct Peer {
    start: Instant,
    turns: Vec<Turn>,
    /// The turn that speaks now, and how much of it was said.
    turn: usize,
    said: usize,
    seen: Arc<Mutex<Seen>>,
}

impl Peer {
    /// A peer that begins with the first turn, and goes on whenever something was sent.
    pub fn new(turns: Vec<Turn>) -> (Self, Arc<Mutex<Seen>>) {
        let seen = Arc::default();
        let peer = Self {
            start: Instant::now(),
            turns,
            turn: 0,
            said: 0,
            seen: Arc::clone(&seen),
        };
        (peer, seen)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics in here")
    }

    /// Lets time pass, up to the deadline. Returns whether that was enough.
    fn pass(&self, time: Duration, deadline: Instant) -> bool {
        let mut seen = self.seen();
        let left = deadline.saturating_duration_since(self.start + seen.elapsed);
        seen.elapsed += time.min(left);
        time <= left
    }
}

impl Transport for Peer {
    fn now(&self) -> Instant {
        self.start + self.seen().elapsed
    }

    fn send(&mut self, bytes: &[IoSlice<'_>], deadline: Instant) -> Result<usize> {
        let limit = self.seen().send_limit;
        if limit == Some(0) {
            self.pass(Duration::MAX, deadline);
            return Err(ErrorKind::TimedOut.into());
        }
        let mut sent: Vec<u8> = bytes.iter().flat_map(|part| part.iter().copied()).collect();
        sent.truncate(limit.unwrap_or(usize::MAX));
        let mut seen = self.seen();
        seen.send_limit = limit.map(|limit| limit - sent.len());
        seen.sent.extend_from_slice(&sent);
        if sent.ends_with(b"\x03COMMIT") {
            seen.delivered_before_commit = seen.delivered;
        }
        seen.turns += 1;
        Ok(sent.len())
    }

    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> Result<usize> {
        loop {
            let Some(turn) = self.turns.get(self.turn) else {
                return Err(ErrorKind::ConnectionReset.into());
            };
            let rest = &turn.bytes[self.said..];
            if rest.is_empty() {
                if turn.is_last {
                    return Ok(0);
                }
                if self.turn >= self.seen().turns {
                    self.pass(Duration::MAX, deadline);
                    return Err(ErrorKind::TimedOut.into());
                }
                self.turn += 1;
                self.said = 0;
                continue;
            }
            let count = if turn.byte_time.is_zero() {
                rest.len().min(room.len())
            } else {
                1
            };
            let bytes = rest[..count].to_vec();
            let limit = if turn.is_flood {
                self.now() + turn.byte_time
            } else {
                deadline
            };
            if !self.pass(turn.byte_time, limit) {
                return Err(Error::from(ErrorKind::TimedOut));
            }
            room[..count].copy_from_slice(&bytes);
            self.said += count;
            self.seen().delivered += count;
            return Ok(count);
        }
    }
}

/// A packet of a number and a payload.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

/// Packets one after the other, from a number on.
pub fn packets(first: u8, payloads: &[&[u8]]) -> Vec<u8> {
    let numbers = (0..=u8::MAX).cycle().skip(usize::from(first));
    payloads
        .iter()
        .zip(numbers)
        .flat_map(|(payload, number)| packet(number, payload))
        .collect()
}

/// A greeting with what the engine needs, and TLS.
pub fn greeting(plugin: &str) -> Vec<u8> {
    greeting_with(plugin, 0xffff_ffff)
}

/// A greeting with other capabilities.
pub fn greeting_with(plugin: &str, capabilities: u32) -> Vec<u8> {
    let [first, second, third, fourth] = capabilities.to_le_bytes();
    let payload = [
        b"\x0a10.11.6-MariaDB\0".as_slice(),
        &[7, 0, 0, 0],
        b"12345678\0",
        &[first, second, 45, 2, 0, third, fourth, 21],
        &[0; 10],
        b"abcdefghijkl\0",
        plugin.as_bytes(),
        &[0],
    ];
    packet(0, &payload.concat())
}

/// The payload of an OK.
pub fn ok(affected_rows: u8) -> Vec<u8> {
    vec![0, affected_rows, 0, 2, 0, 0, 0]
}

/// The payload of an EOF.
pub const EOF: &[u8] = b"\xfe\0\0\x02\0";

/// The payload of an ERR.
pub fn err(code: u16, message: &str) -> Vec<u8> {
    [&[0xff][..], &code.to_le_bytes(), b"#HY000", message.as_bytes()].concat()
}

/// The payload that defines a column of text.
pub fn column() -> Vec<u8> {
    let names = b"\x03def\0\0\0\x01c\0";
    [&names[..], b"\x0c\x2d\0\xff\0\0\0\xfd\0\0\0\0\0"].concat()
}

/// The payload of a row of text.
pub fn text_row(values: &[&str]) -> Vec<u8> {
    let mut row = Vec::new();
    for value in values {
        push_length(&mut row, value.len());
        row.extend_from_slice(value.as_bytes());
    }
    row
}
