//! `Buffer::find()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::buffer::find::Found;
use write_buffer_core::value::Value;

use crate::buffer::state::State;
use crate::convert::moments::TimeZone;
use crate::convert::values::{Scalar, ValueError};
use crate::exceptions::throw_error;
use crate::export;
use crate::methods::arguments::{table_name, time_zone};
use crate::methods::entry::with_buffer;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::{Elements, HeldArray, Key};
use crate::zend::messages::{PendingException, exception_is_pending};

const EXPECTED: &str = "must be an int or a string, or for a composite key an array of these";

/// `Buffer::find()`
pub extern "C" fn find(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 2)?;
        let name = arguments.text()?.unwrap_or_default();
        let mut zone = time_zone(buffer);
        let key = arguments.value();
        let key = key.map_or(Ok(Vec::new()), |key| key_of(key, &mut zone));
        let key = key.map_err(|error| match error {
            ValueError::Pending(pending) => pending,
            ValueError::Wrong(_) => refuse(ce::type_error(), 2, EXPECTED),
        })?;
        if exception_is_pending() {
            return Err(PendingException);
        }
        // User code ran for an object, and may have forked.
        buffer.with(State::notice_fork);
        let found = table_name(name).and_then(|table| buffer.with(|state| state.find(table, &key)));
        match found.map_err(throw_error)? {
            Found::Nothing => result.set_null(),
            Found::Deletion => result.set_bool(false),
            Found::Row(row) => *result = export::row(&row),
        }
        Ok(())
    });
}

type KeyPart = (Option<Box<str>>, Value<'static>);

/// The parts of a key, each with its column's name if it has one. User code may run.
fn key_of(key: &Zval, zone: &mut TimeZone) -> Result<Vec<KeyPart>, ValueError> {
    match HeldArray::of(key) {
        Some(array) => parts_of(array.elements(), zone),
        None => Ok(vec![(
            None,
            Scalar::of_lone_key(key.dereference(), zone)?.value().into_owned(),
        )]),
    }
}

fn parts_of(elements: Elements<'_>, zone: &mut TimeZone) -> Result<Vec<KeyPart>, ValueError> {
    elements
        .entries()
        .map(|(name, value)| {
            let name = match name {
                Key::Name(name) => {
                    let name = std::str::from_utf8(name);
                    Some(
                        name.map_err(|_| ValueError::Wrong("a name that is not UTF-8".to_owned()))?
                            .into(),
                    )
                }
                Key::Number(_) => None,
            };
            Ok((name, Scalar::of_key(value.dereference(), zone)?.value().into_owned()))
        })
        .collect()
}
