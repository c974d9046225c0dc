//! What the server says of a table: its columns, its unique indexes, and all else that decides
//! whether its rows may be merged and sorted.

use std::sync::Arc;

use crate::table::column::Column;
use crate::table::name::TableName;
use crate::table::name_charset::NameCharset;
use crate::table::trigger::Triggers;

/// A unique index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIndex {
    /// The index's name; `PRIMARY` for the primary key.
    pub name: String,
    /// Its columns, in order. `None` stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it covers whole columns. An index over a prefix does not tell rows apart by their
    /// values.
    pub whole_columns: bool,
}

impl UniqueIndex {
    pub(super) fn is_on(&self, key: &[String]) -> bool {
        self.whole_columns
            && self.columns.len() == key.len()
            && key.iter().all(|wanted| {
                self.columns.iter().any(|column| {
                    column
                        .as_ref()
                        .is_some_and(|column| column.eq_ignore_ascii_case(wanted))
                })
            })
    }

    pub(super) fn describe(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.as_deref().unwrap_or("an expression"))
            .collect();
        format!("{} ({})", self.name, columns.join(", "))
    }
}

/// Columns of a table that refer to another one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns here.
    pub columns: Vec<String>,
    /// The other table: without a database if it is the connection's.
    pub table: TableName,
    /// The columns there, in the same order.
    pub referenced: Vec<String>,
}

/// What the server says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSchema {
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// All unique indexes, the primary key first.
    pub unique_indexes: Vec<UniqueIndex>,
    /// What it refers to.
    pub foreign_keys: Vec<ForeignKey>,
    /// Columns that the server looks at beside storing them: in a CHECK, a generated column,
    /// another column's default, a period, or an index over an expression.
    pub examined: Vec<String>,
    /// They may run for each row, and may see each version of it.
    pub triggers: Triggers,
    /// Each version of a row stays visible: a system-versioned table.
    pub keeps_history: bool,
    /// The table's definition as the server shows it, without what rows change. `None`: the account
    /// may not see it.
    pub definition: Option<Arc<str>>,
    /// The server takes 0 in an `AUTO_INCREMENT` column for NULL, and makes a number
    /// (`NO_AUTO_VALUE_ON_ZERO` is not set).
    pub makes_number_for_zero: bool,
    /// The names of columns that may stand in the session's statements.
    pub names: NameCharset,
    /// Whether the session is strict: it refuses a value that does not fit. Otherwise the server
    /// makes it fit, and two keys that differ here may be one in the table.
    pub is_strict: bool,
}

impl TableSchema {
    /// The column of that name; the server compares column names without case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }
}
