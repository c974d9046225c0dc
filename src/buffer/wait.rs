//! Waiting for the flusher: PHP sees its signals and its time limit meanwhile.

use std::time::Duration;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::rows::group::Group;

use crate::process::fork;
use crate::zend::{interrupt, messages};

/// Why a wait did not end as it was meant to.
pub enum WaitError {
    /// An error of the buffer, or an interrupt that threw.
    Flush(FlushError),
    /// A signal's handler forked, and this is the child: the buffer is the parent's.
    Fork,
}

/// Takes a group on a background buffer; user code may run while it waits for room.
///
/// # Errors
///
/// As [`BackgroundBuffer::add`]; a fork, or an interrupt that threw.
pub fn add_waiting(buffer: &BackgroundBuffer, group: &Group) -> Result<(), WaitError> {
    let limit = buffer.room_limit();
    repeat_after_interrupts(|| {
        buffer
            .add(group, limit, &interrupt::interrupt_is_pending)
            .map_err(Into::into)
    })
}

/// Flushes a background buffer; user code may run while it waits.
///
/// # Errors
///
/// As [`BackgroundBuffer::flush`]; a fork, or an interrupt that threw.
pub fn flush_waiting(buffer: &BackgroundBuffer, timeout: Option<Duration>) -> Result<usize, WaitError> {
    let limit = Limit::new(timeout);
    repeat_after_interrupts(|| buffer.flush(limit.left(), &interrupt::interrupt_is_pending))
}

/// What is left of a caller's time.
struct Limit(Option<std::time::Instant>);

impl Limit {
    fn new(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout)))
    }

    fn left(&self) -> Option<Duration> {
        self.0
            .map(|limit| limit.saturating_duration_since(std::time::Instant::now()))
    }
}

/// Lets PHP see its signals and its time limit, and goes on waiting unless one of them threw, or forked.
fn repeat_after_interrupts<R>(mut wait: impl FnMut() -> Result<R, FlushError>) -> Result<R, WaitError> {
    let generation = fork::fork_generation();
    loop {
        match wait() {
            Err(failed) if failed.error.kind() == Kind::Interrupted => {}
            ended => return ended.map_err(WaitError::Flush),
        }
        interrupt::handle_interrupt();
        if fork::fork_generation() != generation {
            return Err(WaitError::Fork);
        }
        if messages::exception_is_pending() {
            return Err(WaitError::Flush(Error::interrupted().into()));
        }
    }
}
