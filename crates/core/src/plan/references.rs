//! In which order a transaction writes its tables, as far as foreign keys and triggers leave a
//! choice.
//!
//! Written table by table, a row may find the row that it refers to although it was added before
//! it: alone it would have been refused. So tables are written one after the other, referenced ones
//! first, only if no row refers to one that was added later. Otherwise all rows keep the order in
//! which they were added. So they do if a trigger of one table may touch another one.
//!
//! Nobody here knows what refers to the row that is deleted: what the table held may, and what
//! cascades from it goes on through tables that have no row here. So if rows of a table are
//! deleted, and another one refers to it, or to a table that has no rows here, all rows keep their
//! order, too: children are deleted before their parents if that is how they were added.

use rustc_hash::FxHashMap;

use crate::plan::binder::BoundRow;
use crate::table::column::ColumnKind;
use crate::table::model::TableModel;
use crate::table::name::TableName;
use crate::table::schema::ForeignKey;

/// A table's rows in a transaction.
#[derive(Debug, Default)]
pub struct TableRows<'a> {
    /// The rows, in the order in which they were added.
    pub rows: Vec<BoundRow<'a>>,
    /// The place of each among all rows of the transaction.
    pub places: Vec<usize>,
}

impl TableRows<'_> {
    fn model(&self) -> Option<&TableModel> {
        self.rows.first().map(|row| &*row.bound.model)
    }
}

/// The tables, by their place in the list, in the order in which to write them. `None`: all rows
/// keep their order.
pub fn order(tables: &[TableRows<'_>]) -> Option<Vec<usize>> {
    if has_touching_triggers(tables) {
        return None;
    }
    let references = references(tables);
    if !deletions_are_free(tables) {
        return None;
    }
    if references.iter().any(|reference| !reference.is_kept(tables)) {
        return None;
    }
    let mut left: Vec<usize> = (0..tables.len()).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |table: &usize| {
            let mut parents = references.iter().filter(|reference| reference.from == *table);
            parents.any(|reference| left.contains(&reference.to))
        };
        let next = left.iter().position(|table| !waits(table))?;
        order.push(left.remove(next));
    }
    Some(order)
}

/// Whether no table's deletions can meet the rows of another one.
fn deletions_are_free(tables: &[TableRows<'_>]) -> bool {
    let place = |table: &TableName| {
        let is_it = |other: &TableRows<'_>| other.model().is_some_and(|model| model.name == *table);
        tables.iter().position(is_it)
    };
    let has_deletions = |table: &TableRows<'_>| table.rows.iter().any(|row| row.bound.is_deletion);
    tables
        .iter()
        .enumerate()
        .filter(|(_, table)| has_deletions(table))
        .all(|(deleting, _)| {
            let others = tables.iter().enumerate().filter(|(other, _)| *other != deleting);
            let mut keys = others.flat_map(|(other, table)| {
                let keys = table.model().map_or(&[][..], TableModel::foreign_keys);
                keys.iter().map(move |key| (other, key))
            });
            keys.all(|(other, key)| {
                let to = place(&key.table);
                // Its own foreign keys are looked at by themselves.
                to == Some(other) || to.is_some_and(|to| to != deleting)
            })
        })
}

/// Whether a trigger of one table may read or write what another one gets, or two tables' triggers
/// may write to one table, as to a log.
fn has_touching_triggers(tables: &[TableRows<'_>]) -> bool {
    let models = || tables.iter().filter_map(TableRows::model);
    models().filter(|model| model.has_writing_triggers()).nth(1).is_some()
        || models().any(|model| models().any(|other| other.name != model.name && model.may_touch(&other.name)))
}

/// A foreign key of one table of the list to another one.
struct Reference<'t> {
    from: usize,
    to: usize,
    key: &'t ForeignKey,
}

fn references<'t>(tables: &'t [TableRows<'_>]) -> Vec<Reference<'t>> {
    let mut found = Vec::new();
    for (from, table) in tables.iter().enumerate() {
        let keys = table.model().map_or(&[][..], TableModel::foreign_keys);
        for key in keys {
            let is_it = |other: &TableRows<'_>| other.model().is_some_and(|model| model.name == key.table);
            // A table that refers to itself keeps its order anyway.
            if let Some(to) = tables.iter().position(is_it).filter(|to| *to != from) {
                found.push(Reference { from, to, key });
            }
        }
    }
    found
}

impl Reference<'_> {
    /// Whether each row finds what it refers to also if the other table is written first, if and
    /// only if it does in the order in which the rows were added.
    fn is_kept(&self, tables: &[TableRows<'_>]) -> bool {
        match (tables.get(self.from), tables.get(self.to)) {
            (Some(children), Some(parents)) => self.compare(children, parents).is_some(),
            _ => true,
        }
    }

    /// `None`: a row refers to one that was added later, or only the server can tell.
    fn compare(&self, children: &TableRows<'_>, parents: &TableRows<'_>) -> Option<()> {
        let first = parents.rows.first()?;
        let model = &first.bound.model;
        if !model.goes_by_key() {
            // A row may go into another one than that of its key: nobody here knows which are
            // there.
            return None;
        }
        // The child's columns in the order of the parent's key.
        let columns: Option<Vec<&String>> = model.key.iter().map(|name| self.column_for(name)).collect();
        let columns = columns.filter(|columns| columns.len() == self.key.columns.len())?;
        let mut added_at: FxHashMap<Vec<u8>, usize> = FxHashMap::default();
        for (row, place) in parents.rows.iter().zip(&parents.places) {
            // A row whose key the server makes is one that nobody here can refer to.
            if !row.bound.key.is_empty() {
                added_at.entry(row.key()?).or_insert(*place);
            }
        }
        let kinds: Vec<_> = model.key.iter().map(|name| model.kind(name)).collect();
        let mut form = Vec::new();
        for (row, place) in children.rows.iter().zip(&children.places) {
            if row.bound.is_deletion {
                continue;
            }
            form.clear();
            let mut refers = true;
            for (name, kind) in columns.iter().zip(&kinds) {
                let Some(at) = row.bound.position(name).filter(|at| !row.value(*at).is_null()) else {
                    refers = false;
                    continue;
                };
                // An insert makes of bytes what its column has them be: BINARY(3) pads, VARBINARY
                // does not.
                if matches!(kind, ColumnKind::Binary { .. }) && row.bound.kinds.get(at) != Some(kind) {
                    return None;
                }
                kind.key(row.value(at), &mut form)?;
            }
            if refers && added_at.get(&form).is_some_and(|parent| parent > place) {
                return None;
            }
        }
        Some(())
    }

    /// The column here that refers to one there.
    fn column_for(&self, referenced: &str) -> Option<&String> {
        let pairs = self.key.referenced.iter().zip(&self.key.columns);
        pairs
            .filter(|(there, _)| there.eq_ignore_ascii_case(referenced))
            .map(|(_, here)| here)
            .next()
    }
}
