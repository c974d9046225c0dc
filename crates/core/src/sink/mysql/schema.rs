//! Reads a table's columns and unique indexes from `information_schema`.

use mysql::prelude::Queryable;
use mysql::{Conn, Value as SqlValue};

use crate::table::column::{Column, ColumnKind, TextKind};
use crate::table::name::TableName;
use crate::table::schema::{TableSchema, UniqueIndex};
use crate::value::decimal::Decimal;

/// What reading a schema needs to know of the session.
#[derive(Debug, Clone, Copy)]
pub struct ServerTraits {
    /// The server is MariaDB, which writes a default as an expression: `NULL`, `'text'`.
    pub is_mariadb: bool,
    /// The session has `STRICT_TRANS_TABLES` or `STRICT_ALL_TABLES`.
    pub is_strict: bool,
}

/// Reads a table's schema. It has no columns if there is no such table, or the account may not see
/// it.
pub fn read(conn: &mut Conn, name: &TableName, traits: ServerTraits) -> mysql::Result<TableSchema> {
    let quote = |text: &str| SqlValue::Bytes(text.as_bytes().to_vec()).as_sql(conn.no_backslash_escape());
    let database = name.database().map_or_else(|| "DATABASE()".to_owned(), quote);
    let table = quote(name.table());
    let columns = conn.query_map(
        format!(
            "SELECT COLUMN_NAME, LOWER(DATA_TYPE), IS_NULLABLE, COLUMN_DEFAULT, LOWER(EXTRA), NUMERIC_SCALE, \
             DATETIME_PRECISION, CHARACTER_MAXIMUM_LENGTH, COLLATION_NAME FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {database} AND TABLE_NAME = {table} ORDER BY ORDINAL_POSITION"
        ),
        |row: ColumnRow| {
            let is_made_up = row.is_made_up_key(traits);
            (row.into_column(traits), is_made_up)
        },
    )?;
    // The primary key that MySQL adds to a table without one is the server's, and no row's: its
    // numbers mean nothing to whoever sends rows.
    // <https://dev.mysql.com/doc/refman/8.4/en/create-table-gipks.html>.
    let is_key_made_up = columns.iter().any(|(_, is_made_up)| *is_made_up);
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    let parts: Vec<(String, Option<String>, Option<u64>)> = conn.query(format!(
        "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = {database} AND TABLE_NAME = {table} AND NON_UNIQUE = 0 \
         ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
    ))?;
    let mut unique_indexes: Vec<UniqueIndex> = Vec::new();
    for (name, column, prefix) in parts {
        let whole = prefix.is_none();
        match unique_indexes.last_mut() {
            Some(index) if index.name == name => {
                index.columns.push(column);
                index.whole_columns &= whole;
            }
            _ => unique_indexes.push(UniqueIndex {
                name,
                columns: vec![column],
                whole_columns: whole,
            }),
        }
    }
    if is_key_made_up {
        unique_indexes.retain(|index| index.name != "PRIMARY");
    }
    Ok(TableSchema {
        columns,
        unique_indexes,
        is_strict: traits.is_strict,
    })
}

/// A row of `information_schema.COLUMNS`, in the order of the query.
type ColumnFields = (
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<String>,
);

struct ColumnRow(ColumnFields);

impl mysql::prelude::FromRow for ColumnRow {
    fn from_row_opt(row: mysql::Row) -> Result<Self, mysql::FromRowError> {
        ColumnFields::from_row_opt(row).map(Self)
    }
}

impl ColumnRow {
    fn is_made_up_key(&self, traits: ServerTraits) -> bool {
        let (name, _, _, _, extra, ..) = &self.0;
        !traits.is_mariadb && name == "my_row_id" && extra.as_deref().is_some_and(|extra| extra.contains("invisible"))
    }

    fn into_column(self, traits: ServerTraits) -> Column {
        let (name, data_type, nullable, default, extra, scale, precision, length, collation) = self.0;
        let extra = extra.unwrap_or_default();
        let is_nullable = nullable == "YES";
        let default = default.filter(|text| !(traits.is_mariadb && text.eq_ignore_ascii_case("NULL")));
        let is_auto = extra.contains("auto_increment");
        // MySQL marks an expression default with DEFAULT_GENERATED, which is not a generated
        // column.
        let is_generated = extra.contains("virtual") || extra.contains("stored") || extra.contains("persistent");
        // An ENUM without a default takes its first member, also in strict mode:
        // <https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html>.
        let has_implicit_default = !is_nullable && !is_auto && (data_type == "enum" || !traits.is_strict);
        let has_default = default.is_some() || is_generated || has_implicit_default;
        Column {
            is_required: !is_nullable && !is_auto && !has_default,
            is_filled_uniquely: is_auto || (is_nullable && !has_default),
            has_default,
            has_nonzero_default: default.as_deref().is_some_and(|text| !is_zero(text)),
            kind: kind(
                &data_type,
                size(scale),
                size(precision),
                size(length),
                collation.as_deref(),
            ),
            name,
        }
    }
}

fn size(number: Option<u64>) -> usize {
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

fn is_zero(default: &str) -> bool {
    Decimal::parse(default.trim_matches('\'').as_bytes()).is_some_and(|number| number == Decimal::from(0))
}

fn kind(data_type: &str, scale: usize, precision: usize, length: usize, collation: Option<&str>) -> ColumnKind {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => ColumnKind::Integer,
        "decimal" => ColumnKind::Decimal { scale },
        "float" | "double" => ColumnKind::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            ColumnKind::Text(TextKind::from_collation(collation.unwrap_or_default(), length))
        }
        "binary" => ColumnKind::Binary { padded: true },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnKind::Binary { padded: false },
        "date" => ColumnKind::Date,
        "datetime" | "timestamp" => ColumnKind::DateTime { precision },
        "time" => ColumnKind::Time { precision },
        _ => ColumnKind::Other,
    }
}
