//! A table's name: one value for one table, however it is spelled.
//!
//! `t`, `` `t` `` and, in a buffer whose connection uses the database `shop`, `shop.t` and
//! `` `shop`.`t` `` are one name. Whether letter case matters only the server knows: see
//! [`crate::table::entry::TableEntry::case_twin`].

use std::fmt;

use crate::error::{Error, Result};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    database: Option<String>,
    table: String,
}

impl TableName {
    /// Reads `table` or `database.table`. Either part may stand in backticks, as in SQL: so a name
    /// with a dot can be given.
    ///
    /// # Errors
    ///
    /// An empty name, one with a NUL byte, or one longer than the 64 characters that a server
    /// takes: <https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html>.
    pub fn parse(name: &str) -> Result<Self> {
        let wrong = || {
            Error::config(format!(
                "{name:?} is no table name: give `table` or `database.table`, up to 64 characters each; \
                 put a name that has a dot in backticks"
            ))
        };
        let (first, rest) = read_part(name).ok_or_else(wrong)?;
        let (database, table) = match rest.strip_prefix('.') {
            Some(rest) => match read_part(rest).ok_or_else(wrong)? {
                (table, "") => (Some(first), table),
                _ => return Err(wrong()),
            },
            None if rest.is_empty() => (None, first),
            None => return Err(wrong()),
        };
        let fits = |part: &str| !part.is_empty() && part.chars().count() <= 64 && !part.contains('\0');
        if !fits(&table) || !database.as_deref().is_none_or(fits) {
            return Err(wrong());
        }
        Ok(Self { database, table })
    }

    /// A name that a server shows.
    pub fn of_parts(database: Option<&str>, table: &str) -> Self {
        Self {
            database: database.map(str::to_owned),
            table: table.to_owned(),
        }
    }

    /// The same name for a connection that uses this database: without it, if it is the same.
    #[must_use]
    pub fn within(mut self, database: Option<&str>) -> Self {
        if self.database.as_deref() == database {
            self.database = None;
        }
        self
    }

    /// The database, if it is not the connection's own.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The table without its database.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The name without regard to letter case: what a server sees that does not regard it.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self {
            database: self.database.as_deref().map(str::to_lowercase),
            table: self.table.to_lowercase(),
        }
    }
}

/// Reads one part of a name. Returns it, and what follows.
fn read_part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('`') else {
        let end = text.find('.').unwrap_or(text.len());
        let (part, rest) = text.split_at_checked(end)?;
        return Some((part.to_owned(), rest));
    };
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('`')?;
        part.push_str(before);
        match after.strip_prefix('`') {
            // Two backticks stand for one.
            Some(after) => {
                part.push('`');
                rest = after;
            }
            None => return Some((part, after)),
        }
    }
}

impl fmt::Display for TableName {
    /// What [`Self::parse`] reads as the same name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(formatter, "{}.", Part(database))?;
        }
        write!(formatter, "{}", Part(&self.table))
    }
}

/// A part of a name, in backticks if it would be read otherwise without.
struct Part<'a>(&'a str);

impl fmt::Display for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains('.') || self.0.starts_with('`') {
            write!(formatter, "`{}`", self.0.replace('`', "``"))
        } else {
            formatter.write_str(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_has_one_name_however_it_is_spelled() {
        for (spelled, database, table) in [
            ("t", None, "t"),
            ("`t`", None, "t"),
            ("shop.t", None, "t"),
            ("`shop`.`t`", None, "t"),
            ("shop.`t`", None, "t"),
            ("other.t", Some("other"), "t"),
            ("`a.b`", None, "a.b"),
            ("`x.y`.`a``b.c`", Some("x.y"), "a`b.c"),
            ("bal`s", None, "bal`s"),
            ("Shop.t", Some("Shop"), "t"),
        ] {
            let name = TableName::parse(spelled).expect(spelled).within(Some("shop"));
            assert_eq!((name.database(), name.table()), (database, table), "{spelled}");
            let shown = TableName::parse(&name.to_string()).expect("shown as it is read");
            assert_eq!(shown, name, "{spelled}");
        }
    }

    #[test]
    fn what_no_server_takes_is_refused() {
        let long = "x".repeat(65);
        for spelled in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "`a",
            "`a`b",
            "`a`.",
            "a\0",
            &long,
            "``",
            "`a`.`b`.c",
        ] {
            let spelled = spelled.replace("\\0", "\0");
            assert!(TableName::parse(&spelled).is_err(), "{spelled}");
        }
    }
}
