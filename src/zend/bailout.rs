//! The end of a request amid a method of ours. At a fatal error PHP jumps to the outermost frame of
//! the request. A jump over our frames would leak what they own.
//!
//! So whatever may run PHP code runs in [`catch`], which stops the jump. Our frames then end as
//! they do at an exception, and [`run`] lets the jump go on.
//!
//! Invariant: once the request is ending, [`catch`] runs nothing more, until the jump goes on.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, resume_unwind};

use ext_php_rs::zend::{CatchError, bailout, run_handler, try_catch};

thread_local! {
    /// A jump was stopped, and has yet to go on.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the request is ending.
pub fn is_ending() -> bool {
    ENDING.get()
}

/// Runs what may run PHP code. `None`: the request is ending.
///
/// A jump skips the frames within `php`: they own nothing but PHP's memory, which PHP takes back.
pub fn catch<R>(php: impl FnOnce() -> R) -> Option<R> {
    if is_ending() {
        return None;
    }
    match try_catch(AssertUnwindSafe(php)) {
        Ok(result) => Some(result),
        Err(CatchError::Panic(message)) => resume_unwind(Box::new(message)),
        Err(_) => {
            ENDING.set(true);
            None
        }
    }
}

/// Runs a method of ours. A panic becomes an exception, and a jump that was stopped goes on.
pub fn run(method: impl FnOnce()) {
    run_handler(AssertUnwindSafe(method));
    go_on();
}

/// Lets a jump go on that was stopped. The caller owns nothing.
pub fn go_on() {
    if ENDING.replace(false) {
        // SAFETY: all frames of ours up to the entry have ended.
        unsafe { bailout() };
    }
}
