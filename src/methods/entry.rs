//! Where each method of a buffer begins: panics are caught, the buffer of `$this` is found, and a
//! fork is noticed.

use ext_php_rs::zend::{ExecuteData, ce};

use crate::buffer::object::Handle;
use crate::buffer::state::State;
use crate::zend::bailout;
use crate::zend::messages::{PendingException, throw};

/// Runs a method's body with the buffer of `$this`.
pub fn with_buffer(
    call: &mut ExecuteData,
    body: impl FnOnce(&ExecuteData, Handle<'_>) -> Result<(), PendingException>,
) {
    bailout::run(|| {
        let Some(buffer) = Handle::of(call) else {
            let message = "the buffer is not constructed: its constructor has not run, or threw";
            throw(ce::error(), message, 0);
            return;
        };
        buffer.with(State::notice_fork);
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = body(call, buffer);
    });
}

/// How many rows an exception says to be still buffered.
pub fn kept_rows(buffer: Handle<'_>) -> usize {
    buffer.with(|state| state.kept_rows())
}
