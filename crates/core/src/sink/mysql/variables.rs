//! The session's settings: one SET, and what the server says it has afterwards. Plain functions
//! over plain data.
//!
//! Why is the session read back? Not every SET arrives: a proxy may answer it itself, or pass the
//! next statement to another connection. Rows written with another character set, time zone or
//! `sql_mode` than was asked for would be wrong without an error. So connecting takes three round
//! trips after the handshake: the version (which decides a variable's name), one SET, and one
//! SELECT that compares and reads what else the engine needs. It also takes the session's
//! [lock](super::own_sessions).
//!
//! Why READ COMMITTED? Upserts by key need no snapshot, and without gap locks two writers block
//! each other less. A server that logs by statement refuses it, and needs
//! `isolation_level=repeatable%20read` in the DSN.

use std::fmt::Write as _;
use std::time::Duration;

use crate::dsn::ServerDsn;
use crate::sink::mysql::own_sessions::Session;
use crate::sink::mysql::sql::text_literal;
use crate::sink::mysql::traits::ServerTraits;
use crate::table::name_charset::NameCharset;

/// Modes that stand for several: the server reports these beside them.
const COMBINED_MODES: [&str; 9] = [
    "ANSI",
    "TRADITIONAL",
    "DB2",
    "MAXDB",
    "MSSQL",
    "MYSQL323",
    "MYSQL40",
    "ORACLE",
    "POSTGRESQL",
];

/// What the session has after its settings were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// `max_allowed_packet`, in bytes.
    pub max_packet_bytes: usize,
    /// `character_set_client`, `character_set_connection`, `character_set_results`.
    pub charsets: [String; 3],
    /// `collation_connection`.
    pub collation: String,
    /// `time_zone`.
    pub timezone: String,
    /// `sql_mode`.
    pub sql_mode: String,
    /// `transaction_isolation`, `tx_isolation` on MariaDB.
    pub isolation_level: String,
    /// `autocommit`.
    pub autocommit: String,
    /// Whether the server takes writes, if it was asked.
    pub is_writable: bool,
    /// `lower_case_table_names`.
    pub lower_case_table_names: String,
    /// `system_time_zone`: what `SYSTEM` stands for.
    pub system_timezone: String,
    /// How long the server's own sessions wait for locks of rows, in seconds. 0: it does not say.
    pub own_lock_wait_s: u64,
    /// The session's number. 0: the server does not say it.
    pub session_number: u64,
    /// Whether the session has taken its lock.
    pub is_locked: bool,
}

/// A variable that is not as it was set.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The variable's name.
    pub variable: &'static str,
    /// What was set.
    pub wanted: String,
    /// What the server has.
    pub found: String,
}

/// The name that each server has had for longest and not dropped.
fn isolation_variable(is_mariadb: bool) -> &'static str {
    if is_mariadb {
        "tx_isolation"
    } else {
        "transaction_isolation"
    }
}

/// Quotes a setting's value. What is no plain word is sent in hexadecimal: nobody knows yet how the
/// session reads quotes and backslashes.
fn quote(value: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-+:/., ".contains(letter);
    if value.chars().all(is_plain) {
        format!("'{value}'")
    } else {
        text_literal(value)
    }
}

/// The statement that makes all settings.
pub fn settings(dsn: &ServerDsn, is_mariadb: bool) -> String {
    let mut sql = format!("SET NAMES {}", quote(&dsn.charset));
    if let Some(collation) = &dsn.collation {
        let _ = write!(sql, " COLLATE {}", quote(collation));
    }
    sql.push_str(", SESSION autocommit = 1");
    let isolation = isolation_variable(is_mariadb);
    let _ = write!(sql, ", SESSION {isolation} = {}", quote(&dsn.isolation_level));
    if let Some(zone) = &dsn.timezone {
        let _ = write!(sql, ", SESSION time_zone = {}", quote(zone));
    }
    if let Some(mode) = &dsn.sql_mode {
        let _ = write!(sql, ", SESSION sql_mode = {}", quote(mode));
    }
    sql
}

/// How long statements wait for locks of rows and of tables, at the end of [`settings`].
pub fn lock_wait(seconds: u64) -> String {
    format!(", SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {seconds}")
}

/// What a server is asked for about its session, beside the variables.
#[derive(Debug, Clone, Copy)]
pub enum Identity<'n> {
    /// Its number, and the lock of this name.
    NumberAndLock(&'n str),
    /// Its number: some clusters and proxies have no such locks.
    Number,
    /// Nothing.
    Nothing,
}

impl Identity<'_> {
    fn columns(self) -> String {
        match self {
            Self::NumberAndLock(name) => format!("CONNECTION_ID(), GET_LOCK('{name}', 0)"),
            Self::Number => "CONNECTION_ID(), NULL".to_owned(),
            Self::Nothing => "NULL, NULL".to_owned(),
        }
    }
}

/// The statement that reads [`Variables`]. Asks whether the server takes writes only if the DSN
/// names several: a single one is used whatever it says. MySQL's `super_read_only` sets `read_only`
/// too.
pub fn read_back(is_mariadb: bool, ask_read_only: bool, identity: Identity<'_>) -> String {
    format!(
        "SELECT @@max_allowed_packet, @@SESSION.character_set_client, @@SESSION.character_set_connection, \
         @@SESSION.character_set_results, @@SESSION.collation_connection, @@SESSION.time_zone, @@SESSION.sql_mode, \
         @@SESSION.{}, @@SESSION.autocommit, {}, @@lower_case_table_names, @@system_time_zone, \
         @@GLOBAL.innodb_lock_wait_timeout, {}",
        isolation_variable(is_mariadb),
        if ask_read_only { "@@GLOBAL.read_only" } else { "0" },
        identity.columns(),
    )
}

/// Whether a server takes writes, by its `read_only`: a number, or on newer MariaDB one of OFF, ON,
/// `NO_LOCK`, `NO_LOCK_NO_ADMIN`.
pub fn takes_writes(read_only: &str) -> bool {
    matches!(read_only, "0" | "OFF")
}

impl Variables {
    /// Reads the columns of [`read_back`]. `None` if their number is another.
    pub fn of_columns(columns: Vec<String>) -> Option<Self> {
        let [
            packet,
            client,
            connection,
            results,
            collation,
            timezone,
            sql_mode,
            isolation_level,
            autocommit,
            read_only,
            lower_case_table_names,
            system_timezone,
            own_lock_wait_s,
            session_number,
            is_locked,
        ]: [String; 15] = columns.try_into().ok()?;
        Some(Self {
            max_packet_bytes: packet.parse().ok()?,
            charsets: [client, connection, results],
            collation,
            timezone,
            sql_mode,
            isolation_level,
            autocommit,
            is_writable: takes_writes(&read_only),
            lower_case_table_names,
            system_timezone,
            own_lock_wait_s: own_lock_wait_s.parse().unwrap_or_default(),
            session_number: session_number.parse().unwrap_or_default(),
            is_locked: is_locked == "1",
        })
    }

    /// The session, which was to take the lock of this name.
    pub fn session(&self, lock: Option<String>) -> Session {
        Session {
            number: self.session_number,
            lock: lock.filter(|_| self.is_locked),
        }
    }

    /// The server's own time-out for locks.
    pub fn own_lock_wait(&self) -> Duration {
        Duration::from_secs(self.own_lock_wait_s)
    }

    /// What the schema of a table depends on.
    pub fn traits(&self, is_mariadb: bool) -> ServerTraits {
        let [client, ..] = &self.charsets;
        let zone = if self.timezone.eq_ignore_ascii_case("SYSTEM") {
            &self.system_timezone
        } else {
            &self.timezone
        };
        ServerTraits {
            is_mariadb,
            is_strict: self.is_strict(),
            makes_number_for_zero: !self.sql_mode.contains("NO_AUTO_VALUE_ON_ZERO"),
            allows_invalid_dates: self.sql_mode.contains("ALLOW_INVALID_DATES"),
            is_unicode_session: client.eq_ignore_ascii_case("utf8mb4"),
            names: NameCharset::of_client(client),
            has_fixed_zone: is_fixed_zone(zone),
            folds_table_names: self.lower_case_table_names != "0",
        }
    }

    /// The character set in which the server reads statements.
    pub fn client_charset(&self) -> &str {
        let [client, ..] = &self.charsets;
        client
    }

    /// Whether the server refuses values that do not fit, rather than cut them.
    pub fn is_strict(&self) -> bool {
        self.sql_mode.contains("STRICT_TRANS_TABLES") || self.sql_mode.contains("STRICT_ALL_TABLES")
    }

    /// The first variable that is not as the DSN sets it.
    pub fn difference(&self, dsn: &ServerDsn) -> Option<Difference> {
        let [client, connection, results] = &self.charsets;
        let same_charset = |found: &str| same_charset(&dsn.charset, found);
        let wanted_collation = dsn.collation.as_deref().unwrap_or(&dsn.charset);
        let timezone = dsn.timezone.as_deref().unwrap_or_default();
        let sql_mode = dsn.sql_mode.as_deref().unwrap_or_default();
        [
            (
                "character_set_client",
                dsn.charset.as_str(),
                client,
                same_charset(client),
            ),
            (
                "character_set_connection",
                dsn.charset.as_str(),
                connection,
                same_charset(connection),
            ),
            (
                "character_set_results",
                dsn.charset.as_str(),
                results,
                same_charset(results),
            ),
            (
                "collation_connection",
                wanted_collation,
                &self.collation,
                dsn.collation.is_none() || same_collation(wanted_collation, &self.collation),
            ),
            (
                "time_zone",
                timezone,
                &self.timezone,
                dsn.timezone.is_none() || same_timezone(timezone, &self.timezone),
            ),
            (
                "sql_mode",
                sql_mode,
                &self.sql_mode,
                dsn.sql_mode.is_none() || same_modes(sql_mode, &self.sql_mode),
            ),
            (
                "transaction_isolation",
                dsn.isolation_level.as_str(),
                &self.isolation_level,
                self.isolation_level == dsn.isolation_level,
            ),
            ("autocommit", "1", &self.autocommit, self.autocommit == "1"),
        ]
        .into_iter()
        .find(|(_, _, _, is_same)| !is_same)
        .map(|(variable, wanted, found, _)| Difference {
            variable,
            wanted: wanted.to_owned(),
            found: found.clone(),
        })
    }
}

/// `utf8` is `utf8mb3` by another name, unless MariaDB's `old_mode` makes it `utf8mb4`.
fn same_charset(wanted: &str, found: &str) -> bool {
    let (wanted, found) = (wanted.to_ascii_lowercase(), found.to_ascii_lowercase());
    match wanted.as_str() {
        "utf8" => matches!(found.as_str(), "utf8" | "utf8mb3" | "utf8mb4"),
        "utf8mb3" => matches!(found.as_str(), "utf8" | "utf8mb3"),
        _ => wanted == found,
    }
}

/// MariaDB takes `uca1400_ai_ci` for `utf8mb4_uca1400_ai_ci`.
fn same_collation(wanted: &str, found: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace("utf8mb3_", "utf8_");
    let (wanted, found) = (plain(wanted), plain(found));
    wanted == found || found.ends_with(&format!("_{wanted}"))
}

/// Offsets are written in more than one way: `+2:00`, `+02:00`.
fn same_timezone(wanted: &str, found: &str) -> bool {
    match (offset_minutes(wanted), offset_minutes(found)) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => wanted.eq_ignore_ascii_case(found),
    }
}

/// Whether a time zone has no summer time, for certain.
fn is_fixed_zone(zone: &str) -> bool {
    let names = ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Universal", "Zulu"];
    offset_minutes(zone).is_some() || names.iter().any(|name| name.eq_ignore_ascii_case(zone))
}

fn offset_minutes(zone: &str) -> Option<i32> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    Some(sign * (hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?))
}

fn same_modes(wanted: &str, found: &str) -> bool {
    if wanted.parse::<u64>().is_ok() {
        // A number's bits differ between servers.
        return true;
    }
    let modes = |text: &str| -> Vec<String> {
        text.split(',')
            .map(|mode| mode.trim().to_ascii_uppercase())
            .filter(|mode| !mode.is_empty())
            .collect()
    };
    let (wanted, found) = (modes(wanted), modes(found));
    let is_combined = wanted.iter().any(|mode| COMBINED_MODES.contains(&mode.as_str()));
    wanted.iter().all(|mode| found.contains(mode)) && (is_combined || found.iter().all(|mode| wanted.contains(mode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsn::Dsn;

    fn dsn(options: &str) -> ServerDsn {
        match Dsn::parse(&format!("mysql://u@h/d?{options}")) {
            Ok(Dsn::Server(server)) => *server,
            other => panic!("{options}: {other:?}"),
        }
    }

    fn columns() -> [&'static str; 15] {
        [
            "16777216",
            "utf8mb4",
            "utf8mb4",
            "utf8mb4",
            "utf8mb4_general_ci",
            "SYSTEM",
            "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
            "READ-COMMITTED",
            "1",
            "0",
            "0",
            "UTC",
            "50",
            "7",
            "1",
        ]
    }

    fn variables(changes: &[(usize, &'static str)]) -> Variables {
        let mut columns = columns();
        for (index, value) in changes {
            columns[*index] = value;
        }
        Variables::of_columns(columns.map(str::to_owned).to_vec()).expect("as many columns")
    }

    #[test]
    fn one_statement_makes_all_settings() {
        assert_eq!(
            settings(&dsn(""), true),
            "SET NAMES 'utf8mb4', SESSION autocommit = 1, SESSION tx_isolation = 'READ-COMMITTED'"
        );
        let options =
            "charset=latin1&collation=latin1_bin&timezone=%2B02:00&sql_mode=ANSI&isolation_level=serializable";
        assert_eq!(
            settings(&dsn(options), false),
            "SET NAMES 'latin1' COLLATE 'latin1_bin', SESSION autocommit = 1, SESSION transaction_isolation = 'SERIALIZABLE', \
             SESSION time_zone = '+02:00', SESSION sql_mode = 'ANSI'"
        );
    }

    #[test]
    fn the_same_by_another_name_is_no_difference() {
        for (options, changes) in [
            ("", vec![]),
            (
                "charset=utf8",
                vec![
                    (1, "utf8mb3"),
                    (2, "utf8mb3"),
                    (3, "utf8mb3"),
                    (4, "utf8mb3_general_ci"),
                ],
            ),
            ("charset=UTF8MB4&collation=utf8mb4_bin", vec![(4, "utf8mb4_bin")]),
            ("charset=utf8&collation=utf8_bin", vec![(4, "utf8mb3_bin")]),
            ("collation=uca1400_ai_ci", vec![(4, "utf8mb4_uca1400_ai_ci")]),
            (
                "charset=binary",
                vec![(1, "binary"), (2, "binary"), (3, "binary"), (4, "binary")],
            ),
            ("timezone=%2B2:00", vec![(5, "+02:00")]),
            ("timezone=-00:00", vec![(5, "+00:00")]),
            ("timezone=system", vec![]),
            ("timezone=europe/berlin", vec![(5, "Europe/Berlin")]),
            ("sql_mode=", vec![(6, "")]),
            ("sql_mode=no_engine_substitution, STRICT_TRANS_TABLES", vec![]),
            (
                "sql_mode=ANSI",
                vec![(6, "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ANSI")],
            ),
            ("sql_mode=4", vec![]),
        ] {
            assert_eq!(variables(&changes).difference(&dsn(options)), None, "{options}");
        }
    }

    #[test]
    fn finds_what_was_not_heeded() {
        for (options, changes, variable, wanted, found) in [
            ("", vec![(1, "latin1")], "character_set_client", "utf8mb4", "latin1"),
            ("", vec![(1, "utf8mb3")], "character_set_client", "utf8mb4", "utf8mb3"),
            ("", vec![(2, "latin1")], "character_set_connection", "utf8mb4", "latin1"),
            ("", vec![(3, "NULL")], "character_set_results", "utf8mb4", "NULL"),
            (
                "collation=utf8mb4_bin",
                vec![],
                "collation_connection",
                "utf8mb4_bin",
                "utf8mb4_general_ci",
            ),
            ("timezone=%2B02:00", vec![], "time_zone", "+02:00", "SYSTEM"),
            (
                "timezone=%2B02:00",
                vec![(5, "-02:00")],
                "time_zone",
                "+02:00",
                "-02:00",
            ),
            (
                "sql_mode=ANSI_QUOTES",
                vec![],
                "sql_mode",
                "ANSI_QUOTES",
                "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
            ),
            (
                "sql_mode=STRICT_TRANS_TABLES",
                vec![],
                "sql_mode",
                "STRICT_TRANS_TABLES",
                "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
            ),
            (
                "",
                vec![(7, "REPEATABLE-READ")],
                "transaction_isolation",
                "READ-COMMITTED",
                "REPEATABLE-READ",
            ),
            ("", vec![(8, "0")], "autocommit", "1", "0"),
        ] {
            let expected = Difference {
                variable,
                wanted: wanted.to_owned(),
                found: found.to_owned(),
            };
            assert_eq!(
                variables(&changes).difference(&dsn(options)),
                Some(expected),
                "{options}"
            );
        }
    }

    #[test]
    fn knows_a_server_that_takes_no_writes() {
        for (read_only, is_writable) in [
            ("0", true),
            ("OFF", true),
            ("1", false),
            ("ON", false),
            ("NO_LOCK", false),
        ] {
            assert_eq!(variables(&[(9, read_only)]).is_writable, is_writable, "{read_only}");
        }
        assert_eq!(Variables::of_columns(vec!["1".to_owned()]), None);
        assert!(read_back(true, true, Identity::Nothing).ends_with("@@SESSION.tx_isolation, @@SESSION.autocommit, @@GLOBAL.read_only, @@lower_case_table_names, @@system_time_zone, @@GLOBAL.innodb_lock_wait_timeout, NULL, NULL"));
        assert!(read_back(false, false, Identity::Number).ends_with(
            "@@SESSION.transaction_isolation, @@SESSION.autocommit, 0, @@lower_case_table_names, @@system_time_zone, \
             @@GLOBAL.innodb_lock_wait_timeout, CONNECTION_ID(), NULL"
        ));
        assert!(
            read_back(false, false, Identity::NumberAndLock("wb_1"))
                .ends_with(", CONNECTION_ID(), GET_LOCK('wb_1', 0)")
        );
    }

    #[test]
    fn knows_the_server_s_own_time_out_for_locks() {
        for (own, expected) in [("50", 50), ("1", 1), ("NULL", 0)] {
            let found = variables(&[(12, own)]).own_lock_wait();
            assert_eq!(found, Duration::from_secs(expected), "{own}");
        }
    }

    #[test]
    fn knows_a_session_by_a_lock_that_it_has() {
        for (number, locked, expected) in [
            ("7", "1", (7, Some("wb_1"))),
            ("7", "0", (7, None)),
            ("7", "NULL", (7, None)),
            ("NULL", "NULL", (0, None)),
        ] {
            let session = variables(&[(13, number), (14, locked)]).session(Some("wb_1".to_owned()));
            assert_eq!(
                (session.number, session.lock.as_deref()),
                expected,
                "{number}, {locked}"
            );
        }
        assert_eq!(variables(&[]).session(None).lock, None);
    }
}
