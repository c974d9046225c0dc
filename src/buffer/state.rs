//! What stands behind a `WriteBuffer` or `SyncWriteBuffer` object.

use std::sync::Arc;
use std::time::Duration;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::clock::SystemClock;
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result, count_rows};
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::MemorySink;
use write_buffer_core::sink::mysql::MySqlSink;
use write_buffer_core::sink::mysql::socket::{Descriptor, SocketHooks};
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;

use crate::buffer::any::AnyBuffer;
use crate::buffer::wait::WaitError;
use crate::buffer::{persistent, wait};
use crate::convert::Tables;
use crate::convert::fast_path::LastShapes;
use crate::process::{fork, memory_stores, socket, thread};
use crate::zend::array::Elements;

/// Which thread flushes, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlushMode {
    /// The caller's.
    Foreground,
    /// One of its own, as long as the object lives.
    Background,
    /// One of its own, as long as the process lives, shared by all objects that give this name.
    Persistent(String),
}

/// See the module.
pub struct State {
    /// The engine.
    pub buffer: AnyBuffer,
    /// Each group is committed at once, and none is kept.
    pub is_sync: bool,
    /// Which thread flushes, and for how long.
    pub flush_mode: FlushMode,
    /// The table of `add()`'s first parameter.
    pub order_table: TableId,
    /// The table of `add()`'s second parameter.
    pub trade_table: TableId,
    /// For `__debugInfo()`.
    pub dsn: Dsn,
    /// For `__debugInfo()`.
    pub settings: Settings,
    /// The memory of the last group, for the next one.
    scratch: Option<Group>,
    /// What the last rows looked like.
    last_shapes: LastShapes,
    fork_generation: u64,
    /// The connections', for a forked child.
    descriptors: Vec<Descriptor>,
    /// `close()` succeeded.
    pub is_closed: bool,
    /// Rows that the last warning said to be lost, and to be given up: neither is said twice.
    reported_lost: usize,
    reported_refused: usize,
}

impl State {
    /// A buffer for the DSN.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(dsn: Dsn, settings: Settings, is_sync: bool, flush_mode: FlushMode) -> Result<Self> {
        if let Dsn::Server(server) = &dsn {
            MySqlSink::check(server)?;
        }
        let (mut buffer, descriptors) = make_buffer(&dsn, &settings, &flush_mode)?;
        Ok(Self {
            order_table: buffer.with_catalog(|catalog| catalog.table(&settings.order_table))?,
            trade_table: buffer.with_catalog(|catalog| catalog.table(&settings.trade_table))?,
            buffer,
            is_sync,
            flush_mode,
            dsn,
            settings,
            scratch: None,
            last_shapes: LastShapes::default(),
            fork_generation: fork::fork_generation(),
            descriptors,
            is_closed: false,
            reported_lost: 0,
            reported_refused: 0,
        })
    }

    /// In a forked child the rows, the thread and the connection are the parent's: forget them all, and start empty.
    ///
    /// The old buffer is not touched. The parent's thread may have held any of its locks when the process was forked, and
    /// dropping its connection would speak to the parent's server session.
    pub fn notice_fork(&mut self) {
        let generation = fork::fork_generation();
        if generation == self.fork_generation {
            return;
        }
        self.fork_generation = generation;
        self.reported_lost = 0;
        self.reported_refused = 0;
        // The settings made a buffer once, so they make another.
        let Ok((buffer, descriptors)) = make_buffer(&self.dsn, &self.settings, &self.flush_mode) else {
            return;
        };
        std::mem::forget(std::mem::replace(&mut self.buffer, buffer));
        // Their locks are the parent's, too.
        std::mem::forget(std::mem::take(&mut self.last_shapes));
        socket::close_descriptors(&std::mem::replace(&mut self.descriptors, descriptors));
    }

    /// In a forked child: a group that was gathered for the parent's buffer, for the child's own.
    fn adopt(&mut self, group: Group) -> Result<Group> {
        self.notice_fork();
        group.reshaped(|shape| {
            self.buffer.with_catalog(|catalog| {
                let table = catalog.table(&shape.entry.name.to_string())?;
                catalog.shape(table, shape.columns.iter().map(|name| name.as_bytes()))
            })
        })
    }

    /// An empty group, with the memory of the last one unless that is in use further down the call stack.
    pub fn take_scratch(&mut self) -> Group {
        let mut group = self.scratch.take().unwrap_or_default();
        group.clear();
        group
    }

    /// How many rows an error message says to be kept.
    pub fn kept_rows(&self) -> usize {
        if self.is_sync { 0 } else { self.buffer.pending_rows() }
    }

    /// The flush at destruction, bounded by the shutdown time. Gives what could not be written, once. Rows may come after
    /// it, from the destructor of another object, and another flush after them.
    pub fn drain(&mut self) -> Option<String> {
        self.notice_fork();
        if matches!(self.flush_mode, FlushMode::Persistent(_)) {
            return None;
        }
        if self.buffer.pending_rows() == self.reported_lost
            && self.buffer.untaken_failed_rows() == self.reported_refused
        {
            return None;
        }
        let failed = match &mut self.buffer {
            AnyBuffer::Foreground(buffer) => buffer.shut_down().map_err(|failed| failed.error),
            AnyBuffer::Background(buffer) => buffer.drain(self.settings.shutdown_timeout),
        };
        self.reported_lost = self.buffer.pending_rows();
        self.reported_refused = self.buffer.untaken_failed_rows();
        match (failed, self.reported_lost, self.reported_refused) {
            (Err(error), lost @ 1.., _) => Some(format!(
                "lost {lost} buffered {}: {error}. Call flush() or close() before the end to handle this",
                if lost == 1 { "row" } else { "rows" }
            )),
            (_, _, refused @ 1..) => Some(format!(
                "gave up {}, and nobody called takeFailures(); the last error: {}",
                count_rows(refused),
                self.buffer.snapshot().metrics.last_error.as_deref().unwrap_or("none")
            )),
            _ => None,
        }
    }

    /// The end of the object: what `drain()` does, and the thread goes.
    pub fn end(&mut self) -> Option<String> {
        let message = self.drain();
        match (&self.flush_mode, &mut self.buffer) {
            (FlushMode::Background, AnyBuffer::Background(buffer)) => buffer.stop(),
            (_, AnyBuffer::Foreground(buffer)) => buffer.end(),
            (_, AnyBuffer::Background(_)) => {}
        }
        message
    }
}

/// Takes a group that was gathered in the process of `generation`. A synchronous buffer keeps nothing of a group that
/// failed. Gives the group's memory back.
///
/// # Errors
///
/// As the buffers' own; a closed buffer.
///
/// # Safety
///
/// The state is alive until this returns, also while user code runs in an interrupt.
pub unsafe fn add(state: *mut State, mut group: Group, mut generation: u64) -> Result<(), FlushError> {
    loop {
        let background = {
            // SAFETY: the caller says so; no user code runs while this reference lives.
            let state = unsafe { &mut *state };
            if generation != fork::fork_generation() {
                generation = fork::fork_generation();
                group = state.adopt(group)?;
            }
            if state.is_closed {
                return Err(Error::closed().into());
            }
            match &mut state.buffer {
                AnyBuffer::Foreground(buffer) => {
                    let mut added = buffer.add(&group);
                    if state.is_sync && added.is_err() {
                        buffer.discard();
                        buffer.take_failures();
                        added = added.map_err(FlushError::of_one_group);
                    }
                    state.scratch = Some(group);
                    return added;
                }
                AnyBuffer::Background(buffer) => Arc::clone(buffer),
            }
        };
        match wait::add_waiting(&background, &group) {
            Err(WaitError::Fork) => std::mem::forget(background),
            ended => {
                // SAFETY: as above.
                unsafe { (*state).scratch = Some(group) };
                return ended.map_err(|stopped| match stopped {
                    WaitError::Flush(failed) => failed,
                    WaitError::Fork => Error::interrupted().into(),
                });
            }
        }
    }
}

/// Commits all rows added before.
///
/// # Errors
///
/// As the buffers' own; a closed buffer.
///
/// # Safety
///
/// As for [`add`].
pub unsafe fn flush(state: *mut State, timeout: Option<Duration>) -> Result<usize, FlushError> {
    let background = {
        // SAFETY: the caller says so; no user code runs while this reference lives.
        let state = unsafe { &mut *state };
        if state.is_closed {
            return Err(Error::closed().into());
        }
        match &mut state.buffer {
            AnyBuffer::Foreground(buffer) => return buffer.flush(timeout),
            AnyBuffer::Background(buffer) => Arc::clone(buffer),
        }
    };
    match wait::flush_waiting(&background, timeout) {
        Ok(rows) => Ok(rows),
        Err(WaitError::Flush(failed)) => Err(failed),
        Err(WaitError::Fork) => {
            // The child has no row to flush.
            std::mem::forget(background);
            // SAFETY: as above.
            unsafe { (*state).notice_fork() };
            Ok(0)
        }
    }
}

/// Flushes, then refuses what comes. On an error the buffer stays open.
///
/// # Errors
///
/// As [`flush`]; none where it is closed already.
///
/// # Safety
///
/// As for [`add`].
pub unsafe fn close(state: *mut State, timeout: Option<Duration>) -> Result<(), FlushError> {
    // SAFETY: the caller says so; no user code runs while these references live.
    unsafe {
        if (*state).is_closed {
            return Ok(());
        }
        flush(state, timeout)?;
        (*state).is_closed = true;
    }
    Ok(())
}

/// A buffer for the DSN, and the descriptors of its connections, unless a registry looks after them.
fn make_buffer(dsn: &Dsn, settings: &Settings, flush_mode: &FlushMode) -> Result<(AnyBuffer, Vec<Descriptor>)> {
    let make_background = || {
        let mut sinks = Vec::with_capacity(settings.lanes);
        let mut descriptors = Vec::new();
        for lane in 0..settings.lanes {
            let (sink, descriptor) = make_sink(dsn, settings, u16::try_from(lane).unwrap_or(u16::MAX));
            sinks.push(sink);
            descriptors.extend(descriptor);
        }
        let buffer = BackgroundBuffer::new(settings.clone(), sinks, thread::spawn_flusher)?;
        Ok((buffer, descriptors))
    };
    match flush_mode {
        FlushMode::Foreground => {
            let (sink, descriptor) = make_sink(dsn, settings, 0);
            let buffer = ForegroundBuffer::new(settings.clone(), sink, Arc::new(SystemClock))?;
            Ok((
                AnyBuffer::Foreground(Box::new(buffer)),
                descriptor.into_iter().collect(),
            ))
        }
        FlushMode::Background => {
            let (buffer, descriptors) = make_background()?;
            Ok((AnyBuffer::Background(Arc::new(buffer)), descriptors))
        }
        FlushMode::Persistent(name) => {
            if matches!(dsn, Dsn::Memory(_)) {
                return Err(Error::config(
                    "persistent needs a server: the tables of memory: end with the request",
                ));
            }
            let buffer = persistent::get(name, dsn, settings, make_background)?;
            Ok((AnyBuffer::Background(buffer), Vec::new()))
        }
    }
}

fn make_sink(dsn: &Dsn, settings: &Settings, lane: u16) -> (Box<dyn Sink>, Option<Descriptor>) {
    match dsn {
        Dsn::Memory(name) => {
            let store = memory_stores::memory_store(name);
            (Box::new(MemorySink::new(store)), None)
        }
        Dsn::Server(server) => {
            let hooks = SocketHooks {
                set_timeouts: socket::set_timeouts,
                send: socket::send,
                receive: socket::receive,
            };
            let sink = MySqlSink::new((**server).clone(), settings.batch_size, lane, hooks);
            let descriptor = sink.descriptor();
            (Box::new(sink), Some(descriptor))
        }
    }
}

/// The buffer's tables, asked for between calls of user code.
pub struct StateTables(pub *mut State);

impl StateTables {
    /// Runs a short look-up. No user code runs in it, so the reference is the only one.
    fn with<R>(&self, look_up: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: the state belongs to `$this`, which the call holds, and is replaced by nobody: a second constructor
        // call is refused.
        look_up(unsafe { &mut *self.0 })
    }
}

impl Tables for StateTables {
    fn table(&self, name: &str) -> Result<TableId> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.table(name)))
    }

    fn name(&self, table: TableId) -> String {
        self.with(|state| {
            state.buffer.with_catalog(|catalog| {
                catalog
                    .entry(table)
                    .map_or_else(String::new, |entry| entry.name.to_string())
            })
        })
    }

    fn shape<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.shape(table, columns)))
    }

    fn copy_alike(&self, table: TableId, row: &Elements<'_>, group: &mut Group) -> bool {
        self.with(|state| state.last_shapes.copy(table, row, group))
    }

    fn remember(&self, shape: &Arc<Shape>, row: &Elements<'_>) {
        self.with(|state| state.last_shapes.remember(shape, row));
    }

    fn hint_key(&self, table: TableId, column: &str) {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.hint_key(table, column)));
    }
}
