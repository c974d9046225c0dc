//! `Buffer::find()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::buffer::find::Found;
use write_buffer_core::value::Value;

use crate::exceptions::throw_error;
use crate::export;
use crate::methods::arguments::table_name;
use crate::methods::entry::with_buffer;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::{Elements, HeldArray, Key};

/// `Buffer::find()`
pub extern "C" fn find(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 2)?;
        let name = arguments.text()?.unwrap_or_default();
        // No PHP code runs before the key is used.
        let Some(key) = arguments.value().and_then(key_of) else {
            let message = "must be an int or a string, or for a composite key an array of these";
            return Err(refuse(ce::type_error(), 2, message));
        };
        let found = table_name(name).and_then(|table| buffer.with(|state| state.find(table, &key)));
        match found.map_err(throw_error)? {
            Found::Nothing => result.set_null(),
            Found::Deletion => result.set_bool(false),
            Found::Row(row) => *result = export::row(&row),
        }
        Ok(())
    });
}

type KeyPart<'a> = (Option<Box<str>>, Value<'a>);

/// The parts of a key, each with its column's name if it has one.
fn key_of(key: &Zval) -> Option<Vec<KeyPart<'_>>> {
    match HeldArray::of(key) {
        Some(array) => parts_of(array.elements()),
        None => Some(vec![(None, key_value(key)?)]),
    }
}

fn parts_of(elements: Elements<'_>) -> Option<Vec<KeyPart<'static>>> {
    elements
        .entries()
        .map(|(name, value)| {
            let name = match name {
                Key::Name(name) => Some(std::str::from_utf8(name).ok()?.into()),
                Key::Number(_) => None,
            };
            Some((name, key_value(value)?.into_owned()))
        })
        .collect()
}

fn key_value(value: &Zval) -> Option<Value<'_>> {
    let value = value.dereference();
    if let Some(number) = value.long() {
        return Some(Value::Int(number));
    }
    value.zend_str().map(|text| Value::bytes(text.as_bytes()))
}
