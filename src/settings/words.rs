//! The words that a setting or a rule may be. In PHP each list is a string-backed enum, too: a word
//! and its case mean the same everywhere.

use ext_php_rs::enum_::{Discriminant, EnumCase};
use ext_php_rs::types::Zval;
use write_buffer_core::ledger::LedgerUse;
use write_buffer_core::settings::Overflow;
use write_buffer_core::table::rules::{MergeRule, Mode};

use crate::settings::configuration::{Configuration, SyncMode};
use crate::zend::objects::{HeldObject, value_of_case};

/// Some words, one of which is to be chosen.
pub struct Words<T: 'static> {
    /// The name of the enum that has them as its cases.
    pub enum_name: &'static str,
    /// The words.
    pub all: &'static [Word<T>],
}

/// A word.
pub struct Word<T> {
    /// The enum's case, whose value is the word.
    pub case: EnumCase,
    /// What it means.
    pub meaning: T,
}

/// What the word of a setting does.
pub type Choose = fn(&mut Configuration);

/// `WriteBuffer\Overflow`.
pub static OVERFLOW: Words<Choose> = Words {
    enum_name: "WriteBuffer\\Overflow",
    all: &[
        Word::new("Block", "block", |to| to.engine.overflow = Overflow::Block),
        Word::new("Throw", "throw", |to| to.engine.overflow = Overflow::Throw),
    ],
};

/// `WriteBuffer\Ledger`.
pub static LEDGER: Words<Choose> = Words {
    enum_name: "WriteBuffer\\Ledger",
    all: &[
        Word::new("Auto", "auto", |to| to.engine.ledger = LedgerUse::Auto),
        Word::new("Always", "always", |to| to.engine.ledger = LedgerUse::Always),
        Word::new("Never", "never", |to| to.engine.ledger = LedgerUse::Never),
    ],
};

/// `WriteBuffer\JournalSync`.
pub static JOURNAL_SYNC: Words<Choose> = Words {
    enum_name: "WriteBuffer\\JournalSync",
    all: &[
        Word::new("None", "none", |to| to.journal.sync = SyncMode::None),
        Word::new("Interval", "interval", |to| to.journal.sync = SyncMode::Interval),
        Word::new("Always", "always", |to| to.journal.sync = SyncMode::Always),
    ],
};

/// `WriteBuffer\Mode`.
pub static MODE: Words<Mode> = Words {
    enum_name: "WriteBuffer\\Mode",
    all: &[
        Word::new("Upsert", "upsert", Mode::Upsert),
        Word::new("Insert", "insert", Mode::Insert),
    ],
};

/// `WriteBuffer\Merge`.
pub static MERGE: Words<MergeRule> = Words {
    enum_name: "WriteBuffer\\Merge",
    all: &[
        Word::new("Replace", "replace", MergeRule::Replace),
        Word::new("Keep", "keep", MergeRule::Keep),
        Word::new("Sum", "sum", MergeRule::Sum),
        Word::new("Min", "min", MergeRule::Min),
        Word::new("Max", "max", MergeRule::Max),
    ],
};

impl<T> Word<T> {
    const fn new(case: &'static str, word: &'static str, meaning: T) -> Self {
        Self {
            case: EnumCase {
                name: case,
                discriminant: Some(Discriminant::String(word)),
                docs: &[],
            },
            meaning,
        }
    }

    /// The word itself.
    pub fn text(&self) -> &'static str {
        match self.case.discriminant {
            Some(Discriminant::String(word)) => word,
            Some(Discriminant::Int(_)) | None => "",
        }
    }
}

impl<T> Words<T> {
    /// The word of this text.
    pub fn find(&self, text: &str) -> Option<&'static Word<T>> {
        self.all.iter().find(|word| word.text() == text)
    }

    /// The word that a value is: a text, or a case of the enum.
    ///
    /// # Errors
    ///
    /// It is neither: what it must be, and what it is if it is a case of another enum.
    pub fn read(&self, value: &Zval) -> Result<&'static T, String> {
        let text = value_of_case(value, self.enum_name).unwrap_or(value).str();
        text.and_then(|text| self.find(text))
            .map(|word| &word.meaning)
            .ok_or_else(|| {
                let other = HeldObject::of(value).and_then(|object| object.case_name());
                let not = other.map_or_else(String::new, |case| {
                    format!(", or a case of {}, not {case}", self.enum_name)
                });
                format!("must be {}{not}", self.list())
            })
    }

    /// `'a', 'b' or 'c'`, for messages.
    pub fn list(&self) -> String {
        let mut list = String::new();
        for (at, word) in self.all.iter().enumerate() {
            let separator = match self.all.len() - at {
                _ if at == 0 => "",
                1 => " or ",
                _ => ", ",
            };
            list = format!("{list}{separator}'{}'", word.text());
        }
        list
    }
}
