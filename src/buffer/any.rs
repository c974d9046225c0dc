//! The two buffers of the engine behind one face.

use std::collections::BTreeSet;
use std::sync::Arc;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::find::{Found, KeyPart};
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::buffer::leftovers::{EndCause, EndTime, Left};
use write_buffer_core::buffer::recovery::Recovery;
use write_buffer_core::buffer::snapshot::{LaneSnapshot, Snapshot, ThreadState};
use write_buffer_core::clock::SystemClock;
use write_buffer_core::dead_letter::{DeadLetter, FlushError};
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::memory::MemorySink;
use write_buffer_core::sink::mysql::MySqlSink;
use write_buffer_core::sink::{Place, Sink};
use write_buffer_core::table::catalog::Catalog;

use crate::buffer::persistent;
use crate::process::{memory_stores, socket, thread};
use crate::settings::configuration::{Configuration, FlushMode};

/// A buffer that flushes on the caller's thread, or on its own.
pub enum AnyBuffer {
    /// On the caller's.
    Foreground(Box<ForegroundBuffer>),
    /// On its own. Shared by all objects that name the same persistent buffer.
    Background(Arc<BackgroundBuffer>),
}

impl AnyBuffer {
    /// A buffer of a configuration.
    ///
    /// # Errors
    ///
    /// Settings that cannot work together.
    pub fn open(configuration: &Configuration) -> Result<Self> {
        let (dsn, settings) = (configuration.dsn()?, &configuration.settings()?);
        let make_background = || {
            let mut sinks = Vec::with_capacity(settings.lanes);
            for lane in 0..settings.lanes {
                sinks.push(make_sink(dsn, settings, u16::try_from(lane).unwrap_or(u16::MAX))?);
            }
            let buffer = BackgroundBuffer::new(settings.clone(), sinks, thread::spawn_flusher)?;
            if settings.journal.is_some() {
                let recovery = Arc::new(recovery(dsn, settings)?);
                if recovery.is_needed() {
                    recovery.start(&buffer)?;
                }
                recovery.watch(&buffer);
            }
            Ok(buffer)
        };
        match configuration.flush_mode()? {
            FlushMode::Foreground => {
                let sink = make_sink(dsn, settings, 0)?;
                let buffer = ForegroundBuffer::new(settings.clone(), sink, Arc::new(SystemClock))?;
                Ok(Self::Foreground(Box::new(buffer)))
            }
            FlushMode::Background => Ok(Self::Background(Arc::new(make_background()?))),
            FlushMode::Persistent(name) => {
                if matches!(dsn, Dsn::Memory(_)) {
                    return Err(Error::config(
                        "persistent needs a server: the tables of memory: end with the request",
                    ));
                }
                let buffer = persistent::get(name, dsn, settings, make_background)?;
                Ok(Self::Background(buffer))
            }
        }
    }

    /// The tables and shapes.
    pub fn with_catalog<R>(&mut self, look_up: impl FnOnce(&mut Catalog) -> R) -> R {
        match self {
            Self::Foreground(buffer) => look_up(buffer.catalog()),
            Self::Background(buffer) => look_up(&mut buffer.catalog()),
        }
    }

    /// Refuses rows that could never be written, as far as that is known before they are taken.
    ///
    /// # Errors
    ///
    /// A row that its table cannot take.
    pub fn check(&mut self, rows: &Group) -> Result<()> {
        match self {
            Self::Foreground(buffer) => buffer.check(rows),
            Self::Background(buffer) => buffer.check(rows),
        }
    }

    /// See [`ForegroundBuffer::too_large`] and [`BackgroundBuffer::too_large`].
    pub fn too_large(&self, rows: usize, bytes: usize) -> Error {
        match self {
            Self::Foreground(buffer) => buffer.too_large(rows, bytes),
            Self::Background(buffer) => buffer.too_large(rows, bytes),
        }
    }

    /// Waits until all that was taken would survive a power cut.
    ///
    /// # Errors
    ///
    /// See [`BackgroundBuffer::sync`].
    pub fn sync_journal(&self) -> Option<Result<(), FlushError>> {
        match self {
            Self::Foreground(_) => None,
            Self::Background(buffer) => buffer.sync_journal(),
        }
    }

    /// See [`ForegroundBuffer::find`] and [`BackgroundBuffer::find`].
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Found> {
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
            Self::Foreground(buffer) => buffer.pending_rows(),
            Self::Background(buffer) => buffer.pending().rows,
        }
    }

    /// The ticket of the last group that was taken.
    pub fn taken(&self) -> u64 {
        match self {
            Self::Foreground(buffer) => buffer.taken(),
            Self::Background(buffer) => buffer.taken(),
        }
    }

    /// What became of the group of a ticket, if it is settled: as waiting for it says.
    pub fn fate(&mut self, ticket: u64) -> Option<Result<(), FlushError>> {
        match self {
            Self::Foreground(buffer) => buffer.fate(ticket),
            Self::Background(buffer) => buffer.fate(ticket),
        }
    }

    /// Whether the group of a ticket is settled.
    pub fn is_settled(&self, ticket: u64) -> bool {
        match self {
            Self::Foreground(buffer) => buffer.is_settled(ticket),
            Self::Background(buffer) => buffer.is_settled(ticket),
        }
    }

    /// All groups up to this ticket are settled.
    pub fn settled_through(&self) -> u64 {
        match self {
            Self::Foreground(buffer) => buffer.settled_through(),
            Self::Background(buffer) => buffer.settled_through(),
        }
    }

    /// The counters and the state.
    pub fn snapshot(&self) -> Snapshot {
        match self {
            Self::Foreground(buffer) => Snapshot {
                metrics: buffer.metrics().clone(),
                pending: buffer.pending(),
                parked_rows: buffer.parked_rows(),
                parked_tables: buffer.parked_tables(),
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

    /// The failures. They stay.
    pub fn failures(&self) -> Vec<DeadLetter> {
        match self {
            Self::Foreground(buffer) => buffer.failures(),
            Self::Background(buffer) => buffer.failures(),
        }
    }

    /// The failures. Each is returned once.
    pub fn take_failures(&mut self) -> Vec<DeadLetter> {
        match self {
            Self::Foreground(buffer) => buffer.take_failures(),
            Self::Background(buffer) => buffer.take_failures(),
        }
    }

    /// How many rows were given up without anybody being told.
    pub fn untold_failed_rows(&self) -> usize {
        match self {
            Self::Foreground(buffer) => buffer.untold_failed_rows(),
            Self::Background(buffer) => buffer.untold_failed_rows(),
        }
    }

    /// Where it writes to.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Foreground(buffer) => buffer.place(),
            Self::Background(buffer) => buffer.place().cloned(),
        }
    }

    /// Waits until all rows are written, as far as the end's time allows.
    ///
    /// # Errors
    ///
    /// Why rows are left.
    pub fn drain(&mut self, time: EndTime) -> Result<(), EndCause> {
        match self {
            Self::Foreground(buffer) => buffer.drain(time),
            Self::Background(buffer) => buffer.drain(time),
        }
    }

    /// What to say if the rows that are left will be lost: all but those of groups that are
    /// `in_files`. They stay.
    pub fn lost_warning(&self, cause: &EndCause, in_files: &BTreeSet<u64>) -> Option<String> {
        match self {
            Self::Foreground(buffer) => buffer.lost_warning(cause, in_files),
            Self::Background(buffer) => buffer.lost_warning(cause, in_files),
        }
    }

    /// The end of the rows that are left: they leave the buffer, and go into the dead-letter file,
    /// but for those of groups that are `in_files` already.
    pub fn keep_left(&mut self, cause: &EndCause, time: EndTime, in_files: &BTreeSet<u64>) -> Left {
        match self {
            Self::Foreground(buffer) => buffer.keep_left(cause, time, in_files),
            Self::Background(buffer) => buffer.keep_left(cause, time, in_files),
        }
    }
}

/// A recovery of what dead writers have left for this server.
///
/// # Errors
///
/// The journal's folder cannot be used.
pub fn recovery(dsn: &Dsn, settings: &Settings) -> Result<Recovery> {
    let dsn = dsn.clone();
    let make = move |settings: &Settings, lane| make_sink(&dsn, settings, lane);
    Recovery::new(settings.clone(), Box::new(make), thread::spawn_flusher)
}

fn make_sink(dsn: &Dsn, settings: &Settings, lane: u16) -> Result<Box<dyn Sink>> {
    let ledger = settings.ledger_table()?;
    Ok(match dsn {
        Dsn::Memory(name) => {
            let store = memory_stores::memory_store(name);
            Box::new(MemorySink::new(store))
        }
        Dsn::Server(server) => {
            let sink = MySqlSink::new((**server).clone(), settings, ledger, lane);
            socket::close_in_children(sink.sockets());
            Box::new(sink)
        }
    })
}
