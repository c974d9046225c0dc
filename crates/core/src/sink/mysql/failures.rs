//! What went wrong on a connection, as an error of ours.

use std::time::Instant;

use crate::error::Error;
use crate::error::codes::{self, Class};
use crate::error::phase::Phase;
use crate::sink::mysql::connect_error::{describe, is_timeout};
use crate::sink::mysql::lock_watch::Evidence;
use crate::sink::mysql::pending_command::{Cause, PendingCommand, WriteError, missing_row};
use crate::sink::mysql::{MySqlSink, deletions};

impl MySqlSink {
    /// As [`Self::failed`], for a statement of the ledger.
    pub(super) fn ledger_failed(&mut self, error: &mysql::Error, deadline: Option<Instant>) -> Error {
        let failed = self.failed(error, Phase::LookUp, deadline);
        if codes::classify(failed.code()) == Class::Blocked {
            // Somebody may have dropped the table: the next transaction looks, and makes it anew.
            self.ledger.forget_registration();
        }
        failed.context(&format!("table {}", self.ledger.name()))
    }

    /// Turns an error of the connection into ours. Ends a connection that is of no use any
    /// more.
    pub(super) fn failed(&mut self, error: &mysql::Error, phase: Phase, deadline: Option<Instant>) -> Error {
        self.translate(error, phase, deadline).during(phase)
    }

    fn translate(&mut self, error: &mysql::Error, phase: Phase, deadline: Option<Instant>) -> Error {
        if let Some(connection) = &mut self.connection {
            connection.note(error);
            if connection.is_broken() {
                self.lose(phase == Phase::Commit);
            }
        }
        if let mysql::Error::MySqlError(server) = error {
            let failed = Error::server_with_state(server.code, &server.state, &server.message);
            if failed.is_connection() && !codes::is_of_connection(server.code) {
                self.connector.advance_host();
            }
            return failed;
        }
        let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        // Behind COMMIT only the connection's end counts.
        if is_over && !matches!(phase, Phase::Commit) {
            // Slower than the caller waits: that says nothing about the server.
            return Error::timeout(format!(
                "the server did not answer in time ({})",
                self.connector.address()
            ));
        }
        let why = match error {
            other if is_timeout(other) && is_over => "no answer in the time given".to_owned(),
            other if is_timeout(other) => {
                format!(
                    "no answer within {} ms (read_timeout_ms)",
                    self.connector.dsn().read_timeout.as_millis()
                )
            }
            other => describe(other),
        };
        let message = format!("lost the connection to {}: {why}", self.connector.address());
        self.connector.advance_host();
        Error::connection(codes::CR_SERVER_LOST, message)
    }

    /// Turns the error of a transaction's statement into ours.
    pub(super) fn write_failed(&mut self, failed: WriteError<'_>, deadline: Option<Instant>) -> Error {
        let WriteError { command, cause } = failed;
        match (cause, command) {
            (Cause::LedgerMoved, _) => Error::ledger_moved(),
            (Cause::MissingRow, PendingCommand::Rows(statement) | PendingCommand::SharedUpdate(statement, _)) => {
                missing_row(statement).at_table(&statement.bound.model.name, Some(&statement.bound.columns))
            }
            (Cause::MissingRow, _) => Error::row("no row was found"),
            (Cause::SchemaChanged, PendingCommand::Definition(model)) => {
                Error::schema_changed(&model.name).at_table(&model.name, None)
            }
            (Cause::SchemaChanged, _) => Error::bug("a table was altered, and it is not known which"),
            (Cause::OutOfTime(error), _) => error,
            (Cause::Locked(seen), PendingCommand::Rows(statement) | PendingCommand::SharedUpdate(statement, _)) => {
                let words = match seen {
                    Evidence::Table => "somebody has locked the table",
                    Evidence::Row => "somebody has locked a row",
                };
                let failed = Error::server(codes::ER_LOCK_WAIT_TIMEOUT, words)
                    .during(Phase::Statement)
                    .context(&command.words())
                    .at_table(&statement.bound.model.name, Some(&statement.bound.columns));
                if seen == Evidence::Table {
                    failed.while_locked()
                } else {
                    failed
                }
            }
            (Cause::Locked(_), _) => Error::bug("something is locked, and it is not known which table"),
            (Cause::Client(error), PendingCommand::Ledger) => self.ledger_failed(&error, deadline),
            (Cause::Client(error), command) => {
                let failed = self.failed(&error, command.phase(), deadline).context(&command.words());
                match command {
                    PendingCommand::Rows(statement) | PendingCommand::SharedUpdate(statement, _) => {
                        deletions::failed(statement, failed)
                            .at_table(&statement.bound.model.name, Some(&statement.bound.columns))
                    }
                    PendingCommand::Definition(model) => failed.at_table(&model.name, None),
                    _ => failed,
                }
            }
        }
    }
}
