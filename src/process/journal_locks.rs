//! The list of the journals that this process has locked. A thread that forks holds it meanwhile,
//! so its child finds it whole and free, and opens journals of its own. The child has no lock of
//! its parent's, and touches no file of it.

use std::sync::Once;

use write_buffer_core::buffer::journal::{lock_for_fork, unlock_after_fork};

use crate::process::fork;

/// Begins to keep the list whole at forks, at module start, before handlers whose locks are held
/// while a journal is opened.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        fork::call_at_fork(Some(before), Some(after), Some(after));
    });
}

extern "C" fn before() {
    lock_for_fork();
}

extern "C" fn after() {
    unlock_after_fork();
}
