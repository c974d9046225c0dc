//! Writes plans to MySQL or MariaDB over one connection of its own.
//!
//! Invariants: the connection is not shared and not pooled; after an error that leaves its state in doubt (a lost
//! packet, a time-out, a ROLLBACK that failed) it is thrown away. A transaction is committed as a whole, or rolled back,
//! or, when the connection is lost while COMMIT is under way, unknown, and the error says so.
//!
//! Bounds: every wait on the socket has a time-out.

mod connect_error;
mod connector;
mod executions;
mod ledger_table;
mod pipeline;
mod protocol;
mod schema;
pub mod sql;
mod tls;
mod variables;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, Params, Value as SqlValue};

use crate::dsn::ServerDsn;
use crate::error::server;
use crate::error::server::Class;
use crate::error::{Error, Result};
use crate::ledger::LedgerEntry;
use crate::plan::{Limits, Plan, Statement};
use crate::sink::Sink;
use crate::sink::mysql::connect_error::{describe, is_timeout};
use crate::sink::mysql::connector::{Connector, Session};
use crate::sink::mysql::ledger_table::LedgerTable;
use crate::sink::mysql::sql::Operation;
use crate::table::TableModel;
use crate::table::catalog::TableEntry;

/// What this crate, which has no `unsafe`, cannot do to a socket by itself.
#[derive(Debug, Clone, Copy)]
pub struct SocketHooks {
    /// Sets both time-outs of the socket behind a file descriptor.
    pub set_timeouts: fn(fd: i32, read: Duration, write: Duration) -> std::io::Result<()>,
    /// Sends some bytes, and says how many. A peer that has gone is an error and no signal.
    pub send: fn(fd: i32, bytes: &[u8]) -> std::io::Result<usize>,
    /// Receives some bytes, and says how many; none: the peer has ended the connection.
    pub receive: fn(fd: i32, bytes: &mut [u8]) -> std::io::Result<usize>,
}

/// The file descriptor of a sink's connection, for a forked child, which must close its copy without a word.
#[derive(Debug, Clone)]
pub struct Descriptor(Arc<AtomicI32>);

impl Descriptor {
    const NONE: i32 = -1;

    fn new() -> Self {
        Self(Arc::new(AtomicI32::new(Self::NONE)))
    }

    fn set(&self, fd: i32) {
        self.0.store(fd, Ordering::SeqCst);
    }

    /// The descriptor, where there is a connection; it is forgotten with this.
    pub fn take(&self) -> Option<i32> {
        let fd = self.0.swap(Self::NONE, Ordering::SeqCst);
        (fd != Self::NONE).then_some(fd)
    }
}

/// A sink with a server behind it.
#[derive(Debug)]
pub struct MySqlSink {
    connector: Connector,
    pub(super) hooks: SocketHooks,
    session: Option<Session>,
    descriptor: Descriptor,
    connects: u64,
    pub(super) ledger: LedgerTable,
    /// A transaction was begun and not ended: also after a panic in between.
    is_mid_transaction: bool,
}

impl MySqlSink {
    /// A sink for the server of the DSN. Connects when it is first used.
    pub fn new(dsn: ServerDsn, batch_rows: usize, lane: u16, hooks: SocketHooks) -> Self {
        Self {
            connector: Connector::new(dsn, batch_rows, hooks),
            hooks,
            session: None,
            descriptor: Descriptor::new(),
            connects: 0,
            ledger: LedgerTable::new(lane),
            is_mid_transaction: false,
        }
    }

    /// Checks what a DSN names on this machine, the files of TLS, before anything depends on them.
    ///
    /// # Errors
    ///
    /// A file that is of no use, and why.
    pub fn check(dsn: &ServerDsn) -> Result<()> {
        dsn.tls.as_ref().map_or(Ok(()), tls::check).map_err(Error::config)
    }

    /// The descriptor of whatever connection the sink has.
    pub fn descriptor(&self) -> Descriptor {
        self.descriptor.clone()
    }

    /// Ends the connection, told before it is done: the number may be another file's a moment later.
    pub(super) fn hang_up(&mut self) {
        self.descriptor.take();
        self.session = None;
        self.is_mid_transaction = false;
        self.ledger.hung_up();
    }

    /// Runs statements of the ledger.
    fn with_ledger<R>(
        &mut self,
        deadline: Option<Instant>,
        run: impl FnOnce(&mut LedgerTable, &mut Conn) -> mysql::Result<R>,
    ) -> Result<R> {
        self.session_that_commits(deadline)?;
        let Some(session) = &mut self.session else {
            return Err(Error::connection(0, "there is no connection"));
        };
        run(&mut self.ledger, &mut session.conn).map_err(|error| self.ledger_failed(&error, deadline))
    }

    /// As [`Self::failed`], for a statement of the ledger.
    pub(super) fn ledger_failed(&mut self, error: &mysql::Error, deadline: Option<Instant>) -> Error {
        let failed = self.failed(error, deadline);
        if server::classify(failed.code()) == Class::Misconfigured {
            // Somebody may have dropped the table: the next transaction looks, and makes it anew.
            self.ledger.forget_registration();
        }
        failed.context(&format!("table {}", ledger_table::NAME))
    }

    fn session(&mut self, deadline: Option<Instant>) -> Result<&mut Session> {
        let timeouts = self.connector.timeouts(deadline)?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                use std::os::fd::AsRawFd as _;
                let session = self.connector.connect(deadline)?;
                self.descriptor.set(session.conn.as_raw_fd());
                self.connects += 1;
                session
            }
        };
        if timeouts != session.timeouts {
            use std::os::fd::AsRawFd as _;
            (self.hooks.set_timeouts)(session.conn.as_raw_fd(), timeouts.0, timeouts.1).map_err(|error| {
                Error::connection(0, format!("cannot set the time-outs of the connection: {error}"))
            })?;
            session.timeouts = timeouts;
        }
        Ok(self.session.insert(session))
    }

    /// The connection, outside a transaction, with each statement being one.
    fn session_that_commits(&mut self, deadline: Option<Instant>) -> Result<&mut Session> {
        let session = self.session(deadline)?;
        if !session.autocommit {
            match session.conn.query_drop("SET SESSION autocommit = 1") {
                Ok(()) => session.autocommit = true,
                Err(error) => {
                    let failed = self.failed(&error, deadline);
                    self.hang_up();
                    return Err(failed);
                }
            }
        }
        self.current(deadline)
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// The connection of the transaction that is under way. It never opens another one, on which COMMIT would succeed and
    /// commit nothing.
    pub(super) fn current(&mut self, deadline: Option<Instant>) -> Result<&mut Session> {
        if self.session.is_none() {
            return Err(Error::connection(
                server::CR_SERVER_LOST,
                "the connection of the transaction is gone",
            ));
        }
        self.session(deadline)
    }

    /// Turns an error of the client library into ours, and throws the connection away where it is of no use any more.
    pub(super) fn failed(&mut self, error: &mysql::Error, deadline: Option<Instant>) -> Error {
        if let mysql::Error::MySqlError(server) = error {
            if server::classify(server.code) == Class::Reconnect {
                self.hang_up();
                if !server::is_of_connection(server.code) {
                    self.connector.leave_host();
                }
            }
            return Error::server(server.code, server.message.clone());
        }
        self.hang_up();
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // Slower than the caller would wait: that says nothing against the server.
            return Error::timeout("the server did not answer in time");
        }
        let why = match error {
            other if is_timeout(other) => {
                format!(
                    "no answer within {} ms (read_timeout_ms)",
                    self.connector.dsn().read_timeout.as_millis()
                )
            }
            other => describe(other),
        };
        let message = format!("lost the connection to {}: {why}", self.connector.place());
        self.connector.leave_host();
        Error::connection(server::CR_SERVER_LOST, message)
    }

    /// Enters the transaction in the ledger.
    fn enter(&mut self, entry: Option<LedgerEntry>, deadline: Option<Instant>) -> Result<()> {
        let Some(entry) = entry else { return Ok(()) };
        self.current(deadline)?;
        if self.with_ledger(deadline, |ledger, conn| ledger.enter(conn, entry))? {
            Ok(())
        } else {
            Err(Error::ledger_moved())
        }
    }

    /// Commits. Whatever answer leaves open whether that happened is [unknown](Error::is_commit_unknown).
    fn end_transaction(&mut self, deadline: Option<Instant>) -> Result<()> {
        let Err(error) = self.current(deadline)?.conn.query_drop("COMMIT") else {
            return Ok(());
        };
        // The deadline may be over; the connection's end is what counts here.
        let failed = self.failed(&error, None);
        if !failed.is_lost_connection() {
            return Err(failed);
        }
        Err(Error::commit_unknown(
            failed.code(),
            format!("{failed}; that was while COMMIT was under way, so the batch may be committed"),
        ))
    }

    /// Ends a transaction that failed. 1205 rolled back its statement only, so this is not optional.
    fn roll_back(&mut self) {
        let rolled_back = self.session.as_mut().map(|session| session.conn.query_drop("ROLLBACK"));
        if let Some(Err(_)) = rolled_back {
            // The server ends the transaction with the connection.
            self.hang_up();
        }
    }

    /// Executes statements one after the other, by the client library: TLS is its own.
    fn write(&mut self, statements: &[Statement<'_>], deadline: Option<Instant>) -> Result<()> {
        for planned in statements {
            let limits = self.current(deadline)?.limits;
            for execution in executions::executions(planned, limits) {
                let session = self.current(deadline)?;
                let sql = execution.sql(planned, limits.dialect);
                let values = execution.parameters.into_iter().map(SqlValue::from).collect();
                let done = session
                    .conn
                    .prep(sql)
                    .and_then(|prepared| session.conn.exec_drop(&prepared, Params::Positional(values)));
                let found = session.conn.affected_rows();
                if let Err(error) = done {
                    let words = format!("table {}", planned.bound.model.name);
                    return Err(self.failed(&error, deadline).context(&words));
                }
                if planned.operation == Operation::Update && found == 0 {
                    return Err(missing_row(planned));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn missing_row(statement: &Statement<'_>) -> Error {
    Error::row(format!(
        "table {}: a row without column {} can only update, and there is no row with its key ({}); add the whole row first",
        statement.bound.model.name,
        statement.bound.missing_required.as_deref().unwrap_or("?"),
        statement.bound.model.key.join(", ")
    ))
}

impl Drop for MySqlSink {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Sink for MySqlSink {
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits> {
        Ok(self.session(deadline)?.limits)
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel> {
        let session = self.session_that_commits(deadline)?;
        let schema = match schema::read(&mut session.conn, &table.name, session.schema) {
            Ok(schema) => schema,
            Err(error) => return Err(self.failed(&error, deadline)),
        };
        if schema.columns.is_empty() {
            return Err(Error::server(
                server::ER_NO_SUCH_TABLE,
                format!(
                    "table {} does not exist at {}, or the account {:?} may not see it; create it, or correct the table's name",
                    table.name,
                    self.connector.place(),
                    self.connector.dsn().user
                ),
            ));
        }
        TableModel::from_server(&table.name, &table.rules, table.default_mode, schema)
    }

    fn commit(&mut self, plan: &Plan<'_>, entry: Option<LedgerEntry>, deadline: Option<Instant>) -> Result<()> {
        if self.is_mid_transaction {
            // START TRANSACTION would commit the part of the other one that is there.
            self.hang_up();
        }
        let written = if self.connector.dsn().tls.is_some() {
            let begun = self
                .session_that_commits(deadline)?
                .conn
                .query_drop("START TRANSACTION");
            if let Err(error) = begun {
                return Err(self.failed(&error, deadline));
            }
            self.is_mid_transaction = true;
            self.enter(entry, deadline)
                .and_then(|()| self.write(&plan.statements, deadline))
        } else {
            self.session(deadline)?;
            self.is_mid_transaction = true;
            self.write_ahead(&plan.statements, entry, deadline)
        };
        let committed = written.and_then(|()| self.end_transaction(deadline));
        if committed.is_err() {
            self.roll_back();
        }
        self.is_mid_transaction = false;
        committed
    }

    fn register(&mut self, after: u64, deadline: Option<Instant>) -> Result<()> {
        if self.session.is_some() && self.ledger.is_ready() {
            return Ok(());
        }
        self.ledger.name_writer().map_err(|error| {
            Error::connection(
                0,
                format!("the system gives no random numbers to name this writer by: {error}"),
            )
        })?;
        let registered = self.with_ledger(deadline, |ledger, conn| ledger.register(conn, after));
        registered.map_err(|error| match server::classify(error.code()) {
            Class::Misconfigured => Error::config(format!(
                "{error}. The ledger says after a lost connection what was committed; the account {:?} needs to make it once, or \
                 an administrator does: {}; and the account needs SELECT, INSERT, UPDATE and DELETE on it. Or do without, by \
                 ledger: 'never'",
                self.connector.dsn().user,
                ledger_table::CREATE
            )),
            _ => error,
        })
    }

    fn forget_registration(&mut self) {
        self.ledger.forget_registration();
    }

    fn last_entry(&mut self, deadline: Option<Instant>) -> Result<Option<u64>> {
        let may_be_replica = self.connector.dsn().places() > 1;
        if may_be_replica && self.with_ledger(deadline, |_, conn| LedgerTable::is_on_replica(conn))? {
            let place = self.connector.place();
            self.hang_up();
            self.connector.leave_host();
            return Err(Error::server(
                server::ER_OPTION_PREVENTS_STATEMENT,
                format!("{place} is read-only, so it cannot say whether the last COMMIT was carried out"),
            ));
        }
        self.with_ledger(deadline, |ledger, conn| ledger.last_entry(conn))
    }

    fn retire(&mut self, deadline: Instant) {
        // Without a connection there is no haste: the row is pruned later.
        if self.session.is_some() && self.ledger.is_registered() {
            let retired = self.with_ledger(Some(deadline), LedgerTable::retire);
            if retired.is_err() {
                self.hang_up();
            }
        }
    }

    fn connects(&self) -> u64 {
        self.connects
    }
}
