//! Where each method begins.

use std::panic::AssertUnwindSafe;

use ext_php_rs::zend::{ExecuteData, ce, run_handler};

use crate::buffer::object;
use crate::buffer::state::State;
use crate::exceptions::throw_class;

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

pub fn class_of(state: *const State) -> &'static str {
    // SAFETY: the caller holds the object.
    if unsafe { (*state).is_sync } {
        "SyncWriteBuffer"
    } else {
        "WriteBuffer"
    }
}
