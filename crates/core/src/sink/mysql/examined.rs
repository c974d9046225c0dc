//! Which columns the server looks at beside storing them, by a table's definition: in a CHECK, a
//! generated column, another column's default, a period, or an index over an expression.
//!
//! Invariant: a column that is looked at is found, whatever the session's `sql_mode` and
//! `sql_quote_show_create` make of the quotes, and in whatever case it was written. One that is
//! found in vain costs a merge.

/// The parts of a table's definition that look at columns.
#[derive(Debug)]
pub struct Examined {
    /// In lower case.
    lines: Vec<String>,
}

impl Examined {
    /// Reads a definition: each of its parts stands on a line of its own.
    pub fn of(definition: &str) -> Self {
        let lines = definition.lines().filter(|line| looks_at_columns(line));
        Self {
            lines: lines.map(str::to_lowercase).collect(),
        }
    }

    /// Whether a column is looked at.
    pub fn has(&self, column: &str) -> bool {
        let name = column.to_lowercase();
        let is_escaped = name.contains(['`', '"']);
        self.lines.iter().any(|line| is_escaped || has_word(line, &name))
    }
}

fn looks_at_columns(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    // An index over an expression has it in parentheses of its own.
    let marks = ["CHECK (", " AS (", "((", ",("];
    let mut defaults = upper
        .match_indices(DEFAULT)
        .filter_map(|(at, _)| upper.get(at + DEFAULT.len()..));
    marks.iter().any(|mark| upper.contains(mark))
        || upper.trim_start().starts_with("PERIOD FOR ")
        || defaults.any(|default| !is_constant(default))
}

const DEFAULT: &str = " DEFAULT ";

/// Whether a default, in upper case, is a literal or the time of the statement.
fn is_constant(default: &str) -> bool {
    let words = ["NULL", "CURRENT_TIMESTAMP", "B'", "X'"];
    default.starts_with(|first: char| first.is_ascii_digit() || "'-+.".contains(first))
        || words.iter().any(|word| default.starts_with(word))
}

/// Whether the text has the name, and not as a part of a longer word.
fn has_word(text: &str, name: &str) -> bool {
    let is_of_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    text.match_indices(name).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARIADB: &str = "CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `a` int(11) NOT NULL DEFAULT 5,
  `b` int(11) DEFAULT -5,
  `plain` varchar(9) NOT NULL DEFAULT 'it''s',
  `made` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `bits` bit(3) DEFAULT b'101',
  `j` longtext DEFAULT NULL CHECK (json_valid(`j`)),
  `g` int(11) GENERATED ALWAYS AS (`b` + 1) STORED,
  `n` int(11) DEFAULT nextval(`d`.`s`),
  `m` varchar(9) DEFAULT lcase(`source`),
  `source` varchar(9) DEFAULT NULL,
  `price` decimal(10,2) DEFAULT NULL,
  `begins` date NOT NULL,
  `ends` date NOT NULL,
  PRIMARY KEY (`id`),
  KEY `two` (`price`,`plain`),
  PERIOD FOR `p` (`begins`, `ends`),
  CONSTRAINT `c` CHECK (`a` > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

    const MYSQL: &str = "CREATE TABLE `t` (
  `id` int NOT NULL,
  `aB` int DEFAULT '5',
  `plain` varchar(9) DEFAULT '(x)',
  `made` timestamp NULL DEFAULT CURRENT_TIMESTAMP,
  `cast_to` varchar(9) DEFAULT NULL,
  `second` varchar(9) DEFAULT NULL,
  `k` int DEFAULT ((`source` + 1)),
  `source` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `functional_index` ((cast(`cast_to` as signed))),
  KEY `mixed` (`plain`,(cast(`second` as signed))),
  CONSTRAINT `t_chk_1` CHECK ((`AB` < 10))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci";

    #[test]
    fn finds_what_the_server_looks_at_however_it_is_quoted() {
        let found = ["a", "b", "j", "g", "n", "m", "source", "begins", "ends", "SOURCE"];
        let others = ["id", "made", "bits", "price", "our"];
        for quote in ["`", "\"", ""] {
            let examined = Examined::of(&MARIADB.replace('`', quote));
            for (columns, expected) in [(&found[..], true), (&others[..], false), (&["plain"], false)] {
                for column in columns {
                    assert_eq!(examined.has(column), expected, "{column} in {quote}");
                }
            }
            let examined = Examined::of(&MYSQL.replace('`', quote));
            for (column, expected) in [
                ("aB", true),
                ("cast_to", true),
                ("second", true),
                ("source", true),
                ("k", true),
                ("id", false),
                ("made", false),
            ] {
                assert_eq!(examined.has(column), expected, "{column} in {quote}");
            }
        }
    }

    #[test]
    fn a_name_that_is_escaped_in_a_definition_counts_as_looked_at() {
        assert!(Examined::of("  CONSTRAINT `c` CHECK (`x``y` > 0)").has("x`y"));
        assert!(!Examined::of("  `x``y` int DEFAULT 0").has("x`y"));
        assert!(Examined::of("  CONSTRAINT `c` CHECK (`größe` > 0)").has("Größe"));
    }

    #[test]
    fn each_default_on_a_line_counts() {
        assert!(Examined::of("  `e` enum('x DEFAULT 1') DEFAULT concat(`a`)").has("a"));
        assert!(!Examined::of("  `e` enum('x DEFAULT 1') DEFAULT 'x' COMMENT 'a'").has("a"));
    }
}
