//! Opens connections to MySQL or MariaDB: the handshake, the session's settings, and what went wrong with either.
//!
//! Bounds: connecting takes `connect_timeout_ms` or what is left of the caller's time, whichever is less;
//! [`STATEMENT_CACHE`] prepared statements a connection.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mysql::consts::{CapabilityFlags, StatusFlags};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Value as SqlValue};
use mysql_common::packets::HandshakePacket;
use mysql_common::proto::codec::error::PacketCodecError;

use crate::dsn::ServerDsn;
use crate::error::{Error, Result};
use crate::plan::Limits;
use crate::server_error;
use crate::sink::schema;
use crate::sql::Dialect;

/// Prepared statements that the connection keeps. A table and column set needs up to a dozen, one for each length.
pub const STATEMENT_CACHE: usize = 128;

/// Where to connect, and as whom.
#[derive(Debug)]
pub struct Connector {
    dsn: ServerDsn,
    batch_rows: usize,
}

/// A connection with its session's settings made.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub conn: Conn,
    /// What the server takes at once.
    pub limits: Limits,
    /// What reading a table's schema needs to know.
    pub schema: schema::Session,
    /// The time-outs now set on the socket.
    pub timeouts: (Duration, Duration),
}

impl Connector {
    /// A connector for the server of the DSN.
    pub fn new(dsn: ServerDsn, batch_rows: usize) -> Self {
        warm_up();
        Self { dsn, batch_rows }
    }

    /// The DSN, for messages.
    pub fn dsn(&self) -> &ServerDsn {
        &self.dsn
    }

    /// The socket's time-outs: the DSN's, or what is left of the caller's time.
    pub fn timeouts(&self, deadline: Option<Instant>) -> Result<(Duration, Duration)> {
        let Some(deadline) = deadline else {
            return Ok((self.dsn.read_timeout, self.dsn.write_timeout));
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::timeout("the time given is over"));
        }
        Ok((self.dsn.read_timeout.min(left), self.dsn.write_timeout.min(left)))
    }

    /// Opens a connection and makes its session's settings.
    pub fn connect(&self, deadline: Option<Instant>) -> Result<Session> {
        let timeouts = self.timeouts(deadline)?;
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

/// The I/O error behind an error of the client library, which wraps those of reading and writing packets.
fn io_error(error: &mysql::Error) -> Option<&std::io::Error> {
    match error {
        mysql::Error::IoError(io) | mysql::Error::CodecError(PacketCodecError::Io(io)) => Some(io),
        _ => None,
    }
}

/// Whether a wait on the socket was over before the server answered.
pub fn is_timeout(error: &mysql::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    io_error(error).is_some_and(|io| matches!(io.kind(), WouldBlock | TimedOut))
}

/// What the client library says, without its wrapping.
pub fn describe(error: &mysql::Error) -> String {
    io_error(error).map_or_else(|| error.to_string(), ToString::to_string)
}
