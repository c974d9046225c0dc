//! Maps a segment's file to write into it. The only `unsafe` of the crate.
//!
//! # Why a mapping is sound here
//!
//! - Nobody gets a reference to the mapped bytes, not even this crate: [`Mapping::put`] copies into
//!   them, and reading goes through the file. So it does not matter to the language that another
//!   process, or `read`, sees and may change the same bytes.
//! - The mapping is one lane's, behind `&mut`: no two threads write at once.
//! - **Forks.** The child does not inherit the mapping (`MADV_DONTFORK`): it would write into its
//!   parent's journal. Then other memory may come to lie at the same address. So each mapping has a
//!   page that the kernel wipes in a child (`MADV_WIPEONFORK`, Linux 4.14; before, the process's
//!   number is asked). In a child nothing is written, and nothing unmapped.
//!
//! # What ends the process: SIGBUS
//!
//! A page that cannot be had when it is touched is a SIGBUS, which kills PHP.
//! - **No room**: [`File::allocate`](crate::files::File::allocate) took it before, and where a file
//!   system does not keep its word (copy on write, snapshots), the next rule helps.
//! - **A page to be written** is asked for ahead by `MADV_POPULATE_WRITE` (Linux 5.14), which
//!   answers by an error, 128 KiB at a time: a file that somebody has cut, a full disk, a page that
//!   cannot be read. It is cheaper than the faults that it spares, too.
//! - **A page to be read** is read by `pread`, for which a failed disk is an error.
//! - **Left over**: a page that was prepared, written to the disk and dropped from memory, all
//!   between two records, on a disk that then cannot read it; a file that somebody cuts at that
//!   moment; kernels before 5.14. The journal survives that death as any other.

use std::fs::File;
use std::io;

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};
use rustix::mm::{Advice as PageAdvice, madvise};

/// So much is asked for at once.
const PREPARED_BYTES: usize = 128 * 1024;
const PAGE_BYTES: usize = 4096;

/// A file's bytes in memory.
#[derive(Debug)]
pub struct DiskMapping {
    /// `None` once it is dropped.
    map: Option<MmapRaw>,
    mark: ForkMark,
    /// What is prepared: up to here.
    prepared: usize,
    can_prepare: bool,
}

impl DiskMapping {
    /// Maps a file's first bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(file: &File, bytes: usize) -> io::Result<Self> {
        let mark = ForkMark::new()?;
        let map = MmapOptions::new().len(bytes).map_raw(file)?;
        map.advise(Advice::DontFork)?;
        Ok(Self {
            map: Some(map),
            mark,
            prepared: 0,
            can_prepare: true,
        })
    }
}

impl super::Mapping for DiskMapping {
    #[inline]
    fn prepare(&mut self, at: usize, bytes: usize) -> io::Result<()> {
        let Some(map) = self.map.as_ref().filter(|_| !self.mark.is_child()) else {
            return Err(forked());
        };
        let end = at.checked_add(bytes).filter(|end| *end <= map.len());
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        if end <= self.prepared || !self.can_prepare {
            return Ok(());
        }
        let start = self.prepared / PAGE_BYTES * PAGE_BYTES;
        let wanted = end.max(start.saturating_add(PREPARED_BYTES));
        let end = wanted.next_multiple_of(PAGE_BYTES).min(map.len());
        match map.advise_range(Advice::PopulateWrite, start, end - start) {
            Ok(()) => self.prepared = end,
            // The kernel is older, and does not know how.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.can_prepare = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn begin_again(&mut self) {
        self.prepared = 0;
    }

    #[inline]
    #[allow(unsafe_code, reason = "see the module's doc")]
    fn put(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(map) = self.map.as_ref().filter(|_| !self.mark.is_child()) else {
            return Err(forked());
        };
        let end = at.checked_add(bytes.len());
        if end.is_none_or(|end| end > map.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the range lies in the mapping, as was just checked. The mapping is there: it is
        // dropped with `self` only, and this process is the one that made it. It is writable.
        // `bytes` cannot lie in it, since nobody gets a reference to it. `&mut self` keeps other
        // threads of this process from writing at the same time.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.as_mut_ptr().add(at), bytes.len());
        }
        Ok(())
    }
}

impl Drop for DiskMapping {
    fn drop(&mut self) {
        if self.mark.is_child() {
            // Whatever is at that address in the child is somebody else's.
            std::mem::forget(self.map.take());
        }
    }
}

fn forked() -> io::Error {
    io::Error::other(super::Forked)
}

/// Says whether this process is a child of the one that made it.
#[derive(Debug)]
enum ForkMark {
    /// A page whose bytes are 1, and 0 in a child.
    Page(MmapMut),
    /// The process's number.
    Pid(u32),
}

impl ForkMark {
    #[allow(unsafe_code, reason = "see the module's doc")]
    fn new() -> io::Result<Self> {
        let mut page = MmapOptions::new().len(PAGE_BYTES).map_anon()?;
        // SAFETY: the page is private, anonymous and ours, and so long. The advice changes nothing
        // in this process. In a child the bytes become zeros, which are bytes as good as others:
        // nothing but `is_child` reads them.
        let is_wiped = unsafe { madvise(page.as_mut_ptr().cast(), PAGE_BYTES, PageAdvice::LinuxWipeOnFork) };
        if is_wiped.is_err() {
            return Ok(Self::Pid(std::process::id()));
        }
        page.fill(1);
        Ok(Self::Page(page))
    }

    #[inline]
    fn is_child(&self) -> bool {
        match self {
            Self::Page(page) => std::hint::black_box(&**page).first() != Some(&1),
            Self::Pid(pid) => std::process::id() != *pid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Mapping as _;
    use crate::test_folder::TestFolder;

    fn mapped(folder: &TestFolder, bytes: u64) -> (File, DiskMapping) {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.path().join("f"));
        let file = file.expect("a file");
        file.set_len(bytes).expect("longer");
        let mapping = DiskMapping::new(&file, usize::try_from(bytes).expect("small")).expect("mapped");
        (file, mapping)
    }

    #[test]
    fn what_is_put_is_in_the_file_at_once() {
        let folder = TestFolder::new();
        let (_file, mut mapping) = mapped(&folder, 8192);
        mapping.prepare(4090, 10).expect("prepared");
        mapping.put(4090, b"across two").expect("put");
        let found = std::fs::read(folder.path().join("f")).expect("read");
        assert_eq!(&found[4090..4100], b"across two");
        drop(mapping);
        assert_eq!(std::fs::read(folder.path().join("f")).expect("read"), found);
    }

    #[test]
    fn nothing_is_written_outside() {
        let folder = TestFolder::new();
        let (_file, mut mapping) = mapped(&folder, 4096);
        for (at, bytes) in [(4096, 1), (4000, 97), (usize::MAX, 1), (0, 4097)] {
            assert!(mapping.put(at, &vec![1; bytes]).is_err(), "{at} {bytes}");
            assert!(mapping.prepare(at, bytes).is_err(), "{at} {bytes}");
        }
        mapping.put(4096, b"").expect("nothing to write");
        mapping.put(0, &[1; 4096]).expect("all of it");
    }

    #[test]
    fn a_file_that_somebody_has_cut_is_an_error() {
        let folder = TestFolder::new();
        let (file, mut mapping) = mapped(&folder, 1024 * 1024);
        mapping.prepare(0, 100).expect("prepared");
        file.set_len(256 * 1024).expect("cut");
        mapping.prepare(1000, 100).expect("prepared before");
        if mapping.can_prepare {
            mapping.prepare(512 * 1024, 100).expect_err("no page is there");
        }
    }
}
