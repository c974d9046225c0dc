//! Looks for a row that is still buffered.
//!
//! Cost: each row is indexed once, by the first `find()` after it came (see
//! [`key_index`](crate::buffer::key_index)). Then it reads the rows of the key.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::buffer::group_index::GroupIndex;
use crate::buffer::key_index::{KeyIndex, View};
use crate::dead_letter::NamedRow;
use crate::error::{Error, Result};
use crate::plan::binder::{Binder, BoundRow};
use crate::plan::merge::{ColumnUnions, merge_for_reading};
use crate::rows::arena::Row;
use crate::rows::group::Group;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;
use crate::value::Value;

/// A part of a key: its column, if it was named, and its value.
pub type KeyPart<'a> = (Option<Box<str>>, Value<'a>);

/// What is buffered under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A deletion, and no row after it.
    Deletion,
    /// A row.
    Row(NamedRow),
}

/// Finds rows, and keeps an index of each table that was asked for.
#[derive(Debug, Default)]
pub struct Finder {
    indexes: FxHashMap<TableId, KeyIndex>,
}

impl Finder {
    /// The rows of a table that have the key, in their order, merged by the table's rules. `look`
    /// lets an index look at the buffer's queues, and says how many rows wait there.
    ///
    /// # Errors
    ///
    /// A key that names other columns than the table's key, or has more or fewer parts.
    pub fn find(
        &mut self,
        table: TableId,
        model: &Arc<TableModel>,
        key: &[KeyPart<'_>],
        mut look: impl FnMut(&mut KeyIndex, u64) -> (View, usize),
    ) -> Result<Found> {
        let wanted = wanted_key(model, key)?;
        let new = || KeyIndex::new(table, model);
        let index = self.indexes.entry(table).or_insert_with(new);
        if !index.is_for(model) {
            *index = new();
        }
        let hash = index.hash_of_key(&wanted);
        let (view, pending_rows) = loop {
            let (view, pending_rows) = look(index, hash);
            if view.is_complete {
                break (view, pending_rows);
            }
            index.learn(&view);
        };
        let found = index.with_rows(&view, hash, |rows| merge_rows(rows, model, &wanted));
        index.forget_settled(pending_rows);
        found
    }
}

/// Those of a table's rows that have the key, in their order, merged by the table's rules: without
/// an index. If the table takes no rows now, they may be such as it does not take.
///
/// # Errors
///
/// A key that names other columns than the table's key, or has more or fewer parts.
pub fn find_parked<'a>(
    rows: impl Iterator<Item = Row<'a>> + Clone,
    entry: &TableEntry,
    is_blocked: bool,
    model: &Arc<TableModel>,
    key: &[KeyPart<'_>],
) -> Result<Found> {
    let found = merge_rows(rows.clone(), model, &wanted_key(model, key)?)?;
    if found != Found::Nothing || !is_blocked {
        return Ok(found);
    }
    let model = Arc::new(TableModel::without_schema(
        &entry.name,
        &entry.rules,
        entry.default_mode,
    )?);
    merge_rows(rows, &model, &wanted_key(&model, key)?)
}

/// The row of a key that will be there once a group is taken that is being gathered. `found` is
/// what waits before it. If the server has not described the table yet, its key is the configured
/// one, or `id`.
///
/// # Errors
///
/// A key of the wrong shape.
pub fn find_in_group(
    group: &Group,
    index: &mut GroupIndex,
    table: TableId,
    entry: &TableEntry,
    key: &[KeyPart<'_>],
    found: Found,
) -> Result<Found> {
    let model = entry.model().map_or_else(
        || TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).map(Arc::new),
        Ok,
    )?;
    let places = index.of_table(group, table, &model);
    if places.is_empty() {
        return Ok(found);
    }
    let wanted = wanted_key(&model, key)?;
    let is_deleted = found == Found::Deletion;
    let before = match found {
        Found::Nothing | Found::Deletion => None,
        Found::Row(found) => {
            let (columns, values): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            let bound = Arc::new(model.bind(&columns.into())?);
            Some(BoundRow { bound, values })
        }
    };
    let rows = places.with_key(&wanted);
    let rows = rows.into_iter().filter_map(|at| group.row(at));
    Ok(match merge_rows_onto(before, rows, &model, &wanted)? {
        Found::Nothing if is_deleted => Found::Deletion,
        found => found,
    })
}

/// Those rows that have the key, merged.
fn merge_rows<'a>(
    rows: impl IntoIterator<Item = Row<'a>>,
    model: &Arc<TableModel>,
    wanted: &[&Value<'_>],
) -> Result<Found> {
    merge_rows_onto(None, rows, model, wanted)
}

/// Those rows that have the key, merged into what was found before them.
fn merge_rows_onto<'a>(
    mut found: Option<BoundRow<'a>>,
    rows: impl IntoIterator<Item = Row<'a>>,
    model: &Arc<TableModel>,
    wanted: &[&Value<'_>],
) -> Result<Found> {
    let mut binder = Binder::with_model(Arc::clone(model));
    let mut unions = ColumnUnions::new(usize::MAX);
    for row in rows {
        // A row that cannot be bound will be given up, and is no row of the table.
        let Ok(bound) = binder.bind(&row) else { continue };
        if !has_key(&bound, wanted) {
            continue;
        }
        found = Some(match found.take() {
            None => bound,
            Some(earlier) => merge_for_reading(earlier, bound, &mut unions)?,
        });
    }
    Ok(match found {
        None => Found::Nothing,
        Some(row) if row.bound.is_deletion => Found::Deletion,
        Some(row) => {
            let names = row.bound.columns.iter().cloned();
            Found::Row(names.zip(row.values.into_iter().map(Value::into_owned)).collect())
        }
    })
}

/// The values of a key, in the key's order.
fn wanted_key<'v>(model: &TableModel, key: &'v [KeyPart<'v>]) -> Result<Vec<&'v Value<'v>>> {
    let shape = || {
        Error::argument(format!(
            "table {}: its key has the columns ({}); give their values by name, or in this order",
            model.name,
            model.key.join(", ")
        ))
    };
    if model.key.is_empty() || key.len() != model.key.len() {
        return Err(shape());
    }
    model
        .key
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let by_name = key
                .iter()
                .find(|(name, _)| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(column)));
            let by_place = || key.get(at).filter(|(name, _)| name.is_none());
            by_name.or_else(by_place).map(|(_, value)| value).ok_or_else(shape)
        })
        .collect()
}

/// Whether the row has the key: by the server's equality if that is certain, else by its bytes.
fn has_key(row: &BoundRow<'_>, wanted: &[&Value<'_>]) -> bool {
    !row.bound.key.is_empty()
        && row.bound.key.iter().zip(wanted).all(|(at, wanted)| {
            let (Some(kind), Some(value)) = (row.bound.kinds.get(*at), row.values.get(*at)) else {
                return false;
            };
            let (mut left, mut right) = (Vec::new(), Vec::new());
            match (kind.key(value, &mut left), kind.key(wanted, &mut right)) {
                (Some(()), Some(())) => left == right,
                _ => value == *wanted,
            }
        })
}
