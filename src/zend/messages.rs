//! What PHP tells people: exceptions, warnings, and its log.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use ext_php_rs::ffi;
use ext_php_rs::zend::{ClassEntry, ExecutorGlobals};

use crate::zend::bailout;

unsafe extern "C" {
    fn zend_error(kind: c_int, format: *const c_char, ...);
    fn php_log_err_with_severity(message: *const c_char, severity: c_int);
}

/// There is no result, since an exception is pending, or the request is ending. PHP throws the
/// exception when our method returns.
#[derive(Debug)]
pub struct PendingException;

/// Whether an exception is pending, or the request is ending.
pub fn exception_is_pending() -> bool {
    ExecutorGlobals::has_exception() || bailout::is_ending()
}

/// Throws an exception of a class, unless one is pending already. Returns the new one.
pub fn throw(class: &'static ClassEntry, message: &str, code: i64) -> Option<*mut ffi::zend_object> {
    if exception_is_pending() {
        return None;
    }
    let message = c_text(message);
    // SAFETY: the class is a living exception class, the message is NUL-terminated and copied.
    let thrown = unsafe { ffi::zend_throw_exception(ptr::from_ref(class).cast_mut(), message.as_ptr(), code) };
    (!thrown.is_null()).then_some(thrown)
}

/// Raises a PHP warning. Needs a living request: user code may run in an error handler.
pub fn warn(message: &str) {
    /// `E_WARNING` of `zend_errors.h`.
    const E_WARNING: c_int = 1 << 1;
    let message = c_text(message);
    // SAFETY: `%s` takes the NUL-terminated text that follows.
    bailout::catch(|| unsafe { zend_error(E_WARNING, c"%s".as_ptr(), message.as_ptr()) });
}

/// Writes to PHP's error log, when a warning can no longer be raised.
pub fn log(message: &str) {
    const LOG_WARNING: c_int = 4;
    let message = c_text(&format!("PHP Warning:  {message}"));
    // SAFETY: the text is NUL-terminated and copied by the callee.
    unsafe { php_log_err_with_severity(message.as_ptr(), LOG_WARNING) };
}

/// A text for C, which would end at a NUL byte.
pub fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
