//! The exception classes, and from the engine's errors to them: only here are these matched.

use std::ptr;
use std::sync::OnceLock;

use ext_php_rs::ffi::zend_object;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ClassEntry, ExecuteData, ce};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::message::clean;
use write_buffer_core::error::{Error, Kind, count_rows};

use crate::convert::ConversionError;
use crate::export;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::ArrayBuilder;
use crate::zend::bailout;
use crate::zend::classes::Class;
use crate::zend::messages::{PendingException, append_to_pending, throw, throw_after_pending};
use crate::zend::objects;

/// The classes, as they are registered.
pub struct ExceptionClasses {
    /// `WriteBuffer\ConfigException`.
    pub config: Class,
    /// `WriteBuffer\ConnectionException`.
    pub connection: Waiting,
    /// `WriteBuffer\FullException`.
    pub full: Class,
    /// `WriteBuffer\TooLargeException`.
    pub too_large: Class,
    /// `WriteBuffer\FlushException`.
    pub flush: Class,
    /// `WriteBuffer\RefusedException`.
    pub refused: Class,
    /// `WriteBuffer\BlockedException`.
    pub blocked: Waiting,
    /// `WriteBuffer\TimeoutException`.
    pub timeout: Waiting,
    /// `WriteBuffer\ClosedException`.
    pub closed: Class,
    /// `WriteBuffer\IncompleteException`.
    pub incomplete: Class,
}

/// A class for what cannot be written now, and the one below it for a synchronous buffer.
pub struct Waiting {
    /// The rows stay buffered.
    pub buffered: Class,
    /// The group was not taken.
    pub dropped: Class,
}

impl Waiting {
    fn of(&self, failed: &FlushError) -> &'static ClassEntry {
        if failed.is_dropped {
            self.dropped.0
        } else {
            self.buffered.0
        }
    }
}

static CLASSES: OnceLock<ExceptionClasses> = OnceLock::new();

/// The property of a `FlushException` that holds its failures.
pub const FAILURES: &str = "failures";

/// The properties of an `IncompleteException`.
pub const TAKEN_ROWS: &str = "takenRows";
/// See [`TAKEN_ROWS`].
pub const TAKEN_GROUPS: &str = "takenGroups";
/// See [`TAKEN_ROWS`].
pub const SKIPPED_ROWS: &str = "skippedRows";
/// See [`TAKEN_ROWS`].
pub const PROCESSED_ROWS: &str = "processedRows";
/// See [`TAKEN_ROWS`].
pub const REASONS: &str = "reasons";

impl ExceptionClasses {
    /// Makes the classes known, at module start.
    pub fn set(self) {
        CLASSES.get_or_init(|| self);
    }

    #[expect(clippy::expect_used, reason = "PHP runs no method of a module that did not start")]
    fn get() -> &'static Self {
        CLASSES.get().expect("the module has started")
    }
}

/// Throws an error that came before a row was taken.
pub fn throw_error(error: Error) -> PendingException {
    throw_flush_error(&error.into(), 0)
}

/// Throws what a flush met. `kept` is the number of rows that stay buffered, for errors that came
/// after rows were taken.
pub fn throw_flush_error(failed: &FlushError, kept: usize) -> PendingException {
    let error = &failed.error;
    let classes = ExceptionClasses::get();
    let (class, taken) = match error.kind() {
        // What interrupted the wait threw already.
        Kind::Interrupted => return PendingException,
        Kind::Config => (classes.config.0, false),
        Kind::Argument => (ce::type_error(), false),
        Kind::Forgotten => (ce::value_error(), false),
        Kind::Full => (classes.full.0, false),
        Kind::TooLarge => (classes.too_large.0, false),
        Kind::Closed => (classes.closed.0, false),
        _ if failed.leaves_doubt() => (classes.refused.0, true),
        Kind::Timeout => (classes.timeout.of(failed), true),
        _ if error.is_connection() => (classes.connection.of(failed), true),
        Kind::GivenUp => (classes.refused.0, true),
        _ if failed.failures.is_empty() => (classes.blocked.of(failed), true),
        _ => (classes.refused.0, true),
    };
    let mut message = error.to_string();
    if taken && kept > 0 {
        message = format!("{message} ({} still buffered)", count_rows(kept));
    }
    let thrown = throw(class, &message, i64::from(error.code()));
    if let Some(exception) = thrown.filter(|_| ptr::eq(class, classes.refused.0)) {
        let mut failures = export::failures(&failed.failures);
        objects::set_property(classes.flush.0, exception, FAILURES, &mut failures);
    }
    PendingException
}

/// What an `IncompleteException` says.
pub struct Incomplete<'r> {
    /// Its message.
    pub message: String,
    /// How many rows were taken.
    pub taken: usize,
    /// In how many groups.
    pub taken_groups: usize,
    /// How many rows were not taken, each for a reason of its own.
    pub skipped: usize,
    /// The first of these reasons, each with the number of its row.
    pub reasons: &'r [(usize, String)],
    /// How many rows of the iterable were taken or skipped, or were none.
    pub processed: usize,
}

impl Incomplete<'_> {
    /// Throws it. What is pending becomes the exception before it.
    pub fn throw(&self, code: u16) -> PendingException {
        let class = ExceptionClasses::get().incomplete.0;
        if let Some(thrown) = throw_after_pending(class, &self.message, i64::from(code)) {
            self.fill(thrown);
        }
        PendingException
    }

    /// Adds it to what is pending, behind all exceptions before that one.
    pub fn append_to_pending(&self) {
        let class = ExceptionClasses::get().incomplete.0;
        append_to_pending(class, &self.message, |appended| self.fill(appended));
    }

    fn fill(&self, exception: *mut zend_object) {
        let mut reasons = ArrayBuilder::new();
        for (number, why) in self.reasons {
            reasons.set_number(
                i64::try_from(*number).unwrap_or(i64::MAX),
                export::string(clean(why).as_bytes()),
            );
        }
        let properties = [
            (TAKEN_ROWS, export::int(self.taken)),
            (TAKEN_GROUPS, export::int(self.taken_groups)),
            (SKIPPED_ROWS, export::int(self.skipped)),
            (REASONS, reasons.build()),
            (PROCESSED_ROWS, export::int(self.processed)),
        ];
        let class = ExceptionClasses::get().incomplete.0;
        for (name, mut value) in properties {
            objects::set_property(class, exception, name, &mut value);
        }
    }
}

/// Throws why a row was not taken.
pub fn throw_conversion_error(error: ConversionError) -> PendingException {
    match error {
        ConversionError::Pending(pending) => pending,
        ConversionError::Type { argument, message } => refuse(ce::type_error(), argument, &message),
        ConversionError::Config(error) => throw_error(error),
    }
}

/// `FlushException::__construct()`: what `Exception`'s takes, and the failures.
pub extern "C" fn construct_flush_exception(call: &mut ExecuteData, _result: &mut Zval) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = set_up_flush_exception(call);
    });
}

fn set_up_flush_exception(call: &ExecuteData) -> Result<(), PendingException> {
    let mut arguments = Arguments::of(call, 0, 4)?;
    let parents = exception_arguments(&mut arguments)?;
    let failures = arguments.array()?.map(Zval::shallow_clone);
    let own = (ExceptionClasses::get().flush.0, FAILURES, failures);
    set_properties(call, parents.into_iter().chain([own]))
}

/// A property of a class, and its value if it was given.
type Given = (&'static ClassEntry, &'static str, Option<Zval>);

/// What `Exception::__construct()` takes.
fn exception_arguments(arguments: &mut Arguments<'_>) -> Result<[Given; 3], PendingException> {
    Ok([
        (ce::exception(), "message", arguments.text()?.map(export::string)),
        (ce::exception(), "code", arguments.int()?.map(export::int)),
        (
            ce::exception(),
            "previous",
            arguments.object_or_null(ce::throwable())?.map(Zval::shallow_clone),
        ),
    ])
}

fn set_properties(call: &ExecuteData, properties: impl Iterator<Item = Given>) -> Result<(), PendingException> {
    let object = call.This.object().ok_or(PendingException)?;
    let object = ptr::from_ref(object).cast_mut();
    for (class, name, value) in properties {
        if let Some(mut value) = value {
            objects::set_property(class, object, name, &mut value);
        }
    }
    Ok(())
}

/// `IncompleteException::__construct()`: what `Exception`'s takes, and what the methods return.
pub extern "C" fn construct_incomplete_exception(call: &mut ExecuteData, _result: &mut Zval) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = set_up_incomplete_exception(call);
    });
}

fn set_up_incomplete_exception(call: &ExecuteData) -> Result<(), PendingException> {
    let mut arguments = Arguments::of(call, 0, 8)?;
    let parents = exception_arguments(&mut arguments)?;
    let class = ExceptionClasses::get().incomplete.0;
    let own = [
        (class, TAKEN_ROWS, arguments.int()?.map(export::int)),
        (class, SKIPPED_ROWS, arguments.int()?.map(export::int)),
        (class, REASONS, arguments.array()?.map(Zval::shallow_clone)),
        (class, TAKEN_GROUPS, arguments.int()?.map(export::int)),
        (class, PROCESSED_ROWS, arguments.int()?.map(export::int)),
    ];
    set_properties(call, parents.into_iter().chain(own))
}

/// `IncompleteException::getTakenRows()`
pub extern "C" fn get_taken_rows(call: &mut ExecuteData, result: &mut Zval) {
    get_number(call, result, TAKEN_ROWS);
}

/// `IncompleteException::getTakenGroups()`
pub extern "C" fn get_taken_groups(call: &mut ExecuteData, result: &mut Zval) {
    get_number(call, result, TAKEN_GROUPS);
}

/// `IncompleteException::getSkippedRows()`
pub extern "C" fn get_skipped_rows(call: &mut ExecuteData, result: &mut Zval) {
    get_number(call, result, SKIPPED_ROWS);
}

/// `IncompleteException::getProcessedRows()`
pub extern "C" fn get_processed_rows(call: &mut ExecuteData, result: &mut Zval) {
    get_number(call, result, PROCESSED_ROWS);
}

/// `IncompleteException::getReasons()`
pub extern "C" fn get_reasons(call: &mut ExecuteData, result: &mut Zval) {
    get(
        call,
        result,
        ExceptionClasses::get().incomplete,
        REASONS,
        Zval::is_array,
        || ArrayBuilder::new().build(),
    );
}

fn get_number(call: &mut ExecuteData, result: &mut Zval, name: &str) {
    get(
        call,
        result,
        ExceptionClasses::get().incomplete,
        name,
        Zval::is_long,
        || export::int(0),
    );
}

/// What a getter without arguments returns: a property, or `otherwise` if it was never set.
fn get(
    call: &mut ExecuteData,
    result: &mut Zval,
    class: Class,
    name: &str,
    is_set: impl FnOnce(&Zval) -> bool,
    otherwise: impl FnOnce() -> Zval,
) {
    bailout::run(|| {
        if Arguments::none(call).is_err() {
            return;
        }
        let Some(object) = call.get_self() else { return };
        let value = objects::property(class.0, ptr::from_mut(object), name);
        *result = value.filter(|value| is_set(value)).unwrap_or_else(otherwise);
    });
}

/// `FlushException::getFailures()`
pub extern "C" fn get_failures(call: &mut ExecuteData, result: &mut Zval) {
    get(
        call,
        result,
        ExceptionClasses::get().flush,
        FAILURES,
        Zval::is_array,
        || ArrayBuilder::new().build(),
    );
}
