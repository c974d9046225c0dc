//! Owns the one error of the journal: what failed, where, and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// The file system refused something.
    Io {
        /// What was tried: "open", "allocate", "sync".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another segment would pass the journal's bound.
    Full {
        /// The lane's folder.
        folder: PathBuf,
        /// What it would take, in bytes.
        bytes: u64,
        /// What it may take, in bytes.
        max_bytes: u64,
    },
    /// A group that no segment can hold.
    GroupTooLarge {
        /// Its portable form, in bytes.
        bytes: usize,
    },
    /// Numbers only grow.
    NumberNotAbove {
        /// The group's number.
        number: u64,
        /// The number of the group before it.
        last: u64,
    },
    /// A folder from which records are missing, or of which not all was read: nobody goes on in it.
    NotWhole {
        /// The folder.
        folder: PathBuf,
    },
    /// A writer's name that is no name of a folder.
    WriterName(String),
    /// This process is a child of the one that opened the lane.
    Forked,
}

/// The crate's results.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Adds what was tried, and on what.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Whether there is no room: the disk, the quota or the journal's bound.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            ),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => {
                write!(formatter, "cannot {doing} {}: {source}", path.display())
            }
            Self::Full {
                folder,
                bytes,
                max_bytes,
            } => write!(
                formatter,
                "the journal {} would take {bytes} bytes and may take {max_bytes}: wait for the server, or raise journalMaxBytes",
                folder.display()
            ),
            Self::GroupTooLarge { bytes } => write!(
                formatter,
                "a group of {bytes} bytes is too large for the journal: add fewer rows at once"
            ),
            Self::NumberNotAbove { number, last } => {
                write!(formatter, "group {number} comes after group {last}: numbers only grow")
            }
            Self::NotWhole { folder } => write!(
                formatter,
                "not all of {} could be read: set it aside, and begin another folder",
                folder.display()
            ),
            Self::WriterName(name) => write!(
                formatter,
                "{name:?} is no writer's name: use 1 to 64 letters, digits, '-' and '_'"
            ),
            Self::Forked => {
                formatter.write_str("the journal belongs to the parent of this process: open one of its own")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
