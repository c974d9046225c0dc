//! SQL text and parameters of deletions.
//!
//! `WHERE (k=? AND …) OR (k=? AND …)`: each pair is compared as it would be in a statement of its
//! own. A list of composite keys, `(a,b) IN ((?,?),…)`, uses no index on MariaDB, and servers may
//! compare a list's values by another type, as BIGINT and text by DOUBLE.
//!
//! `WHERE k IN (?,…)` costs the server less. It stands for one column of integers, text or bytes
//! whose values are all of its type: so numbers in text are sent as integers there.

use crate::error::{Error, codes};
use crate::plan::{Operation, Statement};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;

/// The statement that deletes `rows` rows of a quoted table. Its placeholders are in the order of
/// [`delete_order`], one row after the other. `column` quotes a column, `guard` is the placeholder
/// of one that is compared.
pub fn delete(
    bound: &BoundColumns,
    rows: usize,
    table: &str,
    column: impl Fn(usize) -> String,
    guard: impl Fn(usize) -> String,
) -> String {
    if let (Some(at), true) = (listed_column(bound), rows > 1) {
        let places = vec!["?"; rows].join(",");
        return format!("DELETE FROM {table} WHERE {} IN ({places})", column(at));
    }
    let mut parts: Vec<_> = bound.key.iter().map(|at| format!("{}=?", column(*at))).collect();
    if let Some(at) = bound.guard {
        let (old, given) = (column(at), guard(at));
        parts.push(format!("({old} IS NULL OR {given}>={old})"));
    }
    let condition = format!("({})", parts.join(" AND "));
    format!("DELETE FROM {table} WHERE {}", vec![condition; rows].join(" OR "))
}

/// The column whose values a statement of several rows lists.
pub fn listed_column(bound: &BoundColumns) -> Option<usize> {
    match (bound.key.as_slice(), bound.guard) {
        ([at], None) => Some(*at).filter(|at| {
            matches!(
                bound.kinds.get(*at),
                Some(ColumnKind::Integer | ColumnKind::Text(_) | ColumnKind::Binary { .. })
            )
        }),
        _ => None,
    }
}

/// The order of a row's values in the placeholders.
pub fn delete_order(bound: &BoundColumns) -> Vec<usize> {
    bound.key.iter().copied().chain(bound.guard).collect()
}

/// The error of a statement. MariaDB cannot compare a text column with characters that its
/// character set lacks. That says nothing of the table: such a key is a fault of the deletion.
pub fn failed(statement: &Statement<'_>, error: Error) -> Error {
    if statement.operation == Operation::Delete && error.code() == codes::ER_CANT_AGGREGATE_2COLLATIONS {
        Error::row(error.words().clone())
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::table::entry::TableId;
    use crate::table::model::TableModel;
    use crate::table::rules::{KeyRule, TableRules};
    use std::sync::Arc;

    fn bound(key: &[&str], columns: &[&str]) -> BoundColumns {
        let rules = TableRules {
            key: KeyRule::Columns(key.iter().map(|name| (*name).to_owned()).collect()),
            guard: Some("v".to_owned()),
            ..TableRules::default()
        };
        let mut catalog = Catalog::new(None, &["t"], "none", vec![("t".to_owned(), rules)]).expect("a catalog");
        let names = columns.iter().map(|name| name.as_bytes());
        let shape = catalog.deletion(TableId(0), names).expect("a shape");
        let entry = &shape.entry;
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
        shape.bind(&Arc::new(model)).expect("bound")
    }

    fn sql(bound: &BoundColumns, rows: usize) -> String {
        let column = |at: usize| format!("t.{}", bound.columns[at]);
        delete(bound, rows, "t", column, |_| "CAST(?)".to_owned())
    }

    #[test]
    fn rows_are_compared_one_by_one() {
        let key = bound(&["u", "a"], &["a", "U"]);
        let row = "(t.U=? AND t.a=?)";
        assert_eq!(sql(&key, 2), format!("DELETE FROM t WHERE {row} OR {row}"));
        assert_eq!(delete_order(&key), [1, 0]);
    }

    #[test]
    fn a_guard_deletes_what_is_not_newer() {
        let guarded = bound(&["u", "a"], &["v", "u", "a"]);
        let row = "(t.u=? AND t.a=? AND (t.v IS NULL OR CAST(?)>=t.v))";
        assert_eq!(sql(&guarded, 2), format!("DELETE FROM t WHERE {row} OR {row}"));
        assert_eq!(delete_order(&guarded), [1, 2, 0]);
    }

    #[test]
    fn one_column_is_a_list_if_its_values_are_all_of_its_type() {
        let mut key = bound(&["id"], &["id"]);
        for (kind, is_list) in [
            (ColumnKind::Integer, true),
            (ColumnKind::Binary { padded_to: None }, true),
            (ColumnKind::Decimal { scale: 2 }, false),
            (ColumnKind::Date, false),
            (ColumnKind::Other, false),
        ] {
            key.kinds = vec![kind];
            let condition = if is_list {
                "t.id IN (?,?)"
            } else {
                "(t.id=?) OR (t.id=?)"
            };
            assert_eq!(sql(&key, 2), format!("DELETE FROM t WHERE {condition}"), "{kind:?}");
            assert_eq!(sql(&key, 1), "DELETE FROM t WHERE (t.id=?)");
        }
        let mut guarded = bound(&["id"], &["id", "v"]);
        guarded.kinds = vec![ColumnKind::Integer; 2];
        assert!(sql(&guarded, 2).contains(" OR (t.id=? AND "));
    }
}
