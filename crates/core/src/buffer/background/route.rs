//! What decides the lane of a group: the route that its rows choose, and their keys.

use std::hash::BuildHasher as _;

use rustc_hash::FxBuildHasher;

use crate::rows::arena::Row;
use crate::table::bound::BoundColumns;
use crate::table::entry::TableId;
use crate::table::rules::Mode;
use crate::value::Value;

/// What decides the lane of a group.
#[derive(Debug, Default)]
pub struct Route {
    /// A hash of the column that groups are routed by, or of the first row's key.
    pub hash: u64,
    /// Each row's table, and a hash of its key. Rows that can meet no other row are not here.
    pub keys: Vec<(TableId, KeyHash)>,
}

/// What is known of a row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHash {
    /// Rows with another hash have another key.
    Known(u64),
    /// It may be any key of the table, or the row may meet rows of other keys.
    Unknown,
}

/// Collects what decides the lane of a group, row by row.
#[derive(Default)]
pub struct Router {
    /// What is known so far.
    pub route: Route,
    is_routed_by_column: bool,
    is_routed: bool,
    key: Vec<u8>,
}

impl Router {
    /// Looks at the next row.
    pub fn visit(&mut self, row: &Row<'_>, bound: Option<&BoundColumns>) {
        let table = row.shape.table;
        // The first row that has the column decides. If none has it, the first row's key does.
        if let Some(at) = row.shape.route.filter(|_| !self.is_routed_by_column) {
            self.is_routed_by_column = true;
            self.is_routed = true;
            self.key.clear();
            if let Some(value) = row.values().nth(at) {
                // A number and its text are one value here, as they are to most columns.
                match &value {
                    Value::Int(number) => self.key.extend_from_slice(number.to_string().as_bytes()),
                    value => drop(value.encode(&mut self.key)),
                }
            }
            self.route.hash = FxBuildHasher.hash_one(&self.key);
        }
        let key = match bound {
            None => Some(KeyHash::Unknown),
            // Rows of different keys may meet.
            Some(bound) if bound.model.may_meet() => Some(KeyHash::Unknown),
            // The server makes its key, which is like no other.
            Some(bound) if bound.model.mode == Mode::Insert && bound.key.is_empty() => None,
            Some(bound) => Some(match bound.key_hash(&row.values(), &mut self.key) {
                Some(hash) => KeyHash::Known(hash),
                None => KeyHash::Unknown,
            }),
        };
        if let (Some(KeyHash::Known(hash)), false) = (key, self.is_routed) {
            self.is_routed = true;
            self.route.hash = hash;
        }
        self.route.keys.extend(key.map(|key| (table, key)));
    }
}
