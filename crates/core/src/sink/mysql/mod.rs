//! Owns the way to MySQL and MariaDB: a sink that writes plans over one connection of its own.
//!
//! Invariants:
//! - The connection is not shared and not pooled.
//! - After an error that leaves its state in doubt (a lost packet, a time-out, a ROLLBACK that
//!   failed) it is dropped.
//! - A transaction is committed whole, rolled back, or unknown: if no clear answer to COMMIT came.
//!   The error says which.
//! - Nothing here decides whether something is tried again: that is the writer's.
//!
//! Bounds: one connection; 16 statements sent ahead (`pipeline`); 65,535 placeholders and 128 rows
//! in a statement ([`executions`]); `maxPreparedStatements` prepared ones (`statement_cache`);
//! every wait on the socket has a time-out (`connection`); every answer is bounded ([`wire`]).

mod bounded_file;
mod column_row;
mod connect_error;
mod connection;
mod connector;
mod deletions;
mod examined;
pub mod executions;
mod failures;
mod ledger_calls;
mod ledger_table;
mod lock_watch;
pub(crate) mod own_sessions;
pub mod parameters;
mod pending_command;
mod pipeline;
mod schema;
mod shared_update;
pub mod socket;
pub mod sql;
mod statement_cache;
mod table_errors;
mod text;
pub mod text_form;
mod tls;
mod traits;
mod unchanged;
mod variables;
mod verify;
mod wire;

use std::time::{Duration, Instant};

use crate::dsn::ServerDsn;
use crate::error::codes;
use crate::error::decision::{Decision, decide};
use crate::error::phase::Phase;
use crate::error::{Error, Result};
use crate::ledger::{LedgerEntry, LedgerRow, Position, check_writer_name};
use crate::plan::Plan;
use crate::plan::limits::Limits;
use crate::settings::Settings;
use crate::sink::mysql::connection::{Connection, TransactionState};
use crate::sink::mysql::connector::Connector;
use crate::sink::mysql::ledger_table::LedgerTable;
use crate::sink::mysql::lock_watch::{LockWatch, Lookout};
use crate::sink::mysql::own_sessions::OwnSessions;
use crate::sink::mysql::pipeline::Waits;
use crate::sink::mysql::socket::Sockets;
use crate::sink::mysql::table_errors::{check_name, no_such_table, without_transactions};
use crate::sink::{Place, Sink};
use crate::table::entry::TableEntry;
use crate::table::model::TableModel;
use crate::table::name::TableName;

/// The time to end a session when the caller's is over. Callers return half a second later at most.
const LAST_KILL_TIME: Duration = Duration::from_millis(200);

/// A sink with a server behind it.
#[derive(Debug)]
pub struct MySqlSink {
    connector: Connector,
    connection: Option<Connection>,
    connects: u64,
    /// How many waits for a lock are as long as the server's own time-out.
    own_lock_wait: Duration,
    /// Rows of the last transaction that a guard may have turned away.
    stale_rows: usize,
    sessions: OwnSessions,
    locks: LockWatch,
    ledger: LedgerTable,
}

impl MySqlSink {
    /// A sink for the DSN's server. Connects when it is first used.
    pub fn new(dsn: ServerDsn, settings: &Settings, ledger: TableName, lane: u16) -> Self {
        let ledger = ledger.within(Some(&dsn.database));
        Self {
            connector: Connector::new(dsn, settings.batch_size, settings.max_prepared_statements),
            connection: None,
            connects: 0,
            own_lock_wait: Duration::ZERO,
            stale_rows: 0,
            sessions: OwnSessions::default(),
            locks: LockWatch::default(),
            ledger: LedgerTable::new(ledger, lane),
        }
    }

    /// Checks the files that a DSN names for TLS, before anything depends on them.
    ///
    /// # Errors
    ///
    /// A file that is of no use, and why.
    pub fn check(dsn: &ServerDsn) -> Result<()> {
        dsn.tls.as_ref().map_or(Ok(()), tls::check).map_err(Error::config)
    }

    /// The sockets of the sink's connections, now and later.
    pub fn sockets(&self) -> Sockets {
        self.connector.sockets()
    }

    /// Ends the connection.
    fn disconnect(&mut self) {
        self.lose(false);
    }

    /// As [`Self::disconnect`]. `in_doubt`: a COMMIT may be under way there.
    fn lose(&mut self, in_doubt: bool) {
        self.connection = None;
        self.sessions.connection_lost(in_doubt);
    }

    /// The connection, outside a transaction. One that is amid a transaction, after a panic, is not
    /// used again: its next statement would commit the part that is there.
    fn connection(&mut self, deadline: Option<Instant>) -> Result<&mut Connection> {
        let is_stale = |connection: &Connection| {
            connection.is_broken() || matches!(connection.state(), TransactionState::InTransaction)
        };
        if self.connection.as_ref().is_some_and(is_stale) {
            self.disconnect();
        }
        if self.connection.is_none() {
            let connection = match self.locks.take_successor() {
                Some(successor) => successor,
                None => self.connector.connect(&mut self.sessions, deadline)?,
            };
            self.begin(connection);
        }
        self.current(deadline)?;
        if let Some(connection) = &mut self.connection
            && let Err(error) = self.sessions.end_lost(&mut connection.conn)
        {
            return Err(self.failed(&error, Phase::Connect, deadline));
        }
        self.current(deadline)
    }

    /// Goes on with a connection.
    fn begin(&mut self, connection: Connection) {
        self.sessions.begin(connection.session.clone());
        self.connects += 1;
        self.own_lock_wait = connection.own_lock_wait;
        self.connection = Some(connection);
    }

    /// The connection, outside a transaction. Each statement commits by itself.
    fn connection_that_commits(&mut self, deadline: Option<Instant>) -> Result<&mut Connection> {
        if let Err(error) = self.connection(deadline)?.commit_each() {
            return Err(self.failed(&error, Phase::LookUp, deadline));
        }
        self.current(deadline)
    }

    /// The connection that is there. Never opens another one, on which COMMIT would succeed and
    /// commit nothing.
    fn current(&mut self, deadline: Option<Instant>) -> Result<&mut Connection> {
        let Some(connection) = &mut self.connection else {
            return Err(Error::connection(
                codes::CR_SERVER_LOST,
                "the connection of the transaction is gone",
            ));
        };
        connection.set_deadline(deadline)?;
        Ok(connection)
    }

    /// Commits. An answer that leaves open whether that happened is
    /// [unknown](Decision::CommitUnknown), and ends the connection: nobody knows its session's
    /// state.
    fn end_transaction(&mut self, deadline: Option<Instant>) -> Result<()> {
        let Err(error) = self.current(deadline)?.commit() else {
            return Ok(());
        };
        let failed = self.failed(&error, Phase::Commit, deadline);
        if decide(Phase::Commit, &failed) != Decision::CommitUnknown {
            return Err(failed);
        }
        self.lose(true);
        Err(Error::commit_unknown(
            failed.code(),
            failed
                .words()
                .map(|why| format!("{why}; that was while COMMIT was under way, so the batch may be committed")),
        ))
    }

    /// Ends the session that was given up while it waited for a lock, now: it holds the rows that
    /// it has written, and may go on to wait. Where that fails, the next connection does it, and
    /// its user hears why there is none.
    fn end_what_waits(&mut self, deadline: Option<Instant>) {
        let grace = Instant::now() + LAST_KILL_TIME;
        if self.connection.is_none() && self.connection(deadline.map(|deadline| deadline.max(grace))).is_err() {
            self.disconnect();
        }
    }

    /// Ends a transaction that failed, on the server or with its connection.
    fn roll_back(&mut self) {
        if let Some(connection) = &mut self.connection {
            if !connection.is_broken() {
                connection.roll_back();
            }
            if connection.is_broken() {
                self.disconnect();
            }
        }
    }
}

impl Drop for MySqlSink {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Sink for MySqlSink {
    fn database(&self) -> Option<&str> {
        Some(&self.connector.dsn().database)
    }

    fn place(&self) -> Option<Place> {
        let dsn = self.connector.dsn();
        Some(Place {
            servers: dsn.servers(),
            database: dsn.database.clone(),
        })
    }

    fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    fn wait_briefly_for_locks(&mut self) {
        if let Some(wait) = self.connector.wait_briefly_for_locks() {
            self.locks.start(wait);
        }
    }

    fn wait_patiently_for_locks(&mut self) {
        self.locks.stop();
    }

    fn own_lock_wait(&self) -> Duration {
        self.own_lock_wait
    }

    fn look_up_time(&self) -> Option<Duration> {
        Some(self.connector.dsn().read_timeout)
    }

    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits> {
        Ok(self.connection(deadline)?.form.limits)
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel> {
        let database = self.connector.dsn().database.clone();
        let connection = self.connection_that_commits(deadline)?;
        let traits = connection.traits;
        check_name(traits.names, &table.name)?;
        let found = match schema::read(&mut connection.conn, &table.name, &database, traits) {
            Ok(found) => found,
            Err(error) => return Err(self.failed(&error, Phase::LookUp, deadline)),
        };
        if let Some(twin) = table.case_twin.as_ref().filter(|_| traits.folds_table_names) {
            return Err(Error::config(format!(
                "table {} is the table {twin} to this server (lower_case_table_names): spell its name in one way",
                table.name
            )));
        }
        if let Some(engine) = found.engine_without_transactions {
            let harm = "rows that are refused or repeated would be doubled or half written";
            return Err(without_transactions(&table.name, &engine, harm));
        }
        let schema = found.schema;
        if schema.columns.is_empty() {
            return Err(no_such_table(&self.connector, &table.name, found.has_dotted_twin));
        }
        TableModel::from_server(&table.name, &table.rules, table.default_mode, schema)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.stale_rows = 0;
        if entry.is_some_and(|entry| entry.position.is_some()) && !self.ledger.has_positions() {
            self.make_room_for_position(deadline).map_err(Error::after_taking)?;
        }
        let entry = entry.map(|entry| self.ledger.entry_sql(entry, self.sessions.number()));
        self.connection(deadline)?;
        let Some(connection) = &mut self.connection else {
            return Err(Error::connection(0, "there is no connection"));
        };
        let mut waits = Waits {
            deadline,
            lookout: Lookout {
                watch: &mut self.locks,
                connector: &self.connector,
                sessions: &mut self.sessions,
            },
        };
        let written = connection.write(&plan.statements, entry.as_deref(), &mut waits);
        self.stale_rows = connection.stale_rows;
        let committed = match written {
            Ok(()) if !may_commit() => Err(Error::taken_back()),
            Ok(()) => self.end_transaction(deadline),
            Err(failed) => Err(self.write_failed(failed, deadline)),
        };
        match &committed {
            Ok(()) => {
                let tables = plan.statements.iter().map(|statement| &statement.bound.model.name);
                self.locks.note_written(tables);
            }
            Err(failed) => {
                self.roll_back();
                if failed.code() == codes::ER_LOCK_WAIT_TIMEOUT {
                    self.end_what_waits(deadline);
                }
            }
        }
        committed
    }

    fn stale_rows(&self) -> usize {
        self.stale_rows
    }

    fn use_writer(&mut self, writer: &str, lane: u16) -> Result<()> {
        check_writer_name(writer)?;
        if self.ledger.use_writer(writer, lane) {
            return Ok(());
        }
        Err(Error::config(format!(
            "the writer cannot be called {writer:?} any more: it has entered transactions in the ledger under another name"
        )))
    }

    fn register(&mut self, after: u64, position: Option<Position>, deadline: Option<Instant>) -> Result<()> {
        if self.connection.is_some() && self.ledger.is_registered() {
            return Ok(());
        }
        if position.is_some() {
            self.make_room_in_table(deadline)?;
        }
        self.register_by(deadline, |ledger, sessions, conn| {
            ledger.register(conn, sessions.number(), after, position)
        })
    }

    fn forget_registration(&mut self) {
        self.ledger.forget_registration();
    }

    fn last_entry(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.look_up(deadline, |ledger, sessions, conn, lock_wait_s| {
            ledger.last_entry(conn, sessions, lock_wait_s)
        })
    }

    fn take_over(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.take_over_row(deadline)
    }

    fn register_successor(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        let made = self.register_by(deadline, |ledger, sessions, conn| {
            ledger.register_successor(conn, sessions.number())
        })?;
        Ok(made.map(|number| LedgerRow { number, position: None }))
    }

    fn retire(&mut self, deadline: Instant) {
        self.retire_by(deadline, LedgerTable::retire);
    }

    fn retire_all(&mut self, deadline: Instant) {
        self.retire_by(deadline, LedgerTable::retire_all);
    }

    fn disconnect(&mut self) {
        drop(self.locks.take_successor());
        self.lose(false);
    }

    fn connects(&self) -> u64 {
        self.connects
    }
}
