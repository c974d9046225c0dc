//! The machine's own file system.
//!
//! Invariants: what is made here is its owner's alone, from its first moment; no link is followed
//! in the last part of a path; no descriptor is one of the standard ones, which `echo` would write
//! to, and none is inherited by a program that is started.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Advice, CWD, FallocateFlags, Mode, OFlags, fadvise, fallocate, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};

use super::descriptor::beyond_standard;
use super::lock::{self, DiskLock};
use super::mapping::DiskMapping;
use super::{BootId, File, Files, Holder, Locked, Ownership};

/// Only the owner may enter.
const FOLDER_MODE: u32 = 0o700;
/// Write permission for the group and for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Written where a file system cannot take room without.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

/// A file on it.
#[derive(Debug)]
pub struct DiskFile(fs::File);

fn open(path: &Path, flags: OFlags) -> io::Result<DiskFile> {
    let always = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = openat(CWD, path, flags | always, Mode::RUSR | Mode::WUSR)?;
    let file = fs::File::from(beyond_standard(fd)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(DiskFile(file))
}

impl Files for Disk {
    type File = DiskFile;
    type Lock = DiskLock;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(FOLDER_MODE).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        open(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        open(path, OFlags::RDONLY)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<DiskFile> {
        open(path, OFlags::RDWR)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let found = fs::symlink_metadata(path)?;
        Ok(if !found.is_dir() {
            Ownership::NoFolder
        } else if found.uid() != geteuid().as_raw() {
            Ownership::OfUser(found.uid())
        } else if found.mode() & WRITABLE_BY_OTHERS != 0 {
            Ownership::Writable
        } else {
            Ownership::Own
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::File::from(openat(CWD, path, flags, Mode::empty())?).sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Locked<DiskLock>> {
        lock::lock(path)
    }

    fn holder(&self, path: &Path) -> io::Result<Option<Holder>> {
        lock::holder(path)
    }

    fn boot_id(&self) -> io::Result<BootId> {
        let text = fs::read_to_string(BOOT_ID)?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let number = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
        Ok(number.to_be_bytes())
    }

    fn salt(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let read = getrandom(&mut bytes, GetRandomFlags::empty())?;
        if read != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn now_unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl File for DiskFile {
    type Mapping = DiskMapping;

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        loop {
            return match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&self.0, bytes),
                Err(error) => Err(error.into()),
            };
        }
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn begin_sync(&self) {
        // This advice begins to write what is to be written, and lets go what is written already.
        let _ = fadvise(&self.0, 0, None, Advice::DontNeed);
    }

    fn map(&self, bytes: usize) -> io::Result<DiskMapping> {
        DiskMapping::new(&self.0, bytes)
    }
}

fn fill(file: &fs::File, bytes: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    while at < bytes {
        let rest = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ZEROS.len());
        let zeros = ZEROS.get(..rest).unwrap_or(&ZEROS);
        file.write_all_at(zeros, at)?;
        at += zeros.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_is_made_is_its_owners() {
        let folder = TestFolder::new();
        let made = folder.path().join("made");
        Disk.make_folder(&made).expect("made");
        assert_eq!(fs::metadata(&made).expect("found").mode() & 0o777, 0o700);
        assert_eq!(Disk.ownership(&made).expect("asked"), Ownership::Own);
        let file = made.join("f");
        Disk.create(&file).expect("made");
        assert_eq!(fs::metadata(&file).expect("found").mode() & 0o777, 0o600);
        assert_eq!(Disk.ownership(&file).expect("asked"), Ownership::NoFolder);
        Disk.create(&file).expect_err("it is there");
        fs::set_permissions(&made, fs::Permissions::from_mode(0o770)).expect("a mode");
        assert_eq!(Disk.ownership(&made).expect("asked"), Ownership::Writable);
        symlink(&file, folder.path().join("link")).expect("a link");
        Disk.open(&folder.path().join("link")).expect_err("a link");
        Disk.open(&made).expect_err("a folder");
    }

    #[test]
    fn room_is_taken_with_and_without_the_systems_help() {
        let folder = TestFolder::new();
        let file = Disk.create(&folder.path().join("a")).expect("made");
        file.allocate(100_000).expect("room");
        assert_eq!(file.bytes().expect("asked"), 100_000);
        assert!(file.0.metadata().expect("found").blocks() * 512 >= 100_000);
        let other = Disk.create(&folder.path().join("b")).expect("made");
        fill(&other.0, 100_000).expect("room");
        assert_eq!(other.bytes().expect("asked"), 100_000);
    }

    #[test]
    fn a_life_of_the_machine_has_one_name() {
        assert_eq!(Disk.boot_id().expect("read"), Disk.boot_id().expect("read"));
        assert_ne!(Disk.salt().expect("random"), Disk.salt().expect("random"));
    }
}
