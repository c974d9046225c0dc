//! What PHP wants of its thread while a method of ours waits: handlers of signals, and the end of
//! the request's time.

use std::ptr;

use ext_php_rs::ffi;

use crate::zend::bailout;

unsafe extern "C" {
    fn zend_timeout();
}

/// Whether PHP wants its thread: for a signal's handler, or because the request's time is over.
pub fn interrupt_is_pending() -> bool {
    // SAFETY: the executor's globals live as long as PHP's thread; a signal's handler may set the
    // flag at any time.
    unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        #[cfg(php82)]
        let flag = &raw const (*globals).vm_interrupt.value;
        #[cfg(not(php82))]
        let flag = &raw const (*globals).vm_interrupt;
        ptr::read_volatile(flag.cast::<u8>()) != 0
    }
}

/// Does what PHP does at an interrupt between two instructions: ends the request if its time is
/// over, and runs handlers of signals, which may throw.
///
/// User code may run in it, and may end the request: nothing of ours is borrowed or locked.
pub fn handle_interrupt() {
    // SAFETY: called on PHP's thread, inside a call of an internal function, as PHP's own check is.
    bailout::catch(|| unsafe {
        let globals = ffi::ext_php_rs_executor_globals();
        #[cfg(php82)]
        let (flag, timed_out) = (
            &raw mut (*globals).vm_interrupt.value,
            &raw const (*globals).timed_out.value,
        );
        #[cfg(not(php82))]
        let (flag, timed_out) = (&raw mut (*globals).vm_interrupt, &raw const (*globals).timed_out);
        ptr::write_volatile(flag.cast::<u8>(), 0);
        if ptr::read_volatile(timed_out.cast::<u8>()) != 0 {
            zend_timeout();
        }
        if let Some(handler) = ffi::zend_interrupt_function {
            handler((*globals).current_execute_data);
        }
    });
}
