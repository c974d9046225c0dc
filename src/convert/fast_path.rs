//! The way of most rows: an associative array with the columns of the last row of its table, in
//! their order, and plain values. Such a row is compared and copied in one pass, without a look-up
//! and without PHP code.
//!
//! Invariant: of a row that is anything else nothing is in the group, for
//! [`crate::convert::rows`]. So is a row of more than 64 KiB.
//!
//! Bound: one shape a table is remembered.

use std::ptr;
use std::sync::Arc;

use ext_php_rs::ffi::zend_string;
use ext_php_rs::types::Zval;
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;
use write_buffer_core::value::room::Room;

use crate::zend::array::{Elements, name_of};
use crate::zend::values::{Plain, is_interned};

/// The last shape of each table.
#[derive(Default)]
pub struct LastShapes {
    by_table: Vec<Option<LastShape>>,
}

struct LastShape {
    shape: Arc<Shape>,
    /// The addresses of the keys that the shape was made of. Null for a key that is not interned.
    keys: Vec<*const zend_string>,
}

impl LastShapes {
    /// Remembers the shape of a row.
    pub fn remember(&mut self, shape: &Arc<Shape>, elements: Elements<'_>) {
        let Some(buckets) = elements.buckets() else { return };
        let keys: Option<Vec<_>> = buckets.iter().map(|bucket| name_of(bucket).map(address)).collect();
        // An array with gaps, or with a number among its keys, is not of this way.
        let Some(keys) = keys.filter(|keys| keys.len() == shape.columns.len()) else {
            return;
        };
        let at = shape.table.0;
        if self.by_table.len() <= at {
            self.by_table.resize_with(at + 1, || None);
        }
        if let Some(last) = self.by_table.get_mut(at) {
            *last = Some(LastShape {
                shape: Arc::clone(shape),
                keys,
            });
        }
    }

    /// Copies a row, if it is of this way. Otherwise the group is as it was.
    pub fn copy(&self, table: TableId, elements: Elements<'_>, group: &mut Group) -> bool {
        let Some(last) = self.by_table.get(table.0).and_then(Option::as_ref) else {
            return false;
        };
        let Some(buckets) = elements.buckets().filter(|buckets| buckets.len() == last.keys.len()) else {
            return false;
        };
        group.push_at_once(&last.shape, |room| {
            for ((bucket, known), column) in buckets.iter().zip(&last.keys).zip(&*last.shape.columns) {
                let key = name_of(bucket)?;
                if !ptr::eq(key, *known) && key.as_bytes() != column.as_bytes() {
                    return None;
                }
                put_plain(room, &bucket.val)?;
            }
            Some(())
        })
    }
}

/// The address of a key that stays where it is, else null.
fn address(key: &zend_string) -> *const zend_string {
    if is_interned(key) { key } else { ptr::null() }
}

/// Copies a value that needs no PHP code and no error. `None`: it is another one, or there is no
/// room.
#[inline]
fn put_plain(room: &mut Room<'_>, value: &Zval) -> Option<()> {
    match Plain::of(value).or_else(|| value.reference().and_then(Plain::of))? {
        Plain::Null => room.null(),
        Plain::Int(number) => room.int(number),
        Plain::Float(number) if number.is_finite() => room.float(number),
        Plain::Float(_) => None,
        Plain::Text(text) => room.bytes(text),
    }
}
