//! The bounds that both buffers share.

use std::time::Duration;

/// The most rows of one transaction, if several batches wait. A batch is never split, so one batch
/// may have more.
pub const MAX_TRANSACTION_ROWS: usize = 10_000;
/// The most bytes of one transaction, if several batches wait. One batch may have more.
pub const MAX_TRANSACTION_BYTES: usize = 16 * 1024 * 1024;
/// A foreground buffer's batch is also full when it has this many times the batch size in rows,
/// however few keys they have.
pub const MAX_ROWS_PER_KEY: usize = 20;
/// The longest time that the end may take to leave the ledger and close the connection, once all
/// rows are written.
pub const RETIRE_TIMEOUT: Duration = Duration::from_millis(500);
