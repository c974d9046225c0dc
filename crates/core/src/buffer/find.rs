//! Looks for a row that is still buffered.
//!
//! Cost: each row is indexed once, by the first `find()` after it came, and once more when it is
//! parked, or stands in the journal alone (see [`key_index`](crate::buffer::key_index),
//! [`parked_index`](crate::buffer::parked_index) and
//! [`stored_index`](crate::buffer::stored_index)). Then it reads the rows of the key.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::buffer::group_index::GroupIndex;
use crate::buffer::key_index::{KeyIndex, Order, Stage, View};
use crate::buffer::parked_index::{ParkedIndex, ParkedView};
use crate::buffer::parking::Parking;
use crate::buffer::queue::Queue;
use crate::buffer::stored_index::{FoundRows, Read, StoredIndex, StoredView};
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

/// The index of one table.
#[derive(Debug)]
pub struct TableIndex {
    table: TableId,
    queues: KeyIndex,
    parked: ParkedIndex,
    stored: StoredIndex,
}

/// What a look saw.
#[derive(Debug)]
pub struct Seen {
    view: View,
    /// What is parked.
    pub parked: ParkedView,
    stored: StoredView,
}

impl TableIndex {
    fn new(table: TableId, model: &TableModel) -> Self {
        Self {
            table,
            queues: KeyIndex::new(table, model),
            parked: ParkedIndex::default(),
            stored: StoredIndex::default(),
        }
    }

    /// Looks at the queues of all lanes, in order, and at what is parked, under their lock.
    /// `wanted` has the hash of the key that is looked for; `read` says how what is in the journal
    /// alone is read.
    pub fn look<'q>(
        &mut self,
        queues: impl Iterator<Item = &'q Queue> + Clone,
        parking: &Parking,
        wanted: u64,
        read: Read<'_>,
    ) -> Seen {
        Seen {
            view: self.queues.look(queues.clone(), wanted),
            parked: self.parked.look(parking, wanted),
            stored: self.stored.look(queues, self.table, wanted, read),
        }
    }

    /// Indexes what is new to a look, without the lock. Returns whether there was anything.
    fn learn(&mut self, seen: &Seen) -> Result<bool> {
        if seen.view.is_complete && seen.parked.is_complete() && seen.stored.is_complete() {
            return Ok(false);
        }
        let queues = &mut self.queues;
        self.parked
            .learn(&seen.parked, self.table, |row| queues.hash_of_row(row));
        let learned = self
            .stored
            .learn(&seen.stored, self.table, |row| queues.hash_of_row(row));
        self.queues.learn(&seen.view);
        learned.map(|()| true)
    }
}

/// What lets an index look at a buffer's queues, and at what it has parked, and says how many rows
/// wait there.
pub type Look<'l> = &'l mut dyn FnMut(&mut TableIndex, u64) -> (Seen, usize);

/// Finds rows, and keeps an index of each table that was asked for.
#[derive(Debug, Default)]
pub struct Finder {
    indexes: FxHashMap<TableId, TableIndex>,
    /// By the keys that are taken for those of tables that take no rows.
    without_schema: FxHashMap<TableId, TableIndex>,
}

impl Finder {
    /// The rows of a table that have the key, in their order, merged by the table's rules.
    ///
    /// # Errors
    ///
    /// A key that names other columns than the table's key, or has more or fewer parts.
    pub fn find(
        &mut self,
        table: TableId,
        model: &Arc<TableModel>,
        key: &[KeyPart<'_>],
        look: Look<'_>,
    ) -> Result<Found> {
        find(&mut self.indexes, table, model, key, look)
    }

    /// The same for a table that takes no rows now: they may be such as it does not take.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_blocked(
        &mut self,
        table: TableId,
        entry: &TableEntry,
        key: &[KeyPart<'_>],
        look: Look<'_>,
    ) -> Result<Found> {
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode)?;
        find(&mut self.without_schema, table, &Arc::new(model), key, look)
    }
}

fn find(
    indexes: &mut FxHashMap<TableId, TableIndex>,
    table: TableId,
    model: &Arc<TableModel>,
    key: &[KeyPart<'_>],
    look: Look<'_>,
) -> Result<Found> {
    let wanted = wanted_key(model, key)?;
    let new = || TableIndex::new(table, model);
    let index = indexes.entry(table).or_insert_with(new);
    if !index.queues.is_for(model) {
        *index = new();
    }
    let hash = index.queues.hash_of_key(&wanted);
    let (seen, pending_rows) = loop {
        let (seen, pending_rows) = look(index, hash);
        if !index.learn(&seen)? {
            break (seen, pending_rows);
        }
    };
    let parked = seen.parked.rows(table);
    let parked = parked.map(|(number, at, row)| ((Stage::Parked, number, at), row));
    let stored = seen.stored.read()?;
    let others = parked.chain(stored.iter().flat_map(|found| rows_of(found, table)));
    let found = index
        .queues
        .with_rows(&seen.view, hash, others, |rows| merge_rows(rows, model, &wanted));
    index.queues.forget_settled(pending_rows);
    index.stored.forget_settled(pending_rows);
    found
}

/// A stored group's rows of a table. All rows of its batch come from here, so any numbers do that
/// keep the order of its groups. The rows of a group keep theirs.
fn rows_of(found: &FoundRows, table: TableId) -> impl Iterator<Item = (Order, Row<'_>)> {
    let stage = if found.is_in_flight {
        Stage::InFlight
    } else {
        Stage::Waiting
    };
    let at = usize::try_from(found.number - found.batch).unwrap_or(usize::MAX);
    found.of(table).map(move |row| ((stage, found.batch, at), row))
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
