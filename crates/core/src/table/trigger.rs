//! Which tables a table's triggers may touch beside their own, by the text of the triggers.
//!
//! A trigger that inserts or reads is believed: it touches the tables whose names stand in it. All
//! else may reach tables that no text here names: what a routine does, what a foreign key cascades,
//! what the triggers of another table do, what a view stands for. Such a trigger touches any table.

use std::collections::BTreeSet;

use crate::table::name::TableName;

/// Words of a trigger that only inserts, reads, computes and refuses. Any other word that begins a
/// parenthesis may be a stored function; any other statement may cascade.
const FUNCTIONS: [&str; 93] = [
    "abs",
    "adddate",
    "addtime",
    "and",
    "as",
    "ascii",
    "between",
    "bin",
    "case",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "conv",
    "convert",
    "count",
    "crc32",
    "curdate",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "curtime",
    "date",
    "date_add",
    "date_format",
    "date_sub",
    "datediff",
    "decimal",
    "div",
    "elseif",
    "exists",
    "extract",
    "field",
    "floor",
    "format",
    "from",
    "from_unixtime",
    "greatest",
    "hex",
    "if",
    "ifnull",
    "in",
    "instr",
    "interval",
    "json_array",
    "json_extract",
    "json_object",
    "json_unquote",
    "json_value",
    "last_day",
    "lcase",
    "least",
    "left",
    "length",
    "locate",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "not",
    "now",
    "nullif",
    "numeric",
    "or",
    "pow",
    "repeat",
    "right",
    "round",
    "rpad",
    "rtrim",
    "select",
    "set",
    "sha1",
    "sha2",
    "substr",
    "substring",
    "sum",
    "sysdate",
    "then",
    "trim",
    "upper",
    "utc_timestamp",
    "values",
    "varchar",
    "when",
];

/// Words of statements whose reach is not seen here.
const FAR_REACHING: [&str; 5] = ["call", "delete", "handler", "replace", "update"];

/// What the triggers of a table may touch beside the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Triggers {
    /// There are none.
    #[default]
    None,
    /// The tables whose names stand in these texts, in small letters.
    Named(Vec<String>),
    /// Any table.
    Any,
}

impl Triggers {
    /// The triggers of `table` by their texts. `indirect`: the tables that have triggers
    /// themselves, and the views, in all databases.
    pub fn of(table: &TableName, texts: &[String], indirect: &[String]) -> Self {
        if texts.is_empty() {
            return Self::None;
        }
        let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
        let others: BTreeSet<String> = indirect.iter().map(|name| name.to_lowercase()).collect();
        let own = table.table().to_lowercase();
        let is_far =
            |text: &String| reaches_far(text) || others.iter().any(|other| *other != own && has_name(text, other));
        if texts.iter().any(is_far) {
            return Self::Any;
        }
        Self::Named(texts)
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        *self == Self::None
    }

    /// Whether they may write to a table of which this transaction knows nothing, as to a log.
    pub fn may_write(&self) -> bool {
        match self {
            Self::None => false,
            Self::Named(texts) => texts.iter().any(|text| has_name(text, "insert")),
            Self::Any => true,
        }
    }

    /// Whether they may touch a table.
    pub fn may_touch(&self, table: &TableName) -> bool {
        match self {
            Self::None => false,
            Self::Named(texts) => {
                let name = table.table().to_lowercase();
                texts.iter().any(|text| has_name(text, &name))
            }
            Self::Any => true,
        }
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// Whether a name stands in a text. One that is no plain word is looked for anywhere.
fn has_name(text: &str, name: &str) -> bool {
    if name.chars().all(is_of_word) {
        text.split(|letter| !is_of_word(letter)).any(|word| word == name)
    } else {
        // A backtick in a name is doubled.
        text.contains(name) || text.contains(&name.replace('`', "``"))
    }
}

/// Whether a trigger does what is not seen here. Words in quotes and comments count, too.
fn reaches_far(text: &str) -> bool {
    let mut before_last = "";
    let mut last = "";
    let mut rest = text;
    while let Some(begin) = rest.find(is_of_word) {
        let behind = rest.get(begin..).unwrap_or_default();
        let end = behind.find(|letter| !is_of_word(letter)).unwrap_or(behind.len());
        let (word, next) = behind.split_at(end);
        if FAR_REACHING.contains(&word) {
            return true;
        }
        // `INSERT INTO name (…)`, `INSERT INTO db.name (…)`, `INSERT name (…)`
        let is_target = ["into", "insert", "ignore"]
            .iter()
            .any(|into| last == *into || before_last == *into);
        let behind_quote = next.strip_prefix('`').unwrap_or(next);
        let calls = behind_quote.trim_start().starts_with('(');
        if calls && !is_target && !FUNCTIONS.contains(&word) {
            return true;
        }
        before_last = last;
        last = word;
        rest = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(text: &str, other: &str) -> bool {
        let table = TableName::parse("orders").expect("a name");
        let indirect = ["Orders".to_owned(), "a_view".to_owned(), "with-triggers".to_owned()];
        let triggers = Triggers::of(&table, &[text.to_owned()], &indirect);
        triggers.may_touch(&TableName::parse(other).expect("a name"))
    }

    #[test]
    fn a_trigger_touches_the_tables_that_it_names() {
        for (text, touched) in [
            ("SET NEW.price = ROUND(NEW.price, 2)", false),
            ("INSERT INTO audit (id, at) VALUES (NEW.id, NOW(6))", false),
            ("INSERT INTO audit(id) SELECT COUNT(*) FROM orders", false),
            ("INSERT INTO `log`.`audit`(id) VALUES (OLD.id)", false),
            (
                "IF NEW.side NOT IN ('buy', 'sell') THEN SIGNAL SQLSTATE '45000'; END IF",
                false,
            ),
            ("SET NEW.owner = (SELECT MAX(owner) FROM accounts)", false),
            ("INSERT INTO trades (id) VALUES (NEW.id)", true),
            ("INSERT INTO Shop.TRADES VALUES (NEW.id)", true),
            ("INSERT INTO `trades`(id) VALUES (NEW.id)", true),
            ("SET NEW.n = (SELECT COUNT(*) FROM trades)", true),
            // What is not seen here.
            ("CALL settle(NEW.id)", true),
            ("SET NEW.n = next_number()", true),
            ("SET NEW.n = `next_number` ()", true),
            ("UPDATE accounts SET n = n + 1", true),
            ("DELETE FROM accounts WHERE id = OLD.id", true),
            ("REPLACE INTO audit VALUES (NEW.id)", true),
            (
                "INSERT INTO audit VALUES (NEW.id) ON DUPLICATE KEY UPDATE n = n + 1",
                true,
            ),
            ("INSERT INTO a_view VALUES (NEW.id)", true),
            ("INSERT INTO `with-triggers` VALUES (NEW.id)", true),
        ] {
            assert_eq!(touches(text, "trades"), touched, "{text}");
        }
        let writes = |text: &str| Triggers::of(&TableName::of_parts(None, "t"), &[text.to_owned()], &[]).may_write();
        assert!(!writes("SET NEW.price = ROUND(NEW.price, 2)"));
        assert!(writes(
            "IF NEW.v > 1 THEN INSERT INTO audit (id) VALUES (NEW.id); END IF"
        ));
        assert!(touches("INSERT INTO `my-trades` VALUES (NEW.id)", "`my-trades`"));
        let table = TableName::parse("orders").expect("a name");
        assert!(!Triggers::of(&table, &[], &["trades".to_owned()]).may_touch(&table));
    }

    #[test]
    fn the_words_are_sorted() {
        assert!(FUNCTIONS.is_sorted());
    }
}
