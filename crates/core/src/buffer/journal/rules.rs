//! How a writer's rows are to be written, as its journal's header has it: its tables' rules, its
//! first tables and its ledger. A successor writes by these, whatever rules its own rows have.
//! Pure.
//!
//! The form is text: a line a fact, its fields separated by tabs. A field's own tabs, line ends and
//! backslashes are escaped.
//!
//! Invariant: what [`encode`] wrote, [`decode`] reads back. A fact that is not known is an error: a
//! later version may write rows by it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::settings::{JournalSync, Settings};
use crate::table::rules::{KeyRule, MergeRule, Mode, TableRules};

const FORM: &str = "1";
const SYNC: &str = "sync";
const MERGE_RULES: [MergeRule; 5] = [
    MergeRule::Replace,
    MergeRule::Keep,
    MergeRule::Sum,
    MergeRule::Min,
    MergeRule::Max,
];
const MODES: [Mode; 2] = [Mode::Upsert, Mode::Insert];

/// How these settings have rows written.
pub fn encode(settings: &Settings) -> String {
    let mut text = String::new();
    line(&mut text, ["form", FORM]);
    line(&mut text, ["order", &settings.order_table]);
    line(&mut text, ["trade", &settings.trade_table]);
    line(&mut text, ["ledger", &settings.ledger_table]);
    if let Some(journal) = &settings.journal {
        line(&mut text, [SYNC, journal.sync.name()]);
    }
    for (name, rules) in &settings.tables {
        line(&mut text, ["table", name]);
        match &rules.key {
            KeyRule::Primary => {}
            KeyRule::Server => line(&mut text, ["key-of-server"]),
            KeyRule::Columns(columns) => {
                line(&mut text, ["key"].into_iter().chain(columns.iter().map(String::as_str)));
            }
        }
        if let Some(mode) = rules.mode {
            line(&mut text, ["mode", mode.name()]);
        }
        for (column, rule) in &rules.merge {
            line(&mut text, ["merge", column, rule.name()]);
        }
        if let Some(guard) = &rules.guard {
            line(&mut text, ["guard", guard]);
        }
        for (name, is_on) in [
            ("allow-second-unique", rules.allow_second_unique),
            ("repeatable", rules.repeatable),
            ("each-version", rules.writes_each_version),
        ] {
            if is_on {
                line(&mut text, [name]);
            }
        }
    }
    text
}

/// Whether its writer had the disk keep what COMMIT was to rest on: `journalSync` was not 'none'.
pub fn waits_for_disk(text: &str) -> bool {
    let modes = [JournalSync::Interval(Duration::ZERO), JournalSync::Always];
    let is_one = |mode: JournalSync| text.lines().any(|line| fields(line) == [SYNC, mode.name()]);
    modes.into_iter().any(is_one)
}

/// These settings, but with rows written as a header says.
///
/// # Errors
///
/// The text is none of ours, or a later version's.
pub fn decode(text: &str, settings: &Settings) -> Result<Settings> {
    let mut read = Settings {
        tables: Vec::new(),
        ..settings.clone()
    };
    let mut lines = text.lines().map(fields);
    if lines.next().as_deref() != Some(&["form".to_owned(), FORM.to_owned()]) {
        return Err(unknown("it does not begin with a form that is known"));
    }
    for line in lines {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        take(&line, &mut read).ok_or_else(|| unknown(&line.join(" ")))?;
    }
    Ok(read)
}

fn take(line: &[&str], settings: &mut Settings) -> Option<()> {
    match *line {
        ["order", table] => table.clone_into(&mut settings.order_table),
        ["trade", table] => table.clone_into(&mut settings.trade_table),
        // For whoever asks for it.
        [SYNC, _] => {}
        ["ledger", table] => table.clone_into(&mut settings.ledger_table),
        ["table", table] => settings.tables.push((table.to_owned(), TableRules::default())),
        _ => {
            let (_, rules) = settings.tables.last_mut()?;
            match *line {
                ["key-of-server"] => rules.key = KeyRule::Server,
                ["key", ref columns @ ..] => {
                    rules.key = KeyRule::Columns(columns.iter().map(|&column| column.to_owned()).collect());
                }
                ["mode", name] => rules.mode = Some(MODES.into_iter().find(|mode| mode.name() == name)?),
                ["merge", column, name] => {
                    let rule = MERGE_RULES.into_iter().find(|rule| rule.name() == name)?;
                    rules.merge.push((column.to_owned(), rule));
                }
                ["guard", column] => rules.guard = Some(column.to_owned()),
                ["allow-second-unique"] => rules.allow_second_unique = true,
                ["repeatable"] => rules.repeatable = true,
                ["each-version"] => rules.writes_each_version = true,
                _ => return None,
            }
        }
    }
    Some(())
}

fn unknown(what: &str) -> Error {
    Error::config(format!(
        "the journal's header has rules that this version of write_buffer does not know ({what}): recover it with the version that \
         wrote it"
    ))
    .after_taking()
}

fn line<'f>(text: &mut String, fields: impl IntoIterator<Item = &'f str>) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            text.push('\t');
        }
        for letter in field.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                other => text.push(other),
            }
        }
    }
    text.push('\n');
}

fn fields(line: &str) -> Vec<String> {
    line.split('\t').map(unescaped).collect()
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => {}
            },
            (other, false) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_rules() -> impl Strategy<Value = TableRules> {
        let key = prop_oneof![
            Just(KeyRule::Primary),
            Just(KeyRule::Server),
            prop::collection::vec(any::<String>(), 1..4).prop_map(KeyRule::Columns),
        ];
        let merge = prop::collection::vec((any::<String>(), prop::sample::select(MERGE_RULES.to_vec())), 0..6);
        let switches = (any::<bool>(), any::<bool>(), any::<bool>());
        let mode = prop::option::of(prop::sample::select(MODES.to_vec()));
        (key, mode, merge, prop::option::of(any::<String>()), switches).prop_map(
            |(key, mode, merge, guard, switches)| TableRules {
                key,
                mode,
                merge,
                guard,
                allow_second_unique: switches.0,
                repeatable: switches.1,
                writes_each_version: switches.2,
            },
        )
    }

    proptest! {
        #[test]
        fn rules_come_back_as_they_were(
            tables in prop::collection::vec((any::<String>(), any_rules()), 0..5),
            names in prop::array::uniform3(any::<String>()),
        ) {
            let [order_table, trade_table, ledger_table] = names;
            let written = Settings { order_table, trade_table, tables, ledger_table, ..Settings::default() };
            let own = Settings {
                tables: vec![("orders".to_owned(), TableRules::default())],
                ledger_table: "another".to_owned(),
                lanes: 7,
                ..Settings::default()
            };
            let read = decode(&encode(&written), &own).expect("what was written");
            prop_assert_eq!(read, Settings { lanes: 7, ..written });
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = decode(&text, &Settings::default());
            let _ = decode(&format!("form\t1\n{text}"), &Settings::default());
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "",
            "none",
            "form\t2\n",
            "form\t1\nkey\ta\n",
            "form\t1\ntable\tt\nmerge\tc\tproduct\n",
        ] {
            decode(text, &Settings::default()).expect_err(text);
        }
    }
}
