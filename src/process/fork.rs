//! Forks: noticing them, and what has to be in order while one happens.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::buffer::persistent;

/// Counts the forks that led to this process. Comparing it costs a load, where `getpid()` is a system call.
static FORK_GENERATION: AtomicU64 = AtomicU64::new(0);

extern "C" fn before_fork() {
    persistent::lock_for_fork();
}

extern "C" fn after_fork_in_parent() {
    persistent::unlock_after_fork();
}

extern "C" fn after_fork_in_child() {
    persistent::unlock_after_fork();
    FORK_GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Asks the C library to tell of forks. The library stays mapped (`-z nodelete`), so the handler is never left behind.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: in the child the handlers add to an atomic number and release a lock that its own thread holds, which a
        // forked child may do.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child)) };
    });
}

/// A number that differs between a process and its forked children.
pub fn fork_generation() -> u64 {
    FORK_GENERATION.load(Ordering::Relaxed)
}
