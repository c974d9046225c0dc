//! The commands of a transaction whose answers are awaited, and what went wrong with one.

use crate::error::Error;
use crate::error::codes::{self, Class};
use crate::error::phase::Phase;
use crate::plan::{Operation, Statement};
use crate::sink::mysql::ledger_table;
use crate::sink::mysql::lock_watch::Evidence;
use crate::table::model::TableModel;

/// A command of a transaction.
#[derive(Debug, Clone, Copy)]
pub enum PendingCommand<'p> {
    /// `SET autocommit`.
    Setting,
    /// The entry in the ledger.
    Ledger,
    /// Rows.
    Rows(&'p Statement<'p>),
    /// So many rows that share an UPDATE.
    SharedUpdate(&'p Statement<'p>, usize),
    /// The definition of a table that has rows, held against the one that the plan was made for.
    Definition(&'p TableModel),
}

/// Why a transaction was not written.
#[derive(Debug)]
pub struct WriteError<'p> {
    /// What failed.
    pub command: PendingCommand<'p>,
    /// Why.
    pub cause: Cause,
}

/// The cause in a [`WriteError`].
#[derive(Debug)]
pub enum Cause {
    /// What the server, the socket or the protocol said.
    Client(mysql::Error),
    /// The ledger does not hold what the entry follows.
    LedgerMoved,
    /// A row can only update, and no row has its key.
    MissingRow,
    /// A table is not what the plan was made for.
    SchemaChanged,
    /// The caller's time is over.
    OutOfTime(Error),
    /// It waited for a lock that somebody else holds.
    Locked(Evidence),
}

/// What a command came to.
pub type Result<'p, T> = std::result::Result<T, WriteError<'p>>;

impl WriteError<'_> {
    /// Whether rows were refused, as they may be because the plan is outdated.
    pub fn may_be_outdated(&self) -> bool {
        let is_answer = matches!(
            self.cause,
            Cause::MissingRow | Cause::Client(mysql::Error::MySqlError(_))
        );
        is_answer && self.command.rows().is_some()
    }

    /// Whether the server refused rows that shared an UPDATE, and may say of each one alone what it
    /// has against it, if anything. After a lost race, or at the connection's end, it does not.
    pub fn is_of_shared_update(&self) -> bool {
        let is_refused = match &self.cause {
            Cause::MissingRow => true,
            Cause::Client(mysql::Error::MySqlError(error)) => !matches!(
                codes::classify_with_state(error.code, &error.state),
                Class::Retry | Class::Reconnect
            ),
            _ => false,
        };
        is_refused && matches!(self.command, PendingCommand::SharedUpdate(..))
    }
}

/// The cause of two failures: the first one, unless the rows were refused for an outdated plan.
pub fn first_cause<'p>(first: Result<'p, ()>, second: Result<'p, ()>) -> Result<'p, ()> {
    match (first, second) {
        (Err(refused), Err(changed)) if refused.may_be_outdated() && matches!(changed.cause, Cause::SchemaChanged) => {
            Err(changed)
        }
        (first, second) => first.and(second),
    }
}

impl<'p> PendingCommand<'p> {
    /// Its error.
    pub fn failed(self, cause: Cause) -> WriteError<'p> {
        WriteError { command: self, cause }
    }

    /// What is under way: only rows can be at fault.
    pub fn phase(self) -> Phase {
        match self {
            Self::Rows(_) | Self::SharedUpdate(..) => Phase::Statement,
            Self::Setting | Self::Ledger | Self::Definition(_) => Phase::LookUp,
        }
    }

    /// Its statement, if it has rows, and what it does with them.
    pub fn rows(self) -> Option<(&'p Statement<'p>, Operation)> {
        match self {
            // Those that share an UPDATE are sent as such.
            Self::Rows(planned) if planned.operation == Operation::SharedUpdate => Some((planned, Operation::Update)),
            Self::Rows(planned) => Some((planned, planned.operation)),
            Self::SharedUpdate(planned, _) => Some((planned, Operation::SharedUpdate)),
            Self::Setting | Self::Ledger | Self::Definition(_) => None,
        }
    }

    /// Whether it may wait for a lock.
    pub fn locks(self) -> bool {
        matches!(self, Self::Ledger) || self.rows().is_some()
    }

    /// The words for it in an error's message.
    pub fn words(&self) -> String {
        match self {
            Self::Setting => "SET autocommit".to_owned(),
            Self::Ledger => format!("table {}", ledger_table::NAME),
            Self::Rows(statement) | Self::SharedUpdate(statement, _) => format!("table {}", statement.bound.model.name),
            Self::Definition(model) => format!("table {}", model.name),
        }
    }
}

/// The error of a row that can only update, if no row has its key.
pub fn missing_row(statement: &Statement<'_>) -> Error {
    statement.bound.missing_row()
}
