//! The enums: the words of settings and rules, as PHP's cases.

use anyhow::Result;
use ext_php_rs::builders::EnumBuilder;
use ext_php_rs::flags::ClassFlags;

use crate::settings::words::{JOURNAL_SYNC, LEDGER, MERGE, MODE, OVERFLOW, Words};

/// Registers them.
///
/// # Errors
///
/// A name that another extension took.
pub fn register() -> Result<()> {
    register_enum(&OVERFLOW)?;
    register_enum(&LEDGER)?;
    register_enum(&JOURNAL_SYNC)?;
    register_enum(&MODE)?;
    register_enum(&MERGE)
}

fn register_enum<T>(words: &'static Words<T>) -> Result<()> {
    let mut builder = EnumBuilder::new(words.enum_name);
    for word in words.all {
        builder = builder.case(&word.case);
    }
    builder
        // It has no methods but PHP's own, so no arguments that were to be kept. PHP makes the
        // enums of scripts final, and leaves that to an extension.
        .registration(|class, _arguments| class.ce_flags |= ClassFlags::Final.bits())
        .register()
        .map_err(|error| anyhow::anyhow!("cannot register an enum: {error}"))
}
