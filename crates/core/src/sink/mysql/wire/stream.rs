//! Bytes over a [`Transport`], in the clear or by TLS.
//!
//! Invariants:
//! - After [`Stream::upgrade`] every byte comes out of TLS. Whoever upgrades has made sure that no
//!   byte from before is left unread.
//! - Each call ends at its deadline, and not later because bytes keep coming.
//! - Nothing is sent at the end: no `close_notify`. Whoever gives a connection up says no word.
//!
//! Bounds: 16 KiB are read at once ([`READ_BYTES`]), 64 KiB are encrypted at once
//! ([`SEALED_BYTES`]).

use std::io::{self, Error, ErrorKind, IoSlice, Result, Write as _};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::sink::mysql::wire::transport::Transport;

/// The bytes that are read at once, at most.
const READ_BYTES: usize = 16 * 1_024;
/// The bytes of a command that are encrypted before they are sent, at most.
const SEALED_BYTES: usize = 64 * 1_024;

/// How to encrypt a connection, and whose certificate to expect.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// The authorities, and this client's certificate.
    pub config: Arc<ClientConfig>,
    /// The server's name.
    pub name: ServerName<'static>,
}

/// A stream: see the module.
#[derive(Debug)]
pub struct Stream {
    transport: Box<dyn Transport>,
    tls: Option<Box<ClientConnection>>,
    scratch: Box<[u8]>,
}

/// The transport under one deadline, as the TLS library reads and writes.
struct Timed<'t> {
    transport: &'t mut dyn Transport,
    deadline: Instant,
}

impl io::Read for Timed<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        self.transport.receive(room, self.deadline)
    }
}

impl io::Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.transport.send(&[IoSlice::new(bytes)], self.deadline)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> Result<usize> {
        self.transport.send(bytes, self.deadline)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Stream {
    /// A stream in the clear.
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            tls: None,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// What carries the bytes.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Encrypts all that follows.
    pub fn upgrade(&mut self, encryption: Encryption, deadline: Instant) -> Result<()> {
        let Encryption { config, name } = encryption;
        let mut session = ClientConnection::new(config, name).map_err(of_tls)?;
        // Whoever sends bounds what is buffered: see SEALED_BYTES.
        session.set_buffer_limit(None);
        let tls = self.tls.insert(Box::new(session));
        let transport = &mut *self.transport;
        loop {
            write_sealed(tls, transport, deadline)?;
            if !tls.is_handshaking() {
                return Ok(());
            }
            read_sealed(tls, transport, deadline)?;
        }
    }

    /// Sends bytes from `sent` on, and counts them there. After a time-out it can go on.
    pub fn send(&mut self, bytes: &[u8], sent: &mut usize, deadline: Instant) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
                let count = self.transport.send(&[IoSlice::new(rest)], deadline)?;
                *sent = sent.saturating_add(count);
            }
            return Ok(());
        };
        loop {
            write_sealed(tls, &mut *self.transport, deadline)?;
            let rest = bytes.get(*sent..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let some = rest.get(..SEALED_BYTES).unwrap_or(rest);
            tls.writer().write_all(some)?;
            *sent = sent.saturating_add(some.len());
        }
    }

    /// Whether encrypted bytes wait to be sent.
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Appends some bytes that came, at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedEof`]: the peer has ended the connection. [`ErrorKind::TimedOut`]:
    /// the deadline is over, whether or not bytes keep coming.
    pub fn receive(&mut self, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        if self.transport.now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        self.receive_what_is_there(into, deadline)
    }

    /// As [`Self::receive`], with a deadline that may be over: then it takes what is there already.
    pub fn receive_what_is_there(&mut self, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            let count = self.transport.receive(&mut self.scratch, deadline)?;
            let received = self.scratch.get(..count).filter(|received| !received.is_empty());
            into.extend_from_slice(received.ok_or(ErrorKind::UnexpectedEof)?);
            return Ok(());
        };
        let before = into.len();
        loop {
            let is_over = read_sealed(tls, &mut *self.transport, deadline)?;
            let mut reader = tls.reader();
            loop {
                match io::Read::read(&mut reader, &mut self.scratch) {
                    Ok(0) => break,
                    Ok(count) => into.extend_from_slice(self.scratch.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if into.len() > before {
                return Ok(());
            }
            if is_over {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if self.transport.now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

fn write_sealed(tls: &mut ClientConnection, transport: &mut dyn Transport, deadline: Instant) -> Result<()> {
    while tls.wants_write() {
        let mut timed = Timed { transport, deadline };
        if tls.write_tls(&mut timed)? == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

/// Reads some encrypted bytes. Returns whether the peer has said that no more will come.
fn read_sealed(tls: &mut ClientConnection, transport: &mut dyn Transport, deadline: Instant) -> Result<bool> {
    let mut timed = Timed { transport, deadline };
    if tls.read_tls(&mut timed)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let state = tls.process_new_packets().map_err(of_tls)?;
    Ok(state.peer_has_closed())
}

/// The TLS library's error, inside one of reading and writing.
fn of_tls(error: rustls::Error) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
