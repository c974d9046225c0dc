//! Which rows must not share a statement because somebody sees every version of a row: a statement
//! is what `NOW()` takes a version's time from, in a trigger and in a history.
//!
//! Limit: where only the server can tell whether two rows have one key, a table's triggers may see
//! two versions with one time. If its rules ask for every version, such rows stand alone.

use rustc_hash::FxHashSet;

use crate::plan::binder::BoundRow;
use crate::table::rules::Mode;

/// The keys in the last statement. Rows whose versions are seen keep their order, so no other
/// statement could take one.
#[derive(Debug, Default)]
pub struct StatementKeys {
    keys: FxHashSet<Vec<u8>>,
    last: Option<Vec<u8>>,
}

/// Whether a version of a row stands in the last statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// None does, or nobody looks.
    No,
    /// One does.
    Yes,
    /// Only the server can tell.
    Unknown,
}

impl StatementKeys {
    /// Looks at a row that the statement is going to take, unless [`Self::begin_statement`] says
    /// that it begins another one.
    pub fn look(&mut self, row: &BoundRow<'_>) -> Repeat {
        let model = &row.bound.model;
        self.last = None;
        if model.mode == Mode::Insert
            || row.bound.is_numbered()
            || !(model.writes_each_version() || model.has_triggers())
        {
            return Repeat::No;
        }
        self.last = row.key();
        match &self.last {
            None if model.writes_each_version() => Repeat::Unknown,
            None => Repeat::No,
            Some(key) if self.keys.insert(key.clone()) => Repeat::No,
            Some(_) => Repeat::Yes,
        }
    }

    /// The row that was looked at begins a statement.
    pub fn begin_statement(&mut self) {
        self.keys.clear();
        self.keys.extend(self.last.take());
    }
}
