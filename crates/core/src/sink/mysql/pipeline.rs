//! A transaction's statements, sent without waiting for each other's answers.
//!
//! After a lost race a server may have ended the transaction by itself, and executes what was sent behind the statement that
//! lost. So nothing may commit by itself: `autocommit` is off before the first statement, ROLLBACK follows every error, and
//! COMMIT is sent when all answers are there.
//!
//! Bounds: [`MAX_UNANSWERED`] statements without an answer; [`MAX_STATEMENTS`] prepared statements a connection.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use mysql::prelude::Queryable;
use mysql::{Conn, MySqlError};
use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::ledger::LedgerEntry;
use crate::plan::Statement;
use crate::sink::mysql::connector::STATEMENT_CACHE;
use crate::sink::mysql::executions;
use crate::sink::mysql::ledger_table;
use crate::sink::mysql::protocol::Answer;
use crate::sink::mysql::sql::{Operation, statement};
use crate::sink::mysql::{MySqlSink, missing_row};

/// Enough to keep the server at work while the next one is encoded, and few enough that their answers, some dozen bytes
/// each, never fill a socket's buffer.
const MAX_UNANSWERED: usize = 16;
/// The client library forgets what it prepared for others before it forgets these.
const MAX_STATEMENTS: usize = STATEMENT_CACHE - 32;

/// What was sent, and is not answered yet.
#[derive(Clone, Copy)]
enum Sent<'p> {
    Setting,
    Ledger,
    Rows(&'p Statement<'p>),
}

/// The prepared statements of one connection. Those of one table, column set and operation differ by how many rows they take.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// By the text of the statement for one row, and what belongs at its end; and by rows.
    known: FxHashMap<(String, usize), Known>,
    uses: u64,
}

#[derive(Debug)]
struct Known {
    statement: mysql::Statement,
    last_use: u64,
}

impl Prepared {
    fn id(&mut self, key: &(String, usize)) -> Option<u32> {
        self.uses += 1;
        let known = self.known.get_mut(key)?;
        known.last_use = self.uses;
        Some(known.statement.id())
    }

    /// Makes room for one more.
    fn evict(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if self.known.len() < MAX_STATEMENTS {
            return Ok(());
        }
        let oldest = self.known.iter().min_by_key(|(_, known)| known.last_use);
        let oldest = oldest.map(|(key, _)| key.clone());
        match oldest.and_then(|key| self.known.remove(&key)) {
            Some(known) => conn.close(known.statement),
            None => Ok(()),
        }
    }
}

impl MySqlSink {
    /// Executes a transaction's statements, up to COMMIT. All answers have come when this returns, or the connection is gone.
    pub(super) fn write_ahead(
        &mut self,
        statements: &[Statement<'_>],
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let mut sent = VecDeque::with_capacity(MAX_UNANSWERED);
        let mut written = self.send_all(statements, entry, deadline, &mut sent);
        while !sent.is_empty() && self.is_connected() {
            // The first error is the cause of the others.
            let answered = self.take_answer(&mut sent, deadline);
            written = written.and(answered);
        }
        written?;
        if self.current(deadline)?.wire.is_in_step() {
            return Ok(());
        }
        let unasked = std::io::Error::new(ErrorKind::InvalidData, "the server answers what nobody has asked");
        Err(self.failed(&unasked.into(), deadline))
    }

    fn send_all<'p>(
        &mut self,
        statements: &'p [Statement<'p>],
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        sent: &mut VecDeque<Sent<'p>>,
    ) -> Result<()> {
        let session = self.current(deadline)?;
        let was_autocommit = std::mem::replace(&mut session.autocommit, false);
        if was_autocommit {
            session.wire.query("SET SESSION autocommit = 0");
            self.send(Sent::Setting, sent, deadline)?;
        }
        if let Some(entry) = entry {
            let sql = self.ledger.entry_sql(entry);
            self.current(deadline)?.wire.query(&sql);
            self.send(Sent::Ledger, sent, deadline)?;
        }
        for planned in statements {
            let limits = self.current(deadline)?.limits;
            let one_row = statement(&planned.bound, planned.operation, 1, limits.dialect);
            for execution in executions::executions(planned, limits) {
                let key = (format!("{one_row}{}", execution.types), execution.rows);
                let id = match self.current(deadline)?.prepared.id(&key) {
                    Some(id) => id,
                    None => self.prepare(planned, key, execution.sql(planned, limits.dialect), deadline, sent)?,
                };
                self.current(deadline)?.wire.execute(id, &execution.parameters);
                self.send(Sent::Rows(planned), sent, deadline)?;
            }
        }
        Ok(())
    }

    /// Prepares a statement, by the client library, for which all answers must have come.
    fn prepare<'p>(
        &mut self,
        planned: &'p Statement<'p>,
        key: (String, usize),
        sql: String,
        deadline: Option<Instant>,
        sent: &mut VecDeque<Sent<'p>>,
    ) -> Result<u32> {
        while !sent.is_empty() {
            self.take_answer(sent, deadline)?;
        }
        let session = self.current(deadline)?;
        let prepared = session
            .prepared
            .evict(&mut session.conn)
            .and_then(|()| session.conn.prep(sql));
        match prepared {
            Ok(statement) => {
                let id = statement.id();
                let last_use = session.prepared.uses;
                session.prepared.known.insert(key, Known { statement, last_use });
                Ok(id)
            }
            Err(error) => Err(self.failed(&error, deadline).context(&Sent::Rows(planned).words())),
        }
    }

    /// Sends what the wire has taken.
    fn send<'p>(&mut self, what: Sent<'p>, sent: &mut VecDeque<Sent<'p>>, deadline: Option<Instant>) -> Result<()> {
        while sent.len() >= MAX_UNANSWERED {
            self.take_answer(sent, deadline)?;
        }
        loop {
            let hooks = self.hooks;
            let session = self.current(deadline)?;
            let fd = session.conn.as_raw_fd();
            match session.wire.send(fd, hooks) {
                Ok(()) => {
                    sent.push_back(what);
                    return Ok(());
                }
                // The server is at what was sent before, and may wait for a lock there: that has a time of its own.
                Err(error) if error.kind() == ErrorKind::WouldBlock && !sent.is_empty() => {
                    if let Err(error) = self.take_answer(sent, deadline) {
                        // What follows would be taken for the rest of this command.
                        self.hang_up();
                        return Err(error);
                    }
                }
                Err(error) => return Err(self.failed(&error.into(), deadline).context(&what.words())),
            }
        }
    }

    /// Takes the answer to what was sent first.
    fn take_answer(&mut self, sent: &mut VecDeque<Sent<'_>>, deadline: Option<Instant>) -> Result<()> {
        let Some(what) = sent.pop_front() else {
            return Ok(());
        };
        let hooks = self.hooks;
        let session = match self.current(deadline) {
            Ok(session) => session,
            Err(error) => {
                // The answer stays on the way: the connection is of no use without it.
                self.hang_up();
                return Err(error);
            }
        };
        let fd = session.conn.as_raw_fd();
        let error = match (session.wire.receive(fd, hooks), what) {
            (Ok(Answer::Ok { affected_rows }), Sent::Ledger) if affected_rows != 1 => return Err(Error::ledger_moved()),
            (Ok(Answer::Ok { affected_rows: 0 }), Sent::Rows(statement))
                if statement.operation == Operation::Update =>
            {
                return Err(missing_row(statement));
            }
            (Ok(Answer::Ok { .. }), _) => return Ok(()),
            (Ok(Answer::Err { code, state, message }), _) => {
                mysql::Error::MySqlError(MySqlError { state, message, code })
            }
            (Err(error), _) => error.into(),
        };
        if matches!(what, Sent::Ledger) {
            return Err(self.ledger_failed(&error, deadline));
        }
        let failed = self.failed(&error, deadline);
        if matches!(what, Sent::Setting) {
            // What the session has now nobody knows, and everything depends on it.
            self.hang_up();
        }
        Err(failed.context(&what.words()))
    }
}

impl Sent<'_> {
    /// What an error's message says that it was about.
    fn words(&self) -> String {
        match self {
            Self::Setting => "SET autocommit".to_owned(),
            Self::Ledger => format!("table {}", ledger_table::NAME),
            Self::Rows(statement) => format!("table {}", statement.bound.model.name),
        }
    }
}
