//! What two rows of one key become. If only the server can tell, they stay two.
//!
//! They stay two if the merge would need to know what the table holds:
//! - a guard beside a rule such as `sum`: the server may refuse the earlier row and take the later
//!   one;
//! - `min` or `max` over a column with a default, which an insert by the earlier row would have
//!   set;
//! - a comparison that only the server's collation can make.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::plan::binder::BoundRow;
use crate::table::bound::BoundColumns;
use crate::table::column::number;
use crate::table::rules::MergeRule;
use crate::value::Value;
use crate::value::decimal::Decimal;

/// Column sets that merges made. Equal ones are shared, so that their rows share a statement.
#[derive(Debug)]
pub struct ColumnUnions {
    known: Vec<Arc<BoundColumns>>,
    max_row_bytes: usize,
}

impl ColumnUnions {
    /// No merge makes a row of more than `max_row_bytes` on the wire.
    pub fn new(max_row_bytes: usize) -> Self {
        let known = Vec::new();
        Self { known, max_row_bytes }
    }

    pub(super) fn get(&mut self, earlier: &BoundColumns, columns: Vec<Box<str>>) -> Result<Arc<BoundColumns>> {
        if let Some(found) = self.known.iter().find(|known| *known.columns == *columns) {
            return Ok(Arc::clone(found));
        }
        let bound = Arc::new(earlier.model.bind(&columns.into())?);
        self.known.push(Arc::clone(&bound));
        Ok(bound)
    }
}

/// What two rows with one key become.
#[derive(Debug)]
pub enum Merged<'a> {
    /// One row that has the effect of both.
    One(BoundRow<'a>),
    /// The two rows, to be written one after the other.
    Apart(BoundRow<'a>, BoundRow<'a>),
}

/// Merges two rows of one key; `later` was added after `earlier`.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn merge<'a>(earlier: BoundRow<'a>, later: BoundRow<'a>, unions: &mut ColumnUnions) -> Result<Merged<'a>> {
    if let (Some(earlier_at), Some(later_at)) = (earlier.bound.guard, later.bound.guard) {
        match earlier
            .bound
            .compare(earlier_at, earlier.value(earlier_at), later.value(later_at))
        {
            None => return Ok(Merged::Apart(earlier, later)),
            // If the earlier row is taken, the later one is then refused. If it is refused, so is
            // the later.
            Some(Ordering::Greater) => return Ok(Merged::One(earlier)),
            // The earlier row may be refused and the later one taken: only what the later one
            // overwrites may be dropped.
            Some(Ordering::Less) if !overwrites(&later, &earlier) => return Ok(Merged::Apart(earlier, later)),
            // Equal: each is taken if and only if the other is.
            Some(Ordering::Less | Ordering::Equal) => {}
        }
    }
    merge_values(earlier, later, unions)
}

/// What two rows of one key will be once both are written, for a reader who cannot wait for that.
/// If only the server can tell, the later value stands.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn merge_for_reading<'a>(
    earlier: BoundRow<'a>,
    later: BoundRow<'a>,
    unions: &mut ColumnUnions,
) -> Result<BoundRow<'a>> {
    if let (Some(earlier_at), Some(later_at)) = (earlier.bound.guard, later.bound.guard) {
        let (before, after) = (earlier.value(earlier_at), later.value(later_at));
        if earlier.bound.compare(earlier_at, before, after) == Some(Ordering::Greater) {
            return Ok(earlier);
        }
    }
    match merge_values(earlier, later, unions)? {
        Merged::One(merged) => Ok(merged),
        Merged::Apart(_, later) => Ok(later),
    }
}

/// Whether the later row replaces every column that the earlier one may have changed.
fn overwrites(later: &BoundRow<'_>, earlier: &BoundRow<'_>) -> bool {
    earlier
        .bound
        .columns
        .iter()
        .zip(&earlier.bound.rules)
        .all(|(name, rule)| match rule {
            MergeRule::Keep => true,
            MergeRule::Replace => later.bound.position(name).is_some(),
            MergeRule::Sum | MergeRule::Min | MergeRule::Max => false,
        })
        && later
            .bound
            .rules
            .iter()
            .all(|rule| matches!(rule, MergeRule::Keep | MergeRule::Replace))
}

fn merge_values<'a>(earlier: BoundRow<'a>, later: BoundRow<'a>, unions: &mut ColumnUnions) -> Result<Merged<'a>> {
    let same_columns = Arc::ptr_eq(&earlier.bound, &later.bound);
    let mut values = earlier.values.clone();
    let mut added_columns: Vec<Box<str>> = Vec::new();
    for (at, value) in later.values.iter().enumerate() {
        let here = if same_columns {
            Some(at)
        } else {
            later
                .bound
                .columns
                .get(at)
                .and_then(|name| earlier.bound.position(name))
        };
        let rule = later.bound.rules.get(at).copied().unwrap_or(MergeRule::Replace);
        match here {
            Some(here) if earlier.bound.key.contains(&here) => {}
            Some(here) => {
                let Some(merged) = merge_value(&earlier.bound, here, rule, earlier.value(here), value) else {
                    return Ok(Merged::Apart(earlier, later));
                };
                if let Some(slot) = values.get_mut(here) {
                    *slot = merged;
                }
            }
            None => {
                let Some(name) = later.bound.columns.get(at) else {
                    continue;
                };
                let column = later.bound.model.column(name);
                // An insert by the earlier row would have filled the column with its default. The
                // rules go on from that: `keep` keeps it, `min` and `max` compare with it. Without
                // a default the earlier row alone could only update.
                match rule {
                    MergeRule::Keep if column.is_none_or(|column| !column.is_required) => {}
                    MergeRule::Min | MergeRule::Max if column.is_some_and(|column| column.has_default) => {
                        return Ok(Merged::Apart(earlier, later));
                    }
                    _ => {
                        added_columns.push(name.clone());
                        values.push(value.clone());
                    }
                }
            }
        }
    }
    if !same_columns && values.iter().map(Value::wire_bytes).sum::<usize>() > unions.max_row_bytes {
        return Ok(Merged::Apart(earlier, later));
    }
    let bound = if added_columns.is_empty() {
        earlier.bound
    } else {
        let columns = earlier.bound.columns.iter().cloned().chain(added_columns).collect();
        unions.get(&earlier.bound, columns)?
    };
    Ok(Merged::One(BoundRow { bound, values }))
}

/// What two values of a column become. `None` if only the server can tell.
pub(crate) fn merge_value<'a>(
    bound: &BoundColumns,
    at: usize,
    rule: MergeRule,
    earlier: &Value<'a>,
    later: &Value<'a>,
) -> Option<Value<'a>> {
    match rule {
        MergeRule::Replace => Some(later.clone()),
        MergeRule::Keep => Some(earlier.clone()),
        MergeRule::Sum => sum(bound, at, earlier, later),
        MergeRule::Min | MergeRule::Max => {
            if earlier.is_null() {
                return Some(later.clone());
            }
            if later.is_null() {
                return Some(earlier.clone());
            }
            let order = bound.compare(at, earlier, later)?;
            let later_wins = match rule {
                MergeRule::Min => order == Ordering::Greater,
                _ => order == Ordering::Less,
            };
            Some(if later_wins { later.clone() } else { earlier.clone() })
        }
    }
}

fn sum<'a>(bound: &BoundColumns, at: usize, earlier: &Value<'a>, later: &Value<'a>) -> Option<Value<'a>> {
    if let (Value::Int(left), Value::Int(right)) = (earlier, later)
        && let Some(total) = left.checked_add(*right)
    {
        return Some(Value::Int(total));
    }
    // The server rounds each increment to the column before it adds it, and so does this.
    let (left, right) = (increment(bound, at, earlier)?, increment(bound, at, later)?);
    let total = left.add(&right).to_string();
    Some(Value::Bytes(Cow::Owned(total.into_bytes())))
}

fn increment(bound: &BoundColumns, at: usize, value: &Value<'_>) -> Option<Decimal> {
    use crate::table::column::ColumnKind;
    let exact = number(value)?;
    Some(match bound.kinds.get(at)? {
        ColumnKind::Integer => exact.round(0),
        ColumnKind::Decimal { scale } => exact.round(*scale),
        _ => exact,
    })
}
