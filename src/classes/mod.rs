//! The classes, interfaces and enums, as `stubs/write_buffer.stub.php` describes them: registered
//! at module start, and read by nobody.

mod buffers;
mod dead_letter_file;
mod enums;
mod exceptions;
mod interfaces;
mod journal;
mod memory_sink;
mod parameters;
mod registration;

use anyhow::Result;

use interfaces::Interface;

/// Registers everything.
///
/// # Errors
///
/// A name that another extension took.
pub fn register() -> Result<()> {
    // The classes name these as their interfaces.
    Interface::Buffer.set(buffers::register_interface()?);
    exceptions::register_interfaces()?;
    exceptions::register_classes()?;
    enums::register()?;
    registration::register(dead_letter_file::class())?;
    journal::register_class()?;
    memory_sink::register_class()?;
    buffers::register_classes()
}
