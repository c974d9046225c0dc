//! The lock of a lane's folder: it says that its owner lives, also while it is stopped.
//!
//! It is `fcntl`'s lock of a process. The kernel drops it when the process ends, however. A forked
//! child does not inherit it, so a parent that dies is dead, whatever its children do.
//!
//! That lock has two traps, and the list of what this process holds is for them:
//! - It does not hold against the process itself. So the list is asked first.
//! - It falls when the process closes *any* descriptor of the file. So a file in the list is not
//!   opened a second time.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fcntl_lock, openat};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::descriptor::beyond_standard;
use super::{Holder, Locked};

/// The files that are locked by a process: its number, the device, the file's number there.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    pid: u32,
    device: u64,
    inode: u64,
}

fn held() -> MutexGuard<'static, Vec<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the list of locks whole while the process forks. A child could wait for a thread that it
/// does not have, otherwise.
#[derive(Debug)]
pub struct ForkGuard {
    _list: MutexGuard<'static, Vec<Held>>,
}

/// Holds the list of locks until the guard is dropped. Call this in the thread that forks, right
/// before `fork()`, and drop the guard in the same thread right after it: in the parent, and in the
/// child as well. No other call of this crate may come between in that thread: it would wait for
/// the guard. Other threads wait meanwhile.
///
/// Whoever does not call `fork()` itself tells the C library by `pthread_atfork`, with
/// [`lock_for_fork`] and [`unlock_after_fork`].
pub fn hold_for_fork() -> ForkGuard {
    ForkGuard { _list: held() }
}

thread_local! {
    /// What [`lock_for_fork`] holds. It is not dropped with its thread, which needs no clean-up so.
    static HELD_FOR_FORK: Cell<Option<ManuallyDrop<ForkGuard>>> = const { Cell::new(None) };
}

/// The handler for before a fork: [`hold_for_fork`], and the guard is kept for
/// [`unlock_after_fork`].
///
/// Once in each process, before its first lane, the binding calls `pthread_atfork` with three
/// functions of its own, each of which does nothing but call one of these two:
///
/// | handler | calls |
/// |---|---|
/// | before, in the thread that forks | `lock_for_fork` |
/// | after, in the parent | `unlock_after_fork` |
/// | after, in the child | `unlock_after_fork` |
///
/// All three, or none: a lock that is never released stops each later lane, adoption and fork of
/// that process.
///
/// That is all that a fork needs. The child has neither its parent's lanes nor their locks: each
/// call on one returns [`Forked`](crate::error::Error::Forked) and waits for nobody, and dropping
/// one leaves the parent's files and lock as they are. It may open lanes of its own.
pub fn lock_for_fork() {
    HELD_FOR_FORK.set(Some(ManuallyDrop::new(hold_for_fork())));
}

/// The handler for after a fork, in the parent and in the child: see [`lock_for_fork`]. Allocates
/// nothing.
pub fn unlock_after_fork() {
    drop(HELD_FOR_FORK.take().map(ManuallyDrop::into_inner));
}

/// A lock that is ours, until it is dropped or the process ends.
#[derive(Debug)]
pub struct DiskLock {
    /// Closing it ends the lock.
    file: Option<OwnedFd>,
    held: Held,
}

impl Drop for DiskLock {
    fn drop(&mut self) {
        if self.held.pid != process::id() {
            // A child has no lock; its descriptor is a copy, and no lock is lost with it.
            return;
        }
        let mut list = held();
        self.file = None;
        list.retain(|other| *other != self.held);
    }
}

/// Locks a file, which is made if its folder is there.
///
/// # Errors
///
/// The system's.
pub fn lock(path: &Path) -> io::Result<Locked<DiskLock>> {
    let pid = process::id();
    let mut list = held();
    if let Some(holder) = own(&list, path)? {
        return Ok(Locked::Held(holder));
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(beyond_standard(file)?),
        Err(Errno::NOENT) => return Ok(Locked::Gone),
        Err(error) => return Err(error.into()),
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::AGAIN | Errno::ACCESS) => {
            return Ok(Locked::Held(asked(&file)?.unwrap_or(Holder { pid: 0 })));
        }
        Err(error) => return Err(error.into()),
    }
    // Its owner may have removed it between the two calls.
    let found = file.metadata()?;
    let is_named =
        fs::symlink_metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (found.dev(), found.ino()));
    if !is_named {
        return Ok(Locked::Gone);
    }
    let held = Held {
        pid,
        device: found.dev(),
        inode: found.ino(),
    };
    list.push(held);
    Ok(Locked::Taken(DiskLock {
        file: Some(file.into()),
        held,
    }))
}

/// Who has the lock of a file.
///
/// # Errors
///
/// The system's.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let list = held();
    if let Some(holder) = own(&list, path)? {
        return Ok(Some(holder));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => asked(&File::from(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether this process has the lock. The file is not opened for that.
fn own(list: &[Held], path: &Path) -> io::Result<Option<Holder>> {
    let pid = process::id();
    match fs::symlink_metadata(path) {
        Ok(found) => {
            let wanted = Held {
                pid,
                device: found.dev(),
                inode: found.ino(),
            };
            Ok(list.contains(&wanted).then_some(Holder { pid }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn asked(file: &File) -> io::Result<Option<Holder>> {
    let found = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?;
    Ok(found.map(|lock| Holder {
        pid: lock.pid.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    fn taken(path: &Path) -> DiskLock {
        match lock(path).expect("asked") {
            Locked::Taken(lock) => lock,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lock_holds_against_its_own_process_and_survives_being_asked_for() {
        let folder = TestFolder::new();
        let path = folder.path().join("lock");
        assert_eq!(holder(&path).expect("asked"), None);
        let first = taken(&path);
        let us = Holder { pid: process::id() };
        assert!(matches!(lock(&path).expect("asked"), Locked::Held(holder) if holder == us));
        assert_eq!(holder(&path).expect("asked"), Some(us));
        drop(first);
        assert_eq!(holder(&path).expect("asked"), None);
        drop(taken(&path));
    }

    #[test]
    fn nothing_is_locked_where_nothing_is() {
        let folder = TestFolder::new();
        let path = folder.path().join("gone").join("lock");
        assert!(matches!(lock(&path).expect("asked"), Locked::Gone));
        assert_eq!(holder(&path).expect("asked"), None);
    }
}
