//! The two buffers of the engine behind one face.

use std::sync::Arc;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::find::KeyPart;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::buffer::snapshot::{LaneSnapshot, Snapshot, ThreadState};
use write_buffer_core::dead_letter::{DeadLetter, NamedRow};
use write_buffer_core::error::Result;
use write_buffer_core::table::catalog::Catalog;

/// A buffer that flushes on the caller's thread, or on its own.
pub enum AnyBuffer {
    /// On the caller's.
    Foreground(Box<ForegroundBuffer>),
    /// On its own. Shared by all objects that name the same persistent buffer.
    Background(Arc<BackgroundBuffer>),
}

impl AnyBuffer {
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
