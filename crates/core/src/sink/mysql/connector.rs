//! Opens connections to MySQL or MariaDB: the hosts in turn, the handshake, the session's settings.
//!
//! Which server does a DSN with several hosts write to? One at a time:
//! - It begins with the host that worked last, and goes round.
//! - A server that takes no writes (`read_only`) is passed over while another one can be had. It is
//!   used if there is no other: the account may be one that writes all the same. A single host is
//!   used whatever it says.
//! - A server that answers a write with 1290, 1836 (read-only) or 1047 (Galera, cut off) is left,
//!   and so is one that was lost: the next connection begins with the host after it
//!   ([`Connector::advance_host`]). A connection that was killed, or idle for too long, says
//!   nothing about its server.
//!
//! Round trips: the handshake (2 to 4, by the account's authentication; 1 or 2 more for TLS), then
//! 3: the server's version, one SET, and one SELECT that reads the session back, and takes its lock
//! (see `variables.rs`). One or two more on a server that has no such locks.
//!
//! Bounds: a host has `connect_timeout_ms`, or what is left of the caller's time if that is less,
//! for all that it takes to begin a session. The caller's time bounds all hosts together. Only the
//! system's resolver bounds the look-up of a host's name. A name has at most 8 addresses
//! ([`ADDRESSES_MAX`]).

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use mysql::{DriverError, Row, Value as SqlValue};
use rustls::pki_types::ServerName;

use crate::dsn::{Host, ServerDsn};
use crate::error::Result;
use crate::plan::limits::Limits;
use crate::sink::mysql::connect_error::{Failure, all_failed, out_of_time};
use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::executions::StatementForm;
use crate::sink::mysql::own_sessions::OwnSessions;
use crate::sink::mysql::socket::Sockets;
use crate::sink::mysql::sql::Dialect;
use crate::sink::mysql::statement_cache::StatementCache;
use crate::sink::mysql::text_form::TextForm;
use crate::sink::mysql::traits::ServerTraits;
use crate::sink::mysql::variables::{Identity, Variables};
use crate::sink::mysql::wire::authentication::Account;
use crate::sink::mysql::wire::conn::{Conn, Timeouts};
use crate::sink::mysql::wire::stream::Encryption;
use crate::sink::mysql::wire::transport::Socket;
use crate::sink::mysql::{tls, variables};

/// The most addresses of one name that are tried, as `::1` and `127.0.0.1` of `localhost`.
const ADDRESSES_MAX: usize = 8;
/// The shortest that MySQL takes. Rows of other tables wait so long for one that is locked.
const BRIEF_LOCK_WAIT_S: u64 = 1;
/// Where to connect, and as whom.
#[derive(Debug)]
pub struct Connector {
    dsn: ServerDsn,
    batch_rows: usize,
    /// The most prepared statements of a connection.
    max_statements: usize,
    /// The host to begin with: the one that worked last, or the one after it.
    first: usize,
    /// How long a session's statements wait for a lock, in seconds. `None`: the server's own time.
    lock_wait_s: Option<u64>,
    sockets: Sockets,
}

/// The time that one host has.
struct Budget {
    ends: Instant,
    /// The time in words, for messages.
    said: String,
}

impl Budget {
    fn left(&self) -> Option<Duration> {
        let left = self.ends.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

impl Connector {
    /// A connector for the servers of the DSN.
    pub fn new(dsn: ServerDsn, batch_rows: usize, max_statements: usize) -> Self {
        if dsn.tls.is_some() {
            tls::warm_up();
        }
        // Servers count in seconds.
        let lock_wait_s = dsn.lock_wait_timeout.map(|time| time.as_millis().div_ceil(1_000));
        let lock_wait_s = lock_wait_s.map(|seconds| u64::try_from(seconds).unwrap_or(u64::MAX));
        Self {
            dsn,
            batch_rows,
            max_statements,
            first: 0,
            lock_wait_s,
            sockets: Sockets::default(),
        }
    }

    /// All sockets of its connections, also those that are being connected.
    pub fn sockets(&self) -> Sockets {
        self.sockets.clone()
    }

    /// Sessions that begin from now on wait briefly for locks, unless the DSN says how long.
    /// Returns how long, if it does not.
    pub fn wait_briefly_for_locks(&mut self) -> Option<Duration> {
        let is_default = self.lock_wait_s.is_none();
        self.lock_wait_s.get_or_insert(BRIEF_LOCK_WAIT_S);
        is_default.then_some(Duration::from_secs(BRIEF_LOCK_WAIT_S))
    }

    /// How long a session's statements wait for a lock, in seconds. `None`: the server's own time.
    pub fn lock_wait_s(&self) -> Option<u64> {
        self.lock_wait_s
    }

    /// The DSN, for messages.
    pub fn dsn(&self) -> &ServerDsn {
        &self.dsn
    }

    /// The address of the connection, for messages; after [`Self::advance_host`], that of the next
    /// one.
    pub fn address(&self) -> String {
        self.dsn.address(self.first)
    }

    /// The host of the last connection is of no use now: the next connection begins with the host
    /// after it.
    pub fn advance_host(&mut self) {
        self.first = (self.first + 1) % self.dsn.host_count();
    }

    /// Opens a connection to the first host that is of use, and sets its session up. `sessions`
    /// names the session's lock.
    pub fn connect(&mut self, sessions: &mut OwnSessions, deadline: Option<Instant>) -> Result<Connection> {
        let count = self.dsn.host_count();
        let mut failures = Vec::new();
        let mut read_only = None;
        for index in (0..count).map(|step| (self.first + step) % count) {
            let Some(budget) = self.budget(deadline) else {
                break;
            };
            match self.connect_to(index, sessions.next_lock(), &budget) {
                Ok((connection, true)) => {
                    self.first = index;
                    return Ok(connection);
                }
                Ok((connection, false)) => {
                    read_only.get_or_insert((index, connection));
                }
                Err(failure) => failures.push(failure),
            }
        }
        if let Some((index, connection)) = read_only {
            self.first = index;
            return Ok(connection);
        }
        if failures.len() < count || self.budget(deadline).is_none() {
            // A host that used up the caller's time does not get the next caller's too.
            self.first = (self.first + failures.len()) % count;
            return Err(out_of_time(&failures, &self.dsn));
        }
        Err(all_failed(&failures, &self.dsn))
    }

    /// Opens another connection to the host of the last one, for a question. `None`: not in time,
    /// or not at all.
    pub fn connect_beside(&self, lock: Option<String>, deadline: Instant) -> Option<Connection> {
        let budget = self.budget(Some(deadline))?;
        let connected = self.connect_to(self.first, lock, &budget).ok()?;
        Some(connected.0)
    }

    /// The time that a host has. `None`: the caller's is over.
    fn budget(&self, deadline: Option<Instant>) -> Option<Budget> {
        let now = Instant::now();
        let own = now + self.dsn.connect_timeout;
        match deadline {
            Some(deadline) if deadline <= now => None,
            Some(deadline) if deadline < own => Some(Budget {
                ends: deadline,
                said: "the time given".to_owned(),
            }),
            _ => Some(Budget {
                ends: own,
                said: format!("{} ms (connect_timeout_ms)", self.dsn.connect_timeout.as_millis()),
            }),
        }
    }

    /// Sets up a session with one host. Returns it, and whether it takes writes.
    fn connect_to(&self, index: usize, lock: Option<String>, budget: &Budget) -> Result<(Connection, bool), Failure> {
        let address = || self.dsn.address(index);
        let mut conn = match (&self.dsn.unix_socket, self.dsn.hosts.get(index)) {
            (None, Some(host)) => self.begin_over_tcp(host, &address, budget)?,
            (path, _) => {
                let path = path.as_deref().unwrap_or_default();
                let socket = Socket::over_unix(path, &self.sockets, budget.ends)
                    .map_err(|error| self.unreached(&address, path.to_owned(), &error, budget))?;
                self.begin(socket, None, &address, budget)?
            }
        };
        let (form, traits, variables) = self.begin_session(&mut conn, lock.as_deref(), &address, budget)?;
        conn.set_timeouts(Timeouts {
            read: self.dsn.read_timeout,
            write: self.dsn.write_timeout,
        });
        conn.set_deadline(None);
        let own_lock_wait = variables.own_lock_wait();
        let statements = StatementCache::new(self.max_statements);
        let connection = Connection::new(conn, form, traits, own_lock_wait, variables.session(lock), statements);
        Ok((connection, variables.is_writable))
    }

    /// Tries a name's addresses in turn, until one is reached.
    fn begin_over_tcp(&self, host: &Host, address: &impl Fn() -> String, budget: &Budget) -> Result<Conn, Failure> {
        let encryption = self.encryption(host, address)?;
        let mut addresses: Vec<SocketAddr> = (host.name.as_str(), host.port)
            .to_socket_addrs()
            .map_err(|error| Failure::unknown_host(address(), &error))?
            .collect();
        addresses.truncate(ADDRESSES_MAX);
        let mut failed = None;
        for (tried, ip) in addresses.iter().enumerate() {
            let Some(left) = budget.left() else {
                return Err(Failure::no_answer(address(), &budget.said));
            };
            // An address that does not answer leaves the others their share of the time.
            let shares = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX).max(1);
            match Socket::over_tcp(*ip, &self.sockets, Instant::now() + left / shares) {
                Ok(socket) => return self.begin(socket, encryption, address, budget),
                Err(error) => failed = Some(self.unreached(address, ip.to_string(), &error, budget)),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::unknown_host(address(), &ErrorKind::NotFound.into())))
    }

    /// Nobody was reached.
    fn unreached(
        &self,
        address: &impl Fn() -> String,
        place: String,
        error: &std::io::Error,
        budget: &Budget,
    ) -> Failure {
        let error = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => DriverError::ConnectTimeout,
            kind => DriverError::CouldNotConnect(Some((place, error.to_string(), kind))),
        };
        Failure::of_library(address(), &error.into(), &self.dsn, &budget.said)
    }

    /// How to encrypt, if the DSN says so.
    fn encryption(&self, host: &Host, address: &impl Fn() -> String) -> Result<Option<Encryption>, Failure> {
        let Some(tls) = &self.dsn.tls else {
            return Ok(None);
        };
        let config = tls::client_config(tls).map_err(|why| Failure::of_files(address(), why))?;
        let name = ServerName::try_from(host.name.clone()).map_err(|_| {
            Failure::of_files(
                address(),
                "the host's name is none that a certificate could have, so there is no TLS with it".to_owned(),
            )
        })?;
        Ok(Some(Encryption { config, name }))
    }

    /// Begins a session over a socket.
    fn begin(
        &self,
        socket: Socket,
        encryption: Option<Encryption>,
        address: &impl Fn() -> String,
        budget: &Budget,
    ) -> Result<Conn, Failure> {
        let account = Account {
            user: &self.dsn.user,
            password: self.dsn.password.as_deref(),
            database: &self.dsn.database,
        };
        let is_local = self.dsn.unix_socket.is_some();
        // The handshake is part of connecting: a server that accepts a connection and then says
        // nothing is a dead one.
        Conn::begin(Box::new(socket), account, encryption, is_local, budget.ends)
            .map_err(|error| Failure::of_library(address(), &error, &self.dsn, &budget.said))
    }

    /// Sets the session's variables in one statement, and reads them back.
    fn begin_session(
        &self,
        conn: &mut Conn,
        lock: Option<&str>,
        address: &impl Fn() -> String,
        budget: &Budget,
    ) -> Result<(StatementForm, ServerTraits, Variables), Failure> {
        let failed = |error: mysql::Error| Failure::of_library(address(), &error, &self.dsn, &budget.said);
        let version = ask(conn, "SELECT VERSION()").map_err(failed)?.join("");
        let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
        let mut settings = variables::settings(&self.dsn, is_mariadb);
        settings.extend(self.lock_wait_s.map(variables::lock_wait));
        conn.query_drop(&settings).map_err(failed)?;
        let columns = self.read_back(conn, is_mariadb, lock).map_err(failed)?;
        let Some(variables) = Variables::of_columns(columns) else {
            return Err(Failure::new(
                address(),
                0,
                "the server does not say what its session's variables are",
                "; check that it is MySQL or MariaDB, and what a proxy before it does",
            ));
        };
        if let Some(difference) = variables.difference(&self.dsn) {
            return Err(Failure::new(
                address(),
                0,
                format!(
                    "the session's {} is {:?}, although {:?} was set",
                    difference.variable, difference.found, difference.wanted
                ),
                "; a proxy before the server does not pass the settings on: connect to the server itself, or make the \
                 DSN's settings those of the proxy",
            ));
        }
        let form = StatementForm {
            limits: Limits {
                max_packet_bytes: variables.max_packet_bytes,
            },
            batch_rows: self.batch_rows,
            dialect: Dialect::of_version(&version),
            text: TextForm::of_session(variables.client_charset(), &variables.sql_mode),
            shares_updates: Dialect::knows_row_lists(&version),
            notes_touched_rows: Dialect::takes_last_insert_id(&version),
        };
        Ok((form, variables.traits(is_mariadb), variables))
    }

    /// Reads the session's variables, its number, and whether it has its lock. What a server does
    /// not tell of the last two is done without.
    fn read_back(&self, conn: &mut Conn, is_mariadb: bool, lock: Option<&str>) -> mysql::Result<Vec<String>> {
        let sql = |identity| variables::read_back(is_mariadb, self.dsn.host_count() > 1, identity);
        let identities = lock.map(Identity::NumberAndLock).into_iter().chain([Identity::Number]);
        for identity in identities {
            match ask(conn, &sql(identity)) {
                Err(mysql::Error::MySqlError(_)) => {}
                answered => return answered,
            }
        }
        ask(conn, &sql(Identity::Nothing))
    }
}

/// Runs a statement. Returns its first row, as text.
fn ask(conn: &mut Conn, sql: &str) -> mysql::Result<Vec<String>> {
    let row: Option<Row> = conn.query_first(sql)?;
    let values = row.map(Row::unwrap_raw).unwrap_or_default();
    Ok(values.into_iter().map(text_of).collect())
}

/// A value of the text protocol.
fn text_of(value: Option<SqlValue>) -> String {
    match value {
        Some(SqlValue::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Some(SqlValue::NULL) | None => "NULL".to_owned(),
        Some(other) => other.as_sql(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsn::Dsn;
    use crate::error::Kind;

    fn connector(dsn: &str) -> Connector {
        match Dsn::parse(dsn) {
            Ok(Dsn::Server(server)) => Connector::new(*server, 100, 32),
            other => panic!("{dsn}: {other:?}"),
        }
    }

    #[test]
    fn a_host_that_is_left_comes_last() {
        let mut several = connector("mysql://u@a,b:3307,c/d?tls=required");
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(several.address());
            several.advance_host();
        }
        assert_eq!(places, ["a:3306/d", "b:3307/d", "c:3306/d", "a:3306/d"]);
        let mut single = connector("mysql://u@localhost/d?unix_socket=/s");
        single.advance_host();
        assert_eq!(single.address(), "/s/d");
    }

    #[test]
    fn no_time_is_no_attempt() {
        let mut connector = connector("mysql://u@127.0.0.1:1,127.0.0.1:2/d");
        let mut sessions = OwnSessions::default();
        let error = connector
            .connect(&mut sessions, Some(Instant::now()))
            .expect_err("no time");
        assert!(error.kind() == Kind::Timeout, "{error}");
        let error = connector.connect(&mut sessions, None).expect_err("nobody there");
        assert!(error.is_connection(), "{error}");
        assert!(error.message().contains("127.0.0.1:2/d: Connection refused"), "{error}");
    }
}
