//! What a buffer says of itself: `isFull()`, `getMetrics()`, `count()`, `takeFailures()` and
//! `__debugInfo()`.

use std::time::Duration;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::buffer::any::FlushMode;
use crate::export;
use crate::methods::entry::with_buffer;
use crate::zend::arguments::Arguments;
use crate::zend::array::ArrayBuilder;

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
        *result = buffer.with(|state| {
            let settings = &state.settings;
            let mut info = ArrayBuilder::new()
                .with("dsn", export::string(state.dsn.to_string()))
                .with("maxRetries", export::int(settings.max_retries))
                .with("orderTable", export::string(&settings.order_table))
                .with("tradeTable", export::string(&settings.trade_table))
                .with("ledger", export::string(settings.ledger.name()));
            if !state.is_sync {
                let milliseconds = |time: Duration| export::int(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                info = info
                    .with("batchSize", export::int(settings.batch_size))
                    .with("flushIntervalMs", milliseconds(settings.flush_interval))
                    .with("maxPendingRows", export::int(settings.max_pending_rows))
                    .with("maxPendingBytes", export::int(settings.max_pending_bytes))
                    .with("shutdownTimeoutMs", milliseconds(settings.shutdown_timeout))
                    .with("background", export::boolean(state.flush_mode != FlushMode::Foreground));
                if state.flush_mode != FlushMode::Foreground {
                    info = info.with("lanes", export::int(settings.lanes));
                    if let Some(column) = &settings.route_by {
                        info = info.with("routeBy", export::string(column));
                    }
                    info = info
                        .with("overflow", export::string(settings.overflow.name()))
                        .with("overflowTimeoutMs", milliseconds(settings.overflow_timeout));
                }
                if let Some(file) = &settings.dead_letter_file {
                    info = info.with("deadLetterFile", export::string(file.as_os_str().as_encoded_bytes()));
                }
                if let FlushMode::Persistent(name) = &state.flush_mode {
                    info = info.with("persistent", export::string(name));
                }
            }
            info.with("closed", export::boolean(state.is_closed))
                .with("metrics", export::metrics(&state.buffer.snapshot()))
                .build()
        });
        Ok(())
    });
}
