//! The methods of `WriteBuffer` and `SyncWriteBuffer`: they parse arguments, call the engine, and throw.
//!
//! Arguments are parsed by PHP's own parser, so types, coercion, `strict_types` and messages are those of every PHP
//! function.

pub mod memory_sink;
pub mod retry;

use std::ffi::c_char;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::time::Duration;

use ext_php_rs::ffi::{HashTable, zval};
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce, run_handler};
use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::value::Value;

use crate::buffer::object::{self, SUCCESS};
use crate::buffer::state::{self, Flusher, State, StateTables};
use crate::classes::Classes;
use crate::convert::{Converter, Refused};
use crate::exceptions::{throw, throw_class, throw_flush, throw_refused};
use crate::export::{self, ArrayBuilder};
use crate::process::fork;
use crate::settings::Arguments;
use crate::zend;

/// The bytes of a string argument; `None` for null.
pub fn bytes<'a>(text: *const c_char, length: usize) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: PHP's parser gives the string of an argument, which lives as long as the call.
    Some(unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

/// A nullable string argument, as the parser fills it.
struct Text {
    start: *const c_char,
    length: usize,
}

impl Text {
    const NULL: Self = Self {
        start: ptr::null(),
        length: 0,
    };

    fn get<'a>(&self) -> Option<&'a [u8]> {
        bytes(self.start, self.length)
    }
}

/// A nullable int argument, as the parser fills it.
struct Int {
    value: i64,
    is_null: bool,
}

impl Int {
    const NULL: Self = Self {
        value: 0,
        is_null: true,
    };

    fn get(&self) -> Option<i64> {
        (!self.is_null).then_some(self.value)
    }
}

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
            zend::zend_parse_parameters(
                zend::argument_count(call),
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
            .and_then(|settings| State::new(arguments.dsn()?, settings, false, arguments.flusher()?));
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
            zend::zend_parse_parameters(
                zend::argument_count(call),
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
            .and_then(|settings| State::new(arguments.dsn()?, settings, true, Flusher::Foreground));
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

/// Runs a method's body with the state of `$this`.
pub fn with_state(call: &mut ExecuteData, body: impl FnOnce(&mut ExecuteData, *mut State)) {
    run_handler(AssertUnwindSafe(|| {
        let Some(state) = object::state_of(call) else {
            throw_class(
                ce::error(),
                "the buffer is not constructed: its constructor has not run, or threw",
                0,
            );
            return;
        };
        // SAFETY: no user code runs in this call.
        unsafe { (*state).notice_fork() };
        body(call, state);
    }));
}

/// Parses no arguments. `false`: there were some, and PHP has said so.
fn no_arguments(call: &ExecuteData) -> bool {
    // SAFETY: an empty specification takes nothing.
    unsafe { zend::zend_parse_parameters(zend::argument_count(call), c"".as_ptr()) == SUCCESS }
}

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
    match zend::argument_count(call) {
        // As many as there may be, of any type: there is nothing to parse.
        1 => Some((zend::argument(call, 0), None)),
        2 => Some((zend::argument(call, 0), zend::argument(call, 1))),
        count => {
            let (mut order, mut trade): (*mut zval, *mut zval) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: `z` takes a pointer to a value.
            unsafe { zend::zend_parse_parameters(count, c"z|z".as_ptr(), &raw mut order, &raw mut trade) };
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
            zend::zend_parse_parameters(
                zend::argument_count(call),
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

pub fn class_of(state: *const State) -> &'static str {
    // SAFETY: the caller holds the object.
    if unsafe { (*state).is_sync } {
        "SyncWriteBuffer"
    } else {
        "WriteBuffer"
    }
}

pub fn table_named(state: *mut State, name: Option<&[u8]>) -> Result<TableId> {
    let name = table_name(name)?;
    // SAFETY: no user code runs in this call.
    unsafe { &mut *state }
        .buffer
        .with_catalog(|catalog| catalog.table(name))
}

fn table_name(name: Option<&[u8]>) -> Result<&str> {
    let name = name.unwrap_or_default();
    std::str::from_utf8(name)
        .map_err(|_| Error::config(format!("\"{}\" is no table name: it is not UTF-8", name.escape_ascii())))
}

pub fn convert(
    state: *mut State,
    group: &mut Group,
    value: &Zval,
    table: TableId,
    parameter: &'static str,
    allow_null: bool,
) -> Result<(), Refused> {
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
fn take_group(state: *mut State, method: &str, gather: impl FnOnce(&mut Group) -> Result<(), Refused>) {
    // SAFETY: no user code runs in this call. A gathering further up the stack has taken the scratch memory already.
    let mut group = unsafe { (*state).take_scratch() };
    let generation = fork::fork_generation();
    match gather(&mut group) {
        Err(refused) => throw_refused(&refused, &format!("{}::{method}", class_of(state))),
        Ok(()) => {
            // SAFETY: `$this` is held by the call, so the state lives until it returns.
            if let Err(failed) = unsafe { state::add(state, group, generation) } {
                // SAFETY: as above; no user code runs in this call.
                throw_flush(&failed, unsafe { (*state).kept_rows() });
            }
        }
    }
}

/// `Buffer::find()`
pub extern "C" fn find(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        let mut table = Text::NULL;
        let mut key: *mut zval = ptr::null_mut();
        // SAFETY: `s` takes a pointer and a length, `z` a pointer to a value.
        let parsed = unsafe {
            zend::zend_parse_parameters(
                zend::argument_count(call),
                c"sz".as_ptr(),
                &raw mut table.start,
                &raw mut table.length,
                &raw mut key,
            )
        };
        // SAFETY: the arguments of a call live as long as it does.
        let Some(key) = (unsafe { key.as_ref() }).filter(|_| parsed == SUCCESS) else {
            return;
        };
        let Some(key) = key_of(key.dereference()) else {
            let message = format!(
                "{}::find(): Argument #2 ($key) must be an int or a string, or for a composite key an array of these",
                class_of(state)
            );
            throw_class(ce::type_error(), &message, 0);
            return;
        };
        // SAFETY: no user code runs in this call.
        let found = table_name(table.get()).and_then(|table| unsafe { (*state).buffer.find(table, &key) });
        match found {
            Err(error) => throw(&error, 0),
            Ok(None) => result.set_null(),
            Ok(Some(row)) => *result = export::row(&row),
        }
    });
}

type KeyPart<'a> = (Option<Box<str>>, Value<'a>);

/// The parts of a key, each with its column's name where it has one.
fn key_of(key: &Zval) -> Option<Vec<KeyPart<'_>>> {
    let Some(array) = key.array() else {
        return Some(vec![(None, key_value(key)?)]);
    };
    let mut parts = Vec::with_capacity(array.len());
    let mut elements = array.iter();
    while let Some((name, value)) = elements.next_zval() {
        let name = match name.zend_str() {
            Some(name) => Some(std::str::from_utf8(name.as_bytes()).ok()?.into()),
            None => None,
        };
        parts.push((name, key_value(value.dereference())?));
    }
    Some(parts)
}

fn key_value(value: &Zval) -> Option<Value<'_>> {
    if let Some(number) = value.long() {
        return Some(Value::Int(number));
    }
    value.zend_str().map(|text| Value::bytes(text.as_bytes()))
}

/// An exception is pending.
struct Thrown;

/// A method's one argument, a time in milliseconds or null.
fn timeout(call: &ExecuteData, method: &str) -> Result<Option<Duration>, Thrown> {
    let mut timeout = Int::NULL;
    // SAFETY: `l!` takes a number and whether it is null.
    let parsed = unsafe {
        zend::zend_parse_parameters(
            zend::argument_count(call),
            c"|l!".as_ptr(),
            &raw mut timeout.value,
            &raw mut timeout.is_null,
        )
    };
    if parsed != SUCCESS {
        return Err(Thrown);
    }
    match timeout.get().map(u64::try_from) {
        None => Ok(None),
        Some(Ok(milliseconds)) => Ok(Some(Duration::from_millis(milliseconds))),
        Some(Err(_)) => {
            let message = format!("{method}(): Argument #1 ($timeoutMs) must be 0 or more");
            throw_class(ce::value_error(), &message, 0);
            Err(Thrown)
        }
    }
}

/// `Buffer::flush()`
pub extern "C" fn flush(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        let Ok(timeout) = timeout(call, &format!("{}::flush", class_of(state))) else {
            return;
        };
        // SAFETY: `$this` is held by the call, so the state lives until it returns.
        match unsafe { state::flush(state, timeout) } {
            Ok(rows) => *result = export::int(rows),
            // SAFETY: as above; no user code runs in this call.
            Err(failed) => throw_flush(&failed, unsafe { (*state).kept_rows() }),
        }
    });
}

/// `Buffer::close()`
pub extern "C" fn close(call: &mut ExecuteData, _result: &mut Zval) {
    with_state(call, |call, state| {
        let Ok(timeout) = timeout(call, &format!("{}::close", class_of(state))) else {
            return;
        };
        // SAFETY: `$this` is held by the call, so the state lives until it returns.
        if let Err(failed) = unsafe { state::close(state, timeout) } {
            // SAFETY: as above; no user code runs in this call.
            throw_flush(&failed, unsafe { (*state).kept_rows() });
        }
    });
}

/// `Buffer::isFull()`
pub extern "C" fn is_full(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        if no_arguments(call) {
            // SAFETY: no user code runs in this call.
            let state = unsafe { &*state };
            result.set_bool(state.buffer.is_full());
        }
    });
}

/// `Buffer::getMetrics()`
pub extern "C" fn get_metrics(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        if no_arguments(call) {
            // SAFETY: no user code runs in this call.
            *result = export::metrics(&unsafe { &*state }.buffer.snapshot());
        }
    });
}

/// `Buffer::count()`
pub extern "C" fn count(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        if no_arguments(call) {
            // SAFETY: no user code runs in this call.
            *result = export::int(unsafe { &*state }.buffer.pending_rows());
        }
    });
}

/// `Buffer::takeFailures()`
pub extern "C" fn take_failures(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        if no_arguments(call) {
            // SAFETY: no user code runs in this call.
            let failures = unsafe { (*state).buffer.take_failures() };
            *result = export::failures(&failures);
        }
    });
}

/// `__debugInfo()`
pub extern "C" fn debug_info(call: &mut ExecuteData, result: &mut Zval) {
    with_state(call, |call, state| {
        if !no_arguments(call) {
            return;
        }
        // SAFETY: no user code runs in this call.
        let state = unsafe { &*state };
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
                .with("background", export::boolean(state.flusher != Flusher::Foreground));
            if state.flusher != Flusher::Foreground {
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
            if let Flusher::Persistent(name) = &state.flusher {
                info = info.with("persistent", export::string(name));
            }
        }
        *result = info
            .with("closed", export::boolean(state.is_closed))
            .with("metrics", export::metrics(&state.buffer.snapshot()))
            .build();
    });
}

/// `FlushException::getFailures()`
pub extern "C" fn get_failures(call: &mut ExecuteData, result: &mut Zval) {
    run_handler(AssertUnwindSafe(|| {
        if !no_arguments(call) {
            return;
        }
        let Some(object) = call.get_self() else { return };
        let failures = zend::property(Classes::get().flush, ptr::from_mut(object), "failures");
        *result = match failures {
            Some(failures) if failures.is_array() => failures,
            _ => ArrayBuilder::new().build(),
        };
    }));
}
