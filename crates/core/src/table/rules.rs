//! What the user configures for a table: its key, how rows are written, and how they are merged.

use crate::error::{Error, Result};
use crate::table::name::TableName;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Insert, or update the row with the same key.
    Upsert,
    /// Insert only; a second row with the same key is an error. Never coalesced.
    Insert,
}

impl Mode {
    /// The mode's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Insert => "insert",
        }
    }
}

/// What happens to a column if a row meets an earlier one with the same key, in the buffer or in
/// the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRule {
    /// The later value wins.
    Replace,
    /// The first value stays.
    Keep,
    /// The values are added up, exactly. NULL in the table counts as 0: over NULL, `column + x`
    /// would stay NULL and lose every increment.
    Sum,
    /// The smaller value stays. NULL counts as no value: `LEAST` alone would return NULL.
    Min,
    /// The larger value stays. NULL counts as no value: `GREATEST` alone would return NULL.
    Max,
}

impl MergeRule {
    /// Whether the server computes with what is there.
    pub fn computes(self) -> bool {
        matches!(self, Self::Sum | Self::Min | Self::Max)
    }

    /// The rule's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// What tells a table's rows apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyRule {
    /// The primary key.
    #[default]
    Primary,
    /// These columns, in order: a unique key of the table.
    Columns(Vec<String>),
    /// All unique keys that the server has, also those that a row cannot give: a generated column,
    /// a period's end. Rows are neither merged nor sorted.
    Server,
}

impl KeyRule {
    /// Whether a row of a table with this key and mode can name one that is there.
    pub fn names_rows(&self, mode: Mode) -> bool {
        mode == Mode::Upsert && *self != Self::Server
    }
}

/// What the user configures for a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableRules {
    /// What tells rows apart.
    pub key: KeyRule,
    /// `None`: the table's default (upsert, and insert for the trades).
    pub mode: Option<Mode>,
    /// Merge rules by column; a column that is not here is replaced.
    pub merge: Vec<(String, MergeRule)>,
    /// A row is replaced only by one whose guard column is not smaller. A guard takes or refuses a
    /// row whole: its other rules do not apply to a refused row.
    pub guard: Option<String>,
    /// Accept that a row may update another row through a second unique index.
    pub allow_second_unique: bool,
    /// Accept that rows are written twice after a COMMIT without an answer. The user says that this
    /// does no harm.
    pub repeatable: bool,
    /// Every row is written, in order, each version of one in a statement of its own: somebody sees
    /// each one.
    pub writes_each_version: bool,
}

impl TableRules {
    /// Refuses rules that name a column twice.
    ///
    /// # Errors
    ///
    /// The column.
    pub fn check(&self, table: &TableName) -> Result<()> {
        let merged: Vec<&String> = self.merge.iter().map(|(column, _)| column).collect();
        let key: Vec<&String> = match &self.key {
            KeyRule::Columns(columns) => columns.iter().collect(),
            KeyRule::Primary | KeyRule::Server => Vec::new(),
        };
        for (rule, columns) in [("key", key), ("merge", merged)] {
            for (at, column) in columns.iter().enumerate() {
                if columns.iter().take(at).any(|other| other.eq_ignore_ascii_case(column)) {
                    return Err(Error::config(format!(
                        "table {table}: '{rule}' names column {column} twice; the server compares column names without case"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Why rows under these rules must not be written twice. `None`: they may be. A second
    /// `replace`, `keep`, `min` or `max` of the same row finds what the first one left, and leaves
    /// it.
    pub fn unrepeatable(&self, default_mode: Mode) -> Option<String> {
        if self.repeatable {
            return None;
        }
        if self.mode.unwrap_or(default_mode) == Mode::Insert {
            return Some("it is insert-only".to_owned());
        }
        if self.key == KeyRule::Server {
            return Some("its key is the server's to know".to_owned());
        }
        if self.writes_each_version {
            return Some("each of its versions is seen".to_owned());
        }
        let summed = self.merge.iter().find(|(_, rule)| *rule == MergeRule::Sum);
        summed.map(|(column, _)| format!("its column {column} is summed"))
    }
}
