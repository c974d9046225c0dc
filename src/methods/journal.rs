//! `WriteBuffer\Journal::recover()` and `WriteBuffer\Journal::inspect()`.

use std::path::PathBuf;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};
use write_buffer_core::buffer::journal::inspection;

use crate::buffer::any::recovery;
use crate::buffer::recovering;
use crate::exceptions::{throw_error, throw_flush_error};
use crate::export;
use crate::methods::flush::timeout;
use crate::settings::read::{Given, journal_directory};
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::bailout;
use crate::zend::messages::PendingException;

/// `Journal::recover()`
pub extern "C" fn recover(call: &mut ExecuteData, result: &mut Zval) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = recover_all(call).map(|recovered| *result = recovered);
    });
}

fn recover_all(call: &ExecuteData) -> Result<Zval, PendingException> {
    let mut arguments = Arguments::of(call, 1, 3)?;
    let given = directory(&mut arguments)?;
    let dsn = arguments.text_or_null()?;
    let timeout = timeout(&mut arguments, 3)?;
    let path = journal_directory(given).map_err(throw_error)?;
    let configuration = Given::of_recovery(given, dsn).configuration().map_err(throw_error)?;
    let settings = configuration.settings().map_err(throw_error)?;
    let dsn = configuration.dsn().map_err(throw_error)?;
    if !path.exists() {
        return Ok(export::recovered(&[]));
    }
    let recovery = recovery(dsn, &settings).map_err(throw_error)?;
    let recovered = recovering::run(recovery, timeout).map_err(|failed| throw_flush_error(&failed, 0))?;
    Ok(export::recovered(&recovered))
}

/// `Journal::inspect()`
pub extern "C" fn inspect(call: &mut ExecuteData, result: &mut Zval) {
    bailout::run(|| {
        let _: Result<(), PendingException> = inspect_all(call).map(|inspected| *result = inspected);
    });
}

fn inspect_all(call: &ExecuteData) -> Result<Zval, PendingException> {
    let mut arguments = Arguments::of(call, 1, 1)?;
    let path: PathBuf = journal_directory(directory(&mut arguments)?).map_err(throw_error)?;
    let inspected = inspection::inspect(&path).map_err(throw_error)?;
    Ok(export::inspected(&inspected))
}

fn directory<'call>(arguments: &mut Arguments<'call>) -> Result<&'call [u8], PendingException> {
    let given = arguments.text()?.unwrap_or_default();
    if given.is_empty() {
        return Err(refuse(ce::value_error(), 1, "must not be empty"));
    }
    Ok(given)
}
