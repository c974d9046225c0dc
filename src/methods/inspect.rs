//! What a buffer says of itself: `isFull()`, `getMetrics()`, `count()`, `failures()`,
//! `takeFailures()` and `__debugInfo()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::export;
use crate::methods::entry::with_buffer;
use crate::settings::show;
use crate::zend::arguments::Arguments;

/// `Buffer::isFull()`
pub extern "C" fn is_full(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        result.set_bool(buffer.with(|state| state.buffer.is_full()));
        Ok(())
    });
}

/// `Buffer::getMetrics()`
pub extern "C" fn get_metrics(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::metrics(&buffer.with(|state| state.buffer.snapshot()));
        Ok(())
    });
}

/// `Buffer::count()`
pub extern "C" fn count(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::int(buffer.with(|state| state.buffer.pending_rows()));
        Ok(())
    });
}

/// `Buffer::failures()`
pub extern "C" fn failures(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::failures(&buffer.with(|state| state.buffer.failures()));
        Ok(())
    });
}

/// `Buffer::takeFailures()`
pub extern "C" fn take_failures(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::failures(&buffer.with(|state| state.buffer.take_failures()));
        Ok(())
    });
}

/// `__debugInfo()`
pub extern "C" fn debug_info(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        let (mut configuration, is_closed, snapshot) = buffer.with(|state| {
            let configuration = state.configuration.clone();
            (configuration, state.is_closed, state.buffer.snapshot())
        });
        *result = show::shown(&mut configuration)
            .with("closed", export::boolean(is_closed))
            .with("metrics", export::metrics(&snapshot))
            .build();
        Ok(())
    });
}
