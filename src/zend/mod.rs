//! The parts of the Zend API that ext-php-rs does not bind, and small wrappers over it.
//!
//! Invariant: whatever is unsafe about a pointer from PHP is said and settled here or in `object.rs`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use ext_php_rs::ffi::{self, HashTable, zend_class_entry, zend_function, zend_object, zend_string, zval};
use ext_php_rs::types::{ZendIterator, ZendStr, Zval};
use ext_php_rs::zend::{ClassEntry, ExecuteData, ExecutorGlobals};

unsafe extern "C" {
    /// <https://www.phpinternalsbook.com/php7/extensions_design/php_functions.html#parsing-parameters-zpp>
    pub fn zend_parse_parameters(count: u32, spec: *const c_char, ...) -> c_int;
    fn zend_update_property(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: *mut zval,
    );
    fn zend_ini_string(name: *const c_char, length: usize, original: c_int) -> *mut c_char;
    fn zval_try_get_string_func(value: *mut zval) -> *mut zend_string;
    fn zend_iterator_dtor(iterator: *mut ZendIterator);
    fn php_date_get_interface_ce() -> *mut zend_class_entry;
    fn zend_timeout();
    fn php_check_open_basedir_ex(path: *const c_char, warn: c_int) -> c_int;
    fn zend_error(kind: c_int, format: *const c_char, ...);
    fn php_log_err_with_severity(message: *const c_char, severity: c_int);
    /// Prints the ini settings of an extension, for `phpinfo()`.
    pub fn display_ini_entries(module: *mut ffi::zend_module_entry);
    static spl_ce_RuntimeException: *mut zend_class_entry;
    static spl_ce_InvalidArgumentException: *mut zend_class_entry;
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

/// PHP's `DateTimeInterface`.
pub fn date_time_interface() -> &'static ClassEntry {
    // SAFETY: the date extension is always there; the call only returns its class.
    unsafe { &*php_date_get_interface_ce() }
}

/// Marks the first parameter of a class's constructor as sensitive, so that no stack trace shows it.
#[cfg(php82)]
pub fn mark_first_parameter_sensitive(class: &mut ClassEntry) {
    const ZEND_ATTRIBUTE_PERSISTENT: u32 = 1;
    let constructor = class.constructor;
    if constructor.is_null() {
        return;
    }
    // SAFETY: the constructor is ours, registered a moment ago; the attribute is added as
    // `zend_add_parameter_attribute` of the engine's headers does, where offset 1 is the first parameter.
    unsafe {
        zend_add_attribute(
            &raw mut (*constructor).common.attributes,
            (*zend_ce_sensitive_parameter).name,
            0,
            ZEND_ATTRIBUTE_PERSISTENT,
            1,
            0,
        );
    }
}

/// The number of arguments of a call.
pub fn argument_count(call: &ExecuteData) -> u32 {
    // SAFETY: PHP fills `num_args` for every call of an internal function.
    unsafe { call.This.u2.num_args }
}

/// An argument of a call, by its place from 0. It must be one of those that were given.
pub fn argument(call: &ExecuteData, at: usize) -> Option<&Zval> {
    /// `ZEND_CALL_FRAME_SLOT`: the arguments stand behind the frame.
    const FRAME_SLOTS: usize = size_of::<ExecuteData>().div_ceil(size_of::<Zval>());
    // SAFETY: the engine puts a call's arguments there, and they live as long as the call.
    unsafe { std::ptr::from_ref(call).cast::<Zval>().add(FRAME_SLOTS + at).as_ref() }
}

/// Whether php.ini's `open_basedir` allows a path.
pub fn is_within_open_basedir(path: &[u8]) -> bool {
    let Ok(path) = std::ffi::CString::new(path) else {
        return false;
    };
    // SAFETY: the path is NUL-terminated, and read during the call.
    unsafe { php_check_open_basedir_ex(path.as_ptr(), 0) == 0 }
}

/// Whether an exception is waiting to be handled.
pub fn exception_is_pending() -> bool {
    ExecutorGlobals::has_exception()
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
    // SAFETY: the method belongs to the object's class; the arguments and the result outlive the call.
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

/// The value of a backed enum's case. `None`: a pure enum.
pub fn enum_value(object: *mut zend_object) -> Option<&'static Zval> {
    // SAFETY: an enum's case holds its name in the first property and, when it is backed, its value in the second
    // (`zend_enum_fetch_case_value`). Cases live until the request ends.
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

/// A setting of php.ini, as it is now.
pub fn ini_value(name: &CStr) -> String {
    // SAFETY: the name is NUL-terminated; the text is PHP's own and copied at once.
    unsafe {
        let text = zend_ini_string(name.as_ptr(), name.to_bytes().len(), 0);
        if text.is_null() {
            return String::new();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// Sets a property of an exception, whatever its visibility.
pub fn set_property(class: &'static ClassEntry, object: *mut zend_object, name: &str, value: &mut Zval) {
    // SAFETY: the object is alive and of that class; the engine copies the value.
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

/// `E_WARNING` of `zend_errors.h`.
const E_WARNING: c_int = 1 << 1;

/// Raises a PHP warning. Needs a living request: user code may run in an error handler.
pub fn warn(message: &str) {
    let message = c_text(message);
    // SAFETY: `%s` takes the NUL-terminated text that follows.
    unsafe { zend_error(E_WARNING, c"%s".as_ptr(), message.as_ptr()) };
}

/// Writes to PHP's error log: what is left where a warning can no longer be raised.
pub fn log(message: &str) {
    const LOG_WARNING: c_int = 4;
    let message = c_text(&format!("PHP Warning:  {message}"));
    // SAFETY: the text is NUL-terminated and copied by the callee.
    unsafe { php_log_err_with_severity(message.as_ptr(), LOG_WARNING) };
}

/// Gives back an iterator that a class's `get_iterator` made. ext-php-rs hands it out as a reference and never does.
pub fn release_iterator(iterator: &mut ZendIterator) {
    // SAFETY: the caller got the iterator's only reference, and borrows nothing of it any more.
    unsafe { zend_iterator_dtor(iterator) };
}

/// A text for C, where a NUL byte would end it.
pub fn c_text(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// Whether PHP wants its thread: for a signal's handler, or because the request's time is over.
pub fn interrupt_is_pending() -> bool {
    // SAFETY: the executor's globals live as long as PHP's thread; a signal handler may set the flag at any time.
    unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        #[cfg(php82)]
        let flag = &raw const (*globals).vm_interrupt.value;
        #[cfg(not(php82))]
        let flag = &raw const (*globals).vm_interrupt;
        ptr::read_volatile(flag.cast::<u8>()) != 0
    }
}

/// Does what the engine does at an interrupt between two instructions: ends the request when its time is over, and
/// runs handlers of signals, which may throw.
///
/// User code may run in it, and may end the request: nothing of ours is borrowed or locked.
pub fn handle_interrupt() {
    // SAFETY: called on PHP's thread, inside a call of an internal function, as the engine's own check is.
    unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        #[cfg(php82)]
        let (flag, timed_out) = (
            &raw mut (*globals).vm_interrupt.value,
            &raw const (*globals).timed_out.value,
        );
        #[cfg(not(php82))]
        let (flag, timed_out) = (&raw mut (*globals).vm_interrupt, &raw const (*globals).timed_out);
        ptr::write_volatile(flag.cast::<u8>(), 0);
        if ptr::read_volatile(timed_out.cast::<u8>()) != 0 {
            zend_timeout();
        }
        if let Some(handler) = ffi::zend_interrupt_function {
            handler((*globals).current_execute_data);
        }
    }
}
