//! A table's name, with its database if one was given.

use std::fmt;

use crate::error::{Error, Result};

/// A table's name, with its database if one was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    database: Option<String>,
    table: String,
}

impl TableName {
    /// Reads `table` or `database.table`.
    ///
    /// # Errors
    ///
    /// An empty name, one with a NUL byte, or one longer than the 64 characters that a server
    /// takes: <https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html>.
    pub fn parse(name: &str) -> Result<Self> {
        let (database, table) = match name.split_once('.') {
            Some((database, table)) => (Some(database), table),
            None => (None, name),
        };
        let fits = |part: &str| !part.is_empty() && part.chars().count() <= 64 && !part.contains(['\0', '.']);
        if !fits(table) || !database.is_none_or(fits) {
            return Err(Error::config(format!(
                "{name:?} is no table name: give `table` or `database.table`, up to 64 characters each"
            )));
        }
        Ok(Self {
            database: database.map(str::to_owned),
            table: table.to_owned(),
        })
    }

    /// The database, if one was given.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The table without its database.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(formatter, "{database}.")?;
        }
        formatter.write_str(&self.table)
    }
}
