//! The methods of the classes: they read arguments, call the engine, and throw. A file has a
//! method, or a few that are like it.
//!
//! Each method begins in [`entry`], which catches panics. Where user code may run in a method, no
//! buffer is borrowed.

pub mod add;
pub mod arguments;
pub mod construct;
pub mod dead_letter_file;
pub mod delete;
pub mod entry;
pub mod find;
pub mod flush;
pub mod group;
pub mod inspect;
pub mod journal;
pub mod memory_sink;
pub mod put_all;
pub mod retry;
pub mod tickets;
