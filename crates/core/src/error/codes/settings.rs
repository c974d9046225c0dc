//! The account, the session's settings or the server's are in the way, or the statement itself is.
//! No row is at fault.

use super::code::codes;

codes! {
    /// Who the account is, and what it may do.
    ACCOUNT: Blocked;
    ER_DBACCESS_DENIED_ERROR = 1044, Both, "The account may not use this database.";
    ER_ACCESS_DENIED_ERROR = 1045, Both, "Wrong user or password.";
    ER_NO_SUCH_THREAD = 1094, Both, "`KILL` of a connection that is gone.";
    ER_KILL_DENIED_ERROR = 1095, Both, "`KILL` of a connection that is another account's.";
    ER_HOST_IS_BLOCKED = 1129, Both, "This host failed to connect too often (`max_connect_errors`).";
    ER_HOST_NOT_PRIVILEGED = 1130, Both, "This host may not connect.";
    ER_TABLEACCESS_DENIED_ERROR = 1142, Both, "The account or a definer may not use this table.";
    ER_COLUMNACCESS_DENIED_ERROR = 1143, Both, "The account or a definer may not use this column.";
    ER_SPECIFIC_ACCESS_DENIED_ERROR = 1227, Both, "The account or a definer lacks a privilege.";
    ER_NOT_SUPPORTED_AUTH_MODE = 1251, Both, "The account's way to authenticate is not known here.";
    ER_VIEW_NO_EXPLAIN = 1345, Both, "The account may not look at what is behind the view.";
    ER_PLUGIN_IS_NOT_LOADED = 1524, Both, "The account's authentication plugin is not loaded on the server.";
    ER_ACCESS_DENIED_NO_PASSWORD_ERROR = 1698, Both, "The account identifies itself by other means than a password, as with `unix_socket`.";
    ER_MUST_CHANGE_PASSWORD = 1820, Both, "The account must change its password.";
    ER_MUST_CHANGE_PASSWORD_LOGIN = 1862, Both, "The account's password has expired, and this client can't change it.";
    ER_ACCESS_DENIED_CHANGE_USER_ERROR = 1873, Both, "A proxy could not log in to the server as this account.";
    CR_SSL_CONNECTION_ERROR = 2026, Client, "No TLS with the server.";
    CR_AUTH_PLUGIN_CANNOT_LOAD = 2059, Client, "The account's way to authenticate is not known here.";
    ER_ACCOUNT_HAS_BEEN_LOCKED_MYSQL = 3118, MySql, "The account is locked.";
    ER_SECURE_TRANSPORT_REQUIRED = 3159, Both, "The server takes no connection without TLS (`require_secure_transport`).";
    ER_AUDIT_API_ABORT = 3164, MySql, "A plugin for auditing, or a firewall, stopped the statement.";
    ER_NO_SYSTEM_SCHEMA_ACCESS = 3552, MySql, "Nobody may change this database.";
    ER_NO_SYSTEM_TABLESPACE_ACCESS = 3553, MySql, "Nobody may change this tablespace.";
    ER_NO_SYSTEM_TABLE_ACCESS = 3554, MySql, "Nobody may change this table.";
    ER_NO_SYSTEM_VIEW_ACCESS = 3620, MySql, "Nobody may look at this table.";
    ER_DB_ACCESS_DENIED = 3879, MySql, "The account may not use this database.";
    ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK = 3955, MySql, "The account is locked: its password was wrong too often.";
    ER_USER_IS_BLOCKED = 4150, MariaDb, "The account is blocked: its password was wrong too often.";
    ER_ACCOUNT_HAS_BEEN_LOCKED = 4151, MariaDb, "The account is locked.";
    ER_SPECIFIC_ACCESS_DENIED = 6038, MySql, "The account or a definer lacks a privilege.";
    ER_ACCESS_DENIED_NO_PROXY_GRANT = 6126, MySql, "The account may not act for the one that it is mapped to.";
    ER_ACCESS_DENIED_NO_PROXY = 6127, MySql, "The account is mapped to one that is not there.";
    ER_ACCESS_DENIED_FIREWALL = 6444, MySql, "A firewall stopped the statement.";
    ER_AUDIT_LOG_ABORT = 6544, MySql, "A filter for auditing stopped the statement.";
}

codes! {
    /// The session's settings, from the DSN as a rule, and the server's.
    SETTING: Blocked;
    ER_NO_DB_ERROR = 1046, Both, "No database selected.";
    ER_BAD_DB_ERROR = 1049, Both, "No such database.";
    ER_PARSE_ERROR = 1064, Both, "The statement is not SQL for this server.";
    ER_EMPTY_QUERY = 1065, Both, "The statement is empty, as after a proxy rewrote it.";
    ER_TOO_BIG_SELECT = 1104, Both, "A question reads more than `max_join_size`.";
    ER_UNKNOWN_ERROR = 1105, Both, "`Unknown error`: servers and proxies say so of anything.";
    ER_UNKNOWN_CHARACTER_SET = 1115, Both, "An unknown character set, from the DSN.";
    ER_STACK_OVERRUN = 1119, Both, "The server's `thread_stack` is too small.";
    ER_NOT_ALLOWED_COMMAND = 1148, Both, "The server, or a proxy's rule, does not allow the statement.";
    ER_SYNTAX_ERROR = 1149, Both, "The statement is not SQL for this server.";
    ER_TOO_LONG_STRING = 1162, Both, "An answer is longer than `max_allowed_packet`.";
    ER_UPDATE_WITHOUT_KEY_IN_SAFE_MODE = 1175, Both, "`sql_safe_updates` wants a key.";
    ER_UNKNOWN_SYSTEM_VARIABLE = 1193, Both, "An unknown system variable, from an option of the DSN.";
    ER_LOCAL_VARIABLE = 1228, Both, "A variable that only a session has.";
    ER_GLOBAL_VARIABLE = 1229, Both, "A variable that no session has.";
    ER_NO_DEFAULT = 1230, Both, "A variable that has no default.";
    ER_WRONG_VALUE_FOR_VAR = 1231, Both, "A value that a system variable does not take, from an option of the DSN.";
    ER_WRONG_TYPE_FOR_VAR = 1232, Both, "A value that a system variable does not take, from an option of the DSN.";
    ER_NOT_SUPPORTED_YET = 1235, Both, "This server can't do what was asked.";
    ER_INCORRECT_GLOBAL_LOCAL_VAR = 1238, Both, "A variable that can't be set.";
    ER_COLLATION_CHARSET_MISMATCH = 1253, Both, "A collation of another character set, from the DSN.";
    ER_UNKNOWN_COLLATION = 1273, Both, "An unknown collation, from the DSN.";
    ER_FEATURE_DISABLED = 1289, Both, "This server was built or started without what was asked.";
    ER_UNSUPPORTED_PS = 1295, Both, "This server, or a proxy, does not prepare the statement.";
    ER_UNKNOWN_TIME_ZONE = 1298, Both, "An unknown time zone, from the DSN: the server's time zone tables may not be loaded.";
    ER_PS_MANY_PARAM = 1390, Both, "Too many placeholders: a bug of ours.";
    ER_STACK_OVERRUN_NEED_MORE = 1436, Both, "The server's `thread_stack` is too small.";
    ER_MAX_PREPARED_STMT_COUNT_REACHED = 1461, Both, "`max_prepared_stmt_count` is reached on the server.";
    ER_BINLOG_LOGGING_IMPOSSIBLE = 1598, Both, "The binary log can't take it: with `binlog_format` STATEMENT it takes no READ COMMITTED.";
    ER_VARIABLE_IS_READONLY = 1621, Both, "A variable that can't be set.";
    ER_UNKNOWN_LOCALE = 1649, Both, "An unknown locale.";
    ER_BINLOG_ROW_ENGINE_AND_STMT_ENGINE = 1661, Both, "The binary log can't take the engines of the transaction together.";
    ER_BINLOG_ROW_MODE_AND_STMT_ENGINE = 1662, Both, "The binary log can't take the table's engine with `binlog_format` ROW.";
    ER_BINLOG_UNSAFE_AND_STMT_ENGINE = 1663, Both, "The binary log can't take the statement with this table's engine.";
    ER_BINLOG_ROW_INJECTION_AND_STMT_ENGINE = 1664, Both, "The binary log can't take rows of this table's engine.";
    ER_BINLOG_STMT_MODE_AND_ROW_ENGINE = 1665, Both, "The binary log can't take the table's engine with `binlog_format` STATEMENT.";
    ER_BINLOG_ROW_INJECTION_AND_STMT_MODE = 1666, Both, "The binary log can't take rows with `binlog_format` STATEMENT.";
    ER_BINLOG_MULTIPLE_ENGINES_AND_SELF_LOGGING_ENGINE = 1667, Both, "The binary log can't take the engines of the transaction together.";
    ER_STMT_CACHE_FULL = 1705, Both, "`max_binlog_stmt_cache_size` is reached, which is about tables without transactions.";
    ER_CANT_DO_IMPLICIT_COMMIT_IN_TRX_WHEN_GTID_NEXT_IS_SET = 1778, Both, "The session has a `gtid_next` of its own.";
    ER_GTID_UNSAFE_NON_TRANSACTIONAL_TABLE = 1785, Both, "With GTIDs no table without transactions may be changed here.";
    ER_INTERNAL_ERROR = 1815, Both, "The server met a bug of its own.";
    ER_GTID_NEXT_TYPE_UNDEFINED_GTID = 1837, Both, "The session has a `gtid_next` that is used up.";
    ER_BINLOG_STMT_MODE_AND_NO_REPL_TABLES = 1844, Both, "The binary log can't take tables that are not replicated beside those that are.";
    ER_CAPACITY_EXCEEDED = 3170, MySql, "A limit of memory for one session.";
    ER_UNSUPPORTED_SQL_MODE = 3899, MySql, "An `sql_mode` that this server does not have.";
    ER_WRONG_VALUE_FOR_VAR_PLUS_ACTIONABLE_PART = 3976, MySql, "A value that a system variable does not take, from an option of the DSN.";
    ER_INVALID_PARAMETER_USE = 3994, MySql, "A placeholder where none may be: a bug of ours.";
    ER_REQUIRE_ROW_BINLOG_FORMAT = 4056, MariaDb, "The server takes changes with `binlog_format` ROW only.";
    ER_ISOLATION_MODE_NOT_SUPPORTED = 4057, MariaDb, "MyRocks does not know the session's isolation level.";
}
