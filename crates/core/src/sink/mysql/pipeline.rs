//! A transaction's statements, from its first one up to COMMIT.
//!
//! [`Connection::write_ahead`] sends them without waiting for each other's answers. After a lost race a server may have
//! ended the transaction by itself, and executes what was sent behind the statement that lost. So nothing may commit by
//! itself: the server has answered that `autocommit` is off before the first statement is sent, ROLLBACK follows every
//! error, and COMMIT is sent when all answers are there. [`Connection::write_in_turn`] sends one after the other, by the client library: TLS is its own.
//!
//! Bounds: [`UNANSWERED_MAX`] statements without an answer.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Instant;

use mysql::prelude::Queryable;
use mysql::{MySqlError, Params, Value as SqlValue};

use crate::error::Error;
use crate::error::phase::Phase;
use crate::plan::{Operation, Statement};
use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::executions::executions;
use crate::sink::mysql::ledger_table;
use crate::sink::mysql::protocol::Answer;
use crate::sink::mysql::sql::statement;
use crate::sink::mysql::statement_cache::StatementKey;

/// Enough to keep the server at work while the next one is encoded, and few enough that their answers, some dozen bytes
/// each, never fill a socket's buffer.
const UNANSWERED_MAX: usize = 16;

/// A command of a transaction.
#[derive(Debug, Clone, Copy)]
pub enum PendingCommand<'p> {
    /// `SET autocommit`.
    Setting,
    /// `START TRANSACTION`.
    Begin,
    /// The entry in the ledger.
    Ledger,
    /// Rows.
    Rows(&'p Statement<'p>),
}

/// Why a transaction was not written.
#[derive(Debug)]
pub struct WriteError<'p> {
    /// What failed.
    pub command: PendingCommand<'p>,
    /// Why.
    pub cause: Cause,
}

/// See [`WriteError`].
#[derive(Debug)]
pub enum Cause {
    /// What the server, the socket or the client library said.
    Client(mysql::Error),
    /// The ledger does not hold what the entry follows.
    LedgerMoved,
    /// A row that can only update, and there is none with its key.
    MissingRow,
    /// The caller's time is over.
    OutOfTime(Error),
}

type Result<'p, T> = std::result::Result<T, WriteError<'p>>;

impl<'p> PendingCommand<'p> {
    fn failed(self, cause: Cause) -> WriteError<'p> {
        WriteError { command: self, cause }
    }

    /// What is under way: only rows can be at fault.
    pub fn phase(self) -> Phase {
        match self {
            Self::Rows(_) => Phase::Statement,
            Self::Setting | Self::Begin | Self::Ledger => Phase::LookUp,
        }
    }

    /// What an error's message says that it was about.
    pub fn words(&self) -> String {
        match self {
            Self::Setting => "SET autocommit".to_owned(),
            Self::Begin => "START TRANSACTION".to_owned(),
            Self::Ledger => format!("table {}", ledger_table::NAME),
            Self::Rows(statement) => format!("table {}", statement.bound.model.name),
        }
    }
}

/// The error of a row that can only update, and there is none with its key.
pub fn missing_row(statement: &Statement<'_>) -> Error {
    Error::row(format!(
        "table {}: a row without column {} can only update, and there is no row with its key ({}); add the whole row first",
        statement.bound.model.name,
        statement.bound.missing_required.as_deref().unwrap_or("?"),
        statement.bound.model.key.join(", ")
    ))
}

impl Connection {
    /// Executes a transaction's statements, up to COMMIT. All answers have come when this returns, or the connection is
    /// broken.
    ///
    /// # Errors
    ///
    /// The first one: it is the cause of the others.
    pub fn write_ahead<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        deadline: Option<Instant>,
    ) -> Result<'p, ()> {
        let mut sent = VecDeque::with_capacity(UNANSWERED_MAX);
        let mut written = self.send_all(statements, ledger_entry, deadline, &mut sent);
        while !sent.is_empty() && !self.is_broken() {
            let answered = self.take_answer(&mut sent, deadline);
            written = written.and(answered);
        }
        written?;
        if self.wire.is_in_step() {
            return Ok(());
        }
        self.set_broken();
        let unasked = std::io::Error::new(ErrorKind::InvalidData, "the server answers what nobody has asked");
        Err(PendingCommand::Setting.failed(Cause::Client(unasked.into())))
    }

    fn send_all<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        deadline: Option<Instant>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, ()> {
        if self.begin_by_statement() {
            self.wire.query("SET SESSION autocommit = 0");
            self.send(PendingCommand::Setting, sent, deadline)?;
            // Refused, it would let each statement sent behind it commit by itself. Once a connection, as a rule.
            self.take_answer(sent, deadline)?;
        }
        if let Some(entry) = ledger_entry {
            self.wire.query(entry);
            self.send(PendingCommand::Ledger, sent, deadline)?;
        }
        for planned in statements {
            let dialect = self.form.dialect;
            let one_row = statement(&planned.bound, planned.operation, 1, dialect);
            for execution in executions(planned, self.form) {
                let key = (format!("{one_row}{}", execution.types), execution.rows);
                let id = match self.statements.id(&key) {
                    Some(id) => id,
                    None => self.prepare(planned, key, execution.sql(planned, dialect), deadline, sent)?,
                };
                self.wire.execute(id, &execution.parameters);
                self.send(PendingCommand::Rows(planned), sent, deadline)?;
            }
        }
        Ok(())
    }

    /// Prepares a statement, by the client library, for which all answers must have come.
    fn prepare<'p>(
        &mut self,
        planned: &'p Statement<'p>,
        key: StatementKey,
        sql: String,
        deadline: Option<Instant>,
        sent: &mut VecDeque<PendingCommand<'p>>,
    ) -> Result<'p, u32> {
        while !sent.is_empty() {
            self.take_answer(sent, deadline)?;
        }
        let command = PendingCommand::Rows(planned);
        self.set_deadline(deadline)
            .map_err(|error| command.failed(Cause::OutOfTime(error)))?;
        self.statements.prepare(&mut self.conn, key, sql).map_err(|error| {
            self.note(&error);
            command.failed(Cause::Client(error))
        })
    }

    /// Sends what the wire has taken.
    fn send<'p>(
        &mut self,
        command: PendingCommand<'p>,
        sent: &mut VecDeque<PendingCommand<'p>>,
        deadline: Option<Instant>,
    ) -> Result<'p, ()> {
        while sent.len() >= UNANSWERED_MAX {
            self.take_answer(sent, deadline)?;
        }
        loop {
            if let Err(error) = self.set_deadline(deadline) {
                if self.wire.is_partly_sent() {
                    // What follows would be taken for the rest of this command.
                    self.set_broken();
                }
                return Err(command.failed(Cause::OutOfTime(error)));
            }
            let fd = self.fd();
            match self.wire.send(fd, self.hooks) {
                Ok(()) => {
                    sent.push_back(command);
                    return Ok(());
                }
                // The server is at what was sent before, and may wait for a lock there: that has a time of its own.
                Err(error) if error.kind() == ErrorKind::WouldBlock && !sent.is_empty() => {
                    if let Err(error) = self.take_answer(sent, deadline) {
                        // As above.
                        self.set_broken();
                        return Err(error);
                    }
                }
                Err(error) => {
                    self.set_broken();
                    return Err(command.failed(Cause::Client(error.into())));
                }
            }
        }
    }

    /// Takes the answer to what was sent first.
    fn take_answer<'p>(
        &mut self,
        sent: &mut VecDeque<PendingCommand<'p>>,
        deadline: Option<Instant>,
    ) -> Result<'p, ()> {
        let Some(command) = sent.pop_front() else {
            return Ok(());
        };
        if let Err(error) = self.set_deadline(deadline) {
            // The answer stays on the way: the connection is of no use without it.
            self.set_broken();
            return Err(command.failed(Cause::OutOfTime(error)));
        }
        let fd = self.fd();
        let error = match (self.wire.receive(fd, self.hooks), command) {
            (Ok(Answer::Ok { affected_rows }), PendingCommand::Ledger) if affected_rows != 1 => {
                return Err(command.failed(Cause::LedgerMoved));
            }
            (Ok(Answer::Ok { affected_rows: 0 }), PendingCommand::Rows(statement))
                if statement.operation == Operation::Update =>
            {
                return Err(command.failed(Cause::MissingRow));
            }
            (Ok(Answer::Ok { .. }), _) => return Ok(()),
            (Ok(Answer::Err { code, state, message }), _) => {
                mysql::Error::MySqlError(MySqlError { state, message, code })
            }
            (Err(error), _) => error.into(),
        };
        self.note(&error);
        if matches!(command, PendingCommand::Setting) {
            // What the session has now nobody knows, and everything depends on it.
            self.set_broken();
        }
        Err(command.failed(Cause::Client(error)))
    }

    /// Executes a transaction's statements one after the other, up to COMMIT.
    ///
    /// # Errors
    ///
    /// That of the statement that failed.
    pub fn write_in_turn<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        ledger_entry: Option<&str>,
        deadline: Option<Instant>,
    ) -> Result<'p, ()> {
        let begun = self.commit_each().and_then(|()| self.start_transaction());
        begun.map_err(|error| PendingCommand::Begin.failed(Cause::Client(error)))?;
        if let Some(entry) = ledger_entry {
            let found = self.run_in_turn(PendingCommand::Ledger, deadline, |conn| conn.query_drop(entry))?;
            if found != 1 {
                return Err(PendingCommand::Ledger.failed(Cause::LedgerMoved));
            }
        }
        for planned in statements {
            let command = PendingCommand::Rows(planned);
            let dialect = self.form.dialect;
            for execution in executions(planned, self.form) {
                let sql = execution.sql(planned, dialect);
                let values = execution.parameters.into_iter().map(SqlValue::from).collect();
                let found = self.run_in_turn(command, deadline, |conn| {
                    let prepared = conn.prep(sql)?;
                    conn.exec_drop(&prepared, Params::Positional(values))
                })?;
                if planned.operation == Operation::Update && found == 0 {
                    return Err(command.failed(Cause::MissingRow));
                }
            }
        }
        Ok(())
    }

    /// Runs one command, and says how many rows it found.
    fn run_in_turn<'p>(
        &mut self,
        command: PendingCommand<'p>,
        deadline: Option<Instant>,
        run: impl FnOnce(&mut mysql::Conn) -> mysql::Result<()>,
    ) -> Result<'p, u64> {
        self.set_deadline(deadline)
            .map_err(|error| command.failed(Cause::OutOfTime(error)))?;
        run(&mut self.conn).map_err(|error| {
            self.note(&error);
            command.failed(Cause::Client(error))
        })?;
        Ok(self.conn.affected_rows())
    }
}
