//! Arguments that several methods take, as PHP's own parser reads them.

use std::ffi::c_char;
use std::ptr;
use std::time::Duration;

use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::error::{Error, Result};

use crate::buffer::object::SUCCESS;
use crate::exceptions::throw_class;
use crate::zend::arguments;

/// The bytes of a string argument; `None` for null.
pub fn bytes<'a>(text: *const c_char, length: usize) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: PHP's parser gives the string of an argument, which lives as long as the call.
    Some(unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

/// A nullable string argument, as the parser fills it.
pub struct Text {
    pub start: *const c_char,
    pub length: usize,
}

impl Text {
    pub const NULL: Self = Self {
        start: ptr::null(),
        length: 0,
    };

    pub fn get<'a>(&self) -> Option<&'a [u8]> {
        bytes(self.start, self.length)
    }
}

/// A nullable int argument, as the parser fills it.
pub struct Int {
    pub value: i64,
    pub is_null: bool,
}

impl Int {
    pub const NULL: Self = Self {
        value: 0,
        is_null: true,
    };

    pub fn get(&self) -> Option<i64> {
        (!self.is_null).then_some(self.value)
    }
}

/// Parses no arguments. `false`: there were some, and PHP has said so.
pub fn no_arguments(call: &ExecuteData) -> bool {
    // SAFETY: an empty specification takes nothing.
    unsafe { arguments::zend_parse_parameters(arguments::argument_count(call), c"".as_ptr()) == SUCCESS }
}

pub fn table_name(name: Option<&[u8]>) -> Result<&str> {
    let name = name.unwrap_or_default();
    std::str::from_utf8(name)
        .map_err(|_| Error::config(format!("\"{}\" is no table name: it is not UTF-8", name.escape_ascii())))
}

/// An exception is pending.
pub struct PendingException;

/// A method's one argument, a time in milliseconds or null.
pub fn timeout(call: &ExecuteData, method: &str) -> Result<Option<Duration>, PendingException> {
    let mut timeout = Int::NULL;
    // SAFETY: `l!` takes a number and whether it is null.
    let parsed = unsafe {
        arguments::zend_parse_parameters(
            arguments::argument_count(call),
            c"|l!".as_ptr(),
            &raw mut timeout.value,
            &raw mut timeout.is_null,
        )
    };
    if parsed != SUCCESS {
        return Err(PendingException);
    }
    match timeout.get().map(u64::try_from) {
        None => Ok(None),
        Some(Ok(milliseconds)) => Ok(Some(Duration::from_millis(milliseconds))),
        Some(Err(_)) => {
            let message = format!("{method}(): Argument #1 ($timeoutMs) must be 0 or more");
            throw_class(ce::value_error(), &message, 0);
            Err(PendingException)
        }
    }
}
