//! `group()`, between its begin and its end; and where the rows of each `add()` go.
//!
//! Invariant: a group is taken when its outermost call ends. Until then none of its rows is.

use std::sync::Arc;

use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;

use crate::buffer::object::Handle;
use crate::buffer::open_groups::Begun;
use crate::buffer::state::State;
use crate::buffer::wait;
use crate::process::fork;

impl State {
    fn has_open_group(&mut self) -> bool {
        self.groups.of_running_fiber().is_some()
    }

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
    /// Opens a group, or joins the one that is open in this fiber. A group has the first tag that
    /// it is given.
    ///
    /// # Errors
    ///
    /// A closed buffer.
    pub fn begin(buffer: Handle<'call>, tag: Option<Arc<str>>) -> Result<Self> {
        let begun = buffer.with(|state| {
            if state.is_closed {
                return Err(Error::closed());
            }
            let new = state.new_group();
            Ok(state.groups.begin(new, tag))
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
        group.map_or(Ok(()), |group| wait::add(self.buffer, group, generation).map(drop))
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
/// open, or else as a group of their own. Returns its ticket: 0 within `group()`, whose ticket
/// nobody knows before it is taken.
///
/// # Errors
///
/// As [`State::join`] and [`wait::add`].
pub fn add(buffer: Handle<'_>, rows: Box<Group>, generation: u64) -> Result<u64, FlushError> {
    match join(buffer, rows)? {
        Some(rows) => wait::add(buffer, rows, generation),
        None => Ok(0),
    }
}

/// The same, and waits for room whatever `overflow` says.
///
/// # Errors
///
/// As [`State::join`] and [`wait::add_patiently`].
pub fn add_patiently(buffer: Handle<'_>, rows: Box<Group>, generation: u64) -> Result<u64, FlushError> {
    match join(buffer, rows)? {
        Some(rows) => wait::add_patiently(buffer, rows, generation),
        None => Ok(0),
    }
}

/// Adds rows to the group that this fiber has open. Gives them back if it has none.
fn join(buffer: Handle<'_>, rows: Box<Group>) -> Result<Option<Box<Group>>> {
    if !buffer.with(|state| state.join(&rows))? {
        return Ok(Some(rows));
    }
    buffer.with(|state| state.keep_scratch(rows));
    Ok(None)
}

/// Whether this fiber has a group open.
pub fn is_open(buffer: Handle<'_>) -> bool {
    buffer.with(State::has_open_group)
}
