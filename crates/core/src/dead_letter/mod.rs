//! Owns groups that left a buffer without being written: in memory, with the reason, and on disk
//! ([`mod@file`], in the form of [`line`]).
//!
//! Invariant: a group is here whole, with its rows as PHP gave them.
//!
//! Bounds: here none. The buffer keeps 1,000 groups and 64 MiB ([`crate::buffer::failures`]).

pub mod file;
pub mod line;
mod own_file;
pub mod retry;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::error::message::Message;
use crate::error::{Error, count_rows};
use crate::rows::arena::Row;
use crate::table::model::TableModel;
use crate::table::shape::RowKind;
use crate::value::Value;

/// A row with its columns' names, as PHP gave it.
pub type NamedRow = Vec<(Box<str>, Value<'static>)>;

/// A row of a group that was not written.
#[derive(Debug, Clone)]
pub struct LetterRow {
    /// Its table's name.
    pub table: String,
    /// Its columns. Those of a deletion are a key, and maybe a guard.
    pub columns: NamedRow,
    /// What it is for.
    pub kind: RowKind,
}

/// What is known of a group that was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can never be written: the server, or a check of ours, refused it.
    Refused,
    /// Nothing is wrong with it. Its buffer ended before it was written.
    Unwritten,
    /// It may be in the database: a COMMIT of it had no clear answer. To write it once more could
    /// double it, so only a person can say so.
    Uncertain,
}

impl Status {
    /// The name in PHP and in the dead-letter file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unwritten => "unwritten",
            Self::Uncertain => "uncertain",
        }
    }

    /// Whether a group with this name may be written once more without a person's word. A group
    /// without a status was refused: lines had none before.
    pub fn may_be_retried(name: &[u8]) -> bool {
        [Self::Refused, Self::Unwritten]
            .iter()
            .any(|status| status.name().as_bytes() == name)
    }
}

/// A group that left its buffer without being written, kept with the reason.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its name: no other one has it, in any process.
    pub id: Box<str>,
    /// What its caller called it.
    pub tag: Option<Arc<str>>,
    /// Its rows. Shared by all copies.
    pub rows: Arc<[LetterRow]>,
    /// What is known of it.
    pub status: Status,
    /// The server's error code, or 0.
    pub code: u16,
    /// Why.
    pub message: Message,
    /// When it was given up.
    pub time: SystemTime,
}

impl DeadLetter {
    /// Copies a group that was not written for this error. `model_of` knows the tables as they were
    /// then.
    pub fn new<'a>(
        group: impl Iterator<Item = Row<'a>>,
        tag: Option<&Arc<str>>,
        status: Status,
        error: &Error,
        model_of: impl Fn(&Row<'a>) -> Option<Arc<TableModel>>,
    ) -> Self {
        let rows = group.map(|row| {
            // As the column would have stored it: put back, it comes as a text, which the server
            // would round.
            let bound = model_of(&row).and_then(|model| row.shape.bind(&model).ok());
            let kind = |at: usize| bound.as_ref()?.kinds.get(at).copied();
            let cut = |(at, value): (usize, Value<'a>)| match (kind(at), value) {
                (Some(kind), value @ Value::DateTime(_)) => match kind.cut(value).into_owned() {
                    Value::DateTime(text) => Value::Bytes(Cow::Owned(text.into_owned().into_bytes())),
                    other => other,
                },
                // Of a table that is not known it stays what it is: it is cut when it is written.
                (_, value) => value.into_owned(),
            };
            let mut kind_of_row = row.shape.kind;
            let names = match (&bound, kind_of_row) {
                (Some(bound), RowKind::DeletionByPlace) => {
                    kind_of_row = RowKind::Deletion;
                    &bound.columns
                }
                _ => &row.shape.columns,
            };
            LetterRow {
                table: row.shape.entry.name.to_string(),
                columns: names.iter().cloned().zip(row.values().enumerate().map(cut)).collect(),
                kind: kind_of_row,
            }
        });
        Self {
            id: new_id(),
            tag: tag.cloned(),
            rows: rows.collect(),
            status,
            code: error.code(),
            message: error.words().clone(),
            time: SystemTime::now(),
        }
    }

    /// The memory that it takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let of_row = |row: &NamedRow| -> usize {
            let texts = row.iter().map(|(name, value)| {
                allocated(name.len())
                    + match value {
                        Value::Null | Value::Int(_) | Value::Float(_) => 0,
                        Value::Bytes(bytes) => allocated(bytes.len()),
                        Value::DateTime(text) => allocated(text.len()),
                    }
            });
            texts.sum::<usize>() + allocated(row.len() * size_of::<(Box<str>, Value<'static>)>())
        };
        let rows = self.rows.iter();
        let rows = rows.map(|row| allocated(row.table.len()) + of_row(&row.columns));
        let in_rows = allocated(size_of_val(&*self.rows)) + rows.sum::<usize>();
        let message: usize = self.message.forms().map(|words| allocated(words.len())).sum();
        let tag = self.tag.as_ref().map_or(0, |tag| allocated(tag.len()));
        in_rows + message + allocated(self.id.len()) + tag + size_of::<Self>()
    }

    /// The error for which the group was given up.
    pub fn error(&self) -> Error {
        error_of(self.code, self.message.clone())
    }
}

/// 128 of the system's random bits, in hexadecimal. A forked child draws others than its parent.
fn new_id() -> Box<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0_u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // The system has none: no two processes have one number at one time.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = now.unwrap_or_default().as_nanos() ^ (u128::from(count) << 96);
        bytes = (own ^ (u128::from(std::process::id()) << 64)).to_be_bytes();
    }
    let mut id = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(id, "{byte:02x}");
    }
    id.into_boxed_str()
}

/// The bytes that an allocation of `bytes` takes, with what the allocator adds.
fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        bytes => (bytes + 8).next_multiple_of(16).max(32),
    }
}

fn error_of(code: u16, message: Message) -> Error {
    match code {
        0 => Error::row(message),
        code => Error::server(code, message),
    }
}

/// What a flush that ended with an error has to report.
#[derive(Debug, Clone)]
pub struct FlushError {
    /// The error.
    pub error: Error,
    /// Groups that were given up and not reported before.
    pub failures: Vec<DeadLetter>,
    /// The group that was to be taken is nowhere: neither buffered, nor written.
    pub is_dropped: bool,
}

impl FlushError {
    /// The error of a flush that gave up groups, or left rows that are `parked`, and wrote all
    /// others. `None`: it wrote all.
    pub fn given_up(failures: Vec<DeadLetter>, parked: Option<Error>) -> Option<Self> {
        let Some(first) = failures.first() else {
            return parked.map(Self::from);
        };
        let rows: usize = failures.iter().map(|failure| failure.rows.len()).sum();
        let message = Message::of_several(|words| {
            let message = format!(
                "gave up {} that can never be written, see takeFailures(); the first error: {}",
                count_rows(rows),
                words(&first.message)
            );
            match &parked {
                Some(parked) => format!("{message}; and {}", words(parked.words())),
                None => message,
            }
        });
        Some(Self::new(error_of(first.code, message), failures))
    }

    /// An error, and the groups that were given up.
    pub fn new(error: Error, failures: Vec<DeadLetter>) -> Self {
        Self {
            error,
            failures,
            is_dropped: false,
        }
    }

    /// Whether a group may be in the database, and nobody will ever know: its failure says so.
    pub fn leaves_doubt(&self) -> bool {
        self.error.is_commit_unknown() && !self.failures.is_empty()
    }

    /// The same, for a buffer that keeps no failures: the error of the first group is all there is
    /// to report.
    #[must_use]
    pub fn of_one_group(self) -> Self {
        let error = match self.failures.first() {
            None => self.error,
            Some(first) => first.error(),
        };
        Self { error, ..self }
    }
}

impl From<Error> for FlushError {
    fn from(error: Error) -> Self {
        Self::new(error, Vec::new())
    }
}

/// A folder of a test's own.
#[cfg(test)]
fn test_folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("write-buffer-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
