//! A function, a method or a closure that was given as an argument.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::raw::c_int;
use std::ptr;

use ext_php_rs::ffi::{self, zend_fcall_info, zend_fcall_info_cache};
use ext_php_rs::types::Zval;

use crate::zend::bailout;
use crate::zend::messages::exception_is_pending;
use crate::zend::values::Held;

unsafe extern "C" {
    fn zend_call_function(info: *mut zend_fcall_info, cache: *mut zend_fcall_info_cache) -> c_int;
}

/// Calls a function of PHP's own by its name in lower case. Returns what it returned. `None`: there
/// is none, or it threw.
pub fn call_function<const N: usize>(name: &str, mut arguments: [Zval; N]) -> Option<Held> {
    // SAFETY: the name is read with its length. PHP's own functions live as long as the process.
    let function = unsafe { ffi::zend_fetch_function_str(name.as_ptr().cast(), name.len()) };
    if function.is_null() {
        return None;
    }
    let mut result = Zval::new();
    // SAFETY: the function is no method; the arguments and the result outlive the call.
    bailout::catch(|| unsafe {
        ffi::zend_call_known_function(
            function,
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut result,
            u32::try_from(N).unwrap_or(0),
            arguments.as_mut_ptr(),
            ptr::null_mut(),
        );
    });
    let result = Held::new(result);
    (!exception_is_pending()).then_some(result)
}

/// A callable, which the frame of a call holds.
pub struct Callable<'call> {
    /// It refers to the argument, and owns no reference of it.
    info: ManuallyDrop<zend_fcall_info>,
    cache: zend_fcall_info_cache,
    frame: PhantomData<&'call Zval>,
}

impl Callable<'_> {
    /// What PHP made of an argument by the specification `f`.
    pub(super) fn new(info: zend_fcall_info, cache: zend_fcall_info_cache) -> Self {
        Self {
            info: ManuallyDrop::new(info),
            cache,
            frame: PhantomData,
        }
    }

    /// Calls it with one argument, as often as it is called. Returns what it returned. `None`: it
    /// threw.
    ///
    /// PHP looks the function up each time: one that `__call()` stands for lives for one call.
    pub fn call_with(&mut self, mut argument: Zval) -> Option<Held> {
        let mut result = Zval::new();
        self.info.retval = &raw mut result;
        self.info.params = &raw mut argument;
        self.info.param_count = 1;
        // SAFETY: PHP filled it for an argument, which its frame holds. What it points to outlives
        // the call.
        bailout::catch(|| unsafe { zend_call_function(&raw mut *self.info, ptr::null_mut()) });
        let result = Held::new(result);
        (!exception_is_pending()).then_some(result)
    }

    /// Calls it without arguments. Returns what it returned. `None`: it threw.
    pub fn call(mut self) -> Option<Held> {
        let mut result = Zval::new();
        self.info.retval = &raw mut result;
        // SAFETY: PHP filled both for an argument, which its frame holds. The result outlives the
        // call.
        bailout::catch(|| unsafe { zend_call_function(&raw mut *self.info, &raw mut self.cache) });
        let result = Held::new(result);
        (!exception_is_pending()).then_some(result)
    }
}
