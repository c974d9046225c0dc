//! The bounds that both buffers share.

use std::time::Duration;

use crate::error::Error;
use crate::settings::Settings;

/// The most rows of one transaction. One group may have more, and so may a foreground buffer's
/// batch whose rows have few keys.
pub const MAX_TRANSACTION_ROWS: usize = 10_000;
/// The most bytes of one transaction. One group may have more.
pub const MAX_TRANSACTION_BYTES: usize = 16 * 1024 * 1024;
/// A foreground buffer's batch is also full when it has this many times the batch size in rows,
/// however few keys they have.
pub const MAX_ROWS_PER_KEY: usize = 20;
/// The wait after the first failure in a row, on average.
pub const FIRST_RETRY_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait after a failure, on average. A server that is back is noticed within 3 s.
pub const LONGEST_RETRY_BACKOFF: Duration = Duration::from_secs(2);
/// The same where nobody takes connections: asking costs no server anything, and rows that are
/// added once it is back wait for that.
pub const LONGEST_BACKOFF_WITHOUT_SERVER: Duration = Duration::from_millis(500);
/// The longest wait of a foreground buffer whose server cannot be reached: it waits four times as
/// long as its caller had to wait for an answer.
pub const LONGEST_FOREGROUND_BACKOFF: Duration = Duration::from_secs(30);
/// The longest time that the end may take to leave the ledger and close the connection, once all
/// rows are written.
pub const RETIRE_TIMEOUT: Duration = Duration::from_millis(500);

/// The bounds of what waits, what waits already and what a group has, for messages. Each pair is
/// rows and bytes.
pub fn describe_bounds(settings: &Settings, pending: (usize, usize), group: (usize, usize)) -> String {
    format!(
        "maxPendingRows is {}, maxPendingBytes {}; {} rows and {} bytes are buffered, the group has {} rows and {} bytes",
        settings.max_pending_rows, settings.max_pending_bytes, pending.0, pending.1, group.0, group.1
    )
}

/// The error of a group that can never fit.
pub fn group_too_large(bounds: &str) -> Error {
    Error::too_large(format!(
        "the group does not fit into the buffer ({bounds}): add fewer rows at once, or raise the bound"
    ))
}
