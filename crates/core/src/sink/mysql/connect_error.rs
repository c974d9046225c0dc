//! Why a server could not be connected to, in words: what, where, and what to do.
//!
//! Invariant: no message holds a password.

use mysql::DriverError;

use crate::dsn::ServerDsn;
use crate::error::Error;
use crate::error::codes::{self, Class, classify};
use crate::error::message::{Message, ServerText};
use crate::sink::mysql::tls;

const CHECK_ADDRESS: &str = "; check that the server runs there, and the DSN's host and port, or its unix_socket";

/// One server that could not be connected to.
#[derive(Debug)]
pub struct Failure {
    address: String,
    code: u16,
    why: Message,
    advice: String,
}

impl Failure {
    /// A failure that this crate found.
    pub fn new(address: String, code: u16, why: impl Into<Message>, advice: impl Into<String>) -> Self {
        Self {
            address,
            code,
            why: why.into(),
            advice: advice.into(),
        }
    }

    /// A file that one of the DSN's `tls_…` options names is of no use.
    pub fn of_files(address: String, why: String) -> Self {
        Self::new(address, codes::CR_SSL_CONNECTION_ERROR, why, "")
    }

    /// No such host.
    pub fn unknown_host(address: String, why: &std::io::Error) -> Self {
        Self::new(
            address,
            codes::CR_UNKNOWN_HOST,
            format!("the host's address cannot be found ({why})"),
            "; check the DSN's host, and the machine's resolver",
        )
    }

    /// No answer in time. `within` names the time.
    pub fn no_answer(address: String, within: &str) -> Self {
        Self::new(
            address,
            codes::CR_CONN_HOST_ERROR,
            format!("no answer within {within}"),
            CHECK_ADDRESS,
        )
    }

    /// An error in the client library's type. `within` names the time that connecting had.
    pub fn of_library(address: String, error: &mysql::Error, dsn: &ServerDsn, within: &str) -> Self {
        match error {
            mysql::Error::MySqlError(server) => Self::new(
                address,
                server.code,
                ServerText::new(server.code, &server.state, &server.message),
                server_advice(server, dsn),
            ),
            mysql::Error::DriverError(DriverError::ConnectTimeout) => Self::no_answer(address, within),
            mysql::Error::DriverError(DriverError::CouldNotConnect(Some((_, why, _)))) => {
                Self::new(address, codes::CR_CONN_HOST_ERROR, why.clone(), CHECK_ADDRESS)
            }
            mysql::Error::DriverError(DriverError::TlsNotSupported) => Self::new(
                address,
                codes::CR_SSL_CONNECTION_ERROR,
                "the server speaks no TLS",
                "; give it a certificate (its ssl_cert and ssl_key), or connect without, by tls=off",
            ),
            mysql::Error::DriverError(
                plugin @ (DriverError::UnknownAuthPlugin(_)
                | DriverError::OldMysqlPasswordDisabled
                | DriverError::CleartextPluginDisabled),
            ) => Self::new(
                address,
                codes::CR_AUTH_PLUGIN_CANNOT_LOAD,
                format!("the account's way to authenticate is not known here ({plugin})"),
                "; give the account caching_sha2_password, mysql_native_password or ed25519",
            ),
            other if is_timeout(other) => Self::no_answer(address, within),
            other => match (tls_error(other), &dsn.tls) {
                (Some(error), Some(tls)) => {
                    let (why, advice) = tls::explain(error, tls);
                    Self::new(address, codes::CR_SSL_CONNECTION_ERROR, why, advice)
                }
                _ => Self::new(address, codes::CR_CONN_HOST_ERROR, describe(other), CHECK_ADDRESS),
            },
        }
    }
}

/// One error for all servers that were tried. Its code is one that may pass by itself, if there is
/// such a one.
pub fn all_failed(failures: &[Failure], dsn: &ServerDsn) -> Error {
    let passing = failures
        .iter()
        .find(|failure| classify(failure.code) == Class::Reconnect)
        .or(failures.first());
    let code = passing.map_or(codes::CR_CONN_HOST_ERROR, |failure| failure.code);
    let message = Message::of_several(|form| match failures {
        [only] => format!(
            "cannot connect to {} as {:?}: {}{}",
            only.address,
            dsn.user,
            form(&only.why),
            only.advice
        ),
        _ => format!(
            "cannot connect to any host as {:?}: {}",
            dsn.user,
            listed(failures, form)
        ),
    });
    Error::connection(code, message)
}

/// The caller's time was over before a server was found.
pub fn out_of_time(failures: &[Failure], dsn: &ServerDsn) -> Error {
    if failures.is_empty() {
        return Error::timeout("the time given is over");
    }
    Error::timeout(Message::of_several(|form| {
        format!(
            "the time given was over before {:?} was connected: {}",
            dsn.user,
            listed(failures, form)
        )
    }))
}

/// The addresses with their reasons. An advice that several share is said once, after the last of
/// them.
fn listed(failures: &[Failure], form: fn(&Message) -> &str) -> String {
    let mut text = String::new();
    for (index, failure) in failures.iter().enumerate() {
        if index > 0 {
            text.push_str(" | ");
        }
        text.push_str(&failure.address);
        text.push_str(": ");
        text.push_str(form(&failure.why));
        let is_said_later = failures[index + 1..].iter().any(|later| later.advice == failure.advice);
        if !is_said_later {
            text.push_str(&failure.advice);
        }
    }
    text
}

fn server_advice(server: &mysql::MySqlError, dsn: &ServerDsn) -> String {
    let advice = match server.code {
        codes::ER_ACCESS_DENIED_ERROR => {
            let over_tls = match &dsn.tls {
                None if dsn.unix_socket.is_none() => "; an account that REQUIREs SSL needs tls=required",
                None => "; an account that REQUIREs SSL needs TCP and tls=required",
                Some(tls) if tls.identity.is_none() => "; an account that REQUIREs X509 needs tls_cert and tls_key",
                Some(_) => "",
            };
            return format!("; check user and password of the DSN (percent-encode special characters){over_tls}");
        }
        codes::ER_ACCESS_DENIED_NO_PASSWORD_ERROR => {
            "; the account takes no password: give it one, or use an account that has one"
        }
        codes::ER_BAD_DB_ERROR => "; create the database, or correct the DSN",
        codes::ER_DBACCESS_DENIED_ERROR => "; GRANT the account access to the database, or correct the DSN",
        codes::ER_CON_COUNT_ERROR => "; raise max_connections, or use fewer connections",
        codes::ER_USER_LIMIT_REACHED if server.message.contains("_per_hour'") => {
            "; raise that limit of the account (ALTER USER … WITH …), or wait: it counts anew each hour"
        }
        codes::ER_TOO_MANY_USER_CONNECTIONS | codes::ER_USER_LIMIT_REACHED => {
            "; raise the account's limit (ALTER USER … WITH MAX_USER_CONNECTIONS), or use fewer connections"
        }
        codes::ER_HOST_NOT_PRIVILEGED => {
            "; create an account for this machine's address, 'user'@'address', or connect from another"
        }
        codes::ER_HOST_IS_BLOCKED => "; FLUSH HOSTS on the server, and raise max_connect_errors",
        codes::ER_MUST_CHANGE_PASSWORD | codes::ER_MUST_CHANGE_PASSWORD_LOGIN => {
            "; the password has expired: set another with ALTER USER"
        }
        codes::ER_PLUGIN_IS_NOT_LOADED => {
            "; load the plugin on the server, or give the account caching_sha2_password, mysql_native_password or ed25519"
        }
        codes::ER_SECURE_TRANSPORT_REQUIRED => "; the server wants TLS: tls=required",
        codes::ER_UNKNOWN_TIME_ZONE => {
            "; load the server's time zone tables, or give an offset such as timezone=%2B00:00"
        }
        codes::ER_UNKNOWN_CHARACTER_SET | codes::ER_UNKNOWN_COLLATION | codes::ER_COLLATION_CHARSET_MISMATCH => {
            "; correct charset and collation of the DSN"
        }
        codes::ER_WRONG_VALUE_FOR_VAR => "; correct charset and sql_mode of the DSN",
        _ => "",
    };
    advice.to_owned()
}

/// The error of the socket, TLS or the protocol.
fn io_error(error: &mysql::Error) -> Option<&std::io::Error> {
    match error {
        mysql::Error::IoError(io) => Some(io),
        _ => None,
    }
}

fn tls_error(error: &mysql::Error) -> Option<&rustls::Error> {
    io_error(error).and_then(tls::error_of)
}

/// Whether the time for a wait on the socket was over before the server answered.
pub fn is_timeout(error: &mysql::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    io_error(error).is_some_and(|io| matches!(io.kind(), WouldBlock | TimedOut))
}

/// What the error says, without its wrapping.
pub fn describe(error: &mysql::Error) -> String {
    match error {
        mysql::Error::DriverError(error) => error.to_string(),
        other => io_error(other).map_or_else(|| other.to_string(), ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsn::Dsn;
    use crate::error::Kind;

    fn dsn() -> ServerDsn {
        match Dsn::parse("mysql://u:secret@a,b,c/d") {
            Ok(Dsn::Server(server)) => *server,
            other => panic!("{other:?}"),
        }
    }

    fn refused(address: &str, code: u16) -> Failure {
        let server = mysql::MySqlError {
            state: "HY000".to_owned(),
            message: format!("error {code}"),
            code,
        };
        Failure::of_library(address.to_owned(), &server.into(), &dsn(), "5 ms")
    }

    #[test]
    fn names_each_host_with_its_reason() {
        let failures = [
            Failure::no_answer("a:1/d".to_owned(), "5 ms"),
            Failure::no_answer("b:2/d".to_owned(), "5 ms"),
            refused("c:3/d", codes::ER_BAD_DB_ERROR),
        ];
        let error = all_failed(&failures, &dsn());
        assert_eq!(
            error.message(),
            "cannot connect to any host as \"u\": a:1/d: no answer within 5 ms | b:2/d: no answer within 5 ms; check that the \
             server runs there, and the DSN's host and port, or its unix_socket | c:3/d: error 1049; create the database, or \
             correct the DSN"
        );
        assert!(error.is_connection());
        let error = out_of_time(&failures[..1], &dsn());
        assert!(error.kind() == Kind::Timeout);
        assert!(
            error.message().contains("a:1/d: no answer within 5 ms; check"),
            "{error}"
        );
        assert_eq!(out_of_time(&[], &dsn()).message(), "the time given is over");
    }

    #[test]
    fn the_code_is_one_that_may_pass() {
        for (codes, expected) in [
            (vec![1045], 1045),
            (vec![1045, 1040], 1040),
            (vec![1045, 1049], 1045),
            (vec![1047, 1045], 1047),
            (vec![], 2003),
        ] {
            let failures: Vec<Failure> = codes.iter().map(|code| refused("h:1/d", *code)).collect();
            assert_eq!(all_failed(&failures, &dsn()).code(), expected, "{codes:?}");
        }
    }
}
