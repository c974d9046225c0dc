//! Owns the DSN: `mysql://user:password@host:3306/database?option=value`, or `memory:` and
//! `memory:NAME`. Several hosts have commas between: `host1:3306,host2:3306`.
//!
//! Invariant: no text made from a DSN holds its password, neither a message nor `Debug`. A password
//! that is not percent-encoded may end the URL early, and any part of it may then seem to be
//! something else. So of a DSN that is refused nothing behind its scheme is repeated: no host, no
//! option's name, no value.
//!
//! Bounds: 16 hosts, time-outs from 1 ms to a day.

use crate::error::{Error, Result};

pub use host::{HOSTS_MAX, Host};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::time::Duration;
use tls::TlsOptions;
pub use tls::{Tls, Verify};
use url::Url;

mod host;
mod tls;

/// A host on the same network answers within a few milliseconds. Five seconds outlast a restart of
/// a switch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than `innodb_lock_wait_timeout`'s default of 50 seconds, so that the server's own answer
/// comes first.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// A server that takes no byte for so long takes none any more.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time-out: a day. A bound keeps the arithmetic of instants within its range.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

const OPTIONS: &str = "unix_socket, tls, tls_ca, tls_cert, tls_key, tls_verify, charset, collation, timezone, sql_mode, isolation_level, \
     connect_timeout_ms, read_timeout_ms, write_timeout_ms, lock_wait_timeout_ms";
/// Options that frameworks put into a DSN for their own use, and that say nothing of the session.
/// What would change where or how rows are written is not among them: a prefix, a database's
/// suffix, TLS.
const OF_FRAMEWORKS: [&str; 10] = [
    "serverVersion",
    "server_version",
    "driver",
    "driverClass",
    "wrapperClass",
    "platformService",
    "persistent",
    "keepReplica",
    "engine",
    "prefix_indexes",
];
const FORM: &str = "mysql://user:password@host:3306/database";
/// How the characters are written that end a part of the DSN.
const ENCODED: &str = "with special characters percent-encoded ('@' as %40, '/' as %2F, '?' as %3F, '#' as %23)";

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dsn {
    /// Tables in this process's memory, under a name.
    Memory(String),
    /// A server.
    Server(Box<ServerDsn>),
}

/// A MySQL or MariaDB server, or several of one cluster, the account and the session's settings.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerDsn {
    /// The servers, in the order in which they are tried: from 1 to [`HOSTS_MAX`].
    pub hosts: Vec<Host>,
    /// A unix socket's path. With it the host is not used.
    pub unix_socket: Option<String>,
    /// How the connection is encrypted. `None`: not at all.
    pub tls: Option<Tls>,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// The session's character set.
    pub charset: String,
    /// The session's collation. `None`: the character set's default.
    pub collation: Option<String>,
    /// The session's `time_zone`. `None`: the server's.
    pub timezone: Option<String>,
    /// The session's `sql_mode`. `None`: the server's.
    pub sql_mode: Option<String>,
    /// The session's isolation level, as the server's variable spells it.
    pub isolation_level: String,
    /// The longest time that connecting to one host may take, with the handshake.
    pub connect_timeout: Duration,
    /// The longest wait for one answer.
    pub read_timeout: Duration,
    /// The longest time that sending may stand still.
    pub write_timeout: Duration,
    /// How long a statement waits for a lock. `None`: as the buffer's kind has it.
    pub lock_wait_timeout: Option<Duration>,
}

impl Dsn {
    /// Reads a DSN.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its password.
    pub fn parse(dsn: &str) -> Result<Self> {
        if let Some(name) = dsn.strip_prefix("memory:") {
            return Ok(Self::Memory(name.to_owned()));
        }
        ServerDsn::parse(dsn).map(|server| Self::Server(Box::new(server)))
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(name) => write!(formatter, "memory:{name}"),
            Self::Server(server) => write!(formatter, "{server:?}"),
        }
    }
}

impl ServerDsn {
    fn parse(dsn: &str) -> Result<Self> {
        // Some of a password may stand where the host and the options are looked for.
        let address = dsn.split_once("://").map_or(dsn, |(_, address)| address);
        let behind_host = address.split_once(['/', '?', '#']).map_or("", |(_, rest)| rest);
        if behind_host.contains('@') {
            return Err(Error::config(format!(
                "the DSN cannot be read: it has an '@' behind its host. Write it as {FORM}, {ENCODED}"
            )));
        }
        // The parser's own message may quote a part of the text, and the password with it.
        let (url, mut hosts) = host::split(dsn)?;
        let url = Url::parse(&url).map_err(|error| {
            Error::config(format!(
                "the DSN cannot be read ({error}): write it as {FORM}, {ENCODED}"
            ))
        })?;
        if url.cannot_be_a_base() || url.fragment().is_some() {
            return Err(Error::config(format!(
                "the DSN cannot be read: write it as {FORM}, {ENCODED}"
            )));
        }
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(Error::config(format!(
                "the DSN begins with {:?}: write it as {FORM}, or as memory:",
                format!("{}:", url.scheme())
            )));
        }
        let decode = |part: &str, what: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Error::config(format!("the DSN's {what} is not UTF-8 after percent-decoding")))
        };
        let database = decode(url.path().trim_start_matches('/'), "database")?;
        if database.is_empty() || database.contains('/') {
            return Err(Error::config(format!("the DSN names no database: write it as {FORM}")));
        }
        if url.username().is_empty() {
            return Err(Error::config(format!("the DSN names no user: write it as {FORM}")));
        }
        if hosts.is_empty() {
            hosts.push(host::of_url(&url)?);
        }
        let mut server = Self {
            hosts,
            unix_socket: None,
            tls: None,
            user: decode(url.username(), "user")?,
            password: url
                .password()
                .map(|password| decode(password, "password"))
                .transpose()?,
            database,
            charset: "utf8mb4".to_owned(),
            collation: None,
            timezone: None,
            sql_mode: None,
            isolation_level: "READ-COMMITTED".to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            lock_wait_timeout: None,
        };
        let mut tls = TlsOptions::default();
        for (index, (name, value)) in url.query_pairs().enumerate() {
            let is_ignored = OF_FRAMEWORKS.contains(&&*name) || name.starts_with("defaultTableOptions[");
            if !is_ignored && !tls.set(&name, &value)? && !server.set(&name, &value)? {
                return Err(Error::config(format!(
                    "option {} of the DSN is not known; there are: {OPTIONS}",
                    index + 1
                )));
            }
        }
        if server.unix_socket.is_some() && server.hosts.len() > 1 {
            return Err(Error::config(
                "the DSN has several hosts and unix_socket, over which there is one server: leave out one of the two",
            ));
        }
        server.tls = tls.finish(server.unix_socket.is_some())?;
        Ok(server)
    }

    /// Takes an option. Returns whether it is known.
    fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "unix_socket" => self.unix_socket = Some(value.to_owned()),
            "charset" => value.clone_into(&mut self.charset),
            "collation" => self.collation = Some(value.to_owned()),
            "timezone" => self.timezone = Some(value.to_owned()),
            "sql_mode" => self.sql_mode = Some(value.to_owned()),
            "isolation_level" => self.isolation_level = isolation_level(value)?,
            "connect_timeout_ms" => self.connect_timeout = timeout("connect_timeout_ms", value)?,
            "read_timeout_ms" => self.read_timeout = timeout("read_timeout_ms", value)?,
            "write_timeout_ms" => self.write_timeout = timeout("write_timeout_ms", value)?,
            "lock_wait_timeout_ms" => self.lock_wait_timeout = Some(timeout("lock_wait_timeout_ms", value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The number of servers to try.
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    /// The servers to try: each a host and its port, or a socket's path.
    pub fn servers(&self) -> Vec<String> {
        match &self.unix_socket {
            Some(path) => vec![path.clone()],
            None => self.hosts.iter().map(ToString::to_string).collect(),
        }
    }

    /// A server's address, for messages.
    pub fn address(&self, index: usize) -> String {
        match (&self.unix_socket, self.hosts.get(index)) {
            (Some(path), _) => format!("{path}/{}", self.database),
            (None, Some(host)) => format!("{host}/{}", self.database),
            (None, None) => self.database.clone(),
        }
    }
}

impl fmt::Debug for ServerDsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = if self.password.is_some() { ":***" } else { "" };
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        write!(
            formatter,
            "mysql://{}{password}@{}/{}",
            self.user,
            hosts.join(","),
            self.database
        )?;
        if let Some(path) = &self.unix_socket {
            write!(formatter, "?unix_socket={path}")?;
        }
        Ok(())
    }
}

fn isolation_level(value: &str) -> Result<String> {
    let level = value.to_ascii_uppercase().replace([' ', '_'], "-");
    match level.as_str() {
        "READ-UNCOMMITTED" | "READ-COMMITTED" | "REPEATABLE-READ" | "SERIALIZABLE" => Ok(level),
        _ => Err(Error::config(
            "the DSN's isolation_level must be READ COMMITTED, REPEATABLE READ, SERIALIZABLE or READ UNCOMMITTED",
        )),
    }
}

fn timeout(name: &'static str, value: &str) -> Result<Duration> {
    match value.parse() {
        Ok(ms) if (1..=MAX_TIMEOUT_MS).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err(Error::config(format!(
            "the DSN's {name} must be a number of milliseconds from 1 to {MAX_TIMEOUT_MS}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn server(dsn: &str) -> ServerDsn {
        match Dsn::parse(dsn) {
            Ok(Dsn::Server(server)) => *server,
            other => panic!("{dsn}: {other:?}"),
        }
    }

    #[test]
    fn reads_every_part() {
        let dsn = server(
            "mysql://us%40er:p%2Fw%3A@db.example:3307/ex%20change?charset=utf8mb3&collation=utf8mb3_bin&timezone=%2B02:00\
             &sql_mode=ANSI&isolation_level=repeatable%20read&connect_timeout_ms=10&read_timeout_ms=20&write_timeout_ms=30",
        );
        assert_eq!(dsn.address(0), "db.example:3307/ex change");
        assert_eq!((dsn.user.as_str(), dsn.password.as_deref()), ("us@er", Some("p/w:")));
        assert_eq!(dsn.database, "ex change");
        assert_eq!(
            (dsn.charset.as_str(), dsn.collation.as_deref()),
            ("utf8mb3", Some("utf8mb3_bin"))
        );
        assert_eq!(
            (dsn.timezone.as_deref(), dsn.sql_mode.as_deref()),
            (Some("+02:00"), Some("ANSI"))
        );
        assert_eq!(dsn.isolation_level, "REPEATABLE-READ");
        assert_eq!(
            [dsn.connect_timeout, dsn.read_timeout, dsn.write_timeout].map(|time| time.as_millis()),
            [10, 20, 30]
        );
    }

    #[test]
    fn has_defaults() {
        let dsn = server("mariadb://root@localhost/exchange?unix_socket=/run/mysqld/mysqld.sock");
        assert_eq!((dsn.hosts[0].port, dsn.password, dsn.tls), (3306, None, None));
        assert_eq!(dsn.unix_socket.as_deref(), Some("/run/mysqld/mysqld.sock"));
        assert_eq!(
            (dsn.charset.as_str(), dsn.isolation_level.as_str()),
            ("utf8mb4", "READ-COMMITTED")
        );
        assert_eq!(server("mysql://u@[::1]:3306/d").hosts[0].name, "::1");
    }

    #[test]
    fn hosts_have_commas_between() {
        let dsn = server("mysql://u:p@host1,host2:3307,[::1]:3308/d?tls_ca=/ca.pem");
        assert_eq!(dsn.host_count(), 3);
        let addresses: Vec<String> = (0..3).map(|index| dsn.address(index)).collect();
        assert_eq!(addresses, ["host1:3306/d", "host2:3307/d", "[::1]:3308/d"]);
        assert_eq!(
            Dsn::Server(Box::new(dsn.clone())).to_string(),
            "mysql://u:***@host1:3306,host2:3307,[::1]:3308/d"
        );
        assert_eq!(dsn.tls.and_then(|tls| tls.ca).as_deref(), Some("/ca.pem"));
    }

    #[test]
    fn what_frameworks_put_there_is_ignored_by_name() {
        let bare = server("mysql://u@h/d?charset=utf8mb4");
        // Symfony's and Laravel's own examples, and Doctrine's parameters.
        for options in [
            "serverVersion=8.0.32&charset=utf8mb4",
            "serverVersion=10.11.2-MariaDB&charset=utf8mb4&persistent=1",
            "defaultTableOptions%5Bcharset%5D=utf8mb4&driver=pdo_mysql&wrapperClass=App%5CConnection",
            "engine=InnoDB&prefix_indexes=1",
        ] {
            assert_eq!(server(&format!("mysql://u@h/d?{options}")), bare, "{options}");
        }
        for options in [
            "prefix=app_",
            "dbname_suffix=_test",
            "sslmode=require",
            "strict=1",
            "serverversion=8",
        ] {
            let refused = Dsn::parse(&format!("mysql://u@h/d?{options}")).expect_err(options);
            assert!(
                refused.message().contains("option 1 of the DSN is not known"),
                "{options}"
            );
        }
    }

    #[test]
    fn memory_has_a_name() {
        assert_eq!(Dsn::parse("memory:"), Ok(Dsn::Memory(String::new())));
        assert_eq!(Dsn::parse("memory:tests"), Ok(Dsn::Memory("tests".to_owned())));
    }

    #[test]
    fn says_what_is_wrong_and_no_password() {
        for (dsn, expected) in [
            ("", "cannot be read"),
            ("mysql:host=localhost;password=secret", "cannot be read"),
            ("localhost/db", "cannot be read"),
            ("mysql://u:secret@h/d#x", "cannot be read"),
            ("pgsql://u:secret@h/d", "begins with \"pgsql:\""),
            ("mysql://u:secret@h", "names no database"),
            ("mysql://u:secret@h/", "names no database"),
            ("mysql://h/d", "names no user"),
            ("mysql://u:secret/@h/d", "cannot be read"),
            ("mysql://u:secret@h:99999/d", "cannot be read"),
            ("mysql://u:secret@h/d?lanes=4", "option 1 of the DSN is not known"),
            ("mysql://u:x?secret", "cannot be read"),
            ("mysql://u:1/d?secret", "names no user"),
            ("mysql://u@h/d?charset=a&secret=1", "option 2 of the DSN is not known"),
            ("mysql://u@h/d?tls=secret", "tls must be off or required"),
            ("mysql://u@h/d?read_timeout_ms=secret", "read_timeout_ms must be"),
            (
                "mysql://u:secret@h/d?connect_timeout_ms=0",
                "connect_timeout_ms must be",
            ),
            ("mysql://u:secret@h/d?read_timeout_ms=soon", "read_timeout_ms must be"),
            ("mysql://u:secret@h/d?isolation_level=none", "isolation_level must be"),
            ("mysql://u:%ff@h/d", "password is not UTF-8"),
            ("mysql://u:secret@%ff/d", "host is not UTF-8"),
            ("mysql://u:secret@a,b:x/d", "host 2 of the DSN cannot be read"),
            ("mysql://u:secret@a,b/d?unix_socket=/s", "several hosts and unix_socket"),
            ("mysql://u:secret@h/d?tls=maybe", "tls must be off or required"),
            (
                "mysql://u:secret@h/d?tls_ca=/ca.pem&unix_socket=/s",
                "unix_socket and tls_ca",
            ),
            ("mysql://u:sec#ret@h/d", "cannot be read"),
            ("mysql://u:x@secret/secret?secret@h/d", "an '@' behind its host"),
            ("mysql://u:x?secret@h/d", "an '@' behind its host"),
        ] {
            let error = Dsn::parse(dsn).expect_err(dsn);
            assert!(error.kind() == Kind::Config, "{dsn}");
            assert!(error.message().contains(expected), "{dsn}: {error}");
            assert!(!error.message().contains("secret"), "{dsn}: {error}");
        }
    }

    /// A DSN in pieces, any of which may be what somebody did not percent-encode.
    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec!["/", "?", "#", "@", ":", "&", "=", "%", ",", "[", "]", ";", " ", "\\", "%2F", "%ff"])
                .prop_map(str::to_owned),
            2 => prop::sample::select(vec!["u", "h", "3306", "d", "::1", "memory", "localhost", "ü"]).prop_map(str::to_owned),
            2 => prop::sample::select(OPTIONS.split(", ").map(str::trim).collect::<Vec<_>>()).prop_map(|name| format!("{name}=")),
            1 => "\\PC{0,3}",
        ];
        prop::collection::vec(piece, 0..14)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        /// Wherever a password stands in a DSN that is refused, no message has it.
        #[test]
        fn nothing_of_a_dsn_that_is_refused_is_repeated(
            scheme in prop::sample::select(vec!["mysql://", "mariadb://", "mysql:", "pgsql://", "mysql://u:", "mysql://u:p@h/d?"]),
            pieces in pieces(),
            at in 0_usize..15,
        ) {
            let mut pieces = pieces;
            pieces.insert(at.min(pieces.len()), "S3CRET".to_owned());
            let dsn = format!("{scheme}{}", pieces.concat());
            match Dsn::parse(&dsn) {
                Err(error) => {
                    let message = error.words().full().to_ascii_lowercase();
                    prop_assert!(!message.contains("s3cret"), "{dsn}: {message}");
                }
                Ok(Dsn::Server(server)) if server.password.as_deref().is_some_and(|word| word.contains("S3CRET")) => {
                    for shown in [format!("{server:?}"), server.address(0), Dsn::Server(server.clone()).to_string()] {
                        prop_assert!(!shown.to_ascii_lowercase().contains("s3cret"), "{dsn}: {shown}");
                    }
                }
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn shows_no_password() {
        let dsn = Dsn::parse("mysql://u:secret@h/d").expect("a DSN");
        assert_eq!(dsn.to_string(), "mysql://u:***@h:3306/d");
        assert!(!format!("{dsn:?}").contains("secret"));
    }
}
