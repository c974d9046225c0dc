//! Writes plans to MySQL or MariaDB over one connection of its own.
//!
//! Invariants: the connection is not shared and not pooled; after an error that leaves its state in doubt (a lost
//! packet, a time-out, a ROLLBACK that failed) it is thrown away. A transaction is committed as a whole, or rolled back,
//! or, when the connection is lost while COMMIT is under way, unknown, and the error says so.
//!
//! Bounds: every wait on the socket has a time-out; [`STATEMENT_CACHE`] prepared statements.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use mysql::consts::{CapabilityFlags, StatusFlags};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Params, Value as SqlValue};
use mysql_common::packets::HandshakePacket;
use mysql_common::proto::codec::error::PacketCodecError;

use crate::catalog::TableEntry;
use crate::dsn::ServerDsn;
use crate::error::{Error, Result};
use crate::plan::{Limits, Plan, Statement};
use crate::server_error::{self, Class};
use crate::sink::{Sink, schema};
use crate::sql::{Dialect, Operation, statement};
use crate::table::TableModel;
use crate::value::Value;

/// Prepared statements that the connection keeps. A table and column set needs up to a dozen, one for each length.
pub const STATEMENT_CACHE: usize = 128;

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
    dsn: ServerDsn,
    hooks: SocketHooks,
    batch_rows: usize,
    session: Option<Session>,
    descriptor: Descriptor,
    connects: u64,
}

#[derive(Debug)]
struct Session {
    conn: Conn,
    limits: Limits,
    schema: schema::Session,
    /// The time-outs now set on the socket.
    timeouts: (Duration, Duration),
}

impl MySqlSink {
    /// A sink for the server of the DSN. Connects when it is first used.
    pub fn new(dsn: ServerDsn, batch_rows: usize, hooks: SocketHooks) -> Self {
        warm_up();
        Self {
            dsn,
            hooks,
            batch_rows,
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
        let timeouts = bounded_timeouts(&self.dsn, deadline)?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                use std::os::fd::AsRawFd as _;
                let session = self.connect(deadline)?;
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

    fn connect(&self, deadline: Option<Instant>) -> Result<Session> {
        let timeouts = bounded_timeouts(&self.dsn, deadline)?;
        let connect_timeout = self.dsn.connect_timeout.min(timeouts.0);
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(self.dsn.host.clone()))
            .tcp_port(self.dsn.port)
            .socket(self.dsn.unix_socket.clone())
            // The crate would open a second connection, over the server's own socket.
            .prefer_socket(false)
            .user(Some(self.dsn.user.clone()))
            .pass(self.dsn.password.clone())
            .db_name(Some(self.dsn.database.clone()))
            .tcp_connect_timeout(Some(connect_timeout))
            // The handshake is part of connecting: a server that accepts and then says nothing is a dead one.
            .read_timeout(Some(connect_timeout))
            .write_timeout(Some(connect_timeout))
            .stmt_cache_size(STATEMENT_CACHE)
            // An UPDATE counts the rows that it found, not those that it changed.
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS);
        let mut conn = Conn::new(options).map_err(|error| self.connect_error(&error))?;
        let session = self
            .begin_session(&mut conn)
            .map_err(|error| self.connect_error(&error))?;
        Ok(Session {
            conn,
            limits: session.0,
            schema: session.1,
            timeouts: (connect_timeout, connect_timeout),
        })
    }

    /// Sets the session's variables in one statement and reads what the engine needs to know.
    fn begin_session(&self, conn: &mut Conn) -> mysql::Result<(Limits, schema::Session)> {
        let version: Option<String> = conn.query_first("SELECT VERSION()")?;
        let version = version.unwrap_or_default();
        let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
        let no_backslash_escape = conn.no_backslash_escape();
        let quote = |text: &str| SqlValue::Bytes(text.as_bytes().to_vec()).as_sql(no_backslash_escape);
        let mut settings = format!("SET NAMES {}", quote(&self.dsn.charset));
        if let Some(collation) = &self.dsn.collation {
            let _ = write!(settings, " COLLATE {}", quote(collation));
        }
        settings.push_str(", SESSION autocommit = 1");
        // The name that each server has had for longest and not dropped.
        let isolation = if is_mariadb {
            "tx_isolation"
        } else {
            "transaction_isolation"
        };
        let _ = write!(settings, ", SESSION {isolation} = {}", quote(&self.dsn.isolation_level));
        if let Some(zone) = &self.dsn.timezone {
            let _ = write!(settings, ", SESSION time_zone = {}", quote(zone));
        }
        if let Some(mode) = &self.dsn.sql_mode {
            let _ = write!(settings, ", SESSION sql_mode = {}", quote(mode));
        }
        conn.query_drop(settings)?;
        let variables: Option<(u64, String)> = conn.query_first("SELECT @@max_allowed_packet, @@SESSION.sql_mode")?;
        let (max_packet, sql_mode) = variables.unwrap_or_default();
        let limits = Limits {
            max_packet_bytes: usize::try_from(max_packet).unwrap_or(usize::MAX),
            batch_rows: self.batch_rows,
            dialect: Dialect::of_version(&version),
        };
        let is_strict = sql_mode.contains("STRICT_TRANS_TABLES") || sql_mode.contains("STRICT_ALL_TABLES");
        Ok((limits, schema::Session { is_mariadb, is_strict }))
    }

    fn connect_error(&self, error: &mysql::Error) -> Error {
        let place = self.dsn.place();
        let (code, why) = match error {
            mysql::Error::MySqlError(server) => (server.code, server.message.clone()),
            mysql::Error::DriverError(mysql::DriverError::CouldNotConnect(Some((_, why, _)))) => {
                (server_error::CR_CONN_HOST_ERROR, why.clone())
            }
            mysql::Error::DriverError(mysql::DriverError::ConnectTimeout) => {
                (server_error::CR_CONN_HOST_ERROR, self.no_answer())
            }
            other if is_timeout(other) => (server_error::CR_CONN_HOST_ERROR, self.no_answer()),
            other => (server_error::CR_CONN_HOST_ERROR, describe(other)),
        };
        let advice = match code {
            server_error::ER_ACCESS_DENIED_ERROR => {
                "; check user and password of the DSN (percent-encode special characters)"
            }
            server_error::ER_BAD_DB_ERROR => "; create the database, or correct the DSN",
            server_error::ER_DBACCESS_DENIED_ERROR => "; GRANT the account access to the database, or correct the DSN",
            server_error::ER_CON_COUNT_ERROR => "; raise max_connections, or use fewer connections",
            server_error::ER_UNKNOWN_TIME_ZONE => {
                "; load the server's time zone tables, or give an offset such as timezone=%2B00:00"
            }
            server_error::CR_CONN_HOST_ERROR => {
                "; check that the server runs there, and the DSN's host and port, or its unix_socket"
            }
            _ => "",
        };
        Error::connection(
            code,
            format!("cannot connect to {place} as {:?}: {why}{advice}", self.dsn.user),
        )
    }

    fn no_answer(&self) -> String {
        format!(
            "no answer within {} ms (connect_timeout_ms)",
            self.dsn.connect_timeout.as_millis()
        )
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
                    self.dsn.read_timeout.as_millis()
                )
            }
            other => describe(other),
        };
        Error::connection(
            server_error::CR_SERVER_LOST,
            format!("lost the connection to {}: {why}", self.dsn.place()),
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
                    self.dsn.place(),
                    self.dsn.user
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

/// Makes the client library's lazily made statics, on the thread that makes the sink. Were the flusher's thread to make
/// them, a fork at that moment would leave a child in which they are forever being made, by a thread that it has not.
fn warm_up() {
    let version = b"5.5.5-10.11.0-MariaDB".as_slice();
    let none = None::<&[u8]>;
    let capabilities = CapabilityFlags::empty();
    let handshake = HandshakePacket::new(
        10,
        version,
        0,
        [0; 8],
        none,
        capabilities,
        0,
        StatusFlags::empty(),
        none,
    );
    std::hint::black_box((
        handshake.server_version_parsed(),
        handshake.maria_db_server_version_parsed(),
    ));
}

/// The socket's time-outs: the DSN's, or what is left of the caller's time.
fn bounded_timeouts(dsn: &ServerDsn, deadline: Option<Instant>) -> Result<(Duration, Duration)> {
    let Some(deadline) = deadline else {
        return Ok((dsn.read_timeout, dsn.write_timeout));
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::timeout("the time given is over"));
    }
    Ok((dsn.read_timeout.min(left), dsn.write_timeout.min(left)))
}

/// The I/O error behind an error of the client library, which wraps those of reading and writing packets.
fn io_error(error: &mysql::Error) -> Option<&std::io::Error> {
    match error {
        mysql::Error::IoError(io) | mysql::Error::CodecError(PacketCodecError::Io(io)) => Some(io),
        _ => None,
    }
}

fn is_timeout(error: &mysql::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    io_error(error).is_some_and(|io| matches!(io.kind(), WouldBlock | TimedOut))
}

fn describe(error: &mysql::Error) -> String {
    io_error(error).map_or_else(|| error.to_string(), ToString::to_string)
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
