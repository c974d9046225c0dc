//! What the server says of a table: its columns and unique indexes.

use crate::table::column::Column;

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

/// What the server says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSchema {
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// All unique indexes, the primary key first.
    pub unique_indexes: Vec<UniqueIndex>,
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
