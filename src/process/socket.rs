//! The sockets of all connections of this process: a forked child's copies are closed as it begins.
//!
//! While a child had a copy, the session of a parent that is killed would live on, with the locks
//! of its rows. The engine, which has no `unsafe`, cannot close what a connection in the child's
//! memory still owns.
//!
//! A thread that forks holds the list meanwhile, so its child finds it whole. It also holds the
//! lock under which sockets are made, so each one is in the list, also one that is being connected.
//! No other lock is taken under these two. So they are the last that a fork waits for: their
//! handler is the first to be registered.
//!
//! Bound: one entry a sink. Those of sinks that are gone leave when others come.

use std::io::{Error, Result};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use write_buffer_core::sink::mysql::socket::{FileIdentity, Sockets, hold_opening};

use crate::process::fork::{self, HeldAtFork};

static SINKS: Mutex<Vec<Sockets>> = Mutex::new(Vec::new());

thread_local! {
    /// The lock of the list, while this thread forks.
    static LIST: HeldAtFork<Vec<Sockets>> = const { HeldAtFork::new() };
    /// The lock under which sockets are made, while this thread forks.
    static OPENING: HeldAtFork<()> = const { HeldAtFork::new() };
}

fn lock() -> MutexGuard<'static, Vec<Sockets>> {
    SINKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to a sink's connections from now on.
pub fn close_in_children(sockets: Sockets) {
    let mut sinks = lock();
    sinks.retain(Sockets::is_in_use);
    sinks.push(sockets);
}

/// Begins to close children's copies, at module start, before other handlers are registered.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        fork::call_at_fork(Some(lock_for_fork), Some(unlock_after_fork), Some(close_in_child));
    });
}

/// Waits until no other thread is at the list, and none makes a socket. The thread that forks is
/// not at these itself, since no user code runs while it is.
extern "C" fn lock_for_fork() {
    LIST.with(|held| held.hold(lock()));
    OPENING.with(|held| held.hold(hold_opening()));
}

extern "C" fn unlock_after_fork() {
    drop(OPENING.with(HeldAtFork::take));
    drop(LIST.with(HeldAtFork::take));
}

/// Closes the child's copies, without a word to the other side. Allocates and frees nothing.
extern "C" fn close_in_child() {
    drop(OPENING.with(HeldAtFork::take));
    if let Some(sinks) = LIST.with(HeldAtFork::take) {
        for (fd, socket) in sinks.iter().flat_map(Sockets::take) {
            // Another thread may have been amid closing it.
            if file(fd).is_ok_and(|now| now == socket) {
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
