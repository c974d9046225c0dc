//! `Buffer::retry()`: failures, as `takeFailures()` returned them or as the dead-letter file holds
//! them, put back as groups.

use std::collections::HashSet;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::dead_letter::Status;
use write_buffer_core::dead_letter::line::{BINARY_MARK, DATE_TIME_MARK, DELETION, UPDATE, decode_binary};
use write_buffer_core::error::{Error, Kind};
use write_buffer_core::rows::group::Group;

use crate::buffer::object::Handle;
use crate::buffer::wait::{self, refuses};
use crate::convert::ConversionError;
use crate::convert::deletions::copy_key;
use crate::convert::moments::TimeZone;
use crate::exceptions::{Incomplete, throw_conversion_error, throw_error, throw_flush_error};
use crate::export;
use crate::methods::arguments::{copy_rows, copy_update, table, tag_of};
use crate::methods::entry::{kept_rows, with_buffer};
use crate::process::fork;
use crate::zend::arguments::Arguments;
use crate::zend::array::{ArrayBuilder, Elements, HeldArray, Key};
use crate::zend::callable::call_function;
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::values::Held;

/// `Buffer::retry()`
pub extern "C" fn retry(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let failures = Arguments::of(call, 1, 1)?.array()?;
        if buffer.with(|state| state.is_closed) {
            // Also of an empty list, as the other methods do.
            return Err(throw_error(Error::closed()));
        }
        let generation = fork::fork_generation();
        *result = export::int(put_back_all(buffer, failures, generation)?);
        Ok(())
    });
}

/// Puts all failures back, in their order: as many at a time as the buffer's bounds allow at once.
/// Returns how many.
fn put_back_all(buffer: Handle<'_>, failures: Option<&Zval>, generation: u64) -> Result<usize, PendingException> {
    let Some(failures) = failures.and_then(HeldArray::of) else {
        return Ok(0);
    };
    let mut progress = Progress {
        groups: 0,
        rows: 0,
        total: failures.elements().count(),
    };
    let mut ids = HashSet::new();
    while progress.groups < progress.total {
        match gather_some(buffer, &failures, progress.groups, &mut ids) {
            Ok(groups) => progress.add_all(buffer, groups, generation)?,
            Err(error) => return Err(progress.end_at_conversion(error)),
        }
    }
    Ok(progress.groups)
}

/// How far a call has come.
struct Progress {
    /// How many failures were put back, and their rows.
    groups: usize,
    rows: usize,
    /// Of so many.
    total: usize,
}

impl Progress {
    /// Takes the groups in order.
    ///
    /// What ends it halfway is behind an exception that says how many were put back: alone it would
    /// say that none was, or that all were.
    fn add_all(&mut self, buffer: Handle<'_>, groups: Vec<Failure>, generation: u64) -> Result<(), PendingException> {
        let is_sync = buffer.with(|state| state.is_sync());
        for Failure { id, group } in groups {
            let number = self.groups + 1;
            // PHP code may run while the last one is waited for, and put back this one.
            let is_new = id
                .as_ref()
                .is_none_or(|id| buffer.with(|state| state.put_back.enter(id)));
            let rows = group.len();
            let added = if is_new {
                wait::add(buffer, Box::new(group), generation)
            } else {
                Err(was_put_back(self.groups).into())
            };
            let Err(mut failed) = added else {
                self.groups = number;
                self.rows += rows;
                continue;
            };
            let was_taken = is_new && is_taken(buffer, &failed.error);
            if let Some(id) = id.filter(|_| is_new && !was_taken) {
                buffer.with(|state| state.put_back.take_back(&id));
            }
            // It was put back, and the flush that it made due failed.
            let is_back = was_taken && !is_sync;
            if is_back {
                self.groups = number;
                self.rows += rows;
            }
            let words = failed.error.to_string();
            if self.total > 1 && is_new && !is_back && failed.error.kind() != Kind::Interrupted {
                failed.error = failed.error.context(&format!("failure {number} of {}", self.total));
            }
            let cause = if is_back {
                format!("the flush that failure {number} made due failed: {words}")
            } else {
                format!("failure {number} ended it: {words}")
            };
            let pending = throw_flush_error(&failed, kept_rows(buffer));
            return Err(self.end(
                pending,
                &cause,
                failed.error.kind() == Kind::Interrupted,
                failed.error.code(),
            ));
        }
        Ok(())
    }

    /// One that is no failure, or that is refused, ends it before any of those that were looked at
    /// with it is put back.
    fn end_at_conversion(&self, error: ConversionError) -> PendingException {
        let (cause, code) = match &error {
            ConversionError::Pending(_) => (String::new(), 0),
            ConversionError::Type { message, .. } => (message.clone(), 0),
            ConversionError::Config(error) => (error.to_string(), error.code()),
        };
        let is_interrupted = matches!(error, ConversionError::Pending(_));
        let pending = throw_conversion_error(error);
        self.end(pending, &cause, is_interrupted, code)
    }

    /// Ends the call by what is pending. If some were put back, and not all, an exception says how
    /// many: before it, or behind what user code threw.
    fn end(&self, pending: PendingException, cause: &str, is_interrupted: bool, code: u16) -> PendingException {
        if self.groups == 0 || self.groups == self.total {
            return pending;
        }
        let end = if is_interrupted { "the rest was not" } else { cause };
        let incomplete = Incomplete {
            message: format!("retry() put back {} of {} failures; {end}", self.groups, self.total),
            taken: self.rows,
            taken_groups: self.groups,
            skipped: 0,
            reasons: &[],
            processed: 0,
        };
        if is_interrupted {
            incomplete.append_to_pending();
            return pending;
        }
        incomplete.throw(code)
    }
}

/// A failure that is to be put back.
struct Failure {
    /// Lines of the dead-letter file had none before.
    id: Option<Box<[u8]>>,
    group: Group,
}

/// Whether a group was taken all the same, as an error's class says. A synchronous buffer keeps
/// none, but may have committed it.
pub fn is_taken(buffer: Handle<'_>, error: &Error) -> bool {
    if buffer.with(|state| state.is_sync()) {
        return error.is_commit_unknown();
    }
    !refuses(error.kind())
}

/// The failure at a position must not be put back once more.
fn was_put_back(at: usize) -> Error {
    Error::config(format!(
        "failure {} was put back already, by this buffer: its rows would be written twice. Leave it out; if they are to be \
         written twice, take its 'id' away",
        at + 1
    ))
}

/// The groups of the failures from a position on, as many as the buffer's bounds allow at once, at
/// least one. `ids`: of all that were looked at. User code may run.
fn gather_some(
    buffer: Handle<'_>,
    failures: &HeldArray,
    from: usize,
    ids: &mut HashSet<Box<[u8]>>,
) -> Result<Vec<Failure>, ConversionError> {
    let most = buffer.with(|state| state.configuration.engine.max_pending_bytes);
    let mut groups: Vec<Failure> = Vec::new();
    let mut bytes = 0_usize;
    for (at, failure) in failures.elements().values().enumerate().skip(from) {
        let id = HeldArray::peek(failure, |failure| id_of(failure).ok().flatten()).flatten();
        if id
            .as_ref()
            .is_some_and(|id| buffer.with(|state| state.put_back.has(id)) || ids.contains(id))
        {
            let error = was_put_back(at);
            let error = if from == 0 {
                error.context("none was put back")
            } else {
                error
            };
            return Err(error.into());
        }
        let group = gather(buffer, at, failure)?;
        bytes = bytes.saturating_add(group.size_bytes());
        if bytes > most && !groups.is_empty() {
            break;
        }
        ids.extend(id.clone());
        groups.push(Failure { id, group: *group });
    }
    if exception_is_pending() {
        return Err(PendingException.into());
    }
    Ok(groups)
}

/// The id of a failure, if it has one.
///
/// # Errors
///
/// It is no string.
pub fn id_of(failure: Elements<'_>) -> Result<Option<Box<[u8]>>, ()> {
    Ok(text_of(failure, "id")?.map(Into::into))
}

/// A text of a failure, if it has that. It may be null.
fn text_of<'e>(failure: Elements<'e>, name: &str) -> Result<Option<&'e [u8]>, ()> {
    match failure.get(name).map(Zval::dereference) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => value.zend_str().map(|text| Some(text.as_bytes())).ok_or(()),
    }
}

/// The group of one failure.
///
/// # Errors
///
/// It is none, or may be in the database already, or cannot be taken.
pub fn gather(buffer: Handle<'_>, at: usize, failure: &Zval) -> Result<Box<Group>, ConversionError> {
    let wrong = || {
        ConversionError::wrong_type(
            1,
            format!(
                "must be a list of failures, as takeFailures() gives them; element {at} has no list of \
                 rows, each with its table"
            ),
        )
    };
    let failure = HeldArray::of(failure).ok_or_else(wrong)?;
    let text = |name: &str| {
        let no_text = |()| {
            ConversionError::wrong_type(
                1,
                format!(
                    "must be a list of failures, as takeFailures() gives them; the {name} of element {at} is no string"
                ),
            )
        };
        text_of(failure.elements(), name).map_err(no_text)
    };
    let rows = failure.elements().get("rows").and_then(HeldArray::of);
    let rows = rows.ok_or_else(wrong)?;
    text("id")?;
    if let Some(status) = text("status")?
        && !Status::may_be_retried(status)
    {
        return Err(Error::config(format!(
            "failure {} is \"{}\": its rows may be in the database already, and would be doubled. Look, and \
             leave it out if they are there; else set its 'status' to 'unwritten', and retry() it",
            at + 1,
            status.escape_ascii()
        ))
        .into());
    }
    let mut group = buffer.with(|state| state.new_group());
    if let Some(tag) = text("tag")? {
        group.set_tag(Some(tag_of(tag).ok_or_else(wrong)?));
    }
    for entry in rows.elements().values() {
        let entry = HeldArray::of(entry).ok_or_else(wrong)?;
        let elements = entry.elements();
        let table = elements.get("table").and_then(Zval::zend_str).ok_or_else(wrong)?;
        let table = self::table(buffer, table.as_bytes())?;
        if let Some(key) = elements.get(DELETION) {
            let key = match HeldArray::of(key) {
                Some(key) => decoded(key.elements()).ok_or_else(wrong)?,
                None => Held::of(key),
            };
            copy_key(&buffer, &mut group, table, &key, 1, TimeZone::default())?;
            continue;
        }
        let row = elements.get("row").and_then(HeldArray::of).ok_or_else(wrong)?;
        let row = decoded(row.elements()).ok_or_else(wrong)?;
        let is_update = elements
            .get(UPDATE)
            .is_some_and(|update| update.dereference().bool() == Some(true));
        // Its moments are wall-clock times already.
        let zone = TimeZone::default();
        match HeldArray::of(&row).filter(|_| is_update) {
            Some(row) => copy_update(buffer, &mut group, row.elements(), table, zone)?,
            None => copy_rows(buffer, &mut group, &row, table, 1, false, zone)?,
        }
    }
    if group.is_empty() {
        return Err(wrong());
    }
    Ok(group)
}

/// A row whose strings are as they were: the dead-letter file marks those that JSON cannot hold.
/// `None`: a column's name is not UTF-8.
fn decoded(row: Elements<'_>) -> Option<Held> {
    let mut copy = ArrayBuilder::new();
    for (name, value) in row.entries() {
        let value = value.dereference();
        let marked = HeldArray::peek(value, binary_of).flatten().map(export::string);
        let marked = marked.or_else(|| date_time_of(&HeldArray::peek(value, date_time_text).flatten()?));
        let value = marked.unwrap_or_else(|| value.shallow_clone());
        match name {
            Key::Name(name) => copy.set(std::str::from_utf8(name).ok()?, value),
            // PHP makes an int of a name such as "5".
            Key::Number(number) => copy.set(&number.to_string(), value),
        }
    }
    Some(Held::new(copy.build()))
}

/// The bytes that an array with nothing but the mark stands for.
fn binary_of(marked: Elements<'_>) -> Option<Vec<u8>> {
    decode_binary(marked_text(marked, BINARY_MARK)?)
}

fn date_time_text(marked: Elements<'_>) -> Option<String> {
    let text = marked_text(marked, DATE_TIME_MARK)?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

fn marked_text<'e>(marked: Elements<'e>, mark: &str) -> Option<&'e [u8]> {
    let is_alone = marked.count() == 1;
    Some(marked.get(mark).filter(|_| is_alone)?.zend_str()?.as_bytes())
}

/// The object that a text was made of.
fn date_time_of(text: &str) -> Option<Zval> {
    let made = call_function("date_create_immutable", [export::string(text)])?;
    made.is_object().then(|| made.shallow_clone())
}
