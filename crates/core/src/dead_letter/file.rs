//! The dead-letter file: a JSON [line](crate::dead_letter::line) for each group that was given up,
//! written before the group leaves the memory; and one for each group that was left when its buffer
//! ended.
//!
//! Invariants:
//! - A line is there whole or not at all, whoever else writes to the file: it is appended under a
//!   lock, and cut off again if it did not fit.
//! - It is on the disk before its group is settled.
//! - The file belongs to this process's user alone ([`own_file`](super::own_file)). It is opened
//!   anew for each line, so it may be rotated.
//! - If it cannot be written to, nothing is given up: the group stays buffered, and so do the rows
//!   after it.
//!
//! Bounds: the wait for its lock ends with the caller's time, and after five seconds
//! ([`LOCK_TIMEOUT`]). None for the file: it grows with each group that is given up.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dead_letter::DeadLetter;
use crate::dead_letter::line::json_line;
use crate::dead_letter::own_file::{self, Refusal};
use crate::error::{Error, Result};
use crate::settings::Settings;

/// The longest wait for the file's lock. Writers hold it for a line; `write-buffer:failed --retry`
/// for as long as it writes groups. Whoever else holds it holds up this buffer's failures, not its
/// process.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest and the longest time between two looks at the lock.
const LOCK_POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How often a file is opened anew that was removed between opening and locking it.
const OPENS_MAX: usize = 10;
/// Lines are written in pieces of about this size. A line is never split.
const CHUNK_BYTES: usize = 1024 * 1024;
/// The most files that a process leaves beside one that is locked.
const BESIDE_MAX: usize = 1_000;

/// A dead-letter file: see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterFile {
    path: PathBuf,
}

impl DeadLetterFile {
    /// A file that is created when the first group is given up.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file of a buffer with a journal, which always has one.
    ///
    /// # Errors
    ///
    /// It has none: a bug.
    pub fn of_journal(settings: &Settings) -> Result<Self> {
        let path = settings.dead_letter_file.clone();
        path.map(Self::new)
            .ok_or_else(|| Error::bug("a journal without a dead-letter file"))
    }

    /// Checks that the file can be written to, or created.
    ///
    /// # Errors
    ///
    /// The folder is missing; the path is no regular file of this user's own, or cannot be opened.
    pub fn check(path: &Path) -> Result<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::config(format!(
                "deadLetterFile {}: {why}; name a file in a folder that is there and that this process may write to",
                path.display()
            ))
        };
        match own_file::open(path, false) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing() => match path.parent().map(Path::is_dir) {
                Some(true) => Ok(()),
                _ => Err(wrong(&"there is no such folder")),
            },
            Err(refusal) => Err(wrong(&refusal)),
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the groups that the file has, or the one from which somebody puts groups back,
    /// as far as they begin so. A line that is torn keeps no group: whoever wrote it was killed.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn names(&self, beginning: &str) -> Result<HashSet<String>> {
        let start = format!("{{\"id\":\"{beginning}");
        let mut names = HashSet::new();
        let mut retry = self.path.clone().into_os_string();
        retry.push(".retry");
        for path in [self.path.as_path(), Path::new(&retry)] {
            let unreadable = |error: io::Error| {
                Error::blocked(format!("dead-letter file {} cannot be read: {error}", path.display()))
            };
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(unreadable)?,
            };
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(unreadable)?;
                if line.starts_with(start.as_bytes())
                    && let Ok(letter) = serde_json::from_slice::<serde_json::Value>(&line)
                {
                    names.extend(letter["id"].as_str().map(str::to_owned));
                }
            }
        }
        Ok(names)
    }

    /// Appends a line for the group, until `deadline`.
    ///
    /// # Errors
    ///
    /// The line is not there, whole or in part: the group must not be forgotten.
    pub fn append(&self, letter: &DeadLetter, deadline: Option<Instant>) -> Result<()> {
        self.append_line(&json_line(letter), deadline).map_err(|error| {
            let why = format!(
                "a group was refused ({}) and cannot be written to deadLetterFile {}: {error}",
                letter.message,
                self.path.display()
            );
            let kept = format!(
                "{why}. Nothing is lost: it stays buffered, and so do the rows after it, until the file can be written to"
            );
            Error::config(why).after_taking().while_buffered(kept)
        })
    }

    /// Appends a line for each group, all under one lock, for which it waits until `limit`. If
    /// another process holds the lock for longer, the lines go into a new file beside this one.
    ///
    /// If not all of them could be written, the first ones are there, each of them whole.
    pub fn append_all(&self, letters: impl Iterator<Item = DeadLetter>, limit: Instant) -> Appended {
        let (mut file, beside) = match self.open(limit) {
            Ok(file) => (file, None),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::TimedOut => match self.open_beside() {
                Ok((file, path)) => (file, Some(path)),
                Err(_) => return Appended::failed(self, &error),
            },
            Err(refusal) => return Appended::failed(self, &refusal),
        };
        let mut lines = 0;
        let written = append_in_chunks(&mut file, letters, &mut lines);
        // Also after a disk was full: the first lines are there.
        let synced = file.sync_data();
        if synced.is_err() {
            lines = 0;
        }
        match written.err().or(synced.err()) {
            None => Appended {
                lines,
                beside,
                error: None,
            },
            Some(error) => Appended {
                lines,
                ..Appended::failed(self, &error)
            },
        }
    }

    /// Appends whole lines.
    ///
    /// # Errors
    ///
    /// None of them is there.
    pub(super) fn append_text(&self, lines: &[u8]) -> std::result::Result<(), Refusal> {
        self.append_line(lines, None)
    }

    fn append_line(&self, line: &[u8], deadline: Option<Instant>) -> std::result::Result<(), Refusal> {
        let limit = Instant::now() + LOCK_TIMEOUT;
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        Ok(append_to(&mut self.open(limit)?, line, File::sync_data)?)
    }

    /// Opens the file and takes its lock, until `limit`.
    fn open(&self, limit: Instant) -> std::result::Result<File, Refusal> {
        for _ in 0..OPENS_MAX {
            let file = own_file::open(&self.path, true)?;
            lock(&file, limit)?;
            // Somebody may have removed it meanwhile: a line in it would be lost.
            if file.metadata()?.nlink() > 0 {
                return Ok(file);
            }
        }
        Err(io::Error::other("it is removed again and again").into())
    }

    /// Makes a new file beside this one, which nobody else has.
    fn open_beside(&self) -> std::result::Result<(File, PathBuf), Refusal> {
        for number in 1..=BESIDE_MAX {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{}-{number}", std::process::id()));
            let path = PathBuf::from(name);
            let file = own_file::open(&path, true)?;
            if lock(&file, Instant::now()).is_ok() && file.metadata()?.len() == 0 {
                return Ok((file, path));
            }
        }
        Err(io::Error::other("there are too many files beside it").into())
    }
}

/// What was appended.
#[derive(Debug)]
pub struct Appended {
    /// How many lines are there.
    pub lines: usize,
    /// The file beside the one that is locked, if they are there.
    pub beside: Option<PathBuf>,
    /// Why the other lines are not there. It names the file.
    pub error: Option<Error>,
}

impl Appended {
    fn failed(file: &DeadLetterFile, error: &dyn std::fmt::Display) -> Self {
        let error = Error::config(format!("{} cannot be written to: {error}", file.path.display()));
        Self {
            lines: 0,
            beside: None,
            error: Some(error.after_taking()),
        }
    }
}

/// Takes the file's lock, which a process loses when it ends.
pub(super) fn lock(file: &File, limit: Instant) -> io::Result<()> {
    let mut wait = LOCK_POLL.0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Err(_) if Instant::now() >= limit => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process holds its lock (lsof names it)",
                ));
            }
            Err(_) => {
                std::thread::sleep(wait);
                wait = (wait * 2).min(LOCK_POLL.1);
            }
        }
    }
}

/// Appends the groups' lines, and counts those that are there: from the first one on, each whole.
fn append_in_chunks(
    file: &mut File,
    letters: impl Iterator<Item = DeadLetter>,
    written_lines: &mut usize,
) -> io::Result<()> {
    let (mut chunk, mut lines) = (Vec::new(), 0);
    for letter in letters {
        chunk.extend(json_line(&letter));
        lines += 1;
        if chunk.len() >= CHUNK_BYTES {
            append_to(file, &chunk, |_| Ok(()))?;
            chunk.clear();
            *written_lines += std::mem::take(&mut lines);
        }
    }
    append_to(file, &chunk, |_| Ok(()))?;
    *written_lines += lines;
    Ok(())
}

/// Appends lines. They are there whole or not at all.
pub(super) fn append_to(file: &mut File, lines: &[u8], sync: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let length = file.metadata()?.len();
    // A line that somebody left torn, by a crash or a full disk, must not spoil this one.
    let is_torn = length > 0 && !ends_line(file, length)?;
    let start = if is_torn { b"\n".as_slice() } else { b"" };
    let written = file.write_all(&[start, lines].concat()).and_then(|()| sync(file));
    // A part of a line, written before the disk was full, would spoil the next one.
    written.map_err(|error| match file.set_len(length) {
        Ok(()) => error,
        Err(left) => io::Error::other(format!("{error}, and a part of its line is left: {left}")),
    })
}

fn ends_line(file: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::test_folder as folder;
    use crate::dead_letter::{LetterRow, Status};
    use crate::error::Kind;
    use crate::table::shape::RowKind;
    use crate::value::Value;
    use std::fs::OpenOptions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    fn letter(rows: Vec<(&str, Value<'static>)>) -> DeadLetter {
        let row = LetterRow {
            table: "orders".to_owned(),
            columns: rows.into_iter().map(|(name, value)| (Box::from(name), value)).collect(),
            kind: RowKind::Row,
        };
        DeadLetter {
            id: "a1".into(),
            tag: Some("order 7".into()),
            rows: vec![row].into(),
            status: Status::Refused,
            code: 1406,
            message: "Data too long for column 'v' \"now\"".into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        }
    }

    #[test]
    fn lines_follow_each_other_in_a_file_of_its_owners() {
        let folder = folder("lines");
        let path = folder.join("failed.jsonl");
        let file = DeadLetterFile::new(path.clone());
        DeadLetterFile::check(&path).expect("it can be made");
        assert!(!path.exists(), "a check makes nothing");
        for id in 0..3 {
            file.append(&letter(vec![("id", Value::Int(id))]), None)
                .expect("written");
        }
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text.lines().count(), 3);
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        DeadLetterFile::check(&path).expect("it can be appended to");
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_torn_line_spoils_only_itself() {
        let folder = folder("torn");
        let path = folder.join("failed.jsonl");
        std::fs::write(&path, "{\"time\":1.5,\"code\":").expect("a torn line");
        let file = DeadLetterFile::new(path.clone());
        for id in 0..2 {
            file.append(&letter(vec![("id", Value::Int(id))]), None)
                .expect("written");
        }
        let text = std::fs::read_to_string(&path).expect("the file");
        let whole = text
            .lines()
            .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!((text.lines().count(), whole.count()), (3, 2));
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_torn_line_keeps_no_group() {
        let folder = folder("names");
        let path = folder.join("failed.jsonl");
        let file = DeadLetterFile::new(path.clone());
        for name in ["w-1", "w-2", "other-3"] {
            let letter = DeadLetter {
                id: name.into(),
                ..letter(vec![("id", Value::Int(7))])
            };
            file.append(&letter, None).expect("written");
        }
        let text = std::fs::read(&path).expect("the file");
        let names = |names: [&str; 2]| names.into_iter().map(str::to_owned).collect::<HashSet<_>>();
        assert_eq!(file.names("w-").expect("read"), names(["w-1", "w-2"]));
        let second = text.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        let third = text[second..].iter().position(|byte| *byte == b'\n').expect("a line") + second;
        for end in second..=third {
            std::fs::write(&path, &text[..end]).expect("written");
            file.append(&letter(vec![("id", Value::Int(8))]), None)
                .expect("written");
            let expected = if end == third {
                names(["w-1", "w-2"])
            } else {
                names(["w-1", "w-1"])
            };
            assert_eq!(file.names("w-").expect("read"), expected, "torn at {end} of {third}");
        }
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn all_lines_are_appended_whole_and_in_order() {
        let folder = folder("all");
        let path = folder.join("left.jsonl");
        std::fs::write(&path, "{\"time\":1.5,\"sta").expect("a torn line");
        let file = DeadLetterFile::new(path.clone());
        // More than one chunk.
        let text = "x".repeat(CHUNK_BYTES / 4);
        let letters = (0..10).map(|id| letter(vec![("id", Value::Int(id)), ("t", Value::text("y"))]));
        let large = letter(vec![
            ("id", Value::Int(10)),
            ("t", Value::Bytes(text.into_bytes().into())),
        ]);
        let letters = letters.chain(std::iter::repeat_n(large, 10));
        let appended = file.append_all(letters, Instant::now());
        assert_eq!((appended.lines, appended.beside), (20, None));
        assert!(appended.error.is_none());
        let text = std::fs::read_to_string(&path).expect("the file");
        let ids: Vec<i64> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .map(|line| line["rows"][0]["row"]["id"].as_i64().expect("a number"))
            .collect();
        assert_eq!(ids, (0..10).chain(std::iter::repeat_n(10, 10)).collect::<Vec<_>>());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn lines_go_beside_a_file_that_is_locked() {
        let folder = folder("beside");
        let path = folder.join("left.jsonl");
        let held = File::create(&path).expect("a file");
        held.lock().expect("a lock");
        let file = DeadLetterFile::new(path.clone());
        for number in 1..=2 {
            let letters = std::iter::once(letter(vec![("id", Value::Int(number))]));
            let appended = file.append_all(letters, Instant::now());
            let beside = folder.join(format!("left.jsonl.{}-{number}", std::process::id()));
            assert_eq!((appended.lines, appended.beside.as_ref()), (1, Some(&beside)));
            assert!(std::fs::read_to_string(beside).expect("a file").ends_with("}\n"));
        }
        assert_eq!(std::fs::metadata(&path).expect("the file").len(), 0);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_disk_that_is_full_is_an_error() {
        // The kernel's own full disk.
        let mut full = OpenOptions::new().append(true).open("/dev/full").expect("a device");
        let error = append_to(&mut full, b"x\n", File::sync_data).expect_err("no room");
        assert!(error.to_string().contains("No space left on device"), "{error}");
    }

    #[test]
    fn a_lock_that_somebody_holds_is_waited_for_in_bounds() {
        let folder = folder("locked");
        let path = folder.join("failed.jsonl");
        let held = own_file::open(&path, true).expect("a file");
        held.lock().expect("a lock");
        let file = DeadLetterFile::new(path.clone());
        let letter = letter(vec![("id", Value::Int(1))]);
        let deadline = Instant::now() + Duration::from_millis(30);
        let error = file.append(&letter, Some(deadline)).expect_err("it is held");
        assert!(Instant::now() >= deadline);
        assert!(error.message().contains("another process holds its lock"), "{error}");
        assert!(error.message().contains("stays buffered"), "{error}");
        assert!(error.kind() == Kind::Blocked, "{error:?}");
        // Removed while it was waited for: the line goes to a new file.
        std::thread::scope(|scope| {
            let appended = scope.spawn(|| file.append(&letter, None));
            std::fs::remove_file(&path).expect("removed");
            held.unlock().expect("unlocked");
            appended.join().expect("no panic").expect("written");
        });
        assert_eq!(std::fs::read_to_string(&path).expect("the file").lines().count(), 1);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_path_that_cannot_work_is_refused() {
        let folder = folder("paths");
        for path in [
            folder.clone(),
            folder.join("missing/failed.jsonl"),
            PathBuf::from("/dev/null"),
        ] {
            let error = DeadLetterFile::check(&path).expect_err("no file can be there");
            assert!(error.kind() == Kind::Config, "{error}");
        }
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
