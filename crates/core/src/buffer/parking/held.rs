//! Which keys the rows have that wait, and what each row's key is.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::buffer::keys::{KeyHash, TableKey, key_hash};
use crate::rows::arena::Row;
use crate::table::bound::BoundColumns;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;
use crate::table::shape::Shape;

/// Bound shapes that are remembered. One more, and all are forgotten.
const SHAPES_KEPT: usize = 1_000;

/// The keys of some groups. After a collision of hashes a group waits without need, and nothing
/// else.
#[derive(Debug, Default)]
pub(super) struct HeldKeys {
    tables: FxHashMap<TableId, TableKeys>,
}

/// The keys of one table's rows, each with the number of its rows.
#[derive(Debug, Default)]
struct TableKeys {
    known: FxHashMap<u64, usize>,
    unknown: usize,
}

impl HeldKeys {
    pub fn add(&mut self, keys: &[TableKey]) {
        for (table, key) in keys {
            let held = self.tables.entry(*table).or_default();
            match key {
                KeyHash::Known(hash) => *held.known.entry(*hash).or_default() += 1,
                KeyHash::Unknown => held.unknown += 1,
            }
        }
    }

    /// Removes what [`Self::add`] added.
    pub fn remove(&mut self, keys: &[TableKey]) {
        for (table, key) in keys {
            let Some(held) = self.tables.get_mut(table) else {
                continue;
            };
            match key {
                KeyHash::Known(hash) => {
                    if let Some(rows) = held.known.get_mut(hash) {
                        *rows -= 1;
                        if *rows == 0 {
                            held.known.remove(hash);
                        }
                    }
                }
                KeyHash::Unknown => held.unknown -= 1,
            }
            if held.unknown == 0 && held.known.is_empty() {
                self.tables.remove(table);
            }
        }
    }

    pub fn has_table(&self, table: TableId) -> bool {
        self.tables.contains_key(&table)
    }

    /// Whether a row with one of the keys could meet a row that is held.
    pub fn meets(&self, keys: &[TableKey]) -> bool {
        !self.tables.is_empty()
            && keys.iter().any(|(table, key)| {
                self.tables.get(table).is_some_and(|held| match key {
                    KeyHash::Known(hash) => held.unknown > 0 || held.known.contains_key(hash),
                    KeyHash::Unknown => true,
                })
            })
    }
}

/// A shape that is kept alive, and its columns bound to the table's model.
type BoundShape = (Arc<Shape>, Option<Arc<BoundColumns>>);

/// Reads the keys of rows, all rows of a table by one model: so hashes can be compared.
#[derive(Debug, Default)]
pub(super) struct KeyReader {
    models: FxHashMap<TableId, (Arc<TableEntry>, Option<Arc<TableModel>>)>,
    bound: FxHashMap<usize, BoundShape>,
    /// Tables without a model that were met since somebody asked.
    newly_unread: Vec<Arc<TableEntry>>,
    /// Somebody wants to know what the tables without a model are by now.
    wants_unread: bool,
    scratch: Vec<u8>,
}

impl KeyReader {
    /// Whether the table's keys were read by another model than it has now. Then they are to be
    /// read anew.
    pub fn has_other_model(&self, table: TableId, now: &Arc<TableModel>) -> bool {
        match self.models.get(&table) {
            None => false,
            Some((_, None)) => true,
            Some((_, Some(model))) => !Arc::ptr_eq(model, now) && model != now,
        }
    }

    /// Whether keys of the table were read, by a model or without one.
    pub fn knows(&self, table: TableId) -> bool {
        self.models.contains_key(&table)
    }

    /// The tables whose keys could not be read without a model.
    pub fn unread(&self) -> impl Iterator<Item = (TableId, &Arc<TableEntry>)> {
        let unread = self.models.iter().filter(|(_, (_, model))| model.is_none());
        unread.map(|(table, (entry, _))| (*table, entry))
    }

    /// Somebody wants to know what the tables without a model are by now.
    pub fn want_unread(&mut self) {
        let any_unread = self.unread().next().is_some();
        self.wants_unread = any_unread;
    }

    /// Whether nobody looks at them, although somebody wants to know.
    pub fn wants_unread(&self) -> bool {
        self.wants_unread
    }

    /// The tables without a model, for somebody who looks at them.
    pub fn take_unread(&mut self) -> Vec<Arc<TableEntry>> {
        self.wants_unread = false;
        self.unread().map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// From now on the table's keys are read by this model.
    pub fn set_model(&mut self, table: TableId, entry: &Arc<TableEntry>, model: &Arc<TableModel>) {
        self.models.insert(table, (Arc::clone(entry), Some(Arc::clone(model))));
        self.bound.retain(|_, (shape, _)| shape.table != table);
    }

    /// The keys of some rows.
    pub fn read<'r>(&mut self, rows: impl Iterator<Item = Row<'r>>) -> Box<[TableKey]> {
        rows.filter_map(|row| {
            let table = row.shape.table;
            let bound = self.bind(row.shape);
            Some((table, key_hash(&row, bound.as_deref(), &mut self.scratch)?))
        })
        .collect()
    }

    fn bind(&mut self, shape: &Arc<Shape>) -> Option<Arc<BoundColumns>> {
        if let Some((_, bound)) = self.bound.get(&address(shape)) {
            return bound.clone();
        }
        let known = self.models.entry(shape.table);
        let newly_unread = &mut self.newly_unread;
        let (_, model) = known.or_insert_with(|| {
            let model = shape.entry.model();
            if model.is_none() {
                newly_unread.push(Arc::clone(&shape.entry));
            }
            (Arc::clone(&shape.entry), model)
        });
        let bound = model.as_ref().and_then(|model| shape.bind(model).ok()).map(Arc::new);
        if self.bound.len() >= SHAPES_KEPT {
            self.bound.clear();
        }
        self.bound.insert(address(shape), (Arc::clone(shape), bound.clone()));
        bound
    }

    /// The tables without a model that were met since the last call.
    pub fn newly_unread(&mut self) -> Vec<Arc<TableEntry>> {
        std::mem::take(&mut self.newly_unread)
    }

    pub fn clear(&mut self) {
        self.newly_unread.clear();
        self.wants_unread = false;
        self.models.clear();
        self.bound.clear();
    }
}

/// Where a shape is. It stays there while it is kept alive.
fn address(shape: &Arc<Shape>) -> usize {
    Arc::as_ptr(shape).addr()
}
