//! Owns what a caller holds: two buffers over one engine. A caller adds groups of rows; a buffer
//! has them written.
//!
//! - The [background] buffer copies rows and returns. A native thread writes them.
//! - The [foreground] buffer writes on its caller's thread, when it is full or overdue.
//!
//! Each lane of the first has a [`queue`], and the second has one. A flusher asks its queue what is
//! due at this instant, waits until then or until woken, takes batches into flight, writes them,
//! and settles them. Under load several batches share a transaction, so throughput rises by itself.
//! With nothing buffered it waits without an alarm: no wake-ups.
//!
//! Invariants:
//! - A row that was taken is in exactly one place: a queue, a committed transaction, or the
//!   [`failures`].
//! - `rows_added = rows_committed + pending rows + rows_refused`, at all times.
//! - A group is taken whole, committed in one transaction, or given up whole. It is given up only
//!   when it is kept: in memory, or in the dead-letter file.
//! - The rows of one key are written in the order in which they were added.
//! - A table that takes no rows now holds up its own, and what could meet them ([`parking`]).
//!
//! Bounds (the first two by default, others fixed):
//! - 100,000 rows and 64 MiB are buffered. What counts is the memory that they take, within a
//!   fifth: `crates/core/tests/memory.rs`.
//! - A batch has 100 rows of one table.
//! - A transaction has 10,000 rows and 16 MiB. One group alone may have more ([`limits`]).
//! - 64 lanes.
//! - 1,000 failures and 64 MiB are kept, and the numbers of 10,000 groups that were given up.

pub mod background;
pub mod doubt;
pub mod failures;
pub mod find;
pub mod foreground;
pub mod group_index;
pub mod journal;
pub mod key_index;
pub mod keys;
pub mod leftovers;
pub mod limits;
pub mod metrics;
pub mod parked_index;
pub mod parking;
pub mod places;
pub mod queue;
pub mod recovery;
pub mod sharded;
pub mod snapshot;
pub mod stored_index;
