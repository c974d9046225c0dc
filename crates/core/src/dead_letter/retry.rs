//! A dead-letter file whose groups are put back: who does it takes the file away first, and notes
//! in it how far it has come.
//!
//! `PATH` becomes `PATH.retry`, so new lines go into a new file. Behind its lines come notes: so
//! many are begun, so many are done, and those from one number to another are settled. Each is on
//! the disk before what it says is true for others: *begun* before the first of these groups is put
//! back, *done* and *settled* after the last one is settled. The Laravel package writes and reads
//! the same notes.
//!
//! Invariants:
//! - A line is in `PATH` or in `PATH.retry` until its group is settled.
//! - One process at a time works on `PATH.retry`: it holds its lock, and took that lock before it
//!   renamed the file.
//! - What was begun and is not settled may be in the database. A buffer may still hold it: then the
//!   file stays, and its lock is held, until that buffer has written it or ends. A process that was
//!   killed amid it leaves that. It comes back into `PATH` as uncertain, and nobody puts it back
//!   without a person's word.
//!
//! Bound: the file is read whole.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::dead_letter::Status;
use crate::dead_letter::file::{DeadLetterFile, LOCK_TIMEOUT, append_to};
use crate::dead_letter::own_file::{self, Refusal, own_link};
use crate::error::{Error, Result};

/// How a note begins. No group's line does.
const NOTE: &str = "{\"retry_";
/// Links in a row that are followed.
const LINKS_MAX: usize = 8;
/// How often the file is opened anew that was renamed between opening and locking it.
const OPENS_MAX: usize = 10;
/// What an editor may write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file: see the module.
#[derive(Debug)]
pub struct RetryFile {
    file: File,
    path: PathBuf,
    source: DeadLetterFile,
    lines: Vec<Vec<u8>>,
    /// All lines before this one are done.
    done: usize,
    /// All lines before this one are begun.
    begun: usize,
    /// Those of them that are settled, although one before them is not.
    settled: HashSet<usize>,
    is_left_over: bool,
    /// The process that holds the lock. A forked child has the same one, and must not end it.
    process: u32,
}

impl RetryFile {
    /// The dead-letter file at a path, which may be a link: as [`Self::source`] returns it.
    ///
    /// # Errors
    ///
    /// A link of another user's.
    pub fn source_of(path: &Path) -> Result<PathBuf> {
        resolved(path).map_err(|why| Error::config(format!("dead-letter file {}: {why}", path.display())))
    }

    /// Takes the lines of a dead-letter file, or those that somebody has left who took them before.
    /// `None`: there are none.
    ///
    /// # Errors
    ///
    /// Another process works on them; a file that is not this user's, or cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let source = Self::source_of(path)?;
        let mut name = source.clone().into_os_string();
        name.push(".retry");
        let path = PathBuf::from(name);
        let opened = open_locked(&source, &path);
        let opened = opened.and_then(|opened| {
            let read = |(file, is_left_over)| Self::read(file, source.clone(), path, is_left_over);
            opened.map(read).transpose()
        });
        opened.map_err(|why| Error::config(format!("dead-letter file {}: {why}", source.display())))
    }

    fn read(mut file: File, source: PathBuf, path: PathBuf, is_left_over: bool) -> std::result::Result<Self, Refusal> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let (notes, lines): (Vec<_>, Vec<_>) = text
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&text)
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .partition(|line| line.starts_with(NOTE.as_bytes()));
        let (mut begun, mut done, mut settled) = (0, 0, HashSet::new());
        for note in notes.into_iter().filter_map(Note::read) {
            match note {
                Note::Begun(lines) => begun = lines.max(begun),
                Note::Done(lines) => done = lines.max(done),
                Note::Settled(Range { start, end }) => settled.extend(start..end.min(lines.len())),
            }
        }
        done = done.min(lines.len());
        Ok(Self {
            done,
            begun: begun.min(lines.len()).max(done),
            settled,
            lines: lines.into_iter().map(<[u8]>::to_vec).collect(),
            source: DeadLetterFile::new(source),
            file,
            path,
            is_left_over,
            process: std::process::id(),
        })
    }

    /// Somebody took these lines before, and did not come to the end. The dead-letter file may have
    /// others.
    pub fn is_left_over(&self) -> bool {
        self.is_left_over
    }

    /// The dead-letter file that they are from.
    pub fn source(&self) -> &Path {
        self.source.path()
    }

    /// Gives back into the dead-letter file what may be in the database: somebody has begun it, and
    /// did not come to its end.
    ///
    /// # Errors
    ///
    /// The files cannot be written to.
    pub fn give_back_uncertain(&mut self) -> Result<()> {
        let begun = (self.done..self.begun).filter(|at| !self.settled.contains(at));
        let begun: Vec<&Vec<u8>> = begun.filter_map(|at| self.lines.get(at)).collect();
        if !begun.is_empty() {
            // Whoever was killed may have given them back, and not noted it.
            let text = fs::read(self.source()).unwrap_or_default();
            let mut there: HashMap<&[u8], usize> = HashMap::new();
            for line in text.split(|byte| *byte == b'\n') {
                *there.entry(line).or_default() += 1;
            }
            let ids: HashSet<String> = there.keys().filter_map(|line| id_if_uncertain(line)).collect();
            let mut is_there = |line: &[u8], doubtful: &[u8]| {
                let counted = [line, doubtful]
                    .into_iter()
                    .find(|line| there.get(*line).is_some_and(|count| *count > 0));
                counted
                    .and_then(|line| there.get_mut(line))
                    .map(|count| *count -= 1)
                    .is_some()
                    || id_if_uncertain(doubtful).is_some_and(|id| ids.contains(&id))
            };
            let doubtful = begun.into_iter().map(|line| (line, uncertain(line)));
            let missing = doubtful.filter(|(line, doubtful)| !is_there(line, doubtful));
            let missing: Vec<Vec<u8>> = missing.map(|(_, doubtful)| doubtful).collect();
            self.give_back(&missing)?;
        }
        self.done_up_to(self.begun)
    }

    /// A line, by its number from 0.
    pub fn line(&self, at: usize) -> &[u8] {
        self.lines.get(at).map_or(&[], Vec::as_slice)
    }

    /// The number of the next line.
    pub fn position(&self) -> usize {
        self.done
    }

    /// The next lines, at most so many. They are to be begun.
    pub fn next(&self, most: usize) -> &[Vec<u8>] {
        let end = self.lines.len().min(self.done.saturating_add(most));
        self.lines.get(self.done..end).unwrap_or_default()
    }

    /// Notes that the next `lines` lines are put back from now on.
    ///
    /// # Errors
    ///
    /// The file cannot be written to. None may be put back.
    pub fn begin(&mut self, lines: usize) -> Result<()> {
        self.begun = self.done + lines;
        self.note("begun", self.begun)
    }

    /// Notes that the next `lines` lines are done: settled, or given back.
    ///
    /// # Errors
    ///
    /// The file cannot be written to.
    pub fn done(&mut self, lines: usize) -> Result<()> {
        self.done_up_to(self.done + lines)
    }

    fn done_up_to(&mut self, lines: usize) -> Result<()> {
        if lines == self.done {
            return Ok(());
        }
        self.done = lines;
        self.note("done", lines)
    }

    /// Notes that lines are settled which were begun, whatever became of those before them.
    ///
    /// # Errors
    ///
    /// The file cannot be written to.
    pub fn settled(&mut self, lines: Range<usize>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let note = format!("[{},{}]", lines.start, lines.end);
        self.settled.extend(lines);
        self.note("settled", note)
    }

    /// Gives back all lines from this one on, of which none was put back, and begins no more.
    ///
    /// # Errors
    ///
    /// The files cannot be written to.
    pub fn give_back_rest(&mut self, from: usize) -> Result<()> {
        let rest = from..self.lines.len();
        if rest.is_empty() {
            return Ok(());
        }
        // If it is killed amid this, lines that are in both files must not be put back twice.
        self.begun = rest.end;
        self.note("begun", rest.end)?;
        self.give_back(self.lines.get(rest.clone()).unwrap_or_default())?;
        self.settled(rest)
    }

    fn note(&mut self, kind: &str, lines: impl std::fmt::Display) -> Result<()> {
        let note = format!("{NOTE}{kind}\":{lines}}}\n");
        append_to(&mut self.file, note.as_bytes(), File::sync_data)
            .map_err(|why| Error::config(format!("{} cannot be written to: {why}", self.path.display())))
    }

    /// Gives lines back into the dead-letter file.
    ///
    /// # Errors
    ///
    /// It cannot be written to.
    pub fn give_back(&self, lines: &[Vec<u8>]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = lines.join(&b'\n');
        text.push(b'\n');
        self.source
            .append_text(&text)
            .map_err(|why| Error::config(format!("dead-letter file {}: {why}", self.source().display())))
    }

    /// All are done: the file goes.
    ///
    /// # Errors
    ///
    /// It cannot be removed. Or some are not done: it stays.
    pub fn finish(self) -> Result<()> {
        let left = (self.done..self.lines.len())
            .filter(|at| !self.settled.contains(at))
            .count();
        if left > 0 {
            let path = self.path.display();
            return Err(Error::bug(format!(
                "{path} has {left} lines that are not done, and stays"
            )));
        }
        fs::remove_file(&self.path)
            .map_err(|why| Error::config(format!("{} is done, and cannot be removed: {why}", self.path.display())))
    }
}

/// Others may have the same open file: children of a process that forked.
impl Drop for RetryFile {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// Opens `path`, or makes it of `source`, and holds its lock. The second one: it was there.
fn open_locked(source: &Path, path: &Path) -> std::result::Result<Option<(File, bool)>, Refusal> {
    let other = |why: &dyn std::fmt::Display| Refusal::from(io::Error::other(format!("{}: {why}", path.display())));
    for _ in 0..OPENS_MAX {
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Err(other(
                &"it is a link, and a retry makes a file of that name: look where it leads, and remove it",
            ));
        }
        match own_file::open(path, false) {
            Ok(file) => {
                match file.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => {
                        let why = "another process puts its groups back, or a buffer of this one still holds some (lsof names \
                                   the process)";
                        return Err(other(&why));
                    }
                    Err(TryLockError::Error(error)) => return Err(error.into()),
                }
                if is_at(&file, path)? {
                    return Ok(Some((file, true)));
                }
                continue;
            }
            Err(refusal) if refusal.is_missing() => {}
            Err(refusal) => return Err(other(&refusal)),
        }
        let file = match own_file::open(source, false) {
            Ok(file) => file,
            Err(refusal) if refusal.is_missing() => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        super::file::lock(&file, Instant::now() + LOCK_TIMEOUT)?;
        // Whoever renames it holds its lock, and it is there still: nobody else does.
        if !is_at(&file, source)? || path.exists() {
            continue;
        }
        if file.metadata()?.len() == 0 {
            return Ok(None);
        }
        fs::rename(source, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        return Ok(Some((file, false)));
    }
    Err(io::Error::other("it is renamed again and again").into())
}

/// Whether a file is the one at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A path without links, also of a file that is not there.
fn resolved(path: &Path) -> std::result::Result<PathBuf, Refusal> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = own_link(&path)?,
            _ => break,
        }
    }
    let folder = path.parent().map(|folder| {
        if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        }
    });
    Ok(
        match (folder.and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path,
        },
    )
}

/// A note behind the lines. One that is torn was not made.
enum Note {
    Begun(usize),
    Done(usize),
    Settled(Range<usize>),
}

impl Note {
    fn read(note: &[u8]) -> Option<Self> {
        let note: serde_json::Value = serde_json::from_slice(note).ok()?;
        let number = |value: &serde_json::Value| usize::try_from(value.as_u64()?).ok();
        let named = |kind: &str| note.get(format!("retry_{kind}"));
        if let Some(lines) = named("settled") {
            return Some(Self::Settled(number(lines.get(0)?)?..number(lines.get(1)?)?));
        }
        let begun = named("begun").and_then(number).map(Self::Begun);
        begun.or_else(|| named("done").and_then(number).map(Self::Done))
    }
}

/// The id of a line's group that may be in the database.
fn id_if_uncertain(line: &[u8]) -> Option<String> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    let is_uncertain = line.get("status")?.as_str()? == Status::Uncertain.name();
    Some(line.get("id")?.as_str()?.to_owned()).filter(|_| is_uncertain)
}

/// A line with the status of a group that may be in the database. What is no group's line stays.
///
/// Somebody may have edited the line. Whoever reads JSON takes the last one of equal keys, so a
/// status is added at the end if the one that is found is not the one that counts.
pub fn uncertain(line: &[u8]) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(line).ok().map(str::trim) else {
        return line.to_vec();
    };
    let Some(members) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return line.to_vec();
    };
    let edited = with_status(text);
    let counts = |line: &[u8]| {
        let read = serde_json::from_slice::<serde_json::Value>(line);
        read.is_ok_and(|read| read.get("status").and_then(|status| status.as_str()) == Some(Status::Uncertain.name()))
    };
    if counts(&edited) {
        return edited;
    }
    let comma = if members.trim().is_empty() { "" } else { "," };
    format!("{{{members}{comma}\"status\":\"{}\"}}", Status::Uncertain.name()).into_bytes()
}

fn with_status(text: &str) -> Vec<u8> {
    let status = format!("\"{}\"", Status::Uncertain.name());
    match status_of(text) {
        Some(span) => {
            let (before, behind) = (text.get(..span.start), text.get(span.end..));
            [before.unwrap_or_default(), &status, behind.unwrap_or_default()].concat()
        }
        // Lines had none before.
        None => format!("{{\"status\":{status},{}", text.get(1..).unwrap_or_default()),
    }
    .into_bytes()
}

/// Where the status of a line stands, with its quotes: not one of a row's own columns.
fn status_of(line: &str) -> Option<std::ops::Range<usize>> {
    let bytes = line.as_bytes();
    let (mut at, mut depth, mut is_status) = (0, 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let end = end_of_string(bytes, at)?;
                if is_status {
                    return Some(at..end);
                }
                let is_key = bytes.get(end..)?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
                is_status = depth == 1 && is_key && line.get(at..end)? == "\"status\"";
                at = end;
                continue;
            }
            b':' => {}
            byte if byte.is_ascii_whitespace() => {}
            // Another value.
            _ => is_status = false,
        }
        at += 1;
    }
    None
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::test_folder as folder;

    fn line(number: usize) -> String {
        format!("{{\"id\":\"{number}\",\"status\":\"refused\",\"rows\":[]}}")
    }

    fn lines(range: std::ops::Range<usize>) -> String {
        range.map(|number| line(number) + "\n").collect()
    }

    fn numbers(lines: &[Vec<u8>]) -> Vec<String> {
        let of = |line: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(line).ok();
        let values = lines.iter().filter_map(of);
        values
            .map(|value| {
                let word = |name: &str| value[name].as_str().unwrap_or("none").to_owned();
                word("id") + " " + &word("status")
            })
            .collect()
    }

    fn in_file(path: &Path) -> Vec<String> {
        let text = fs::read(path).unwrap_or_default();
        let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        numbers(&lines)
    }

    fn open(path: &Path) -> RetryFile {
        RetryFile::open(path).expect("it opens").expect("it has lines")
    }

    #[test]
    fn what_was_begun_and_not_done_comes_back_as_uncertain() {
        let folder = folder("retry-killed");
        let path = folder.join("f.jsonl");
        assert!(RetryFile::open(&path).expect("none is there").is_none());
        fs::write(&path, lines(0..7)).expect("a file");
        let mut file = open(&path);
        assert!(!path.exists());
        assert_eq!(numbers(file.next(2)), ["0 refused", "1 refused"]);
        file.begin(2).expect("noted");
        file.done(2).expect("noted");
        file.begin(3).expect("noted");
        // A buffer goes on writing to a file of its own.
        fs::write(&path, line(9) + "\n").expect("a line");
        assert!(
            RetryFile::open(&path)
                .expect_err("two at once")
                .to_string()
                .contains("another process")
        );
        // It is killed.
        drop(file);
        let mut file = open(&path);
        assert!(file.is_left_over());
        file.give_back_uncertain().expect("given back");
        assert_eq!(
            in_file(&path),
            ["9 refused", "2 uncertain", "3 uncertain", "4 uncertain"]
        );
        assert_eq!(numbers(file.next(10)), ["5 refused", "6 refused"]);
        assert!(file.finish().is_err(), "two are left");
        let mut file = open(&path);
        file.give_back_uncertain().expect("nothing");
        assert_eq!(in_file(&path).len(), 4, "once");
        assert_eq!(file.next(usize::MAX).len(), 2);
        file.begin(2).expect("noted");
        file.done(2).expect("noted");
        assert!(file.next(10).is_empty());
        file.finish().expect("removed");
        assert!(!folder.join("f.jsonl.retry").exists());
        assert_eq!(in_file(&path).len(), 4);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_torn_note_was_not_made() {
        let folder = folder("retry-torn");
        let path = folder.join("f.jsonl");
        fs::write(
            folder.join("f.jsonl.retry"),
            lines(0..3) + "{\"retry_begun\":1}\n{\"retry_do",
        )
        .expect("a file");
        let mut file = open(&path);
        file.give_back_uncertain().expect("given back");
        assert_eq!(in_file(&path), ["0 uncertain"]);
        drop(file);
        assert_eq!(numbers(open(&path).next(9)), ["1 refused", "2 refused"]);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_a_buffer_still_holds_stays_until_it_is_settled() {
        let folder = folder("retry-held");
        let path = folder.join("f.jsonl");
        fs::write(&path, "\u{feff}".to_owned() + &lines(0..6)).expect("a file");
        let mut file = open(&path);
        assert!(!file.is_left_over());
        assert_eq!(
            numbers(file.next(4)),
            ["0 refused", "1 refused", "2 refused", "3 refused"]
        );
        file.begin(4).expect("noted");
        // A buffer holds 1 and 3.
        file.settled(0..1).expect("noted");
        file.settled(2..3).expect("noted");
        file.give_back_rest(4).expect("given back");
        file.give_back_rest(6).expect("nothing");
        assert_eq!(in_file(&path), ["4 refused", "5 refused"]);
        file.settled(3..4).expect("noted");
        drop(file);
        let mut file = open(&path);
        file.give_back_uncertain().expect("given back");
        assert_eq!(in_file(&path), ["4 refused", "5 refused", "1 uncertain"]);
        assert!(file.next(1).is_empty());
        file.finish().expect("removed");

        // Killed once it had given some back, and before it noted that. There are two of group 4.
        let given_back = "{\"rows\":[], \"status\":\"uncertain\", \"id\":\"2\"}\n";
        fs::write(&path, lines(4..6) + given_back).expect("a file");
        let notes = "{\"retry_begun\":7}\n{\"retry_settled\":[0,2]}\n{\"retry_settled\":[9,1]}\n";
        fs::write(folder.join("f.jsonl.retry"), lines(0..6) + &lines(4..5) + notes).expect("a file");
        let mut file = open(&path);
        file.give_back_uncertain().expect("given back");
        let expected = ["4 refused", "5 refused", "2 uncertain", "3 uncertain", "4 uncertain"];
        assert_eq!(in_file(&path), expected);
        file.finish().expect("removed");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let folder = folder("retry-link");
        let path = folder.join("f.jsonl");
        fs::write(&path, lines(0..1)).expect("a file");
        fs::write(folder.join("other"), lines(1..2)).expect("a file");
        for target in ["nowhere", "other"] {
            std::os::unix::fs::symlink(target, folder.join("f.jsonl.retry")).expect("a link");
            let why = RetryFile::open(&path).expect_err("refused").to_string();
            assert!(why.contains("f.jsonl.retry: it is a link"), "{why}");
            assert_eq!(in_file(&path), ["0 refused"]);
            fs::remove_file(folder.join("f.jsonl.retry")).expect("removed");
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn the_status_is_the_lines_own() {
        for (line, expected) in [
            (
                r#"{"id":"a","status":"refused","rows":[]}"#,
                r#"{"id":"a","status":"uncertain","rows":[]}"#,
            ),
            (
                r#"{"rows":[{"row":{"status":"x"}}], "tag":"\"status\":", "status" : "refused"}"#,
                r#"{"rows":[{"row":{"status":"x"}}], "tag":"\"status\":", "status" : "uncertain"}"#,
            ),
            (
                r#"{"rows":[{"row":{"status":"x"}}]}"#,
                r#"{"status":"uncertain","rows":[{"row":{"status":"x"}}]}"#,
            ),
            (
                r#"{"tag":"status","rows":[]}"#,
                r#"{"status":"uncertain","tag":"status","rows":[]}"#,
            ),
            ("torn", "torn"),
            // As somebody may have edited it.
            (
                r#"{"rows":[],"status":null}"#,
                r#"{"rows":[],"status":null,"status":"uncertain"}"#,
            ),
            (
                r#"{"status":"refused","rows":[],"status":"unwritten"}"#,
                r#"{"status":"refused","rows":[],"status":"unwritten","status":"uncertain"}"#,
            ),
            (
                r#"{"st\u0061tus":"unwritten"}"#,
                r#"{"st\u0061tus":"unwritten","status":"uncertain"}"#,
            ),
            (r#"  {"status":"refused"} "#, r#"{"status":"uncertain"}"#),
            ("{ }", r#"{ "status":"uncertain"}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&uncertain(line.as_bytes())), expected);
        }
        let deep = format!(
            "{{\"rows\":{}{},\"status\":\"refused\"}}",
            "[".repeat(200),
            "]".repeat(200)
        );
        let marked = String::from_utf8_lossy(&uncertain(deep.as_bytes())).into_owned();
        assert!(
            marked.ends_with(",\"status\":\"refused\",\"status\":\"uncertain\"}"),
            "{marked}"
        );
    }

    #[test]
    fn links_lead_to_the_file() {
        let folder = folder("retry-links");
        fs::create_dir(folder.join("real")).expect("a folder");
        std::os::unix::fs::symlink(folder.join("real"), folder.join("dir")).expect("a link");
        std::os::unix::fs::symlink("dir/f", folder.join("link")).expect("a link");
        let real = folder.canonicalize().expect("a folder").join("real/f");
        for path in ["real/f", "dir/f", "link"] {
            let found = resolved(&folder.join(path)).unwrap_or_default();
            assert_eq!(found, real, "{path}");
        }
        // Only root may make a link somebody else's.
        if rustix::process::geteuid().is_root() {
            let foreign = folder.join("foreign");
            std::os::unix::fs::symlink("real/f", &foreign).expect("a link");
            std::os::unix::fs::lchown(&foreign, Some(65_534), None).expect("another user's");
            resolved(&foreign).map_err(|why| why.to_string()).expect_err("refused");
        }
        fs::remove_dir_all(folder).expect("removed");
    }
}
