//! Reads a file whose name comes from a user: whatever is there, it neither waits nor takes memory
//! without a bound.
//!
//! Invariants, checked on the open descriptor:
//! - Only a regular file is read. A FIFO, a device or a socket is refused, and opening one does not
//!   wait.
//! - A file that is longer than the bound is refused, also if it grows while it is read.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Reads a file of at most `bytes_max` bytes. Links are followed.
///
/// # Errors
///
/// The system's; what is no regular file; a file that is too long.
pub fn read(path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NXIO | Errno::NODEV => no_file(),
        other => other.into(),
    })?;
    let file = File::from(file);
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !kind.is_file() {
        return Err(no_file());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn no_file() -> io::Error {
    io::Error::other("it is no file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FileType, mknodat};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("write-buffer-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        folder
    }

    fn read_at(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
        read(path.to_str().expect("UTF-8"), bytes_max).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_file_is_refused_without_a_wait() {
        let folder = folder("bounded-kinds");
        let fifo = folder.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        symlink(&fifo, folder.join("to-fifo")).expect("a link");
        let socket = folder.join("socket");
        drop(UnixListener::bind(&socket).expect("a socket"));
        let others = ["/dev/zero", "/dev/null", "/dev/tty"].map(PathBuf::from);
        for path in [fifo, folder.join("to-fifo"), socket].iter().chain(&others) {
            let refused = read_at(path, 10).expect_err("no file");
            // A process without a terminal has no /dev/tty.
            let is_told = refused == "it is no file" || path.ends_with("tty");
            assert!(is_told, "{path:?}: {refused}");
        }
        let refused = read_at(&folder, 10).expect_err("a folder");
        assert!(refused.starts_with("Is a directory"), "{refused}");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_file_is_read_up_to_the_bound() {
        let folder = folder("bounded-sizes");
        let path = folder.join("f");
        for (length, is_read) in [(0, true), (9, true), (10, true), (11, false), (1_000_000, false)] {
            fs::write(&path, vec![b'x'; length]).expect("written");
            let read = read_at(&path, 10);
            if is_read {
                assert_eq!(read, Ok(vec![b'x'; length]), "{length}");
            } else {
                assert_eq!(read, Err("it is longer than 10 bytes".to_owned()), "{length}");
            }
        }
        symlink(&path, folder.join("link")).expect("a link");
        fs::write(&path, "PEM").expect("written");
        assert_eq!(read_at(&folder.join("link"), 10), Ok(b"PEM".to_vec()));
        fs::remove_dir_all(folder).expect("removed");
    }
}
