//! Reads from a server what a table is: its definition, columns, keys, references, triggers and
//! engine.
//!
//! Invariants:
//! - What is read belongs together. The definition is read first and last; if it changed in
//!   between, all is read anew.
//! - A name is asked for in hexadecimal, and comes back as bytes: the session's character set and
//!   `sql_mode` have no part in it. Only the definition is a text of the session's. The caller has
//!   checked that the table's name may stand in a statement.
//!
//! Bounds: seven statements a table, [`READS_MAX`] times at most.

use std::sync::Arc;

use mysql::Row;

use crate::error::codes;
use crate::sink::mysql::column_row::{ColumnRow, FIELDS};
use crate::sink::mysql::examined::Examined;
use crate::sink::mysql::sql::{quote_table, text_literal};
use crate::sink::mysql::traits::ServerTraits;
use crate::sink::mysql::wire::conn::Conn;
use crate::table::name::TableName;
use crate::table::name_charset::NameCharset;
use crate::table::schema::{ForeignKey, TableSchema, UniqueIndex};
use crate::table::trigger::Triggers;

/// A table that is altered again and again while it is read: the last reading is taken, and
/// verified when it is written to.
const READS_MAX: usize = 3;

/// A table on a server.
#[derive(Debug)]
pub struct FoundTable {
    /// What it is. Without columns: there is no such table, or the account may not see it.
    pub schema: TableSchema,
    /// Its engine, if that has no transactions.
    pub engine_without_transactions: Option<String>,
    /// There is no such table, but the connection's database has one whose name has the dot that
    /// was read as the end of a database's name.
    pub has_dotted_twin: bool,
}

/// A name's database and table, as literals in a WHERE.
#[derive(Debug)]
struct Place {
    database: String,
    table: String,
}

impl Place {
    fn new(database: &str, table: &str) -> Self {
        Self {
            database: text_literal(database),
            table: text_literal(table),
        }
    }

    /// A condition, by the columns that hold the two.
    fn is(&self, database: &str, table: &str) -> String {
        format!("{database} = {} AND {table} = {}", self.database, self.table)
    }
}

/// The statement that shows a table's definition.
pub fn definition_sql(name: &TableName) -> String {
    format!("SHOW CREATE TABLE {}", quote_table(name))
}

/// A table's definition without what rows change: the next number of its `AUTO_INCREMENT` column.
pub fn definition_of(shown: &str) -> String {
    const NEXT_NUMBER: &str = " AUTO_INCREMENT=";
    // The table's options follow its last column's line.
    let options = shown.rfind("\n)").unwrap_or(0);
    let Some(at) = shown.get(options..).and_then(|options| options.find(NEXT_NUMBER)) else {
        return shown.to_owned();
    };
    let (before, after) = shown.split_at(options + at);
    let rest = after.get(NEXT_NUMBER.len()..).unwrap_or_default();
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    format!("{before}{}", rest.get(end..).unwrap_or_default())
}

/// Reads a table. `database` is the connection's, for a name without one.
pub fn read(conn: &mut Conn, name: &TableName, database: &str, traits: ServerTraits) -> mysql::Result<FoundTable> {
    // MySQL reads its own views in the session's character set: in swe7 their backticks are
    // letters.
    let is_swe7 = traits.names == NameCharset::Swe7;
    if is_swe7 {
        conn.query_drop("SET character_set_client = latin1")?;
    }
    let found = read_as_it_is(conn, name, database, traits);
    if is_swe7 {
        conn.query_drop("SET character_set_client = swe7")?;
    }
    found
}

fn read_as_it_is(conn: &mut Conn, name: &TableName, database: &str, traits: ServerTraits) -> mysql::Result<FoundTable> {
    let mut definition = read_definition(conn, name)?;
    for _ in 1..READS_MAX {
        let found = read_once(conn, name, database, traits, definition.as_deref())?;
        let now = read_definition(conn, name)?;
        if now == definition {
            return Ok(found);
        }
        definition = now;
    }
    read_once(conn, name, database, traits, definition.as_deref())
}

/// `None`: there is no such table, or the account may not see its definition.
fn read_definition(conn: &mut Conn, name: &TableName) -> mysql::Result<Option<String>> {
    let shown: Option<Row> = match conn.query_first(definition_sql(name)) {
        Err(mysql::Error::MySqlError(error)) if codes::hides_table(error.code) => None,
        shown => shown?,
    };
    let text = shown.and_then(|mut row| row.take_opt::<Vec<u8>, _>(1)?.ok());
    Ok(text.map(|text| definition_of(&String::from_utf8_lossy(&text))))
}

fn read_once(
    conn: &mut Conn,
    name: &TableName,
    database: &str,
    traits: ServerTraits,
    definition: Option<&str>,
) -> mysql::Result<FoundTable> {
    let place = &Place::new(name.database().unwrap_or(database), name.table());
    let rows: Vec<Row> = conn.query(format!(
        "SELECT {FIELDS} FROM information_schema.COLUMNS WHERE {} ORDER BY ORDINAL_POSITION",
        place.is("TABLE_SCHEMA", "TABLE_NAME")
    ))?;
    let rows: Vec<ColumnRow> = rows.into_iter().map(ColumnRow::of).collect();
    let is_there = !rows.is_empty();
    let is_key_made_up = rows.iter().any(|row| row.is_made_up_key(traits));
    let (periods, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(ColumnRow::is_row_period);
    let columns: Vec<_> = rows.into_iter().map(|row| row.into_column(traits)).collect();
    let mut unique_indexes = unique_indexes(conn, place)?;
    if is_key_made_up {
        unique_indexes.retain(|index| index.name != "PRIMARY");
    }
    // The end of a row's time is the same for all rows that are there now.
    for index in &mut unique_indexes {
        let is_there = |name: &String| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        index.columns.retain(|column| column.as_ref().is_none_or(is_there));
    }
    let examined = match definition {
        Some(definition) => {
            let examined = Examined::of(definition);
            // Outside Unicode the definition does not show whose name it is.
            let is_examined = |name: &String| examined.has(name) || !(traits.is_unicode_session || name.is_ascii());
            columns
                .iter()
                .map(|column| column.name.clone())
                .filter(is_examined)
                .collect()
        }
        None => columns.iter().map(|column| column.name.clone()).collect(),
    };
    let keeps_history =
        !periods.is_empty() || definition.is_some_and(|definition| definition.contains("WITH SYSTEM VERSIONING"));
    Ok(FoundTable {
        schema: TableSchema {
            unique_indexes,
            foreign_keys: foreign_keys(conn, place, database)?,
            examined,
            triggers: triggers(conn, name, place)?,
            keeps_history,
            definition: definition.filter(|text| is_exact(text)).map(Arc::from),
            names: traits.names,
            makes_number_for_zero: traits.makes_number_for_zero,
            is_strict: traits.is_strict,
            columns,
        },
        has_dotted_twin: !is_there && has_dotted_twin(conn, name, database)?,
        engine_without_transactions: engine_in(conn, place)?,
    })
}

/// Whether a definition came whole. Another character set than UTF-8 leaves marks in it.
fn is_exact(definition: &str) -> bool {
    !definition.contains(char::REPLACEMENT_CHARACTER)
}

fn has_dotted_twin(conn: &mut Conn, name: &TableName, database: &str) -> mysql::Result<bool> {
    let Some(first) = name.database() else {
        return Ok(false);
    };
    let twin = Place::new(database, &format!("{first}.{}", name.table()));
    let twins: Option<u64> = conn.query_first(format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE {}",
        twin.is("TABLE_SCHEMA", "TABLE_NAME")
    ))?;
    Ok(twins.is_some_and(|twins| twins > 0))
}

fn unique_indexes(conn: &mut Conn, place: &Place) -> mysql::Result<Vec<UniqueIndex>> {
    let parts: Vec<(String, Option<String>, Option<u64>)> = conn.query(format!(
        "SELECT CAST(INDEX_NAME AS BINARY), CAST(COLUMN_NAME AS BINARY), SUB_PART FROM information_schema.STATISTICS \
         WHERE {} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
        place.is("TABLE_SCHEMA", "TABLE_NAME")
    ))?;
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for (name, column, prefix) in parts {
        let whole = prefix.is_none();
        match indexes.last_mut() {
            Some(index) if index.name == name => {
                index.columns.push(column);
                index.whole_columns &= whole;
            }
            _ => indexes.push(UniqueIndex {
                name,
                columns: vec![column],
                whole_columns: whole,
            }),
        }
    }
    Ok(indexes)
}

fn foreign_keys(conn: &mut Conn, place: &Place, database: &str) -> mysql::Result<Vec<ForeignKey>> {
    let parts: Vec<(String, String, String, String, String)> = conn.query(format!(
        "SELECT CAST(CONSTRAINT_NAME AS BINARY), CAST(COLUMN_NAME AS BINARY), CAST(REFERENCED_TABLE_SCHEMA AS BINARY), \
         CAST(REFERENCED_TABLE_NAME AS BINARY), CAST(REFERENCED_COLUMN_NAME AS BINARY) \
         FROM information_schema.KEY_COLUMN_USAGE WHERE {} AND REFERENCED_TABLE_NAME IS NOT NULL \
         ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION",
        place.is("TABLE_SCHEMA", "TABLE_NAME")
    ))?;
    let mut keys: Vec<ForeignKey> = Vec::new();
    let mut last = None;
    for (constraint, column, other_database, table, referenced) in parts {
        if last.as_ref() != Some(&constraint) {
            keys.push(ForeignKey {
                columns: Vec::new(),
                table: TableName::of_parts(Some(&other_database), &table).within(Some(database)),
                referenced: Vec::new(),
            });
            last = Some(constraint);
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(column);
            key.referenced.push(referenced);
        }
    }
    Ok(keys)
}

/// An account sees the triggers of the tables that it has the right TRIGGER on.
fn triggers(conn: &mut Conn, name: &TableName, place: &Place) -> mysql::Result<Triggers> {
    let texts: Vec<Option<String>> = conn.query(format!(
        "SELECT CAST(ACTION_STATEMENT AS BINARY) FROM information_schema.TRIGGERS WHERE {}",
        place.is("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE")
    ))?;
    if texts.is_empty() {
        return Ok(Triggers::None);
    }
    let Some(texts) = texts.into_iter().collect::<Option<Vec<_>>>() else {
        // Some are not shown.
        return Ok(Triggers::Any);
    };
    // What they write to may pass it on.
    let indirect: Vec<String> = conn.query(
        "SELECT CAST(EVENT_OBJECT_TABLE AS BINARY) FROM information_schema.TRIGGERS \
         UNION SELECT CAST(TABLE_NAME AS BINARY) FROM information_schema.VIEWS \
         WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')",
    )?;
    Ok(Triggers::of(name, &texts, &indirect))
}

/// A table's engine, unless it has transactions. A view has none of its own.
pub(super) fn engine_without_transactions(
    conn: &mut Conn,
    name: &TableName,
    database: &str,
) -> mysql::Result<Option<String>> {
    engine_in(conn, &Place::new(name.database().unwrap_or(database), name.table()))
}

fn engine_in(conn: &mut Conn, place: &Place) -> mysql::Result<Option<String>> {
    let found: Option<(Option<String>, Option<String>)> = conn.query_first(format!(
        "SELECT T.ENGINE, E.TRANSACTIONS FROM information_schema.TABLES AS T \
         LEFT JOIN information_schema.ENGINES AS E ON E.ENGINE = T.ENGINE WHERE {}",
        place.is("T.TABLE_SCHEMA", "T.TABLE_NAME")
    ))?;
    Ok(match found {
        Some((Some(engine), transactions)) if transactions.as_deref() != Some("YES") => Some(engine),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_without_the_next_number() {
        for (shown, expected) in [
            (
                "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB AUTO_INCREMENT=17 DEFAULT CHARSET=utf8mb4",
                "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            ),
            (
                "CREATE TABLE `t` (\n  `id` int COMMENT ' AUTO_INCREMENT=5'\n) ENGINE=InnoDB",
                "CREATE TABLE `t` (\n  `id` int COMMENT ' AUTO_INCREMENT=5'\n) ENGINE=InnoDB",
            ),
            ("", ""),
        ] {
            assert_eq!(definition_of(shown), expected);
        }
    }
}
