//! Taking groups out of what is in flight.

use std::sync::Arc;

use crate::buffer::queue::Queue;
use crate::rows::batch::Batch;

/// What was set aside from what is in flight.
#[derive(Debug)]
pub struct SetAside {
    /// The groups, each alone in a batch, with their numbers.
    pub groups: Vec<(u64, Batch)>,
    /// What is in flight is other than it was.
    pub is_changed: bool,
}

impl Queue {
    /// Takes groups away from those in flight: those for which `goes` says so, asked in their
    /// order, by batch and position. The settled ones are dropped.
    pub fn set_aside(&mut self, mut goes: impl FnMut(&Batch, usize) -> bool) -> SetAside {
        let mut aside = SetAside {
            groups: Vec::new(),
            is_changed: self.done_groups > 0,
        };
        let mut settled = std::mem::take(&mut self.done_groups);
        let flight = std::mem::take(&mut self.in_flight);
        let count: usize = flight.iter().map(|batch| batch.group_count()).sum();
        let mut numbers = self.unsettled.drain(..(count - settled).min(self.unsettled.len()));
        let mut kept_numbers: Vec<u64> = Vec::new();
        for batch in flight {
            let first = settled.min(batch.group_count());
            settled -= first;
            let decided: Vec<bool> = (first..batch.group_count())
                .map(|position| goes(&batch, position))
                .collect();
            if first == 0 && !decided.contains(&true) {
                kept_numbers.extend(numbers.by_ref().take(decided.len()));
                self.in_flight.push(batch);
                continue;
            }
            self.pending_bytes -= batch.size_bytes();
            let mut kept = Batch::with_capacity(batch.oldest, batch.rows(), batch.arena_bytes());
            for ((position, goes), number) in (first..).zip(decided).zip(numbers.by_ref()) {
                if goes {
                    let mut alone = Batch::new(batch.oldest);
                    alone.first_group = number;
                    alone.append_from(&batch, position);
                    alone.give_back_memory();
                    self.pending_rows -= alone.rows();
                    aside.groups.push((number, alone));
                    aside.is_changed = true;
                } else {
                    if kept.is_empty() {
                        kept.first_group = number;
                        kept.is_rest = true;
                    }
                    kept.append_from(&batch, position);
                    kept_numbers.push(number);
                }
            }
            if !kept.is_empty() {
                self.pending_bytes += kept.size_bytes();
                self.in_flight.push(Arc::new(kept));
            }
        }
        drop(numbers);
        for number in kept_numbers.into_iter().rev() {
            self.unsettled.push_front(number);
        }
        self.is_full_in_flight &= !self.in_flight.is_empty();
        aside
    }
}
