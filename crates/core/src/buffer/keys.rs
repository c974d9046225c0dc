//! What is known of the keys of rows that wait: whether two rows may meet.

use crate::rows::arena::Row;
use crate::table::bound::BoundColumns;
use crate::table::entry::TableId;
use crate::table::rules::Mode;

/// What is known of a row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHash {
    /// Rows with another hash have another key.
    Known(u64),
    /// It may be any key of the table, or the row may meet rows of other keys.
    Unknown,
}

/// A row's table, and what is known of its key.
pub type TableKey = (TableId, KeyHash);

/// What is known of a row's key. `None`: it can meet no other row. Leaves the key form in
/// `scratch`.
pub fn key_hash(row: &Row<'_>, bound: Option<&BoundColumns>, scratch: &mut Vec<u8>) -> Option<KeyHash> {
    match bound {
        None => Some(KeyHash::Unknown),
        // Rows of different keys may meet.
        Some(bound) if bound.model.may_meet() => Some(KeyHash::Unknown),
        // The server makes its key, which is like no other.
        Some(bound) if bound.is_numbered() || (bound.model.mode == Mode::Insert && bound.key.is_empty()) => None,
        Some(bound) => Some(match bound.key_hash(&row.values(), scratch) {
            Some(hash) => KeyHash::Known(hash),
            None => KeyHash::Unknown,
        }),
    }
}
