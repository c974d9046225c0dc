//! Prepares the next segment while groups are still appended to this one: its room on the disk, its
//! mapping, its pages. It lets go of the last one's mapping, too. So an append waits for none of
//! these, if somebody prepares in time. If nobody does, the append does it.
//!
//! Any thread may: [`Lane::take_ahead`](super::Lane::take_ahead) says what there is to do,
//! [`Ahead::prepare`] does it without the lane, [`Lane::put_ahead`](super::Lane::put_ahead) hands
//! it back.

use std::path::PathBuf;

use crate::files::{File as _, Files, Mapping as _};

/// So much is prepared at once.
const STEP_BYTES: usize = 64 * 1024;

/// A file's mapping.
pub(super) type MappingOf<F> = <<F as Files>::File as crate::files::File>::Mapping;

/// A file that is no segment yet, or no longer.
#[derive(Debug)]
pub(super) struct Spare<F: Files> {
    pub file: F::File,
    pub path: PathBuf,
    pub bytes: u64,
    pub mapping: Option<MappingOf<F>>,
    /// It is mapped, and all its pages can be written.
    pub is_ready: bool,
}

/// A segment to be prepared.
#[derive(Debug)]
pub struct Ahead<F: Files> {
    files: F,
    /// A file to be made, or one whose groups were all settled. `None`: there is only something to
    /// let go.
    spare: Option<Result<PathBuf, Spare<F>>>,
    bytes: u64,
    retired: Option<MappingOf<F>>,
}

/// A segment that is prepared, or could not be.
#[derive(Debug)]
pub struct Prepared<F: Files> {
    /// Whether one was to be.
    pub(super) was_wanted: bool,
    pub(super) spare: Option<Spare<F>>,
}

impl<F: Files> Ahead<F> {
    pub(super) fn new(
        files: F,
        spare: Option<Result<PathBuf, Spare<F>>>,
        bytes: u64,
        retired: Option<MappingOf<F>>,
    ) -> Self {
        Self {
            files,
            spare,
            bytes,
            retired,
        }
    }

    /// Prepares it. What fails here fails again where it matters, and says so there.
    #[must_use]
    pub fn prepare(self) -> Prepared<F> {
        let (files, bytes) = (self.files, self.bytes);
        let was_wanted = self.spare.is_some();
        let spare = self.spare.and_then(|spare| prepare(&files, spare, bytes));
        drop(self.retired);
        Prepared { was_wanted, spare }
    }
}

fn prepare<F: Files>(files: &F, spare: Result<PathBuf, Spare<F>>, bytes: u64) -> Option<Spare<F>> {
    let mut spare = match spare {
        Ok(path) => {
            let file = files.create(&path).ok()?;
            if file.allocate(bytes).is_err() {
                // What cannot be removed holds no group.
                let _ = files.remove_file(&path);
                return None;
            }
            Spare {
                file,
                path,
                bytes,
                mapping: None,
                is_ready: false,
            }
        }
        Err(spare) => spare,
    };
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mapping = spare.mapping.take().map_or_else(|| spare.file.map(length), Ok);
    if let Ok(mut mapping) = mapping {
        // In steps: other threads cannot get memory meanwhile.
        let mut ends = (0..length).step_by(STEP_BYTES);
        if ends.all(|at| mapping.prepare(at, STEP_BYTES.min(length - at)).is_ok()) {
            spare.mapping = Some(mapping);
            spare.is_ready = true;
        }
    }
    Some(spare)
}
