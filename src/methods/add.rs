//! `Buffer::add()` and `Buffer::put()`.

use std::sync::Arc;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::rows::group::Group;

use crate::buffer::group;
use crate::buffer::object::Handle;
use crate::buffer::state::State;
use crate::convert::ConversionError;
use crate::exceptions::{throw_conversion_error, throw_flush_error};
use crate::export;
use crate::methods::arguments::{copy_rows, table, tag, time_zone};
use crate::methods::entry::{kept_rows, with_buffer};
use crate::process::fork;
use crate::zend::arguments::Arguments;
use crate::zend::messages::PendingException;

/// `Buffer::add()`
pub extern "C" fn add(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 1, 2)?;
        let (order, trade) = (arguments.value(), arguments.value());
        let (order_table, trade_table) = buffer.with(|state| (state.order_table, state.trade_table));
        let ticket = take_group(buffer, None, |group| {
            for (argument, value, table) in [(1, order, order_table), (2, trade, trade_table)] {
                if let Some(value) = value {
                    copy_rows(buffer, group, value, table, argument, true, time_zone(buffer))?;
                }
            }
            Ok(())
        })?;
        *result = export::int(ticket);
        Ok(())
    });
}

/// `Buffer::put()`
pub extern "C" fn put(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 3)?;
        let name = arguments.text()?.unwrap_or_default();
        let row = arguments.value();
        let tag = tag(&mut arguments, 3)?;
        let ticket = take_group(buffer, tag, |group| {
            let table = table(buffer, name)?;
            row.map_or(Ok(()), |row| {
                copy_rows(buffer, group, row, table, 2, false, time_zone(buffer))
            })
        })?;
        *result = export::int(ticket);
        Ok(())
    });
}

/// Gathers rows, while user code may run, and then gives them to the group that is open, or to the
/// engine. Returns their ticket.
///
/// # Errors
///
/// What was thrown.
pub fn take_group(
    buffer: Handle<'_>,
    tag: Option<Arc<str>>,
    gather: impl FnOnce(&mut Group) -> Result<(), ConversionError>,
) -> Result<u64, PendingException> {
    // A gathering further up the stack has taken the scratch memory already.
    let mut group = buffer.with(State::take_scratch);
    let generation = fork::fork_generation();
    gather(&mut group).map_err(throw_conversion_error)?;
    if tag.is_some() {
        group.set_tag(tag);
    }
    group::add(buffer, group, generation).map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))
}
