//! Values.

use std::ptr;

use ext_php_rs::ffi::{self, zend_string, zval};
use ext_php_rs::types::Zval;

unsafe extern "C" {
    fn zval_try_get_string_func(value: *mut zval) -> *mut zend_string;
}

/// A value as PHP casts it to a string. `None`: it threw.
pub fn to_string(value: &Zval) -> Option<Zval> {
    // SAFETY: the function reads the value and gives a string with a reference of its own, which the zval takes over.
    let text = unsafe { zval_try_get_string_func(ptr::from_ref(value).cast_mut()).as_mut() }?;
    let mut result = Zval::new();
    result.u1.type_info = ffi::IS_STRING_EX;
    // SAFETY: an interned string has no reference count to take part in.
    if unsafe { text.gc.u.type_info } & IS_STR_INTERNED != 0 {
        result.u1.type_info = ffi::IS_INTERNED_STRING_EX;
    }
    result.value.str_ = text;
    Some(result)
}

/// `IS_STR_INTERNED` of `zend_types.h`: `GC_IMMUTABLE`, in the place of the flags.
const IS_STR_INTERNED: u32 = 1 << 6;
