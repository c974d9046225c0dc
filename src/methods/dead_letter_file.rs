//! `WriteBuffer\DeadLetterFile::retry()`: the groups of a dead-letter file, put back and written.
//!
//! A chunk of lines at a time is noted as begun, put back, waited for, and noted as done: see
//! [`RetryFile`]. So at most one chunk is uncertain after a kill.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::dead_letter::line::json_line;
use write_buffer_core::dead_letter::retry::{RetryFile, uncertain};
use write_buffer_core::dead_letter::{DeadLetter, FlushError};
use write_buffer_core::error::{Error, Kind};

use crate::buffer::object::Handle;
use crate::buffer::state::State;
use crate::buffer::wait;
use crate::convert::ConversionError;
use crate::exceptions::throw_flush_error;
use crate::export;
use crate::methods::entry::kept_rows;
use crate::methods::retry::{gather, id_of, is_taken};
use crate::process::fork;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::HeldArray;
use crate::zend::bailout;
use crate::zend::callable::call_function;
use crate::zend::messages::PendingException;
use crate::zend::values::Held;

/// So many lines are put back at once.
const LINES_AT_ONCE: usize = 100;

/// `DeadLetterFile::retry()`
pub extern "C" fn retry(call: &mut ExecuteData, result: &mut Zval) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = retry_file(call).map(|written| *result = export::int(written));
    });
}

fn retry_file(call: &ExecuteData) -> Result<usize, PendingException> {
    let mut arguments = Arguments::of(call, 2, 2)?;
    let buffer = arguments.value();
    let path = arguments.text()?.unwrap_or_default();
    let Some(buffer) = buffer.and_then(Handle::of_argument) else {
        let message = "must be a WriteBuffer or a SyncWriteBuffer; for buffers of Laravel there is \
                       `php artisan write-buffer:failed --retry`";
        return Err(refuse(ce::type_error(), 1, message));
    };
    buffer.with(State::notice_fork);
    let throw = |failed: &FlushError| throw_flush_error(failed, kept_rows(buffer));
    if buffer.with(|state| state.is_closed) {
        return Err(throw(&Error::closed().into()));
    }
    let opened = RetryFile::open(Path::new(OsStr::from_bytes(path)));
    match opened.map_err(|error| throw(&error.into()))? {
        Some(file) => put_back_all(buffer, file).map_err(|failed| throw(&failed)),
        None => Ok(0),
    }
}

/// What became of a line.
enum Fate {
    /// It is in the buffer.
    Taken(u64),
    /// It is not. It goes back into the file so.
    Back(Vec<u8>),
    /// It was given up once more, and nothing but this says so.
    Refused(DeadLetter),
    /// It was given up once more, and the buffer's own file has it.
    Kept,
    Committed,
}

/// Puts back all groups of the file, and waits for them. Returns how many were committed.
fn put_back_all(buffer: Handle<'_>, mut file: RetryFile) -> Result<usize, FlushError> {
    // Then the buffer writes what it gives up there. In two files it could be put back twice.
    let keeps_itself = buffer.with(|state| state.configuration.engine.dead_letter_file.is_some());
    let generation = fork::fork_generation();
    file.give_back_uncertain()?;
    let mut written = 0;
    loop {
        let lines = file.next(LINES_AT_ONCE).to_vec();
        if lines.is_empty() {
            file.finish()?;
            return Ok(written);
        }
        file.begin(lines.len())?;
        let (fates, mut stopped) = put_back(buffer, &lines);
        let mut back: Vec<Vec<u8>> = Vec::new();
        let placed = fates.len();
        for (fate, line) in fates.into_iter().zip(&lines) {
            let fate = match fate {
                Fate::Taken(ticket) => settled(buffer, ticket, line, keeps_itself, &mut stopped),
                fate => fate,
            };
            match fate {
                Fate::Committed => written += 1,
                Fate::Kept => {}
                Fate::Refused(letter) => back.push(json_line(&letter).trim_ascii_end().to_vec()),
                Fate::Back(line) => back.push(line),
                // It is in the buffer, which may write it later.
                Fate::Taken(_) => back.push(uncertain(line)),
            }
        }
        if fork::fork_generation() != generation {
            let why = "this process was forked amid the retry of a dead-letter file, which its parent goes on with";
            return Err(Error::config(why).into());
        }
        file.give_back(&back)?;
        file.done(placed)?;
        if let Some(failed) = stopped {
            give_back_rest(file)?;
            return Err(failed);
        }
    }
}

/// Gives back what was not begun.
fn give_back_rest(mut file: RetryFile) -> Result<(), FlushError> {
    let rest = file.next(usize::MAX).to_vec();
    // If it is killed amid this, lines that are in both files must not be put back twice.
    file.begin(rest.len())?;
    file.give_back(&rest)?;
    file.done(rest.len())?;
    Ok(file.finish()?)
}

/// Puts groups back, as far as they fit. Returns what became of the first ones, and why there is no
/// use in going on.
fn put_back(buffer: Handle<'_>, lines: &[Vec<u8>]) -> (Vec<Fate>, Option<FlushError>) {
    let mut fates = Vec::with_capacity(lines.len());
    for line in lines {
        match put_back_line(buffer, line) {
            Ok(fate) => fates.push(fate),
            Err(failed)
                if failed.error.kind() == Kind::Full && fates.iter().any(|fate| matches!(fate, Fate::Taken(_))) =>
            {
                // There is room once those before it are written.
                return (fates, None);
            }
            Err(failed) => return (fates, Some(failed)),
        }
    }
    (fates, None)
}

/// Puts a line's group back.
///
/// # Errors
///
/// It was not taken, and no other one would be.
fn put_back_line(buffer: Handle<'_>, line: &[u8]) -> Result<Fate, FlushError> {
    let stays = || Ok(Fate::Back(line.to_vec()));
    let Some(failure) = decoded(line) else {
        return stays();
    };
    let generation = fork::fork_generation();
    let group = match gather(buffer, 0, &failure) {
        Ok(group) => group,
        Err(ConversionError::Pending(_)) => return Err(Error::interrupted().into()),
        Err(_) => return stays(),
    };
    let id = HeldArray::peek(&failure, id_of).flatten();
    if id
        .as_ref()
        .is_some_and(|id| !buffer.with(|state| state.put_back.enter(id)))
    {
        // By retry(), and nobody has said what became of it.
        return Ok(Fate::Back(uncertain(line)));
    }
    let failed = match wait::add(buffer, group, generation) {
        Ok(ticket) => return Ok(Fate::Taken(ticket)),
        Err(failed) => failed,
    };
    let is_sync = buffer.with(|state| state.is_sync());
    if is_taken(buffer, &failed.error) {
        return Ok(if is_sync {
            Fate::Back(uncertain(line))
        } else {
            // What the flush met that it made due is no matter of this group.
            Fate::Taken(buffer.with(|state| state.last_ticket))
        });
    }
    if let Some(id) = id {
        buffer.with(|state| state.put_back.take_back(&id));
    }
    match failed.error.kind() {
        Kind::Config | Kind::Argument | Kind::TooLarge => stays(),
        _ => match failed.failures.first() {
            Some(letter) if is_sync => Ok(Fate::Refused(letter.clone())),
            _ => Err(failed),
        },
    }
}

/// Waits for a group. Whatever it does not know of it stays what it was.
fn settled(buffer: Handle<'_>, ticket: u64, line: &[u8], keeps_itself: bool, stopped: &mut Option<FlushError>) -> Fate {
    if stopped.is_some() && !buffer.with(|state| state.buffer.is_settled(ticket)) {
        return Fate::Taken(ticket);
    }
    match wait::wait_for(buffer, ticket, None) {
        Ok(true) => Fate::Committed,
        Ok(false) => Fate::Taken(ticket),
        Err(failed) => match failed.failures.first() {
            Some(_) if keeps_itself => Fate::Kept,
            Some(letter) => Fate::Refused(letter.clone()),
            // It was given up, and its failure is not held: there were too many, or somebody has
            // taken it, and may put it back.
            None if buffer.with(|state| state.buffer.is_settled(ticket)) => {
                if keeps_itself {
                    Fate::Kept
                } else {
                    Fate::Back(uncertain(line))
                }
            }
            None => {
                *stopped = Some(failed);
                Fate::Taken(ticket)
            }
        },
    }
}

/// A line as PHP's `json_decode()` reads it. `None`: it is no whole line.
fn decoded(line: &[u8]) -> Option<Held> {
    let mut is_associative = Zval::new();
    is_associative.set_bool(true);
    let decoded = call_function("json_decode", [export::string(line), is_associative])?;
    decoded.is_array().then_some(decoded)
}
