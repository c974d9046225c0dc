//! An index of a group that is being gathered, by table and key, for `find()` within `group()`.
//!
//! A `find()` indexes the rows of its table that came since the last one: so each row is looked at
//! once for each table that is asked for.
//!
//! Invariant: no row of a key is missed. Rows whose key is not certain are among the rows of every
//! key: whoever reads them looks whether they have it.
//!
//! Bound: some 24 bytes for each row of the group, beside the group's own.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::rows::group::Group;
use crate::table::bound::BoundColumns;
use crate::table::entry::TableId;
use crate::table::model::TableModel;
use crate::table::shape::Shape;
use crate::value::Value;

/// The index of a group: see the module.
#[derive(Debug, Default)]
pub struct GroupIndex {
    tables: FxHashMap<TableId, TableIndex>,
}

/// The rows of one table, by their positions in the group.
#[derive(Debug)]
pub struct TableIndex {
    model: Arc<TableModel>,
    /// So many rows of the group were looked at.
    indexed: usize,
    by_hash: FxHashMap<u64, Vec<usize>>,
    /// Those whose key is not certain.
    others: Vec<usize>,
}

impl GroupIndex {
    /// Forgets all: rows were taken back.
    pub fn clear(&mut self) {
        self.tables.clear();
    }

    /// The rows of a table, as far as the group has any.
    pub fn of_table(&mut self, group: &Group, table: TableId, model: &Arc<TableModel>) -> &TableIndex {
        let new = || TableIndex::new(model);
        let index = self.tables.entry(table).or_insert_with(new);
        if !Arc::ptr_eq(&index.model, model) {
            // The table was described since.
            *index = new();
        }
        index.learn(group, table);
        index
    }
}

impl TableIndex {
    fn new(model: &Arc<TableModel>) -> Self {
        Self {
            model: Arc::clone(model),
            indexed: 0,
            by_hash: FxHashMap::default(),
            others: Vec::new(),
        }
    }

    fn learn(&mut self, group: &Group, table: TableId) {
        let mut last: Option<(*const Shape, Option<BoundColumns>)> = None;
        let mut key = Vec::new();
        for (at, row) in (self.indexed..group.len()).filter_map(|at| Some((at, group.row(at)?))) {
            if row.shape.table != table {
                continue;
            }
            let shape = Arc::as_ptr(row.shape);
            let bound = match &last {
                Some((known, bound)) if *known == shape => bound,
                _ => &last.insert((shape, row.shape.bind(&self.model).ok())).1,
            };
            if bound.as_ref().is_some_and(BoundColumns::is_numbered) {
                // Nobody knows its key.
                continue;
            }
            let hash = bound.as_ref().and_then(|bound| bound.key_hash(&row.values(), &mut key));
            match hash {
                Some(hash) => self.by_hash.entry(hash).or_default().push(at),
                None => self.others.push(at),
            }
        }
        self.indexed = group.len();
    }

    /// Whether the table has no row in the group.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty() && self.others.is_empty()
    }

    /// The positions of the rows that may have a key, given in the key's order. In their order.
    pub fn with_key(&self, wanted: &[&Value<'_>]) -> Vec<usize> {
        let mut places = self.others.clone();
        match self.hash(wanted) {
            Some(hash) => places.extend(self.by_hash.get(&hash).into_iter().flatten()),
            None => places.extend(self.by_hash.values().flatten()),
        }
        places.sort_unstable();
        places
    }

    fn hash(&self, wanted: &[&Value<'_>]) -> Option<u64> {
        let mut key = Vec::new();
        for (name, value) in self.model.key.iter().zip(wanted) {
            self.model.kind(name).key(value, &mut key)?;
        }
        Some(FxBuildHasher.hash_one(&*key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;

    #[test]
    fn finds_the_rows_of_a_key_and_table_and_those_that_may_be_of_it() {
        let mut catalog = Catalog::new(None, &["t", "u"], "none", Vec::new()).expect("two tables");
        let entry = Arc::clone(catalog.entry(TableId(0)).expect("a table"));
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
        let model = Arc::new(model);
        let mut shape = |table, columns: [&str; 2]| {
            let columns = columns.map(str::as_bytes).into_iter();
            catalog.shape(TableId(table), columns).expect("a shape")
        };
        let (plain, turned, other) = (shape(0, ["id", "v"]), shape(0, ["v", "id"]), shape(1, ["id", "v"]));
        let mut group = Group::default();
        let mut index = GroupIndex::default();
        let row = |id: i64| [Value::Int(id), Value::Int(-1)];
        let found = |index: &mut GroupIndex, group: &Group, id: Value<'_>| {
            index.of_table(group, TableId(0), &model).with_key(&[&id])
        };
        assert!(index.of_table(&group, TableId(0), &model).is_empty());
        for id in [1, 2, 1] {
            group.push_row(&plain, &row(id)).expect("a row");
            group.push_row(&other, &row(id)).expect("a row");
        }
        assert_eq!(found(&mut index, &group, Value::Int(1)), [0, 4]);
        assert_eq!(found(&mut index, &group, Value::text("2")), [2]);
        let before = group.mark();
        group
            .push_row(&turned, &[Value::Int(9), Value::text("1")])
            .expect("a row");
        assert_eq!(found(&mut index, &group, Value::Int(1)), [0, 4, 6]);
        assert!(found(&mut index, &group, Value::Int(9)).is_empty());
        group.rewind(before);
        index.clear();
        assert_eq!(found(&mut index, &group, Value::Int(1)), [0, 4]);
    }
}
