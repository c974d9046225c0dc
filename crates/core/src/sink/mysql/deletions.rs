//! SQL text and parameters of deletions.
//!
//! `WHERE (k=? AND …) OR (k=? AND …)`: each pair is compared as it would be in a statement of its
//! own. A list of composite keys, `(a,b) IN ((?,?),…)`, uses no index on MariaDB, and MySQL may
//! compare a list's values by another type.

use std::fmt::Write as _;

use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::sql::{incoming_placeholder, quote, quote_table};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;

/// The statement that deletes `rows` rows. Its placeholders are in the order of [`delete_order`],
/// one row after the other.
pub fn delete(bound: &BoundColumns, rows: usize) -> String {
    let table = quote_table(&bound.model.name);
    let condition = condition(bound, &table);
    let mut sql = String::with_capacity(32 + table.len() + (condition.len() + 4) * rows);
    let _ = write!(sql, "DELETE FROM {table} WHERE ");
    for at in 0..rows {
        if at > 0 {
            sql.push_str(" OR ");
        }
        sql.push_str(&condition);
    }
    sql
}

/// The bytes that one more row adds to the statement.
pub fn row_text_bytes(bound: &BoundColumns) -> usize {
    condition(bound, &quote_table(&bound.model.name)).len() + 4
}

fn condition(bound: &BoundColumns, table: &str) -> String {
    let column = |at: usize| format!("{table}.{}", quote(bound.columns.get(at).map_or("", |name| name)));
    let mut parts: Vec<_> = bound.key.iter().map(|at| format!("{}=?", column(*at))).collect();
    if let Some(at) = bound.guard {
        let (guard, given) = (column(at), incoming_placeholder(bound, at));
        parts.push(format!("({guard} IS NULL OR {given}>={guard})"));
    }
    format!("({})", parts.join(" AND "))
}

/// The order of a row's values in the placeholders.
pub fn delete_order(bound: &BoundColumns) -> Vec<usize> {
    bound.key.iter().copied().chain(bound.guard).collect()
}

/// Sends numbers that look up a text key as text: as a number, 1 is '01' and '1x', too.
pub fn look_up_text_by_text(parameters: &mut [Parameter<'_>], bound: &BoundColumns) {
    let order = delete_order(bound);
    for (parameter, at) in parameters.iter_mut().zip(order.iter().cycle()) {
        let kind = bound.kinds.get(*at);
        let is_text_key =
            bound.guard != Some(*at) && matches!(kind, Some(ColumnKind::Text(_) | ColumnKind::Binary { .. }));
        if let (Parameter::Int(number), true) = (&*parameter, is_text_key) {
            *parameter = Parameter::Text(number.to_string().into_bytes().into());
        }
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

    fn bound(guard: Option<&str>, columns: &[&str]) -> BoundColumns {
        let rules = TableRules {
            key: KeyRule::Columns(vec!["u".to_owned(), "a`".to_owned()]),
            guard: guard.map(str::to_owned),
            ..TableRules::default()
        };
        let configured = vec![("ex.t".to_owned(), rules)];
        let mut catalog = Catalog::new(None, &["ex.t"], "none", configured).expect("a catalog");
        let names = columns.iter().map(|name| name.as_bytes());
        let shape = catalog.deletion(TableId(0), names).expect("a shape");
        let entry = &shape.entry;
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
        shape.bind(&Arc::new(model)).expect("bound")
    }

    #[test]
    fn rows_are_compared_one_by_one() {
        let key = bound(Some("v"), &["a`", "U"]);
        let row = "(`ex`.`t`.`U`=? AND `ex`.`t`.`a```=?)";
        assert_eq!(delete(&key, 2), format!("DELETE FROM `ex`.`t` WHERE {row} OR {row}"));
        assert_eq!(delete_order(&key), [1, 0]);
    }

    #[test]
    fn a_guard_deletes_what_is_not_newer() {
        let guarded = bound(Some("v"), &["v", "u", "a`"]);
        let expected = "DELETE FROM `ex`.`t` WHERE (`ex`.`t`.`u`=? AND `ex`.`t`.`a```=? \
                        AND (`ex`.`t`.`v` IS NULL OR ?>=`ex`.`t`.`v`))";
        assert_eq!(delete(&guarded, 1), expected);
        assert_eq!(delete_order(&guarded), [1, 2, 0]);
    }

    #[test]
    fn a_number_looks_up_text_as_text() {
        let mut key = bound(Some("v"), &["u", "a`", "v"]);
        key.kinds = vec![
            ColumnKind::Integer,
            ColumnKind::Binary { padded_to: None },
            ColumnKind::Binary { padded_to: None },
        ];
        let mut parameters = vec![Parameter::Int(1); 6];
        look_up_text_by_text(&mut parameters, &key);
        let text = || Parameter::Text(b"1".as_slice().into());
        let row = [Parameter::Int(1), text(), Parameter::Int(1)];
        assert_eq!(parameters, [row.clone(), row].concat());
    }
}
