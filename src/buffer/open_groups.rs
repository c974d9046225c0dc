//! Groups that calls of `group()` gather: what one fiber adds while its call lasts.
//!
//! The rows stand in the buffer's state, not in the call: at a fatal error a fiber that sleeps is
//! never woken, and what its frames own would be leaked.
//!
//! Invariants:
//! - A fiber has at most one open group. An inner call joins it, and takes back its own rows if it
//!   fails: they are the last ones, since calls of one fiber end in the reverse order.
//! - In a forked child no group is open: what was gathered is the parent's.
//!
//! Bounds: each open group has the buffer's `maxPendingRows` and `maxPendingBytes`, beside what
//! waits; as many are open as there are fibers within `group()`.

use std::sync::Arc;

use write_buffer_core::buffer::group_index::GroupIndex;
use write_buffer_core::rows::group::{Group, Mark};

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
    /// For `find()`.
    index: GroupIndex,
}

/// What a call has begun: a group, or a part of one.
#[derive(Clone, Copy)]
pub struct Begun {
    number: u64,
    /// Where the part begins. `None`: it is the group.
    part: Option<Mark>,
}

impl OpenGroups {
    /// Whether any group is open, in whichever fiber.
    pub fn are_any(&self) -> bool {
        !self.open.is_empty()
    }

    /// The rows that the running fiber has gathered.
    pub fn of_running_fiber(&mut self) -> Option<&mut Group> {
        self.running().map(|group| &mut *group.rows)
    }

    /// The same, and their index.
    pub fn indexed_rows(&mut self) -> Option<(&Group, &mut GroupIndex)> {
        self.running().map(|group| (&*group.rows, &mut group.index))
    }

    fn running(&mut self) -> Option<&mut OpenGroup> {
        if self.open.is_empty() {
            return None;
        }
        let fiber = Fiber::running();
        self.open.iter_mut().find(|group| group.fiber == fiber)
    }

    /// Forgets the parent's groups in a forked child. Their shapes' locks are the parent's, too.
    pub fn forget(&mut self) {
        std::mem::forget(std::mem::take(&mut self.open));
    }

    /// Begins a call: it opens a group, or joins the one that its fiber has open.
    pub fn begin(&mut self, mut new: Box<Group>, tag: Option<Arc<str>>) -> Begun {
        let fiber = Fiber::running();
        if let Some(outer) = self.open.iter_mut().find(|group| group.fiber == fiber) {
            let part = Some(outer.rows.mark());
            outer.rows.set_tag(tag);
            return Begun {
                number: outer.number,
                part,
            };
        }
        new.set_tag(tag);
        self.last += 1;
        self.open.push(OpenGroup {
            number: self.last,
            fiber,
            rows: new,
            index: GroupIndex::default(),
        });
        Begun {
            number: self.last,
            part: None,
        }
    }

    /// Ends a call. Returns the group, if the call began it.
    pub fn end(&mut self, begun: Begun) -> Option<Box<Group>> {
        if begun.part.is_some() {
            return None;
        }
        let at = self.open.iter().position(|group| group.number == begun.number)?;
        Some(self.open.swap_remove(at).rows)
    }

    /// Ends a call that failed: its rows are gone.
    pub fn take_back(&mut self, begun: Begun) {
        match begun.part {
            None => self.open.retain(|group| group.number != begun.number),
            Some(start) => {
                if let Some(outer) = self.open.iter_mut().find(|group| group.number == begun.number) {
                    outer.rows.rewind(start);
                    outer.index.clear();
                }
            }
        }
    }
}
