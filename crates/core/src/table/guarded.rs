//! Rows that can only update, beside a guard, with a value that stands for itself only if it is
//! assigned as it is.
//!
//! If the guard turns such a row away, the server looks at none of its other values, and takes it.
//! If the guard takes it, the server refuses a value that is none of its column. Only the server
//! knows which one it is, and an UPDATE that computes with the value might take it: `GREATEST()`
//! returns what is there. So these values are assigned as they are, for the server to refuse.
//!
//! `IF(guard, value, column)` has one type for both. So what is there is given one in which the
//! value stays what it is: [`Beside`].

use crate::table::domain::{Domain, Repertoire};
use crate::table::model::TableModel;
use crate::table::rules::MergeRule;
use crate::value::Value;

/// What a column is to be beside a value for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// What it is.
    Itself,
    /// Unicode: `MariaDB` chooses between texts of two character sets only if the one has all
    /// characters of the other.
    Unicode,
    /// The number of a member, or of several: a text that looks like it may be another member.
    Number,
}

impl TableModel {
    /// The columns for whose values an UPDATE beside a guard might not do what an upsert does. None
    /// without one.
    pub(super) fn guarded_columns(
        &self,
        columns: &[Box<str>],
        key: &[usize],
        guard: Option<usize>,
        rules: &[MergeRule],
    ) -> Vec<usize> {
        let Some(guard) = guard else { return Vec::new() };
        let is_guarded = |(name, rule): (&str, MergeRule)| match self.domain(name).0 {
            _ if rule.computes() => true,
            Domain::Enum(_) | Domain::Set(_) | Domain::Integer { .. } | Domain::Decimal { .. } => {
                rule == MergeRule::Replace
            }
            Domain::Text { repertoire, .. } => rule == MergeRule::Replace && repertoire != Repertoire::Unicode,
            _ => false,
        };
        let columns = columns.iter().map(|name| &**name).zip(rules.iter().copied());
        let guarded = columns.enumerate().filter(|(_, column)| is_guarded(*column));
        guarded
            .map(|(at, _)| at)
            .filter(|at| *at != guard && !key.contains(at))
            .collect()
    }
}

/// What a column is to be beside a value. `None`: the value is what it is without that.
pub(super) fn beside(domain: &Domain, rule: MergeRule, value: &Value<'_>) -> Option<Beside> {
    match (domain, value) {
        (Domain::Enum(_) | Domain::Set(_), Value::Int(_)) if rule == MergeRule::Replace => Some(Beside::Number),
        (Domain::Text { .. }, _) if domain.refuses(value) => Some(Beside::Unicode),
        _ => domain.refuses(value).then_some(Beside::Itself),
    }
}
