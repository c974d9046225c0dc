//! The sockets that a sink has: whoever forks closes a child's copies of them.
//!
//! Invariant: a socket is listed from the moment in which it is made until it is closed. So a child
//! finds also that one which its parent was connecting, or over which it was authenticating.
//!
//! Bound: a sink has at most [`SOCKETS_MAX`] sockets at once.

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::descriptor::beyond_standard;

/// The one in use, the one that is being connected, and one to a server that takes no writes, kept
/// for the case that there is no other.
const SOCKETS_MAX: usize = 3;
/// The descriptor of no file.
const NONE: i32 = -1;

static OPENING: Mutex<()> = Mutex::new(());

/// No thread is between making a socket and listing it while this is held: a thread that forks
/// holds it meanwhile. No other lock is taken under it.
pub fn hold_opening() -> MutexGuard<'static, ()> {
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells a file from all others that are open: a number may become another file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// The list of a sink's sockets, for a forked child, which must close its copies without sending
/// anything.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Arc<[Slot; SOCKETS_MAX]>);

/// A place in the list. Without a lock: a child reads what was there when its parent forked.
#[derive(Debug)]
struct Slot {
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            fd: AtomicI32::new(NONE),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }
    }
}

impl Sockets {
    /// Makes a socket, and lists it.
    ///
    /// # Errors
    ///
    /// That of `make`; more sockets than there is room for.
    pub(super) fn open(&self, make: impl FnOnce() -> rustix::io::Result<OwnedFd>) -> Result<ListedSocket> {
        let opening = hold_opening();
        let Some(index) = self.0.iter().position(|slot| slot.fd.load(Ordering::SeqCst) == NONE) else {
            return Err(Error::other("a sink has more connections than it may"));
        };
        let fd = beyond_standard(make()?)?;
        let status = rustix::fs::fstat(&fd)?;
        if let Some(slot) = self.0.get(index) {
            slot.device.store(status.st_dev, Ordering::SeqCst);
            slot.inode.store(status.st_ino, Ordering::SeqCst);
            slot.fd.store(fd.as_raw_fd(), Ordering::SeqCst);
        }
        drop(opening);
        let place = Place {
            sockets: self.clone(),
            index,
        };
        Ok(ListedSocket { fd, _place: place })
    }

    /// Whether anybody else refers to the list: the sink whose sockets these are.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The descriptors, and which file each one is. They are forgotten with this.
    pub fn take(&self) -> impl Iterator<Item = (i32, FileIdentity)> {
        self.0.iter().filter_map(|slot| {
            let fd = slot.fd.swap(NONE, Ordering::SeqCst);
            let file = FileIdentity {
                device: slot.device.load(Ordering::SeqCst),
                inode: slot.inode.load(Ordering::SeqCst),
            };
            (fd != NONE).then_some((fd, file))
        })
    }
}

/// An open socket. It leaves the list after it is closed: a child that finds it in between sees
/// that its number is nobody's, or another file's.
#[derive(Debug)]
pub(super) struct ListedSocket {
    fd: OwnedFd,
    _place: Place,
}

impl AsFd for ListedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A socket's place in its list.
#[derive(Debug)]
struct Place {
    sockets: Sockets,
    index: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = self.sockets.0.get(self.index) {
            slot.fd.store(NONE, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, socket};

    fn open(sockets: &Sockets) -> Result<ListedSocket> {
        sockets.open(|| socket(AddressFamily::UNIX, SocketType::STREAM, None))
    }

    fn descriptors(sockets: &Sockets) -> Vec<i32> {
        let listed = sockets.0.iter().map(|slot| slot.fd.load(Ordering::SeqCst));
        listed.filter(|fd| *fd != NONE).collect()
    }

    #[test]
    fn a_socket_is_listed_while_it_is_open() {
        let sockets = Sockets::default();
        assert!(!sockets.is_in_use());
        let first = open(&sockets).expect("a socket");
        let second = open(&sockets).expect("another one");
        assert!(sockets.is_in_use());
        assert_eq!(
            descriptors(&sockets),
            [first.as_fd().as_raw_fd(), second.as_fd().as_raw_fd()]
        );
        let last = open(&sockets).expect("a third one");
        open(&sockets).expect_err("a fourth one");
        drop(last);
        drop(first);
        assert_eq!(descriptors(&sockets), [second.as_fd().as_raw_fd()]);
        let third = open(&sockets).expect("in the first one's place");
        let status = rustix::fs::fstat(&third).expect("its identity");
        let file = FileIdentity {
            device: status.st_dev,
            inode: status.st_ino,
        };
        let taken: Vec<_> = sockets.take().collect();
        assert!(taken.contains(&(third.as_fd().as_raw_fd(), file)), "{taken:?}");
        assert!(descriptors(&sockets).is_empty(), "they are forgotten");
        drop((second, third));
        assert!(!sockets.is_in_use());
    }

    #[test]
    fn what_could_not_be_made_is_not_listed() {
        let sockets = Sockets::default();
        sockets.open(|| Err(rustix::io::Errno::MFILE)).expect_err("no socket");
        assert!(descriptors(&sockets).is_empty());
        assert!(!sockets.is_in_use());
    }
}
