//! Reads back the groups that stand in the journal alone, from any thread, without the buffer's
//! lock.
//!
//! Reading goes through `pread`, and each record's checksum is compared: what the disk cannot read,
//! or somebody has changed, is an [`Unread`], and never the end of the process. Shapes are those
//! that the groups had, so a batch comes back as it was.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::lane::stretch::Stretch;
use write_buffer_journal::segment::FaultKind;

use crate::buffer::journal::form::Decoder;
use crate::buffer::queue::stored::StoredBatch;
use crate::error::{Error, Result};
use crate::rows::batch::Batch;
use crate::rows::group::Group;

/// Groups that can be read back.
#[derive(Debug)]
pub struct Reading {
    stored: Arc<StoredBatch>,
    stretch: Stretch<Disk>,
}

/// Some groups cannot be read back.
#[derive(Debug)]
pub struct Unread {
    /// Those that can.
    pub batch: Batch,
    /// The numbers of the others.
    pub lost: Vec<u64>,
    /// Why, for people.
    pub why: String,
    /// The files that should have them.
    pub files: Vec<PathBuf>,
}

impl Unread {
    /// Why, as an error that keeps the rows.
    pub fn error(&self) -> Error {
        unreadable(&self.why)
    }

    /// Copies the files beside the writer's folder, as far as they can be read. Says where, or why
    /// not.
    pub fn copy_files(&self) -> String {
        let mut copies = Vec::new();
        for path in &self.files {
            let Some(copy) = copy_of(path) else { continue };
            let result = if copy.exists() {
                Ok(())
            } else {
                std::fs::copy(path, &copy).map(drop)
            };
            copies.push(match result {
                Ok(()) => format!("{} has what is left of their file", copy.display()),
                Err(error) => format!("their file cannot be copied to {}: {error}", copy.display()),
            });
        }
        copies.dedup();
        copies.join("; ")
    }
}

fn unreadable(why: &str) -> Error {
    Error::blocked(format!("the journal cannot be read back: {why}"))
}

/// The name of a segment's copy: beside its writer's folder.
fn copy_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let (writer, name) = (folder.file_name()?.to_str()?, path.file_stem()?.to_str()?);
    Some(folder.parent()?.join(format!("{writer}-{name}.damaged")))
}

impl Reading {
    pub(super) fn new(stored: Arc<StoredBatch>, stretch: Stretch<Disk>) -> Self {
        Self { stored, stretch }
    }

    /// What is to be read.
    pub fn stored(&self) -> &Arc<StoredBatch> {
        &self.stored
    }

    /// Reads all groups, as one batch.
    ///
    /// # Errors
    ///
    /// Some cannot be read.
    pub fn read(&self) -> Result<Batch, Box<Unread>> {
        let stored = &*self.stored;
        let mut batch = Batch::with_capacity(stored.oldest(), stored.rows(), stored.value_bytes());
        batch.is_read_back = true;
        let mut lost = Vec::new();
        let mut decoder = Decoder::default();
        let mut numbers = stored.numbers().iter().peekable();
        let mut why = String::new();
        let mut files = Vec::new();
        if let Some(begins) = stored.begins() {
            let faults = self.stretch.read(begins, stored.through(), |found| {
                while let Some(missing) = numbers.next_if(|number| *number < found.head.number) {
                    lost.push(missing);
                }
                if numbers.next_if_eq(&found.head.number).is_none() {
                    // Another lane's.
                    return true;
                }
                match decoder.decode_known(&found.payload, stored.shapes()) {
                    Ok(group) => {
                        if batch.is_empty() {
                            batch.first_group = found.head.number;
                        }
                        batch.append(group, stored.oldest());
                    }
                    Err(error) => {
                        lost.push(found.head.number);
                        why = error.to_string();
                    }
                }
                true
            });
            for (segment, fault) in faults {
                let what = match &fault.kind {
                    FaultKind::Payload => "is not what was written there",
                    FaultKind::Unknown(_) => "is of a later version",
                    FaultKind::Unreadable(error) => error,
                };
                why.clear();
                let _ = write!(why, "{} at byte {}: {what}", segment.path.display(), fault.offset);
                files.push(segment.path.clone());
            }
        }
        lost.extend(numbers);
        if lost.is_empty() && batch.rows() == stored.rows() {
            return Ok(batch);
        }
        if why.is_empty() {
            why.push_str("records are missing");
            files = self.stretch.paths().map(Path::to_owned).collect();
        }
        Err(Box::new(Unread {
            batch,
            lost,
            why,
            files,
        }))
    }

    /// Reads one group.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read_group(&self, number: u64) -> Result<Group> {
        let mut found_group = None;
        if let Some(mark) = self.stored.mark(number) {
            self.stretch.read(mark, self.stored.through(), |found| {
                if found.head.number == number {
                    found_group = Some(found.payload);
                }
                found.head.number < number
            });
        }
        let unread = || {
            let files: Vec<_> = self.stretch.paths().map(|path| path.display().to_string()).collect();
            unreadable(&format!("a row that may be in {}", files.join(" or ")))
        };
        let payload = found_group.ok_or_else(unread)?;
        let mut decoder = Decoder::default();
        decoder.decode_known(&payload, self.stored.shapes())?;
        Ok(decoder.into_group())
    }
}
