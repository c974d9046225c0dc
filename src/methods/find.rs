//! `Buffer::find()`.

use std::ptr;

use ext_php_rs::ffi::zval;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::value::Value;

use crate::buffer::object::SUCCESS;
use crate::exceptions::{throw, throw_class};
use crate::export;
use crate::methods::arguments::{Text, table_name};
use crate::methods::entry::{class_of, with_state};
use crate::zend::arguments;

/// `Buffer::find()`
pub extern "C" fn find(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        let mut table = Text::NULL;
        let mut key: *mut zval = ptr::null_mut();
        // SAFETY: `s` takes a pointer and a length, `z` a pointer to a value.
        let parsed = unsafe {
            arguments::zend_parse_parameters(
                arguments::argument_count(call),
                c"sz".as_ptr(),
                &raw mut table.start,
                &raw mut table.length,
                &raw mut key,
            )
        };
        // SAFETY: the arguments of a call live as long as it does.
        let Some(key) = (unsafe { key.as_ref() }).filter(|_| parsed == SUCCESS) else {
            return;
        };
        let Some(key) = key_of(key.dereference()) else {
            let message = format!(
                "{}::find(): Argument #2 ($key) must be an int or a string, or for a composite key an array of these",
                class_of(state)
            );
            throw_class(ce::type_error(), &message, 0);
            return;
        };
        // SAFETY: no user code runs in this call.
        let found = table_name(table.get()).and_then(|table| unsafe { (*state).buffer.find(table, &key) });
        match found {
            Err(error) => throw(&error, 0),
            Ok(None) => result.set_null(),
            Ok(Some(row)) => *result = export::row(&row),
        }
    });
}

type KeyPart<'a> = (Option<Box<str>>, Value<'a>);

/// The parts of a key, each with its column's name where it has one.
fn key_of(key: &Zval) -> Option<Vec<KeyPart<'_>>> {
    let Some(array) = key.array() else {
        return Some(vec![(None, key_value(key)?)]);
    };
    let mut parts = Vec::with_capacity(array.len());
    let mut elements = array.iter();
    while let Some((name, value)) = elements.next_zval() {
        let name = match name.zend_str() {
            Some(name) => Some(std::str::from_utf8(name.as_bytes()).ok()?.into()),
            None => None,
        };
        parts.push((name, key_value(value.dereference())?));
    }
    Some(parts)
}

fn key_value(value: &Zval) -> Option<Value<'_>> {
    if let Some(number) = value.long() {
        return Some(Value::Int(number));
    }
    value.zend_str().map(|text| Value::bytes(text.as_bytes()))
}
