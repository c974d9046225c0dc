//! Parameters of prepared statements, by the types that servers make of them.
//!
//! A server compares a text with a number as numbers: `WHERE k = 1` finds the rows '1', '01' and
//! '1x', and 5 is a newer version than 'b'. So a number that is compared with a text is sent as
//! text.
//!
//! Since 8.0.22 MySQL keeps the types of a statement's first execution, or of the last one for
//! which it prepared the statement anew. It casts later values to them: after the number 1 the text
//! '01' becomes '1', and after a float the text '12345678901234567890.12' loses its last digits.
//! <https://dev.mysql.com/doc/refman/8.4/en/prepare.html>.
//!
//! Invariant: on MySQL a statement of one text always has parameters of the same types, NULL aside.
//! If the column takes a number's text for the same, the text is sent. So rows may mix the two
//! without a statement for each mixture. Otherwise (an ENUM by its index, a BIT, a comparison with
//! a column) the types are part of the statement's text, as a comment.
//!
//! In an UPDATE a bare parameter is text or a float to either server. So a *number* that is
//! compared or added is cast to its column's kind (see `sql.rs`); dates, times and text are not.

use std::borrow::Cow;
use std::mem;

use mysql::Value as SqlValue;

use crate::plan::Operation;
use crate::sink::mysql::deletions::{delete_order, listed_column};
use crate::sink::mysql::sql::{Dialect, update_order};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::value::Value;
use crate::value::decimal::Decimal;
use crate::value::float_text::float_text;

/// A parameter, in the form in which it is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter<'a> {
    /// NULL, which takes its column's type.
    Null,
    /// `BIGINT`.
    Int(i64),
    /// A text, or any bytes. A float is one too, as PDO sends it: to an ENUM the number 1.0 is an
    /// index, and the text '1' a member.
    Text(Cow<'a, [u8]>),
}

impl<'a> From<&'a Value<'_>> for Parameter<'a> {
    fn from(value: &'a Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Text(Cow::Owned(float_text(*number).into_bytes())),
            Value::Bytes(bytes) => Self::Text(Cow::Borrowed(bytes)),
            Value::DateTime(text) => Self::Text(Cow::Borrowed(text.as_bytes())),
        }
    }
}

impl From<Parameter<'_>> for SqlValue {
    fn from(parameter: Parameter<'_>) -> Self {
        match parameter {
            Parameter::Null => Self::NULL,
            Parameter::Int(number) => Self::Int(number),
            Parameter::Text(text) => Self::Bytes(text.into_owned()),
        }
    }
}

/// Makes parameters, in the order of the placeholders, and a statement fit each other. Returns the
/// end of the statement's text: a comment with the types, or nothing.
pub fn settle_types(
    parameters: &mut [Parameter<'_>],
    bound: &BoundColumns,
    operation: Operation,
    dialect: Dialect,
) -> String {
    match operation {
        Operation::SharedUpdate => {
            // Each is cast to its column's type.
            for parameter in parameters.iter_mut() {
                if let Parameter::Int(number) = parameter {
                    *parameter = text(&number.to_string());
                }
            }
            return String::new();
        }
        Operation::Update => {
            let order = update_order(bound);
            compare_as_text(parameters, bound, &order);
            send_bits_as_numbers(parameters, order.iter().map(|at| bound.kinds.get(*at)));
        }
        Operation::Delete => {
            let order = delete_order(bound);
            compare_as_text(parameters, bound, &order);
            list_integers(parameters, bound);
            send_bits_as_numbers(parameters, order.iter().cycle().map(|at| bound.kinds.get(*at)));
        }
        // Few tables have one, and these are most of the rows.
        Operation::Upsert | Operation::Insert if !bound.kinds.contains(&ColumnKind::Bit) => {}
        Operation::Upsert | Operation::Insert => {
            send_bits_as_numbers(parameters, bound.kinds.iter().map(Some).cycle());
        }
    }
    if dialect != Dialect::RowAlias {
        return String::new();
    }
    // An update and a deletion compare or add their parameters, and a number there is not the same
    // as its text.
    if matches!(operation, Operation::Upsert | Operation::Insert) {
        let kinds = bound.kinds.iter().cycle();
        for (parameter, kind) in parameters.iter_mut().zip(kinds) {
            if let Some(text) = text_of(parameter, *kind) {
                *parameter = text;
            }
        }
    }
    if parameters.iter().all(|parameter| type_of(parameter) == TEXT) {
        return String::new();
    }
    let types: String = parameters.iter().map(type_of).collect();
    format!(" /*{types}*/")
}

/// Sends the bytes of a BIT as the number that they are: MySQL may take them for a number's digits.
fn send_bits_as_numbers<'k>(parameters: &mut [Parameter<'_>], kinds: impl Iterator<Item = Option<&'k ColumnKind>>) {
    for (parameter, kind) in parameters.iter_mut().zip(kinds) {
        if let (Parameter::Text(bytes), Some(ColumnKind::Bit)) = (&*parameter, kind)
            && let Some(number) = number_of_bits(bytes)
        {
            *parameter = Parameter::Int(number);
        }
    }
}

/// `None`: more bits than a number here has.
fn number_of_bits(bytes: &[u8]) -> Option<i64> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.get(zeros..)?;
    let mut number = [0; 8];
    number
        .get_mut(8_usize.checked_sub(significant.len())?..)?
        .copy_from_slice(significant);
    i64::try_from(u64::from_be_bytes(number)).ok()
}

/// Sends what is compared with text, or may be, as the text that its column makes of it: a number
/// as its digits, and all that is no key with the NUL bytes that BINARY(n) adds. A key in text is
/// looked for as it is.
fn compare_as_text(parameters: &mut [Parameter<'_>], bound: &BoundColumns, order: &[usize]) {
    for (parameter, at) in parameters.iter_mut().zip(order.iter().cycle()) {
        let padded_to = match bound.kinds.get(*at) {
            Some(ColumnKind::Text(_)) => 0,
            Some(ColumnKind::Binary { padded_to }) => padded_to.unwrap_or(0),
            _ => continue,
        };
        let bytes = match &mut *parameter {
            Parameter::Int(number) => number.to_string().into_bytes(),
            Parameter::Text(text) if text.len() < padded_to && !bound.key.contains(at) => mem::take(text).into_owned(),
            Parameter::Text(_) | Parameter::Null => continue,
        };
        *parameter = Parameter::Text(Cow::Owned(padded(bytes, padded_to)));
    }
}

fn padded(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(bytes.len().max(length), 0);
    bytes
}

/// Sends text as integers where a list of them stands.
fn list_integers(parameters: &mut [Parameter<'_>], bound: &BoundColumns) {
    let is_list = listed_column(bound).is_some_and(|at| bound.kinds.get(at) == Some(&ColumnKind::Integer));
    if !is_list || parameters.len() < 2 {
        return;
    }
    for parameter in parameters {
        if let Parameter::Text(text) = &*parameter
            && let Some(number) = Decimal::parse(text).and_then(|number| number.to_i64())
        {
            *parameter = Parameter::Int(number);
        }
    }
}

const TEXT: char = 't';

fn type_of(parameter: &Parameter<'_>) -> char {
    match parameter {
        Parameter::Int(_) => 'i',
        Parameter::Null | Parameter::Text(_) => TEXT,
    }
}

fn text(text: &str) -> Parameter<'static> {
    Parameter::Text(Cow::Owned(text.as_bytes().to_vec()))
}

/// A number's text, if the column takes it for the same.
fn text_of(parameter: &Parameter<'_>, kind: ColumnKind) -> Option<Parameter<'static>> {
    match (parameter, kind) {
        (_, ColumnKind::Other | ColumnKind::Bit | ColumnKind::Untyped) => None,
        (Parameter::Int(number), _) => Some(text(&number.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::column::Column;
    use crate::table::model::TableModel;
    use crate::table::name::TableName;
    use crate::table::rules::{Mode, TableRules};
    use crate::table::schema::{TableSchema, UniqueIndex};
    use std::sync::Arc;

    fn bound(kinds: &[ColumnKind]) -> BoundColumns {
        let names: Vec<String> = (0..kinds.len()).map(|at| format!("c{at}")).collect();
        let columns = names.iter().zip(kinds).map(|(name, kind)| Column {
            name: name.clone(),
            kind: *kind,
            ..Column::default()
        });
        let schema = TableSchema {
            columns: columns.collect(),
            unique_indexes: vec![UniqueIndex {
                name: "PRIMARY".to_owned(),
                columns: vec![Some("c0".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
            ..TableSchema::default()
        };
        let table = TableName::parse("t").expect("a name");
        let model = TableModel::from_server(&table, &TableRules::default(), Mode::Upsert, schema).expect("a model");
        let names = names.iter().map(|name| Box::from(name.as_str())).collect();
        Arc::new(model).bind(&names).expect("bound")
    }

    fn settled(
        kinds: &[ColumnKind],
        operation: Operation,
        values: &[Parameter<'static>],
    ) -> (String, Vec<Parameter<'static>>) {
        let mut values = values.to_vec();
        let types = settle_types(&mut values, &bound(kinds), operation, Dialect::RowAlias);
        (format!("SQL{types}"), values)
    }

    #[test]
    fn numbers_are_sent_as_text_where_that_says_the_same() {
        let kinds = [ColumnKind::Integer, ColumnKind::Decimal { scale: 2 }, ColumnKind::Float];
        let (int, float, text) = (Parameter::Int(-7), self::text("0.1"), self::text("x"));
        let rows = [int.clone(), float.clone(), float, text.clone(), int, Parameter::Null];
        let texts = ["-7", "0.1", "0.1", "x", "-7"].map(self::text);
        let (sql, values) = settled(&kinds, Operation::Upsert, &rows);
        assert_eq!(sql, "SQL");
        assert_eq!(values, [texts.as_slice(), &[Parameter::Null]].concat());
    }

    #[test]
    fn keys_of_rows_to_delete_are_of_their_columns_type() {
        let [one, two] = [1, 2].map(Parameter::Int);
        let number = || self::text("9007199254740993");
        for (kind, given, expected) in [
            (
                ColumnKind::Integer,
                vec![number(), self::text("2.0"), one.clone()],
                vec![Parameter::Int(9_007_199_254_740_993), two, one.clone()],
            ),
            // Alone it is sent as it was given.
            (ColumnKind::Integer, vec![number()], vec![number()]),
            (
                ColumnKind::Binary { padded_to: None },
                vec![one.clone(), number()],
                vec![self::text("1"), number()],
            ),
            (
                ColumnKind::Decimal { scale: 2 },
                vec![one.clone(), number()],
                vec![one, number()],
            ),
        ] {
            let (_, parameters) = settled(&[kind], Operation::Delete, &given);
            assert_eq!(parameters, expected, "{kind:?}");
        }
    }

    #[test]
    fn a_number_looks_up_bytes_as_an_insert_makes_them_of_it() {
        let binary = |padded_to| ColumnKind::Binary { padded_to };
        for (kind, number, expected) in [
            (binary(Some(3)), 7, b"7\0\0".as_slice()),
            (binary(Some(3)), 1234, b"1234"),
            (binary(None), 7, b"7"),
        ] {
            let (_, after) = settled(
                &[kind, kind],
                Operation::Update,
                &[Parameter::Int(7), Parameter::Int(number)],
            );
            let expected = Parameter::Text(Cow::Borrowed(expected));
            assert_eq!(after.last(), Some(&expected), "{kind:?}: {number}");
        }
    }

    #[test]
    fn bits_are_numbers() {
        for (bytes, expected) in [
            (b"\xff".as_slice(), Some(255)),
            (b"\x00\x01\x00", Some(256)),
            (b"", Some(0)),
            (b"\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\0\0\0\0", None),
            (b"\x01\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number_of_bits(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn elsewhere_the_types_are_part_of_the_statement() {
        let kinds = [ColumnKind::Integer, ColumnKind::Other];
        let (int, text) = (Parameter::Int(2), self::text("2"));
        for (operation, values, expected) in [
            (Operation::Insert, vec![int.clone(), text.clone()], "SQL"),
            (Operation::Insert, vec![int.clone(), int.clone()], "SQL /*ti*/"),
            (
                Operation::Upsert,
                vec![text.clone(), int.clone(), text.clone(), text.clone()],
                "SQL /*titt*/",
            ),
            (Operation::Update, vec![Parameter::Null, text.clone()], "SQL"),
            (Operation::Update, vec![int.clone(), text.clone()], "SQL /*it*/"),
            (Operation::Update, vec![text, int], "SQL /*ti*/"),
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
