//! The dead-letter file: a JSON line for each group that was given up, written before the group
//! leaves the memory.
//!
//! A line has what `takeFailures()` returns. A string that is not UTF-8 is `{"base64":"…"}`:
//! `{"time":…,"code":…,"message":…,"rows":[{"table":…,"row":{…}}]}`
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

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::DeadLetter;
use crate::dead_letter::own_file::{self, Refusal};
use crate::error::{Error, Result};
use crate::value::Value;

/// The longest wait for the file's lock. Writers hold it for a line; `write-buffer:failed --retry`
/// for as long as it writes groups. Whoever else holds it holds up this buffer's failures, not its
/// process.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest and the longest time between two looks at the lock.
const LOCK_POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How often a file is opened anew that was removed between opening and locking it.
const OPENS_MAX: usize = 10;

/// The key of a string that is not UTF-8.
pub const BINARY_MARK: &str = "base64";

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

    /// Appends a line for the group, until `deadline`.
    ///
    /// # Errors
    ///
    /// The line is not there, whole or in part: the group must not be forgotten.
    pub fn append(&self, letter: &DeadLetter, deadline: Option<Instant>) -> Result<()> {
        self.append_line(&json_line(letter), deadline).map_err(|error| {
            Error::config(format!(
                "a group was refused ({}) and cannot be written to deadLetterFile {}: {error}. Nothing is lost: it stays \
                 buffered, and so do the rows after it, until the file can be written to",
                letter.message,
                self.path.display()
            ))
            .after_taking()
        })
    }

    fn append_line(&self, line: &[u8], deadline: Option<Instant>) -> std::result::Result<(), Refusal> {
        let limit = Instant::now() + LOCK_TIMEOUT;
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        for _ in 0..OPENS_MAX {
            let mut file = own_file::open(&self.path, true)?;
            lock(&file, limit)?;
            // Somebody may have removed it meanwhile: a line in it would be lost.
            if file.metadata()?.nlink() > 0 {
                return Ok(append_to(&mut file, line)?);
            }
        }
        Err(io::Error::other("it is removed again and again").into())
    }
}

/// Takes the file's lock, which a process loses when it ends.
fn lock(file: &File, limit: Instant) -> io::Result<()> {
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

fn append_to(file: &mut File, line: &[u8]) -> io::Result<()> {
    let length = file.metadata()?.len();
    // A line that somebody left torn, by a crash or a full disk, must not spoil this one.
    let is_torn = length > 0 && !ends_line(file, length)?;
    let start = if is_torn { b"\n".as_slice() } else { b"" };
    let written = file.write_all(&[start, line].concat()).and_then(|()| file.sync_data());
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

/// Decodes the text behind [`BINARY_MARK`].
pub fn decode_binary(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn json_line(letter: &DeadLetter) -> Vec<u8> {
    let time = letter.time.duration_since(SystemTime::UNIX_EPOCH);
    let time = time.unwrap_or(Duration::ZERO).as_secs_f64();
    let rows: Vec<String> = letter
        .rows
        .iter()
        .map(|(table, row)| {
            let columns: Vec<String> = row
                .iter()
                .map(|(name, value)| format!("{}:{}", quote(name), json_value(value)))
                .collect();
            format!("{{\"table\":{},\"row\":{{{}}}}}", quote(table), columns.join(","))
        })
        .collect();
    let line = format!(
        "{{\"time\":{time:.6},\"code\":{},\"message\":{},\"rows\":[{}]}}\n",
        letter.code,
        quote(letter.message.full()),
        rows.join(",")
    );
    line.into_bytes()
}

fn json_value(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => serde_json::Value::from(*number).to_string(),
        Value::DateTime(text) => quote(text),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => quote(text),
            Err(_) => format!("{{\"{BINARY_MARK}\":{}}}", quote(&STANDARD.encode(bytes))),
        },
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::test_folder as folder;
    use crate::error::Kind;
    use std::fs::OpenOptions;
    use std::os::unix::fs::PermissionsExt as _;

    fn letter(rows: Vec<(&str, Value<'static>)>) -> DeadLetter {
        let row = rows.into_iter().map(|(name, value)| (Box::from(name), value)).collect();
        DeadLetter {
            rows: vec![("orders".to_owned(), row)].into(),
            code: 1406,
            message: "Data too long for column 'v' \"now\"".into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        }
    }

    #[test]
    fn a_line_is_json_and_marks_what_is_binary() {
        let line = json_line(&letter(vec![
            ("id", Value::Int(7)),
            ("price", Value::text("1.50")),
            ("rate", Value::Float(0.1)),
            ("note", Value::Null),
            ("raw", Value::Bytes(b"\xff\x00".as_slice().into())),
            ("q\"uote", Value::text("a\nb")),
        ]));
        let text = std::str::from_utf8(&line).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!({
                "time": 1.5,
                "code": 1406,
                "message": "Data too long for column 'v' \"now\"",
                "rows": [{"table": "orders", "row": {
                    "id": 7, "price": "1.50", "rate": 0.1, "note": null, "raw": {"base64": "/wA="}, "q\"uote": "a\nb",
                }}],
            })
        );
        assert_eq!(decode_binary(b"/wA=").as_deref(), Some(b"\xff\x00".as_slice()));
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
    fn a_disk_that_is_full_is_an_error() {
        // The kernel's own full disk.
        let mut full = OpenOptions::new().append(true).open("/dev/full").expect("a device");
        let error = append_to(&mut full, b"x\n").expect_err("no room");
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
