//! Registering a class with PHP.

use std::cell::RefCell;

use anyhow::{Context, Result};
use ext_php_rs::args::ArgInfoTables;
use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ClassEntry, ExecuteData};
use parking_lot::Mutex;

/// A method, as PHP calls it.
pub type Handler = extern "C" fn(&mut ExecuteData, &mut Zval);

/// PHP reads the methods' argument tables for as long as the process lives.
static ARGUMENT_TABLES: Mutex<Vec<ArgumentTables>> = Mutex::new(Vec::new());

struct ArgumentTables(#[expect(dead_code, reason = "held for PHP, never read back")] ArgInfoTables);

// SAFETY: the tables are only kept.
unsafe impl Send for ArgumentTables {}

thread_local! {
    /// Where the builder leaves a class for the code that asked for it.
    static NEW_CLASS: RefCell<Option<&'static mut ClassEntry>> = const { RefCell::new(None) };
}

/// Registers a class.
///
/// # Errors
///
/// A name that another extension took.
pub fn register(builder: ClassBuilder) -> Result<&'static mut ClassEntry> {
    builder
        .registration(|class, tables| {
            ARGUMENT_TABLES.lock().push(ArgumentTables(tables));
            NEW_CLASS.set(Some(class));
        })
        .register()
        .map_err(|error| anyhow::anyhow!("cannot register a class: {error}"))?;
    NEW_CLASS.take().context("a class was not registered")
}
