//! What the engine asks of a socket, and cannot do by itself: it has no `unsafe`.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use write_buffer_core::sink::mysql::socket::{Descriptor, FileIdentity, SocketHooks};

/// What the engine calls.
pub const HOOKS: SocketHooks = SocketHooks {
    set_timeouts,
    send,
    receive,
    file,
};

fn set_timeouts(fd: i32, read: Duration, write: Duration) -> Result<()> {
    for (option, timeout) in [(libc::SO_RCVTIMEO, read), (libc::SO_SNDTIMEO, write)] {
        let timeout = libc::timeval {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            // Zero would mean to wait without end.
            tv_usec: i64::from(timeout.subsec_micros()).max(1),
        };
        // SAFETY: the descriptor is that of a living connection; the option's value is read during
        // the call.
        let result = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                option,
                (&raw const timeout).cast(),
                libc::socklen_t::try_from(size_of_val(&timeout)).unwrap_or_default(),
            )
        };
        if result != 0 {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

/// Sends some bytes, and returns how many. A peer that has gone is an error, and no SIGPIPE.
fn send(fd: i32, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the descriptor is that of a living connection; the bytes are read during the call.
    repeat_when_interrupted(|| unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) })
}

/// Receives some bytes, and returns how many.
fn receive(fd: i32, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: the descriptor is that of a living connection; the bytes are written during the call.
    repeat_when_interrupted(|| unsafe { libc::recv(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0) })
}

fn repeat_when_interrupted(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(bytes) => return Ok(bytes),
            Err(_) => {
                let error = Error::last_os_error();
                if error.kind() != ErrorKind::Interrupted {
                    return Err(error);
                }
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

/// Closes a forked child's copies of its parent's connections, without a word to the other side.
/// The child may have closed one itself, and opened another file under its number: that one stays.
pub fn close_descriptors(descriptors: &[Descriptor]) {
    for (fd, connection) in descriptors.iter().filter_map(Descriptor::take) {
        if file(fd).is_ok_and(|now| now == connection) {
            // SAFETY: the connection that owned the descriptor was forgotten, so nobody closes it
            // again.
            unsafe { libc::close(fd) };
        }
    }
}
