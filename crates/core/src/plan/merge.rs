//! What two rows of one key become. They become one only if that is the same to the table, to
//! whoever reads it, and to the rows: a row that the server would have refused alone must not
//! vanish in one that it takes.
//!
//! They stay two, to be written one after the other, if
//! - a value that would vanish is not [taken for certain](BoundColumns::takes);
//! - a foreign key, a CHECK or a generated column depends on a value that changes in between;
//! - the server sets a column at each change (`ON UPDATE CURRENT_TIMESTAMP`), and the later row
//!   does not;
//! - the later row lacks a column of a CHECK: its insert would be checked with the default;
//! - the earlier row can only update, and the later one can insert;
//! - a guard stands beside a rule such as `sum`: the server may refuse the earlier row and take the
//!   later one;
//! - under a guard, the later row can only update and the earlier one can insert: an insert looks
//!   at values that the update of a row that is turned away does not, so these must be certain;
//! - `min` or `max` stands over a column with a default, which an insert by the earlier row would
//!   have set;
//! - a comparison is one that only the server's collation can make.
//!
//! Sums go the way that their parts went: see [`crate::plan::sums`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::plan::binder::BoundRow;
use crate::plan::sums::{NOTHING, SumPath};
use crate::table::bound::{BoundColumns, OnlyUpdates};
use crate::table::rules::MergeRule;
use crate::value::Value;
use crate::value::decimal::number;

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

    /// The columns of a row that goes on from the earlier one: it may insert if that one may.
    pub(super) fn get(&mut self, earlier: &BoundColumns, columns: Vec<Box<str>>) -> Result<Arc<BoundColumns>> {
        let is_update = earlier.only_updates == Some(OnlyUpdates::Asked);
        let is_it = |known: &&Arc<BoundColumns>| {
            *known.columns == *columns && is_update == (known.only_updates == Some(OnlyUpdates::Asked))
        };
        if let Some(found) = self.known.iter().find(is_it) {
            return Ok(Arc::clone(found));
        }
        let columns = columns.into();
        let bound = Arc::new(if is_update {
            earlier.model.bind_update(&columns)?
        } else {
            earlier.model.bind(&columns)?
        });
        self.known.push(Arc::clone(&bound));
        Ok(bound)
    }
}

/// A row that others were merged into.
#[derive(Debug)]
pub struct MergedRow<'a> {
    row: BoundRow<'a>,
    /// The way of each column that was summed, by the column's place.
    sums: Vec<(usize, SumPath)>,
}

impl<'a> From<BoundRow<'a>> for MergedRow<'a> {
    fn from(row: BoundRow<'a>) -> Self {
        Self { row, sums: Vec::new() }
    }
}

impl<'a> MergedRow<'a> {
    /// The row, with the sums of all.
    pub(super) fn row(&self) -> &BoundRow<'a> {
        &self.row
    }

    /// The rows to write one after the other: one, unless a sum went up and down.
    pub fn into_rows(self) -> Vec<BoundRow<'a>> {
        let Self { row, sums } = self;
        let steps: Vec<_> = sums.iter().map(|(at, path)| (*at, path.steps())).collect();
        let count = steps.iter().map(|(_, steps)| steps.len()).max().unwrap_or(1);
        let mut rows = vec![row; count];
        for (nth, row) in rows.iter_mut().enumerate() {
            if nth > 0 {
                // What the first one added is not added again.
                let rules = row.bound.rules.iter().zip(&mut row.values);
                let summed = rules.filter(|(rule, _)| **rule == MergeRule::Sum);
                summed.for_each(|(_, value)| *value = NOTHING);
            }
            for (at, steps) in &steps {
                if let Some(slot) = row.values.get_mut(*at) {
                    *slot = steps.get(nth).cloned().unwrap_or(NOTHING);
                }
            }
        }
        rows
    }
}

/// What two rows with one key become.
#[derive(Debug)]
pub enum Merged<'a> {
    /// One row that has the effect of both.
    One(MergedRow<'a>),
    /// The same. It is the earlier one: whatever the table holds, the later one changes nothing.
    Stale(MergedRow<'a>),
    /// The two rows, to be written one after the other.
    Apart(MergedRow<'a>, BoundRow<'a>),
}

/// Merges two rows of one key; `later` was added after `earlier`.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn merge<'a>(earlier: MergedRow<'a>, later: BoundRow<'a>, unions: &mut ColumnUnions) -> Result<Merged<'a>> {
    if !may_become_one(&earlier.row, &later) {
        return Ok(Merged::Apart(earlier, later));
    }
    let row = &earlier.row;
    let mut is_stale = false;
    if let (Some(earlier_at), Some(later_at)) = (row.bound.guard, later.bound.guard) {
        match row
            .bound
            .compare(earlier_at, row.value(earlier_at), later.value(later_at))
        {
            // If the earlier row is taken, the later one is then refused. If it is refused, so is
            // the later. Either way the server must have no other fault to find with it.
            Some(Ordering::Greater) if is_taken_for_certain(&later) => return Ok(Merged::Stale(earlier)),
            None | Some(Ordering::Greater) => return Ok(Merged::Apart(earlier, later)),
            // The earlier row may be refused and the later one taken: only what the later one
            // overwrites may be dropped.
            Some(Ordering::Less) if !overwrites(&later, row) => return Ok(Merged::Apart(earlier, later)),
            // An insert of both would look at values that the later one's update does not, if the
            // table's guard turns it away.
            Some(_) if becomes_insert(row, &later) && !has_certain_values(&later) => {
                return Ok(Merged::Apart(earlier, later));
            }
            // Each is taken if and only if the other is.
            Some(Ordering::Equal) => is_stale = is_the_same(row, &later),
            Some(Ordering::Less) => {}
        }
    }
    let Some(mut sums) = add_up(&earlier, &later) else {
        return Ok(Merged::Apart(earlier, later));
    };
    let could_insert = row.bound.only_updates.is_none();
    let MergedRow { row, sums: before } = earlier;
    Ok(match combine(&row, &later, unions)? {
        Some(merged) if could_insert || merged.bound.only_updates.is_some() => {
            // What the earlier row has stands where it stood.
            let is_new = |(at, _): &(usize, SumPath)| sums.iter().all(|(other, _)| other != at);
            let unchanged: Vec<_> = before.into_iter().filter(is_new).collect();
            sums.extend(unchanged);
            let merged = MergedRow { row: merged, sums };
            if is_stale {
                Merged::Stale(merged)
            } else {
                Merged::One(merged)
            }
        }
        _ => Merged::Apart(MergedRow { row, sums: before }, later),
    })
}

/// Whether nothing but the order of the values stands against it: see the module.
fn may_become_one(earlier: &BoundRow<'_>, later: &BoundRow<'_>) -> bool {
    if earlier.bound.only_updates.is_some() && later.bound.only_updates.is_none() {
        return false;
    }
    let mut changes = false;
    for (at, value) in later.values.iter().enumerate() {
        let rule = later.bound.rules.get(at).copied().unwrap_or(MergeRule::Replace);
        let Some(here) = place_of(earlier, later, at) else {
            changes = true;
            let vanishes = rule == MergeRule::Keep && !later.bound.takes(at, value);
            if vanishes || later.bound.is_examined(at) {
                return false;
            }
            continue;
        };
        if earlier.bound.key.contains(&here) {
            continue;
        }
        let before = earlier.value(here);
        let vanishes_well = match rule {
            // Its way is checked where it is gone.
            MergeRule::Sum => !earlier.bound.is_examined(here),
            _ if before == value => {
                // MariaDB takes NULL in the place of NULL for a change if the column has a default.
                changes |= value.is_null();
                continue;
            }
            _ if earlier.bound.is_examined(here) => false,
            MergeRule::Replace => earlier.bound.takes(here, before),
            MergeRule::Keep => earlier.bound.takes(here, value),
            MergeRule::Min | MergeRule::Max => earlier.bound.takes(here, before) && earlier.bound.takes(here, value),
        };
        changes = true;
        if !vanishes_well {
            return false;
        }
    }
    // An insert of the later row would be checked with the default of what it lacks, also if it
    // then updates.
    let lacks = |at: usize| {
        let name = earlier.bound.columns.get(at);
        earlier.bound.default_is_checked(at) && name.is_some_and(|name| later.bound.position(name).is_none())
    };
    let lacks_checked = (0..earlier.values.len()).any(lacks);
    !(lacks_checked || changes && later.bound.lacks_column_set_on_update())
}

/// Whether the later row has the earlier one's columns and values, and adds none of them.
fn is_the_same(earlier: &BoundRow<'_>, later: &BoundRow<'_>) -> bool {
    Arc::ptr_eq(&earlier.bound, &later.bound)
        && earlier.values == later.values
        && !later.bound.rules.contains(&MergeRule::Sum)
}

/// Whether the later row can only update, and goes into one that can insert.
fn becomes_insert(earlier: &BoundRow<'_>, later: &BoundRow<'_>) -> bool {
    later.bound.only_updates.is_some() && earlier.bound.only_updates.is_none()
}

fn has_certain_values(row: &BoundRow<'_>) -> bool {
    let mut values = row.values.iter().enumerate();
    values.all(|(at, value)| row.bound.takes(at, value))
}

/// Whether the server takes the row, whatever the table holds.
pub(super) fn is_taken_for_certain(row: &BoundRow<'_>) -> bool {
    let mut values = row.values.iter().enumerate();
    row.bound.only_updates.is_none()
        && values.all(|(at, value)| row.bound.takes(at, value) && !row.bound.is_examined(at))
}

/// The ways of the columns that both rows sum. `None`: they must be written one after the other.
fn add_up(earlier: &MergedRow<'_>, later: &BoundRow<'_>) -> Option<Vec<(usize, SumPath)>> {
    let mut sums = Vec::new();
    for (at, value) in later.values.iter().enumerate() {
        if later.bound.rules.get(at) != Some(&MergeRule::Sum) {
            continue;
        }
        let Some(here) = place_of(&earlier.row, later, at) else {
            continue;
        };
        let bound = &earlier.row.bound;
        let before = match earlier.sums.iter().find(|(place, _)| *place == here) {
            Some((_, path)) => path.clone(),
            None => SumPath::of(bound, here, earlier.row.value(here))?,
        };
        sums.push((here, before.and(bound, here, value)?));
    }
    Some(sums)
}

/// Where the earlier row has a column of the later one.
fn place_of(earlier: &BoundRow<'_>, later: &BoundRow<'_>, at: usize) -> Option<usize> {
    if Arc::ptr_eq(&earlier.bound, &later.bound) {
        return Some(at);
    }
    earlier.bound.position(later.bound.columns.get(at)?)
}

/// What two rows of one key will be once both are written, for a reader who cannot wait for that.
/// If only the server can tell, the later value stands. After a deletion the later one stands, and
/// a deletion after a row that is not newer.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn merge_for_reading<'a>(
    earlier: BoundRow<'a>,
    later: BoundRow<'a>,
    unions: &mut ColumnUnions,
) -> Result<BoundRow<'a>> {
    if earlier.bound.is_deletion {
        return Ok(later);
    }
    if let (Some(earlier_at), Some(later_at)) = (earlier.bound.guard, later.bound.guard) {
        let (before, after) = (earlier.value(earlier_at), later.value(later_at));
        if earlier.bound.compare(earlier_at, before, after) == Some(Ordering::Greater) {
            return Ok(earlier);
        }
    }
    if later.bound.is_deletion {
        return Ok(later);
    }
    Ok(combine(&earlier, &later, unions)?.unwrap_or(later))
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

/// The values of both rows, by their rules. `None` if only the server can tell.
fn combine<'a>(
    earlier: &BoundRow<'a>,
    later: &BoundRow<'a>,
    unions: &mut ColumnUnions,
) -> Result<Option<BoundRow<'a>>> {
    let mut values = earlier.values.clone();
    let mut added_columns: Vec<Box<str>> = Vec::new();
    for (at, value) in later.values.iter().enumerate() {
        let rule = later.bound.rules.get(at).copied().unwrap_or(MergeRule::Replace);
        match place_of(earlier, later, at) {
            Some(here) if earlier.bound.key.contains(&here) => {}
            Some(here) => {
                let Some(merged) = merge_value(&earlier.bound, here, rule, earlier.value(here), value) else {
                    return Ok(None);
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
                // rules go on from that: `keep` keeps it, `min` and `max` compare with it.
                match rule {
                    MergeRule::Keep => {}
                    MergeRule::Min | MergeRule::Max if column.is_some_and(|column| column.has_default) => {
                        return Ok(None);
                    }
                    _ => {
                        added_columns.push(name.clone());
                        values.push(value.clone());
                    }
                }
            }
        }
    }
    let has_grown = !Arc::ptr_eq(&earlier.bound, &later.bound);
    if has_grown && values.iter().map(Value::wire_bytes).sum::<usize>() > unions.max_row_bytes {
        return Ok(None);
    }
    let bound = if added_columns.is_empty() {
        Arc::clone(&earlier.bound)
    } else {
        let columns = earlier.bound.columns.iter().cloned().chain(added_columns).collect();
        unions.get(&earlier.bound, columns)?
    };
    Ok(Some(BoundRow { bound, values }))
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
    let kind = bound.kinds.get(at)?;
    let total = kind
        .round(number(earlier)?)
        .add(&kind.round(number(later)?))
        .to_string();
    Some(Value::Bytes(Cow::Owned(total.into_bytes())))
}
