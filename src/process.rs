//! What belongs to the process and the PHP thread: forks, and the tables behind `memory:`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use write_buffer_core::sink::memory::MemoryStore;
use write_buffer_core::sink::mysql::socket::Descriptor;

use crate::persistent;

/// Counts the forks that led to this process. Comparing it costs a load, where `getpid()` is a system call.
static FORK_GENERATION: AtomicU64 = AtomicU64::new(0);

extern "C" fn before_fork() {
    persistent::hold();
}

extern "C" fn after_fork_in_parent() {
    persistent::release();
}

extern "C" fn after_fork_in_child() {
    persistent::release();
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

/// Starts the flusher's thread. It gets no signal but those of its own faults: all others belong to PHP's thread, whose
/// handlers must not run elsewhere.
pub fn spawn_flusher(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    /// Room for TLS and for statements; the rows themselves are on the heap.
    const STACK_BYTES: usize = 1024 * 1024;
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are filled before they are read. A new thread inherits the mask of the one that makes it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for fault in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
        ] {
            libc::sigdelset(all.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let started = std::thread::Builder::new()
        .name("write_buffer".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(body);
    // SAFETY: filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started.map(drop)
}

/// Closes a forked child's copies of its parent's connections, without a word to the other side.
pub fn close_descriptors(descriptors: &[Descriptor]) {
    for fd in descriptors.iter().filter_map(Descriptor::take) {
        // SAFETY: the connection that owned the descriptor was forgotten, so nobody closes it a second time.
        unsafe { libc::close(fd) };
    }
}
