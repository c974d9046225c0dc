//! Parameters of prepared statements, by the types that servers make of them.
//!
//! A server compares a text with a number as numbers: `WHERE k = 1` finds the rows '1', '01' and
//! '1x'. So a number that looks up a text key is sent as text.
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

use mysql::Value as SqlValue;

use crate::plan::Operation;
use crate::sink::mysql::deletions::{delete_order, listed_column};
use crate::sink::mysql::sql::{Dialect, update_order};
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::value::Value;
use crate::value::decimal::Decimal;

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
            look_up_text_by_text(parameters, bound);
            let order = update_order(bound);
            send_bits_as_numbers(parameters, order.iter().map(|at| bound.kinds.get(*at)));
        }
        Operation::Delete => {
            settle_keys(parameters, bound);
            let order = delete_order(bound);
            send_bits_as_numbers(parameters, order.iter().cycle().map(|at| bound.kinds.get(*at)));
        }
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

/// Sends numbers that look up a text key as text, with the NUL bytes that BINARY(n) adds. An
/// update's last parameters are its key.
fn look_up_text_by_text(parameters: &mut [Parameter<'_>], bound: &BoundColumns) {
    let keys = parameters.len().saturating_sub(bound.key.len());
    for (parameter, at) in parameters.iter_mut().skip(keys).zip(&bound.key) {
        let padded_to = match bound.kinds.get(*at) {
            Some(ColumnKind::Text(_)) => None,
            Some(ColumnKind::Binary { padded_to }) => *padded_to,
            _ => continue,
        };
        if let Parameter::Int(number) = parameter {
            let mut digits = number.to_string().into_bytes();
            digits.resize(digits.len().max(padded_to.unwrap_or(0)), 0);
            *parameter = Parameter::Text(Cow::Owned(digits));
        }
    }
}

/// Sends numbers that look up the text key of a row to delete as text, and text as integers where a
/// list of them stands.
fn settle_keys(parameters: &mut [Parameter<'_>], bound: &BoundColumns) {
    let order = delete_order(bound);
    let is_list = listed_column(bound).is_some() && parameters.len() > 1;
    for (parameter, at) in parameters.iter_mut().zip(order.iter().cycle()) {
        let is_key = bound.guard != Some(*at);
        match (&*parameter, bound.kinds.get(*at)) {
            (Parameter::Int(number), Some(ColumnKind::Text(_) | ColumnKind::Binary { .. })) if is_key => {
                *parameter = self::text(&number.to_string());
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

/// A float as PHP shows it: its shortest digits, with an exponent if it is very large or small.
fn float_text(number: f64) -> String {
    /// `php_gcvt` with 17 digits.
    const WHOLE_DIGITS_MAX: i32 = 17;
    const ZEROS_MAX: i32 = 4;
    let shortest = format!("{number:e}");
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return shortest;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-ZEROS_MAX..WHOLE_DIGITS_MAX).contains(&exponent) {
        return number.to_string();
    }
    let fraction = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{fraction}E{exponent:+}")
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
            let mut parameters = given;
            settle_keys(&mut parameters, &bound(&[kind]));
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
            assert_eq!(after, [Parameter::Int(7), expected], "{kind:?}: {number}");
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
    fn floats_are_shown_as_php_shows_them() {
        for (number, expected) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1.0E-5"),
            (1e15, "1000000000000000"),
            (1.5e25, "1.5E+25"),
            (1e25, "1.0E+25"),
            (123_456_789_012.345, "123456789012.345"),
        ] {
            assert_eq!(Parameter::from(&Value::Float(number)), text(expected), "{number}");
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
