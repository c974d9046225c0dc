//! SQL text: upserts, inserts and updates in the server's own dialect, with placeholders for all
//! values.
//!
//! The guard column is assigned last. ON DUPLICATE KEY UPDATE and UPDATE assign from left to right,
//! and a later expression reads what is assigned already:
//! <https://dev.mysql.com/doc/refman/8.4/en/update.html>.
//!
//! `LEAST` and `GREATEST` return NULL if one side is NULL, so `min` and `max` replace a NULL by the
//! other side first. `sum` adds to `IFNULL(column, 0)`.
//!
//! An upsert of one row with a guard notes whether the row was there: see
//! [`unchanged`](crate::sink::mysql::unchanged).

use std::fmt::Write as _;

use crate::plan::Operation;
use crate::sink::mysql::deletions::delete;
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::table::guarded::Beside;
use crate::table::name::TableName;
use crate::table::rules::MergeRule;

/// What the answer to an upsert of one row has as its `LAST_INSERT_ID()`, if the row was there:
/// this number, or the next one if the guard has turned it away. No table numbers its rows as far.
pub const TOUCHED_ROW: u64 = u64::from_be_bytes(*b"wb_touch");

/// How a server names the row that an upsert could not insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `INSERT … VALUES … AS wb_new`, since 8.0.20:
    /// <https://dev.mysql.com/doc/refman/8.4/en/insert-on-duplicate.html>.
    RowAlias,
    /// `VALUES(column)`: MariaDB, older MySQL, TiDB. <https://mariadb.com/kb/en/values-value/>
    ValuesFunction,
}

impl Dialect {
    /// The dialect of a server by its `VERSION()`.
    pub fn of_version(version: &str) -> Self {
        let lower = version.to_ascii_lowercase();
        let is_mysql = !lower.contains("mariadb") && !lower.contains("tidb");
        if is_mysql && version_numbers(version) >= [8, 0, 20] {
            Self::RowAlias
        } else {
            Self::ValuesFunction
        }
    }

    /// Whether the server of that `VERSION()` takes `LAST_INSERT_ID(number)` in an upsert. Vitess
    /// does not: <https://github.com/vitessio/vitess/issues/6087>.
    pub fn takes_last_insert_id(version: &str) -> bool {
        !version.to_ascii_lowercase().contains("vitess")
    }

    /// Whether the server of that `VERSION()` takes rows of values in a derived table: MySQL since
    /// 8.0.19, MariaDB since 10.3.3.
    pub fn knows_row_lists(version: &str) -> bool {
        let numbers = version_numbers(version.strip_prefix("5.5.5-").unwrap_or(version));
        match Self::of_version(version) {
            Self::RowAlias => true,
            Self::ValuesFunction => version.to_ascii_lowercase().contains("mariadb") && numbers >= [10, 3, 3],
        }
    }
}

fn version_numbers(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (slot, part) in numbers.iter_mut().zip(version.split(['.', '-', '+'])) {
        *slot = part.parse().unwrap_or(0);
    }
    numbers
}

/// Quotes an identifier that the session's character set
/// [takes](crate::table::name_charset::NameCharset).
/// <https://dev.mysql.com/doc/refman/8.4/en/identifiers.html>.
pub fn quote(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

/// A text in a statement, in hexadecimal: no character set, `sql_mode` or quote in it makes it
/// anything else. <https://dev.mysql.com/doc/refman/8.4/en/charset-introducer.html>
pub fn text_literal(text: &str) -> String {
    let mut sql = String::with_capacity(text.len() * 2 + 12);
    sql.push_str("_utf8mb4 X'");
    for byte in text.bytes() {
        let _ = write!(sql, "{byte:02X}");
    }
    sql.push('\'');
    sql
}

/// Quotes a table's name.
pub fn quote_table(name: &TableName) -> String {
    match name.database() {
        Some(database) => format!("{}.{}", quote(database), quote(name.table())),
        None => quote(name.table()),
    }
}

/// The statement for `rows` rows of these columns. Its placeholders are the rows' values in the
/// columns' order, one row after the other. [`update_order`] orders those of an update, which has
/// one row. `notes_touched`: one row with a guard notes whether it was there.
pub fn statement(
    bound: &BoundColumns,
    operation: Operation,
    rows: usize,
    dialect: Dialect,
    notes_touched: bool,
) -> String {
    let table = quote_table(&bound.model.name);
    match operation {
        Operation::Update | Operation::SharedUpdate => return update(bound, &table),
        Operation::Delete => {
            let name = |at: usize| quote(bound.columns.get(at).map_or("", |name| name));
            let column = |at: usize| format!("{table}.{}", name(at));
            return delete(bound, rows, &table, column, |at| incoming_placeholder(bound, at));
        }
        Operation::Upsert | Operation::Insert => {}
    }
    let names: Vec<_> = bound.columns.iter().map(|name| quote(name)).collect();
    let row = format!("({})", vec!["?"; names.len()].join(","));
    let mut sql = String::with_capacity(64 + 24 * names.len() * 3 + (row.len() + 1) * rows);
    let _ = write!(sql, "INSERT INTO {table} ({}) VALUES ", names.join(","));
    for at in 0..rows {
        if at > 0 {
            sql.push(',');
        }
        sql.push_str(&row);
    }
    if operation == Operation::Upsert {
        if dialect == Dialect::RowAlias {
            sql.push_str(" AS wb_new");
        }
        sql.push_str(" ON DUPLICATE KEY UPDATE ");
        let incoming = |at: usize| {
            let name = names.get(at).map_or("", String::as_str);
            match dialect {
                Dialect::RowAlias => format!("wb_new.{name}"),
                Dialect::ValuesFunction => format!("VALUES({name})"),
            }
        };
        let noted = (rows == 1 && notes_touched).then_some(TOUCHED_ROW);
        let assignments = noting_assignments(bound, &table, noted, incoming);
        if assignments.is_empty() {
            // Nothing to change. This says that the row is there, without an error and without
            // hiding another one.
            let same = unchanged_column(bound)
                .and_then(|at| names.get(at))
                .map_or("", String::as_str);
            let _ = write!(sql, "{table}.{same}={table}.{same}");
        } else {
            sql.push_str(&assignments.join(","));
        }
    }
    sql
}

/// A column of the row to assign to itself: the key's first, else one that is never NULL. MariaDB
/// takes NULL in the place of NULL for a change if the column has a default.
fn unchanged_column(bound: &BoundColumns) -> Option<usize> {
    let is_never_null = |at: &usize| {
        let name = bound.columns.get(*at);
        let column = name.and_then(|name| bound.model.column(name));
        column.is_some_and(|column| !column.is_nullable)
    };
    let given = || 0..bound.columns.len();
    let key = bound.key.first().copied();
    key.or_else(|| given().find(is_never_null)).or_else(|| given().next())
}

/// The columns that a row assigns outside its key, the guard last.
fn assigned_columns(bound: &BoundColumns) -> Vec<usize> {
    let assigned = |at: &usize| {
        !bound.key.contains(at) && bound.guard != Some(*at) && bound.rules.get(*at) != Some(&MergeRule::Keep)
    };
    (0..bound.columns.len()).filter(assigned).chain(bound.guard).collect()
}

/// The assignments of a row that is there. `incoming`: the new value of a column.
pub fn assignments(bound: &BoundColumns, table: &str, incoming: impl Fn(usize) -> String) -> Vec<String> {
    noting_assignments(bound, table, None, incoming)
}

/// The same. The guard's assignment notes the number.
fn noting_assignments(
    bound: &BoundColumns,
    table: &str,
    noted: Option<u64>,
    incoming: impl Fn(usize) -> String,
) -> Vec<String> {
    let passes = bound.guard.map(|at| {
        let guard = format!("{table}.{}", quote(bound.columns.get(at).map_or("", |name| name)));
        format!("{guard} IS NULL OR {}>={guard}", incoming(at))
    });
    assigned_columns(bound)
        .into_iter()
        .map(|at| {
            let name = quote(bound.columns.get(at).map_or("", |name| name));
            let old = format!("{table}.{name}");
            let new = incoming(at);
            let merged = match bound.rules.get(at).copied().unwrap_or(MergeRule::Replace) {
                MergeRule::Replace | MergeRule::Keep => new,
                MergeRule::Sum => format!("IFNULL({old},0)+{new}"),
                MergeRule::Min => format!("LEAST(IFNULL({old},{new}),IFNULL({new},{old}))"),
                MergeRule::Max => format!("GREATEST(IFNULL({old},{new}),IFNULL({new},{old}))"),
            };
            match &passes {
                None => format!("{old}={merged}"),
                Some(passes) if let (true, Some(noted)) = (bound.guard == Some(at), noted) => {
                    let kept = kept(bound, at, &old);
                    // MariaDB calculates what is the same for all rows before it looks for one.
                    let noted = format!("LAST_INSERT_ID(IF({passes},{noted},{noted}+1))");
                    format!("{old}=IF({noted} AND ({passes}),{merged},{kept})")
                }
                Some(passes) => format!("{old}=IF({passes},{merged},{})", kept(bound, at, &old)),
            }
        })
        .collect()
}

/// What is there, beside a value for it.
fn kept(bound: &BoundColumns, at: usize, old: &str) -> String {
    match bound.beside(at) {
        Beside::Itself => old.to_owned(),
        Beside::Unicode => format!("CONVERT({old} USING utf8mb4)"),
        Beside::Number => format!("CAST({old} AS UNSIGNED)"),
    }
}

/// The order of a row's values in an update's placeholders. A value may stand several times.
pub fn update_order(bound: &BoundColumns) -> Vec<usize> {
    let mut order = Vec::new();
    for at in assigned_columns(bound) {
        order.extend(bound.guard);
        let times = match bound.rules.get(at) {
            Some(MergeRule::Min | MergeRule::Max) => 2,
            _ => 1,
        };
        order.extend(std::iter::repeat_n(at, times));
    }
    order.extend(&bound.key);
    order
}

/// The placeholder of a value that an update compares with what is there, or adds to it. A number
/// gets its column's own type, as `VALUES(column)` has it in an upsert. A bare parameter is text or
/// a float to the server: it adds as DOUBLE, and '9' is greater than '10'.
/// <https://dev.mysql.com/doc/refman/8.4/en/type-conversion.html>. Dates, times and text are not
/// cast: they compare as text.
pub fn incoming_placeholder(bound: &BoundColumns, at: usize) -> String {
    let is_assigned_alone =
        bound.guard.is_none() && matches!(bound.rules.get(at), None | Some(MergeRule::Replace | MergeRule::Keep));
    match bound.kinds.get(at) {
        _ if is_assigned_alone => "?".to_owned(),
        // The column's own digits would round it, and a text is rounded, too: -0.4 to a 0 that an
        // UNSIGNED column takes.
        Some(ColumnKind::Integer | ColumnKind::Decimal { .. }) if bound.is_as_it_is(at) => {
            "CAST(? AS DECIMAL(65,30))".to_owned()
        }
        Some(ColumnKind::Integer) => "CAST(? AS DECIMAL(65,0))".to_owned(),
        Some(ColumnKind::Decimal { scale }) => format!("CAST(? AS DECIMAL(65,{scale}))"),
        Some(ColumnKind::Float) => "(?+0e0)".to_owned(),
        // As text: of a bare parameter MySQL makes a DATETIME, and of 100:00:00 nothing.
        Some(ColumnKind::Date) => "CAST(CAST(? AS CHAR) AS DATE)".to_owned(),
        Some(ColumnKind::DateTime { precision }) => format!("CAST(CAST(? AS CHAR) AS DATETIME({precision}))"),
        Some(ColumnKind::Time { precision }) => format!("CAST(CAST(? AS CHAR) AS TIME({precision}))"),
        _ => "?".to_owned(),
    }
}

fn update(bound: &BoundColumns, table: &str) -> String {
    let mut assignments = assignments(bound, table, |at| incoming_placeholder(bound, at));
    let equal: Vec<_> = bound
        .key
        .iter()
        .filter_map(|at| bound.columns.get(*at))
        .map(|name| format!("{table}.{}", quote(name)))
        .collect();
    if let (true, Some(key)) = (assignments.is_empty(), equal.first()) {
        assignments.push(format!("{key}={key}"));
    }
    let conditions: Vec<_> = equal.iter().map(|key| format!("{key}=?")).collect();
    format!(
        "UPDATE {table} SET {} WHERE {}",
        assignments.join(","),
        conditions.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::model::TableModel;
    use crate::table::rules::{KeyRule, Mode, TableRules};
    use std::sync::Arc;

    fn bound(rules: &TableRules, mode: Mode, columns: &[&str]) -> BoundColumns {
        let name = TableName::parse("ex.bal`s").expect("a name");
        let model = Arc::new(TableModel::without_schema(&name, rules, mode).expect("a model"));
        model
            .bind(&columns.iter().map(|name| Box::from(*name)).collect())
            .expect("bound")
    }

    fn merge(rules: &[(&str, MergeRule)]) -> Vec<(String, MergeRule)> {
        rules.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect()
    }

    #[test]
    fn versions_speak_their_dialect() {
        for (version, dialect, knows_row_lists) in [
            ("9.7.0", Dialect::RowAlias, true),
            ("8.0.20", Dialect::RowAlias, true),
            ("8.0.36-0ubuntu0.22.04.1", Dialect::RowAlias, true),
            ("8.4.3-debian+1", Dialect::RowAlias, true),
            ("8.0.19", Dialect::ValuesFunction, false),
            ("5.7.44-log", Dialect::ValuesFunction, false),
            ("10.11.19-MariaDB-0+deb12u1", Dialect::ValuesFunction, true),
            ("10.2.44-MariaDB", Dialect::ValuesFunction, false),
            ("5.5.5-11.4.2-MariaDB", Dialect::ValuesFunction, true),
            ("8.0.11-TiDB-v7.5.0", Dialect::ValuesFunction, false),
            ("", Dialect::ValuesFunction, false),
        ] {
            assert!(Dialect::takes_last_insert_id(version), "{version}");
            assert_eq!(Dialect::of_version(version), dialect, "{version}");
            assert_eq!(Dialect::knows_row_lists(version), knows_row_lists, "{version}");
        }
        assert!(!Dialect::takes_last_insert_id("8.0.30-Vitess"));
    }

    #[test]
    fn a_text_is_its_bytes() {
        for (text, expected) in [("", "_utf8mb4 X''"), ("a'\\`ä", "_utf8mb4 X'61275C60C3A4'")] {
            assert_eq!(text_literal(text), expected, "{text}");
        }
    }

    #[test]
    fn statements_per_dialect() {
        let plain = bound(&TableRules::default(), Mode::Upsert, &["id", "a`b"]);
        let t = "`ex`.`bal``s`";
        let start = format!("INSERT INTO {t} (`id`,`a``b`) VALUES (?,?),(?,?)");
        assert_eq!(statement(&plain, Operation::Insert, 2, Dialect::RowAlias, true), start);
        assert_eq!(
            statement(&plain, Operation::Upsert, 2, Dialect::RowAlias, true),
            format!("{start} AS wb_new ON DUPLICATE KEY UPDATE {t}.`a``b`=wb_new.`a``b`")
        );
        assert_eq!(
            statement(&plain, Operation::Upsert, 2, Dialect::ValuesFunction, true),
            format!("{start} ON DUPLICATE KEY UPDATE {t}.`a``b`=VALUES(`a``b`)")
        );
        assert_eq!(
            statement(&plain, Operation::Update, 1, Dialect::RowAlias, true),
            format!("UPDATE {t} SET {t}.`a``b`=? WHERE {t}.`id`=?")
        );
        assert_eq!(update_order(&plain), vec![1, 0]);
    }

    #[test]
    fn rules_are_one_expression_each() {
        let rules = TableRules {
            key: KeyRule::Columns(vec!["u".to_owned(), "a".to_owned()]),
            merge: merge(&[
                ("s", MergeRule::Sum),
                ("k", MergeRule::Keep),
                ("lo", MergeRule::Min),
                ("hi", MergeRule::Max),
            ]),
            ..TableRules::default()
        };
        let bound = bound(&rules, Mode::Upsert, &["u", "a", "s", "k", "lo", "hi"]);
        let t = "`ex`.`bal``s`";
        assert_eq!(
            statement(&bound, Operation::Upsert, 1, Dialect::RowAlias, true),
            format!(
                "INSERT INTO {t} (`u`,`a`,`s`,`k`,`lo`,`hi`) VALUES (?,?,?,?,?,?) AS wb_new ON DUPLICATE KEY UPDATE \
                 {t}.`s`=IFNULL({t}.`s`,0)+wb_new.`s`,\
                 {t}.`lo`=LEAST(IFNULL({t}.`lo`,wb_new.`lo`),IFNULL(wb_new.`lo`,{t}.`lo`)),\
                 {t}.`hi`=GREATEST(IFNULL({t}.`hi`,wb_new.`hi`),IFNULL(wb_new.`hi`,{t}.`hi`))"
            )
        );
        assert_eq!(update_order(&bound), vec![2, 4, 4, 5, 5, 0, 1]);
    }

    #[test]
    fn an_update_adds_and_compares_numbers_of_the_columns_type() {
        let rules = TableRules {
            merge: merge(&[("s", MergeRule::Sum), ("lo", MergeRule::Min), ("hi", MergeRule::Max)]),
            ..TableRules::default()
        };
        let mut bound = bound(&rules, Mode::Upsert, &["id", "s", "lo", "hi", "r"]);
        bound.kinds = vec![
            ColumnKind::Integer,
            ColumnKind::Decimal { scale: 8 },
            ColumnKind::Integer,
            ColumnKind::Float,
            ColumnKind::Integer,
        ];
        let t = "`ex`.`bal``s`";
        let low = "CAST(? AS DECIMAL(65,0))";
        assert_eq!(
            statement(&bound, Operation::Update, 1, Dialect::RowAlias, true),
            format!(
                "UPDATE {t} SET {t}.`s`=IFNULL({t}.`s`,0)+CAST(? AS DECIMAL(65,8)),\
                 {t}.`lo`=LEAST(IFNULL({t}.`lo`,{low}),IFNULL({low},{t}.`lo`)),\
                 {t}.`hi`=GREATEST(IFNULL({t}.`hi`,(?+0e0)),IFNULL((?+0e0),{t}.`hi`)),{t}.`r`=? WHERE {t}.`id`=?"
            )
        );
    }

    #[test]
    fn the_guard_is_assigned_last_and_guards_every_column() {
        let rules = TableRules {
            guard: Some("v".to_owned()),
            ..TableRules::default()
        };
        let bound = bound(&rules, Mode::Upsert, &["id", "v", "x"]);
        let t = "`ex`.`bal``s`";
        let passes = format!("{t}.`v` IS NULL OR VALUES(`v`)>={t}.`v`");
        assert_eq!(
            statement(&bound, Operation::Upsert, 1, Dialect::ValuesFunction, true),
            format!(
                "INSERT INTO {t} (`id`,`v`,`x`) VALUES (?,?,?) ON DUPLICATE KEY UPDATE \
                 {t}.`x`=IF({passes},VALUES(`x`),{t}.`x`),\
                 {t}.`v`=IF(LAST_INSERT_ID(IF({passes},{TOUCHED_ROW},{TOUCHED_ROW}+1)) AND ({passes}),VALUES(`v`),{t}.`v`)"
            )
        );
        for (rows, notes_touched) in [(1, false), (2, true)] {
            let plain = format!(",{t}.`v`=IF({passes},VALUES(`v`),{t}.`v`)");
            let text = statement(&bound, Operation::Upsert, rows, Dialect::ValuesFunction, notes_touched);
            assert!(text.ends_with(&plain), "{text}");
        }
        assert_eq!(update_order(&bound), vec![1, 2, 1, 1, 0]);
    }

    #[test]
    fn a_row_of_its_key_alone_changes_nothing() {
        let bound = bound(&TableRules::default(), Mode::Upsert, &["id"]);
        let t = "`ex`.`bal``s`";
        assert_eq!(
            statement(&bound, Operation::Upsert, 1, Dialect::RowAlias, true),
            format!("INSERT INTO {t} (`id`) VALUES (?) AS wb_new ON DUPLICATE KEY UPDATE {t}.`id`={t}.`id`")
        );
        let mut of_server = bound;
        of_server.key = Vec::new();
        of_server.rules = vec![MergeRule::Keep];
        assert_eq!(
            statement(&of_server, Operation::Upsert, 1, Dialect::ValuesFunction, true),
            format!("INSERT INTO {t} (`id`) VALUES (?) ON DUPLICATE KEY UPDATE {t}.`id`={t}.`id`")
        );
    }
}
