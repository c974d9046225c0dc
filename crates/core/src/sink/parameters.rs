//! Parameters of prepared statements, by the types that servers make of them.
//!
//! A text that is compared with a number is compared as one: `WHERE k = 1` finds the rows '1', '01' and '1x'. So a number that
//! looks up a key of text is sent as text.
//!
//! Since 8.0.22 MySQL keeps the types of a statement's first execution, or of one that it prepared anew because of them,
//! and casts what comes later to them: after the number 1 the text '01' becomes '1', after a float the text
//! '12345678901234567890.12' loses its last digits. <https://dev.mysql.com/doc/refman/8.4/en/prepare.html>.
//!
//! Invariant: there a statement of one text always has parameters of the same types, NULL aside. Where a number's text says the
//! same to its column, the text is sent: so rows may mix the two without a statement for each mixture. Elsewhere (an ENUM by
//! its index, a BIT, a comparison with a column) the types are part of the statement's text, as a comment.

use mysql::Value as SqlValue;

use crate::column::ColumnKind;
use crate::sql::{Dialect, Operation};
use crate::table::BoundColumns;

/// Makes parameters, in the order of the placeholders, and a statement fit each other.
pub(super) fn settle_types(
    sql: &mut String,
    values: &mut [SqlValue],
    bound: &BoundColumns,
    operation: Operation,
    dialect: Dialect,
) {
    if operation == Operation::Update {
        look_up_text_by_text(values, bound);
    }
    if dialect != Dialect::RowAlias {
        return;
    }
    // What an update compares or adds to a column is no value of the column yet: there a number is not its text.
    if operation != Operation::Update {
        let kinds = bound.kinds.iter().cycle();
        for (value, kind) in values.iter_mut().zip(kinds) {
            if let Some(text) = text_of(value, *kind) {
                *value = SqlValue::Bytes(text.into_bytes());
            }
        }
    }
    let types: String = values.iter().map(type_of).collect();
    if types.contains(|letter| letter != TEXT) {
        sql.push_str(" /*");
        sql.push_str(&types);
        sql.push_str("*/");
    }
}

/// An update's last parameters are its key.
fn look_up_text_by_text(values: &mut [SqlValue], bound: &BoundColumns) {
    let keys = values.len().saturating_sub(bound.key.len());
    for (value, at) in values.iter_mut().skip(keys).zip(&bound.key) {
        if !matches!(
            bound.kinds.get(*at),
            Some(ColumnKind::Text(_) | ColumnKind::Binary { .. })
        ) {
            continue;
        }
        match value {
            SqlValue::Int(number) => *value = number.to_string().into(),
            SqlValue::Double(number) => *value = number.to_string().into(),
            _ => {}
        }
    }
}

const TEXT: char = 't';

fn type_of(value: &SqlValue) -> char {
    match value {
        SqlValue::Int(_) | SqlValue::UInt(_) => 'i',
        SqlValue::Float(_) | SqlValue::Double(_) => 'f',
        _ => TEXT,
    }
}

/// A number's text, where the column takes it for the same.
fn text_of(value: &SqlValue, kind: ColumnKind) -> Option<String> {
    match (value, kind) {
        (_, ColumnKind::Other | ColumnKind::Untyped) => None,
        (SqlValue::Int(number), _) => Some(number.to_string()),
        // A text with fewer digits may be rounded otherwise in an integer column, and be written otherwise in a text.
        (SqlValue::Double(number), ColumnKind::Decimal { .. } | ColumnKind::Float) => Some(format!("{number:e}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Column;
    use crate::table::{Mode, TableModel, TableName, TableRules, TableSchema, UniqueIndex};
    use std::sync::Arc;

    fn bound(kinds: &[ColumnKind]) -> BoundColumns {
        let names: Vec<String> = (0..kinds.len()).map(|at| format!("c{at}")).collect();
        let columns = names.iter().zip(kinds).map(|(name, kind)| Column {
            name: name.clone(),
            kind: *kind,
            is_required: false,
            is_filled_uniquely: false,
            has_default: false,
            has_nonzero_default: false,
        });
        let schema = TableSchema {
            columns: columns.collect(),
            unique_indexes: vec![UniqueIndex {
                name: "PRIMARY".to_owned(),
                columns: vec![Some("c0".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
        };
        let table = TableName::parse("t").expect("a name");
        let model = TableModel::from_server(&table, &TableRules::default(), Mode::Upsert, schema).expect("a model");
        let names = names.iter().map(|name| Box::from(name.as_str())).collect();
        Arc::new(model).bind(&names).expect("bound")
    }

    fn settled(kinds: &[ColumnKind], operation: Operation, values: &[SqlValue]) -> (String, Vec<SqlValue>) {
        let mut sql = "SQL".to_owned();
        let mut values = values.to_vec();
        settle_types(&mut sql, &mut values, &bound(kinds), operation, Dialect::RowAlias);
        (sql, values)
    }

    #[test]
    fn numbers_are_sent_as_text_where_that_says_the_same() {
        let kinds = [ColumnKind::Integer, ColumnKind::Decimal { scale: 2 }, ColumnKind::Float];
        let (int, double, text) = (SqlValue::Int(-7), SqlValue::Double(0.1), SqlValue::from("x"));
        let rows = [int.clone(), double.clone(), double, text.clone(), int, SqlValue::NULL];
        let texts = ["-7", "1e-1", "1e-1", "x", "-7"].map(SqlValue::from);
        let (sql, values) = settled(&kinds, Operation::Upsert, &rows);
        assert_eq!(sql, "SQL");
        assert_eq!(values, [texts.as_slice(), &[SqlValue::NULL]].concat());
    }

    #[test]
    fn elsewhere_the_types_are_part_of_the_statement() {
        let kinds = [ColumnKind::Integer, ColumnKind::Other];
        let (int, double, text) = (SqlValue::Int(2), SqlValue::Double(2.5), SqlValue::from("2"));
        for (operation, values, expected) in [
            (Operation::Insert, vec![int.clone(), text.clone()], "SQL"),
            (Operation::Insert, vec![int.clone(), int.clone()], "SQL /*ti*/"),
            (
                Operation::Upsert,
                vec![double.clone(), int.clone(), text.clone(), text.clone()],
                "SQL /*fitt*/",
            ),
            (Operation::Update, vec![SqlValue::NULL, text.clone()], "SQL"),
            (Operation::Update, vec![int.clone(), text.clone()], "SQL /*it*/"),
            (Operation::Update, vec![double, int], "SQL /*fi*/"),
        ] {
            let (sql, after) = settled(&kinds, operation, &values);
            assert_eq!(sql, expected, "{operation:?} {values:?}");
            assert_eq!(
                after.iter().map(type_of).collect::<String>(),
                match expected {
                    "SQL" => "tt",
                    commented => commented.trim_start_matches("SQL /*").trim_end_matches("*/"),
                }
            );
        }
    }
}
