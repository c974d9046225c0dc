//! Writes plans to MySQL or MariaDB over one connection of its own.
//!
//! Invariants: the connection is not shared and not pooled; after an error that leaves its state in doubt (a lost
//! packet, a time-out, a ROLLBACK that failed) it is thrown away. A transaction is committed as a whole, or rolled back,
//! or, when the connection is lost while COMMIT is under way, unknown, and the error says so.
//!
//! Bounds: every wait on the socket has a time-out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Params, Value as SqlValue};

use crate::catalog::TableEntry;
use crate::dsn::ServerDsn;
use crate::error::{Error, Result};
use crate::plan::{Limits, Plan, Statement};
use crate::server_error::{self, Class};
use crate::sink::connect::{Connector, Session, describe, is_timeout};
use crate::sink::{Sink, schema};
use crate::sql::{Operation, statement};
use crate::table::TableModel;
use crate::value::Value;

/// What this crate, which has no `unsafe`, cannot do to a socket by itself.
#[derive(Debug, Clone, Copy)]
pub struct SocketHooks {
    /// Sets both time-outs of the socket behind a file descriptor.
    pub set_timeouts: fn(fd: i32, read: Duration, write: Duration) -> std::io::Result<()>,
    /// Closes a file descriptor, without a word to the other side.
    pub close: fn(fd: i32),
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
    hooks: SocketHooks,
    session: Option<Session>,
    descriptor: Descriptor,
    connects: u64,
}

impl MySqlSink {
    /// A sink for the server of the DSN. Connects when it is first used.
    pub fn new(dsn: ServerDsn, batch_rows: usize, hooks: SocketHooks) -> Self {
        Self {
            connector: Connector::new(dsn, batch_rows),
            hooks,
            session: None,
            descriptor: Descriptor::new(),
            connects: 0,
        }
    }

    /// The descriptor of whatever connection the sink has.
    pub fn descriptor(&self) -> Descriptor {
        self.descriptor.clone()
    }

    /// Ends the connection, told before it is done: the number may be another file's a moment later.
    fn hang_up(&mut self) {
        self.descriptor.take();
        self.session = None;
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

    /// Turns an error of the client library into ours, and throws the connection away where it is of no use any more.
    fn failed(&mut self, error: &mysql::Error, deadline: Option<Instant>) -> Error {
        if let mysql::Error::MySqlError(server) = error {
            if server_error::classify(server.code) == Class::Reconnect {
                self.hang_up();
            }
            return Error::server(server.code, server.message.clone());
        }
        self.hang_up();
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
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
        Error::connection(
            server_error::CR_SERVER_LOST,
            format!("lost the connection to {}: {why}", self.connector.dsn().place()),
        )
    }

    /// Ends a transaction that failed. 1205 rolled back its statement only, so this is not optional.
    fn roll_back(&mut self) {
        let rolled_back = self.session.as_mut().map(|session| session.conn.query_drop("ROLLBACK"));
        if let Some(Err(_)) = rolled_back {
            // The server ends the transaction with the connection.
            self.hang_up();
        }
    }

    fn write(&mut self, statements: &[Statement<'_>], deadline: Option<Instant>) -> Result<()> {
        for planned in statements {
            let limits = self.session(deadline)?.limits;
            let mut start = 0;
            for rows in planned.chunks(&limits) {
                let session = self.session(deadline)?;
                let sql = statement(&planned.bound, planned.operation, rows, limits.dialect);
                let values = planned
                    .parameters(start..start + rows)
                    .into_iter()
                    .map(to_sql)
                    .collect();
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
                start += rows;
            }
        }
        Ok(())
    }
}

fn missing_row(statement: &Statement<'_>) -> Error {
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
        let session = self.session(deadline)?;
        let schema = match schema::read(&mut session.conn, &table.name, session.schema) {
            Ok(schema) => schema,
            Err(error) => return Err(self.failed(&error, deadline)),
        };
        if schema.columns.is_empty() {
            return Err(Error::server(
                server_error::ER_NO_SUCH_TABLE,
                format!(
                    "table {} does not exist at {}, or the account {:?} may not see it; create it, or correct the table's name",
                    table.name,
                    self.connector.dsn().place(),
                    self.connector.dsn().user
                ),
            ));
        }
        TableModel::from_server(&table.name, &table.rules, table.default_mode, schema)
    }

    fn commit(&mut self, plan: &Plan<'_>, deadline: Option<Instant>) -> Result<()> {
        let begun = self.session(deadline)?.conn.query_drop("START TRANSACTION");
        if let Err(error) = begun {
            return Err(self.failed(&error, deadline));
        }
        let committed = self.write(&plan.statements, deadline).and_then(|()| {
            let session = self.session(deadline)?;
            session.conn.query_drop("COMMIT").map_err(|error| match &error {
                mysql::Error::MySqlError(_) => self.failed(&error, deadline),
                _ => {
                    let lost = self.failed(&error, None);
                    Error::commit_unknown(format!(
                        "{lost}; it was lost while COMMIT was under way, so the batch may be committed"
                    ))
                }
            })
        });
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    fn connects(&self) -> u64 {
        self.connects
    }

    fn abandon(&mut self) {
        // Dropping it would send COM_STMT_CLOSE and COM_QUIT into the parent's session.
        std::mem::forget(self.session.take());
        if let Some(fd) = self.descriptor.take() {
            (self.hooks.close)(fd);
        }
    }
}

fn to_sql(value: &Value<'_>) -> SqlValue {
    match value {
        Value::Null => SqlValue::NULL,
        Value::Int(number) => SqlValue::Int(*number),
        Value::Float(number) => SqlValue::Double(*number),
        Value::Bytes(bytes) => SqlValue::Bytes(bytes.to_vec()),
        Value::DateTime(text) => SqlValue::Bytes(text.as_bytes().to_vec()),
    }
}
