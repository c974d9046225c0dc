//! Groups that calls of `group()` gather: what one fiber adds while its call lasts.
//!
//! The rows stand in the buffer's state, not in the call: at a fatal error a fiber that sleeps is
//! never woken, and what its frames own would be leaked.
//!
//! Invariants:
//! - A fiber has at most one open group. An inner call joins it, and takes back its own rows if it
//!   fails: they are the last ones, since calls of one fiber end in the reverse order.
//! - A group is taken when its outermost call ends. Until then none of its rows is.
//! - In a forked child no group is open: what was gathered is the parent's.
//!
//! Bounds: each open group has the buffer's `maxPendingRows` and `maxPendingBytes`, beside what
//! waits; as many are open as there are fibers within `group()`.

use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::{Group, Mark};

use crate::buffer::object::Handle;
use crate::buffer::state::State;
use crate::buffer::wait;
use crate::process::fork;
use crate::zend::fibers::Fiber;

/// The groups that are being gathered.
#[derive(Default)]
pub struct OpenGroups {
    open: Vec<OpenGroup>,
    /// The number of the last one. It is not used again.
    last: u64,
}

struct OpenGroup {
    number: u64,
    fiber: Fiber,
    rows: Box<Group>,
}

/// What a call has begun: a group, or a part of one.
#[derive(Clone, Copy)]
struct Begun {
    number: u64,
    /// Where the part begins. `None`: it is the group.
    part: Option<Mark>,
}

impl OpenGroups {
    /// The rows that the running fiber has gathered.
    pub fn of_running_fiber(&mut self) -> Option<&mut Group> {
        if self.open.is_empty() {
            return None;
        }
        let fiber = Fiber::running();
        let mut open = self.open.iter_mut();
        open.find(|group| group.fiber == fiber).map(|group| &mut *group.rows)
    }

    /// Forgets the parent's groups in a forked child. Their shapes' locks are the parent's, too.
    pub fn forget(&mut self) {
        std::mem::forget(std::mem::take(&mut self.open));
    }

    fn begin(&mut self, new: Box<Group>) -> Begun {
        let fiber = Fiber::running();
        if let Some(outer) = self.open.iter().find(|group| group.fiber == fiber) {
            return Begun {
                number: outer.number,
                part: Some(outer.rows.mark()),
            };
        }
        self.last += 1;
        self.open.push(OpenGroup {
            number: self.last,
            fiber,
            rows: new,
        });
        Begun {
            number: self.last,
            part: None,
        }
    }

    /// Ends a call. Returns the group, if the call began it.
    fn end(&mut self, begun: Begun) -> Option<Box<Group>> {
        if begun.part.is_some() {
            return None;
        }
        let at = self.open.iter().position(|group| group.number == begun.number)?;
        Some(self.open.swap_remove(at).rows)
    }

    /// Ends a call that failed: its rows are gone.
    fn take_back(&mut self, begun: Begun) {
        match begun.part {
            None => self.open.retain(|group| group.number != begun.number),
            Some(start) => {
                if let Some(outer) = self.open.iter_mut().find(|group| group.number == begun.number) {
                    outer.rows.rewind(start);
                }
            }
        }
    }
}

impl State {
    /// Adds rows to the group that the running fiber gathers. `false`: it gathers none.
    ///
    /// # Errors
    ///
    /// Rows that their table can never take, or with which the group passes the buffer's bounds; a
    /// closed buffer. The group is as it was.
    fn join(&mut self, rows: &Group) -> Result<bool> {
        self.notice_fork();
        let Some(whole) = self.groups.of_running_fiber() else {
            return Ok(false);
        };
        if self.is_closed {
            return Err(Error::closed());
        }
        self.buffer.check(rows)?;
        if whole.append(rows).is_err() {
            let (rows, bytes) = whole.refused_size();
            return Err(self.too_large(rows, bytes));
        }
        Ok(true)
    }
}

/// A call of `group()`. If it is dropped, all is gone that was added since it began.
pub struct Gathering<'call> {
    buffer: Handle<'call>,
    begun: Option<Begun>,
}

impl<'call> Gathering<'call> {
    /// Opens a group, or joins the one that is open in this fiber.
    ///
    /// # Errors
    ///
    /// A closed buffer.
    pub fn begin(buffer: Handle<'call>) -> Result<Self> {
        let begun = buffer.with(|state| {
            if state.is_closed {
                return Err(Error::closed());
            }
            let new = state.new_group();
            Ok(state.groups.begin(new))
        })?;
        Ok(Self {
            buffer,
            begun: Some(begun),
        })
    }

    /// Gives the group to the engine, unless an outer call goes on with it.
    ///
    /// # Errors
    ///
    /// As [`wait::add`].
    pub fn end(mut self) -> Result<(), FlushError> {
        let Some(begun) = self.begun.take() else {
            return Ok(());
        };
        let generation = fork::fork_generation();
        let group = self.buffer.with(|state| {
            state.notice_fork();
            state.groups.end(begun)
        });
        group.map_or(Ok(()), |group| wait::add(self.buffer, group, generation))
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.buffer.with(|state| {
                state.notice_fork();
                state.groups.take_back(begun);
            });
        }
    }
}

/// Takes rows that were gathered in the process of `generation`: into the group that this fiber has
/// open, or else as a group of their own.
///
/// # Errors
///
/// As [`State::join`] and [`wait::add`].
pub fn add(buffer: Handle<'_>, rows: Box<Group>, generation: u64) -> Result<(), FlushError> {
    if buffer.with(|state| state.join(&rows))? {
        buffer.with(|state| state.keep_scratch(rows));
        return Ok(());
    }
    wait::add(buffer, rows, generation)
}
