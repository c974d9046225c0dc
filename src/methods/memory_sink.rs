//! `WriteBuffer\MemorySink`: the tables behind `memory:`.

use std::ffi::c_char;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce, run_handler};
use write_buffer_core::sink::memory::MemoryStore;

use crate::buffer::object::SUCCESS;
use crate::exceptions::throw_class;
use crate::export;
use crate::methods::arguments::bytes;
use crate::process::memory_stores;
use crate::zend::arguments;
use crate::zend::array::ArrayBuilder;

/// The store that a `$name` argument names; `None`: the arguments were wrong, and PHP has said so.
fn named_store(call: &ExecuteData) -> Option<MemoryStore> {
    let (mut name, mut length) = (std::ptr::null::<c_char>(), 0_usize);
    // SAFETY: `s` takes a pointer and a length.
    let parsed = unsafe {
        arguments::zend_parse_parameters(
            arguments::argument_count(call),
            c"|s".as_ptr(),
            &raw mut name,
            &raw mut length,
        )
    };
    (parsed == SUCCESS).then(|| store(bytes(name, length)))
}

fn store(name: Option<&[u8]>) -> MemoryStore {
    memory_stores::memory_store(&String::from_utf8_lossy(name.unwrap_or_default()))
}

/// `MemorySink::tables()`
pub extern "C" fn tables(call: &mut ExecuteData, result: &mut Zval) {
    run_handler(std::panic::AssertUnwindSafe(|| {
        let Some(store) = named_store(call) else { return };
        let mut tables = ArrayBuilder::new();
        for (name, rows) in store.tables() {
            let mut list = ArrayBuilder::new();
            for row in &rows {
                list.push(export::row(row));
            }
            tables.set(&name, list.build());
        }
        *result = tables.build();
    }));
}

/// `MemorySink::reset()`
pub extern "C" fn reset(call: &mut ExecuteData, _result: &mut Zval) {
    run_handler(std::panic::AssertUnwindSafe(|| {
        if let Some(store) = named_store(call) {
            store.reset();
        }
    }));
}

/// `MemorySink::failNext()`
pub extern "C" fn fail_next(call: &mut ExecuteData, _result: &mut Zval) {
    run_handler(std::panic::AssertUnwindSafe(|| {
        let (mut code, mut times) = (0_i64, 1_i64);
        let (mut name, mut length) = (std::ptr::null::<c_char>(), 0_usize);
        // SAFETY: `l` takes a number, `s` a pointer and a length.
        let parsed = unsafe {
            arguments::zend_parse_parameters(
                arguments::argument_count(call),
                c"l|ls".as_ptr(),
                &raw mut code,
                &raw mut times,
                &raw mut name,
                &raw mut length,
            )
        };
        if parsed != SUCCESS {
            return;
        }
        let code = u16::try_from(code).ok().filter(|code| *code > 0);
        // A bound: each one is remembered.
        let times = usize::try_from(times)
            .ok()
            .filter(|times| (1..=1_000_000).contains(times));
        match (code, times) {
            (Some(code), Some(times)) => store(bytes(name, length)).fail_next(code, times),
            (None, _) => {
                let message = "WriteBuffer\\MemorySink::failNext(): Argument #1 ($code) must be a server error code, from 1 to 65535";
                throw_class(ce::value_error(), message, 0);
            }
            (_, None) => {
                let message = "WriteBuffer\\MemorySink::failNext(): Argument #2 ($times) must be from 1 to 1000000";
                throw_class(ce::value_error(), message, 0);
            }
        }
    }));
}
