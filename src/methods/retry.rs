//! `Buffer::retry()`: failures, as `takeFailures()` gave them or as the dead-letter file holds them, put back as groups.

use std::ptr;

use ext_php_rs::ffi::HashTable;
use ext_php_rs::types::{ZendHashTable, Zval};
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::dead_letter::file::{BINARY_MARK, decode_binary};
use write_buffer_core::error::Kind;
use write_buffer_core::rows::group::Group;

use crate::buffer::object::SUCCESS;
use crate::buffer::state::{self, State};
use crate::convert::ConversionError;
use crate::exceptions::{throw_conversion, throw_flush};
use crate::export;
use crate::methods::add::{convert, table_named};
use crate::methods::entry::{class_of, with_state};
use crate::process::fork;
use crate::zend::arguments;
use crate::zend::array::ArrayBuilder;

/// `Buffer::retry()`
pub extern "C" fn retry(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        let mut failures: *mut HashTable = ptr::null_mut();
        // SAFETY: `h` takes a pointer to an array.
        let parsed = unsafe {
            arguments::zend_parse_parameters(arguments::argument_count(call), c"h".as_ptr(), &raw mut failures)
        };
        // SAFETY: the array of an argument lives as long as the call.
        let Some(failures) = (unsafe { failures.as_ref() }).filter(|_| parsed == SUCCESS) else {
            return;
        };
        let method = format!("{}::retry", class_of(state));
        let generation = fork::fork_generation();
        let gathered: Result<Vec<Group>, ConversionError> = elements(failures)
            .enumerate()
            .map(|(at, failure)| gather(state, at, failure))
            .collect();
        match gathered {
            Err(error) => throw_conversion(&error, &method),
            Ok(groups) => {
                if let Some(taken) = add_all(state, groups, generation) {
                    *result = export::int(taken);
                }
            }
        }
    });
}

/// Takes the groups in order, as far as they fit; gives how many. `None`: it threw.
fn add_all(state: *mut State, groups: Vec<Group>, generation: u64) -> Option<usize> {
    let total = groups.len();
    for (taken, group) in groups.into_iter().enumerate() {
        // SAFETY: `$this` is held by the call, so the state lives until it returns.
        let Err(mut failed) = (unsafe { state::add(state, group, generation) }) else {
            continue;
        };
        if failed.error.kind() == Kind::Full && taken > 0 {
            return Some(taken);
        }
        if total > 1 && failed.error.kind() != Kind::Interrupted {
            failed.error = failed.error.context(&format!("failure {} of {total}", taken + 1));
        }
        // SAFETY: as above; no user code runs in this call.
        throw_flush(&failed, unsafe { (*state).kept_rows() });
        return None;
    }
    Some(total)
}

fn elements(array: &ZendHashTable) -> impl Iterator<Item = &Zval> {
    array.values().map(Zval::dereference)
}

fn element<'a>(array: &'a ZendHashTable, name: &str) -> Option<&'a Zval> {
    array.get(name).map(Zval::dereference)
}

/// The group of one failure.
fn gather(state: *mut State, at: usize, failure: &Zval) -> Result<Group, ConversionError> {
    let wrong = || {
        ConversionError::Type(format!(
            "Argument #1 ($failures) must be a list of failures, as takeFailures() gives them; element {at} has no list of \
             rows, each with its table"
        ))
    };
    let rows = failure.array().and_then(|failure| element(failure, "rows")?.array());
    let mut group = Group::default();
    for entry in elements(rows.ok_or_else(wrong)?) {
        let entry = entry.array().ok_or_else(wrong)?;
        let table = element(entry, "table").and_then(Zval::zend_str).ok_or_else(wrong)?;
        let row = element(entry, "row").and_then(Zval::array).ok_or_else(wrong)?;
        let table = table_named(state, Some(table.as_bytes()))?;
        let row = decoded(row).ok_or_else(wrong)?;
        convert(state, &mut group, &row, table, "Argument #1 ($failures)", false)?;
    }
    if group.is_empty() {
        return Err(wrong());
    }
    Ok(group)
}

/// A row whose strings are as they were: the dead-letter file marks those that JSON cannot hold. `None`: the name of a
/// column is none.
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
