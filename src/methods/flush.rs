//! `Buffer::flush()`, `Buffer::sync()` and `Buffer::close()`.

use std::time::Duration;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};

use crate::buffer::wait;
use crate::exceptions::throw_flush_error;
use crate::export;
use crate::methods::entry::{kept_rows, with_buffer};
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::messages::PendingException;

/// `Buffer::flush()`
pub extern "C" fn flush(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let flushed = wait::flush(buffer, timeout(&mut Arguments::of(call, 0, 1)?, 1)?);
        let rows = flushed.map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))?;
        *result = export::int(rows);
        Ok(())
    });
}

/// `Buffer::sync()`
pub extern "C" fn sync(call: &mut ExecuteData, _result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let timeout = timeout(&mut Arguments::of(call, 0, 1)?, 1)?;
        let synced = match buffer.with(|state| state.sync_journal()) {
            Some(synced) => synced,
            // Only the server can have it.
            None => wait::flush(buffer, timeout).map(drop),
        };
        synced.map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))
    });
}

/// `Buffer::close()`
pub extern "C" fn close(call: &mut ExecuteData, _result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let timeout = timeout(&mut Arguments::of(call, 0, 1)?, 1)?;
        wait::close(buffer, timeout).map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))
    });
}

/// The next argument of the call, its `number`th: a time in milliseconds or null.
///
/// # Errors
///
/// It is neither, or negative.
pub fn timeout(arguments: &mut Arguments<'_>, number: u32) -> Result<Option<Duration>, PendingException> {
    let timeout_ms = arguments.int_or_null()?;
    timeout_ms
        .map(|timeout_ms| u64::try_from(timeout_ms).map(Duration::from_millis))
        .transpose()
        .map_err(|_| refuse(ce::value_error(), number, "must be 0 or more"))
}
