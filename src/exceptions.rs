//! The exception classes, and from the engine's errors to them: only here are these matched.

use std::ptr;
use std::sync::OnceLock;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Kind, count_rows};

use crate::convert::ConversionError;
use crate::export;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::array::ArrayBuilder;
use crate::zend::bailout;
use crate::zend::classes::Class;
use crate::zend::messages::{PendingException, throw};
use crate::zend::objects;

/// The classes, as they are registered.
pub struct ExceptionClasses {
    /// `WriteBuffer\ConfigException`.
    pub config: Class,
    /// `WriteBuffer\ConnectionException`.
    pub connection: Class,
    /// `WriteBuffer\FullException`.
    pub full: Class,
    /// `WriteBuffer\TooLargeException`.
    pub too_large: Class,
    /// `WriteBuffer\FlushException`.
    pub flush: Class,
    /// `WriteBuffer\RefusedException`.
    pub refused: Class,
    /// `WriteBuffer\BlockedException`.
    pub blocked: Class,
    /// `WriteBuffer\TimeoutException`.
    pub timeout: Class,
    /// `WriteBuffer\ClosedException`.
    pub closed: Class,
}

static CLASSES: OnceLock<ExceptionClasses> = OnceLock::new();

/// The property of a `FlushException` that holds its failures.
pub const FAILURES: &str = "failures";

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
        Kind::Full => (classes.full.0, false),
        Kind::TooLarge => (classes.too_large.0, false),
        Kind::Closed => (classes.closed.0, false),
        Kind::Timeout => (classes.timeout.0, true),
        _ if error.is_connection() => (classes.connection.0, true),
        _ if failed.failures.is_empty() => (classes.blocked.0, true),
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
    let message = arguments.text()?.map(export::string);
    let code = arguments.int()?.map(export::int);
    let previous = arguments.object_or_null(ce::throwable())?.map(Zval::shallow_clone);
    let failures = arguments.array()?.map(Zval::shallow_clone);
    let object = call.This.object().ok_or(PendingException)?;
    let object = ptr::from_ref(object).cast_mut();
    let flush = ExceptionClasses::get().flush.0;
    let properties = [
        (ce::exception(), "message", message),
        (ce::exception(), "code", code),
        (ce::exception(), "previous", previous),
        (flush, FAILURES, failures),
    ];
    for (class, name, value) in properties {
        if let Some(mut value) = value {
            objects::set_property(class, object, name, &mut value);
        }
    }
    Ok(())
}

/// `FlushException::getFailures()`
pub extern "C" fn get_failures(call: &mut ExecuteData, result: &mut Zval) {
    bailout::run(|| {
        if Arguments::none(call).is_err() {
            return;
        }
        let Some(object) = call.get_self() else { return };
        let failures = objects::property(ExceptionClasses::get().flush.0, ptr::from_mut(object), FAILURES);
        *result = match failures {
            Some(failures) if failures.is_array() => failures,
            _ => ArrayBuilder::new().build(),
        };
    });
}
