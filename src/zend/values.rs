//! Values: what they are, and what PHP makes of them.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use ext_php_rs::ffi::{self, IS_DOUBLE, IS_FALSE, IS_LONG, IS_NULL, IS_STRING, IS_TRUE, zend_string, zval};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::Zval;

use crate::zend::bailout;

unsafe extern "C" {
    fn zval_try_get_string_func(value: *mut zval) -> *mut zend_string;
}

/// `IS_STR_INTERNED` of `zend_string.h`: `GC_IMMUTABLE`, in the place of the flags.
const IS_STR_INTERNED: u32 = 1 << 6;

/// A value that is read without PHP code. A bool is 0 or 1.
#[derive(Clone, Copy)]
pub enum Plain<'v> {
    /// Null.
    Null,
    /// A bool or an int.
    Int(i64),
    /// A float, of any kind.
    Float(f64),
    /// A string.
    Text(&'v [u8]),
}

impl<'v> Plain<'v> {
    /// The value, which is no reference. `None`: it is of another type.
    #[inline]
    pub fn of(value: &'v Zval) -> Option<Self> {
        // SAFETY: all views of the type are plain integers.
        let kind = u32::from(unsafe { value.u1.v.type_ });
        Some(match kind {
            IS_NULL => Self::Null,
            IS_FALSE => Self::Int(0),
            IS_TRUE => Self::Int(1),
            // SAFETY: the type says which view is valid.
            IS_LONG => Self::Int(unsafe { value.value.lval }),
            // SAFETY: as above.
            IS_DOUBLE => Self::Float(unsafe { value.value.dval }),
            // SAFETY: as above; the value holds the string.
            IS_STRING => Self::Text(unsafe { (*value.value.str_).as_bytes() }),
            _ => return None,
        })
    }
}

/// A value with a reference of its own: what PHP code does to the variable that it came from
/// leaves it as it is.
pub struct Held(ManuallyDrop<Zval>);

impl Held {
    /// Takes a value over.
    pub fn new(value: Zval) -> Self {
        Self(ManuallyDrop::new(value))
    }

    /// The value that is in a variable now.
    pub fn of(variable: &Zval) -> Self {
        Self::new(variable.dereference().shallow_clone())
    }
}

impl Held {
    fn is_last_reference(&self) -> bool {
        // SAFETY: all views of the type are plain integers; they say whether there is a count.
        unsafe {
            let is_counted = self.0.u1.type_info & (ffi::IS_TYPE_REFCOUNTED << ffi::Z_TYPE_FLAGS_SHIFT) != 0;
            is_counted && (*self.0.value.counted).gc.refcount == 1
        }
    }
}

impl Deref for Held {
    type Target = Zval;

    fn deref(&self) -> &Zval {
        &self.0
    }
}

impl Drop for Held {
    /// The last reference of an object ends it, and its destructor is PHP code. At the end of a
    /// request PHP takes back what is left.
    ///
    /// Any other reference may, now and then, start PHP's collector of cycles. A fatal error in a
    /// destructor that the collector runs is not caught here: to catch it costs each model more
    /// than it is worth.
    fn drop(&mut self) {
        let may_end_object = !self.0.is_string() && self.is_last_reference();
        // SAFETY: the value is dropped once: nobody sees it after this.
        let release = |value| unsafe { ManuallyDrop::drop(value) };
        if may_end_object {
            bailout::catch(|| release(&mut self.0));
        } else {
            release(&mut self.0);
        }
    }
}

/// A value as PHP casts it to a string. User code may run. `None`: it threw.
pub fn to_string(value: &Held) -> Option<Zval> {
    let value: *const Zval = &raw const **value;
    // SAFETY: the function reads the value, which is held, and returns a string with a reference of
    // its own, which the zval takes over.
    let text = bailout::catch(|| unsafe { zval_try_get_string_func(value.cast_mut()) })?;
    // SAFETY: as above. Null: it threw.
    let text = unsafe { text.as_mut() }?;
    let mut result = Zval::new();
    // An interned string has no reference count to take part in.
    result.u1.type_info = if is_interned(text) {
        ffi::IS_INTERNED_STRING_EX
    } else {
        ffi::IS_STRING_EX
    };
    result.value.str_ = text;
    Some(result)
}

/// Whether a string is interned: it stays where it is at least as long as the request.
pub fn is_interned(text: &zend_string) -> bool {
    // SAFETY: all views of the flags are plain integers.
    unsafe { text.gc.u.type_info & IS_STR_INTERNED != 0 }
}

/// The name of a value's type, for messages.
pub fn type_name(value: &Zval) -> &'static str {
    match value.get_type() {
        DataType::Undef | DataType::Null => "null",
        DataType::False | DataType::True | DataType::Bool => "bool",
        DataType::Long => "int",
        DataType::Double => "float",
        DataType::String => "string",
        DataType::Array => "array",
        DataType::Object(_) => "object",
        DataType::Resource => "resource",
        _ => "value of an unknown type",
    }
}
