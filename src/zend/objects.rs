//! Objects: their classes, methods and properties. User code may run in a call of a method.
//!
//! Whoever asks about an object holds it.

use std::ffi::c_char;
use std::ptr;

use ext_php_rs::ffi::{self, HashTable, zend_class_entry, zend_function, zend_object, zval};
use ext_php_rs::types::{ZendIterator, ZendStr, Zval};
use ext_php_rs::zend::ClassEntry;

use crate::zend::messages::exception_is_pending;

unsafe extern "C" {
    fn zend_update_property(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: *mut zval,
    );
    fn zend_iterator_dtor(iterator: *mut ZendIterator);
}

/// Calls a public method without arguments. `None`: there is no such method, or it threw.
pub fn call_method(object: *mut zend_object, name: &str) -> Option<Zval> {
    let method = public_method(object, name)?;
    call(object, method, &mut [])
}

/// Calls a public method with one string argument. `None`: there is no such method, or it threw.
pub fn call_method_with(object: *mut zend_object, name: &str, argument: &str) -> Option<Zval> {
    let method = public_method(object, name)?;
    let mut text = Zval::new();
    text.set_zend_string(ZendStr::new(argument, false));
    call(object, method, &mut [text])
}

/// A public, non-static method by its lower-case name.
pub fn public_method(object: *mut zend_object, name: &str) -> Option<*mut zend_function> {
    // SAFETY: the object is alive for as long as its caller holds it, and so is its class.
    unsafe {
        let table = &raw const (*(*object).ce).function_table;
        let found = ffi::zend_hash_str_find_ptr_lc(table, name.as_ptr().cast(), name.len()).cast::<zend_function>();
        let flags = found.as_ref()?.common.fn_flags;
        (flags & ffi::ZEND_ACC_PUBLIC != 0 && flags & ffi::ZEND_ACC_STATIC == 0).then_some(found)
    }
}

fn call(object: *mut zend_object, method: *mut zend_function, arguments: &mut [Zval]) -> Option<Zval> {
    let mut result = Zval::new();
    // SAFETY: the method belongs to the object's class; the arguments and the result outlive the
    // call.
    unsafe {
        ffi::zend_call_known_function(
            method,
            object,
            (*object).ce,
            &raw mut result,
            u32::try_from(arguments.len()).unwrap_or(0),
            arguments.as_mut_ptr(),
            ptr::null_mut(),
        );
    }
    (!exception_is_pending()).then_some(result)
}

/// The value of a backed enum's case. `None`: a pure enum.
pub fn enum_value(object: *mut zend_object) -> Option<&'static Zval> {
    // SAFETY: an enum's case holds its name in the first property and, if it is backed, its value
    // in the second (`zend_enum_fetch_case_value`). Cases live until the request ends.
    unsafe {
        if (*(*object).ce).default_properties_count < 2 {
            return None;
        }
        (*object).properties_table.as_ptr().add(1).as_ref()
    }
}

/// Whether the class is an enum.
pub fn is_enum(object: *mut zend_object) -> bool {
    // SAFETY: the object is alive.
    unsafe { (*(*object).ce).ce_flags & ffi::ZEND_ACC_ENUM != 0 }
}

/// Whether an object is of a class, or of one below it.
pub fn is_instance_of(object: *mut zend_object, class: &ClassEntry) -> bool {
    // SAFETY: the object is alive, and so is its class.
    unsafe { (*(*object).ce).instance_of(class) }
}

/// The name of an object's class.
pub fn class_name(object: *mut zend_object) -> String {
    // SAFETY: the object is alive, and a class has a name.
    unsafe { (*object).ce.as_ref() }
        .and_then(ClassEntry::name)
        .unwrap_or("object")
        .to_owned()
}

/// The properties of an object, as `get_object_vars()` from inside sees them.
pub fn properties(object: *mut zend_object) -> Option<*mut HashTable> {
    // SAFETY: the object is alive, and every handler table has this handler.
    unsafe {
        let handler = (*(*object).handlers).get_properties?;
        let table = handler(object);
        (!table.is_null()).then_some(table)
    }
}

/// Sets a property of an exception, whatever its visibility.
pub fn set_property(class: &'static ClassEntry, object: *mut zend_object, name: &str, value: &mut Zval) {
    // SAFETY: the object is alive and of that class; PHP copies the value.
    unsafe {
        zend_update_property(
            ptr::from_ref(class).cast_mut(),
            object,
            name.as_ptr().cast(),
            name.len(),
            value,
        );
    }
}

/// Reads a property of an object, whatever its visibility.
pub fn property(class: &'static ClassEntry, object: *mut zend_object, name: &str) -> Option<Zval> {
    let mut slot = Zval::new();
    // SAFETY: the object is alive and of that class; the value is copied before the slot goes.
    unsafe {
        let found = ffi::zend_read_property(
            ptr::from_ref(class).cast_mut(),
            object,
            name.as_ptr().cast(),
            name.len(),
            true,
            &raw mut slot,
        );
        found.as_ref().map(|value| value.dereference().shallow_clone())
    }
}

/// Releases an iterator that a class's `get_iterator` made. ext-php-rs returns it as a reference,
/// and never does.
pub fn release_iterator(iterator: &mut ZendIterator) {
    // SAFETY: the caller got the iterator's only reference, and borrows nothing of it any more.
    unsafe { zend_iterator_dtor(iterator) };
}
