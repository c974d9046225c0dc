//! `WriteBuffer\DeadLetterFile::retry()`: the groups of a dead-letter file, put back and written.
//!
//! A chunk of lines at a time is noted as begun, put back, waited for, and noted as done: see
//! [`RetryFile`]. So at most one chunk is uncertain after a kill. What the buffer cannot write now
//! it holds, and the file stays until it has: see [`crate::buffer::open_retries`].

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::dead_letter::retry::{RetryFile, uncertain};
use write_buffer_core::error::{Error, Kind};

use crate::buffer::object::Handle;
use crate::buffer::open_retries::{LineEnd, OpenLine, OpenRetry};
use crate::buffer::state::State;
use crate::buffer::wait::{self, refuses};
use crate::convert::ConversionError;
use crate::exceptions::{Incomplete, throw_flush_error};
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
    if decoded(b"[]").is_none() {
        let why =
            "DeadLetterFile::retry() needs PHP's json_decode(), which is not there: see php.ini's disable_functions";
        return Err(throw(&Error::config(why).into()));
    }
    let mut call = Call::of(buffer);
    match call.retry(Path::new(OsStr::from_bytes(path))) {
        Ok(()) => Ok(call.written),
        Err(failed) => {
            let pending = throw(&failed);
            Err(call.incomplete(&failed).unwrap_or(pending))
        }
    }
}

/// What became of a line.
enum Fate {
    /// It is in the buffer.
    Taken(u64),
    Ended(LineEnd),
}

/// A call of `retry()`.
struct Call<'b> {
    buffer: Handle<'b>,
    /// The buffer writes what it gives up into a file of its own.
    keeps_itself: bool,
    generation: u64,
    /// The ids of the groups that this call has put back: none is put back twice.
    put_back: HashSet<Box<[u8]>>,
    /// The lines that this call has given back, and the ids of the groups that were given up
    /// meanwhile. It does first what a killed call has left, then the file itself, and does not
    /// put back there once more what it has just given back into it.
    given_back: HashSet<Box<[u8]>>,
    /// How many groups were committed.
    written: usize,
    /// How many groups this call has put back, and their rows.
    taken: usize,
    taken_rows: usize,
}

impl<'b> Call<'b> {
    fn of(buffer: Handle<'b>) -> Self {
        Self {
            buffer,
            keeps_itself: buffer.with(|state| state.configuration.engine.dead_letter_file.is_some()),
            generation: fork::fork_generation(),
            put_back: HashSet::new(),
            given_back: HashSet::new(),
            written: 0,
            taken: 0,
            taken_rows: 0,
        }
    }

    fn retry(&mut self, path: &Path) -> Result<(), FlushError> {
        let source = RetryFile::source_of(path)?;
        if let Some(open) = self.buffer.with(|state| state.retries.take_of(&source)) {
            self.end_open(open)?;
        }
        while let Some(file) = RetryFile::open(path)? {
            let is_left_over = file.is_left_over();
            self.put_back_all(file)?;
            if !is_left_over {
                break;
            }
        }
        Ok(())
    }

    /// Throws that groups were put back, if what is pending says that nothing was taken.
    fn incomplete(&self, failed: &FlushError) -> Option<PendingException> {
        let is_parent = fork::fork_generation() == self.generation;
        let says_so = failed.error.kind() != Kind::Interrupted && refuses(failed.error.kind());
        if !is_parent || !says_so || self.taken == 0 {
            return None;
        }
        let groups = if self.taken == 1 { "group" } else { "groups" };
        let incomplete = Incomplete {
            message: format!(
                "DeadLetterFile::retry() put back {} {groups}; then: {}",
                self.taken, failed.error
            ),
            taken: self.taken_rows,
            taken_groups: self.taken,
            skipped: 0,
            reasons: &[],
            processed: 0,
        };
        Some(incomplete.throw(failed.error.code()))
    }

    /// Waits for groups that an earlier call has left in the buffer.
    fn end_open(&mut self, mut open: OpenRetry) -> Result<(), FlushError> {
        let mut stopped = None;
        let (lines, file) = (&open.lines, &open.file);
        let mut ends: VecDeque<LineEnd> = lines
            .iter()
            .map(|line| self.settled(line.ticket, file.line(line.at), &mut stopped))
            .collect();
        self.refuse_fork()?;
        let ended = open.settle(|_, _| ends.pop_front().unwrap_or(LineEnd::Open));
        if !open.lines.is_empty() {
            self.buffer.with(|state| state.retries.enter(open));
            self.written += ended?;
            return stopped.map_or(Ok(()), Err);
        }
        self.written += ended?;
        Ok(open.file.finish()?)
    }

    /// Puts back all groups of a file, and waits for them.
    fn put_back_all(&mut self, mut file: RetryFile) -> Result<(), FlushError> {
        file.give_back_uncertain()?;
        loop {
            let lines = file.next(LINES_AT_ONCE).to_vec();
            if lines.is_empty() {
                return Ok(file.finish()?);
            }
            let first = file.position();
            file.begin(lines.len())?;
            let (fates, mut stopped) = self.put_back(&lines);
            let placed = fates.len();
            let (mut back, mut open): (Vec<Vec<u8>>, Vec<OpenLine>) = (Vec::new(), Vec::new());
            for (at, (fate, line)) in (first..).zip(fates.into_iter().zip(&lines)) {
                let end = match fate {
                    Fate::Taken(ticket) => match self.settled(ticket, line, &mut stopped) {
                        LineEnd::Open => {
                            open.push(OpenLine { at, ticket });
                            continue;
                        }
                        end => end,
                    },
                    Fate::Ended(end) => end,
                };
                match end {
                    LineEnd::Committed => self.written += 1,
                    LineEnd::Back(line) => back.push(line),
                    LineEnd::Kept | LineEnd::Open => {}
                }
            }
            self.refuse_fork()?;
            file.give_back(&back)?;
            self.given_back.extend(back.into_iter().map(Vec::into_boxed_slice));
            let Some(failed) = stopped else {
                file.done(placed)?;
                continue;
            };
            return Err(self.stop(file, first, placed, open, failed)?);
        }
    }

    /// Leaves a file: gives back what was not put back, and lets the buffer hold the rest. Returns
    /// why.
    fn stop(
        &self,
        mut file: RetryFile,
        first: usize,
        placed: usize,
        open: Vec<OpenLine>,
        failed: FlushError,
    ) -> Result<FlushError, FlushError> {
        let mut from = first;
        for line in &open {
            file.settled(from..line.at)?;
            from = line.at + 1;
        }
        file.settled(from..first + placed)?;
        file.give_back_rest(first + placed)?;
        if open.is_empty() {
            file.finish()?;
        } else {
            let open = OpenRetry { file, lines: open };
            self.buffer.with(|state| state.retries.enter(open));
        }
        Ok(failed)
    }

    fn refuse_fork(&self) -> Result<(), FlushError> {
        if fork::fork_generation() == self.generation {
            return Ok(());
        }
        let why = "this process was forked amid the retry of a dead-letter file, which its parent goes on with";
        Err(Error::config(why).into())
    }

    /// Puts groups back, as far as they fit. Returns what became of the first ones, and why there
    /// is no use in going on.
    fn put_back(&mut self, lines: &[Vec<u8>]) -> (Vec<Fate>, Option<FlushError>) {
        let mut fates = Vec::with_capacity(lines.len());
        for line in lines {
            match self.put_back_line(line) {
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
    fn put_back_line(&mut self, line: &[u8]) -> Result<Fate, FlushError> {
        let back = |line: Vec<u8>| Ok(Fate::Ended(LineEnd::Back(line)));
        let buffer = self.buffer;
        let Some(failure) = decoded(line) else {
            return back(line.to_vec());
        };
        let id = HeldArray::peek(&failure, |failure| id_of(failure).ok().flatten()).flatten();
        let is_given_back = |what: &[u8]| self.given_back.contains(what);
        if is_given_back(line) || id.as_deref().is_some_and(is_given_back) {
            return back(line.to_vec());
        }
        let group = match gather(buffer, 0, &failure) {
            Ok(group) => group,
            Err(ConversionError::Pending(_)) => return Err(Error::interrupted().into()),
            Err(_) => return back(line.to_vec()),
        };
        if let Some(id) = &id
            && (self.put_back.contains(id) || !buffer.with(|state| state.put_back.enter(id)))
        {
            // By this call, which has said what became of it, or by retry(), and nobody has.
            return back(uncertain(line));
        }
        let rows = group.len();
        let failed = match wait::add(buffer, group, self.generation) {
            Ok(ticket) => {
                self.took(rows);
                self.put_back.extend(id);
                return Ok(Fate::Taken(ticket));
            }
            Err(failed) => failed,
        };
        let is_sync = buffer.with(|state| state.is_sync());
        if is_taken(buffer, &failed.error) {
            self.put_back.extend(id);
            return if is_sync {
                back(uncertain(line))
            } else {
                // What the flush met that it made due is no matter of this group.
                self.took(rows);
                Ok(Fate::Taken(buffer.with(|state| state.last_ticket)))
            };
        }
        if let Some(id) = id {
            buffer.with(|state| state.put_back.take_back(&id));
        }
        match failed.error.kind() {
            Kind::Config | Kind::Argument | Kind::TooLarge => back(line.to_vec()),
            _ if is_sync && !failed.failures.is_empty() => {
                Ok(Fate::Ended(LineEnd::of_settled(Err(failed), line, false)))
            }
            _ => Err(failed),
        }
    }

    fn took(&mut self, rows: usize) {
        self.taken += 1;
        self.taken_rows += rows;
    }

    /// Waits for a group. Whatever it does not know of it stays what it was.
    fn settled(&mut self, ticket: u64, line: &[u8], stopped: &mut Option<FlushError>) -> LineEnd {
        let is_settled = || self.buffer.with(|state| state.buffer.is_settled(ticket));
        if stopped.is_some() && !is_settled() {
            return LineEnd::Open;
        }
        let fate = match wait::wait_for(self.buffer, ticket, None) {
            Ok(true) => Ok(()),
            // The ticket is the parent's.
            Ok(false) => return LineEnd::Back(uncertain(line)),
            Err(failed) if failed.failures.is_empty() && !is_settled() => {
                *stopped = Some(failed);
                return LineEnd::Open;
            }
            Err(failed) => Err(failed),
        };
        if let Some(letter) = fate
            .as_ref()
            .err()
            .and_then(|failed: &FlushError| failed.failures.first())
        {
            self.given_back.insert(letter.id.as_bytes().into());
        }
        LineEnd::of_settled(fate, line, self.keeps_itself)
    }
}

/// A line as PHP's `json_decode()` reads it. `None`: it is no whole line.
fn decoded(line: &[u8]) -> Option<Held> {
    let mut is_associative = Zval::new();
    is_associative.set_bool(true);
    let decoded = call_function("json_decode", [export::string(line), is_associative])?;
    decoded.is_array().then_some(decoded)
}
