//! Rows of results, in the text protocol (of queries) and the binary one (of prepared statements).
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>.
//!
//! Only the kinds of columns that the engine asks for are read in binary: numbers and text.

use std::sync::Arc;

use mysql::consts::{ColumnFlags, ColumnType};
use mysql::{Column, Row, Value as SqlValue};
use mysql_common::row::new_row;

use crate::sink::mysql::wire::answer::OK;
use crate::sink::mysql::wire::fields::{Fields, NULL_COLUMN};

/// How rows are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Those of a query.
    Text,
    /// Those of a prepared statement.
    Binary,
}

/// Reads the definition of a column: its type is what is needed. `None`: it is none, or of a type
/// that is not known.
pub fn read_column(packet: &[u8]) -> Option<Column> {
    let mut fields = Fields::of(packet);
    for _catalog_schema_table_and_name in 0..6 {
        fields.text()?;
    }
    let _rest_bytes = fields.length()?;
    let _charset = fields.u16()?;
    let _width = fields.u32()?;
    let kind = ColumnType::try_from(fields.byte()?).ok()?;
    let flags = ColumnFlags::from_bits_truncate(fields.u16()?);
    Some(Column::new(kind).with_flags(flags))
}

/// Reads a row. `None`: it is none of these columns.
pub fn read_row(packet: &[u8], columns: &Arc<[Column]>, encoding: Encoding) -> Option<Row> {
    let values = match encoding {
        Encoding::Text => text_values(packet, columns.len()),
        Encoding::Binary => binary_values(packet, columns),
    }?;
    // The library insists on it.
    (values.len() == columns.len()).then(|| new_row(values, Arc::clone(columns)))
}

fn text_values(packet: &[u8], count: usize) -> Option<Vec<SqlValue>> {
    let mut fields = Fields::of(packet);
    let mut values = Vec::new();
    for _ in 0..count {
        if fields.rest().first() == Some(&NULL_COLUMN) {
            fields.byte()?;
            values.push(SqlValue::NULL);
        } else {
            values.push(SqlValue::Bytes(fields.text()?.to_vec()));
        }
    }
    fields.rest().is_empty().then_some(values)
}

fn binary_values(packet: &[u8], columns: &[Column]) -> Option<Vec<SqlValue>> {
    let mut fields = Fields::of(packet);
    (fields.byte()? == OK).then_some(())?;
    // A bit for each column, behind two that are reserved.
    let nulls = fields.bytes(columns.len().checked_add(2 + 7)? / 8)?;
    let mut values = Vec::new();
    for (at, column) in (2_usize..).zip(columns) {
        let is_null = nulls.get(at / 8)? & (1 << (at % 8)) != 0;
        values.push(if is_null {
            SqlValue::NULL
        } else {
            binary_value(&mut fields, column)?
        });
    }
    fields.rest().is_empty().then_some(values)
}

fn binary_value(fields: &mut Fields<'_>, column: &Column) -> Option<SqlValue> {
    use ColumnType as T;
    let is_unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    Some(match column.column_type() {
        T::MYSQL_TYPE_TINY if is_unsigned => SqlValue::Int(u8::from_le_bytes(fields.array()?).into()),
        T::MYSQL_TYPE_TINY => SqlValue::Int(i8::from_le_bytes(fields.array()?).into()),
        T::MYSQL_TYPE_SHORT | T::MYSQL_TYPE_YEAR if is_unsigned => {
            SqlValue::Int(u16::from_le_bytes(fields.array()?).into())
        }
        T::MYSQL_TYPE_SHORT | T::MYSQL_TYPE_YEAR => SqlValue::Int(i16::from_le_bytes(fields.array()?).into()),
        T::MYSQL_TYPE_LONG | T::MYSQL_TYPE_INT24 if is_unsigned => {
            SqlValue::Int(u32::from_le_bytes(fields.array()?).into())
        }
        T::MYSQL_TYPE_LONG | T::MYSQL_TYPE_INT24 => SqlValue::Int(i32::from_le_bytes(fields.array()?).into()),
        T::MYSQL_TYPE_LONGLONG if is_unsigned => {
            let number = u64::from_le_bytes(fields.array()?);
            i64::try_from(number).map_or(SqlValue::UInt(number), SqlValue::Int)
        }
        T::MYSQL_TYPE_LONGLONG => SqlValue::Int(i64::from_le_bytes(fields.array()?)),
        T::MYSQL_TYPE_NULL => SqlValue::NULL,
        T::MYSQL_TYPE_DECIMAL
        | T::MYSQL_TYPE_NEWDECIMAL
        | T::MYSQL_TYPE_VARCHAR
        | T::MYSQL_TYPE_VAR_STRING
        | T::MYSQL_TYPE_STRING
        | T::MYSQL_TYPE_ENUM
        | T::MYSQL_TYPE_SET
        | T::MYSQL_TYPE_BIT
        | T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB
        | T::MYSQL_TYPE_BLOB => SqlValue::Bytes(fields.text()?.to_vec()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::mysql::wire::fields::push_length;
    use mysql_common::io::ParseBuf;
    use mysql_common::proto::{Binary, MySerialize as _, Text};
    use mysql_common::row::RowDeserializer;
    use mysql_common::value::ServerSide;
    use proptest::prelude::*;

    fn columns(kinds: &[(ColumnType, bool)]) -> Arc<[Column]> {
        kinds
            .iter()
            .map(|(kind, is_unsigned)| {
                let flags = if *is_unsigned {
                    ColumnFlags::UNSIGNED_FLAG
                } else {
                    ColumnFlags::empty()
                };
                Column::new(*kind).with_flags(flags)
            })
            .collect()
    }

    fn kind() -> impl Strategy<Value = (ColumnType, bool)> {
        use ColumnType as T;
        let kinds = [
            T::MYSQL_TYPE_TINY,
            T::MYSQL_TYPE_SHORT,
            T::MYSQL_TYPE_LONG,
            T::MYSQL_TYPE_INT24,
            T::MYSQL_TYPE_LONGLONG,
            T::MYSQL_TYPE_VAR_STRING,
            T::MYSQL_TYPE_BLOB,
            T::MYSQL_TYPE_NEWDECIMAL,
        ];
        (prop::sample::select(kinds.to_vec()), any::<bool>())
    }

    proptest! {
        /// The client library is the reference: what both read, both read to the same.
        #[test]
        fn rows_are_read_as_the_library_reads_them(
            kinds in prop::collection::vec(kind(), 1..12),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            starts_well: bool,
        ) {
            let columns = columns(&kinds);
            let binary = if starts_well { [&[0][..], &bytes].concat() } else { bytes.clone() };
            if let Some(row) = read_row(&binary, &columns, Encoding::Binary) {
                let theirs = ParseBuf(&binary).parse::<RowDeserializer<ServerSide, Binary>>(Arc::clone(&columns));
                let theirs: Row = theirs.expect("what we read").into();
                prop_assert_eq!(row.unwrap(), theirs.unwrap());
            }
            if let Some(row) = read_row(&bytes, &columns, Encoding::Text) {
                let theirs = ParseBuf(&bytes).parse::<RowDeserializer<(), Text>>(Arc::clone(&columns));
                let theirs: Row = theirs.expect("what we read").into();
                prop_assert_eq!(row.unwrap(), theirs.unwrap());
            }
        }

        #[test]
        fn values_come_back(numbers in prop::collection::vec(any::<Option<i64>>(), 1..20), text in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut kinds = vec![(ColumnType::MYSQL_TYPE_LONGLONG, false); numbers.len()];
            kinds.push((ColumnType::MYSQL_TYPE_BLOB, false));
            let mut values: Vec<SqlValue> = numbers.iter().map(|number| number.map_or(SqlValue::NULL, SqlValue::Int)).collect();
            values.push(SqlValue::Bytes(text.clone()));
            let mut nulls = vec![0_u8; (kinds.len() + 9) / 8];
            let mut body = Vec::new();
            let mut text_row = Vec::new();
            for (at, value) in values.iter().enumerate() {
                if *value == SqlValue::NULL {
                    nulls[(at + 2) / 8] |= 1 << ((at + 2) % 8);
                    text_row.push(NULL_COLUMN);
                    continue;
                }
                value.serialize(&mut body);
                let shown = match value { SqlValue::Bytes(bytes) => bytes.clone(), other => other.as_sql(true).into_bytes() };
                push_length(&mut text_row, shown.len());
                text_row.extend(shown);
            }
            let packet = [&[0][..], &nulls, &body].concat();
            let columns = columns(&kinds);
            prop_assert_eq!(read_row(&packet, &columns, Encoding::Binary).map(Row::unwrap), Some(values.clone()));
            let from_text = read_row(&text_row, &columns, Encoding::Text).map(Row::unwrap).expect("a row");
            for (read, value) in from_text.iter().zip(&values) {
                match value {
                    SqlValue::NULL => prop_assert_eq!(read, value),
                    SqlValue::Bytes(_) => prop_assert_eq!(read, value),
                    other => prop_assert_eq!(read, &SqlValue::Bytes(other.as_sql(true).into_bytes())),
                }
            }
        }
    }
}
