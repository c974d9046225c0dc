//! A row's columns, bound to their table's model: which are the key, and the rule and kind of each.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::error::{Error, Result};
use crate::table::column::ColumnKind;
use crate::table::model::TableModel;
use crate::table::rules::MergeRule;
use crate::value::{Value, Values};

/// A row's columns, bound to their table: which are the key, and each one's rule and kind.
#[derive(Debug, Clone)]
pub struct BoundColumns {
    /// The table.
    pub model: Arc<TableModel>,
    /// The columns' names, as the row has them.
    pub columns: Arc<[Box<str>]>,
    /// Positions of the key's columns, in the key's order. Empty: an insert-only row that does not name its key.
    pub key: Vec<usize>,
    /// Position of the guard.
    pub guard: Option<usize>,
    /// Each column's rule.
    pub rules: Vec<MergeRule>,
    /// Each column's kind.
    pub kinds: Vec<ColumnKind>,
    /// A column that the server wants and the row has not. Such a row can only update.
    pub missing_required: Option<String>,
    /// What each row is checked for, by column, in their order.
    pub(super) checks: Vec<(usize, Check)>,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Part of the key: not NULL.
    Key,
    /// The guard: not NULL.
    Guard,
    /// Under `sum`: a number.
    Number,
}

impl BoundColumns {
    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Checks one row's values, in the columns' order. Reads no further than the last column that can be wrong.
    ///
    /// # Errors
    ///
    /// NULL in the key or the guard, or no number under `sum`.
    pub fn check<'v>(&self, mut values: impl Iterator<Item = Value<'v>>) -> Result<()> {
        let mut read = 0;
        for (at, check) in &self.checks {
            let value = values.nth(at - read).unwrap_or(Value::Null);
            read = at + 1;
            let passes = match check {
                Check::Number => crate::table::column::number(&value).is_some(),
                Check::Key | Check::Guard => !value.is_null(),
            };
            if !passes {
                return Err(self.refused(*at, *check));
            }
        }
        Ok(())
    }

    fn refused(&self, at: usize, check: Check) -> Error {
        let (name, column) = (&self.model.name, self.columns.get(at).map_or("?", |column| column));
        Error::config(match check {
            Check::Key => {
                format!("table {name}: key column {column} is null; a row without its key cannot be written")
            }
            Check::Guard => {
                format!("table {name}: guard column {column} is null; a row without its guard cannot be compared")
            }
            Check::Number => format!(
                "table {name}: column {column} is summed and takes a number: an int, or a string such as '12.50'"
            ),
        })
    }

    /// Appends the key form of a row, whose values are asked for by column; see [`ColumnKind::key`]. `None`: whether another row has
    /// the same key only the server can tell.
    pub fn append_key<'v, V: Borrow<Value<'v>>>(
        &self,
        value: impl Fn(usize) -> Option<V>,
        key: &mut Vec<u8>,
    ) -> Option<()> {
        if self.key.is_empty() || !self.model.keys_are_certain() {
            return None;
        }
        for at in &self.key {
            self.kinds.get(*at)?.key(value(*at)?.borrow(), key)?;
        }
        Some(())
    }

    /// A hash of a row's key form, which is written to `key` on the way; `None` as for [`Self::append_key`].
    pub fn key_hash(&self, values: &Values<'_>, key: &mut Vec<u8>) -> Option<u64> {
        key.clear();
        self.append_key(|at| values.clone().nth(at), key)?;
        Some(FxBuildHasher.hash_one(&*key))
    }

    /// Compares two values of a column as the server does; `None` where only the server can tell.
    pub fn compare(&self, at: usize, left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
        self.kinds.get(at)?.compare(left, right)
    }
}
