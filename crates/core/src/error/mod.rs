//! The one error of the engine. Its kind decides which PHP exception it becomes, and whether the rows were taken.

pub mod codes;
pub mod decision;
pub mod phase;

use std::fmt;

use crate::error::codes::Class;
use crate::error::phase::Phase;

/// Why something did not work. A message says what, where and what to do; it never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    phase: Phase,
    message: String,
}

/// What went wrong, as far as anybody acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Settings, a table or a row that cannot work. Nothing was taken.
    Config,
    /// The buffer's bound is reached. Nothing was taken.
    Full,
    /// The buffer is closed. Nothing was taken.
    Closed,
    /// No server, or the connection was lost. `commit_unknown`: it was lost while a COMMIT was under way.
    Connection {
        /// The server's code or the client library's, or 0.
        code: u16,
        /// The transaction may be committed.
        commit_unknown: bool,
    },
    /// The server answered with an error.
    Server {
        /// The server's code.
        code: u16,
        /// What it asks for.
        class: Class,
    },
    /// Rows that were taken cannot be written now, for a reason that lies in their table, the settings or this machine.
    Blocked,
    /// A check of ours refused a row before it was sent.
    Row,
    /// The caller's time is over.
    Timeout,
    /// The caller's thread is wanted elsewhere.
    Interrupted,
    /// The ledger is not where the writer left it: see [`crate::ledger`].
    LedgerMoved,
    /// A bug of ours. No row is at fault.
    Bug,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            phase: Phase::Statement,
            message: message.into(),
        }
    }

    /// A setting, a table or a row that cannot work.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// The buffer's bound is reached.
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(Kind::Full, message)
    }

    /// The buffer is closed.
    pub fn closed() -> Self {
        Self::new(
            Kind::Closed,
            "the buffer is closed: create a new one, or add before close()",
        )
    }

    /// No server, or a lost connection. `code` is the server's or the client library's, or 0.
    pub fn connection(code: u16, message: impl Into<String>) -> Self {
        Self::new(
            Kind::Connection {
                code,
                commit_unknown: false,
            },
            message,
        )
    }

    /// No answer to a COMMIT, or one that does not say whether it was carried out: the transaction may be committed.
    pub fn commit_unknown(code: u16, message: impl Into<String>) -> Self {
        Self::new(
            Kind::Connection {
                code,
                commit_unknown: true,
            },
            message,
        )
    }

    /// The ledger does not hold what the writer left there: it was committed to after all, or its row is gone.
    pub fn ledger_moved() -> Self {
        Self::new(
            Kind::LedgerMoved,
            "the ledger does not hold the number that this writer left there",
        )
    }

    /// An error that the server answered with.
    pub fn server(code: u16, message: impl Into<String>) -> Self {
        Self::server_with_state(code, "", message)
    }

    /// As [`Self::server`], with the SQLSTATE of the answer.
    pub fn server_with_state(code: u16, state: &str, message: impl Into<String>) -> Self {
        let class = codes::classify_with_state(code, state);
        Self::new(Kind::Server { code, class }, message)
    }

    /// The same error, met in another phase than [`Phase::Statement`].
    #[must_use]
    pub fn during(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// A row refused by a check of ours.
    pub fn row(message: impl Into<String>) -> Self {
        Self::new(Kind::Row, message)
    }

    /// A bug of ours, noticed before it did harm.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// The same error, met when a batch is written: its rows were taken, which [`Kind::Config`] denies.
    #[must_use]
    pub fn after_taking(mut self) -> Self {
        if self.kind == Kind::Config {
            self.kind = Kind::Blocked;
        }
        self
    }

    /// The same error, met when a batch is written, of a row that its table can never take: the row is at fault, and is
    /// [refused](decision::Decision::Refuse).
    #[must_use]
    pub fn of_row(mut self) -> Self {
        if self.kind == Kind::Config {
            self.kind = Kind::Row;
        }
        self
    }

    /// The caller's time is over.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// A wait that ended because the caller's thread is wanted elsewhere.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "the wait was interrupted")
    }

    /// The same error, said with more words before it.
    #[must_use]
    pub fn context(mut self, words: &str) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What was under way.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The server's error code, or 0.
    pub fn code(&self) -> u16 {
        match self.kind {
            Kind::Connection { code, .. } | Kind::Server { code, .. } => code,
            _ => 0,
        }
    }

    /// The message, without a code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the connection could not be had, or is of no use any more.
    pub fn is_connection(&self) -> bool {
        match self.kind {
            Kind::Connection { .. } => true,
            Kind::Server { class, .. } => class == Class::Reconnect,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// "1 row", "2 rows".
pub fn count_rows(rows: usize) -> String {
    if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    }
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
