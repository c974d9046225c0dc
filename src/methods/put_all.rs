//! `Buffer::putAll()`: rows that come one by one, each as a group of its own.
//!
//! A row is taken before the next one is asked for. One that is not taken is skipped, with the
//! reason. An error that is no row's own ends the call.
//!
//! Bounds: one row is held, and [`REASONS_MAX`] reasons.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::message::bounded;
use write_buffer_core::error::{Error, Kind, count_rows};
use write_buffer_core::table::entry::TableId;

use crate::buffer::group;
use crate::buffer::object::Handle;
use crate::buffer::state::State;
use crate::convert::ConversionError;
use crate::convert::moments::TimeZone;
use crate::convert::rows::Converter;
use crate::exceptions::{Incomplete, throw_error, throw_flush_error};
use crate::export;
use crate::methods::arguments::{table, time_zone};
use crate::methods::entry::{kept_rows, with_buffer};
use crate::methods::retry::is_taken;
use crate::process::fork;
use crate::zend::arguments::Arguments;
use crate::zend::array::HeldArray;
use crate::zend::callable::Callable;
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::objects::HeldObject;

/// `$progress` is called after so many rows.
const ROWS_A_CALL: usize = 1_000;
/// So many reasons of rows that were skipped are kept.
const REASONS_MAX: usize = 100;
/// The length of a reason, in bytes.
const REASON_BYTES: usize = 1_000;

/// `Buffer::putAll()`
pub extern "C" fn put_all(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 3)?;
        let name = arguments.text()?.unwrap_or_default();
        let rows = arguments.iterable()?;
        let progress = arguments.callable_or_null()?;
        if buffer.with(|state| state.is_closed) {
            return Err(throw_error(Error::closed()));
        }
        let table = table(buffer, name).map_err(throw_error)?;
        let mut import = Import {
            buffer,
            table,
            progress,
            zone: time_zone(buffer),
            tally: Tally::default(),
        };
        let ended = rows.map_or(Ok(()), |rows| import.run(rows));
        *result = export::int(import.tally.finish(buffer, ended)?);
        Ok(())
    });
}

/// A call of `putAll()`.
struct Import<'call> {
    buffer: Handle<'call>,
    table: TableId,
    progress: Option<Callable<'call>>,
    zone: TimeZone,
    tally: Tally,
}

/// What became of the rows.
#[derive(Default)]
struct Tally {
    /// How many values came.
    read: usize,
    /// How many of these were taken or skipped, or were no row: whoever goes on leaves them out.
    processed: usize,
    /// How many rows were taken. A model without a change is none.
    taken: usize,
    skipped: usize,
    /// Why the first ones were skipped, each with its number from 1.
    reasons: Vec<(usize, String)>,
    /// The first flush that gave rows up, and how many did.
    refused: Option<FlushError>,
    refusals: usize,
}

/// Why a call ends before its rows do.
enum End {
    /// PHP code threw, or the request is ending.
    Thrown,
    /// An error that is no row's own.
    Error(FlushError),
}

impl From<PendingException> for End {
    fn from(_: PendingException) -> Self {
        Self::Thrown
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Error(error.into())
    }
}

impl Import<'_> {
    /// Takes all rows. User code may run.
    fn run(&mut self, rows: &Zval) -> Result<(), End> {
        if let Some(array) = HeldArray::of(rows) {
            for row in array.elements().values() {
                self.row(row)?;
                // What a row has let go may throw when it ends.
                if exception_is_pending() {
                    return Err(End::Thrown);
                }
            }
        } else if let Some(object) = HeldObject::of(rows) {
            let iteration = object.iterate();
            let Some(mut iteration) = iteration.filter(|_| !exception_is_pending()) else {
                return Err(End::Thrown);
            };
            while let Some(row) = iteration.next_value()? {
                self.row(&row)?;
            }
        }
        // What ended with the last row may have thrown.
        if exception_is_pending() {
            return Err(End::Thrown);
        }
        if !self.tally.read.is_multiple_of(ROWS_A_CALL) {
            self.report()?;
        }
        Ok(())
    }

    fn row(&mut self, row: &Zval) -> Result<(), End> {
        self.tally.read += 1;
        self.take(row)?;
        if self.tally.read.is_multiple_of(ROWS_A_CALL) {
            self.report()?;
        }
        Ok(())
    }

    /// Takes a row, or skips it.
    fn take(&mut self, row: &Zval) -> Result<(), End> {
        let buffer = self.buffer;
        // A call further up the stack has taken the scratch memory already.
        let mut group = buffer.with(State::take_scratch);
        let generation = fork::fork_generation();
        let mut converter = Converter {
            tables: &buffer,
            group: &mut group,
            argument: 2,
            table: self.table,
            zone: std::mem::take(&mut self.zone),
        };
        let outcome = converter.convert_row(row);
        self.zone = converter.zone;
        match outcome {
            Ok(()) => {}
            Err(ConversionError::Pending(_)) => return Err(End::Thrown),
            Err(ConversionError::Type { message, .. }) => {
                // What follows the parameter's name in an exception.
                let why = message.strip_prefix("must be a list of rows: ");
                let why = why.or_else(|| message.strip_prefix("has a wrong value: "));
                return self.skip(why.unwrap_or(&message));
            }
            Err(ConversionError::Config(error)) => return self.not_taken(error.into()),
        }
        let rows = group.len();
        match group::add_patiently(buffer, group, generation) {
            Ok(_) => {
                self.tally.note_taken(rows);
                Ok(())
            }
            Err(failed) if !was_taken(buffer, &failed.error) => self.not_taken(failed),
            Err(failed) => {
                self.tally.note_taken(rows);
                if failed.failures.is_empty() {
                    return Err(End::Error(failed));
                }
                // The flush that the row made due gave rows up, and wrote all others.
                self.tally.refusals += 1;
                self.tally.refused.get_or_insert(failed);
                Ok(())
            }
        }
    }

    /// A row was not taken: because of itself, or for a reason that ends the call.
    fn not_taken(&mut self, failed: FlushError) -> Result<(), End> {
        let is_its_own = match failed.error.kind() {
            Kind::Config | Kind::Argument => true,
            // A group that is full takes no other row either.
            Kind::TooLarge => !group::is_open(self.buffer),
            // A synchronous buffer keeps nothing that the server refuses.
            _ => !failed.error.is_connection() && !failed.failures.is_empty(),
        };
        match failed.error.kind() {
            Kind::Interrupted => Err(End::Thrown),
            _ if is_its_own => self.skip(&failed.error.to_string()),
            _ => Err(End::Error(failed)),
        }
    }

    /// Notes why a row was not taken.
    #[expect(clippy::unnecessary_wraps, reason = "the next row follows")]
    fn skip(&mut self, why: &str) -> Result<(), End> {
        let tally = &mut self.tally;
        tally.skipped += 1;
        tally.processed = tally.read;
        if tally.reasons.len() < REASONS_MAX {
            tally
                .reasons
                .push((tally.read, bounded(why, REASON_BYTES).into_owned()));
        }
        Ok(())
    }

    /// Tells the caller how many rows were taken. User code runs.
    fn report(&mut self) -> Result<(), End> {
        let taken = export::int(self.tally.taken);
        match &mut self.progress {
            Some(progress) => progress.call_with(taken).map(drop).ok_or(End::Thrown),
            None => Ok(()),
        }
    }
}

/// Whether an error came after its rows were taken.
fn was_taken(buffer: Handle<'_>, error: &Error) -> bool {
    !buffer.with(|state| state.is_sync()) && is_taken(buffer, error)
}

impl Tally {
    /// The last value was taken.
    fn note_taken(&mut self, rows: usize) {
        self.taken += rows;
        self.processed = self.read;
    }

    /// How many rows were taken: all of them.
    fn finish(self, buffer: Handle<'_>, ended: Result<(), End>) -> Result<usize, PendingException> {
        let kept = kept_rows(buffer);
        let cause = match ended {
            Err(End::Thrown) => {
                if self.skipped > 0 {
                    self.incomplete("the rest was not read").append_to_pending();
                }
                return Err(PendingException);
            }
            Err(End::Error(failed)) => Some(failed),
            Ok(()) => None,
        };
        let is_whole = self.skipped == 0 && (cause.is_none() || self.taken == 0);
        if is_whole {
            let refused = self.refused.as_ref().map(|failed| self.told(failed));
            return match cause.or(refused) {
                Some(failed) => Err(throw_flush_error(&failed, kept)),
                None => Ok(self.taken),
            };
        }
        let words = match &cause {
            Some(failed) => format!("row {} ended it: {}", self.read, failed.error),
            None => format!("{} were read", count_rows(self.read)),
        };
        let incomplete = self.incomplete(&words);
        let code = cause.as_ref().map_or(0, |failed| failed.error.code());
        if let Some(failed) = cause.as_ref().or(self.refused.as_ref()) {
            throw_flush_error(failed, kept);
        }
        Err(incomplete.throw(code))
    }

    /// The error of the first flush that gave rows up, which speaks of all of them.
    fn told(&self, failed: &FlushError) -> FlushError {
        let mut told = failed.clone();
        let more = self.refusals - 1;
        if more > 0 {
            told.error = told
                .error
                .context(&format!("{more} more flushes gave rows up; the first one"));
        }
        told
    }

    fn incomplete(&self, words: &str) -> Incomplete<'_> {
        let mut message = format!("putAll() took {}; {words}", count_rows(self.taken));
        if let Some((number, why)) = self.reasons.first() {
            let skipped = count_rows(self.skipped);
            message = format!("{message}; {skipped} skipped, the first was row {number}: {why}");
        }
        Incomplete {
            message,
            taken: self.taken,
            taken_groups: self.taken,
            skipped: self.skipped,
            reasons: &self.reasons,
            processed: self.processed,
        }
    }
}
