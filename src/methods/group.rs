//! `Buffer::group()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::buffer::group::Gathering;
use crate::exceptions::{throw_error, throw_flush_error};
use crate::methods::arguments::tag;
use crate::methods::entry::{kept_rows, with_buffer};
use crate::zend::arguments::Arguments;
use crate::zend::messages::PendingException;

/// `Buffer::group()`
pub extern "C" fn group(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 1, 2)?;
        let rows = arguments.callable()?.ok_or(PendingException)?;
        let tag = tag(&mut arguments, 2)?;
        let gathering = Gathering::begin(buffer, tag).map_err(throw_error)?;
        let returned = rows.call().ok_or(PendingException)?;
        let ended = gathering.end();
        ended.map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))?;
        *result = returned.dereference().shallow_clone();
        Ok(())
    });
}
