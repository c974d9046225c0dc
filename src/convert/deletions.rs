//! The key of a row to delete, copied into a group.

use std::sync::Arc;

use ext_php_rs::types::Zval;
use write_buffer_core::error::Error;
use write_buffer_core::rows::group::{Group, PushError};
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;

use crate::convert::moments::TimeZone;
use crate::convert::values::{Scalar, ValueError};
use crate::convert::{ConversionError, Tables};
use crate::zend::array::{Elements, HeldArray, Key};
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::objects::HeldObject;
use crate::zend::values::type_name;

type Result<T, E = ConversionError> = std::result::Result<T, E>;

const EXPECTED: &str = "must be an int or a string, or an array of the key's columns, and the guard if the row is to stay when it \
                        is newer";

/// Copies the key of a row to delete into a group: a value, or an array by column or in the key's
/// order. User code may run.
///
/// # Errors
///
/// It is no key; a table whose rows are not deleted; what user code threw.
pub fn copy_key<T: Tables>(
    tables: &T,
    group: &mut Group,
    table: TableId,
    key: &Zval,
    argument: u32,
    mut zone: TimeZone,
) -> Result<()> {
    let wrong = |what: String| ConversionError::wrong_type(argument, format!("{EXPECTED}, {what}"));
    match HeldArray::of(key) {
        Some(array) => {
            let elements = array.elements();
            let shape = shape_of(tables, table, elements, &wrong)?;
            begin(tables, group, &shape)?;
            for (place, value) in elements.values().enumerate() {
                let column = shape.columns.get(place).map_or("", |column| &**column);
                let of_column = |what| wrong(format!("{what} given for {column}"));
                push(tables, group, value.dereference(), &mut zone, &of_column)?;
            }
        }
        None => {
            let key = key.dereference();
            if let Some(object) = HeldObject::of(key).filter(|object| object.has_method("getattributes")) {
                let class = object.class_name();
                return Err(wrong(format!(
                    "the model {class} given: give its key, as getKey() returns it"
                )));
            }
            if key.is_null() || key.is_bool() || key.is_double() {
                return Err(wrong(format!("{} given", type_name(key))));
            }
            let shape = tables.deletion(table, None::<std::iter::Empty<&[u8]>>, 1)?;
            begin(tables, group, &shape)?;
            push(tables, group, key, &mut zone, &|what| wrong(format!("{what} given")))?;
        }
    }
    if exception_is_pending() {
        return Err(PendingException.into());
    }
    Ok(())
}

fn shape_of<T: Tables>(
    tables: &T,
    table: TableId,
    elements: Elements<'_>,
    wrong: &impl Fn(String) -> ConversionError,
) -> Result<Arc<Shape>> {
    let names = elements.entries().map(|(key, _)| match key {
        Key::Name(name) => Some(name),
        Key::Number(_) => None,
    });
    if elements.is_proper_list() {
        return Ok(tables.deletion(table, None::<std::iter::Empty<&[u8]>>, elements.count())?);
    }
    if names.clone().next().is_none() {
        return Err(wrong("an empty array given".to_owned()));
    }
    if names.clone().any(|name| name.is_none()) {
        return Err(wrong("an array that mixes names and numbers given".to_owned()));
    }
    Ok(tables.deletion(table, Some(names.flatten()), elements.count())?)
}

fn begin<T: Tables>(tables: &T, group: &mut Group, shape: &Arc<Shape>) -> Result<()> {
    group.begin_row(shape).map_err(|_| too_large(tables, group).into())
}

fn push<T: Tables>(
    tables: &T,
    group: &mut Group,
    value: &Zval,
    zone: &mut TimeZone,
    wrong: &impl Fn(String) -> ConversionError,
) -> Result<()> {
    let scalar = Scalar::of(value, zone).map_err(|error| match error {
        ValueError::Pending(pending) => pending.into(),
        ValueError::Wrong(what) => wrong(what),
    })?;
    group.push(&scalar.value()).map_err(|error| match error {
        PushError::ValueTooLong => wrong("a string longer than 4 GiB".to_owned()),
        PushError::GroupTooLarge => too_large(tables, group).into(),
    })
}

fn too_large<T: Tables>(tables: &T, group: &Group) -> Error {
    let (rows, bytes) = group.refused_size();
    tables.too_large(rows, bytes)
}
