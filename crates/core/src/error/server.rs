//! The error codes of MySQL and MariaDB that this engine knows, and what each one asks it to do.
//!
//! Sources: <https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>, <https://docs.pingcap.com/tidb/stable/error-codes> (8000 and
//! above), and Vitess, which answers with MySQL's own codes. Codes from 4000 on are MariaDB's own up to 4999, and differ
//! from MySQL's of the same number; no such number is used here with two meanings.

/// What to do after a server error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The transaction lost a race: roll back and repeat it, with a backoff, a bounded number of times.
    Retry,
    /// The connection, or the server for now, is of no use: connect again, and keep the rows until that helps.
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
/// The statement was killed by `KILL QUERY`. Vitess answers with it when it ended a transaction of its own accord.
pub const ER_QUERY_INTERRUPTED: u16 = 1317;
/// MariaDB: `max_statement_time` is over, and the statement was rolled back: <https://mariadb.com/kb/en/aborting-statements/>.
pub const ER_STATEMENT_TIMEOUT: u16 = 1969;
/// The table was altered while the transaction was under way.
pub const ER_TABLE_DEF_CHANGED: u16 = 1412;
/// A prepared statement's table changed too often while it was prepared anew.
pub const ER_NEED_REPREPARE: u16 = 1615;
/// The wait for a lock was ended, since a statement of another session had precedence.
pub const ER_LOCK_ABORTED: u16 = 1689;
/// MySQL's Group Replication rolled the transaction back at COMMIT: another member's was first:
/// <https://dev.mysql.com/doc/refman/8.4/en/group-replication-limitations.html>.
pub const ER_TRANSACTION_ROLLBACK_DURING_COMMIT: u16 = 3101;
/// TiDB: a conflict found at COMMIT, where the transaction cannot be repeated by the server itself.
pub const TIDB_FOR_UPDATE_CANT_RETRY: u16 = 8002;
/// TiDB: a write conflict of an optimistic transaction.
pub const TIDB_WRITE_CONFLICT_STALE: u16 = 8005;
/// TiDB: the transaction was rolled back, and its repetition failed.
pub const TIDB_TXN_RETRYABLE: u16 = 8022;
/// TiDB: the table's schema changed while the transaction was under way.
pub const TIDB_INFO_SCHEMA_CHANGED: u16 = 8028;
/// TiDB: a write conflict.
pub const TIDB_WRITE_CONFLICT: u16 = 9007;

/// `max_connections` is reached.
pub const ER_CON_COUNT_ERROR: u16 = 1040;
/// The account has as many connections as it may have. Vitess answers with it when its pool of connections is used up.
pub const ER_TOO_MANY_USER_CONNECTIONS: u16 = 1203;
/// The account has used up its resources for this hour.
pub const ER_USER_LIMIT_REACHED: u16 = 1226;
/// The server cannot start a thread for the connection.
pub const ER_CANT_CREATE_THREAD: u16 = 1135;
/// The server is out of memory.
pub const ER_OUT_OF_RESOURCES: u16 = 1041;
/// The server is out of memory.
pub const ER_OUTOFMEMORY: u16 = 1037;
/// The server's disk is full.
pub const ER_DISK_FULL: u16 = 1021;
/// The server could not write a file, for want of room as a rule.
pub const ER_ERROR_ON_WRITE: u16 = 1026;
/// The storage engine failed; InnoDB says so, with error 28, when its disk is full.
pub const ER_GET_ERRNO: u16 = 1030;
/// "The table is full": InnoDB cannot extend its files.
pub const ER_RECORD_FILE_FULL: u16 = 1114;
/// COMMIT failed, for want of room for the binary log as a rule.
pub const ER_ERROR_DURING_COMMIT: u16 = 1180;
/// The server could not read the packet from the connection.
pub const ER_NET_READ_ERROR: u16 = 1158;
/// The server waited for a packet in vain.
pub const ER_NET_READ_INTERRUPTED: u16 = 1159;
/// The server could not write to the connection.
pub const ER_NET_ERROR_ON_WRITE: u16 = 1160;
/// The server could not write to the connection in time.
pub const ER_NET_WRITE_INTERRUPTED: u16 = 1161;
/// The prepared statement is not known: a proxy gave this session another server connection.
pub const ER_UNKNOWN_STMT_HANDLER: u16 = 1243;
/// The transaction is a read-only one, as on a replica behind a proxy.
pub const ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: u16 = 1792;
/// MySQL: a plugin, such as that of Group Replication or of semi-synchronous replication, stopped the COMMIT.
pub const ER_RUN_HOOK_ERROR: u16 = 3100;
/// MySQL: the server is being shut down or is offline for ordinary accounts.
pub const ER_SERVER_OFFLINE_MODE: u16 = 3032;
/// TiDB: it is not known whether the transaction was committed.
pub const TIDB_RESULT_UNDETERMINED: u16 = 8501;
/// TiDB: its placement driver, or its storage, did not answer in time.
pub const TIDB_PD_SERVER_TIMEOUT: u16 = 9001;
/// TiDB: as [`TIDB_PD_SERVER_TIMEOUT`].
pub const TIDB_TIKV_SERVER_TIMEOUT: u16 = 9002;
/// TiDB: its storage is busy.
pub const TIDB_TIKV_SERVER_BUSY: u16 = 9003;
/// TiDB: a part of its storage has no leader for now.
pub const TIDB_REGION_UNAVAILABLE: u16 = 9005;
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
/// The client library's "unknown host".
pub const CR_UNKNOWN_HOST: u16 = 2005;

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
/// `KILL` of a connection that is gone.
pub const ER_NO_SUCH_THREAD: u16 = 1094;
/// This host failed to connect too often (`max_connect_errors`).
pub const ER_HOST_IS_BLOCKED: u16 = 1129;
/// The account must change its password.
pub const ER_MUST_CHANGE_PASSWORD: u16 = 1820;
/// The account's password has expired, and this client cannot change it.
pub const ER_MUST_CHANGE_PASSWORD_LOGIN: u16 = 1862;
/// The account's authentication plugin is not loaded on the server.
pub const ER_PLUGIN_IS_NOT_LOADED: u16 = 1524;
/// The account identifies itself by other means than a password, as with `unix_socket`.
pub const ER_ACCESS_DENIED_NO_PASSWORD_ERROR: u16 = 1698;
/// The server takes no connection without TLS (`require_secure_transport`).
pub const ER_SECURE_TRANSPORT_REQUIRED: u16 = 3159;
/// The client library's "no TLS with the server".
pub const CR_SSL_CONNECTION_ERROR: u16 = 2026;
/// The client library's "authentication plugin cannot be loaded".
pub const CR_AUTH_PLUGIN_CANNOT_LOAD: u16 = 2059;
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
        ER_LOCK_DEADLOCK
        | ER_LOCK_WAIT_TIMEOUT
        | ER_CHECKREAD
        | ER_QUERY_INTERRUPTED
        | ER_STATEMENT_TIMEOUT
        | ER_TABLE_DEF_CHANGED
        | ER_NEED_REPREPARE
        | ER_LOCK_ABORTED
        | ER_TRANSACTION_ROLLBACK_DURING_COMMIT
        | TIDB_FOR_UPDATE_CANT_RETRY
        | TIDB_WRITE_CONFLICT_STALE
        | TIDB_TXN_RETRYABLE
        | TIDB_INFO_SCHEMA_CHANGED
        | TIDB_WRITE_CONFLICT => Class::Retry,
        ER_CON_COUNT_ERROR
        | ER_TOO_MANY_USER_CONNECTIONS
        | ER_USER_LIMIT_REACHED
        | ER_CANT_CREATE_THREAD
        | ER_OUT_OF_RESOURCES
        | ER_OUTOFMEMORY
        | ER_DISK_FULL
        | ER_ERROR_ON_WRITE
        | ER_GET_ERRNO
        | ER_RECORD_FILE_FULL
        | ER_ERROR_DURING_COMMIT
        | ER_NET_READ_ERROR
        | ER_NET_READ_INTERRUPTED
        | ER_NET_ERROR_ON_WRITE
        | ER_NET_WRITE_INTERRUPTED
        | ER_UNKNOWN_STMT_HANDLER
        | ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
        | ER_RUN_HOOK_ERROR
        | ER_SERVER_OFFLINE_MODE
        | TIDB_RESULT_UNDETERMINED
        | TIDB_PD_SERVER_TIMEOUT
        | TIDB_TIKV_SERVER_TIMEOUT
        | TIDB_TIKV_SERVER_BUSY
        | TIDB_REGION_UNAVAILABLE
        | ER_SERVER_SHUTDOWN
        | ER_CONNECTION_KILLED
        | ER_UNKNOWN_COM_ERROR
        | ER_OPTION_PREVENTS_STATEMENT
        | ER_READ_ONLY_MODE
        | ER_CLIENT_INTERACTION_TIMEOUT
        | CR_CONNECTION_ERROR
        | CR_CONN_HOST_ERROR
        | CR_UNKNOWN_HOST
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
        | ER_HOST_IS_BLOCKED
        | ER_MUST_CHANGE_PASSWORD
        | ER_MUST_CHANGE_PASSWORD_LOGIN
        | ER_PLUGIN_IS_NOT_LOADED
        | ER_ACCESS_DENIED_NO_PASSWORD_ERROR
        | ER_SECURE_TRANSPORT_REQUIRED
        | CR_SSL_CONNECTION_ERROR
        | CR_AUTH_PLUGIN_CANNOT_LOAD
        | ER_MAX_PREPARED_STMT_COUNT_REACHED
        | ER_TABLE_WITHOUT_PK => Class::Misconfigured,
        _ => Class::Refused,
    }
}

/// Whether an error of [`Class::Reconnect`] is the connection's own, and says nothing against the server.
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
