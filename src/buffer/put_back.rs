//! The failures that `retry()` has put back, by their ids: none is put back twice by one object.
//!
//! Bound: [`IDS_MAX`] are remembered, the last ones.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

/// The most ids.
pub const IDS_MAX: usize = 10_000;

/// The ids: see the module.
#[derive(Default)]
pub struct PutBack {
    ids: HashSet<Rc<[u8]>>,
    in_order: VecDeque<Rc<[u8]>>,
}

impl PutBack {
    /// Whether a failure was put back.
    pub fn has(&self, id: &[u8]) -> bool {
        self.ids.contains(id)
    }

    /// A failure is put back. `false`: it was before.
    pub fn enter(&mut self, id: &[u8]) -> bool {
        let id: Rc<[u8]> = Rc::from(id);
        if !self.ids.insert(Rc::clone(&id)) {
            return false;
        }
        self.in_order.push_back(id);
        if self.in_order.len() > IDS_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// The failure that was entered last was not taken.
    pub fn take_back(&mut self, id: &[u8]) {
        if self.ids.remove(id) {
            self.in_order.retain(|other| **other != *id);
        }
    }
}
