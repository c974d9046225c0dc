//! The arguments of a call, read by PHP's own parser: types, coercion, `strict_types` and messages
//! are those of every PHP function.
//!
//! What is read borrows from the call's frame, which holds it until the call returns. A string
//! that PHP made of a number stands in the frame, too. PHP code may run for an argument of another
//! type: `__toString()`, or an error handler that hears of a deprecation.

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use ext_php_rs::ffi::{
    zend_class_entry, zend_fcall_info, zend_fcall_info_cache, zend_wrong_parameters_count_error, zval,
};
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ClassEntry, ExecuteData, ce};

use crate::zend::bailout;
use crate::zend::callable::Callable;
use crate::zend::messages::{PendingException, c_text, exception_is_pending};
use crate::zend::objects::{HeldObject, value_of_case};
use crate::zend::values::{Plain, type_name};

unsafe extern "C" {
    /// Parses one argument by a specification of one letter, and throws if it is of another type:
    /// <https://www.phpinternalsbook.com/php7/extensions_design/php_functions.html#parsing-parameters-zpp>
    fn zend_parse_parameter(flags: c_int, number: u32, argument: *mut zval, spec: *const c_char, ...) -> c_int;
    fn zend_argument_error(class: *mut zend_class_entry, number: u32, format: *const c_char, ...);
}

/// A call's arguments, read one after the other. One that was left out reads as `None`.
pub struct Arguments<'call> {
    call: &'call ExecuteData,
    count: u32,
    read: u32,
}

impl<'call> Arguments<'call> {
    /// The arguments of a call that needs `min` of them, and takes `max`.
    ///
    /// # Errors
    ///
    /// There are fewer or more.
    pub fn of(call: &'call ExecuteData, min: u32, max: u32) -> Result<Self, PendingException> {
        // SAFETY: PHP fills `num_args` for every call of an internal function.
        let count = unsafe { call.This.u2.num_args };
        if !(min..=max).contains(&count) {
            // SAFETY: throws; called inside the call that it speaks of.
            unsafe { zend_wrong_parameters_count_error(min, max) };
            return Err(PendingException);
        }
        Ok(Self { call, count, read: 0 })
    }

    /// Checks that a call has no arguments.
    ///
    /// # Errors
    ///
    /// It has some.
    pub fn none(call: &'call ExecuteData) -> Result<(), PendingException> {
        Self::of(call, 0, 0).map(drop)
    }

    /// The next argument, whatever it is.
    pub fn value(&mut self) -> Option<&'call Zval> {
        let argument = self.next()?;
        // SAFETY: the frame holds it as long as the call lasts, and nobody writes to it any more.
        unsafe { argument.as_ref() }
    }

    /// The next argument, an int.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn int(&mut self) -> Result<Option<i64>, PendingException> {
        self.parsed_int(c"l")
    }

    /// The next argument, an int or null.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn int_or_null(&mut self) -> Result<Option<i64>, PendingException> {
        self.parsed_int(c"l!")
    }

    fn parsed_int(&mut self, spec: &CStr) -> Result<Option<i64>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        let (mut number, mut is_null) = (0_i64, false);
        // SAFETY: `l` takes a number and, with `!`, whether it is null.
        let parsed = bailout::catch(|| unsafe {
            zend_parse_parameter(0, self.read, argument, spec.as_ptr(), &raw mut number, &raw mut is_null)
        });
        succeeded(parsed)?;
        Ok((!is_null).then_some(number))
    }

    /// The next argument, a bool or null.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn bool_or_null(&mut self) -> Result<Option<bool>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        let (mut value, mut is_null) = (false, false);
        // SAFETY: `b!` takes a bool, and whether it is null.
        let parsed = bailout::catch(|| unsafe {
            zend_parse_parameter(0, self.read, argument, c"b!".as_ptr(), &raw mut value, &raw mut is_null)
        });
        succeeded(parsed)?;
        Ok((!is_null).then_some(value))
    }

    /// The next argument, a string.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn text(&mut self) -> Result<Option<&'call [u8]>, PendingException> {
        self.parsed_text(c"s")
    }

    /// The next argument, a string or null.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn text_or_null(&mut self) -> Result<Option<&'call [u8]>, PendingException> {
        self.parsed_text(c"s!")
    }

    fn parsed_text(&mut self, spec: &CStr) -> Result<Option<&'call [u8]>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        self.text_of(argument, spec, 0)
    }

    fn text_of(&self, argument: *mut Zval, spec: &CStr, flags: c_int) -> Result<Option<&'call [u8]>, PendingException> {
        // SAFETY: the frame holds the argument as long as the call lasts.
        if let Some(Plain::Text(text)) = unsafe { argument.as_ref() }.and_then(Plain::of) {
            return Ok(Some(text));
        }
        let (mut start, mut length): (*const c_char, usize) = (ptr::null(), 0);
        // SAFETY: `s` takes a pointer, null for null, and a length.
        let parsed = bailout::catch(|| unsafe {
            zend_parse_parameter(
                flags,
                self.read,
                argument,
                spec.as_ptr(),
                &raw mut start,
                &raw mut length,
            )
        });
        succeeded(parsed)?;
        if start.is_null() {
            return Ok(None);
        }
        // SAFETY: the frame holds the string as long as the call lasts.
        Ok(Some(unsafe { std::slice::from_raw_parts(start.cast(), length) }))
    }

    /// The next argument, a string, a case of an enum whose values are strings, or null. Of a case
    /// it is the value.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn word_or_null(&mut self, enum_name: &str) -> Result<Option<&'call [u8]>, PendingException> {
        /// `ZEND_PARSE_PARAMS_QUIET` of `zend_API.h`.
        const QUIET: c_int = 1 << 1;
        let Some(argument) = self.next() else { return Ok(None) };
        // SAFETY: the frame holds the argument as long as the call lasts.
        let value: &'call Zval = unsafe { &*argument };
        if let Some(Plain::Text(text)) = value_of_case(value, enum_name).and_then(Plain::of) {
            return Ok(Some(text));
        }
        let (given, held) = (type_name(value.dereference()), HeldObject::of(value));
        let given = held.as_ref().map_or(given, HeldObject::class_name);
        self.text_of(argument, c"s!", QUIET).map_err(|_| {
            // PHP's own message names strings only.
            refuse(
                ce::type_error(),
                self.read,
                &format!("must be of type {enum_name}|string|null, {given} given"),
            )
        })
    }

    /// The next argument, an array.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn array(&mut self) -> Result<Option<&'call Zval>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        let mut array: *mut zval = ptr::null_mut();
        // SAFETY: `a` takes a pointer to a value, which is an array then.
        let parsed =
            bailout::catch(|| unsafe { zend_parse_parameter(0, self.read, argument, c"a".as_ptr(), &raw mut array) });
        succeeded(parsed)?;
        // SAFETY: the frame holds the array as long as the call lasts.
        Ok(unsafe { array.as_ref() })
    }

    /// The next argument, an array or a `Traversable`.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn iterable(&mut self) -> Result<Option<&'call Zval>, PendingException> {
        let Some(argument) = self.value().map(Zval::dereference) else {
            return Ok(None);
        };
        let is_iterable = argument.is_array()
            || argument
                .object()
                .is_some_and(|object| object.instance_of(ce::traversable()));
        if is_iterable {
            return Ok(Some(argument));
        }
        let object = HeldObject::of(argument);
        let given = object
            .as_ref()
            .map_or_else(|| type_name(argument), HeldObject::class_name);
        Err(refuse(
            ce::type_error(),
            self.read,
            &format!("must be of type Traversable|array, {given} given"),
        ))
    }

    /// The next argument, an object of a class, or null.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn object_or_null(&mut self, class: &'static ClassEntry) -> Result<Option<&'call Zval>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        let mut object: *mut zval = ptr::null_mut();
        let class = ptr::from_ref(class).cast_mut();
        // SAFETY: `O!` takes a pointer to a value, which is an object of the class then, or null.
        let parsed = bailout::catch(|| unsafe {
            zend_parse_parameter(0, self.read, argument, c"O!".as_ptr(), &raw mut object, class)
        });
        succeeded(parsed)?;
        // SAFETY: the frame holds the object as long as the call lasts.
        Ok(unsafe { object.as_ref() })
    }

    /// The next argument, a callable.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn callable(&mut self) -> Result<Option<Callable<'call>>, PendingException> {
        self.parsed_callable(c"f")
    }

    /// The next argument, a callable or null.
    ///
    /// # Errors
    ///
    /// It is another type.
    pub fn callable_or_null(&mut self) -> Result<Option<Callable<'call>>, PendingException> {
        self.parsed_callable(c"f!")
    }

    fn parsed_callable(&mut self, spec: &CStr) -> Result<Option<Callable<'call>>, PendingException> {
        let Some(argument) = self.next() else { return Ok(None) };
        let mut info = MaybeUninit::<zend_fcall_info>::zeroed();
        let mut cache = MaybeUninit::<zend_fcall_info_cache>::zeroed();
        // SAFETY: `f` takes these two, and owns nothing in them afterwards. With `!` their size is
        // 0 for null.
        let parsed = bailout::catch(|| unsafe {
            zend_parse_parameter(
                0,
                self.read,
                argument,
                spec.as_ptr(),
                info.as_mut_ptr(),
                cache.as_mut_ptr(),
            )
        });
        succeeded(parsed)?;
        // SAFETY: numbers and pointers, zeroed, and set by PHP unless it is null.
        let (info, cache) = unsafe { (info.assume_init(), cache.assume_init()) };
        // The frame holds the argument as long as the call lasts.
        Ok((info.size > 0).then(|| Callable::new(info, cache)))
    }

    fn next(&mut self) -> Option<*mut Zval> {
        /// `ZEND_CALL_FRAME_SLOT`: the arguments stand behind the frame.
        const FRAME_SLOTS: usize = size_of::<ExecuteData>().div_ceil(size_of::<Zval>());
        if self.read == self.count {
            return None;
        }
        let at = self.read as usize;
        self.read += 1;
        let frame = ptr::from_ref(self.call).cast::<Zval>().cast_mut();
        // SAFETY: PHP puts `count` arguments there.
        Some(unsafe { frame.add(FRAME_SLOTS + at) })
    }
}

/// Whether an argument was parsed, and no error handler threw meanwhile.
fn succeeded(parsed: Option<c_int>) -> Result<(), PendingException> {
    if parsed == Some(0) && !exception_is_pending() {
        Ok(())
    } else {
        Err(PendingException)
    }
}

/// Throws that an argument of the running method, by its number from 1, is wrong. The message goes
/// on after the parameter's name: `must be …`.
pub fn refuse(class: &'static ClassEntry, number: u32, message: &str) -> PendingException {
    if exception_is_pending() {
        return PendingException;
    }
    let message = c_text(message);
    // SAFETY: `%s` takes the NUL-terminated text that follows; the class is an exception's.
    unsafe {
        zend_argument_error(
            ptr::from_ref(class).cast_mut(),
            number,
            c"%s".as_ptr(),
            message.as_ptr(),
        );
    };
    PendingException
}
