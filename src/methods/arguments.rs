//! Arguments that several methods take: a table's name, rows, and a tag.

use std::sync::Arc;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;

use crate::buffer::object::Handle;
use crate::convert::moments::TimeZone;
use crate::convert::rows::Converter;
use crate::convert::{ConversionError, Tables as _};
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::Elements;
use crate::zend::messages::PendingException;

/// A table's name.
///
/// # Errors
///
/// It is not UTF-8.
pub fn table_name(name: &[u8]) -> Result<&str> {
    std::str::from_utf8(name)
        .map_err(|_| Error::config(format!("\"{}\" is no table name: it is not UTF-8", name.escape_ascii())))
}

/// The table of a name.
///
/// # Errors
///
/// It is no table's name; too many tables.
pub fn table(buffer: Handle<'_>, name: &[u8]) -> Result<TableId> {
    buffer.table(table_name(name)?)
}

/// The most bytes of a tag.
const TAG_BYTES_MAX: usize = 1_000;

/// A tag, as it is kept. `None`: it is too long, or not UTF-8.
pub fn tag_of(text: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(text).ok()?;
    (text.len() <= TAG_BYTES_MAX).then(|| text.into())
}

/// The next argument of the call, its `number`th: a tag or null.
///
/// # Errors
///
/// It is neither, too long, or not UTF-8.
pub fn tag(arguments: &mut Arguments<'_>, number: u32) -> Result<Option<Arc<str>>, PendingException> {
    let Some(text) = arguments.text_or_null()? else {
        return Ok(None);
    };
    let wrong = || {
        let message = format!("must be UTF-8, and at most {TAG_BYTES_MAX} bytes long");
        refuse(ce::value_error(), number, &message)
    };
    tag_of(text).ok_or_else(wrong).map(Some)
}

/// The zone to which moments are converted.
pub fn time_zone(buffer: Handle<'_>) -> TimeZone {
    TimeZone::of(buffer.with(|state| state.configuration.time_zone.clone()))
}

/// Copies a row of the first argument that only updates the row with its key. User code may run.
///
/// # Errors
///
/// It cannot be taken.
pub fn copy_update(
    buffer: Handle<'_>,
    group: &mut Group,
    row: Elements<'_>,
    table: TableId,
    zone: TimeZone,
) -> Result<(), ConversionError> {
    Converter {
        tables: &buffer,
        group,
        argument: 1,
        table,
        zone,
    }
    .convert_update(row)
}

/// Copies the rows of an argument, a row or a list of rows, into a group. User code may run.
///
/// # Errors
///
/// A row that cannot be taken.
pub fn copy_rows(
    buffer: Handle<'_>,
    group: &mut Group,
    value: &Zval,
    table: TableId,
    argument: u32,
    allow_null: bool,
    zone: TimeZone,
) -> Result<(), ConversionError> {
    Converter {
        tables: &buffer,
        group,
        argument,
        table,
        zone,
    }
    .convert(value, allow_null)
}
