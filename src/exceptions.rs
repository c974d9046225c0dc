//! From the engine's errors to PHP's exceptions: the one place where they are matched.

use ext_php_rs::ffi;
use ext_php_rs::zend::{ClassEntry, ce};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Kind, count_rows};

use crate::classes::ExceptionClasses;
use crate::convert::ConversionError;
use crate::export;
use crate::zend::{messages, objects};

/// Throws an engine error. `kept` is the number of rows that stay buffered, for errors that came after rows were taken.
pub fn throw(error: &Error, kept: usize) {
    throw_flush(
        &FlushError {
            error: error.clone(),
            failures: Vec::new(),
        },
        kept,
    );
}

/// Throws what a flush met.
pub fn throw_flush(failed: &FlushError, kept: usize) {
    let error = &failed.error;
    let classes = ExceptionClasses::get();
    let (class, taken) = match error.kind() {
        // What interrupted the wait threw already.
        Kind::Interrupted => return,
        Kind::Config => (classes.config, false),
        Kind::Argument => (ce::type_error(), false),
        Kind::Full => (classes.full, false),
        Kind::Closed => (classes.closed, false),
        Kind::Timeout => (classes.timeout, true),
        _ if error.is_connection() => (classes.connection, true),
        _ => (classes.flush, true),
    };
    let mut message = error.to_string();
    if taken && kept > 0 {
        message = format!("{message} ({} still buffered)", count_rows(kept));
    }
    let object = throw_class(class, &message, i64::from(error.code()));
    if std::ptr::eq(class, classes.flush) && !object.is_null() {
        let mut failures = export::failures(&failed.failures);
        objects::set_property(class, object, "failures", &mut failures);
    }
}

/// Throws why a row was not taken.
pub fn throw_conversion(error: &ConversionError, method: &str) {
    match error {
        ConversionError::Pending => {}
        ConversionError::Type(message) => {
            throw_class(ce::type_error(), &format!("{method}(): {message}"), 0);
        }
        ConversionError::Config(error) => throw(error, 0),
    }
}

/// Throws an exception of a class, unless one is pending already.
pub fn throw_class(class: &'static ClassEntry, message: &str, code: i64) -> *mut ffi::zend_object {
    if messages::exception_is_pending() {
        return std::ptr::null_mut();
    }
    let message = messages::c_text(message);
    // SAFETY: the class is a living exception class, the message is NUL-terminated and copied.
    unsafe { ffi::zend_throw_exception(std::ptr::from_ref(class).cast_mut(), message.as_ptr(), code) }
}
