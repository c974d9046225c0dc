//! The sockets of a forked child's parent: the engine, which has no `unsafe`, cannot close them.

use std::io::{Error, Result};

use write_buffer_core::sink::mysql::socket::{Descriptor, FileIdentity};

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
