//! What the user configures for a table: its key, how rows are written, and how they are merged.

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Insert, or update the row with the same key.
    Upsert,
    /// Insert only; a second row with the same key is an error. Never coalesced.
    Insert,
}

/// What happens to a column when a row meets an earlier one with the same key, in the buffer or in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRule {
    /// The later value wins.
    Replace,
    /// The first value stays.
    Keep,
    /// The values are added up, exactly. NULL in the table counts as 0.
    Sum,
    /// The smaller value stays. NULL counts as no value.
    Min,
    /// The larger value stays. NULL counts as no value.
    Max,
}

impl MergeRule {
    /// Reads a rule's name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "replace" => Self::Replace,
            "keep" => Self::Keep,
            "sum" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => return None,
        })
    }
}

/// What the user configured for a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableRules {
    /// The key's columns, in order; `None`: the primary key.
    pub key: Option<Vec<String>>,
    /// `None`: the default of the table's place (orders upsert, trades insert).
    pub mode: Option<Mode>,
    /// Merge rules by column; a column that is not here is replaced.
    pub merge: Vec<(String, MergeRule)>,
    /// A row is only replaced by one whose guard column is not smaller.
    pub guard: Option<String>,
    /// Accept that a row may update another row through a second unique index.
    pub allow_second_unique: bool,
    /// Accept that rows are written twice after a COMMIT that was not answered: they do no harm, or somebody else sees to it.
    pub repeatable: bool,
}

impl TableRules {
    /// Why rows written under these rules cannot be written a second time without harm; `None`: they can. A second `replace`,
    /// `keep`, `min` or `max` of the same row finds what the first one left, and leaves it.
    pub fn unrepeatable(&self, default_mode: Mode) -> Option<String> {
        if self.repeatable {
            return None;
        }
        if self.mode.unwrap_or(default_mode) == Mode::Insert {
            return Some("it is insert-only".to_owned());
        }
        let summed = self.merge.iter().find(|(_, rule)| *rule == MergeRule::Sum);
        summed.map(|(column, _)| format!("its column {column} is summed"))
    }
}
