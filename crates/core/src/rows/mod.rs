//! Owns rows on their way: a [`group`] is one `add()`, a [`batch`] is the log of groups that wait
//! together, an [`arena`] holds their bytes.
//!
//! Why a log that is coalesced late? A batch keeps every row as it was added, in order, and is
//! coalesced when it is written ([`crate::plan::coalesce`]). So:
//! - `add()` is a copy. It needs no key, no schema and no hash, so nobody waits while a background
//!   thread reads the schema.
//! - A batch can be written without one of its groups, by planning the others anew. Finding a group
//!   at fault needs that.
//!
//! The price is memory: a row that is overwritten a hundred times waits a hundred times, within
//! `maxPendingRows` and `maxPendingBytes`. Counters count rows as they were added, too.
//!
//! Invariants: a group's rows stand together, in their order. A row's values are in the order of
//! its shape's columns.
//!
//! Bounds: a value of 4 GiB; a batch reserves at most 1 MiB ahead. How much waits is the buffer's
//! to bound.

pub mod arena;
pub mod batch;
pub mod group;
