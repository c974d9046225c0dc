//! A transaction's statements, from its first one up to COMMIT.
//!
//! [`Connection::write_ahead`] sends them without waiting for each other's answers. So the ledger's
//! UPDATE and all rows cost one round trip, and COMMIT, which waits for all answers, another.
//!
//! A server may end the transaction after a lost race, and then execute what was sent behind the
//! statement that lost. With autocommit that would be committed by itself. So `autocommit` is off
//! before the first statement, ROLLBACK follows every error, and COMMIT is sent when all answers
//! are there. An error amid a command that was sent in part ends the connection. A write blocks if
//! the server is still at an earlier statement: then it waits for that one's answer, under that
//! one's time-out.
//!
//! What was sent behind a statement that waited for a lock in vain would wait in its turn, each as
//! long. So the connection is then closed without a word, and another one is opened at once, which
//! ends its session by KILL ([`own_sessions`](crate::sink::mysql::own_sessions)). COMMIT was not
//! sent there, so nothing of it is committed. Where the next one could not end it, the answers are
//! awaited.
//!
//! A statement that waits for a lock is given up in the same way, before its own
//! time is over: see [`lock_watch`](crate::sink::mysql::lock_watch).
//!
//! Bounds: 16 statements without an answer ([`UNANSWERED_MAX`]).

use std::collections::VecDeque;
use std::io::{Error as IoError, ErrorKind};
use std::time::Instant;

use crate::error::codes::{self, Class};
use crate::plan::{Operation, Statement};
use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::executions::{Execution, executions, statement};
use crate::sink::mysql::lock_watch::Lookout;
use crate::sink::mysql::pending_command::{Cause, PendingCommand, Result, WriteError, first_cause};
use crate::sink::mysql::schema::{definition_of, definition_sql};
use crate::sink::mysql::sql::Dialect;
use crate::sink::mysql::statement_cache::StatementKey;
use crate::sink::mysql::text::texts;
use crate::sink::mysql::unchanged::unchanged_rows;
use crate::sink::mysql::wire::answer::Done;
use crate::sink::mysql::wire::command::Command;
use crate::sink::mysql::wire::conn::{Answer, Prepared, Sent};
use crate::table::model::TableModel;

/// Enough to keep the server at work while the next one is encoded. Few enough that their answers,
/// some dozen bytes each, never fill a socket's buffer.
const UNANSWERED_MAX: usize = 16;

/// How long a transaction's statements are waited for.
#[derive(Debug)]
pub struct Waits<'s> {
    /// When the caller's time is over.
    pub deadline: Option<Instant>,
    /// Who sees whether one waits for a lock.
    pub lookout: Lookout<'s>,
}

/// How rows are sent.
enum Way {
    /// As values of a prepared statement.
    Prepared(Prepared),
    /// In the texts of these statements.
    Text(Vec<Vec<u8>>),
}

/// The tables that statements write to, each once, if their definition is known. From its first
/// statement on a transaction holds the table's metadata lock: what is defined after it stays so
/// until COMMIT. <https://dev.mysql.com/doc/refman/8.4/en/metadata-locking.html>
fn verified_tables<'p>(statements: &'p [Statement<'p>]) -> Vec<&'p TableModel> {
    let mut models: Vec<&TableModel> = Vec::new();
    for statement in statements {
        let model = &*statement.bound.model;
        if model.definition().is_some() && !models.iter().any(|known| std::ptr::eq(*known, model)) {
            models.push(model);
        }
    }
    models
}

fn is_defined_as(model: &TableModel, shown: &str) -> bool {
    model
        .definition()
        .is_none_or(|definition| **definition == *definition_of(shown))
}

impl Connection {
    /// Executes a transaction's statements, up to COMMIT. If rows that share an UPDATE are refused,
    /// all are written once more, and each of those by an UPDATE of its own: that one says what it
    /// says of a row alone. When this returns all answers have come, or the connection is broken.
    ///
    /// # Errors
    ///
    /// As [`Self::write_ahead`]; never what only the shared UPDATE has said.
    pub fn write<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        waits: &mut Waits<'_>,
    ) -> Result<'p, ()> {
        match self.write_ahead(statements, ledger_entry, waits) {
            Err(failed) if failed.is_of_shared_update() => {
                if !self.is_broken() {
                    self.roll_back();
                }
                if self.is_broken() {
                    return Err(failed.command.failed(Cause::Client(lost().into())));
                }
                self.form.shares_updates = false;
                let written = self.write_ahead(statements, ledger_entry, waits);
                self.form.shares_updates = true;
                written
            }
            written => written,
        }
    }

    /// Executes a transaction's statements, up to COMMIT. When this returns all answers have come,
    /// or the connection is broken.
    ///
    /// # Errors
    ///
    /// The first one: it is the cause of the others.
    pub fn write_ahead<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        waits: &mut Waits<'_>,
    ) -> Result<'p, ()> {
        self.stale_rows = 0;
        let mut sent = VecDeque::with_capacity(UNANSWERED_MAX);
        let mut written = self.send_all(statements, ledger_entry, waits, &mut sent);
        let is_verified = written.is_ok();
        while !sent.is_empty() && !self.is_broken() {
            let answered = self.take_answer(&mut sent, waits);
            written = first_cause(written, answered);
        }
        match written {
            Err(refused) if !is_verified && refused.may_be_outdated() => self.verify(statements, refused, waits),
            written => written,
        }
    }

    /// Holds the tables' definitions against the plan, after rows were refused before that was
    /// asked. Returns the cause.
    fn verify<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        refused: WriteError<'p>,
        waits: &mut Waits<'_>,
    ) -> Result<'p, ()> {
        let mut sent = VecDeque::new();
        let mut written = Err(refused);
        for model in verified_tables(statements) {
            if self.is_broken() {
                break;
            }
            let asked = self.ask_definition(model, waits, &mut sent);
            let answered = asked.and_then(|()| self.take_answer(&mut sent, waits));
            written = first_cause(written, answered);
        }
        written
    }

    fn send_all<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        waits: &mut Waits<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, ()> {
        if self.begin_by_statement() {
            let setting = Command::Query("SET SESSION autocommit = 0");
            self.send(PendingCommand::Setting, setting, sent, waits)?;
            // Refused, it would let each statement sent behind it commit by itself. Once a
            // connection, as a rule.
            self.take_answer(sent, waits)?;
        }
        if let Some(entry) = ledger_entry {
            self.send(PendingCommand::Ledger, Command::Query(entry), sent, waits)?;
        }
        for planned in statements {
            let form = self.form;
            let mut one_row = (planned.operation, statement(&planned.bound, planned.operation, 1, form));
            for execution in executions(planned, form) {
                if execution.operation != one_row.0 {
                    let text = statement(&planned.bound, execution.operation, 1, form);
                    one_row = (execution.operation, text);
                }
                let key = (format!("{}{}", one_row.1, execution.types), execution.rows);
                let command = match execution.operation {
                    Operation::SharedUpdate => PendingCommand::SharedUpdate(planned, execution.rows),
                    _ => PendingCommand::Rows(planned),
                };
                let prepared = match self.way(command, planned, &execution, key, waits, sent)? {
                    Way::Prepared(prepared) => prepared,
                    Way::Text(texts) => {
                        // None of them has rows that share an UPDATE.
                        for text in &texts {
                            self.send(PendingCommand::Rows(planned), Command::Text(text), sent, waits)?;
                        }
                        continue;
                    }
                };
                if prepared.parameters != execution.parameters.len() {
                    self.set_broken();
                    let why = "the server counts other placeholders than were sent";
                    return Err(command.failed(Cause::Client(IoError::new(ErrorKind::InvalidData, why).into())));
                }
                let execute = Command::Execute(prepared.id, &execution.parameters);
                self.send(command, execute, sent, waits)?;
            }
        }
        for model in verified_tables(statements) {
            self.ask_definition(model, waits, sent)?;
        }
        Ok(())
    }

    /// Asks what a table is now.
    fn ask_definition<'p>(
        &mut self,
        model: &'p TableModel,
        waits: &mut Waits<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, ()> {
        let show = definition_sql(&model.name);
        self.send(PendingCommand::Definition(model), Command::Query(&show), sent, waits)
    }

    /// How an execution is sent.
    fn way<'p>(
        &mut self,
        command: PendingCommand<'p>,
        planned: &'p Statement<'p>,
        execution: &Execution<'_>,
        key: StatementKey,
        waits: &mut Waits<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, Way> {
        if let Some(prepared) = self.statements.find(&key) {
            return Ok(Way::Prepared(prepared));
        }
        let form = self.form;
        let text = || texts(planned, execution, form).map(Way::Text);
        if !self.statements.prepares(self.conn.now())
            && let Some(text) = text()
        {
            return Ok(text);
        }
        match self.prepare(command, key, &execution.sql(planned, form), waits, sent)? {
            Err(failed) if is_without_statements(&failed.cause) => {
                self.statements.pause(self.conn.now());
                text().ok_or(failed)
            }
            prepared => prepared.map(Way::Prepared),
        }
    }

    /// Prepares a statement. Its answer, and so those before it, must have come before it can be
    /// executed: they are waited for together.
    ///
    /// # Errors
    ///
    /// Inside: the server does not prepare it. Outside: something sent before has failed, or the
    /// connection. That is nothing that another form of this statement could mend.
    fn prepare<'p>(
        &mut self,
        command: PendingCommand<'p>,
        key: StatementKey,
        sql: &str,
        waits: &mut Waits<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, Result<'p, Prepared>> {
        for surplus in self.statements.take_surplus() {
            self.send_whole(command, Command::Close(surplus.id), sent, waits)?;
        }
        self.send_whole(command, Command::Prepare(sql), sent, waits)?;
        let mut earlier = Ok(());
        while !sent.is_empty() && !self.is_broken() {
            let answered = self.take_answer(sent, waits);
            earlier = earlier.and(answered);
        }
        if self.is_broken() {
            return earlier.and(Err(command.failed(Cause::Client(lost().into()))));
        }
        if let Err(error) = self.set_deadline(waits.deadline) {
            // Its answer may still come, and would be taken for another's.
            self.set_broken();
            return earlier.and(Err(command.failed(Cause::OutOfTime(error))));
        }
        if let Err(failed) = self.await_answer(command, waits) {
            return earlier.and(Err(failed));
        }
        let prepared = self.conn.receive_prepared().map_err(|error| {
            self.note(&error);
            command.failed(Cause::Client(error))
        });
        if let Ok(prepared) = prepared {
            self.statements.insert(key, prepared);
        }
        earlier.map(|()| prepared)
    }

    /// Sends a command, and notes that its answer is due.
    fn send<'p>(
        &mut self,
        pending: PendingCommand<'p>,
        command: Command<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
        waits: &mut Waits<'_>,
    ) -> Result<'p, ()> {
        self.send_whole(pending, command, sent, waits)?;
        sent.push_back(pending);
        Ok(())
    }

    fn send_whole<'p>(
        &mut self,
        pending: PendingCommand<'p>,
        command: Command<'_>,
        sent: &mut VecDeque<PendingCommand<'p>>,
        waits: &mut Waits<'_>,
    ) -> Result<'p, ()> {
        while sent.len() >= UNANSWERED_MAX {
            self.take_answer(sent, waits)?;
        }
        self.set_deadline(waits.deadline)
            .map_err(|error| pending.failed(Cause::OutOfTime(error)))?;
        let mut done = self.conn.send(command);
        loop {
            match done {
                Ok(Sent::Whole) => return Ok(()),
                // The server is at what was sent before, and may wait for a lock there. That wait
                // has a time-out of its own.
                Ok(Sent::Blocked) => {
                    if let Err(error) = self.take_answer(sent, waits) {
                        // The server would take what follows for the rest of this command.
                        self.set_broken();
                        return Err(error);
                    }
                    done = self.conn.go_on_sending();
                }
                Err(error) => {
                    self.set_broken();
                    return Err(pending.failed(Cause::Client(error.into())));
                }
            }
        }
    }

    /// Takes the answer to what was sent first.
    fn take_answer<'p>(&mut self, sent: &mut VecDeque<PendingCommand<'p>>, waits: &mut Waits<'_>) -> Result<'p, ()> {
        let Some(command) = sent.pop_front() else {
            return Ok(());
        };
        if let Err(error) = self.set_deadline(waits.deadline) {
            // The answer may still come, and would be taken for another's: the connection is of no
            // use.
            self.set_broken();
            return Err(command.failed(Cause::OutOfTime(error)));
        }
        self.await_answer(command, waits)?;
        let error = match (self.conn.receive(), command) {
            (Ok(Answer::Rows(rows)), PendingCommand::Definition(model)) => {
                let shown = rows.into_iter().next().and_then(|mut row| row.take_opt(1)?.ok());
                let shown: Vec<u8> = shown.unwrap_or_default();
                return if is_defined_as(model, &String::from_utf8_lossy(&shown)) {
                    Ok(())
                } else {
                    Err(command.failed(Cause::SchemaChanged))
                };
            }
            (Ok(Answer::Rows(_)), _) | (Ok(Answer::Ok(_)), PendingCommand::Definition(_)) => {
                IoError::new(ErrorKind::InvalidData, "the server sent another kind of answer").into()
            }
            (Ok(Answer::Ok(done)), PendingCommand::Ledger) if done.affected_rows != 1 => {
                return Err(command.failed(Cause::LedgerMoved));
            }
            (Ok(Answer::Ok(Done { affected_rows: 0, .. })), PendingCommand::Rows(statement))
                if matches!(statement.operation, Operation::Update | Operation::SharedUpdate) =>
            {
                return Err(command.failed(Cause::MissingRow));
            }
            (Ok(Answer::Ok(done)), PendingCommand::SharedUpdate(_, rows))
                if usize::try_from(done.affected_rows) != Ok(rows) =>
            {
                return Err(command.failed(Cause::MissingRow));
            }
            (Ok(Answer::Ok(done)), command) => {
                if let Some((planned, operation)) = command.rows()
                    && planned.bound.guard.is_some()
                {
                    let unchanged = usize::try_from(unchanged_rows(operation, &done)).unwrap_or(usize::MAX);
                    self.stale_rows = self.stale_rows.saturating_add(unchanged);
                }
                return Ok(());
            }
            (Err(error), _) => error,
        };
        self.note(&error);
        if is_lock_wait(&error) && self.can_be_ended() && sent.iter().any(|pending| pending.locks()) {
            // Each of them would wait as long.
            self.set_broken();
        }
        if let (Some((planned, operation)), mysql::Error::MySqlError(refused)) = (command.rows(), &error) {
            self.forget_refused(planned, operation, refused);
        }
        if matches!(command, PendingCommand::Setting) {
            // Nobody knows the session's `autocommit` now, and everything depends on it.
            self.set_broken();
        }
        Err(command.failed(Cause::Client(error)))
    }

    /// Waits until the answer to rows begins, or a look says that they wait for a lock.
    fn await_answer<'p>(&mut self, command: PendingCommand<'p>, waits: &mut Waits<'_>) -> Result<'p, ()> {
        let Some((planned, _)) = command.rows() else {
            return Ok(());
        };
        let table = &planned.bound.model.name;
        let is_answered = |connection: &mut Self, until| {
            let answered = connection.conn.is_answered(until);
            answered.map_err(|error| {
                connection.set_broken();
                command.failed(Cause::Client(error.into()))
            })
        };
        loop {
            let now = self.conn.now();
            let Some(patience) = waits.lookout.patience(&self.session, table, now) else {
                return Ok(());
            };
            if is_answered(self, now + patience)? {
                return Ok(());
            }
            let Some(evidence) = waits.lookout.look(&self.session, table, waits.deadline) else {
                continue;
            };
            // The lock was given back, or another statement waited.
            if is_answered(self, self.conn.now())? {
                waits.lookout.watch.forget_successor(self.conn.now());
                return Ok(());
            }
            self.set_broken();
            return Err(command.failed(Cause::Locked(evidence)));
        }
    }

    /// Once a text was no number, MySQL takes the parameter for a text: then it takes '-0.4' for 0
    /// that it refuses otherwise, where the column is UNSIGNED. And a statement that MariaDB
    /// prepared over a view goes on to be refused for the view's definer, whatever the view is by
    /// now. So the next row finds the statement prepared anew.
    fn forget_refused(&mut self, planned: &Statement<'_>, operation: Operation, refused: &mysql::MySqlError) {
        let is_stale = match codes::classify_with_state(refused.code, &refused.state) {
            Class::Data => self.form.dialect == Dialect::RowAlias,
            class => class == Class::Blocked,
        };
        if is_stale {
            let one_row = statement(&planned.bound, operation, 1, self.form);
            self.statements.forget(&one_row);
        }
    }
}

/// Whether the server prepares no statement now, or never.
fn is_without_statements(cause: &Cause) -> bool {
    let codes = [codes::ER_MAX_PREPARED_STMT_COUNT_REACHED, codes::ER_UNSUPPORTED_PS];
    matches!(cause, Cause::Client(mysql::Error::MySqlError(error)) if codes.contains(&error.code))
}

fn is_lock_wait(error: &mysql::Error) -> bool {
    matches!(error, mysql::Error::MySqlError(error) if error.code == codes::ER_LOCK_WAIT_TIMEOUT)
}

fn lost() -> IoError {
    IoError::new(ErrorKind::NotConnected, "the connection was given up")
}
