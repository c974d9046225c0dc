//! An UPDATE of several rows: they stand in a derived table, which is joined with the table by its
//! key.
//!
//! ```sql
//! UPDATE (VALUES ROW(…), ROW(…)) AS wb_new (c0, c1) STRAIGHT_JOIN t FORCE INDEX (`PRIMARY`)
//!     ON t.id = wb_new.c0 SET t.a = wb_new.c1                                      -- MySQL
//! UPDATE (SELECT … WHERE FALSE UNION ALL VALUES (…), (…)) AS wb_new STRAIGHT_JOIN t …   -- MariaDB
//! ```
//!
//! - The rows come first in the join and the index is forced. Otherwise a server that takes the
//!   table for a small one reads, and locks, all of it.
//! - Every value is cast: [`ValueForm`] says to what.
//! - MariaDB knows no column list there before 11.7, and takes a column's width from the first
//!   row's values. So a SELECT that has no row names the columns, and has their widest values.

use std::fmt::Write as _;

use crate::sink::mysql::sql::{self, Dialect, quote};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::table::shared_update::{SharedUpdate, ValueForm};

/// The columns of the derived table: those of the row that have a part in the update.
pub fn shared_columns(bound: &BoundColumns) -> impl Iterator<Item = usize> {
    let forms = bound.shared_update.iter().flat_map(|shared| &shared.forms);
    forms.enumerate().filter_map(|(at, form)| form.is_some().then_some(at))
}

fn form_of(shared: &SharedUpdate, at: usize) -> Option<&ValueForm> {
    shared.forms.get(at)?.as_ref()
}

/// The statement for `rows` rows. Its placeholders are the [columns'](shared_columns) values, one
/// row after the other.
pub fn statement(bound: &BoundColumns, table: &str, rows: usize, dialect: Dialect) -> String {
    let Some(shared) = &bound.shared_update else {
        return String::new();
    };
    let columns: Vec<usize> = shared_columns(bound).collect();
    let cell = |at: &usize| form_of(shared, *at).map_or_else(String::new, |form| cell(form, bound, *at, "?"));
    let row: Vec<_> = columns.iter().map(cell).collect();
    let row = row.join(",");
    let mut sql = String::with_capacity(512 + (row.len() + 6) * rows);
    sql.push_str("UPDATE (");
    let (before_row, names) = match dialect {
        Dialect::RowAlias => {
            let names: Vec<_> = columns.iter().map(|at| format!("c{at}")).collect();
            ("ROW", format!(" ({})", names.join(",")))
        }
        Dialect::ValuesFunction => {
            let widest = |at: &usize| {
                let widest = form_of(shared, *at).map_or_else(String::new, |form| widest(form, bound, *at));
                format!("{widest} AS c{at}")
            };
            let widest: Vec<_> = columns.iter().map(widest).collect();
            let _ = write!(sql, "SELECT {} FROM DUAL WHERE FALSE UNION ALL ", widest.join(","));
            ("", String::new())
        }
    };
    sql.push_str("VALUES ");
    for at in 0..rows {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(sql, "{comma}{before_row}({row})");
    }
    let joined: Vec<_> = bound
        .key
        .iter()
        .filter_map(|at| Some(format!("{table}.{}=wb_new.c{at}", quote(bound.columns.get(*at)?))))
        .collect();
    let assignments = sql::assignments(bound, table, |at| format!("wb_new.c{at}"));
    let _ = write!(
        sql,
        ") AS wb_new{names} STRAIGHT_JOIN {table} FORCE INDEX ({}) ON {} SET {}",
        quote(&shared.index),
        joined.join(" AND "),
        assignments.join(",")
    );
    sql
}

/// A value, cast to its form.
fn cell(form: &ValueForm, bound: &BoundColumns, at: usize, value: &str) -> String {
    // Cast to text first: MySQL makes of a bare parameter the type that is asked for, in its own
    // way. 18446744073709551615 becomes a DECIMAL that does not fit.
    let text = format!("CAST({value} AS CHAR(96))");
    match form {
        ValueForm::Integer { is_unsigned: false } => format!("CAST({text} AS SIGNED)"),
        ValueForm::Integer { is_unsigned: true } => format!("CAST({text} AS UNSIGNED)"),
        ValueForm::Decimal { precision, scale } => format!("CAST({text} AS DECIMAL({precision},{scale}))"),
        ValueForm::Text { chars } => format!("CAST({value} AS CHAR({chars}))"),
        ValueForm::TextKey { chars, collation } => {
            let charset = collation.split('_').next().unwrap_or_default();
            format!("CAST({value} AS CHAR({chars}) CHARACTER SET {charset}) COLLATE {collation}")
        }
        ValueForm::Binary { bytes, is_exact: true } => format!("CAST({value} AS BINARY({bytes}))"),
        ValueForm::Binary { is_exact: false, .. } => format!("CAST({value} AS BINARY)"),
        ValueForm::Moment(ColumnKind::DateTime { precision }) => format!("CAST({text} AS DATETIME({precision}))"),
        ValueForm::Moment(_) => format!("CAST({text} AS DATE)"),
        ValueForm::Computed => sql::incoming_placeholder(bound, at).replace('?', value),
    }
}

/// The widest value of a form.
fn widest(form: &ValueForm, bound: &BoundColumns, at: usize) -> String {
    match form {
        // The least BIGINT is a DECIMAL to MariaDB's parser.
        ValueForm::Integer { is_unsigned: false } => (i64::MIN + 1).to_string(),
        ValueForm::Integer { is_unsigned: true } => u64::MAX.to_string(),
        ValueForm::Binary { bytes, is_exact: false } => format!("CAST('' AS BINARY({bytes}))"),
        _ => cell(form, bound, at, "NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::column::{Column, TextKind};
    use crate::table::domain::Domain;
    use crate::table::model::TableModel;
    use crate::table::name::TableName;
    use crate::table::rules::{KeyRule, MergeRule, Mode, TableRules};
    use crate::table::schema::{TableSchema, UniqueIndex};
    use std::sync::Arc;

    fn column(name: &str, kind: ColumnKind, domain: Domain) -> Column {
        Column {
            name: name.to_owned(),
            kind,
            domain,
            collation: matches!(kind, ColumnKind::Text(_)).then(|| Arc::from("latin1_bin")),
            ..Column::default()
        }
    }

    fn bound(schema: TableSchema, columns: &[&str]) -> BoundColumns {
        let rules = TableRules {
            key: KeyRule::Columns(vec!["id".to_owned(), "k".to_owned()]),
            merge: vec![("s".to_owned(), MergeRule::Sum), ("o".to_owned(), MergeRule::Keep)],
            ..TableRules::default()
        };
        let name = TableName::parse("t").expect("a name");
        let model = TableModel::from_server(&name, &rules, Mode::Upsert, schema).expect("a model");
        let columns = columns.iter().map(|name| Box::from(*name)).collect();
        Arc::new(model).bind(&columns).expect("bound")
    }

    fn schema() -> TableSchema {
        let integer = Domain::Integer {
            min: 0,
            max: 255,
            rounds_up_to_zero: false,
        };
        let text = ColumnKind::Text(TextKind::from_collation("latin1_bin", 9));
        TableSchema {
            columns: vec![
                column("id", ColumnKind::Integer, integer.clone()),
                column("k", text, Domain::Unknown),
                column("s", ColumnKind::Integer, integer),
                column(
                    "b",
                    ColumnKind::Binary { padded_to: None },
                    Domain::Binary { max_bytes: 7 },
                ),
                column("o", ColumnKind::Other, Domain::Unknown),
                Column {
                    is_required: true,
                    ..column("x", ColumnKind::Integer, Domain::Unknown)
                },
            ],
            unique_indexes: vec![UniqueIndex {
                name: "a`b".to_owned(),
                columns: vec![Some("k".to_owned()), Some("id".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
            ..TableSchema::default()
        }
    }

    #[test]
    fn statements_per_dialect() {
        let bound = bound(schema(), &["s", "id", "o", "k", "b"]);
        assert_eq!(shared_columns(&bound).collect::<Vec<_>>(), vec![0, 1, 3, 4]);
        let row = "(CAST(? AS DECIMAL(65,0)),CAST(CAST(? AS CHAR(96)) AS UNSIGNED),\
                   CAST(? AS CHAR(9) CHARACTER SET latin1) COLLATE latin1_bin,CAST(? AS BINARY))";
        let rest = "STRAIGHT_JOIN `t` FORCE INDEX (`a``b`) ON `t`.`id`=wb_new.c1 AND `t`.`k`=wb_new.c3 \
                    SET `t`.`s`=IFNULL(`t`.`s`,0)+wb_new.c0,`t`.`b`=wb_new.c4";
        assert_eq!(
            statement(&bound, "`t`", 2, Dialect::RowAlias),
            format!("UPDATE (VALUES ROW{row},ROW{row}) AS wb_new (c0,c1,c3,c4) {rest}")
        );
        assert_eq!(
            statement(&bound, "`t`", 2, Dialect::ValuesFunction),
            format!(
                "UPDATE (SELECT CAST(NULL AS DECIMAL(65,0)) AS c0,18446744073709551615 AS c1,\
                 CAST(NULL AS CHAR(9) CHARACTER SET latin1) COLLATE latin1_bin AS c3,CAST('' AS BINARY(7)) AS c4 \
                 FROM DUAL WHERE FALSE UNION ALL VALUES {row},{row}) AS wb_new {rest}"
            )
        );
    }

    #[test]
    fn rows_share_no_update_where_that_is_not_certain_to_be_the_same() {
        let shares = |schema: TableSchema, columns: &[&str]| bound(schema, columns).shared_update.is_some();
        assert!(shares(schema(), &["id", "k", "b"]));
        assert!(!shares(schema(), &["id", "k"]), "nothing to assign");
        assert!(
            !shares(schema(), &["id", "k", "o"]),
            "nothing to assign but what is kept"
        );
        let lenient = TableSchema {
            is_strict: false,
            ..schema()
        };
        assert!(!shares(lenient, &["id", "k", "b"]));
        let with_history = TableSchema {
            keeps_history: true,
            ..schema()
        };
        assert!(!shares(with_history, &["id", "k", "b"]));
        let mut of_unknown_collation = schema();
        of_unknown_collation.columns[1].collation = None;
        assert!(!shares(of_unknown_collation, &["id", "k", "b"]));
        assert!(!shares(schema(), &["id", "k", "b", "x"]), "an upsert");
    }
}
