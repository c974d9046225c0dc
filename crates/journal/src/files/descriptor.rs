//! Descriptors that nobody writes to by mistake.
//!
//! A daemon may have closed its standard ones. The next file to be opened gets their numbers, and
//! `echo` would write into it.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;

/// The lowest number that is no standard one.
const FIRST: i32 = 3;

/// The same file, by a descriptor that is none of the standard ones.
///
/// # Errors
///
/// The process has no descriptor left.
pub fn beyond_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, FIRST)?)
}
