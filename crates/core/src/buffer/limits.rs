//! The bounds that both buffers share.

use std::time::Duration;

/// When several batches wait, one transaction takes up to this many rows of them.
pub const MAX_TRANSACTION_ROWS: usize = 10_000;
/// And up to this many bytes.
pub const MAX_TRANSACTION_BYTES: usize = 16 * 1024 * 1024;
/// A batch is also full when it holds this many times the batch size in rows, however few keys they have.
pub const MAX_ROWS_PER_KEY: usize = 20;
/// How long the end may take to leave the ledger and to close the connection, once all rows are written.
pub const RETIRE_TIMEOUT: Duration = Duration::from_millis(500);
