//! The sockets of all connections of this process: a forked child's copies are closed as it begins.
//!
//! While a child had a copy, the session of a parent that is killed would live on, with the locks
//! of its rows. The engine, which has no `unsafe`, cannot close what a connection in the child's
//! memory still owns.
//!
//! A thread that forks holds the list meanwhile, so its child finds it whole. No other lock is
//! taken under that of the list. So it is the last that a fork waits for: its handler is the first
//! to be registered.
//!
//! Bound: one entry a connection. Those of connections that are gone leave when others come.

use std::io::{Error, Result};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use write_buffer_core::sink::mysql::socket::{Descriptor, FileIdentity};

use crate::process::fork::{self, HeldAtFork};

static DESCRIPTORS: Mutex<Vec<Descriptor>> = Mutex::new(Vec::new());

thread_local! {
    /// The lock, while this thread forks.
    static FORK_LOCK: HeldAtFork<Vec<Descriptor>> = const { HeldAtFork::new() };
}

fn lock() -> MutexGuard<'static, Vec<Descriptor>> {
    DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to a sink's connections from now on.
pub fn close_in_children(descriptor: Descriptor) {
    let mut descriptors = lock();
    descriptors.retain(Descriptor::is_in_use);
    descriptors.push(descriptor);
}

/// Begins to close children's copies, at module start, before other handlers are registered.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        fork::call_at_fork(Some(lock_for_fork), Some(unlock_after_fork), Some(close_in_child));
    });
}

/// Waits until no other thread is at the list. The thread that forks is not at it itself, since no
/// user code runs while it is.
extern "C" fn lock_for_fork() {
    FORK_LOCK.with(|held| held.hold(lock()));
}

extern "C" fn unlock_after_fork() {
    drop(FORK_LOCK.with(HeldAtFork::take));
}

/// Closes the child's copies, without a word to the other side. Allocates and frees nothing.
extern "C" fn close_in_child() {
    if let Some(descriptors) = FORK_LOCK.with(HeldAtFork::take) {
        for (fd, connection) in descriptors.iter().filter_map(Descriptor::take) {
            // Another thread may have been amid opening or closing it.
            if file(fd).is_ok_and(|now| now == connection) {
                // SAFETY: the connection that owns the descriptor is the parent's. This process
                // forgets it, so nobody closes it again.
                unsafe { libc::close(fd) };
            }
        }
    }
}

/// Which file is behind a descriptor. An error if none is.
fn file(fd: i32) -> Result<FileIdentity> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call fills the status, unless it fails.
    unsafe {
        if libc::fstat(fd, status.as_mut_ptr()) != 0 {
            return Err(Error::last_os_error());
        }
        let status = status.assume_init();
        Ok(FileIdentity {
            device: status.st_dev,
            inode: status.st_ino,
        })
    }
}
