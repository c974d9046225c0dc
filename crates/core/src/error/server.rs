//! The error codes that this engine knows: one table with what each one asks for, and why.
//!
//! Sources: <https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
//! <https://docs.pingcap.com/tidb/stable/error-codes> (8000 and above). Vitess returns MySQL's
//! codes.
//!
//! Codes from 4000 to 4999 are MariaDB's own, and differ from MySQL's of the same number. No such
//! number has two meanings here.

/// What a server's error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The transaction lost a race: roll back, wait, and repeat it, a bounded number of times.
    Retry,
    /// The connection is of no use, or its server is for now: connect again, and keep the rows
    /// until that helps. Full disks, exhausted connections and read-only servers are here: no row
    /// is at fault, and they pass.
    Reconnect,
    /// These rows will never be taken. The rows beside them may be.
    Refused,
    /// The account, the schema or the settings are wrong. No row is at fault.
    Misconfigured,
}

/// Who returns a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// MySQL and MariaDB.
    Both,
    /// MySQL alone.
    MySql,
    /// MariaDB alone.
    MariaDb,
    /// `TiDB`.
    TiDb,
    /// The client library.
    Client,
}

/// An error code, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCode {
    /// The number.
    pub code: u16,
    /// Its name in the server's sources.
    pub name: &'static str,
    /// What it asks for.
    pub class: Class,
    /// Who returns it.
    pub origin: Origin,
    /// What it means: the reason for its class.
    pub why: &'static str,
    /// A page about it; empty: the module's sources.
    pub link: &'static str,
}

/// Makes a constant of each code, and the table of all.
macro_rules! codes {
    ($($(#[doc = $why:literal])+ $name:ident = $code:literal: $class:ident, $origin:ident $(, $link:literal)?;)+) => {
        $($(#[doc = $why])+ pub const $name: u16 = $code;)+

        /// All codes that this engine knows, by number.
        pub const CODES: &[ServerCode] = &[$(ServerCode {
            code: $code,
            name: stringify!($name),
            class: Class::$class,
            origin: Origin::$origin,
            why: concat!($($why),+),
            link: concat!($($link)?),
        }),+];
    };
}

codes! {
    /// MariaDB, with `innodb_snapshot_isolation`: the row changed since the snapshot was taken.
    ER_CHECKREAD = 1020: Retry, MariaDb, "https://mariadb.com/kb/en/innodb-system-variables/#innodb_snapshot_isolation";
    /// The server's disk is full.
    ER_DISK_FULL = 1021: Reconnect, Both;
    /// The server could not write a file, for want of room as a rule.
    ER_ERROR_ON_WRITE = 1026: Reconnect, Both;
    /// The storage engine failed; InnoDB says so, with error 28, when its disk is full.
    ER_GET_ERRNO = 1030: Reconnect, Both;
    /// The server is out of memory.
    ER_OUTOFMEMORY = 1037: Reconnect, Both;
    /// `max_connections` is reached.
    ER_CON_COUNT_ERROR = 1040: Reconnect, Both;
    /// The server is out of memory.
    ER_OUT_OF_RESOURCES = 1041: Reconnect, Both;
    /// The account may not use this database.
    ER_DBACCESS_DENIED_ERROR = 1044: Misconfigured, Both;
    /// Wrong user or password.
    ER_ACCESS_DENIED_ERROR = 1045: Misconfigured, Both;
    /// No database selected.
    ER_NO_DB_ERROR = 1046: Misconfigured, Both;
    /// Galera: the node is not part of the primary component, "WSREP has not yet prepared node
    /// for application use".
    ER_UNKNOWN_COM_ERROR = 1047: Reconnect, Both;
    /// NULL for a column that takes none.
    ER_BAD_NULL_ERROR = 1048: Refused, Both;
    /// No such database.
    ER_BAD_DB_ERROR = 1049: Misconfigured, Both;
    /// The server is shutting down.
    ER_SERVER_SHUTDOWN = 1053: Reconnect, Both;
    /// No such column.
    ER_BAD_FIELD_ERROR = 1054: Misconfigured, Both;
    /// A second row with the same unique key.
    ER_DUP_ENTRY = 1062: Refused, Both;
    /// The statement is not SQL for this server.
    ER_PARSE_ERROR = 1064: Misconfigured, Both;
    /// `KILL` of a connection that is gone.
    ER_NO_SUCH_THREAD = 1094: Refused, Both;
    /// A column named twice.
    ER_FIELD_SPECIFIED_TWICE = 1110: Misconfigured, Both;
    /// "The table is full": InnoDB cannot extend its files.
    ER_RECORD_FILE_FULL = 1114: Reconnect, Both;
    /// An unknown character set, from the DSN.
    ER_UNKNOWN_CHARACTER_SET = 1115: Misconfigured, Both;
    /// This host failed to connect too often (`max_connect_errors`).
    ER_HOST_IS_BLOCKED = 1129: Misconfigured, Both;
    /// This host may not connect.
    ER_HOST_NOT_PRIVILEGED = 1130: Misconfigured, Both;
    /// The server cannot start a thread for the connection.
    ER_CANT_CREATE_THREAD = 1135: Reconnect, Both;
    /// The account may not use this table.
    ER_TABLEACCESS_DENIED_ERROR = 1142: Misconfigured, Both;
    /// The account may not use this column.
    ER_COLUMNACCESS_DENIED_ERROR = 1143: Misconfigured, Both;
    /// No such table.
    ER_NO_SUCH_TABLE = 1146: Misconfigured, Both;
    /// A packet larger than `max_allowed_packet`.
    ER_NET_PACKET_TOO_LARGE = 1153: Refused, Both;
    /// The server could not read the packet from the connection.
    ER_NET_READ_ERROR = 1158: Reconnect, Both;
    /// The server waited for a packet in vain.
    ER_NET_READ_INTERRUPTED = 1159: Reconnect, Both;
    /// The server could not write to the connection.
    ER_NET_ERROR_ON_WRITE = 1160: Reconnect, Both;
    /// The server could not write to the connection in time.
    ER_NET_WRITE_INTERRUPTED = 1161: Reconnect, Both;
    /// COMMIT failed, for want of room for the binary log as a rule.
    ER_ERROR_DURING_COMMIT = 1180: Reconnect, Both;
    /// An unknown system variable, from an option of the DSN.
    ER_UNKNOWN_SYSTEM_VARIABLE = 1193: Misconfigured, Both;
    /// The account has as many connections as it may have. Vitess answers with it when its pool
    /// of connections is used up.
    ER_TOO_MANY_USER_CONNECTIONS = 1203: Reconnect, Both;
    /// `innodb_lock_wait_timeout` is over. The server rolled back the statement only, so a
    /// ROLLBACK must follow.
    ER_LOCK_WAIT_TIMEOUT = 1205: Retry, Both, "https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_rollback_on_timeout";
    /// Two transactions waited for each other, and this one was rolled back. Galera reports a
    /// certification failure with it, also as the answer to COMMIT.
    ER_LOCK_DEADLOCK = 1213: Retry, Both, "https://dev.mysql.com/doc/refman/8.4/en/innodb-deadlocks.html";
    /// The account has used up its resources for this hour.
    ER_USER_LIMIT_REACHED = 1226: Reconnect, Both;
    /// The account lacks a privilege.
    ER_SPECIFIC_ACCESS_DENIED_ERROR = 1227: Misconfigured, Both;
    /// A value that a system variable does not take, from an option of the DSN.
    ER_WRONG_VALUE_FOR_VAR = 1231: Misconfigured, Both;
    /// The prepared statement is not known: a proxy gave this session another server connection.
    ER_UNKNOWN_STMT_HANDLER = 1243: Reconnect, Both;
    /// A collation of another character set, from the DSN.
    ER_COLLATION_CHARSET_MISMATCH = 1253: Misconfigured, Both;
    /// An unknown collation, from the DSN.
    ER_UNKNOWN_COLLATION = 1273: Misconfigured, Both;
    /// The server runs with `--read-only`, as a replica does: another host may be the primary
    /// now.
    ER_OPTION_PREVENTS_STATEMENT = 1290: Reconnect, Both;
    /// An unknown time zone, from the DSN: the server's time zone tables may not be loaded.
    ER_UNKNOWN_TIME_ZONE = 1298: Misconfigured, Both;
    /// The statement was killed by `KILL QUERY`. Vitess answers with it when it ended a
    /// transaction of its own accord.
    ER_QUERY_INTERRUPTED = 1317: Retry, Both;
    /// The table was altered while the transaction was under way.
    ER_TABLE_DEF_CHANGED = 1412: Retry, Both;
    /// `max_prepared_stmt_count` is reached on the server.
    ER_MAX_PREPARED_STMT_COUNT_REACHED = 1461: Misconfigured, Both;
    /// The account's authentication plugin is not loaded on the server.
    ER_PLUGIN_IS_NOT_LOADED = 1524: Misconfigured, Both;
    /// A prepared statement's table changed too often while it was prepared anew.
    ER_NEED_REPREPARE = 1615: Retry, Both;
    /// The wait for a lock was ended, since a statement of another session had precedence.
    ER_LOCK_ABORTED = 1689: Retry, Both;
    /// The account identifies itself by other means than a password, as with `unix_socket`.
    ER_ACCESS_DENIED_NO_PASSWORD_ERROR = 1698: Misconfigured, Both;
    /// The transaction is a read-only one, as on a replica behind a proxy.
    ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION = 1792: Reconnect, Both;
    /// The account must change its password.
    ER_MUST_CHANGE_PASSWORD = 1820: Misconfigured, Both;
    /// The server is in read-only mode.
    ER_READ_ONLY_MODE = 1836: Reconnect, Both;
    /// The account's password has expired, and this client cannot change it.
    ER_MUST_CHANGE_PASSWORD_LOGIN = 1862: Misconfigured, MySql;
    /// `KILL CONNECTION` hit this one.
    ER_CONNECTION_KILLED = 1927: Reconnect, MariaDb;
    /// `max_statement_time` is over, and the statement was rolled back.
    ER_STATEMENT_TIMEOUT = 1969: Retry, MariaDb, "https://mariadb.com/kb/en/aborting-statements/";
    /// The client library's own "cannot connect through the socket".
    CR_CONNECTION_ERROR = 2002: Reconnect, Client;
    /// The client library's own "cannot connect to the host".
    CR_CONN_HOST_ERROR = 2003: Reconnect, Client;
    /// The client library's own "unknown host".
    CR_UNKNOWN_HOST = 2005: Reconnect, Client;
    /// The client library's own "server has gone away".
    CR_SERVER_GONE_ERROR = 2006: Reconnect, Client;
    /// The client library's own "lost connection during query".
    CR_SERVER_LOST = 2013: Reconnect, Client;
    /// The client library's own "no TLS with the server".
    CR_SSL_CONNECTION_ERROR = 2026: Misconfigured, Client;
    /// The client library's own "authentication plugin cannot be loaded".
    CR_AUTH_PLUGIN_CANNOT_LOAD = 2059: Misconfigured, Client;
    /// The server is being shut down or is offline for ordinary accounts.
    ER_SERVER_OFFLINE_MODE = 3032: Reconnect, MySql;
    /// A plugin, such as that of Group Replication or of semi-synchronous replication, stopped
    /// the COMMIT.
    ER_RUN_HOOK_ERROR = 3100: Reconnect, MySql;
    /// MySQL's Group Replication rolled the transaction back at COMMIT: another member's was
    /// first.
    ER_TRANSACTION_ROLLBACK_DURING_COMMIT = 3101: Retry, MySql, "https://dev.mysql.com/doc/refman/8.4/en/group-replication-limitations.html";
    /// The server takes no connection without TLS (`require_secure_transport`).
    ER_SECURE_TRANSPORT_REQUIRED = 3159: Misconfigured, MySql;
    /// The table needs a primary key (`sql_require_primary_key`).
    ER_TABLE_WITHOUT_PK = 3750: Misconfigured, MySql;
    /// The server disconnected this client because it was idle too long.
    ER_CLIENT_INTERACTION_TIMEOUT = 4031: Reconnect, MySql;
    /// A conflict found at COMMIT, where the transaction cannot be repeated by the server itself.
    TIDB_FOR_UPDATE_CANT_RETRY = 8002: Retry, TiDb;
    /// A write conflict of an optimistic transaction.
    TIDB_WRITE_CONFLICT_STALE = 8005: Retry, TiDb;
    /// The transaction was rolled back, and its repetition failed.
    TIDB_TXN_RETRYABLE = 8022: Retry, TiDb;
    /// The table's schema changed while the transaction was under way.
    TIDB_INFO_SCHEMA_CHANGED = 8028: Retry, TiDb;
    /// It is not known whether the transaction was committed.
    TIDB_RESULT_UNDETERMINED = 8501: Reconnect, TiDb;
    /// Its placement driver, or its storage, did not answer in time.
    TIDB_PD_SERVER_TIMEOUT = 9001: Reconnect, TiDb;
    /// Its storage did not answer in time.
    TIDB_TIKV_SERVER_TIMEOUT = 9002: Reconnect, TiDb;
    /// Its storage is busy.
    TIDB_TIKV_SERVER_BUSY = 9003: Reconnect, TiDb;
    /// A part of its storage has no leader for now.
    TIDB_REGION_UNAVAILABLE = 9005: Reconnect, TiDb;
    /// A write conflict.
    TIDB_WRITE_CONFLICT = 9007: Retry, TiDb;
}

/// What is known of a code.
pub fn known(code: u16) -> Option<&'static ServerCode> {
    let at = CODES.binary_search_by_key(&code, |known| known.code).ok()?;
    CODES.get(at)
}

/// What the error `code` asks for. An unknown code is [`Class::Refused`]: its rows become failures
/// that carry the server's error. Repeating could never end.
pub fn classify(code: u16) -> Class {
    known(code).map_or(Class::Refused, |known| known.class)
}

/// Whether the error says that there is no such table, or that the account may not see it.
pub fn hides_table(code: u16) -> bool {
    matches!(
        code,
        ER_NO_SUCH_TABLE
            | ER_BAD_DB_ERROR
            | ER_TABLEACCESS_DENIED_ERROR
            | ER_DBACCESS_DENIED_ERROR
            | ER_COLUMNACCESS_DENIED_ERROR
            | ER_SPECIFIC_ACCESS_DENIED_ERROR
    )
}

/// Whether an error of [`Class::Reconnect`] is the connection's own, and says nothing about its
/// server.
pub fn is_of_connection(code: u16) -> bool {
    matches!(
        code,
        ER_CONNECTION_KILLED | ER_CLIENT_INTERACTION_TIMEOUT | ER_UNKNOWN_STMT_HANDLER
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_says_why() {
        assert!(
            CODES.is_sorted_by(|left, right| left.code < right.code),
            "each code once, by number"
        );
        for known in CODES {
            assert!(known.why.len() > 10, "{known:?}");
            assert!(known.link.is_empty() || known.link.starts_with("https://"), "{known:?}");
        }
    }

    #[test]
    fn each_class_has_its_codes() {
        for (code, class) in [
            (1213, Class::Retry),
            (1205, Class::Retry),
            (1020, Class::Retry),
            (1317, Class::Retry),
            (3101, Class::Retry),
            (8002, Class::Retry),
            (8022, Class::Retry),
            (8028, Class::Retry),
            (9007, Class::Retry),
            (1021, Class::Reconnect),
            (1114, Class::Reconnect),
            (1180, Class::Reconnect),
            (1203, Class::Reconnect),
            (8501, Class::Reconnect),
            (9005, Class::Reconnect),
            (2006, Class::Reconnect),
            (2013, Class::Reconnect),
            (1053, Class::Reconnect),
            (1040, Class::Reconnect),
            (1927, Class::Reconnect),
            (1047, Class::Reconnect),
            (1290, Class::Reconnect),
            (1836, Class::Reconnect),
            (1048, Class::Refused),
            (1062, Class::Refused),
            (1264, Class::Refused),
            (1265, Class::Refused),
            (1364, Class::Refused),
            (1366, Class::Refused),
            (1406, Class::Refused),
            (1451, Class::Refused),
            (1452, Class::Refused),
            (3819, Class::Refused),
            (4025, Class::Refused),
            (1044, Class::Misconfigured),
            (1045, Class::Misconfigured),
            (1049, Class::Misconfigured),
            (1054, Class::Misconfigured),
            (1142, Class::Misconfigured),
            (1146, Class::Misconfigured),
        ] {
            assert_eq!(classify(code), class, "{code}");
        }
    }
}
