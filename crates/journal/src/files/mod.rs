//! What the journal asks of a file system: [`Disk`](disk::Disk) is the real one, and the tests have
//! a model that loses power.
//!
//! What is promised: a change is seen at once by everybody on the machine, and outlives the process
//! that made it. Of a power cut nothing is promised but what [`File::sync`] and
//! [`Files::sync_folder`] returned for: a file's bytes and length by the first, names by the
//! second. Whatever else was changed may be kept, lost or torn, in any order.

mod descriptor;
pub mod disk;
pub mod lock;
mod mapping;

use std::ffi::OsString;
use std::fmt::{self, Debug};
use std::io;
use std::path::Path;

/// The machine's life since it was switched on.
pub type BootId = [u8; 16];

/// A file system.
pub trait Files: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// A lock that ends with its process, at the latest.
    type Lock: Debug + Send + Sync;

    /// Makes a folder that only its owner may enter.
    ///
    /// # Errors
    ///
    /// The system's; one is there already.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// The system's; one is there already.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file to read and write it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open_to_write(&self, path: &Path) -> io::Result<Self::File>;

    /// Gives a file or folder another name, in place of what has it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Who has it open goes on.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Whose a folder is.
    ///
    /// # Errors
    ///
    /// The system's.
    fn ownership(&self, path: &Path) -> io::Result<Ownership>;

    /// Waits until the names in a folder are on the disk.
    ///
    /// # Errors
    ///
    /// The system's. Then nobody can say what is.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes a file's lock, if nobody has it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn lock(&self, path: &Path) -> io::Result<Locked<Self::Lock>>;

    /// Who has a file's lock.
    ///
    /// # Errors
    ///
    /// The system's.
    fn holder(&self, path: &Path) -> io::Result<Option<Holder>>;

    /// The machine's life.
    ///
    /// # Errors
    ///
    /// The system's.
    fn boot_id(&self) -> io::Result<BootId>;

    /// A number that nobody guesses.
    ///
    /// # Errors
    ///
    /// The system's.
    fn salt(&self) -> io::Result<u64>;

    /// Milliseconds since 1970, for people.
    fn now_unix_ms(&self) -> u64;
}

/// Whose a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// This process's user's, and nobody else may write there.
    Own,
    /// Another user's.
    OfUser(u32),
    /// Others may write there.
    Writable,
    /// No folder.
    NoFolder,
}

/// Who has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process; 0 if it is in another container.
    pub pid: u32,
}

/// What became of a try to lock.
#[derive(Debug)]
pub enum Locked<L> {
    /// It is ours.
    Taken(L),
    /// It is somebody else's, or another thread's of this process.
    Held(Holder),
    /// There is nothing to lock any more.
    Gone,
}

/// An open file.
pub trait File: Debug + Send + Sync + 'static {
    /// A part of its bytes in memory.
    type Mapping: Mapping;

    /// Its length, in bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn bytes(&self) -> io::Result<u64>;

    /// Makes it so long, and takes the room for all of it now.
    ///
    /// # Errors
    ///
    /// The system's: there is no room.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Reads as many bytes as there are, and returns how many.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of the bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until all of it is on the disk, what was written by a mapping as well.
    ///
    /// # Errors
    ///
    /// The system's. Then the file is not to be synced again: the next answer may be untrue.
    fn sync(&self) -> io::Result<()>;

    /// Has the system begin to do so, and waits for nothing. It proves nothing.
    fn begin_sync(&self) {}

    /// Maps its first bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn map(&self, bytes: usize) -> io::Result<Self::Mapping>;
}

/// A file's bytes in memory, to be written and never read: who reads uses [`File::read_at`], for
/// which a disk that fails is an error and not the end of the process.
pub trait Mapping: Debug + Send + 'static {
    /// Makes sure that these bytes can be written.
    ///
    /// # Errors
    ///
    /// The system's: there is no room, the file is shorter now, the disk failed.
    fn prepare(&mut self, at: usize, bytes: usize) -> io::Result<()>;

    /// The file begins another life: what was [prepared](Self::prepare) is to be prepared again.
    fn begin_again(&mut self) {}

    /// Writes bytes. They belong to the file at once.
    ///
    /// # Errors
    ///
    /// The range is outside of the mapping, or this process is a child of the one that made it.
    fn put(&mut self, at: usize, bytes: &[u8]) -> io::Result<()>;
}

/// The process is a child of the one that made a mapping.
#[derive(Debug)]
pub struct Forked;

impl fmt::Display for Forked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it belongs to the parent of this process")
    }
}

impl std::error::Error for Forked {}

/// Whether that was the reason.
pub fn is_forked(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Forked>)
}

/// Reads until the buffer is full or the file ends; returns how many bytes came.
///
/// # Errors
///
/// The system's.
pub fn read_full(file: &impl File, at: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let read = file.read_at(at.saturating_add(done as u64), rest)?;
        if read == 0 {
            break;
        }
        done += read;
    }
    Ok(done)
}
