//! What stands behind a `WriteBuffer` or `SyncWriteBuffer` object.

use std::sync::Arc;
use std::time::Duration;

use write_buffer_core::batch::{Group, Shape, TableId};
use write_buffer_core::clock::SystemClock;
use write_buffer_core::config::Settings;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Result, count_rows};
use write_buffer_core::foreground::{FlushError, ForegroundBuffer};
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::MemorySink;
use write_buffer_core::sink::mysql::{MySqlSink, SocketHooks};

use crate::convert::Tables;
use crate::process;

/// See the module.
pub struct State {
    /// The engine.
    pub buffer: ForegroundBuffer,
    /// Each group is committed at once, and none is kept.
    pub is_sync: bool,
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
    fork_generation: u64,
    ended: bool,
}

impl State {
    /// A buffer for the DSN.
    ///
    /// # Errors
    ///
    /// Settings that cannot work.
    pub fn new(dsn: Dsn, settings: Settings, is_sync: bool) -> Result<Self> {
        let sink: Box<dyn Sink> = match &dsn {
            Dsn::Memory(name) => Box::new(MemorySink::new(process::memory_store(name), settings.batch_size)),
            Dsn::Server(server) => {
                let hooks = SocketHooks {
                    set_timeouts,
                    close: close_descriptor,
                };
                Box::new(MySqlSink::new((**server).clone(), settings.batch_size, hooks))
            }
        };
        let mut buffer = ForegroundBuffer::new(settings.clone(), sink, Box::new(SystemClock))?;
        Ok(Self {
            order_table: buffer.catalog().table(&settings.order_table)?,
            trade_table: buffer.catalog().table(&settings.trade_table)?,
            buffer,
            is_sync,
            dsn,
            settings,
            scratch: None,
            fork_generation: process::fork_generation(),
            ended: false,
        })
    }

    /// In a forked child the rows and the connection are the parent's: forget both, and start empty.
    pub fn notice_fork(&mut self) {
        let generation = process::fork_generation();
        if generation != self.fork_generation {
            self.fork_generation = generation;
            self.buffer.abandon();
        }
    }

    /// An empty group, with the memory of the last one unless that is in use further down the call stack.
    pub fn take_scratch(&mut self) -> Group {
        let mut group = self.scratch.take().unwrap_or_default();
        group.clear();
        group
    }

    /// Takes the memory back.
    pub fn give_back(&mut self, group: Group) {
        self.scratch = Some(group);
    }

    /// Takes a group.
    ///
    /// # Errors
    ///
    /// As [`ForegroundBuffer::add`]; a synchronous buffer keeps nothing of a group that failed.
    pub fn add(&mut self, group: &Group) -> Result<(), FlushError> {
        let added = self.buffer.add(group);
        if self.is_sync && added.is_err() {
            self.buffer.discard();
            self.buffer.take_failures();
        }
        added
    }

    /// How many rows an error message says to be kept.
    pub fn kept_rows(&self) -> usize {
        if self.is_sync { 0 } else { self.buffer.pending().rows }
    }

    /// The flush at destruction, once. Gives what could not be written.
    pub fn end(&mut self) -> Option<String> {
        self.notice_fork();
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let failed = self.buffer.shut_down().err();
        let lost = self.buffer.pending().rows;
        let refused = self.buffer.untaken_failed_rows();
        match failed {
            Some(failed) if lost > 0 => Some(format!(
                "lost {lost} buffered {}: {}. Call flush() or close() before the end to handle this",
                if lost == 1 { "row" } else { "rows" },
                failed.error
            )),
            _ if refused > 0 => Some(format!(
                "gave up {}, and nobody called takeFailures(); the last error: {}",
                count_rows(refused),
                self.buffer.metrics().last_error.as_deref().unwrap_or("none")
            )),
            _ => None,
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
        self.with(|state| state.buffer.catalog().table(name))
    }

    fn name(&self, table: TableId) -> String {
        self.with(|state| {
            state
                .buffer
                .catalog()
                .entry(table)
                .map_or_else(String::new, |entry| entry.name.to_string())
        })
    }

    fn shape<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>> {
        self.with(|state| state.buffer.catalog().shape(table, columns))
    }

    fn hint_key(&self, table: TableId, column: &str) {
        self.with(|state| state.buffer.catalog().hint_key(table, column));
    }
}

fn set_timeouts(fd: i32, read: Duration, write: Duration) -> std::io::Result<()> {
    for (option, timeout) in [(libc::SO_RCVTIMEO, read), (libc::SO_SNDTIMEO, write)] {
        let timeout = libc::timeval {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            // Zero would mean to wait without end.
            tv_usec: i64::from(timeout.subsec_micros()).max(1),
        };
        // SAFETY: the descriptor is that of a living connection; the option's value is read during the call.
        let result = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                option,
                (&raw const timeout).cast(),
                libc::socklen_t::try_from(size_of_val(&timeout)).unwrap_or_default(),
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

fn close_descriptor(fd: i32) {
    // SAFETY: the connection that owned the descriptor was forgotten, so nobody closes it a second time.
    unsafe { libc::close(fd) };
}
