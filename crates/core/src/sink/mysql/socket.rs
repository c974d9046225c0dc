//! The socket of a connection: what this crate, which has no `unsafe`, needs from its user.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// What this crate, which has no `unsafe`, cannot do to a socket by itself.
#[derive(Debug, Clone, Copy)]
pub struct SocketHooks {
    /// Sets both time-outs of the socket behind a file descriptor.
    pub set_timeouts: fn(fd: i32, read: Duration, write: Duration) -> std::io::Result<()>,
    /// Sends some bytes, and returns how many. If the peer has gone it returns an error and raises
    /// no signal.
    pub send: fn(fd: i32, bytes: &[u8]) -> std::io::Result<usize>,
    /// Receives some bytes, and returns how many. 0: the peer has ended the connection.
    pub receive: fn(fd: i32, bytes: &mut [u8]) -> std::io::Result<usize>,
}

/// The file descriptor of a sink's connection, for a forked child, which must close its copy
/// without sending anything.
#[derive(Debug, Clone)]
pub struct Descriptor(Arc<AtomicI32>);

impl Descriptor {
    const NONE: i32 = -1;

    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI32::new(Self::NONE)))
    }

    pub(super) fn set(&self, fd: i32) {
        self.0.store(fd, Ordering::SeqCst);
    }

    /// The descriptor, if there is a connection. It is forgotten with this.
    pub fn take(&self) -> Option<i32> {
        let fd = self.0.swap(Self::NONE, Ordering::SeqCst);
        (fd != Self::NONE).then_some(fd)
    }
}
