//! What PHP tells people: exceptions, warnings, and its log.
//!
//! Invariant: no text of ours has a character that steers a terminal or ends a line, whatever name
//! of PHP's or words of a server's are in it.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use ext_php_rs::ffi;
use ext_php_rs::zend::ClassEntry;
use write_buffer_core::error::message::clean;

use crate::zend::{bailout, request};

unsafe extern "C" {
    fn zend_error(kind: c_int, format: *const c_char, ...);
    fn zend_exception_set_previous(exception: *mut ffi::zend_object, previous: *mut ffi::zend_object);
    fn php_log_err_with_severity(message: *const c_char, severity: c_int);
}

/// There is no result, since an exception is pending, or the request is ending. PHP throws the
/// exception when our method returns.
#[derive(Debug)]
pub struct PendingException;

/// Whether an exception is pending, or the request is ending.
pub fn exception_is_pending() -> bool {
    // SAFETY: PHP's globals are there as long as PHP, and this thread's own.
    let exception = unsafe { (*ffi::ext_php_rs_executor_globals()).exception };
    !exception.is_null() || bailout::is_ending()
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

/// Throws an exception of a class. What is pending becomes the exception before it. `None`: the
/// request is ending.
pub fn throw_after_pending(class: &'static ClassEntry, message: &str, code: i64) -> Option<*mut ffi::zend_object> {
    let is_exit = matches!(request::ending(), Some(request::Ending::Request));
    if bailout::is_ending() || is_exit {
        return None;
    }
    let message = c_text(message);
    // SAFETY: as in `throw`. PHP sets the pending exception as the one before it.
    let thrown = unsafe { ffi::zend_throw_exception(ptr::from_ref(class).cast_mut(), message.as_ptr(), code) };
    (!thrown.is_null()).then_some(thrown)
}

/// Adds an exception of a class to the pending one, behind all that are before that one: PHP does
/// so with what destructors throw. Nothing is added if the request is ending.
pub fn append_to_pending(class: &'static ClassEntry, message: &str, fill: impl FnOnce(*mut ffi::zend_object)) {
    let is_exit = matches!(request::ending(), Some(request::Ending::Request));
    if !exception_is_pending() || bailout::is_ending() || is_exit {
        return;
    }
    let Some(aside) = put_exception_aside() else { return };
    let pending = aside.exception;
    if let Some(appended) = throw(class, message, 0) {
        fill(appended);
        // SAFETY: the new exception's one reference leaves the globals, and becomes the pending
        // one's. That one goes back to where it was.
        unsafe {
            let globals = ffi::ext_php_rs_executor_globals();
            (*globals).exception = ptr::null_mut();
            zend_exception_set_previous(pending, appended);
        }
    }
    aside.put_back();
}

/// Raises a PHP warning. Needs a living request: user code may run in an error handler.
///
/// PHP calls no error handler while an exception is pending. So it is put aside meanwhile, as PHP
/// does for destructors, in `zend_objects_destroy_object`. What the handler throws comes after it.
pub fn warn(message: &str) {
    /// `E_WARNING` of `zend_errors.h`.
    const E_WARNING: c_int = 1 << 1;
    let message = c_text(message);
    let aside = put_exception_aside();
    // SAFETY: `%s` takes the NUL-terminated text that follows.
    bailout::catch(|| unsafe { zend_error(E_WARNING, c"%s".as_ptr(), message.as_ptr()) });
    if let Some(aside) = aside {
        aside.put_back();
    }
}

/// A pending exception, while PHP code runs as if there were none.
struct AsideException {
    exception: *mut ffi::zend_object,
    opline: *const ffi::zend_op,
}

fn put_exception_aside() -> Option<AsideException> {
    /// `ZEND_HANDLE_EXCEPTION` of `zend_vm_opcodes.h`.
    const HANDLE_EXCEPTION: u8 = 149;
    // SAFETY: the executor's globals, the running frame and its function live as long as this call.
    // The exception's one reference leaves the globals.
    unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        if (*globals).exception.is_null() {
            return None;
        }
        // What `zend_rethrow_exception` does: the frame goes on with the exception, whatever is
        // thrown meanwhile.
        if let Some(frame) = (*globals).current_execute_data.as_mut()
            && let Some(function) = frame.func.as_ref()
            && u32::from(function.type_) != ffi::ZEND_INTERNAL_FUNCTION
            && frame
                .opline
                .as_ref()
                .is_some_and(|line| line.opcode != HANDLE_EXCEPTION)
        {
            (*globals).opline_before_exception = frame.opline;
            frame.opline = (&raw const (*globals).exception_op).cast();
        }
        Some(AsideException {
            exception: ptr::replace(&raw mut (*globals).exception, ptr::null_mut()),
            opline: (*globals).opline_before_exception,
        })
    }
}

impl AsideException {
    fn put_back(self) {
        // SAFETY: as above; the reference goes to the globals, or to the new exception.
        unsafe {
            let globals = ffi::ext_php_rs_executor_globals();
            (*globals).opline_before_exception = self.opline;
            if (*globals).exception.is_null() {
                (*globals).exception = self.exception;
            } else {
                zend_exception_set_previous((*globals).exception, self.exception);
            }
        }
    }
}

/// Writes to PHP's error log, when a warning can no longer be raised.
pub fn log(message: &str) {
    const LOG_WARNING: c_int = 4;
    let message = c_text(&format!("PHP Warning:  {message}"));
    // SAFETY: the text is NUL-terminated and copied by the callee.
    unsafe { php_log_err_with_severity(message.as_ptr(), LOG_WARNING) };
}

/// A text for C, which would end at a NUL byte: the cleaned one has none.
pub fn c_text(text: &str) -> CString {
    CString::new(clean(text).as_ref()).unwrap_or_default()
}
