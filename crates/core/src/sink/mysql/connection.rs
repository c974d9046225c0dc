//! One connection: the client library's, the buffers of what is sent without it, the prepared
//! statements, and the state of the session's transaction.
//!
//! Invariants:
//! - [`TransactionState`] says what the session does with the next statement. Whoever needs each
//!   statement to commit by itself calls [`Connection::commit_each`], and gets an error rather than
//!   half a transaction committed.
//! - A connection that [is broken](Connection::is_broken) sends nothing more; its sink drops it.
//!
//! Bounds: every wait on the socket has a time-out, the DSN's `read_timeout_ms` or
//! `write_timeout_ms`, or what is left of the caller's deadline if that is less.

use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::error::codes::{self, Class};
use crate::error::{Error, Result};
use crate::sink::mysql::executions::StatementForm;
use crate::sink::mysql::protocol::PacketBuffers;
use crate::sink::mysql::socket::SocketHooks;
use crate::sink::mysql::statement_cache::StatementCache;
use crate::sink::mysql::traits::ServerTraits;

/// The longest waits for one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketTimeouts {
    /// For one that is read.
    pub read: Duration,
    /// For one that is written.
    pub write: Duration,
}

/// What the session does with the next statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// It commits by itself.
    Autocommit,
    /// It begins a transaction.
    Manual,
    /// It joins the transaction that was begun. Also so after a panic amid one.
    InTransaction {
        /// Whether the session is in [`Self::Autocommit`] again after the transaction's end.
        autocommit: bool,
    },
}

/// A connection: see the module.
#[derive(Debug)]
pub struct Connection {
    /// The client library's side of it.
    pub conn: Conn,
    /// What the server's statements look like.
    pub form: StatementForm,
    /// What reading a table's schema needs to know.
    pub traits: ServerTraits,
    /// The packets that are sent and received without the client library.
    pub(super) wire: PacketBuffers,
    /// The statements prepared for that.
    pub(super) statements: StatementCache,
    pub(super) hooks: SocketHooks,
    /// The DSN's.
    timeouts: SocketTimeouts,
    /// Those now set on the socket.
    set_timeouts: Option<SocketTimeouts>,
    state: TransactionState,
    is_broken: bool,
}

impl Connection {
    /// A connection whose session is set up, and in which each statement commits by itself.
    pub fn new(
        conn: Conn,
        form: StatementForm,
        traits: ServerTraits,
        timeouts: SocketTimeouts,
        hooks: SocketHooks,
    ) -> Self {
        Self {
            conn,
            form,
            traits,
            wire: PacketBuffers::default(),
            statements: StatementCache::default(),
            hooks,
            timeouts,
            // The handshake's time-outs are not those of a write.
            set_timeouts: None,
            state: TransactionState::Autocommit,
            is_broken: false,
        }
    }

    /// The socket's file descriptor.
    pub fn fd(&self) -> i32 {
        self.conn.as_raw_fd()
    }

    /// Whether the connection is of no use any more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The connection is of no use any more.
    pub fn set_broken(&mut self) {
        self.is_broken = true;
    }

    /// What the session does with the next statement.
    pub fn state(&self) -> TransactionState {
        self.state
    }

    /// Sets the socket's time-outs: the DSN's, or what is left of the caller's time if that is
    /// less.
    ///
    /// # Errors
    ///
    /// The caller's time is over; the socket takes no time-outs.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> Result<()> {
        let mut wanted = self.timeouts;
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::timeout("the time given is over"));
            }
            wanted = SocketTimeouts {
                read: wanted.read.min(left),
                write: wanted.write.min(left),
            };
        }
        if self.set_timeouts != Some(wanted) {
            (self.hooks.set_timeouts)(self.fd(), wanted.read, wanted.write).map_err(|error| {
                self.is_broken = true;
                Error::connection(0, format!("cannot set the time-outs of the connection: {error}"))
            })?;
            self.set_timeouts = Some(wanted);
        }
        Ok(())
    }

    /// Remembers whether the connection outlives an error. A server's error leaves it as it was,
    /// unless it says that the server is of no use for now.
    pub fn note(&mut self, error: &mysql::Error) {
        let survives = match error {
            mysql::Error::MySqlError(error) => codes::classify_with_state(error.code, &error.state) != Class::Reconnect,
            _ => false,
        };
        self.is_broken |= !survives;
    }

    fn query_drop(&mut self, sql: &str) -> mysql::Result<()> {
        let done = self.conn.query_drop(sql);
        if let Err(error) = &done {
            self.note(error);
        }
        done
    }

    /// Makes each statement commit by itself.
    ///
    /// # Errors
    ///
    /// The server's. Nobody knows the session's `autocommit` then: the connection is broken.
    pub fn commit_each(&mut self) -> mysql::Result<()> {
        if self.state == TransactionState::Autocommit {
            return Ok(());
        }
        let done = self.query_drop("SET SESSION autocommit = 1");
        match &done {
            Ok(()) => self.state = TransactionState::Autocommit,
            Err(_) => self.is_broken = true,
        }
        done
    }

    /// Begins a transaction by its own statement.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn start_transaction(&mut self) -> mysql::Result<()> {
        self.query_drop("START TRANSACTION")?;
        self.state = TransactionState::InTransaction { autocommit: true };
        Ok(())
    }

    /// The next statement begins a transaction, as in a session without `autocommit`. Returns
    /// whether `autocommit` still has to be switched off.
    pub fn begin_by_statement(&mut self) -> bool {
        let was_autocommit = self.state == TransactionState::Autocommit;
        self.state = TransactionState::InTransaction { autocommit: false };
        was_autocommit
    }

    /// Commits what was begun.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn commit(&mut self) -> mysql::Result<()> {
        self.query_drop("COMMIT")?;
        self.leave_transaction();
        Ok(())
    }

    /// Ends a transaction that failed. 1205 rolled back its statement only, so this is not
    /// optional. If it fails the connection is broken, and the server ends the transaction with it.
    pub fn roll_back(&mut self) {
        match self.conn.query_drop("ROLLBACK") {
            Ok(()) => self.leave_transaction(),
            Err(_) => self.is_broken = true,
        }
    }

    fn leave_transaction(&mut self) {
        if let TransactionState::InTransaction { autocommit } = self.state {
            self.state = if autocommit {
                TransactionState::Autocommit
            } else {
                TransactionState::Manual
            };
        }
    }
}
