//! The two buffers of the engine behind one face.

use std::sync::Arc;
use std::time::Duration;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::find::KeyPart;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::buffer::snapshot::{LaneSnapshot, Snapshot, ThreadState};
use write_buffer_core::dead_letter::{DeadLetter, FlushError, NamedRow};
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::catalog::Catalog;

use crate::process::fork;
use crate::zend;

/// A buffer that flushes on the caller's thread, or on its own.
pub enum Engine {
    /// On the caller's.
    Foreground(Box<ForegroundBuffer>),
    /// On its own. Shared by all objects that name the same persistent buffer.
    Background(Arc<BackgroundBuffer>),
}

impl Engine {
    /// The tables and shapes.
    pub fn with_catalog<R>(&mut self, look_up: impl FnOnce(&mut Catalog) -> R) -> R {
        match self {
            Self::Foreground(buffer) => look_up(buffer.catalog()),
            Self::Background(buffer) => look_up(&mut buffer.catalog()),
        }
    }

    /// See [`ForegroundBuffer::find`] and [`BackgroundBuffer::find`].
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Option<NamedRow>> {
        match self {
            Self::Foreground(buffer) => buffer.find(table, key),
            Self::Background(buffer) => buffer.find(table, key),
        }
    }

    /// Whether the buffer is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Foreground(buffer) => buffer.is_full(),
            Self::Background(buffer) => buffer.is_full(),
        }
    }

    /// Rows taken and not yet committed.
    pub fn pending_rows(&self) -> usize {
        match self {
            Self::Foreground(buffer) => buffer.pending().rows,
            Self::Background(buffer) => buffer.pending().rows,
        }
    }

    /// The counters and the state.
    pub fn snapshot(&self) -> Snapshot {
        match self {
            Self::Foreground(buffer) => Snapshot {
                metrics: buffer.metrics().clone(),
                pending: buffer.pending(),
                thread: ThreadState::None,
                reconnects: buffer.reconnects(),
                lanes: vec![LaneSnapshot {
                    metrics: buffer.metrics().clone(),
                    pending_rows: buffer.pending().rows,
                    thread: ThreadState::None,
                    reconnects: buffer.reconnects(),
                }],
            },
            Self::Background(buffer) => buffer.snapshot(),
        }
    }

    /// The failures, handed over once.
    pub fn take_failures(&mut self) -> Vec<DeadLetter> {
        match self {
            Self::Foreground(buffer) => buffer.take_failures(),
            Self::Background(buffer) => buffer.take_failures(),
        }
    }

    /// How many rows the failures hold that nobody took.
    pub fn untaken_failed_rows(&self) -> usize {
        match self {
            Self::Foreground(buffer) => buffer.untaken_failed_rows(),
            Self::Background(buffer) => buffer.untaken_failed_rows(),
        }
    }
}

/// Why a wait did not end as it was meant to.
pub enum Stopped {
    /// An error of the buffer, or an interrupt that threw.
    Failed(FlushError),
    /// A signal's handler forked, and this is the child: the buffer is the parent's.
    Forked,
}

/// Takes a group on a background buffer; user code may run while it waits for room.
///
/// # Errors
///
/// As [`BackgroundBuffer::add`]; a fork, or an interrupt that threw.
pub fn add_waiting(buffer: &BackgroundBuffer, group: &Group) -> Result<(), Stopped> {
    let limit = buffer.room_limit();
    repeat_after_interrupts(|| {
        buffer
            .add(group, limit, &zend::interrupt_is_pending)
            .map_err(Into::into)
    })
}

/// Flushes a background buffer; user code may run while it waits.
///
/// # Errors
///
/// As [`BackgroundBuffer::flush`]; a fork, or an interrupt that threw.
pub fn flush_waiting(buffer: &BackgroundBuffer, timeout: Option<Duration>) -> Result<usize, Stopped> {
    let limit = Limit::new(timeout);
    repeat_after_interrupts(|| buffer.flush(limit.left(), &zend::interrupt_is_pending))
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
fn repeat_after_interrupts<R>(mut wait: impl FnMut() -> Result<R, FlushError>) -> Result<R, Stopped> {
    let generation = fork::fork_generation();
    loop {
        match wait() {
            Err(failed) if failed.error.kind() == Kind::Interrupted => {}
            ended => return ended.map_err(Stopped::Failed),
        }
        zend::handle_interrupt();
        if fork::fork_generation() != generation {
            return Err(Stopped::Forked);
        }
        if zend::exception_is_pending() {
            return Err(Stopped::Failed(Error::interrupted().into()));
        }
    }
}
