//! The tables behind `memory:`, which belong to a PHP thread and live until its request ends.
//!
//! A thread that forks holds their lock meanwhile, so that no flusher is amid a change of them: its
//! child finds them whole, and the lock free.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use write_buffer_core::sink::memory::{self, MemoryStore};

use crate::process::fork::{self, HeldAtFork};

thread_local! {
    static MEMORY_STORES: RefCell<BTreeMap<String, MemoryStore>> = const { RefCell::new(BTreeMap::new()) };
    /// The lock, while this thread forks.
    static FORK_LOCK: HeldAtFork<()> = const { HeldAtFork::new() };
}

/// The tables behind `memory:NAME`, which live until the request ends.
pub fn memory_store(name: &str) -> MemoryStore {
    MEMORY_STORES.with_borrow_mut(|stores| stores.entry(name.to_owned()).or_default().clone())
}

/// Forgets all tables in memory, at the end of a request.
pub fn forget_memory_stores() {
    MEMORY_STORES.with_borrow_mut(BTreeMap::clear);
}

/// Begins to keep the tables whole at forks, at module start.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        fork::call_at_fork(Some(lock_for_fork), Some(unlock_after_fork), Some(unlock_after_fork));
    });
}

/// Waits until no thread is at the tables, and keeps them so. The thread that forks is not at them
/// itself, since no user code runs while it is.
extern "C" fn lock_for_fork() {
    FORK_LOCK.with(|held| held.hold(memory::lock_stores()));
}

/// Releases the tables, in both processes.
extern "C" fn unlock_after_fork() {
    drop(FORK_LOCK.with(HeldAtFork::take));
}
