//! The way of most rows: an associative array with the columns of the last row of its table, in their order, and plain values.
//! Such a row is compared and copied in one pass, without a look-up and without PHP code.
//!
//! Invariant: a row that is anything else is left as it was found, for [`crate::convert`].
//!
//! Bound: one shape a table is remembered.

use std::sync::Arc;

use ext_php_rs::ffi::{IS_DOUBLE, IS_FALSE, IS_LONG, IS_NULL, IS_REFERENCE, IS_STRING, IS_TRUE, zend_string};
use ext_php_rs::types::Zval;
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;

use crate::zend::array::Elements;

/// `IS_STR_INTERNED` of `zend_string.h`: such a string stays where it is at least as long as the request.
const IS_STR_INTERNED: u32 = 1 << 6;

/// The last shape of each table.
#[derive(Default)]
pub struct LastShapes {
    by_table: Vec<Option<LastShape>>,
}

struct LastShape {
    shape: Arc<Shape>,
    /// The keys of the row that the shape was made for, where they are interned, else null.
    keys: Vec<*const zend_string>,
}

impl LastShapes {
    /// Remembers the shape of a row.
    pub fn remember(&mut self, shape: &Arc<Shape>, elements: &Elements<'_>) {
        let keys: Option<Vec<_>> = (0..elements.slots())
            .map(|at| elements.key_string(at).map(interned))
            .collect();
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
    pub fn copy(&self, table: TableId, elements: &Elements<'_>, group: &mut Group) -> bool {
        let Some(last) = self.by_table.get(table.0).and_then(Option::as_ref) else {
            return false;
        };
        if elements.slots() != last.keys.len() || elements.is_packed() {
            return false;
        }
        let before = group.mark();
        group.begin_row(&last.shape);
        for (at, known) in last.keys.iter().enumerate() {
            let Some((key, value)) = elements.entry(at) else {
                group.rewind(before);
                return false;
            };
            let is_same = (!known.is_null() && ptr_of(key) == *known)
                || key.as_bytes() == last.shape.columns.get(at).map_or(&[][..], |column| column.as_bytes());
            if !is_same || !push_plain(group, value) {
                group.rewind(before);
                return false;
            }
        }
        true
    }
}

fn ptr_of(key: &zend_string) -> *const zend_string {
    key
}

fn interned(key: &zend_string) -> *const zend_string {
    // SAFETY: all views of the type and the flags are plain integers.
    if unsafe { key.gc.u.type_info } & IS_STR_INTERNED == 0 {
        std::ptr::null()
    } else {
        key
    }
}

/// Copies a value that needs no PHP code and no error. `false`: it is another one.
fn push_plain(group: &mut Group, value: &Zval) -> bool {
    // SAFETY: all views of the type are plain integers.
    let kind = u32::from(unsafe { value.u1.v.type_ });
    match kind {
        IS_NULL => group.push_null(),
        IS_FALSE => group.push_int(0),
        IS_TRUE => group.push_int(1),
        // SAFETY: the type says which view is valid.
        IS_LONG => group.push_int(unsafe { value.value.lval }),
        IS_DOUBLE => {
            // SAFETY: as above.
            let number = unsafe { value.value.dval };
            if !number.is_finite() {
                return false;
            }
            group.push_float(number);
        }
        // SAFETY: as above; the array holds the string.
        IS_STRING => return group.push_bytes(unsafe { (*value.value.str_).as_bytes() }).is_ok(),
        IS_REFERENCE => {
            let inner = value.dereference();
            return !inner.is_reference() && push_plain(group, inner);
        }
        _ => return false,
    }
    true
}
