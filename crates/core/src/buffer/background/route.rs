//! What decides the lane of a group: the route that its rows choose, and their keys.

use std::hash::BuildHasher as _;

use rustc_hash::FxBuildHasher;

pub use crate::buffer::keys::KeyHash;

use crate::buffer::keys::{TableKey, key_hash};
use crate::rows::arena::Row;
use crate::table::bound::BoundColumns;
use crate::value::Value;

/// What decides the lane of a group.
#[derive(Debug, Default)]
pub struct Route {
    /// A hash of the value of the column that groups are routed by. `None`: no row has the column,
    /// or there is none, and any lane will do.
    pub hash: Option<u64>,
    /// Each row's table, and a hash of its key. Rows that can meet no other row are not here.
    pub keys: Vec<TableKey>,
}

/// Collects what decides the lane of a group, row by row.
#[derive(Default)]
pub struct Router {
    /// What is known so far.
    pub route: Route,
    key: Vec<u8>,
}

impl Router {
    /// Looks at the next row.
    pub fn visit(&mut self, row: &Row<'_>, bound: Option<&BoundColumns>) {
        let table = row.shape.table;
        // The first row that has the column decides.
        if let Some(at) = row.shape.route.filter(|_| self.route.hash.is_none()) {
            self.key.clear();
            if let Some(value) = row.values().nth(at) {
                // A number and its text are one value here, as they are to most columns.
                match &value {
                    Value::Int(number) => self.key.extend_from_slice(number.to_string().as_bytes()),
                    value => drop(value.encode(&mut self.key)),
                }
            }
            self.route.hash = Some(FxBuildHasher.hash_one(&self.key));
        }
        let key = key_hash(row, bound, &mut self.key);
        self.route.keys.extend(key.map(|key| (table, key)));
    }
}
