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
use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::sql::{incoming_placeholder, quote, quote_table};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::value::decimal::Decimal;

/// The statement that deletes `rows` rows. Its placeholders are in the order of [`delete_order`],
/// one row after the other.
pub fn delete(bound: &BoundColumns, rows: usize) -> String {
    let table = quote_table(&bound.model.name);
    if let (Some(at), true) = (listed_column(bound), rows > 1) {
        let places = vec!["?"; rows].join(",");
        return format!("DELETE FROM {table} WHERE {} IN ({places})", column(bound, &table, at));
    }
    let conditions = vec![condition(bound, &table); rows].join(" OR ");
    format!("DELETE FROM {table} WHERE {conditions}")
}

/// The column whose values a statement of several rows lists.
fn listed_column(bound: &BoundColumns) -> Option<usize> {
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

fn column(bound: &BoundColumns, table: &str, at: usize) -> String {
    format!("{table}.{}", quote(bound.columns.get(at).map_or("", |name| name)))
}

/// The bytes that one more row adds to the statement.
pub fn row_text_bytes(bound: &BoundColumns) -> usize {
    condition(bound, &quote_table(&bound.model.name)).len() + 4
}

fn condition(bound: &BoundColumns, table: &str) -> String {
    let column = |at: usize| column(bound, table, at);
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

/// Sends numbers that look up a text key as text: as a number, 1 is '01' and '1x', too. Sends text
/// as integers where a list of them stands.
pub fn settle_keys(parameters: &mut [Parameter<'_>], bound: &BoundColumns) {
    let order = delete_order(bound);
    let is_list = listed_column(bound).is_some() && parameters.len() > 1;
    for (parameter, at) in parameters.iter_mut().zip(order.iter().cycle()) {
        let is_key = bound.guard != Some(*at);
        match (&*parameter, bound.kinds.get(*at)) {
            (Parameter::Int(number), Some(ColumnKind::Text(_) | ColumnKind::Binary { .. })) if is_key => {
                *parameter = Parameter::Text(number.to_string().into_bytes().into());
            }
            (Parameter::Text(text), Some(ColumnKind::Integer)) if is_list => {
                if let Some(number) = Decimal::parse(text).and_then(|number| number.to_i64()) {
                    *parameter = Parameter::Int(number);
                }
            }
            _ => {}
        }
    }
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
        settle_keys(&mut parameters, &key);
        let text = || Parameter::Text(b"1".as_slice().into());
        let row = [Parameter::Int(1), text(), Parameter::Int(1)];
        assert_eq!(parameters, [row.clone(), row].concat());
    }

    #[test]
    fn one_column_is_a_list_of_its_own_type() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let shape = catalog
            .deletion(TableId(0), std::iter::once(b"id".as_slice()))
            .expect("a shape");
        let entry = &shape.entry;
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
        let mut key = shape.bind(&Arc::new(model)).expect("bound");
        key.kinds = vec![ColumnKind::Integer];
        assert_eq!(delete(&key, 3), "DELETE FROM `t` WHERE `t`.`id` IN (?,?,?)");
        assert_eq!(delete(&key, 1), "DELETE FROM `t` WHERE (`t`.`id`=?)");
        let text = |text: &'static str| Parameter::Text(text.as_bytes().into());
        let mut parameters = vec![text("9007199254740993"), text("2.0"), Parameter::Int(3)];
        settle_keys(&mut parameters, &key);
        let numbers = [9_007_199_254_740_993, 2, 3].map(Parameter::Int);
        assert_eq!(parameters, numbers);
        // Alone it is sent as it was given.
        let mut parameters = vec![text("2.0")];
        settle_keys(&mut parameters, &key);
        assert_eq!(parameters, [text("2.0")]);
        key.kinds = vec![ColumnKind::Decimal { scale: 2 }];
        let expected = "DELETE FROM `t` WHERE (`t`.`id`=?) OR (`t`.`id`=?)";
        assert_eq!(delete(&key, 2), expected);
    }
}
