//! What stands behind a `WriteBuffer` or `SyncWriteBuffer` object, and what is done with it at
//! once.
//!
//! Invariant: nothing here runs PHP code.
//!
//! Bounds: 1 MiB of one group's memory, one shape a table and 16 classes of models are kept for the
//! next row.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::find::{self, Found, KeyPart};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::dead_letter::retry::uncertain;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result, count_rows};
use write_buffer_core::rows::group::Group;
use write_buffer_core::sink::mysql::MySqlSink;
use write_buffer_core::table::entry::TableId;

use crate::buffer::any::AnyBuffer;
use crate::buffer::ending::{self, Living};
use crate::buffer::open_groups::OpenGroups;
use crate::buffer::open_retries::{LineEnd, OpenRetries};
use crate::buffer::put_back::PutBack;
use crate::convert::fast_path::LastShapes;
use crate::convert::models::Models;
use crate::process::fork;
use crate::settings::configuration::{BufferClass, Configuration};

/// What became of a call at once.
pub enum Step<T> {
    /// It is done.
    Done(T),
    /// This buffer does it, and has to be waited for: PHP code may run meanwhile, so without a
    /// reference to the state.
    Wait(Arc<BackgroundBuffer>),
}

/// A buffer, and what its object remembers.
pub struct State {
    /// The engine's.
    pub buffer: AnyBuffer,
    /// What it was made of.
    pub configuration: Configuration,
    /// The table of `add()`'s first parameter.
    pub order_table: TableId,
    /// The table of `add()`'s second parameter.
    pub trade_table: TableId,
    /// The memory of the last group, for the next one.
    scratch: Option<Box<Group>>,
    /// What calls of `group()` have gathered.
    pub groups: OpenGroups,
    /// The failures that were put back. A forked child remembers them too: they are its parent's.
    pub put_back: PutBack,
    /// Dead-letter files of which this buffer holds groups.
    pub retries: OpenRetries,
    /// The ticket of the last group that was taken through this object; 0 before the first one.
    pub last_ticket: u64,
    /// What the last rows looked like.
    pub last_shapes: LastShapes,
    /// What is known of the models that were added.
    pub models: Models,
    /// `close()` succeeded.
    pub is_closed: bool,
    fork_generation: u64,
    /// Why a forked child has no buffer that could take rows.
    unusable: Option<Error>,
    /// Rows that the last warning said to be lost. It is not said twice.
    reported_lost: usize,
    /// Rows that it said to be given up.
    reported_refused: usize,
    living: Rc<Living>,
}

impl State {
    /// A buffer of a configuration.
    ///
    /// # Errors
    ///
    /// Settings that cannot work together.
    pub fn new(configuration: Configuration) -> Result<Self> {
        if let Dsn::Server(server) = configuration.dsn()? {
            MySqlSink::check(server)?;
        }
        let mut buffer = AnyBuffer::open(&configuration)?;
        let settings = &configuration.engine;
        Ok(Self {
            order_table: buffer.with_catalog(|catalog| catalog.table(&settings.order_table))?,
            trade_table: buffer.with_catalog(|catalog| catalog.table(&settings.trade_table))?,
            living: living(&buffer, settings.shutdown_timeout),
            buffer,
            configuration,
            scratch: None,
            groups: OpenGroups::default(),
            last_shapes: LastShapes::default(),
            models: Models::default(),
            put_back: PutBack::default(),
            retries: OpenRetries::default(),
            last_ticket: 0,
            is_closed: false,
            fork_generation: fork::fork_generation(),
            unusable: None,
            reported_lost: 0,
            reported_refused: 0,
        })
    }

    /// Whether each group is committed at once, and none is kept.
    pub fn is_sync(&self) -> bool {
        self.configuration.class == BufferClass::SyncWriteBuffer
    }

    /// In a forked child the rows, the thread and the connection are the parent's: forgets them
    /// all, and starts empty.
    ///
    /// The old buffer is not touched. The parent's thread may have held any of its locks when the
    /// process was forked, and to drop its connection would be to speak to the parent's session.
    pub fn notice_fork(&mut self) {
        let generation = fork::fork_generation();
        if generation == self.fork_generation {
            return;
        }
        self.fork_generation = generation;
        // The parent goes on with them.
        self.retries = OpenRetries::default();
        self.last_ticket = 0;
        self.reported_lost = 0;
        self.reported_refused = 0;
        let buffer = match AnyBuffer::open(&self.configuration) {
            Ok(buffer) => buffer,
            // The journal's folder may be gone, or another user's. The parent's buffer is not to be
            // touched all the same.
            Err(error) => {
                self.unusable = Some(error);
                self.configuration.journal.directory = None;
                self.configuration.persistent = None;
                // The other settings made a buffer once, so they make another.
                let Ok(buffer) = AnyBuffer::open(&self.configuration) else {
                    return;
                };
                buffer
            }
        };
        std::mem::forget(std::mem::replace(&mut self.buffer, buffer));
        // Their locks are the parent's, too.
        std::mem::forget(std::mem::take(&mut self.last_shapes));
        std::mem::forget(self.scratch.take());
        // Their tables are those of the parent's buffer.
        self.models = Models::default();
        self.groups.forget();
        self.living = living(&self.buffer, self.configuration.engine.shutdown_timeout);
    }

    /// See [`AnyBuffer::sync_journal`].
    pub fn sync_journal(&self) -> Option<Result<(), FlushError>> {
        self.buffer.sync_journal()
    }

    /// Takes a group that was gathered in the process of `generation`, which may be this one's
    /// parent. Returns its ticket, or the last one if there was no row to take. A synchronous
    /// buffer keeps nothing of a group that failed.
    ///
    /// # Errors
    ///
    /// As the buffers' own; a closed buffer.
    pub fn add(&mut self, group: &mut Group, generation: &mut u64) -> Result<Step<u64>, FlushError> {
        if *generation != fork::fork_generation() {
            *generation = fork::fork_generation();
            *group = self.adopt(std::mem::take(group))?;
        }
        if self.is_closed {
            return Err(Error::closed().into());
        }
        if let Some(error) = &self.unusable {
            return Err(error.clone().into());
        }
        ending::note_use();
        let is_sync = self.is_sync();
        match &mut self.buffer {
            AnyBuffer::Foreground(buffer) => {
                let before = buffer.taken();
                let added = buffer.add(group);
                self.living.note_foreground_rows(buffer.pending_rows());
                let added = match added {
                    Err(failed) if is_sync => return Err(buffer.discard_after(before, failed)),
                    added => added,
                };
                if buffer.taken() > before {
                    // Also if the flush failed that it made due.
                    self.last_ticket = buffer.taken();
                }
                added.map(|_| Step::Done(self.last_ticket))
            }
            AnyBuffer::Background(buffer) => Ok(Step::Wait(Arc::clone(buffer))),
        }
    }

    /// Commits all rows added before. Returns how many.
    ///
    /// # Errors
    ///
    /// As the buffers' own.
    pub fn flush(&mut self, timeout: Option<Duration>) -> Result<Step<usize>, FlushError> {
        match &mut self.buffer {
            AnyBuffer::Foreground(buffer) => {
                let flushed = buffer.flush(timeout);
                self.living.note_foreground_rows(buffer.pending_rows());
                flushed.map(Step::Done)
            }
            AnyBuffer::Background(buffer) => Ok(Step::Wait(Arc::clone(buffer))),
        }
    }

    /// Commits a group, by its ticket, which this buffer has given. Also after `close()`.
    ///
    /// # Errors
    ///
    /// As the buffers' own.
    pub fn wait_for(&mut self, ticket: u64, timeout: Option<Duration>) -> Result<Step<()>, FlushError> {
        match &mut self.buffer {
            AnyBuffer::Foreground(buffer) => {
                let written = buffer.wait_for(ticket, timeout);
                self.living.note_foreground_rows(buffer.pending_rows());
                written.map(Step::Done)
            }
            AnyBuffer::Background(buffer) => Ok(Step::Wait(Arc::clone(buffer))),
        }
    }

    /// Whether rows of an open `group()` have no ticket yet.
    pub fn is_gathering(&self) -> bool {
        self.groups.are_any()
    }

    /// A group that was gathered for the parent's buffer, for this forked child's own.
    fn adopt(&mut self, group: Group) -> Result<Group> {
        self.notice_fork();
        group.reshaped(|shape| self.buffer.with_catalog(|catalog| catalog.adopt(shape)))
    }

    /// An empty group, for rows that may join the group that is open. It has the memory of the last
    /// one, unless a call further up the stack uses that.
    pub fn take_scratch(&mut self) -> Box<Group> {
        let mut group = self.scratch.take().unwrap_or_else(|| self.new_group());
        if let Some(whole) = self.groups.of_running_fiber() {
            group.continue_from(whole);
        }
        group
    }

    /// An empty group with the buffer's bounds.
    pub fn new_group(&self) -> Box<Group> {
        let settings = &self.configuration.engine;
        Box::new(Group::bounded(settings.max_pending_rows, settings.max_pending_bytes))
    }

    /// The row still buffered under a key, or gathered by the running fiber's group.
    ///
    /// # Errors
    ///
    /// As the buffers' own.
    pub fn find(&mut self, table: &str, key: &[KeyPart<'_>]) -> Result<Found> {
        let found = self.buffer.find(table, key)?;
        let Some((group, index)) = self.groups.indexed_rows() else {
            return Ok(found);
        };
        let entry = self.buffer.with_catalog(|catalog| {
            let id = catalog.known_table(table)?;
            Some((id, Arc::clone(catalog.entry(id)?)))
        });
        match entry {
            Some((table, entry)) => find::find_in_group(group, index, table, &entry, key, found),
            None => Ok(found),
        }
    }

    /// Keeps a group's memory for the next one, if it is little.
    pub fn keep_scratch(&mut self, mut group: Box<Group>) {
        group.clear();
        self.scratch = Some(group);
    }

    /// The error of a group that passed the buffer's bounds, with so many rows and bytes.
    pub fn too_large(&self, rows: usize, bytes: usize) -> Error {
        if !self.is_sync() {
            return self.buffer.too_large(rows, bytes);
        }
        let settings = &self.configuration.engine;
        Error::too_large(format!(
            "the group is too large (maxPendingRows is {}, maxPendingBytes {}; the group has {rows} rows and {bytes} \
             bytes): add fewer rows at once, or raise the bound",
            settings.max_pending_rows, settings.max_pending_bytes
        ))
    }

    /// How many rows an error's message says to be still buffered.
    pub fn kept_rows(&self) -> usize {
        if self.is_sync() { 0 } else { self.buffer.pending_rows() }
    }

    /// The flush at destruction, bounded by the shutdown time. What is left goes into the
    /// dead-letter file. Returns what nobody was told of, once.
    ///
    /// Without such a file rows stay until the object's memory goes (`is_last`): an object that is
    /// destroyed may be used by another one's destructor, which may add rows, and flush.
    pub fn drain(&mut self, is_last: bool) -> Vec<String> {
        self.notice_fork();
        let mut left = BTreeMap::new();
        if self.configuration.persistent.is_some() {
            return self.settle_retries(is_last, &left);
        }
        let mut warnings = Vec::new();
        let is_told = self.buffer.pending_rows() == self.reported_lost;
        if !is_told || (is_last && !self.retries.is_empty()) {
            let place = self.buffer.place();
            let (time, drained) = self.living.end(place.as_ref(), |time| self.buffer.drain(time));
            if let Err(cause) = drained {
                let in_files = self.retries.tickets();
                let untold = if is_last || self.configuration.engine.dead_letter_file.is_some() {
                    let end = self.buffer.keep_left(&cause, time, &in_files);
                    left.extend(end.in_files);
                    end.untold
                } else {
                    self.buffer.lost_warning(&cause, &in_files)
                };
                warnings.extend(untold.filter(|_| !is_told));
            }
            self.reported_lost = self.buffer.pending_rows();
        }
        warnings.extend(self.settle_retries(is_last, &left));
        let refused = self.buffer.untold_failed_rows();
        if refused != self.reported_refused && refused > 0 {
            warnings.push(format!(
                "gave up {}, and nobody called takeFailures(); the last error: {}",
                count_rows(refused),
                self.buffer.snapshot().metrics.last_error.as_deref().unwrap_or("none")
            ));
        }
        self.reported_refused = refused;
        warnings
    }

    /// Ends the lines of dead-letter files whose groups are settled, or `left`: not written, each
    /// with whether it may be committed. At the object's end all lines end. Returns why some
    /// could not.
    pub fn settle_retries(&mut self, is_last: bool, left: &BTreeMap<u64, bool>) -> Vec<String> {
        if self.retries.is_empty() {
            return Vec::new();
        }
        let keeps_itself = self.configuration.engine.dead_letter_file.is_some();
        let buffer = &mut self.buffer;
        self.retries
            .settle(|open, line| match (left.get(&open.ticket), buffer.fate(open.ticket)) {
                (Some(false), _) => LineEnd::Back(line.to_vec()),
                (Some(true), _) => LineEnd::Back(uncertain(line)),
                (None, Some(fate)) => LineEnd::of_settled(fate, line, keeps_itself),
                // A persistent buffer has it still.
                (None, None) if is_last => LineEnd::Back(uncertain(line)),
                (None, None) => LineEnd::Open,
            })
    }

    /// The end of the object: what `drain()` does, and the thread goes.
    pub fn end(&mut self) -> Vec<String> {
        let messages = self.drain(true);
        match &mut self.buffer {
            AnyBuffer::Foreground(buffer) => buffer.end(),
            AnyBuffer::Background(buffer) if self.configuration.persistent.is_none() => buffer.stop(),
            AnyBuffer::Background(_) => {}
        }
        messages
    }
}

fn living(buffer: &AnyBuffer, shutdown_timeout: Duration) -> Rc<Living> {
    let background = match buffer {
        AnyBuffer::Foreground(_) => None,
        AnyBuffer::Background(buffer) => Some(buffer),
    };
    Living::enter(shutdown_timeout, background)
}
