//! `WriteBuffer::__construct()` and `SyncWriteBuffer::__construct()`.

use std::panic::AssertUnwindSafe;
use std::ptr;

use ext_php_rs::ffi::HashTable;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce, run_handler};
use write_buffer_core::error::Result;

use crate::buffer::object;
use crate::buffer::object::SUCCESS;
use crate::buffer::state::{FlushMode, State};
use crate::exceptions::{throw, throw_class};
use crate::methods::arguments::{Int, Text};
use crate::settings::Arguments;
use crate::zend::arguments;

/// `WriteBuffer::__construct()`
pub extern "C" fn construct(call: &mut ExecuteData, _result: &mut Zval) {
    run_handler(AssertUnwindSafe(|| {
        let [
            mut dsn,
            mut order,
            mut trade,
            mut overflow,
            mut route,
            mut persistent,
            mut dead,
            mut ledger,
        ] = [Text::NULL; 8];
        let [
            mut batch,
            mut interval,
            mut retries,
            mut rows,
            mut size,
            mut timeout,
            mut shutdown,
            mut lanes,
        ] = [Int::NULL; 8];
        let (mut background, mut background_is_null) = (false, true);
        let mut tables: *mut HashTable = ptr::null_mut();
        // SAFETY: each letter takes the variables that stand on its line.
        let parsed = unsafe {
            arguments::zend_parse_parameters(
                arguments::argument_count(call),
                c"|s!l!l!l!b!s!s!hl!l!s!l!l!l!s!s!s!s!".as_ptr(),
                &raw mut dsn.start,
                &raw mut dsn.length,
                &raw mut batch.value,
                &raw mut batch.is_null,
                &raw mut interval.value,
                &raw mut interval.is_null,
                &raw mut retries.value,
                &raw mut retries.is_null,
                &raw mut background,
                &raw mut background_is_null,
                &raw mut order.start,
                &raw mut order.length,
                &raw mut trade.start,
                &raw mut trade.length,
                &raw mut tables,
                &raw mut rows.value,
                &raw mut rows.is_null,
                &raw mut size.value,
                &raw mut size.is_null,
                &raw mut overflow.start,
                &raw mut overflow.length,
                &raw mut timeout.value,
                &raw mut timeout.is_null,
                &raw mut shutdown.value,
                &raw mut shutdown.is_null,
                &raw mut lanes.value,
                &raw mut lanes.is_null,
                &raw mut route.start,
                &raw mut route.length,
                &raw mut persistent.start,
                &raw mut persistent.length,
                &raw mut dead.start,
                &raw mut dead.length,
                &raw mut ledger.start,
                &raw mut ledger.length,
            )
        };
        if parsed != SUCCESS {
            return;
        }
        let arguments = Arguments {
            dsn: dsn.get(),
            batch_size: batch.get(),
            flush_interval_ms: interval.get(),
            max_retries: retries.get(),
            background: (!background_is_null).then_some(background),
            order_table: order.get(),
            trade_table: trade.get(),
            // SAFETY: the array of an argument lives as long as the call.
            tables: unsafe { tables.as_ref() },
            max_pending_rows: rows.get(),
            max_pending_bytes: size.get(),
            overflow: overflow.get(),
            overflow_timeout_ms: timeout.get(),
            shutdown_timeout_ms: shutdown.get(),
            lanes: lanes.get(),
            route_by: route.get(),
            persistent: persistent.get(),
            dead_letter_file: dead.get(),
            ledger: ledger.get(),
        };
        let state = arguments
            .settings()
            .and_then(|settings| State::new(arguments.dsn()?, settings, false, arguments.flush_mode()?));
        finish_construction(call, state);
    }));
}

/// `SyncWriteBuffer::__construct()`
pub extern "C" fn construct_sync(call: &mut ExecuteData, _result: &mut Zval) {
    run_handler(AssertUnwindSafe(|| {
        let [mut dsn, mut order, mut trade, mut ledger] = [Text::NULL; 4];
        let mut retries = Int::NULL;
        let mut tables: *mut HashTable = ptr::null_mut();
        // SAFETY: each letter takes the variables that stand on its line.
        let parsed = unsafe {
            arguments::zend_parse_parameters(
                arguments::argument_count(call),
                c"|s!l!s!s!hs!".as_ptr(),
                &raw mut dsn.start,
                &raw mut dsn.length,
                &raw mut retries.value,
                &raw mut retries.is_null,
                &raw mut order.start,
                &raw mut order.length,
                &raw mut trade.start,
                &raw mut trade.length,
                &raw mut tables,
                &raw mut ledger.start,
                &raw mut ledger.length,
            )
        };
        if parsed != SUCCESS {
            return;
        }
        let arguments = Arguments {
            dsn: dsn.get(),
            ledger: ledger.get(),
            max_retries: retries.get(),
            order_table: order.get(),
            trade_table: trade.get(),
            // SAFETY: the array of an argument lives as long as the call.
            tables: unsafe { tables.as_ref() },
            ..Arguments::default()
        };
        let state = arguments
            .sync_settings()
            .and_then(|settings| State::new(arguments.dsn()?, settings, true, FlushMode::Foreground));
        finish_construction(call, state);
    }));
}

fn finish_construction(call: &mut ExecuteData, state: Result<State>) {
    match state {
        Err(error) => throw(&error, 0),
        Ok(state) => {
            if !object::set_state(call, state) {
                throw_class(ce::error(), "the buffer is constructed already: create a new one", 0);
            }
        }
    }
}
