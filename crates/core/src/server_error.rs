//! The error codes of MySQL and MariaDB that this engine knows, and what each one asks it to do.
//!
//! Sources: <https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>. Codes from 4000 on are MariaDB's own up to 4999, and differ
//! from MySQL's of the same number; no such number is used here with two meanings.

/// What to do after a server error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The transaction lost a race: roll back and repeat it, with a backoff, a bounded number of times.
    Retry,
    /// The connection, or the server for now, is of no use: connect again.
    Reconnect,
    /// These rows will never be taken. The rows beside them may.
    Refused,
    /// The account, the schema or the settings are wrong. No row is at fault.
    Misconfigured,
}

/// Two transactions waited for each other, and this one was rolled back. Galera reports a certification failure with
/// it, also as the answer to COMMIT: <https://dev.mysql.com/doc/refman/8.4/en/innodb-deadlocks.html>.
pub const ER_LOCK_DEADLOCK: u16 = 1213;
/// `innodb_lock_wait_timeout` is over. The server rolled back the statement only, so a ROLLBACK must follow:
/// <https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_rollback_on_timeout>.
pub const ER_LOCK_WAIT_TIMEOUT: u16 = 1205;
/// MariaDB, with `innodb_snapshot_isolation`: the row changed since the snapshot was taken:
/// <https://mariadb.com/kb/en/innodb-system-variables/#innodb_snapshot_isolation>.
pub const ER_CHECKREAD: u16 = 1020;

/// `max_connections` is reached.
pub const ER_CON_COUNT_ERROR: u16 = 1040;
/// The server is shutting down.
pub const ER_SERVER_SHUTDOWN: u16 = 1053;
/// MariaDB: `KILL CONNECTION` hit this one.
pub const ER_CONNECTION_KILLED: u16 = 1927;
/// Galera: the node is not part of the primary component, "WSREP has not yet prepared node for application use".
pub const ER_UNKNOWN_COM_ERROR: u16 = 1047;
/// The server runs with `--read-only`, as a replica does: another host may be the primary now.
pub const ER_OPTION_PREVENTS_STATEMENT: u16 = 1290;
/// The server is in read-only mode.
pub const ER_READ_ONLY_MODE: u16 = 1836;
/// MySQL: the server disconnected this client because it was idle too long.
pub const ER_CLIENT_INTERACTION_TIMEOUT: u16 = 4031;
/// The client library's "server has gone away".
pub const CR_SERVER_GONE_ERROR: u16 = 2006;
/// The client library's "lost connection during query".
pub const CR_SERVER_LOST: u16 = 2013;
/// The client library's "cannot connect through the socket".
pub const CR_CONNECTION_ERROR: u16 = 2002;
/// The client library's "cannot connect to the host".
pub const CR_CONN_HOST_ERROR: u16 = 2003;

/// The account may not use this database.
pub const ER_DBACCESS_DENIED_ERROR: u16 = 1044;
/// Wrong user or password.
pub const ER_ACCESS_DENIED_ERROR: u16 = 1045;
/// No database selected.
pub const ER_NO_DB_ERROR: u16 = 1046;
/// No such database.
pub const ER_BAD_DB_ERROR: u16 = 1049;
/// No such column.
pub const ER_BAD_FIELD_ERROR: u16 = 1054;
/// A column named twice.
pub const ER_FIELD_SPECIFIED_TWICE: u16 = 1110;
/// The account may not use this table.
pub const ER_TABLEACCESS_DENIED_ERROR: u16 = 1142;
/// The account may not use this column.
pub const ER_COLUMNACCESS_DENIED_ERROR: u16 = 1143;
/// No such table.
pub const ER_NO_SUCH_TABLE: u16 = 1146;
/// The statement is not SQL for this server.
pub const ER_PARSE_ERROR: u16 = 1064;
/// An unknown system variable, from an option of the DSN.
pub const ER_UNKNOWN_SYSTEM_VARIABLE: u16 = 1193;
/// A value that a system variable does not take, from an option of the DSN.
pub const ER_WRONG_VALUE_FOR_VAR: u16 = 1231;
/// An unknown time zone, from the DSN: the server's time zone tables may not be loaded.
pub const ER_UNKNOWN_TIME_ZONE: u16 = 1298;
/// An unknown character set, from the DSN.
pub const ER_UNKNOWN_CHARACTER_SET: u16 = 1115;
/// An unknown collation, from the DSN.
pub const ER_UNKNOWN_COLLATION: u16 = 1273;
/// A collation of another character set, from the DSN.
pub const ER_COLLATION_CHARSET_MISMATCH: u16 = 1253;
/// The account lacks a privilege.
pub const ER_SPECIFIC_ACCESS_DENIED_ERROR: u16 = 1227;
/// This host may not connect.
pub const ER_HOST_NOT_PRIVILEGED: u16 = 1130;
/// The account must change its password.
pub const ER_MUST_CHANGE_PASSWORD: u16 = 1820;
/// `max_prepared_stmt_count` is reached on the server.
pub const ER_MAX_PREPARED_STMT_COUNT_REACHED: u16 = 1461;
/// MySQL: the table needs a primary key (`sql_require_primary_key`).
pub const ER_TABLE_WITHOUT_PK: u16 = 3750;

/// NULL for a column that takes none.
pub const ER_BAD_NULL_ERROR: u16 = 1048;
/// A second row with the same unique key.
pub const ER_DUP_ENTRY: u16 = 1062;
/// A packet larger than `max_allowed_packet`.
pub const ER_NET_PACKET_TOO_LARGE: u16 = 1153;

/// What to do after the error `code`. An unknown code is [`Class::Refused`]: the rows are kept with the error that the
/// server gave, and nothing is repeated that may never end.
pub fn classify(code: u16) -> Class {
    match code {
        ER_LOCK_DEADLOCK | ER_LOCK_WAIT_TIMEOUT | ER_CHECKREAD => Class::Retry,
        ER_CON_COUNT_ERROR
        | ER_SERVER_SHUTDOWN
        | ER_CONNECTION_KILLED
        | ER_UNKNOWN_COM_ERROR
        | ER_OPTION_PREVENTS_STATEMENT
        | ER_READ_ONLY_MODE
        | ER_CLIENT_INTERACTION_TIMEOUT
        | CR_CONNECTION_ERROR
        | CR_CONN_HOST_ERROR
        | CR_SERVER_GONE_ERROR
        | CR_SERVER_LOST => Class::Reconnect,
        ER_DBACCESS_DENIED_ERROR
        | ER_ACCESS_DENIED_ERROR
        | ER_NO_DB_ERROR
        | ER_BAD_DB_ERROR
        | ER_BAD_FIELD_ERROR
        | ER_FIELD_SPECIFIED_TWICE
        | ER_TABLEACCESS_DENIED_ERROR
        | ER_COLUMNACCESS_DENIED_ERROR
        | ER_NO_SUCH_TABLE
        | ER_PARSE_ERROR
        | ER_UNKNOWN_SYSTEM_VARIABLE
        | ER_WRONG_VALUE_FOR_VAR
        | ER_UNKNOWN_TIME_ZONE
        | ER_UNKNOWN_CHARACTER_SET
        | ER_UNKNOWN_COLLATION
        | ER_COLLATION_CHARSET_MISMATCH
        | ER_SPECIFIC_ACCESS_DENIED_ERROR
        | ER_HOST_NOT_PRIVILEGED
        | ER_MUST_CHANGE_PASSWORD
        | ER_MAX_PREPARED_STMT_COUNT_REACHED
        | ER_TABLE_WITHOUT_PK => Class::Misconfigured,
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_codes() {
        for (code, class) in [
            (1213, Class::Retry),
            (1205, Class::Retry),
            (1020, Class::Retry),
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
