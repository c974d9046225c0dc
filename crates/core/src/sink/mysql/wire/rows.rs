//! Rows of results, in the text protocol: nothing that is prepared has a result.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html>.

use std::sync::Arc;

use mysql::consts::ColumnType;
use mysql::{Column, Row, Value as SqlValue};
use mysql_common::row::new_row;

use crate::sink::mysql::wire::fields::{Fields, NULL_COLUMN};

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
    let _flags = fields.u16()?;
    Some(Column::new(kind))
}

/// Reads a row. `None`: it is none of these columns.
pub fn read_row(packet: &[u8], columns: &Arc<[Column]>) -> Option<Row> {
    let values = text_values(packet, columns.len())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::mysql::wire::fields::push_length;
    use mysql_common::io::ParseBuf;
    use mysql_common::proto::Text;
    use mysql_common::row::RowDeserializer;
    use proptest::prelude::*;

    fn columns(count: usize) -> Arc<[Column]> {
        (0..count).map(|_| Column::new(ColumnType::MYSQL_TYPE_BLOB)).collect()
    }

    proptest! {
        /// The client library is the reference: what both read, both read to the same.
        #[test]
        fn rows_are_read_as_the_library_reads_them(
            count in 1_usize..12,
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let columns = columns(count);
            if let Some(row) = read_row(&bytes, &columns) {
                let theirs = ParseBuf(&bytes).parse::<RowDeserializer<(), Text>>(Arc::clone(&columns));
                let theirs: Row = theirs.expect("what we read").into();
                prop_assert_eq!(row.unwrap(), theirs.unwrap());
            }
        }

        #[test]
        fn values_come_back(values in prop::collection::vec(any::<Option<Vec<u8>>>(), 1..20)) {
            let mut packet = Vec::new();
            for value in &values {
                match value {
                    None => packet.push(NULL_COLUMN),
                    Some(text) => {
                        push_length(&mut packet, text.len());
                        packet.extend(text);
                    }
                }
            }
            let expected: Vec<_> = values.iter().cloned().map(|value| value.map_or(SqlValue::NULL, SqlValue::Bytes)).collect();
            let columns = columns(values.len());
            prop_assert_eq!(read_row(&packet, &columns).map(Row::unwrap), Some(expected));
            packet.push(NULL_COLUMN);
            prop_assert!(read_row(&packet, &columns).is_none(), "a value more than columns");
        }
    }
}
