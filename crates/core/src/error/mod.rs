//! Owns the one error of the engine, the table of the servers' codes ([`codes`]), and what to do
//! after an error ([`decision`]).
//!
//! An error's kind decides which PHP exception it becomes, and the exception says what became of
//! the rows. [`Kind::Config`], [`Kind::Full`], [`Kind::TooLarge`] and [`Kind::Closed`]: nothing was
//! taken. Any other kind: the rows were taken, and are still buffered or among the failures.
//!
//! Invariants: no message holds a password, or a character that steers a terminal ([`message`]).
//! What a server says becomes an error by [`Error::server_with_state`] alone.

pub mod codes;
pub mod decision;
pub mod message;
pub mod phase;
mod redaction;
mod templates;

use std::fmt;
use std::sync::Arc;

use crate::error::codes::Class;
use crate::error::message::{Message, ServerText};
use crate::error::phase::Phase;

/// Why something failed. A message says what, where and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    phase: Phase,
    message: Message,
    place: Option<Box<TablePlace>>,
    /// The same for rows that are not buffered any more, if this one says that they are.
    at_end: Option<Box<Error>>,
}

/// The table whose statement failed, or whose definition did, and the columns of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlace {
    /// The table's name, as messages have it.
    pub table: String,
    /// The columns, if the statement had any.
    pub columns: Option<Arc<[Box<str>]>>,
    /// The server has said that somebody has locked all of it.
    pub is_locked: bool,
}

/// What went wrong, as far as code acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Settings, a table or a row that cannot work. Nothing was taken.
    Config,
    /// An argument of a wrong type.
    Argument,
    /// The buffer's bound is reached. Nothing was taken. There may be room later.
    Full,
    /// The group is larger than the buffer's bound. Nothing was taken.
    TooLarge,
    /// The buffer is closed. Nothing was taken.
    Closed,
    /// There is no server, or the connection was lost.
    Connection {
        /// The server's code, the client library's, or 0.
        code: u16,
        /// It was lost while a COMMIT was under way: the transaction may be committed.
        commit_unknown: bool,
    },
    /// The server answered with an error.
    Server {
        /// The server's code.
        code: u16,
        /// What it asks for.
        class: Class,
    },
    /// Rows that were taken cannot be written now. The reason lies in their table, the settings or
    /// this machine.
    Blocked,
    /// A check of ours refused a row before it was sent.
    Row,
    /// The caller's time is over.
    Timeout,
    /// The caller's thread is wanted elsewhere.
    Interrupted,
    /// The ledger does not hold what the writer left there: see [`crate::ledger`].
    LedgerMoved,
    /// Another process has taken this writer's place in the ledger. This one never writes again.
    TakenOver,
    /// The table is not what the transaction was planned for: somebody altered it.
    SchemaChanged,
    /// A group was given up, and nobody holds it any more.
    GivenUp,
    /// Nobody knows any more what became of a group.
    Forgotten,
    /// A bug of ours. No row is at fault.
    Bug,
}

impl Error {
    fn new(kind: Kind, message: impl Into<Message>) -> Self {
        Self {
            kind,
            phase: Phase::Statement,
            message: message.into(),
            place: None,
            at_end: None,
        }
    }

    /// A setting, a table or a row that cannot work.
    pub fn config(message: impl Into<Message>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// The buffer's bound is reached.
    pub fn full(message: impl Into<Message>) -> Self {
        Self::new(Kind::Full, message)
    }

    /// A group that is larger than the buffer's bound.
    pub fn too_large(message: impl Into<Message>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// The buffer is closed.
    pub fn closed() -> Self {
        Self::new(
            Kind::Closed,
            "the buffer is closed: create a new one, or add before close()",
        )
    }

    /// No server, or a lost connection. `code` is the server's, the client library's, or 0.
    pub fn connection(code: u16, message: impl Into<Message>) -> Self {
        Self::new(
            Kind::Connection {
                code,
                commit_unknown: false,
            },
            message,
        )
    }

    /// A COMMIT without an answer, or with one that does not say whether it was carried out. The
    /// transaction may be committed.
    pub fn commit_unknown(code: u16, message: impl Into<Message>) -> Self {
        Self::new(
            Kind::Connection {
                code,
                commit_unknown: true,
            },
            message,
        )
    }

    /// The ledger does not hold what the writer left there: a doubtful transaction was committed
    /// after all, or the row is gone.
    pub fn ledger_moved() -> Self {
        Self::new(
            Kind::LedgerMoved,
            "the ledger does not hold the number that this writer left there",
        )
    }

    /// Another process has taken this writer's place.
    pub fn taken_over() -> Self {
        Self::new(
            Kind::TakenOver,
            "another process has taken this writer's place in the ledger, and its rows with it: it was taken for dead. \
             This process writes nothing more in its place: end it, or begin anew with another buffer",
        )
    }

    /// An error that is one of the server's by its code, in our own words.
    pub fn server(code: u16, message: impl Into<Message>) -> Self {
        let class = codes::classify(code);
        Self::new(Kind::Server { code, class }, message)
    }

    /// The server's answer was an error: its code, its SQLSTATE, and what the server says.
    pub fn server_with_state(code: u16, state: &str, said: impl AsRef<str>) -> Self {
        let class = codes::classify_with_state(code, state);
        Self::new(
            Kind::Server { code, class },
            ServerText::new(code, state, said.as_ref()),
        )
    }

    /// The same error, met in another phase than [`Phase::Statement`].
    #[must_use]
    pub fn during(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// A check of ours refused a row.
    pub fn row(message: impl Into<Message>) -> Self {
        Self::new(Kind::Row, message)
    }

    /// A table that was altered since its transaction was planned.
    pub fn schema_changed(table: &impl fmt::Display) -> Self {
        Self::new(
            Kind::SchemaChanged,
            format!("table {table} was altered while its rows were written; they are planned anew"),
        )
    }

    /// Rows that cannot be written now.
    pub fn blocked(message: impl Into<Message>) -> Self {
        Self::new(Kind::Blocked, message)
    }

    /// A group that was given up, and is not held any more.
    pub fn given_up(message: impl Into<Message>) -> Self {
        Self::new(Kind::GivenUp, message)
    }

    /// A group of which nobody knows any more whether it was given up.
    pub fn forgotten(message: impl Into<Message>) -> Self {
        Self::new(Kind::Forgotten, message)
    }

    /// An argument of a wrong type.
    pub fn argument(message: impl Into<Message>) -> Self {
        Self::new(Kind::Argument, message)
    }

    /// A bug of ours, noticed before it did harm.
    pub fn bug(message: impl Into<Message>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// The same error, met while a batch is written. Its rows were taken, so it must not be
    /// [`Kind::Config`].
    #[must_use]
    pub fn after_taking(mut self) -> Self {
        if self.kind == Kind::Config {
            self.kind = Kind::Blocked;
        }
        self
    }

    /// The same error, met while a batch is written, for a row that its table can never take. The
    /// row is at fault, and is [refused](decision::Decision::Refuse).
    #[must_use]
    pub fn of_row(mut self) -> Self {
        if self.kind == Kind::Config {
            self.kind = Kind::Row;
        }
        self
    }

    /// The same error, met at this table. What is known already stays.
    #[must_use]
    pub fn at_table(mut self, table: &impl fmt::Display, columns: Option<&Arc<[Box<str>]>>) -> Self {
        self.place.get_or_insert_with(|| {
            Box::new(TablePlace {
                table: table.to_string(),
                columns: columns.cloned(),
                is_locked: false,
            })
        });
        self
    }

    /// The same, of a table that somebody has locked as a whole.
    #[must_use]
    pub fn while_locked(mut self) -> Self {
        if let Some(place) = &mut self.place {
            place.is_locked = true;
        }
        self
    }

    /// The caller's time is over.
    pub fn timeout(message: impl Into<Message>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// The wait ended because the caller's thread is wanted elsewhere.
    pub fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "the wait was interrupted")
    }

    /// The attempt's rows were taken from it before its COMMIT: their buffer has ended.
    pub fn taken_back() -> Self {
        Self::new(Kind::Interrupted, "the buffer ended before the rows were committed")
    }

    /// Whether waiting may help: nobody has to put anything right before.
    pub fn may_pass(&self) -> bool {
        match self.kind {
            Kind::Connection { code, .. } => codes::classify(code) != Class::Blocked,
            Kind::Server { class, .. } => class != Class::Blocked,
            Kind::Config | Kind::Argument | Kind::TooLarge | Kind::Blocked | Kind::Closed | Kind::TakenOver => false,
            Kind::Full
            | Kind::Row
            | Kind::Timeout
            | Kind::Interrupted
            | Kind::LedgerMoved
            | Kind::SchemaChanged
            | Kind::GivenUp
            | Kind::Forgotten
            | Kind::Bug => true,
        }
    }

    /// The same error, with `words` before its message.
    #[must_use]
    pub fn context(mut self, words: &str) -> Self {
        self.message = self.message.map(|why| format!("{words}: {why}"));
        self
    }

    /// The same error, printed with the values of rows that the server quoted: `redactValues` is
    /// off.
    #[must_use]
    pub fn revealed(mut self) -> Self {
        self.message = self.message.revealed();
        self
    }

    /// The same error, in these words while the rows stay buffered.
    #[must_use]
    pub fn while_buffered(self, words: String) -> Self {
        let mut error = self.reworded(words);
        error.at_end = Some(Box::new(self));
        error
    }

    /// The error for rows that are not buffered any more.
    pub fn at_end(&self) -> &Self {
        self.at_end.as_deref().unwrap_or(self)
    }

    /// An error of the same kind in other words.
    #[must_use]
    pub fn reworded(&self, message: impl Into<Message>) -> Self {
        Self {
            message: message.into(),
            ..self.clone()
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What was under way.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The table that it was met at, if it was met at one.
    pub fn place(&self) -> Option<&TablePlace> {
        self.place.as_deref()
    }

    /// The server's error code, or 0.
    pub fn code(&self) -> u16 {
        match self.kind {
            Kind::Connection { code, .. } | Kind::Server { code, .. } => code,
            _ => 0,
        }
    }

    /// The message, without a code, as it is printed.
    pub fn message(&self) -> &str {
        self.message.shown()
    }

    /// The message with all that belongs to it, for another one that is made of it.
    pub fn words(&self) -> &Message {
        &self.message
    }

    /// Whether it says that a transaction may be committed.
    pub fn is_commit_unknown(&self) -> bool {
        matches!(
            self.kind,
            Kind::Connection {
                commit_unknown: true,
                ..
            }
        )
    }

    /// Whether there is no connection, or one that is of no use any more.
    pub fn is_connection(&self) -> bool {
        match self.kind {
            Kind::Connection { .. } => true,
            Kind::Server { class, .. } => class == Class::Reconnect,
            _ => false,
        }
    }

    /// Whether the exception of a flush that ends by it has the groups that were given up. One that
    /// says that rows wait, for a server or for more time, has none.
    pub fn tells_of_failures(&self) -> bool {
        self.kind != Kind::Timeout && !self.is_connection()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message.shown())
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
