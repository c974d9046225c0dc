//! One session on a server: commands, and their answers.
//!
//! Invariants:
//! - Commands may be sent before the answers to earlier ones are taken. Answers are taken in the
//!   order of the commands, and each says the number that follows its command's.
//! - Before a command that no answer is due to, nothing may have come: it would be an answer to
//!   nothing, and take the place of the next one's.
//! - After an error of the socket or the protocol the session is given up: nothing is sent any
//!   more, and the socket is closed without a word. At a clean end it says `COM_QUIT`.
//! - A time-out counts from the call that waits, whatever comes meanwhile.
//!
//! Bounds: see the module `wire`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql::consts::StatusFlags;
use mysql::prelude::FromRow;
use mysql::{Column, MySqlError, Row};

use crate::sink::mysql::wire::answer::{Done, OK, read_eof, read_err, read_ok};
use crate::sink::mysql::wire::authentication::{Account, authenticate};
use crate::sink::mysql::wire::command::Command;
use crate::sink::mysql::wire::fields::Fields;
use crate::sink::mysql::wire::packets::{Packet, Packets, protocol_error};
use crate::sink::mysql::wire::rows::{read_column, read_row};
use crate::sink::mysql::wire::stream::{Encryption, Stream};
use crate::sink::mysql::wire::transport::Transport;
use crate::sink::mysql::wire::{ANSWER_BYTES_MAX, COLUMNS_MAX, ROWS_MAX, VALUE_OVERHEAD_BYTES};

/// The longest waits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For an answer, all of it.
    pub read: Duration,
    /// For a command to be sent.
    pub write: Duration,
}

/// A prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// The server's number of it.
    pub id: u32,
    /// How many placeholders it has.
    pub parameters: usize,
}

/// The answer to a command.
#[derive(Debug)]
pub enum Answer {
    /// It was executed.
    Ok(Done),
    /// It was executed, and has a result.
    Rows(Vec<Row>),
}

/// Whether all of a command was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was.
    Whole,
    /// The server does not read, and is still at an earlier command: its answer comes first.
    Blocked,
}

/// A session: see the module.
#[derive(Debug)]
pub struct Conn {
    packets: Packets,
    /// The number with which each answer that is due begins.
    due: VecDeque<u8>,
    /// How many answers come before that to the command that is being sent, if it has one.
    due_before: usize,
    timeouts: Timeouts,
    deadline: Option<Instant>,
    /// When the wait for the answer that is due first ends, if it has begun.
    answer_limit: Option<Instant>,
    is_given_up: bool,
}

impl Conn {
    /// Makes a session over a connected transport. `is_local`: it is a unix socket.
    ///
    /// # Errors
    ///
    /// The server's, or why there is no session.
    pub fn begin(
        transport: Box<dyn Transport>,
        account: Account<'_>,
        encryption: Option<Encryption>,
        is_local: bool,
        deadline: Instant,
    ) -> mysql::Result<Self> {
        let mut packets = Packets::new(Stream::new(transport));
        authenticate(&mut packets, account, encryption, is_local, deadline)?;
        Ok(Self {
            packets,
            due: VecDeque::new(),
            due_before: 0,
            timeouts: Timeouts {
                read: Duration::MAX,
                write: Duration::MAX,
            },
            deadline: Some(deadline),
            answer_limit: None,
            is_given_up: false,
        })
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.packets.now()
    }

    /// The longest waits from now on.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// When all waits end from now on, the time-outs aside.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether some of a command was sent, and not all of it.
    pub fn is_partly_sent(&self) -> bool {
        self.packets.is_partly_sent()
    }

    fn limit(&self, timeout: Duration) -> Instant {
        let now = self.now();
        let own = now.checked_add(timeout);
        match (own, self.deadline) {
            (Some(own), Some(deadline)) => own.min(deadline),
            (Some(one), None) | (None, Some(one)) => one,
            // A day: the longest time-out of a DSN.
            (None, None) => now.checked_add(Duration::from_hours(24)).unwrap_or(now),
        }
    }

    fn give_up_after<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_given_up |= result.is_err();
        result
    }

    /// Sends a command. If it is [blocked](Sent::Blocked) an answer is to be taken, and then
    /// [`Self::go_on_sending`] called.
    ///
    /// # Errors
    ///
    /// The socket's, and bytes that nobody asked for.
    pub fn send(&mut self, command: Command<'_>) -> io::Result<Sent> {
        if self.is_given_up || self.is_partly_sent() {
            self.is_given_up = true;
            return Err(io::Error::new(ErrorKind::NotConnected, "the connection was given up"));
        }
        if self.due.is_empty() {
            let looked = self.packets.look();
            if self.give_up_after(looked)? {
                let error = self.unasked();
                return self.give_up_after(Err(error));
            }
        }
        let next = self.packets.encode(0, |output| command.encode(output));
        self.due_before = self.due.len();
        if command.has_answer() {
            self.due.push_back(next);
        }
        self.go_on_sending()
    }

    /// Sends the rest of a command that was blocked.
    pub fn go_on_sending(&mut self) -> io::Result<Sent> {
        let limit = self.limit(self.timeouts.write);
        match self.packets.send(limit) {
            Ok(()) => Ok(Sent::Whole),
            Err(error) if error.kind() == ErrorKind::TimedOut && self.due_before > 0 => Ok(Sent::Blocked),
            Err(error) => self.give_up_after(Err(error)),
        }
    }

    /// Takes the answer that is due first.
    ///
    /// # Errors
    ///
    /// The server's, after which the session goes on. Any other one ends it.
    pub fn receive(&mut self) -> mysql::Result<Answer> {
        let answer = self.receive_answer();
        Ok(self.give_up_after(answer)??)
    }

    /// Takes the answer to [`Command::Prepare`].
    ///
    /// # Errors
    ///
    /// As [`Self::receive`].
    pub fn receive_prepared(&mut self) -> mysql::Result<Prepared> {
        let answer = self.receive_description();
        Ok(self.give_up_after(answer)??)
    }

    /// Waits for the answer that is due first to begin, until then. Returns whether it has, or its
    /// time is over: then [`Self::receive`] does not wait.
    ///
    /// # Errors
    ///
    /// The socket's, which ends the session.
    pub fn is_answered(&mut self, until: Instant) -> io::Result<bool> {
        let limit = self.limit(self.timeouts.read);
        let limit = *self.answer_limit.get_or_insert(limit);
        if self.is_given_up || until >= limit {
            return Ok(true);
        }
        let came = self.packets.wait(until);
        self.give_up_after(came)
    }

    fn receive_answer(&mut self) -> io::Result<Result<Answer, MySqlError>> {
        let mut reader = self.reader()?;
        let packet = reader.next()?;
        let payload = reader.packets.payload(&packet);
        if let Some(error) = read_err(payload) {
            return Ok(Err(error));
        }
        if let Some(done) = read_ok(payload) {
            check_single(done.status)?;
            return Ok(Ok(Answer::Ok(done)));
        }
        // Not 0xfb, by which a server asks for a file of ours.
        let mut fields = Fields::of(payload);
        let count = fields
            .length()
            .filter(|count| fields.rest().is_empty() && (1..=COLUMNS_MAX).contains(count))
            .ok_or_else(unknown)?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let packet = reader.next()?;
            columns.push(read_column(reader.packets.payload(&packet)).ok_or_else(unknown)?);
        }
        reader.end_of_part()?;
        let columns: Arc<[Column]> = columns.into();
        let mut rows = Vec::new();
        loop {
            let packet = reader.next()?;
            let payload = reader.packets.payload(&packet);
            if let Some(status) = read_eof(payload) {
                check_single(status)?;
                return Ok(Ok(Answer::Rows(rows)));
            }
            if let Some(error) = read_err(payload) {
                return Ok(Err(error));
            }
            if rows.len() >= ROWS_MAX {
                return Err(protocol_error("a result has more rows than any that was asked for"));
            }
            let row = read_row(payload, &columns).ok_or_else(unknown)?;
            reader.room = reader
                .room
                .saturating_sub(VALUE_OVERHEAD_BYTES.saturating_mul(row.len()));
            rows.push(row);
        }
    }

    fn receive_description(&mut self) -> io::Result<Result<Prepared, MySqlError>> {
        let mut reader = self.reader()?;
        let packet = reader.next()?;
        let payload = reader.packets.payload(&packet);
        if let Some(error) = read_err(payload) {
            return Ok(Err(error));
        }
        let (id, columns, parameters) = read_description(payload).ok_or_else(unknown)?;
        for count in [parameters, columns] {
            for _ in 0..count {
                reader.next()?;
            }
            if count > 0 {
                reader.end_of_part()?;
            }
        }
        let parameters = usize::from(parameters);
        Ok(Ok(Prepared { id, parameters }))
    }

    /// What reads the answer that is due first.
    fn reader(&mut self) -> io::Result<Reader<'_>> {
        if self.is_given_up {
            return Err(io::Error::new(ErrorKind::NotConnected, "the connection was given up"));
        }
        let sequence = self.due.pop_front();
        self.due_before = self.due_before.saturating_sub(1);
        let limit = self
            .answer_limit
            .take()
            .unwrap_or_else(|| self.limit(self.timeouts.read));
        Ok(Reader {
            sequence: sequence.ok_or_else(|| protocol_error("no answer is due"))?,
            packets: &mut self.packets,
            room: ANSWER_BYTES_MAX,
            limit,
        })
    }

    /// What bytes that nobody asked for say, if they say a word.
    fn unasked(&mut self) -> io::Error {
        let now = self.now();
        match self.packets.receive(ANSWER_BYTES_MAX, now) {
            Ok(packet) => match read_err(self.packets.payload(&packet)) {
                Some(error) => ended_by_server(&error),
                None => protocol_error("the server answers what nobody has asked"),
            },
            Err(_) => protocol_error("the server answers what nobody has asked"),
        }
    }

    /// Sends a command that nothing else is under way with.
    fn call(&mut self, command: Command<'_>) -> mysql::Result<()> {
        if !self.due.is_empty() {
            self.is_given_up = true;
            return Err(protocol_error("a command before all answers were taken").into());
        }
        self.send(command)?;
        Ok(())
    }

    /// Executes a statement's text that has a result.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`]; a row that is not of the kind that is asked for.
    pub fn query<T: FromRow>(&mut self, sql: impl AsRef<str>) -> mysql::Result<Vec<T>> {
        self.call(Command::Query(sql.as_ref()))?;
        self.receive_rows()
    }

    /// As [`Self::query`], and returns the first row.
    pub fn query_first<T: FromRow>(&mut self, sql: impl AsRef<str>) -> mysql::Result<Option<T>> {
        Ok(self.query(sql)?.into_iter().next())
    }

    /// Executes a statement's text that has no result.
    ///
    /// # Errors
    ///
    /// As [`Self::receive`]; a result.
    pub fn query_drop(&mut self, sql: impl AsRef<str>) -> mysql::Result<()> {
        self.query_changes(sql).map(drop)
    }

    /// As [`Self::query_drop`], and returns how many rows it has changed.
    ///
    /// # Errors
    ///
    /// As [`Self::query_drop`].
    pub fn query_changes(&mut self, sql: impl AsRef<str>) -> mysql::Result<u64> {
        self.call(Command::Query(sql.as_ref()))?;
        self.receive_ok()
    }

    /// Takes an answer that has a result.
    fn receive_rows<T: FromRow>(&mut self) -> mysql::Result<Vec<T>> {
        if let Answer::Rows(rows) = self.receive()? {
            let rows = rows.into_iter().map(mysql::from_row_opt);
            let read: Result<Vec<T>, _> = rows.collect();
            if let Ok(read) = read {
                return Ok(read);
            }
        }
        Ok(self.give_up_after(Err(unknown()))?)
    }

    /// Takes an answer that has no result: how many rows were changed.
    fn receive_ok(&mut self) -> mysql::Result<u64> {
        match self.receive()? {
            Answer::Ok(done) => Ok(done.affected_rows),
            // Nobody knows what became of the command.
            Answer::Rows(_) => Ok(self.give_up_after(Err(unknown()))?),
        }
    }
}

impl Drop for Conn {
    /// Says the end, if nothing is under way: a server counts a connection that ends otherwise as
    /// aborted. Does not wait.
    fn drop(&mut self) {
        if !self.is_given_up && self.due.is_empty() && !self.is_partly_sent() {
            self.packets.encode(0, |output| Command::Quit.encode(output));
            let now = self.now();
            // The server ends the session in either case.
            let _ = self.packets.send(now);
        }
    }
}

/// Reads the packets of one answer.
struct Reader<'r> {
    packets: &'r mut Packets,
    sequence: u8,
    /// The bytes that the rest of the answer may have.
    room: usize,
    limit: Instant,
}

impl Reader<'_> {
    fn next(&mut self) -> io::Result<Packet> {
        let packet = self.packets.receive(self.room, self.limit)?;
        let payload = self.packets.payload(&packet);
        if packet.sequence != self.sequence {
            return Err(match read_err(payload) {
                Some(error) => ended_by_server(&error),
                None => protocol_error("an answer is out of order"),
            });
        }
        self.sequence = packet.next_sequence;
        self.room = self.room.saturating_sub(payload.len());
        Ok(packet)
    }

    fn end_of_part(&mut self) -> io::Result<()> {
        let packet = self.next()?;
        read_eof(self.packets.payload(&packet)).map(drop).ok_or_else(unknown)
    }
}

/// The answer to `COM_STMT_PREPARE`: the statement's number, its columns and its placeholders.
fn read_description(payload: &[u8]) -> Option<(u32, u16, u16)> {
    let mut fields = Fields::of(payload);
    (fields.byte()? == OK).then_some(())?;
    let id = fields.u32()?;
    let columns = fields.u16()?;
    let parameters = fields.u16()?;
    (u64::from(columns) <= COLUMNS_MAX).then_some((id, columns, parameters))
}

/// A statement has one result: nothing else is offered.
fn check_single(status: StatusFlags) -> io::Result<()> {
    if status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) {
        return Err(protocol_error("a statement has several results"));
    }
    Ok(())
}

fn unknown() -> io::Error {
    protocol_error("the server sent no answer that is known")
}

/// An error that is no answer to anything: the server says why it ends the connection.
fn ended_by_server(error: &MySqlError) -> io::Error {
    io::Error::new(
        ErrorKind::ConnectionAborted,
        format!("the server ended the connection: {} ({})", error.message, error.code),
    )
}
