//! Which names may stand in a session's statements.
//!
//! A name is UTF-8 here, and a server reads a statement's text by the session's character set. In
//! gbk, big5, gb18030, sjis and cp932 the second byte of a character may be a backtick or a
//! backslash: the last byte of a name and the backtick behind it would be one character, and what
//! follows would be SQL. In others the name would be another table's. So outside Unicode a name is
//! ASCII, which all of them share. swe7 shares less: its letters take the places of some signs.
//!
//! Invariant: a name that [`NameCharset::takes`] is one name to the server, between backticks, the
//! backticks in it doubled, whatever `sql_mode` says.

use std::fmt::Display;

use crate::error::{Error, Result};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameCharset {
    /// utf8mb4, utf8mb3, and binary, in which a server takes names for Unicode.
    #[default]
    Unicode,
    /// All others but one.
    Ascii,
    /// swe7: `{` is `ä` there, and so on.
    Swe7,
}

/// The signs in whose places swe7 has letters.
const NATIONAL_IN_SWE7: &str = "@[\\]^`{|}~";

impl NameCharset {
    /// The names under a server's `character_set_client`.
    pub fn of_client(charset: &str) -> Self {
        match charset.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" | "binary" => Self::Unicode,
            "swe7" => Self::Swe7,
            _ => Self::Ascii,
        }
    }

    /// Whether a name may stand in a statement.
    pub fn takes(self, name: &str) -> bool {
        match self {
            // Servers store names as UTF-8 of three bytes. Some put `?` for what does not fit.
            Self::Unicode => name.chars().all(|letter| letter <= '\u{ffff}'),
            Self::Ascii => name.is_ascii(),
            Self::Swe7 => name.is_ascii() && !name.contains(|letter| NATIONAL_IN_SWE7.contains(letter)),
        }
    }

    /// Refuses a name that cannot stand in a statement. `what` is its table, or table and column.
    ///
    /// # Errors
    ///
    /// A [configuration error](Error::config) that says what to do.
    pub fn check(self, name: &str, what: &dyn Display) -> Result<()> {
        if self.takes(name) {
            return Ok(());
        }
        Err(Error::config(match self {
            Self::Unicode => format!("{what}: no server has characters beyond U+FFFF in a name; rename it"),
            Self::Ascii => format!(
                "{what}: the session's character set takes ASCII letters only in a name; use charset=utf8mb4 in the DSN"
            ),
            Self::Swe7 => format!(
                "{what}: the session's character set, swe7, takes ASCII letters only in a name, and none of {NATIONAL_IN_SWE7}; \
                 use charset=utf8mb4 in the DSN"
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_the_same_to_the_server() {
        for (charset, name, is_taken) in [
            ("utf8mb4", "größe 中 `", true),
            ("UTF8MB3", "größe", true),
            ("binary", "größe", true),
            ("utf8mb4", "a😀", false),
            ("gbk", "中", false),
            ("gbk", "a`b\\c'; --", true),
            ("latin1", "größe", false),
            ("latin1", "~{", true),
            ("swe7", "a_b'\"; -- $", true),
            ("swe7", "a`", false),
            ("swe7", "{", false),
            ("swe7", "ä", false),
            ("a charset of tomorrow", "ä", false),
        ] {
            let names = NameCharset::of_client(charset);
            assert_eq!(names.takes(name), is_taken, "{charset} {name}");
            assert_eq!(names.check(name, &"t").is_ok(), is_taken, "{charset} {name}");
        }
    }
}
