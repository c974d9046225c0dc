//! Owns what a table is: its name, the rules configured for it, what the server says of it, and
//! these bound together.
//!
//! Invariants:
//! - A [`model::TableModel`] exists only for rules that the table can keep.
//! - Two key forms have equal bytes if and only if the server sees equal keys ([`mod@column`]).
//!   Keys that the server itself makes are an exception: 0 in an `AUTO_INCREMENT` column.
//! - Nothing here reads a clock, or does I/O. The only locks are those of a table's model and of a
//!   shape's binding, held to copy a pointer.
//!
//! Bounds of a buffer: 1,000 tables, 1,000 remembered column sets, 4,096 columns in a row
//! ([`catalog`]); 64 characters in a name ([`name`]).

pub mod bound;
pub mod catalog;
pub mod column;
pub mod deletion;
pub mod domain;
pub mod entry;
pub mod guarded;
pub mod model;
pub mod name;
pub mod name_charset;
pub mod rules;
pub mod schema;
pub mod shape;
pub mod shared_update;
pub mod trigger;
pub mod words;
