//! `Buffer::add()` and `Buffer::put()`.

use std::ptr;

use ext_php_rs::ffi::zval;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::error::Result;
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;

use crate::buffer::object::SUCCESS;
use crate::buffer::state;
use crate::buffer::state::{State, StateTables};
use crate::convert::{ConversionError, Converter};
use crate::exceptions::{throw_conversion, throw_flush};
use crate::methods::arguments::{Text, table_name};
use crate::methods::entry::{class_of, with_state};
use crate::process::fork;
use crate::zend::arguments;

/// `Buffer::add()`
pub extern "C" fn add(call: &mut ExecuteData, _result: &mut Zval) {
    with_state(call, |call, state| {
        let Some((order, trade)) = order_and_trade(call) else {
            return;
        };
        // SAFETY: the state is alive, and no user code runs before these are copied.
        let (order_table, trade_table) = unsafe { ((*state).order_table, (*state).trade_table) };
        take_group(state, "add", |group| {
            for (value, table, parameter) in [
                (order, order_table, "Argument #1 ($order)"),
                (trade, trade_table, "Argument #2 ($trade)"),
            ] {
                if let Some(value) = value {
                    convert(state, group, value, table, parameter, true)?;
                }
            }
            Ok(())
        });
    });
}

/// The arguments of `add()`. `None`: PHP's parser has said what is wrong with them.
fn order_and_trade(call: &ExecuteData) -> Option<(Option<&Zval>, Option<&Zval>)> {
    match arguments::argument_count(call) {
        // As many as there may be, of any type: there is nothing to parse.
        1 => Some((arguments::argument(call, 0), None)),
        2 => Some((arguments::argument(call, 0), arguments::argument(call, 1))),
        count => {
            let (mut order, mut trade): (*mut zval, *mut zval) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: `z` takes a pointer to a value.
            unsafe { arguments::zend_parse_parameters(count, c"z|z".as_ptr(), &raw mut order, &raw mut trade) };
            None
        }
    }
}

/// `Buffer::put()`
pub extern "C" fn put(call: &mut ExecuteData, _result: &mut Zval) {
    with_state(call, |call, state| {
        let mut table = Text::NULL;
        let mut row: *mut zval = ptr::null_mut();
        // SAFETY: `s` takes a pointer and a length, `z` a pointer to a value.
        let parsed = unsafe {
            arguments::zend_parse_parameters(
                arguments::argument_count(call),
                c"sz".as_ptr(),
                &raw mut table.start,
                &raw mut table.length,
                &raw mut row,
            )
        };
        if parsed != SUCCESS {
            return;
        }
        // SAFETY: the arguments of a call live as long as it does.
        let row = unsafe { row.as_ref() };
        take_group(state, "put", |group| {
            let table = table_named(state, table.get())?;
            match row {
                Some(row) => convert(state, group, row, table, "Argument #2 ($row)", false),
                None => Ok(()),
            }
        });
    });
}

pub fn table_named(state: *mut State, name: Option<&[u8]>) -> Result<TableId> {
    let name = table_name(name)?;
    // SAFETY: no user code runs in this call.
    unsafe { &mut *state }
        .buffer
        .with_catalog(|catalog| catalog.table(name))
}

pub fn convert(
    state: *mut State,
    group: &mut Group,
    value: &Zval,
    table: TableId,
    parameter: &'static str,
    allow_null: bool,
) -> Result<(), ConversionError> {
    let tables = StateTables(state);
    Converter {
        tables: &tables,
        group,
        parameter,
        table,
    }
    .convert(value, allow_null)
}

/// Gathers a group, while user code may run, and then gives it to the engine, while none does.
fn take_group(state: *mut State, method: &str, gather: impl FnOnce(&mut Group) -> Result<(), ConversionError>) {
    // SAFETY: no user code runs in this call. A gathering further up the stack has taken the scratch memory already.
    let mut group = unsafe { (*state).take_scratch() };
    let generation = fork::fork_generation();
    match gather(&mut group) {
        Err(error) => throw_conversion(&error, &format!("{}::{method}", class_of(state))),
        Ok(()) => {
            // SAFETY: `$this` is held by the call, so the state lives until it returns.
            if let Err(failed) = unsafe { state::add(state, group, generation) } {
                // SAFETY: as above; no user code runs in this call.
                throw_flush(&failed, unsafe { (*state).kept_rows() });
            }
        }
    }
}
