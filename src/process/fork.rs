//! Forks: noticing them, and being told of them.
//!
//! The library stays mapped (`-z nodelete`), so a handler is never left behind.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, Once};

/// Counts the forks that led to this process. To compare it costs a load; `getpid()` is a system
/// call.
static FORK_GENERATION: AtomicU64 = AtomicU64::new(0);

/// A number that differs between a process and its forked children.
pub fn fork_generation() -> u64 {
    FORK_GENERATION.load(Ordering::Relaxed)
}

/// Begins to count, at module start.
pub fn watch() {
    extern "C" fn count_fork() {
        FORK_GENERATION.fetch_add(1, Ordering::Relaxed);
    }
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| call_at_fork(None, None, Some(count_fork)));
}

type Handler = extern "C" fn();

/// Asks the C library to call functions at each fork: before it, and after it in the parent and in
/// the child. In the child they do what a signal's handler may do, or release a lock that the
/// thread which forked holds, and nothing else.
pub fn call_at_fork(before: Option<Handler>, in_parent: Option<Handler>, in_child: Option<Handler>) {
    let plain = |handler: Option<Handler>| handler.map(|handler| handler as unsafe extern "C" fn());
    // SAFETY: the functions live as long as the process, and keep to the rule above.
    unsafe { libc::pthread_atfork(plain(before), plain(in_parent), plain(in_child)) };
}

/// A lock that a thread holds while it forks, in a `thread_local!`. So no other thread is amid a
/// change of what the lock guards, and the child finds that whole. Nothing of it is dropped, so a
/// thread needs no clean-up for it.
pub struct HeldAtFork<T: 'static>(Cell<Option<ManuallyDrop<MutexGuard<'static, T>>>>);

impl<T> HeldAtFork<T> {
    /// Nothing is held.
    pub const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Holds the lock from now on.
    pub fn hold(&self, lock: MutexGuard<'static, T>) {
        self.0.set(Some(ManuallyDrop::new(lock)));
    }

    /// The lock, which is held no longer. In the parent and in the child.
    pub fn take(&self) -> Option<MutexGuard<'static, T>> {
        self.0.take().map(ManuallyDrop::into_inner)
    }
}
