//! What is left when a buffer ends: groups that were taken, and neither committed nor given up.
//!
//! They go into the dead-letter file, whole, in the order in which they were added. What cannot be
//! kept there is told in words, for a warning: how many rows of which tables, and their first keys.
//!
//! Invariants:
//! - Whoever takes groups out of a buffer sees to it that none of them is committed afterwards,
//!   except those in [doubt](crate::buffer::doubt). These are marked as [`Status::Uncertain`].
//! - A group is in the file, or told as lost.
//!
//! Bounds: one group beside the buffered rows, and a chunk of the file's; a warning names 5 tables
//! and 3 keys of each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dead_letter::file::DeadLetterFile;
use crate::dead_letter::{DeadLetter, FlushError, Status};
use crate::error::{Error, count_rows};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::sink::Place;
use crate::table::entry::TableId;
use crate::table::rules::KeyRule;
use crate::table::shape::RowKind;
use crate::value::Value;

/// How long after the end's time the answer to a COMMIT is awaited.
const COMMIT_GRACE: Duration = Duration::from_millis(200);
/// How long after the end's time the lock of the file is awaited.
const LOCK_GRACE: Duration = Duration::from_millis(400);
/// The most tables that a warning names.
const TABLES_TOLD: usize = 5;
/// The most keys of a table that it names.
const KEYS_TOLD: usize = 3;
/// The most letters of a key's value that it shows.
const KEY_LETTERS: usize = 40;

/// What a warning of lost rows advises.
const ADVICE: &str = "Call flush() or close() before the end to handle this, or set deadLetterFile to keep them";

/// The time that an end has.
#[derive(Debug, Clone, Copy)]
pub struct EndTime {
    /// When waiting for the database ends.
    pub limit: Instant,
    /// How long it is in all, for messages. Buffers that end together share it, so some of it may
    /// be over already.
    pub said: Duration,
}

impl EndTime {
    /// So much time, from now on.
    pub fn of(time: Duration) -> Self {
        Self {
            limit: Instant::now() + time,
            said: time,
        }
    }

    /// When the wait for the answer to a COMMIT ends. A COMMIT takes milliseconds, and its answer
    /// spares a person a look.
    pub fn commit_limit(self) -> Instant {
        self.limit + COMMIT_GRACE
    }

    /// When the wait for the file's lock ends.
    pub fn lock_limit(self) -> Instant {
        self.limit + LOCK_GRACE
    }
}

/// A group that is left.
#[derive(Debug, Clone)]
pub struct LeftGroup {
    /// Its number: groups are numbered as they are added.
    pub number: u64,
    /// The batch that holds it.
    pub batch: Arc<Batch>,
    /// Its position there.
    pub position: usize,
    /// It may be committed.
    pub is_uncertain: bool,
    /// Why it was not written, if it waits for a table, or was refused. `None`: as the others.
    pub reason: Option<Arc<Error>>,
}

impl LeftGroup {
    /// Its rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.batch.group(self.position)
    }

    /// It `failed`, and may be committed: a COMMIT of it was not answered. Nobody will know what
    /// became of it. What gave it up says that itself.
    pub fn in_doubt(&self, failed: FlushError) -> FlushError {
        if !failed.failures.is_empty() {
            return failed;
        }
        let words = |why: &str| format!("{why}; a COMMIT of the group was not answered before, so it may be committed");
        let error = match failed.error {
            error if error.is_commit_unknown() => error,
            error => Error::commit_unknown(error.code(), error.words().map(words)),
        };
        let failure = self.letter(Status::Uncertain, &error);
        FlushError::new(error, vec![failure])
    }

    fn letter(&self, status: Status, error: &Error) -> DeadLetter {
        let tag = self.batch.tag(self.position);
        DeadLetter::new(self.rows(), tag, status, error, |row| row.shape.entry.model())
    }
}

/// Why they are left.
#[derive(Debug, Clone)]
pub struct EndCause {
    /// The last error, or how long was waited, and for what.
    pub error: Error,
    /// The servers that they were for.
    pub place: Option<Place>,
    /// Whether a warning names keys: `redactValues` is off.
    pub names_keys: bool,
}

impl EndCause {
    /// The error, as it is said of rows that are not buffered any more.
    fn error_at_end(&self) -> &Error {
        self.error.at_end()
    }
}

/// The end of groups.
#[derive(Debug, Default)]
pub struct Left {
    /// What nobody was told of: groups that are lost, or in another file than one thinks.
    pub untold: Option<String>,
    /// Those that are in a file already, by their numbers, each with whether it may be committed.
    pub in_files: Vec<(u64, bool)>,
}

/// Keeps all groups in the file, if there is one, but for those that are `in_files` already.
pub fn keep(
    mut groups: Vec<LeftGroup>,
    in_files: &BTreeSet<u64>,
    file: Option<&DeadLetterFile>,
    cause: &EndCause,
    time: EndTime,
) -> Left {
    let kept = groups.extract_if(.., |group| in_files.contains(&group.number));
    let in_files = kept.map(|group| (group.number, group.is_uncertain)).collect();
    Left {
        untold: keep_in_file(&groups, file, cause, time),
        in_files,
    }
}

fn keep_in_file(
    groups: &[LeftGroup],
    file: Option<&DeadLetterFile>,
    cause: &EndCause,
    time: EndTime,
) -> Option<String> {
    if groups.is_empty() {
        return None;
    }
    let limit = time.lock_limit();
    let Some(file) = file else {
        return Some(lost_warning(told(groups), cause, ADVICE));
    };
    let kept = file.append_all(groups.iter().map(|group| letter(group, cause.error_at_end())), limit);
    let lost = groups.get(kept.lines..).unwrap_or_default();
    match (kept.error, kept.beside) {
        (Some(why), _) => {
            let why = format!("deadLetterFile {why}");
            Some(lost_warning(told(lost), cause, &why))
        }
        (None, Some(beside)) => Some(format!(
            "{} not written: {}. deadLetterFile {} is locked by another process, so they are in {}",
            were(groups.iter().map(|group| group.rows().count()).sum()),
            cause.error_at_end(),
            file.path().display(),
            beside.display()
        )),
        (None, None) => None,
    }
}

/// What to say of groups that will be lost, because there is no file for them: all but those that
/// are `in_files` already. Of each: its number, whether it may be committed, and its rows.
pub fn warning<'g, R: Iterator<Item = Row<'g>>>(
    groups: impl Iterator<Item = (u64, bool, R)>,
    in_files: &BTreeSet<u64>,
    cause: &EndCause,
) -> Option<String> {
    let lost = groups.filter(|(number, ..)| !in_files.contains(number));
    let mut lost = lost.map(|(_, is_in_doubt, rows)| (is_in_doubt, rows)).peekable();
    lost.peek().is_some().then(|| lost_warning(lost, cause, ADVICE))
}

fn told(groups: &[LeftGroup]) -> impl Iterator<Item = (bool, impl Iterator<Item = Row<'_>>)> {
    groups.iter().map(|group| (group.is_uncertain, group.rows()))
}

fn lost_warning<'g, R: Iterator<Item = Row<'g>>>(
    groups: impl Iterator<Item = (bool, R)>,
    cause: &EndCause,
    advice: &str,
) -> String {
    let mut told = Told::default();
    for (is_uncertain, rows) in groups {
        rows.for_each(|row| told.add(&row, is_uncertain, cause.names_keys));
    }
    let rows = count_rows(told.rows).replacen(' ', " buffered ", 1);
    let mut text = format!("lost {rows}: {}. ", cause.error_at_end());
    text.push_str("They were");
    if let Some(place) = &cause.place {
        let _ = write!(text, " for {place}");
    }
    let _ = write!(text, ": {}. ", told.tables());
    if told.uncertain_rows > 0 {
        let rows = count_rows(told.uncertain_rows);
        let _ = write!(
            text,
            "COMMIT of {rows} was not answered, so these may be in the database. "
        );
    }
    text.push_str(advice);
    text
}

fn were(rows: usize) -> String {
    let verb = if rows == 1 { "was" } else { "were" };
    format!("{} {verb}", count_rows(rows).replacen(' ', " buffered ", 1))
}

fn letter(group: &LeftGroup, cause: &Error) -> DeadLetter {
    let cause = group.reason.as_deref().unwrap_or(cause);
    let (status, error) = if group.is_uncertain {
        let why = "COMMIT was not answered before the buffer ended, so these rows may be in the database: look, and \
                   retry() what is missing";
        (Status::Uncertain, cause.clone().context(why))
    } else {
        (
            Status::Unwritten,
            cause.clone().context("not written before the buffer ended"),
        )
    };
    group.letter(status, &error)
}

#[derive(Default)]
struct Told {
    rows: usize,
    uncertain_rows: usize,
    /// In the order in which they were met.
    tables: Vec<ToldTable>,
}

struct ToldTable {
    id: TableId,
    name: String,
    rows: usize,
    keys: Vec<String>,
}

impl Told {
    fn add(&mut self, row: &Row<'_>, is_uncertain: bool, names_keys: bool) {
        self.rows += 1;
        self.uncertain_rows += usize::from(is_uncertain);
        let id = row.shape.table;
        let at = self.tables.iter().position(|table| table.id == id).unwrap_or_else(|| {
            self.tables.push(ToldTable {
                id,
                name: row.shape.entry.name.to_string(),
                rows: 0,
                keys: Vec::new(),
            });
            self.tables.len() - 1
        });
        let Some(table) = self.tables.get_mut(at) else { return };
        table.rows += 1;
        if names_keys && table.keys.len() < KEYS_TOLD {
            table.keys.extend(key_of(row));
        }
    }

    fn tables(&self) -> String {
        let said = self.tables.iter().take(TABLES_TOLD).map(|table| {
            let more = if table.rows > table.keys.len() && !table.keys.is_empty() {
                ", …"
            } else {
                ""
            };
            let keys = table.keys.join(", ");
            let keys = if keys.is_empty() {
                keys
            } else {
                format!(" ({keys}{more})")
            };
            format!("{} of {}{keys}", count_rows(table.rows), table.name)
        });
        let mut text = said.collect::<Vec<_>>().join("; ");
        if let Some(more) = self.tables.len().checked_sub(TABLES_TOLD).filter(|more| *more > 0) {
            let _ = write!(text, "; and {more} more tables");
        }
        text
    }
}

/// A row's key in words: by the table's key if that is known and given, else by the configured one,
/// by `id`, or by the first column.
fn key_of(row: &Row<'_>) -> Option<String> {
    if row.shape.kind == RowKind::DeletionByPlace {
        let values: Vec<_> = row.values().map(|value| shown(&value)).collect();
        return Some(format!("key {}", values.join(", ")));
    }
    let entry = &row.shape.entry;
    let known = entry.model().map(|model| model.key.clone()).unwrap_or_default();
    let configured = match &entry.rules.key {
        KeyRule::Columns(columns) => columns.clone(),
        KeyRule::Primary | KeyRule::Server => Vec::new(),
    };
    let first = row.shape.columns.first().map(ToString::to_string);
    let choices = [known, configured, vec!["id".to_owned()], first.into_iter().collect()];
    choices.iter().find_map(|names| named_values(row, names))
}

/// These columns of a row, each with its value. `None`: it has none of them.
fn named_values(row: &Row<'_>, names: &[String]) -> Option<String> {
    let columns = &row.shape.columns;
    let parts: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let at = columns.iter().position(|column| column.eq_ignore_ascii_case(name))?;
            Some(format!("{name} {}", shown(&row.values().nth(at)?)))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::DateTime(text) => text.to_string(),
        Value::Bytes(bytes) => {
            let text = bytes.escape_ascii().to_string();
            let text = std::str::from_utf8(bytes).map_or(text, |text| text.escape_debug().to_string());
            match text.char_indices().nth(KEY_LETTERS) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        }
    }
}
