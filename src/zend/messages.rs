//! Messages for people: warnings, PHP's log, and whether an exception is pending.

use std::ffi::{c_char, c_int};

use ext_php_rs::zend::ExecutorGlobals;

unsafe extern "C" {
    fn zend_error(kind: c_int, format: *const c_char, ...);
    fn php_log_err_with_severity(message: *const c_char, severity: c_int);
}

/// Whether an exception is waiting to be handled.
pub fn exception_is_pending() -> bool {
    ExecutorGlobals::has_exception()
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

/// A text for C, where a NUL byte would end it.
pub fn c_text(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}
