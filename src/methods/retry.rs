//! `Buffer::retry()`: failures, as `takeFailures()` returned them or as the dead-letter file holds
//! them, put back as groups.

use ext_php_rs::types::{ZendHashTable, Zval};
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::dead_letter::file::{BINARY_MARK, decode_binary};
use write_buffer_core::error::Kind;
use write_buffer_core::rows::group::Group;

use crate::buffer::object::Handle;
use crate::buffer::wait;
use crate::convert::ConversionError;
use crate::exceptions::{throw_conversion_error, throw_flush_error};
use crate::export;
use crate::methods::arguments::{copy_rows, table};
use crate::methods::entry::{kept_rows, with_buffer};
use crate::process::fork;
use crate::zend::arguments::Arguments;
use crate::zend::array::ArrayBuilder;
use crate::zend::messages::PendingException;

/// `Buffer::retry()`
pub extern "C" fn retry(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let failures = Arguments::of(call, 1, 1)?.array()?;
        let generation = fork::fork_generation();
        let groups: Result<Vec<Group>, ConversionError> = failures
            .into_iter()
            .flat_map(elements)
            .enumerate()
            .map(|(at, failure)| gather(buffer, at, failure))
            .collect();
        let groups = groups.map_err(throw_conversion_error)?;
        *result = export::int(add_all(buffer, groups, generation)?);
        Ok(())
    });
}

/// Takes the groups in order, as far as they fit. Returns how many.
fn add_all(buffer: Handle<'_>, groups: Vec<Group>, generation: u64) -> Result<usize, PendingException> {
    let total = groups.len();
    for (taken, group) in groups.into_iter().enumerate() {
        let Err(mut failed) = wait::add(buffer, group, generation) else {
            continue;
        };
        if failed.error.kind() == Kind::Full && taken > 0 {
            return Ok(taken);
        }
        if total > 1 && failed.error.kind() != Kind::Interrupted {
            failed.error = failed.error.context(&format!("failure {} of {total}", taken + 1));
        }
        return Err(throw_flush_error(&failed, kept_rows(buffer)));
    }
    Ok(total)
}

fn elements(array: &ZendHashTable) -> impl Iterator<Item = &Zval> {
    array.values().map(Zval::dereference)
}

fn element<'a>(array: &'a ZendHashTable, name: &str) -> Option<&'a Zval> {
    array.get(name).map(Zval::dereference)
}

/// The group of one failure.
fn gather(buffer: Handle<'_>, at: usize, failure: &Zval) -> Result<Group, ConversionError> {
    let wrong = || {
        ConversionError::wrong_type(
            1,
            format!(
                "must be a list of failures, as takeFailures() gives them; element {at} has no list of \
                 rows, each with its table"
            ),
        )
    };
    let rows = failure.array().and_then(|failure| element(failure, "rows")?.array());
    let mut group = Group::default();
    for entry in elements(rows.ok_or_else(wrong)?) {
        let entry = entry.array().ok_or_else(wrong)?;
        let table = element(entry, "table").and_then(Zval::zend_str).ok_or_else(wrong)?;
        let row = element(entry, "row").and_then(Zval::array).ok_or_else(wrong)?;
        let table = self::table(buffer, table.as_bytes())?;
        let row = decoded(row).ok_or_else(wrong)?;
        copy_rows(buffer, &mut group, &row, table, 1, false)?;
    }
    if group.is_empty() {
        return Err(wrong());
    }
    Ok(group)
}

/// A row whose strings are as they were: the dead-letter file marks those that JSON cannot hold.
/// `None`: a column's name is not UTF-8.
fn decoded(row: &ZendHashTable) -> Option<Zval> {
    let mut copy = ArrayBuilder::new();
    let mut columns = row.iter();
    while let Some((name, value)) = columns.next_zval() {
        let value = value.dereference();
        let binary = value
            .array()
            .filter(|marked| marked.len() == 1)
            .and_then(|marked| decode_binary(element(marked, BINARY_MARK)?.zend_str()?.as_bytes()));
        let value = binary.map_or_else(|| value.shallow_clone(), export::string);
        let name = match name.zend_str() {
            Some(name) => std::str::from_utf8(name.as_bytes()).ok()?.to_owned(),
            // PHP makes an int of a name such as "5".
            None => name.long()?.to_string(),
        };
        copy.set(&name, value);
    }
    Some(copy.build())
}
