//! Classes: PHP's own that we name, and what ext-php-rs cannot say of ours.

#[cfg(php82)]
use std::ffi::c_void;

#[cfg(php82)]
use ext_php_rs::ffi::{HashTable, zend_string};
use ext_php_rs::ffi::{zend_class_entry, zend_hash_str_find, zend_object};
use ext_php_rs::zend::ClassEntry;

unsafe extern "C" {
    fn php_date_get_interface_ce() -> *mut zend_class_entry;
    static spl_ce_RuntimeException: *mut zend_class_entry;
    static spl_ce_InvalidArgumentException: *mut zend_class_entry;
    static spl_ce_LengthException: *mut zend_class_entry;
    static spl_ce_LogicException: *mut zend_class_entry;
    static spl_ce_OverflowException: *mut zend_class_entry;
    fn zend_objects_new(class: *mut zend_class_entry) -> *mut zend_object;
    #[cfg(php82)]
    static zend_ce_sensitive_parameter: *mut zend_class_entry;
    #[cfg(php82)]
    fn zend_add_attribute(
        attributes: *mut *mut HashTable,
        name: *mut zend_string,
        arguments: u32,
        flags: u32,
        offset: u32,
        line: u32,
    ) -> *mut c_void;
}

/// A class of an extension, known for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Class(pub &'static ClassEntry);

// SAFETY: the entry of an internal class is written at module start only, before any thread of
// PHP's begins.
unsafe impl Send for Class {}
// SAFETY: as above.
unsafe impl Sync for Class {}

/// PHP's `RuntimeException`.
pub fn runtime_exception() -> &'static ClassEntry {
    // SAFETY: the SPL extension is always there and registers its classes before ours.
    unsafe { &*spl_ce_RuntimeException }
}

/// PHP's `InvalidArgumentException`.
pub fn invalid_argument_exception() -> &'static ClassEntry {
    // SAFETY: as above.
    unsafe { &*spl_ce_InvalidArgumentException }
}

/// PHP's `LengthException`.
pub fn length_exception() -> &'static ClassEntry {
    // SAFETY: as above.
    unsafe { &*spl_ce_LengthException }
}

/// PHP's `LogicException`.
pub fn logic_exception() -> &'static ClassEntry {
    // SAFETY: as above.
    unsafe { &*spl_ce_LogicException }
}

/// PHP's `OverflowException`.
pub fn overflow_exception() -> &'static ClassEntry {
    // SAFETY: as above.
    unsafe { &*spl_ce_OverflowException }
}

/// PHP's `DateTimeInterface`.
pub fn date_time_interface() -> &'static ClassEntry {
    // SAFETY: the date extension is always there; the call only returns its class.
    unsafe { &*php_date_get_interface_ce() }
}

/// Marks a parameter of a class's method, by its number from 1, as sensitive, so that no stack
/// trace shows it.
#[cfg(php82)]
pub fn mark_parameter_sensitive(class: &mut ClassEntry, method: &str, number: u32) {
    const ZEND_ATTRIBUTE_PERSISTENT: u32 = 1;
    // SAFETY: the class's table of methods is whole, and its values are functions. The method is
    // ours, registered a moment ago; the attribute is added as `zend_add_parameter_attribute` of
    // PHP's headers does, where offset 1 is the first parameter.
    unsafe {
        let found = zend_hash_str_find(&raw const class.function_table, method.as_ptr().cast(), method.len());
        let Some(function) = found.as_ref() else { return };
        zend_add_attribute(
            &raw mut (*function.value.func).common.attributes,
            (*zend_ce_sensitive_parameter).name,
            0,
            ZEND_ATTRIBUTE_PERSISTENT,
            number,
            0,
        );
    }
}

/// Makes Reflection refuse an object of a final class, registered a moment ago, without a call of
/// its constructor: it does so where a class makes its objects itself.
pub fn need_constructor(class: &mut ClassEntry) {
    unsafe extern "C" fn create(class: *mut ClassEntry) -> *mut zend_object {
        // SAFETY: PHP calls this with the class, which declares no property that had to be set.
        unsafe { zend_objects_new(class) }
    }
    class.__bindgen_anon_2.create_object = Some(create);
}

/// Makes a method of a class, registered a moment ago, return `false` beside what it returns
/// anyway. ext-php-rs knows no union of types.
pub fn add_false_to_return_type(class: &mut ClassEntry, method: &str) {
    /// `MAY_BE_FALSE` of `zend_type_info.h`.
    const MAY_BE_FALSE: u32 = 1 << 2;
    widen_type(class, method, 0, MAY_BE_FALSE);
}

/// Makes a constructor's parameter of a class, registered a moment ago, take a string beside what
/// it takes anyway. The number is from 1.
pub fn add_string_to_parameter_type(class: &mut ClassEntry, number: usize) {
    /// `MAY_BE_STRING` of `zend_type_info.h`.
    const MAY_BE_STRING: u32 = 1 << 6;
    widen_type(class, "__construct", number, MAY_BE_STRING);
}

/// Widens the type of a method's parameter, by its number from 1, or what it returns, by 0.
fn widen_type(class: &mut ClassEntry, method: &str, number: usize, may_be: u32) {
    // SAFETY: the class's table of methods is whole, and its values are functions. Those of an
    // internal class have a table of arguments, in whose place before the first one the returned
    // type stands; it was made on the heap for this method alone, and nobody reads it yet. The
    // method has so many parameters.
    unsafe {
        let found = zend_hash_str_find(&raw const class.function_table, method.as_ptr().cast(), method.len());
        let Some(function) = found.as_ref() else { return };
        let arguments = (*function.value.func).internal_function.arg_info;
        if let Some(argument) = arguments.sub(1).add(number).as_mut() {
            argument.type_.type_mask |= may_be;
        }
    }
}
