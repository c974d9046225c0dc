//! Which socket a connection has: whoever forks closes a child's copy of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// What tells a file from all others that are open: a number may become another file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// The file descriptor of a sink's connection, for a forked child, which must close its copy
/// without sending anything.
#[derive(Debug, Clone)]
pub struct Descriptor(Arc<Shared>);

/// Without a lock: a fork may come amid a change, and its child reads what is there.
#[derive(Debug)]
struct Shared {
    fd: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Descriptor {
    const NONE: i32 = -1;

    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            fd: AtomicI32::new(Self::NONE),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }))
    }

    /// Remembers a connection's descriptor, and which file it is.
    pub(super) fn set(&self, fd: i32, file: FileIdentity) {
        self.0.fd.store(Self::NONE, Ordering::SeqCst);
        self.0.device.store(file.device, Ordering::SeqCst);
        self.0.inode.store(file.inode, Ordering::SeqCst);
        self.0.fd.store(fd, Ordering::SeqCst);
    }

    /// Whether anybody else refers to it: the sink whose connection it is.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The descriptor, and which file it is, if there is a connection. It is forgotten with this.
    pub fn take(&self) -> Option<(i32, FileIdentity)> {
        let fd = self.0.fd.swap(Self::NONE, Ordering::SeqCst);
        let file = FileIdentity {
            device: self.0.device.load(Ordering::SeqCst),
            inode: self.0.inode.load(Ordering::SeqCst),
        };
        (fd != Self::NONE).then_some((fd, file))
    }
}
