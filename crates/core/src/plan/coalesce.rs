//! Coalescing: rows with the same table and key become one.
//!
//! The invariant that everything here serves: **writing the coalesced rows leaves the table exactly as writing the rows
//! one after the other would**, so no result depends on where a batch ends. Two rows whose merge would need to know
//! what is in the table (a guard beside a sum, a comparison under a collation) are not merged: the later one gets the
//! next *layer*, and layers are written one after the other.
//!
//! Where the server's idea of equal keys is not certain (see [`ColumnKind::key`](crate::table::column::ColumnKind::key)) the
//! whole table keeps the order of its rows, with nothing merged and nothing sorted, and the last in order wins there as
//! it would here.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::Result;
use crate::table::column::number;
use crate::table::{BoundColumns, MergeRule, Mode};
use crate::value::Value;
use crate::value::decimal::Decimal;

/// A row bound to its table, before or after merging.
#[derive(Debug, Clone)]
pub struct BoundRow<'a> {
    /// Its columns.
    pub bound: Arc<BoundColumns>,
    /// Its values, in the columns' order.
    pub values: Vec<Value<'a>>,
}

/// A table's rows, ready to be written.
#[derive(Debug, Default)]
pub struct Coalesced<'a> {
    /// Layers, to be written one after the other; within a layer no two rows have the same key.
    pub layers: Vec<Vec<BoundRow<'a>>>,
    /// Whether rows must be written in their order, and not be grouped by columns.
    pub in_order: bool,
    /// How many rows went into others.
    pub coalesced_rows: usize,
}

/// Coalesces the rows of one table, given in the order in which they were added. No merge makes a row of more than
/// `max_row_bytes` on the wire.
///
/// # Errors
///
/// Columns that cannot be bound together: a bug of ours, since each row was bound on its own.
pub fn coalesce(rows: Vec<BoundRow<'_>>, max_row_bytes: usize) -> Result<Coalesced<'_>> {
    let Some(mode) = rows.first().map(|row| row.bound.model.mode) else {
        return Ok(Coalesced::default());
    };
    let Some(keys) = Keys::of(&rows) else {
        return Ok(Coalesced {
            layers: vec![rows],
            in_order: true,
            coalesced_rows: 0,
        });
    };
    if keys.are_ascending() {
        // Nothing to sort, and no two rows of one key: the way of most batches.
        return Ok(Coalesced {
            layers: vec![rows],
            ..Coalesced::default()
        });
    }
    let order = keys.order();
    match mode {
        Mode::Upsert => merge_by_key(rows, &keys, &order, max_row_bytes),
        Mode::Insert => {
            let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
            let sorted = order.iter().filter_map(|at| rows.get_mut(*at)?.take());
            Ok(Coalesced {
                layers: vec![sorted.collect()],
                ..Coalesced::default()
            })
        }
    }
}

/// The key forms of rows, one after the other.
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// `None` where that of one row is not certain.
    fn of(rows: &[BoundRow<'_>]) -> Option<Self> {
        let mut keys = Self {
            bytes: Vec::with_capacity(16 * rows.len()),
            ends: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            row.append_key(&mut keys.bytes)?;
            keys.ends.push(keys.bytes.len());
        }
        Some(keys)
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied().unwrap_or_default();
        self.bytes.get(start.unwrap_or_default()..end).unwrap_or_default()
    }

    fn are_ascending(&self) -> bool {
        (1..self.ends.len()).all(|at| self.get(at - 1) < self.get(at))
    }

    /// The rows by key; those of one key in their order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by(|left, right| self.get(*left).cmp(self.get(*right)));
        order
    }
}

impl<'a> BoundRow<'a> {
    /// The key form of the row, see [`ColumnKind::key`](crate::table::column::ColumnKind::key).
    pub fn key(&self) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(24);
        self.append_key(&mut key)?;
        Some(key)
    }

    fn append_key(&self, key: &mut Vec<u8>) -> Option<()> {
        self.bound.append_key(|at| self.values.get(at), key)
    }

    fn value(&self, at: usize) -> &Value<'a> {
        self.values.get(at).unwrap_or(&Value::Null)
    }
}

fn merge_by_key<'a>(
    rows: Vec<BoundRow<'a>>,
    keys: &Keys,
    order: &[usize],
    max_row_bytes: usize,
) -> Result<Coalesced<'a>> {
    let total = rows.len();
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    let mut unions = Unions::new(max_row_bytes);
    let mut layers: Vec<Vec<BoundRow<'a>>> = vec![Vec::with_capacity(total)];
    let mut kept = 0;
    for same_key in order.chunk_by(|left, right| keys.get(*left) == keys.get(*right)) {
        // The rows of the key by layer, nearly always one.
        let mut depth = 0;
        let mut top: Option<BoundRow<'a>> = None;
        for row in same_key.iter().filter_map(|at| rows.get_mut(*at)?.take()) {
            top = Some(match top.take() {
                None => row,
                Some(earlier) => match merge(earlier, row, &mut unions)? {
                    Merged::One(merged) => merged,
                    Merged::Apart(earlier, later) => {
                        place(&mut layers, depth, earlier);
                        kept += 1;
                        depth += 1;
                        later
                    }
                },
            });
        }
        if let Some(row) = top {
            place(&mut layers, depth, row);
            kept += 1;
        }
    }
    Ok(Coalesced {
        layers,
        in_order: false,
        coalesced_rows: total - kept,
    })
}

fn place<'a>(layers: &mut Vec<Vec<BoundRow<'a>>>, layer: usize, row: BoundRow<'a>) {
    if layers.len() <= layer {
        layers.resize_with(layer + 1, Vec::new);
    }
    if let Some(rows) = layers.get_mut(layer) {
        rows.push(row);
    }
}

/// Column sets that merges made, so that equal ones are shared and go into one statement.
#[derive(Debug)]
pub struct Unions {
    known: Vec<Arc<BoundColumns>>,
    max_row_bytes: usize,
}

impl Unions {
    /// No merge makes a row of more than `max_row_bytes` on the wire.
    pub fn new(max_row_bytes: usize) -> Self {
        let known = Vec::new();
        Self { known, max_row_bytes }
    }

    fn get(&mut self, earlier: &BoundColumns, columns: Vec<Box<str>>) -> Result<Arc<BoundColumns>> {
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
/// As [`coalesce`].
pub fn merge<'a>(earlier: BoundRow<'a>, later: BoundRow<'a>, unions: &mut Unions) -> Result<Merged<'a>> {
    if let (Some(earlier_at), Some(later_at)) = (earlier.bound.guard, later.bound.guard) {
        match earlier
            .bound
            .compare(earlier_at, earlier.value(earlier_at), later.value(later_at))
        {
            None => return Ok(Merged::Apart(earlier, later)),
            // Wherever the earlier row is taken, the later one is then refused; where it is refused, so is the later.
            Some(Ordering::Greater) => return Ok(Merged::One(earlier)),
            // The earlier one may be refused where the later is taken: only what the later overwrites may be dropped.
            Some(Ordering::Less) if !overwrites(&later, &earlier) => return Ok(Merged::Apart(earlier, later)),
            // Equal: each is taken exactly where the other is.
            Some(Ordering::Less | Ordering::Equal) => {}
        }
    }
    merge_values(earlier, later, unions)
}

/// What two rows of one key will have become once both are written, for a reader who cannot wait for that. Where only
/// the server can tell, the later value stands.
///
/// # Errors
///
/// As [`coalesce`].
pub fn merge_for_reading<'a>(earlier: BoundRow<'a>, later: BoundRow<'a>, unions: &mut Unions) -> Result<BoundRow<'a>> {
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

fn merge_values<'a>(earlier: BoundRow<'a>, later: BoundRow<'a>, unions: &mut Unions) -> Result<Merged<'a>> {
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
                // An insert by the earlier row would have filled the column with its default, and the rules go on from
                // that: `keep` keeps it, `min` and `max` compare with it. Where the column has none the earlier row
                // alone could only update.
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

/// What two values of a column become, or `None` where only the server can tell.
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
