//! A process that lives for long looks for what others leave.
//!
//! Bounds: as often as the settings say, on the buffer's thread; what it finds is for a thread of
//! its own, one at a time.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Recovery;
use crate::buffer::background::{BackgroundBuffer, Watch};
use crate::buffer::recovery::successor::{AllTaken, LOOK};

impl Recovery {
    /// Has a buffer look for dead writers now and then, as often as the settings say. So a process
    /// that lives for long writes what others leave, and nobody has to start for that. Whoever
    /// starts meanwhile is given the time between two looks. Its own rows do not wait.
    pub fn watch(self: &Arc<Self>, buffer: &BackgroundBuffer) {
        let recovery = Arc::clone(self);
        let look = move |watch| recovery.look(watch);
        buffer.look_every(self.journal.look_interval, Arc::new(look));
    }

    /// Looks once, without waiting for anybody. A thread writes what is found.
    fn look(self: &Arc<Self>, watch: Watch) {
        if self.is_at_work.swap(true, Ordering::AcqRel) {
            return;
        }
        let long_dead = self.long_dead();
        if long_dead.is_empty() {
            self.is_at_work.store(false, Ordering::Release);
            return;
        }
        let watch = Arc::new(watch);
        let (recovery, watching) = (Arc::clone(self), Arc::clone(&watch));
        let body = move || {
            recovery.write_until_done(long_dead, &watching);
            recovery.is_at_work.store(false, Ordering::Release);
        };
        if let Err(error) = self.spawn(Box::new(body)) {
            self.is_at_work.store(false, Ordering::Release);
            watch.note(&error);
        }
    }

    /// Takes over what these have left, and looks on as long as some of it waits for a table.
    fn write_until_done(&self, mut writers: Vec<String>, watch: &Watch) {
        let stops = || watch.is_stopping();
        let mut taken = AllTaken::default();
        loop {
            while self.take_all(&writers, &mut taken, &stops) {
                taken.make_room(&stops);
            }
            taken.wait_until_tried(&stops);
            taken.end_those_that_are_done();
            taken.errors().for_each(|error| watch.note(error));
            taken.drop_those_to_try_again();
            if stops() || taken.successors.is_empty() {
                break;
            }
            let next = Instant::now() + self.journal.look_interval;
            while !stops() && taken.is_waiting() && Instant::now() < next {
                std::thread::sleep(LOOK);
            }
            writers = self.long_dead();
        }
        taken.end(&stops);
    }

    /// The writers that were dead already when this was asked last. Whoever starts in a dead one's
    /// place comes first: it writes the old rows before its own.
    pub fn long_dead(&self) -> Vec<String> {
        let dead: BTreeSet<String> = self
            .writers()
            .into_iter()
            .filter(|writer| self.is_dead(writer))
            .collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let long_dead = dead.intersection(&seen).cloned().collect();
        *seen = dead;
        long_dead
    }
}
