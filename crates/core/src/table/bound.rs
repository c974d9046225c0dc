//! A row's columns, bound to their table's model: the key, the guard, and each column's rule and
//! kind.

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

/// A row's columns, bound to their table: the key, the guard, and each column's rule and kind.
#[derive(Debug, Clone)]
pub struct BoundColumns {
    /// The table.
    pub model: Arc<TableModel>,
    /// The columns' names, in the row's order.
    pub columns: Arc<[Box<str>]>,
    /// Positions of the key's columns, in the key's order. Empty: an insert-only row without its
    /// key.
    pub key: Vec<usize>,
    /// The guard's position.
    pub guard: Option<usize>,
    /// Each column's rule.
    pub rules: Vec<MergeRule>,
    /// Each column's kind.
    pub kinds: Vec<ColumnKind>,
    /// A column that an INSERT needs and the row lacks. Such a row can only update.
    pub missing_required: Option<String>,
    /// The checks of each row's values, by column, in the columns' order.
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

    /// Checks one row's values, in the columns' order. Reads no further than the last column that
    /// has a check.
    ///
    /// # Errors
    ///
    /// NULL in the key or in the guard; a value under `sum` that is no number.
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

    /// Appends the row's key form (see [`ColumnKind::key`]). `value` returns the value of a column.
    /// Returns `None` if only the server can tell whether another row has the same key.
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

    /// A hash of the row's key form. Leaves the key form in `key`. `None` as for
    /// [`Self::append_key`].
    pub fn key_hash(&self, values: &Values<'_>, key: &mut Vec<u8>) -> Option<u64> {
        key.clear();
        self.append_key(|at| values.clone().nth(at), key)?;
        Some(FxBuildHasher.hash_one(&*key))
    }

    /// Compares two values of a column as the server does. `None` if only the server can tell.
    pub fn compare(&self, at: usize, left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
        self.kinds.get(at)?.compare(left, right)
    }
}
