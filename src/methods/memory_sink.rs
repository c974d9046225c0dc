//! `WriteBuffer\MemorySink`: the tables behind `memory:`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::sink::memory::MemoryStore;

use crate::export;
use crate::process::memory_stores;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::ArrayBuilder;
use crate::zend::bailout;
use crate::zend::messages::{PendingException, throw};

/// A bound: each transaction that is to fail is remembered.
const FAILURES_MAX: usize = 1_000_000;

/// `MemorySink::__construct()`. It is private, but PDO, for one, calls it all the same.
pub extern "C" fn construct(_call: &mut ExecuteData, _result: &mut Zval) {
    bailout::run(|| {
        throw(
            ce::error(),
            "WriteBuffer\\MemorySink has no objects: call its static methods",
            0,
        );
    });
}

/// `MemorySink::tables()`
pub extern "C" fn tables(call: &mut ExecuteData, result: &mut Zval) {
    bailout::run(|| {
        let Ok(store) = named_store(call) else { return };
        let mut tables = ArrayBuilder::new();
        for (name, rows) in store.tables() {
            let mut list = ArrayBuilder::new();
            for row in &rows {
                list.push(export::row(row));
            }
            tables.set(&name, list.build());
        }
        *result = tables.build();
    });
}

/// `MemorySink::reset()`
pub extern "C" fn reset(call: &mut ExecuteData, _result: &mut Zval) {
    bailout::run(|| {
        if let Ok(store) = named_store(call) {
            store.reset();
        }
    });
}

/// `MemorySink::failNext()`
pub extern "C" fn fail_next(call: &mut ExecuteData, _result: &mut Zval) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = fail_next_transactions(call);
    });
}

fn fail_next_transactions(call: &ExecuteData) -> Result<(), PendingException> {
    let mut arguments = Arguments::of(call, 1, 3)?;
    let code = arguments.int()?.unwrap_or_default();
    let times = arguments.int()?.unwrap_or(1);
    let name = arguments.text()?;
    let code = u16::try_from(code).ok().filter(|code| *code > 0);
    let Some(code) = code else {
        return Err(refuse(
            ce::value_error(),
            1,
            "must be a server error code, from 1 to 65535",
        ));
    };
    let times = usize::try_from(times).ok();
    let Some(times) = times.filter(|times| (1..=FAILURES_MAX).contains(times)) else {
        return Err(refuse(
            ce::value_error(),
            2,
            &format!("must be from 1 to {FAILURES_MAX}"),
        ));
    };
    store(name).fail_next(code, times);
    Ok(())
}

/// The store that the one argument names.
fn named_store(call: &ExecuteData) -> Result<MemoryStore, PendingException> {
    Ok(store(Arguments::of(call, 0, 1)?.text()?))
}

fn store(name: Option<&[u8]>) -> MemoryStore {
    memory_stores::memory_store(&String::from_utf8_lossy(name.unwrap_or_default()))
}
