//! What php.ini says.

use std::ffi::{CStr, c_char, c_int};

use ext_php_rs::ffi;
use ext_php_rs::zend::ModuleEntry;

unsafe extern "C" {
    fn zend_ini_string(name: *const c_char, length: usize, original: c_int) -> *mut c_char;
    fn php_check_open_basedir_ex(path: *const c_char, warn: c_int) -> c_int;
    fn display_ini_entries(module: *mut ffi::zend_module_entry);
}

/// Whether php.ini's `open_basedir` allows a path.
pub fn is_within_open_basedir(path: &[u8]) -> bool {
    let Ok(path) = std::ffi::CString::new(path) else {
        return false;
    };
    // SAFETY: the path is NUL-terminated, and read during the call.
    unsafe { php_check_open_basedir_ex(path.as_ptr(), 0) == 0 }
}

/// A setting of php.ini, as it is now.
pub fn value(name: &CStr) -> String {
    // SAFETY: the name is NUL-terminated; the text is PHP's own and copied at once.
    unsafe {
        let text = zend_ini_string(name.as_ptr(), name.to_bytes().len(), 0);
        if text.is_null() {
            return String::new();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// Prints a text to where PHP prints.
pub fn print(text: &str) {
    // SAFETY: the text is read during the call, with its length.
    unsafe { ffi::php_output_write(text.as_ptr().cast(), text.len()) };
}

/// Prints the entries of an extension, for `phpinfo()`.
pub fn print_entries(module: *mut ModuleEntry) {
    // SAFETY: PHP passes the extension's own description to its function.
    unsafe { display_ini_entries(module) };
}
