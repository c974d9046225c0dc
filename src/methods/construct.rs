//! `WriteBuffer::__construct()` and `SyncWriteBuffer::__construct()`.

use std::panic::AssertUnwindSafe;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce, run_handler};
use write_buffer_core::error::Result;

use crate::buffer::any::FlushMode;
use crate::buffer::object;
use crate::buffer::state::State;
use crate::exceptions::throw_error;
use crate::settings;
use crate::zend::arguments::Arguments;
use crate::zend::messages::{PendingException, throw};

/// `WriteBuffer::__construct()`
pub extern "C" fn construct(call: &mut ExecuteData, _result: &mut Zval) {
    construct_with(call, |call| {
        let mut given = Arguments::of(call, 0, 18)?;
        let arguments = settings::Arguments {
            dsn: given.text_or_null()?,
            batch_size: given.int_or_null()?,
            flush_interval_ms: given.int_or_null()?,
            max_retries: given.int_or_null()?,
            background: given.bool_or_null()?,
            order_table: given.text_or_null()?,
            trade_table: given.text_or_null()?,
            tables: given.array()?,
            max_pending_rows: given.int_or_null()?,
            max_pending_bytes: given.int_or_null()?,
            overflow: given.text_or_null()?,
            overflow_timeout_ms: given.int_or_null()?,
            shutdown_timeout_ms: given.int_or_null()?,
            lanes: given.int_or_null()?,
            route_by: given.text_or_null()?,
            persistent: given.text_or_null()?,
            dead_letter_file: given.text_or_null()?,
            ledger: given.text_or_null()?,
        };
        Ok(arguments
            .settings()
            .and_then(|settings| State::new(arguments.dsn()?, settings, false, arguments.flush_mode()?)))
    });
}

/// `SyncWriteBuffer::__construct()`
pub extern "C" fn construct_sync(call: &mut ExecuteData, _result: &mut Zval) {
    construct_with(call, |call| {
        let mut given = Arguments::of(call, 0, 6)?;
        let arguments = settings::Arguments {
            dsn: given.text_or_null()?,
            max_retries: given.int_or_null()?,
            order_table: given.text_or_null()?,
            trade_table: given.text_or_null()?,
            tables: given.array()?,
            ledger: given.text_or_null()?,
            ..settings::Arguments::default()
        };
        Ok(arguments
            .sync_settings()
            .and_then(|settings| State::new(arguments.dsn()?, settings, true, FlushMode::Foreground)))
    });
}

fn construct_with(call: &mut ExecuteData, make: impl FnOnce(&ExecuteData) -> Result<Result<State>, PendingException>) {
    run_handler(AssertUnwindSafe(|| {
        if let Ok(Ok(state)) = make(call).map(|state| state.map_err(throw_error))
            && !object::set_state(call, state)
        {
            throw(ce::error(), "the buffer is constructed already: create a new one", 0);
        }
    }));
}
