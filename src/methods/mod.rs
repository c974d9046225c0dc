//! The methods of the classes: they parse arguments, call the engine, and throw. A file for each method, or for a few
//! alike.

pub mod add;
pub mod arguments;
pub mod construct;
pub mod entry;
pub mod find;
pub mod flush;
pub mod inspect;
pub mod memory_sink;
pub mod retry;
