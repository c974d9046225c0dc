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
//! - The file belongs to its owner alone (mode 0600). It is opened anew for each line, so it may be
//!   rotated.
//! - If it cannot be written to, nothing is given up: the group stays buffered, and so do the rows
//!   after it.
//!
//! Bounds: none. The file grows with each group that is given up, and the wait for its lock has no
//! time-out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::value::Value;

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
    /// The folder is missing; the path is no regular file, or cannot be opened.
    pub fn check(path: &Path) -> Result<()> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::config(format!(
                "deadLetterFile {}: {why}; name a file in a folder that is there and that this process may write to",
                path.display()
            ))
        };
        match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => Err(wrong(&"it is no file")),
            Ok(_) => OpenOptions::new()
                .append(true)
                .open(path)
                .map(drop)
                .map_err(|error| wrong(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent().map(Path::is_dir) {
                Some(true) => Ok(()),
                _ => Err(wrong(&"there is no such folder")),
            },
            Err(error) => Err(wrong(&error)),
        }
    }

    /// Appends a line for the group.
    ///
    /// # Errors
    ///
    /// The line is not there, whole or in part: the group must not be forgotten.
    pub fn append(&self, letter: &DeadLetter) -> Result<()> {
        self.append_line(&json_line(letter)).map_err(|error| {
            Error::config(format!(
                "a group was refused ({}) and cannot be written to deadLetterFile {}: {error}. Nothing is lost: it stays \
                 buffered, and so do the rows after it, until the file can be written to",
                letter.message,
                self.path.display()
            ))
            .after_taking()
        })
    }

    fn append_line(&self, line: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .read(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        file.lock()?;
        let length = file.metadata()?.len();
        // A line that somebody left torn, by a crash or a full disk, must not spoil this one.
        let is_torn = length > 0 && !ends_line(&mut file, length)?;
        let start = if is_torn { b"\n".as_slice() } else { b"" };
        let written = file.write_all(&[start, line].concat()).and_then(|()| file.sync_data());
        // A part of a line, written before the disk was full, would spoil the next one.
        written.map_err(|error| match file.set_len(length) {
            Ok(()) => error,
            Err(left) => io::Error::other(format!("{error}, and a part of its line is left: {left}")),
        })
    }
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
    use crate::error::Kind;
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

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("write-buffer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
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
            file.append(&letter(vec![("id", Value::Int(id))])).expect("written");
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
            file.append(&letter(vec![("id", Value::Int(id))])).expect("written");
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
        let error = DeadLetterFile::new(PathBuf::from("/dev/full"))
            .append(&letter(vec![("id", Value::Int(1))]))
            .expect_err("no room");
        assert!(error.message().contains("stays buffered"), "{error}");
        assert!(error.kind() == Kind::Blocked, "{error:?}");
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
