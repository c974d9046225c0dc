//! Owns what lies in a lane's folder: its names, how its header comes there, and how all of it
//! goes.
//!
//! | name | what |
//! |---|---|
//! | `lock` | locked as long as the owner lives |
//! | `header` | whose it is: [`LaneHeader`] |
//! | `….segment` | groups and notes |
//! | `header….new`, `….new` | a header, or a segment, that was being begun: nothing yet |
//!
//! A folder is made as `.new-<writer>` and gets its name when it is locked and has its header. So
//! nobody meets one that is half made.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{File, Files, read_full};
use crate::header::{HeaderError, LANE_HEADER_BYTES_MAX, LaneHeader};

/// The file that is locked.
pub const LOCK: &str = "lock";
/// The lane's header.
pub const HEADER: &str = "header";
const NEW_HEADER: &str = "header.new";
/// What segments' names end in,
const SEGMENT: &str = "segment";
/// and those of files that are nothing yet.
const NEW: &str = "new";
/// What a folder's name begins with while it is made.
const NEW_FOLDER: &str = ".new-";
/// What follows the name of a folder that was set aside.
const DAMAGED: &str = ".damaged";
/// So many folders of one name can be set aside.
const DAMAGED_MAX: u32 = 1000;

/// Refuses names that could lead elsewhere, or be taken for something else.
///
/// # Errors
///
/// The name.
pub fn check_writer(writer: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if writer.is_empty() || writer.len() > 64 || !writer.bytes().all(is_plain) {
        return Err(Error::WriterName(writer.to_owned()));
    }
    Ok(())
}

/// A folder on its way.
pub fn new_folder(directory: &Path, writer: &str) -> PathBuf {
    directory.join(format!("{NEW_FOLDER}{writer}"))
}

/// Gives a lane's folder its header.
///
/// # Errors
///
/// The system's.
pub fn write_header(files: &impl Files, folder: &Path, header: &[u8]) -> Result<()> {
    let new = folder.join(NEW_HEADER);
    let file = files.create(&new).map_err(Error::io("make", &new))?;
    file.write_at(0, header).map_err(Error::io("write", &new))?;
    let path = folder.join(HEADER);
    files.rename(&new, &path).map_err(Error::io("rename", &new))
}

/// Gives a lane's folder a header that is on the disk, in place of another one. Its name is to be
/// once the folder is synced.
///
/// `number` is another one for each try: a file whose sync failed has a name of its own, so it
/// cannot come back under that of another.
///
/// # Errors
///
/// The system's.
pub fn write_synced_header(files: &impl Files, folder: &Path, header: &[u8], number: u64) -> Result<()> {
    let new = folder.join(format!("{HEADER}-{number}.{NEW}"));
    let file = files.create(&new).map_err(Error::io("make", &new))?;
    let written = file.write_at(0, header).map_err(Error::io("write", &new));
    let synced = written.and_then(|()| file.sync().map_err(Error::io("sync", &new)));
    if synced.is_err() {
        // What cannot be removed is nothing yet.
        let _ = files.remove_file(&new);
        return synced;
    }
    let path = folder.join(HEADER);
    files.rename(&new, &path).map_err(Error::io("rename", &new))
}

/// Reads a lane's header.
///
/// # Errors
///
/// Why it is none, or the system's.
pub fn read_header(files: &impl Files, folder: &Path) -> io::Result<std::result::Result<LaneHeader, HeaderError>> {
    let file = match files.open(&folder.join(HEADER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(HeaderError::Unwritten)),
        other => other?,
    };
    let bytes = usize::try_from(file.bytes()?).unwrap_or(usize::MAX);
    if bytes > LANE_HEADER_BYTES_MAX {
        return Ok(Err(HeaderError::Damaged));
    }
    let mut header = vec![0; bytes];
    let read = read_full(&file, 0, &mut header)?;
    header.truncate(read);
    Ok(LaneHeader::decode(&header))
}

/// A segment's file, and its name until it has its header.
pub fn segment(folder: &Path, sequence: u64) -> (PathBuf, PathBuf) {
    let path = |extension| folder.join(format!("{sequence:016x}.{extension}"));
    (path(SEGMENT), path(NEW))
}

/// A file that is prepared for a segment to come.
pub fn ahead(folder: &Path, count: u64) -> PathBuf {
    folder.join(format!("ahead-{count:x}.{NEW}"))
}

/// The segments' files, by name: in their order, unless somebody renamed one.
///
/// # Errors
///
/// The system's.
pub fn segments(files: &impl Files, folder: &Path) -> io::Result<Vec<PathBuf>> {
    with_extension(files, folder, SEGMENT)
}

/// Files that were being begun, and are nothing yet: segments and headers.
///
/// # Errors
///
/// The system's.
pub fn begun(files: &impl Files, folder: &Path) -> io::Result<Vec<PathBuf>> {
    with_extension(files, folder, NEW)
}

/// The last sequence that any file has in its name; 0 if there is none.
///
/// # Errors
///
/// The system's.
pub fn last_sequence(files: &impl Files, folder: &Path) -> io::Result<u64> {
    let paths = segments(files, folder)?.into_iter().chain(begun(files, folder)?);
    let stems = paths.filter_map(|path| u64::from_str_radix(path.file_stem()?.to_str()?, 16).ok());
    Ok(stems.max().unwrap_or(0))
}

fn with_extension(files: &impl Files, folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let paths = files.list(folder)?.into_iter().map(|name| folder.join(name));
    let has_it = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let mut paths: Vec<PathBuf> = paths.filter(has_it).collect();
    paths.sort();
    Ok(paths)
}

/// Removes a lane's folder, which holds nothing any more that is not elsewhere. `lock` goes last,
/// so that nobody else is here meanwhile.
///
/// The segments go one after the other, the last one last: a note in it says what the others were.
/// With `is_synced` each step is on the disk before the next one: a power cut leaves no segment
/// without its header, and none without the last one.
///
/// # Errors
///
/// The system's, and a file that is none of ours. Nothing is lost: another try may follow.
pub fn remove(files: &impl Files, directory: &Path, folder: &Path, is_synced: bool) -> Result<()> {
    let listed = |names: io::Result<Vec<PathBuf>>| names.map_err(Error::io("list", folder));
    let mut segments = listed(segments(files, folder))?;
    let last = segments.pop();
    segments.extend(listed(begun(files, folder))?);
    for paths in [&segments[..], last.as_slice()] {
        for path in paths {
            files.remove_file(path).map_err(Error::io("remove", path))?;
        }
        if is_synced && !paths.is_empty() {
            files.sync_folder(folder).map_err(Error::io("sync", folder))?;
        }
    }
    for name in [HEADER, LOCK] {
        let path = folder.join(name);
        match files.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path)(error)),
            _ => {}
        }
    }
    files.remove_folder(folder).map_err(Error::io("remove", folder))?;
    if is_synced {
        files.sync_folder(directory).map_err(Error::io("sync", directory))?;
    }
    Ok(())
}

/// Sets a folder aside, for somebody to look at: nothing in it is changed. Returns its new path.
///
/// # Errors
///
/// The system's.
pub fn set_aside(files: &impl Files, directory: &Path, writer: &str) -> Result<PathBuf> {
    let from = directory.join(writer);
    let names = files.list(directory).map_err(Error::io("list", directory))?;
    let choices = (1..=DAMAGED_MAX).map(|number| match number {
        1 => format!("{writer}{DAMAGED}"),
        _ => format!("{writer}{DAMAGED}.{number}"),
    });
    let mut free = choices.filter(|choice| !names.iter().any(|name| name == choice.as_str()));
    let name = free.next().ok_or_else(|| {
        let error = io::Error::new(
            io::ErrorKind::AlreadyExists,
            "look at the ones that were set aside before",
        );
        Error::io("set aside", &from)(error)
    })?;
    let to = directory.join(name);
    files.rename(&from, &to).map_err(Error::io("set aside", &from))?;
    files.sync_folder(directory).map_err(Error::io("sync", directory))?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        check_writer("host-12_Ab").expect("plain");
        let long = "x".repeat(65);
        for name in ["", ".", "..", "a/b", "a.damaged", "a\0", "ä", ".new-a", &long] {
            check_writer(name).expect_err(name);
        }
    }
}
