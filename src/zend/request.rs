//! How far a request of PHP has come, and whether it is all that its process does.

use std::ffi::CStr;

use ext_php_rs::ffi;

unsafe extern "C" {
    fn zend_is_unwind_exit(exception: *const ffi::zend_object) -> bool;
}

/// What ends objects now, beside the code that let go of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The request ends.
    Request,
    /// This exception unwinds the stack. It may be caught.
    Exception(usize),
}

/// What ends objects now. `None`: the script goes on.
pub fn ending() -> Option<Ending> {
    /// `EG_FLAGS_IN_SHUTDOWN` of `zend_globals.h`.
    const IN_SHUTDOWN: u8 = 1;
    // SAFETY: the executor's globals live as long as PHP's thread, and a pending exception is an
    // object that they hold.
    unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        let exception = (*globals).exception;
        if (*globals).flags & IN_SHUTDOWN != 0 {
            Some(Ending::Request)
        } else if exception.is_null() {
            None
        } else if zend_is_unwind_exit(exception) {
            // `exit` unwinds the stack by an exception that nobody can catch.
            Some(Ending::Request)
        } else {
            Some(Ending::Exception(exception as usize))
        }
    }
}

/// Whether the process ends with its request, as on the command line.
pub fn is_whole_process() -> bool {
    // SAFETY: the SAPI's description is complete before any module starts, and its name is
    // NUL-terminated.
    unsafe {
        let name = ffi::sapi_module.name;
        !name.is_null() && CStr::from_ptr(name) == c"cli"
    }
}
