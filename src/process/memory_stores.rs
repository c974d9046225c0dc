//! The tables behind `memory:`, which belong to a PHP thread and live until its request ends.

use std::cell::RefCell;
use std::collections::BTreeMap;

use write_buffer_core::sink::memory::MemoryStore;

thread_local! {
    static MEMORY_STORES: RefCell<BTreeMap<String, MemoryStore>> = const { RefCell::new(BTreeMap::new()) };
}

/// The tables behind `memory:NAME`, which live until the request ends.
pub fn memory_store(name: &str) -> MemoryStore {
    MEMORY_STORES.with_borrow_mut(|stores| stores.entry(name.to_owned()).or_default().clone())
}

/// Forgets all tables in memory, at the end of a request.
pub fn forget_memory_stores() {
    MEMORY_STORES.with_borrow_mut(BTreeMap::clear);
}
