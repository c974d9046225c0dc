//! One connection: the session on the wire, its prepared statements, and the state of its
//! transaction.
//!
//! Invariants:
//! - [`TransactionState`] says what the session does with the next statement. Whoever needs each
//!   statement to commit by itself calls [`Connection::commit_each`], and gets an error rather than
//!   half a transaction committed.
//! - A connection that [is broken](Connection::is_broken) sends nothing more; its sink drops it.
//!
//! Bounds: the wait for an answer has the DSN's `read_timeout_ms`, that for a command to be sent
//! its `write_timeout_ms`, or what is left of the caller's deadline if that is less. Each counts
//! from the call.

use std::time::{Duration, Instant};

use crate::error::codes::{self, Class};
use crate::error::{Error, Result};
use crate::sink::mysql::executions::StatementForm;
use crate::sink::mysql::own_sessions::Session;
use crate::sink::mysql::statement_cache::StatementCache;
use crate::sink::mysql::traits::ServerTraits;
use crate::sink::mysql::wire::conn::Conn;

/// What the session does with the next statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// It commits by itself.
    Autocommit,
    /// It begins a transaction.
    Manual,
    /// It joins the transaction that was begun. Also so after a panic amid one.
    InTransaction,
}

/// A connection: see the module.
#[derive(Debug)]
pub struct Connection {
    /// The session on the wire.
    pub conn: Conn,
    /// What the server's statements look like.
    pub form: StatementForm,
    /// What reading a table's schema needs to know.
    pub traits: ServerTraits,
    /// The server's own time-out for locks.
    pub own_lock_wait: Duration,
    /// What the server knows the session by.
    pub session: Session,
    /// Rows of the last transaction that have a guard and changed nothing.
    pub stale_rows: usize,
    /// The statements prepared for rows.
    pub(super) statements: StatementCache,
    state: TransactionState,
    is_broken: bool,
}

impl Connection {
    /// A connection whose session is set up, and in which each statement commits by itself.
    pub fn new(
        conn: Conn,
        form: StatementForm,
        traits: ServerTraits,
        own_lock_wait: Duration,
        session: Session,
        statements: StatementCache,
    ) -> Self {
        Self {
            conn,
            form,
            traits,
            own_lock_wait,
            session,
            stale_rows: 0,
            statements,
            state: TransactionState::Autocommit,
            is_broken: false,
        }
    }

    /// Whether its successor can end its session, and so what was sent there: it holds a lock.
    pub fn can_be_ended(&self) -> bool {
        self.session.lock.is_some()
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

    /// Ends all waits from now on at the caller's deadline.
    ///
    /// # Errors
    ///
    /// The caller's time is over.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> Result<()> {
        self.conn.set_deadline(deadline);
        if deadline.is_some_and(|deadline| self.conn.now() >= deadline) {
            return Err(Error::timeout("the time given is over"));
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

    /// The next statement begins a transaction, as in a session without `autocommit`. Returns
    /// whether `autocommit` still has to be switched off.
    pub fn begin_by_statement(&mut self) -> bool {
        let was_autocommit = self.state == TransactionState::Autocommit;
        self.state = TransactionState::InTransaction;
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
        if self.state == TransactionState::InTransaction {
            self.state = TransactionState::Manual;
        }
    }
}
