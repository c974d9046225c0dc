//! What may wait for a flusher: adding, flushing, closing.
//!
//! PHP sees its signals and its time limit meanwhile, so user code may run, fork, throw or end the
//! request. Nothing of the buffer is held then but a count of references.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::rows::group::Group;

use crate::buffer::object::Handle;
use crate::buffer::state::{State, Step};
use crate::process::fork;
use crate::zend::{interrupt, messages};

/// Takes a group that was gathered in the process of `generation`, and gives its memory back.
/// Returns its ticket, or the last one if there was no row to take.
///
/// # Errors
///
/// As [`State::add`]; an interrupt that threw.
pub fn add(buffer: Handle<'_>, group: Box<Group>, generation: u64) -> Result<u64, FlushError> {
    add_until(buffer, group, generation, BackgroundBuffer::room_limit)
}

/// The same, and waits for room whatever `overflow` says.
///
/// # Errors
///
/// As [`add`].
pub fn add_patiently(buffer: Handle<'_>, group: Box<Group>, generation: u64) -> Result<u64, FlushError> {
    add_until(buffer, group, generation, |background| {
        Some(background.room_limit_if_waiting())
    })
}

/// `limit`: how long to wait for room.
fn add_until(
    buffer: Handle<'_>,
    mut group: Box<Group>,
    mut generation: u64,
    limit: impl Fn(&BackgroundBuffer) -> Option<Instant>,
) -> Result<u64, FlushError> {
    let added = loop {
        let background = match buffer.with(|state| state.add(&mut group, &mut generation)) {
            Ok(Step::Done(ticket)) => break Ok(ticket),
            Ok(Step::Wait(background)) => background,
            Err(failed) => break Err(failed),
        };
        let limit = limit(&background);
        let waited = repeat_after_interrupts(|| {
            background
                .add(&group, limit, &interrupt::interrupt_is_pending)
                .map_err(Into::into)
        });
        match waited {
            Ok(ticket) => {
                break Ok(buffer.with(|state| {
                    state.last_ticket = ticket.unwrap_or(state.last_ticket);
                    state.last_ticket
                }));
            }
            Err(WaitError::Flush(failed)) => {
                if !refuses(failed.error.kind()) {
                    // It was taken: no thread can be started, or the journal's disk failed.
                    buffer.with(|state| state.last_ticket = background.taken());
                }
                break Err(failed);
            }
            // The child's own buffer takes the group.
            Err(WaitError::Fork) => std::mem::forget(background),
        }
    };
    buffer.with(|state| state.keep_scratch(group));
    added
}

/// Whether an error says that the group was not taken.
pub fn refuses(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Config | Kind::Argument | Kind::Full | Kind::TooLarge | Kind::Closed | Kind::Interrupted
    )
}

/// Commits all rows added before. Returns how many.
///
/// # Errors
///
/// As [`State::flush`]; an interrupt that threw.
pub fn flush(buffer: Handle<'_>, timeout: Option<Duration>) -> Result<usize, FlushError> {
    let flushed = flush_all(buffer, timeout);
    settle_retries(buffer);
    flushed
}

/// What could not be written to now is written to at the end, which says so if it fails again.
fn settle_retries(buffer: Handle<'_>) {
    drop(buffer.with(|state| state.settle_retries(false, &BTreeMap::new())));
}

fn flush_all(buffer: Handle<'_>, timeout: Option<Duration>) -> Result<usize, FlushError> {
    let background = match buffer.with(|state| state.flush(timeout))? {
        Step::Done(rows) => return Ok(rows),
        Step::Wait(background) => background,
    };
    let limit = Limit::new(timeout);
    match repeat_after_interrupts(|| background.flush(limit.left(), &interrupt::interrupt_is_pending)) {
        Ok(rows) => Ok(rows),
        Err(WaitError::Flush(failed)) => Err(failed),
        Err(WaitError::Fork) => {
            // The child has no row to flush.
            std::mem::forget(background);
            buffer.with(State::notice_fork);
            Ok(0)
        }
    }
}

/// Waits until a group is committed. Returns whether this buffer has given the ticket.
///
/// # Errors
///
/// As [`State::wait_for`]; an interrupt that threw.
pub fn wait_for(buffer: Handle<'_>, ticket: u64, timeout: Option<Duration>) -> Result<bool, FlushError> {
    if ticket > buffer.with(|state| state.buffer.taken()) {
        return Ok(false);
    }
    let background = match buffer.with(|state| state.wait_for(ticket, timeout))? {
        Step::Done(()) => return Ok(true),
        Step::Wait(background) => background,
    };
    let limit = Limit::new(timeout);
    match repeat_after_interrupts(|| background.wait_for(ticket, limit.left(), &interrupt::interrupt_is_pending)) {
        Ok(()) => Ok(true),
        Err(WaitError::Flush(failed)) => Err(failed),
        Err(WaitError::Fork) => {
            // The ticket is the parent's.
            std::mem::forget(background);
            buffer.with(State::notice_fork);
            Ok(false)
        }
    }
}

/// Flushes, then refuses what comes. On an error the buffer stays open.
///
/// # Errors
///
/// As [`flush`]; none if it is closed already.
pub fn close(buffer: Handle<'_>, timeout: Option<Duration>) -> Result<(), FlushError> {
    if buffer.with(|state| state.is_closed) {
        return Ok(());
    }
    flush(buffer, timeout)?;
    buffer.with(|state| state.is_closed = true);
    Ok(())
}

/// Why a wait did not end as it was meant to.
pub enum WaitError {
    /// An error of the buffer, or an interrupt that threw.
    Flush(FlushError),
    /// A signal's handler forked, and this is the child: the buffer that is waited for is the
    /// parent's.
    Fork,
}

/// What is left of a caller's time.
struct Limit(Option<Instant>);

impl Limit {
    fn new(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    fn left(&self) -> Option<Duration> {
        self.0.map(|limit| limit.saturating_duration_since(Instant::now()))
    }
}

/// Waits, lets PHP see its signals and its time limit, and goes on unless one of them threw, or
/// forked.
///
/// # Errors
///
/// As the wait's own; an interrupt that threw, or forked.
pub fn repeat_after_interrupts<R>(mut wait: impl FnMut() -> Result<R, FlushError>) -> Result<R, WaitError> {
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
