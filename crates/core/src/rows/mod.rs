//! Rows on their way: a group is one `add()`, a batch is the log of groups that wait together.
//!
//! A batch keeps every row as it was given, in order. Coalescing happens when the batch is written
//! ([`crate::plan::coalesce`]), so that taking a row is a copy and nothing else, and a batch can be written without one of its
//! groups: what the others make of the table never depends on it.

pub mod arena;
pub mod batch;
pub mod group;
