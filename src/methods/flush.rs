//! `Buffer::flush()` and `Buffer::close()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::buffer::state;
use crate::exceptions::throw_flush;
use crate::export;
use crate::methods::arguments::timeout;
use crate::methods::entry::{class_of, with_state};

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
