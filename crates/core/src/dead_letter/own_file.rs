//! Opens a file that belongs to this process's user, and no other, in whatever folder it is.
//!
//! Invariants, checked on the open descriptor:
//! - The file is a regular one, of this user, and no other user may write to it. One that is made
//!   here has mode 0600 from its first moment.
//! - The last part of the path is no link of somebody else's. A link of this user's or of root's is
//!   followed, and so are links further up: who may change these may replace all below.
//! - In a folder in which others may write, it has one name: nobody has linked another file there.
//! - Opening never waits, whatever is there: a FIFO or a device is refused.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::descriptor::beyond_standard;

/// Links in a row that are followed.
const LINKS_MAX: usize = 8;
/// Write permission for the group and for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// Why a file is not opened.
#[derive(Debug)]
pub enum Refusal {
    /// The system's answer.
    Io(io::Error),
    /// A directory, a device, a FIFO, a socket.
    NoFile,
    /// Another user's file or link.
    OfUser { what: &'static str, user: u32 },
    /// Others may write to it.
    Writable(u32),
    /// The file has other names too, in a folder in which others may write.
    Linked,
}

impl Refusal {
    /// Whether nothing is there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(formatter),
            Self::NoFile => formatter.write_str("it is no file"),
            Self::OfUser { what, user } => write!(
                formatter,
                "it is {what} of the user {user}, and this process is the user {}: remove it, or change its owner",
                geteuid().as_raw()
            ),
            Self::Writable(mode) => write!(
                formatter,
                "other users may write to it (mode {mode:04o}): look at what is in it, and run chmod 600"
            ),
            Self::Linked => formatter.write_str(
                "it has other names too (hard links), in a folder in which others may write: copy it, and remove the other names",
            ),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ISDIR | Errno::NXIO | Errno::NODEV => Self::NoFile,
            other => Self::Io(other.into()),
        }
    }
}

/// Opens a file for reading and appending, and makes it if it may.
///
/// # Errors
///
/// Why it is not opened.
pub fn open(path: &Path, create: bool) -> Result<File, Refusal> {
    let mut path = path.to_owned();
    for _ in 0..=LINKS_MAX {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | if create { OFlags::CREATE } else { OFlags::empty() };
        match openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                let file = File::from(beyond_standard(file)?);
                check(&file, &path)?;
                return Ok(file);
            }
            Err(Errno::LOOP) => path = own_link(&path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::LOOP.into())
}

/// Where a link leads, if it may be followed. The link is asked by a descriptor of it, so that
/// nobody exchanges it between the two questions.
pub(super) fn own_link(path: &Path) -> Result<PathBuf, Refusal> {
    let link = openat(
        CWD,
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let found = fstat(&link)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        // It was exchanged meanwhile.
        return Err(Errno::LOOP.into());
    }
    if found.st_uid != geteuid().as_raw() && found.st_uid != ROOT {
        return Err(Refusal::OfUser {
            what: "a link",
            user: found.st_uid,
        });
    }
    let target = readlinkat(&link, "", Vec::new())?;
    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
    Ok(path.parent().unwrap_or(Path::new("/")).join(target))
}

fn check(file: &File, path: &Path) -> Result<(), Refusal> {
    let found = file.metadata()?;
    let mode = found.permissions().mode();
    if !found.is_file() {
        return Err(Refusal::NoFile);
    }
    if found.uid() != geteuid().as_raw() {
        return Err(Refusal::OfUser {
            what: "a file",
            user: found.uid(),
        });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Refusal::Writable(mode & 0o7777));
    }
    if found.nlink() > 1 {
        let folder = path.parent().unwrap_or(Path::new("/")).metadata()?;
        if folder.permissions().mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(Refusal::Linked);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::test_folder as folder;
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn refusal(path: &Path) -> String {
        for create in [true, false] {
            open(path, create).expect_err("refused");
        }
        open(path, true).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_made_is_its_owners_from_the_start() {
        let folder = folder("own-new");
        let path = folder.join("f");
        assert!(open(&path, false).expect_err("none is there").is_missing());
        let made = open(&path, true).expect("made").metadata().expect("found");
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        open(&path, false).expect("it is there");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn links_of_our_own_are_followed() {
        let folder = folder("own-links");
        fs::create_dir(folder.join("shared")).expect("a folder");
        symlink("shared", folder.join("storage")).expect("a link");
        symlink("storage/f", folder.join("link")).expect("a link");
        symlink(folder.join("link"), folder.join("again")).expect("a link");
        symlink("round", folder.join("round")).expect("a link");
        open(&folder.join("again"), true).expect("made behind two links");
        assert!(folder.join("shared/f").is_file());
        open(&folder.join("round"), true).expect_err("it leads to itself");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_is_no_file_is_refused_without_a_wait() {
        let folder = folder("own-kinds");
        let fifo = folder.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
        symlink(&fifo, folder.join("to-fifo")).expect("a link");
        symlink("/dev/zero", folder.join("to-device")).expect("a link");
        let socket = folder.join("socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
        for path in [
            folder.clone(),
            fifo,
            folder.join("to-fifo"),
            folder.join("to-device"),
            socket,
        ] {
            assert_eq!(refusal(&path), "it is no file", "{path:?}");
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_others_may_write_to_is_refused() {
        let folder = folder("own-modes");
        let path = folder.join("f");
        fs::write(&path, "x\n").expect("a file");
        for (mode, is_refused) in [
            (0o600, false),
            (0o640, false),
            (0o644, false),
            (0o660, true),
            (0o606, true),
            (0o666, true),
        ] {
            set_mode(&path, mode);
            assert_eq!(open(&path, true).is_err(), is_refused, "{mode:o}");
        }
        assert!(refusal(&path).contains("(mode 0666)"));
        set_mode(&path, 0o600);
        fs::hard_link(&path, folder.join("other-name")).expect("a link");
        set_mode(&folder, 0o700);
        open(&path, true).expect("nobody else made that name");
        set_mode(&folder, 0o1777);
        assert!(refusal(&path).contains("hard links"));
        fs::remove_dir_all(folder).expect("removed");
    }

    /// Needs root, as in a container of continuous integration; others cannot give files away.
    #[test]
    fn what_is_somebody_elses_is_refused() {
        const NOBODY: u32 = 65_534;
        let folder = folder("own-owners");
        let (path, link) = (folder.join("f"), folder.join("link"));
        fs::write(&path, "x\n").expect("a file");
        set_mode(&path, 0o600);
        symlink(&path, &link).expect("a link");
        open(&link, true).expect("all is ours");
        if chown(&path, Some(NOBODY), None).is_ok() {
            assert!(refusal(&path).contains("a file of the user 65534"));
            chown(&path, Some(ROOT), None).expect("ours again");
            std::os::unix::fs::lchown(&link, Some(NOBODY), None).expect("theirs");
            assert!(refusal(&link).contains("a link of the user 65534"));
            open(&path, true).expect("the file itself is ours");
        }
        fs::remove_dir_all(folder).expect("removed");
    }
}
