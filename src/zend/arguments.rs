//! The arguments of a call.

use std::ffi::{c_char, c_int};

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

unsafe extern "C" {
    /// <https://www.phpinternalsbook.com/php7/extensions_design/php_functions.html#parsing-parameters-zpp>
    pub fn zend_parse_parameters(count: u32, spec: *const c_char, ...) -> c_int;
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
