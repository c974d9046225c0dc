//! A row of `information_schema.COLUMNS`, read as a [`Column`].

use std::sync::Arc;

use mysql::Row;
use mysql::prelude::FromValue;

use crate::sink::mysql::traits::ServerTraits;
use crate::table::column::{Column, ColumnKind, TextKind};
use crate::table::domain::{Domain, Repertoire};
use crate::value::decimal::Decimal;

/// The columns that are asked for, in the order of [`ColumnRow`]'s fields. As bytes a name comes as
/// the UTF-8 that it is to the server, whatever the session's character set is.
pub const FIELDS: &str = "CAST(COLUMN_NAME AS BINARY), LOWER(DATA_TYPE), IS_NULLABLE, COLUMN_DEFAULT, LOWER(EXTRA), \
     NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_MAXIMUM_LENGTH, COLLATION_NAME, COLUMN_TYPE";

/// See the module.
#[derive(Debug)]
pub struct ColumnRow {
    name: String,
    data_type: String,
    is_nullable: bool,
    default: Option<String>,
    extra: String,
    precision: usize,
    scale: usize,
    fraction: usize,
    length: usize,
    collation: String,
    full_type: String,
}

impl ColumnRow {
    /// Reads the fields.
    pub fn of(mut row: Row) -> Self {
        let mut at = 0..;
        let mut next = move || at.next().unwrap_or(usize::MAX);
        Self {
            name: text(&mut row, next()),
            data_type: text(&mut row, next()),
            is_nullable: text(&mut row, next()) == "YES",
            default: lossy(&mut row, next()),
            extra: text(&mut row, next()),
            precision: size(&mut row, next()),
            scale: size(&mut row, next()),
            fraction: size(&mut row, next()),
            length: size(&mut row, next()),
            collation: text(&mut row, next()),
            full_type: text(&mut row, next()),
        }
    }

    /// Whether the server added the column for a primary key that the table has not:
    /// <https://dev.mysql.com/doc/refman/8.4/en/create-table-gipks.html>. Its numbers mean nothing
    /// to whoever sends rows.
    pub fn is_made_up_key(&self, traits: ServerTraits) -> bool {
        !traits.is_mariadb && self.name == "my_row_id" && self.extra.contains("invisible")
    }

    /// Whether the column is the begin or the end of a row's time in a system-versioned table.
    pub fn is_row_period(&self) -> bool {
        self.extra.contains("row start") || self.extra.contains("row end")
    }

    fn is_unsigned(&self) -> bool {
        self.full_type.contains("unsigned")
    }

    /// Whether the default is an expression. MariaDB says so by not quoting it.
    fn is_computed(&self, traits: ServerTraits) -> bool {
        traits.is_mariadb || self.extra.contains("default_generated")
    }

    /// The column.
    pub fn into_column(self, traits: ServerTraits) -> Column {
        let default = self
            .default
            .as_deref()
            .filter(|text| !(traits.is_mariadb && text.eq_ignore_ascii_case("NULL")));
        let is_auto_increment = self.extra.contains("auto_increment");
        // MySQL marks an expression default with DEFAULT_GENERATED, which is not a generated
        // column.
        let is_generated = ["virtual", "stored", "persistent"]
            .iter()
            .any(|word| self.extra.contains(word));
        // An ENUM without a default takes its first member, also in strict mode:
        // <https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html>.
        let has_implicit_default =
            !self.is_nullable && !is_auto_increment && (self.data_type == "enum" || !traits.is_strict);
        let has_default = default.is_some() || is_generated || has_implicit_default;
        Column {
            domain: self.domain(traits),
            is_nullable: self.is_nullable && !is_auto_increment,
            is_auto_increment,
            is_set_on_update: self.extra.contains("on update"),
            is_required: !self.is_nullable && !is_auto_increment && !has_default,
            is_filled_uniquely: is_auto_increment || (self.is_nullable && !has_default),
            has_default,
            has_nonzero_default: default.is_some_and(|text| !is_zero(text)),
            tells_order: is_auto_increment || default.is_some_and(|text| self.is_computed(traits) && counts(text)),
            kind: self.kind(),
            takes_text: matches!(self.data_type.as_str(), "enum" | "set" | "json"),
            collation: is_plain_name(&self.collation).then(|| Arc::from(self.collation.as_str())),
            name: self.name,
        }
    }

    fn kind(&self) -> ColumnKind {
        match self.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => ColumnKind::Integer,
            "decimal" => ColumnKind::Decimal { scale: self.scale },
            "float" | "double" => ColumnKind::Float,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                ColumnKind::Text(TextKind::from_collation(&self.collation, self.length))
            }
            "binary" => ColumnKind::Binary {
                padded_to: Some(self.length),
            },
            "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnKind::Binary { padded_to: None },
            "date" => ColumnKind::Date,
            "datetime" | "timestamp" => ColumnKind::DateTime {
                precision: self.fraction,
            },
            "time" => ColumnKind::Time {
                precision: self.fraction,
            },
            "bit" => ColumnKind::Bit,
            _ => ColumnKind::Other,
        }
    }

    fn domain(&self, traits: ServerTraits) -> Domain {
        let rounds_up_to_zero = traits.is_mariadb;
        let integer = |bits: u32| {
            if self.is_unsigned() {
                let max = (1 << bits) - 1;
                Domain::Integer {
                    min: 0,
                    max,
                    rounds_up_to_zero,
                }
            } else {
                let half = 1 << (bits - 1);
                Domain::Integer {
                    min: -half,
                    max: half - 1,
                    rounds_up_to_zero,
                }
            }
        };
        match self.data_type.as_str() {
            "tinyint" => integer(8),
            "smallint" => integer(16),
            "mediumint" => integer(24),
            "int" => integer(32),
            "bigint" => integer(64),
            "decimal" => Domain::Decimal {
                whole_digits: self.precision.saturating_sub(self.scale),
                scale: self.scale,
                is_unsigned: self.is_unsigned(),
            },
            "float" | "double" => Domain::Float {
                is_unsigned: self.is_unsigned(),
                is_single: self.data_type == "float",
            },
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Domain::Text {
                max_bytes: self.length,
                repertoire: if traits.is_unicode_session {
                    repertoire(&self.collation)
                } else {
                    Repertoire::Ascii
                },
            },
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                Domain::Binary { max_bytes: self.length }
            }
            "date" | "datetime" | "timestamp" if traits.allows_invalid_dates => Domain::Unknown,
            "date" => Domain::Date,
            "datetime" => Domain::DateTime,
            "timestamp" => Domain::Timestamp {
                has_fixed_zone: traits.has_fixed_zone,
            },
            "enum" => Domain::Enum(members(&self.full_type, "enum")),
            "set" => Domain::Set(members(&self.full_type, "set")),
            "year" => Domain::Year,
            _ => Domain::Unknown,
        }
    }
}

/// Whether a name can stand in a statement as it is.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The characters of a collation's character set.
fn repertoire(collation: &str) -> Repertoire {
    match collation.split('_').next() {
        Some("utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030") => Repertoire::Unicode,
        Some("utf8" | "utf8mb3" | "ucs2") => Repertoire::BasicPlane,
        Some("latin1") => Repertoire::Latin1,
        _ => Repertoire::Ascii,
    }
}

/// The members of `enum('a','b''c')`, or of a `set`. None if another character set hides them.
fn members(full_type: &str, keyword: &str) -> Arc<[Box<str>]> {
    let list = full_type.strip_prefix(keyword).and_then(|list| list.strip_prefix("('"));
    match list.and_then(|list| list.strip_suffix("')")) {
        Some(list) if !list.contains(char::REPLACEMENT_CHARACTER) => {
            let members = list.split("','").map(|member| Box::from(member.replace("''", "'")));
            members.collect()
        }
        _ => Arc::default(),
    }
}

fn take<T: FromValue>(row: &mut Row, at: usize) -> Option<T> {
    row.take_opt::<Option<T>, _>(at)?.ok()?
}

/// A text of the session's character set. Only its ASCII letters count.
fn lossy(row: &mut Row, at: usize) -> Option<String> {
    let bytes: Vec<u8> = take(row, at)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn text(row: &mut Row, at: usize) -> String {
    lossy(row, at).unwrap_or_default()
}

fn size(row: &mut Row, at: usize) -> usize {
    let number: Option<u64> = take(row, at);
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

/// Whether a default may count: it calls a function that is not known to give the same values in
/// any order.
fn counts(default: &str) -> bool {
    const FUNCTIONS: [&str; 40] = [
        "",
        "abs",
        "cast",
        "ceil",
        "ceiling",
        "char",
        "coalesce",
        "concat",
        "convert",
        "curdate",
        "current_timestamp",
        "current_user",
        "curtime",
        "date",
        "date_format",
        "floor",
        "from_unixtime",
        "greatest",
        "hex",
        "if",
        "ifnull",
        "json_array",
        "json_object",
        "lcase",
        "least",
        "left",
        "lower",
        "now",
        "point",
        "rand",
        "right",
        "round",
        "trim",
        "ucase",
        "unhex",
        "unix_timestamp",
        "upper",
        "user",
        "utc_timestamp",
        "uuid",
    ];
    if default.starts_with('\'') {
        return false;
    }
    let default = default.to_ascii_lowercase();
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    default.match_indices('(').any(|(at, _)| {
        let before = default.get(..at).unwrap_or_default();
        let function = before.rsplit(|letter| !is_of_word(letter)).next().unwrap_or_default();
        !FUNCTIONS.contains(&function)
    })
}

fn is_zero(default: &str) -> bool {
    Decimal::parse(default.trim_matches('\'').as_bytes()).is_some_and(|number| number.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_counts_unless_it_is_known_not_to() {
        for (default, expected) in [
            ("0", false),
            ("'nextval('", false),
            ("NULL", false),
            ("current_timestamp(6)", false),
            ("CURRENT_TIMESTAMP", false),
            ("(`a` + 1)", false),
            ("json_object()", false),
            ("uuid()", false),
            ("nextval(`d`.`s`)", true),
            ("uuid_short()", true),
            ("uuid_to_bin(uuid(),1)", true),
            ("(1 + nextval(`d`.`s`))", true),
            ("UUID_SHORT()", true),
        ] {
            assert_eq!(counts(default), expected, "{default}");
        }
    }

    #[test]
    fn members_are_read_as_they_are_written() {
        for (full_type, keyword, expected) in [
            ("enum('a')", "enum", vec!["a"]),
            ("enum('a','b''c','')", "enum", vec!["a", "b'c", ""]),
            ("set('a','b')", "set", vec!["a", "b"]),
            ("set('a')", "enum", vec![]),
            ("enum('\u{fffd}')", "enum", vec![]),
            ("enum(", "enum", vec![]),
        ] {
            let found = members(full_type, keyword);
            let found: Vec<_> = found.iter().map(|member| &**member).collect();
            assert_eq!(found, expected, "{full_type}");
        }
    }
}
