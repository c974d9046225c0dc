//! The error codes of MySQL and MariaDB: one table, with what each one asks for, and why.
//!
//! The table is an allow-list. A code that is not in it is [`Class::Unlisted`]: it never gives up a
//! row, and as the answer to COMMIT it never proves that nothing was committed. So a code may be
//! missing without harm.
//!
//! | module | class |
//! |---|---|
//! | [`retry`] | [`Class::Retry`] |
//! | [`reconnect`] | [`Class::Reconnect`] |
//! | [`data`] | [`Class::Data`] |
//! | [`definition`] | [`Class::Blocked`], by a table or what belongs to it |
//! | [`settings`] | [`Class::Blocked`], by the account, the session or the server |
//!
//! Sources: the servers' own lists (MariaDB 10.11 and 11.8, MySQL 9.7),
//! <https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
//! <https://docs.pingcap.com/tidb/stable/error-codes> (8000 and above), and Vitess, which answers
//! with MySQL's own codes.
//!
//! Some numbers mean one thing to MySQL and another to MariaDB, most of them from 4000 to 4999.
//! Each stands here once: for the server on which a command of ours can be answered by it, as its
//! origin says. No number can be both servers' answer.

pub mod code;
pub mod data;
pub mod definition;
pub mod reconnect;
pub mod retry;
pub mod settings;

pub use code::{Class, Origin, ServerCode};

// Those that the engine names.
pub use data::ER_DUP_ENTRY;
pub use definition::{ER_BAD_FIELD_ERROR, ER_CANT_AGGREGATE_2COLLATIONS, ER_NO_SUCH_TABLE};
pub use reconnect::{
    CR_CONN_HOST_ERROR, CR_SERVER_GONE_ERROR, CR_SERVER_LOST, CR_UNKNOWN_HOST, ER_CON_COUNT_ERROR,
    ER_OPTION_PREVENTS_STATEMENT, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED,
};
pub use retry::{ER_CHECKREAD, ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT};
pub use settings::{
    CR_AUTH_PLUGIN_CANNOT_LOAD, CR_SSL_CONNECTION_ERROR, ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
    ER_BAD_DB_ERROR, ER_COLLATION_CHARSET_MISMATCH, ER_DBACCESS_DENIED_ERROR, ER_HOST_IS_BLOCKED,
    ER_HOST_NOT_PRIVILEGED, ER_MAX_PREPARED_STMT_COUNT_REACHED, ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN,
    ER_NO_SUCH_THREAD, ER_PLUGIN_IS_NOT_LOADED, ER_SECURE_TRANSPORT_REQUIRED, ER_UNKNOWN_CHARACTER_SET,
    ER_UNKNOWN_COLLATION, ER_UNKNOWN_TIME_ZONE, ER_UNSUPPORTED_PS, ER_WRONG_VALUE_FOR_VAR,
};

/// The whole table: no code stands in two of them.
pub const TABLES: [&[ServerCode]; 9] = [
    retry::RETRY,
    reconnect::SERVER,
    reconnect::CLIENT,
    reconnect::CONNECTION,
    data::DATA,
    definition::TABLE,
    definition::PROGRAM,
    settings::ACCOUNT,
    settings::SETTING,
];

/// The SQLSTATE with which a trigger refuses a row, "unhandled user-defined exception": no server
/// has an error of its own with it. <https://dev.mysql.com/doc/refman/8.4/en/signal.html>.
pub const SIGNALLED: &str = "45000";

fn find(table: &'static [ServerCode], code: u16) -> Option<&'static ServerCode> {
    let at = table.binary_search_by_key(&code, |known| known.code).ok()?;
    table.get(at)
}

/// What is known of a code.
pub fn known(code: u16) -> Option<&'static ServerCode> {
    TABLES.into_iter().find_map(|table| find(table, code))
}

/// What the error `code` asks for.
pub fn classify(code: u16) -> Class {
    known(code).map_or(Class::Unlisted, |known| known.class)
}

/// What an error asks for that has an SQLSTATE beside its code: a trigger may signal with any code.
/// One that says that the transaction lost a race, or that the server takes no writes, means
/// something of its own: nobody else's rows wait for it, and none is given up.
pub fn classify_with_state(code: u16, state: &str) -> Class {
    match classify(code) {
        class if state != SIGNALLED => class,
        Class::Unlisted => Class::Data,
        Class::Retry | Class::Reconnect => Class::Unlisted,
        Class::Blocked if !is_of_table(code) => Class::Unlisted,
        class => class,
    }
}

/// Whether an error of [`Class::Reconnect`] is the connection's own, and says nothing against the
/// server.
pub fn is_of_connection(code: u16) -> bool {
    find(reconnect::CONNECTION, code).is_some()
}

/// Whether the account's rights or a table are in the way, which somebody has to put right.
pub fn is_of_account_or_table(code: u16) -> bool {
    [settings::ACCOUNT, definition::TABLE]
        .into_iter()
        .any(|table| find(table, code).is_some())
}

/// Whether the error is listed as one that no row's values can be in: neither a row's fault nor
/// that of a trigger or a view, which may say anything.
pub fn is_about_no_row(code: u16) -> bool {
    known(code).is_some_and(|known| known.class != Class::Data) && find(definition::PROGRAM, code).is_none()
}

/// Errors of an account or of the settings that name a table, and lie in what it is.
const AT_A_TABLE: [u16; 20] = [
    ER_DBACCESS_DENIED_ERROR,
    settings::ER_PARSE_ERROR,
    settings::ER_TABLEACCESS_DENIED_ERROR,
    settings::ER_COLUMNACCESS_DENIED_ERROR,
    settings::ER_SYNTAX_ERROR,
    settings::ER_UPDATE_WITHOUT_KEY_IN_SAFE_MODE,
    settings::ER_SPECIFIC_ACCESS_DENIED_ERROR,
    settings::ER_VIEW_NO_EXPLAIN,
    settings::ER_BINLOG_ROW_MODE_AND_STMT_ENGINE,
    settings::ER_BINLOG_UNSAFE_AND_STMT_ENGINE,
    settings::ER_BINLOG_ROW_INJECTION_AND_STMT_ENGINE,
    settings::ER_BINLOG_STMT_MODE_AND_ROW_ENGINE,
    settings::ER_GTID_UNSAFE_NON_TRANSACTIONAL_TABLE,
    settings::ER_NO_SYSTEM_SCHEMA_ACCESS,
    settings::ER_NO_SYSTEM_TABLESPACE_ACCESS,
    settings::ER_NO_SYSTEM_TABLE_ACCESS,
    settings::ER_NO_SYSTEM_VIEW_ACCESS,
    settings::ER_DB_ACCESS_DENIED,
    settings::ER_ISOLATION_MODE_NOT_SUPPORTED,
    settings::ER_SPECIFIC_ACCESS_DENIED,
];

/// Whether the reason lies in the table that a statement names, in what belongs to it, or in the
/// account's rights on it: rows of other tables may be taken.
pub fn is_of_table(code: u16) -> bool {
    AT_A_TABLE.contains(&code)
        || [definition::TABLE, definition::PROGRAM]
            .into_iter()
            .any(|table| find(table, code).is_some())
}

/// Whether the reason may lie in the columns that a statement names: rows of the table that have
/// other columns may be taken.
pub fn is_of_columns(code: u16) -> bool {
    matches!(
        code,
        definition::ER_NON_UNIQ_ERROR
            | definition::ER_BAD_FIELD_ERROR
            | definition::ER_FIELD_SPECIFIED_TWICE
            | definition::ER_NONUPDATEABLE_COLUMN
            | definition::ER_VIEW_MULTIUPDATE
            | definition::ER_VIEW_NO_INSERT_FIELD_LIST
            | settings::ER_COLUMNACCESS_DENIED_ERROR
    )
}

/// Whether a row that was refused so may be taken once rows of other tables are there, or are
/// deleted: it refers to another row, or another one to it, or a trigger refused it.
pub fn may_lack_another_row(code: u16) -> bool {
    matches!(
        code,
        data::ER_NO_REFERENCED_ROW
            | data::ER_NO_REFERENCED_ROW_2
            | data::ER_ROW_IS_REFERENCED
            | data::ER_ROW_IS_REFERENCED_2
            | data::ER_SIGNAL_EXCEPTION
    ) || classify(code) == Class::Unlisted
}

/// Whether the error says that there is no such table, or that the account may not see it.
pub fn hides_table(code: u16) -> bool {
    matches!(
        code,
        ER_NO_SUCH_TABLE
            | ER_BAD_DB_ERROR
            | ER_DBACCESS_DENIED_ERROR
            | settings::ER_TABLEACCESS_DENIED_ERROR
            | settings::ER_COLUMNACCESS_DENIED_ERROR
            | settings::ER_SPECIFIC_ACCESS_DENIED_ERROR
            | settings::ER_SPECIFIC_ACCESS_DENIED
    )
}

/// Whether a COMMIT that was answered so is certainly not carried out.
pub fn fails_commit(code: u16) -> bool {
    known(code).is_some_and(|known| !known.fails_commit.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn all() -> impl Iterator<Item = &'static ServerCode> {
        TABLES.into_iter().flatten()
    }

    #[test]
    fn each_code_stands_once_and_in_order() {
        let mut names: HashMap<u16, &str> = HashMap::new();
        for table in TABLES {
            assert!(
                table.is_sorted_by(|left, right| left.code < right.code),
                "by number: {:?}",
                table.first()
            );
            for known in table {
                if let Some(other) = names.insert(known.code, known.name) {
                    panic!("{} is {other} and {}", known.code, known.name);
                }
            }
        }
    }

    #[test]
    fn each_code_says_why() {
        for known in all() {
            let is_sentence = |text: &str| text.len() > 10 && text.ends_with('.');
            assert!(is_sentence(known.why), "{known:?}");
            assert!(
                known.fails_commit.is_empty() || is_sentence(known.fails_commit),
                "{known:?}"
            );
            assert!(known.link.is_empty() || known.link.starts_with("https://"), "{known:?}");
        }
    }

    #[test]
    fn a_commit_fails_for_certain_by_a_lost_race_only() {
        let failing: Vec<u16> = all()
            .filter(|known| fails_commit(known.code))
            .map(|known| known.code)
            .collect();
        assert_eq!(failing, [1213, 3101, 8002, 8005, 8022, 8028, 9007]);
        for code in failing {
            assert_eq!(classify(code), Class::Retry, "{code}");
        }
    }

    #[test]
    fn each_class_has_its_codes() {
        for (class, codes) in [
            (
                Class::Retry,
                &[1020, 1205, 1213, 1317, 1637, 1969, 3101, 8002, 8022, 8028, 9007][..],
            ),
            (
                Class::Reconnect,
                &[
                    1021, 1040, 1047, 1053, 1114, 1180, 1203, 1290, 1836, 1927, 2006, 2013, 3169, 8501, 9005,
                ],
            ),
            (
                Class::Data,
                &[
                    1048, 1062, 1153, 1169, 1197, 1216, 1217, 1264, 1265, 1292, 1301, 1364, 1365, 1366, 1369, 1406,
                    1411, 1416, 1441, 1451, 1452, 1526, 1557, 1586, 1644, 1690, 1748, 1761, 1762, 3140, 3819, 3903,
                    4025, 4037,
                ],
            ),
            (
                Class::Blocked,
                &[
                    1036, 1044, 1045, 1049, 1054, 1142, 1143, 1146, 1194, 1305, 1370, 1418, 1449, 1461, 1665, 1814,
                    1932,
                ],
            ),
            (Class::Unlisted, &[1, 999, 1000, 1577, 4999, 5000, 30_000, 65_535]),
        ] {
            for code in codes {
                assert_eq!(classify(*code), class, "{code}");
            }
        }
    }

    #[test]
    fn a_signal_refuses_a_row_whatever_its_code() {
        assert_eq!(classify_with_state(30_001, "45000"), Class::Data);
        assert_eq!(classify_with_state(1644, "45000"), Class::Data);
        assert_eq!(classify_with_state(1644, "22003"), Class::Data);
        assert_eq!(classify_with_state(30_001, "23000"), Class::Unlisted);
        // A code that is listed speaks for itself.
        assert_eq!(classify_with_state(1146, "45000"), Class::Blocked);
        assert_eq!(classify_with_state(1213, "40001"), Class::Retry);
        // But a trigger knows nothing of races, of the connection or of the account.
        for code in [1205, 1213, 1290, 2013, 1045] {
            assert_eq!(classify_with_state(code, "45000"), Class::Unlisted, "{code}");
        }
    }
}
