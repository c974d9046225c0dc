//! Lets go of batches that wait for long and are in the journal, and takes them back.
//!
//! What a flusher takes up next stays in memory, so nothing is read back as long as the server
//! keeps up. Of what comes behind it, the last batches wait until they are many: they are stored as
//! one, so that 10,000 rows take some hundred bytes, and become one transaction.
//!
//! Invariants:
//! - A batch whose first group waits for another lane begins a stored one.
//! - Nothing of a queue that is stored is in flight.
//! - A stored batch does not change.
//!
//! Bounds: [`Storing`](crate::buffer::queue::sealed::Storing).

use std::sync::Arc;
use std::time::Instant;

use write_buffer_journal::segment::Spot;

use crate::buffer::limits::MAX_TRANSACTION_ROWS;
use crate::buffer::queue::Queue;
use crate::buffer::queue::position::GroupPosition;
use crate::buffer::queue::sealed::{Kept, SealedBatch, Storing, Tail};
use crate::buffer::queue::stored::StoredBatch;
use crate::rows::batch::Batch;

impl Queue {
    /// From now on groups are in the journal: each one that comes has [its place](Self::keeps_at).
    pub fn store(&mut self, storing: Storing) {
        self.stored.storing = Some(storing);
    }

    /// The group that comes next is in the journal, at this place.
    pub fn keeps_at(&mut self, spot: Option<Spot>) {
        self.stored.next = spot;
    }

    /// How often batches were stored. Whoever looks for a batch and does not find it looks again if
    /// this has changed.
    pub fn times_stored(&self) -> u64 {
        self.stored.times
    }

    /// A batch was sealed.
    pub(super) fn has_sealed(&mut self, batch: Arc<Batch>) {
        let Some(storing) = self.stored.storing else { return };
        self.stored.tail.add(&batch);
        drop(batch);
        let (tail, is_first) = (&self.stored.tail, self.stored.batches == 0);
        let is_enough = if is_first {
            tail.bytes >= storing.head_bytes + storing.tail_bytes
        } else {
            tail.bytes >= storing.tail_bytes || tail.rows >= MAX_TRANSACTION_ROWS
        };
        if is_enough {
            self.store_tail(if is_first { storing.head_bytes } else { 0 }, storing.tail_bytes);
        }
    }

    /// Stores the last batches that are in memory, but for the first ones with so many bytes. No
    /// batch is open.
    fn store_tail(&mut self, mut spared: usize, most_bytes: usize) {
        let mut from = self.sealed.len().saturating_sub(self.stored.tail.batches);
        while spared > 0
            && let Some(Kept::Memory(batch)) = self.sealed.get(from).map(|sealed| &sealed.rows)
        {
            spared = spared.saturating_sub(batch.size_bytes());
            from += 1;
        }
        if from >= self.sealed.len() || self.sealed.range(from..).any(|sealed| sealed.span.is_none()) {
            return;
        }
        let groups = |sealed: &SealedBatch| sealed.rows.memory().map_or(0, |batch| batch.group_count());
        let count: usize = self.sealed.range(from..).map(groups).sum();
        let mut numbers = self
            .unsettled
            .split_off(self.unsettled.len().saturating_sub(count))
            .into_iter();
        let mut last: Option<(StoredBatch, Vec<GroupPosition>, bool, usize)> = None;
        let mut all = Vec::new();
        for sealed in self.sealed.split_off(from) {
            let (Kept::Memory(batch), Some(span)) = (&sealed.rows, sealed.span) else {
                continue;
            };
            self.pending_bytes -= batch.size_bytes();
            let numbers = numbers.by_ref().take(batch.group_count());
            let fits = |(stored, _, _, bytes): &&mut (StoredBatch, Vec<GroupPosition>, bool, usize)| {
                sealed.after.is_empty()
                    && stored.rows() + batch.rows() <= MAX_TRANSACTION_ROWS
                    && *bytes + batch.size_bytes() <= most_bytes
            };
            if let Some((stored, _, is_full, bytes)) = last.as_mut().filter(fits) {
                stored.append(batch, numbers, span);
                *is_full |= sealed.is_full;
                *bytes += batch.size_bytes();
            } else {
                let stored = StoredBatch::new(batch, numbers, span);
                all.extend(last.replace((stored, sealed.after, sealed.is_full, batch.size_bytes())));
            }
        }
        for (mut stored, after, is_full, _) in all.into_iter().chain(last) {
            let before = self.sealed.back().and_then(|sealed| match &sealed.rows {
                Kept::Journal(before) => Some(&**before),
                Kept::Memory(_) => None,
            });
            stored.finish(before);
            self.pending_bytes += stored.size_bytes();
            self.stored.batches += 1;
            self.sealed.push_back(SealedBatch {
                rows: Kept::Journal(Arc::new(stored)),
                after,
                is_full,
                span: None,
            });
        }
        self.stored.times += 1;
        self.stored.tail = Tail::default();
    }

    /// What has to be read back before anything can be taken up: stored batches for a transaction.
    pub fn wants_back(&self, now: Instant, is_settled: impl Fn(&GroupPosition) -> bool) -> Vec<Arc<StoredBatch>> {
        let mut wanted = Vec::new();
        if !self.in_flight.is_empty() || self.retry_at.is_some_and(|at| at > now) {
            return wanted;
        }
        let most_bytes = self.stored.storing.map_or(0, |storing| storing.head_bytes);
        let (mut rows, mut bytes) = (0, 0);
        for sealed in &self.sealed {
            let Kept::Journal(stored) = &sealed.rows else { break };
            rows += stored.rows();
            bytes += stored.value_bytes();
            let is_enough = rows > MAX_TRANSACTION_ROWS || bytes > most_bytes;
            if !sealed.after.iter().all(&is_settled) || (is_enough && !wanted.is_empty()) {
                break;
            }
            wanted.push(Arc::clone(stored));
        }
        wanted
    }

    /// Takes stored batches back that were wanted, each with its groups, but for those that are
    /// lost. Returns whether they were still wanted.
    pub fn take_back(&mut self, read: Vec<(Arc<StoredBatch>, Batch)>, lost: &[u64]) -> bool {
        let is_it = |(sealed, (wanted, _)): (&SealedBatch, &(Arc<StoredBatch>, Batch))| matches!(&sealed.rows, Kept::Journal(stored) if Arc::ptr_eq(stored, wanted));
        if self.sealed.len() < read.len() || !self.sealed.iter().zip(&read).all(is_it) {
            return false;
        }
        // The last one first: their numbers come before all others.
        for (at, (stored, batch)) in read.into_iter().enumerate().rev() {
            self.pending_rows -= stored.rows() - batch.rows();
            self.pending_bytes -= stored.size_bytes();
            self.stored.batches -= 1;
            if batch.is_empty() {
                self.sealed.remove(at);
                continue;
            }
            self.pending_bytes += batch.size_bytes();
            let numbers: Vec<u64> = stored.numbers().iter().collect();
            for number in numbers.into_iter().rev().filter(|number| !lost.contains(number)) {
                self.unsettled.push_front(number);
            }
            if let Some(sealed) = self.sealed.get_mut(at) {
                sealed.rows = Kept::Memory(Arc::new(batch));
            }
        }
        if self.stored.batches == 0 {
            self.stored.tail = Tail::default();
            for batch in self.sealed.iter().filter_map(|sealed| sealed.rows.memory()) {
                self.stored.tail.add(batch);
            }
        }
        true
    }

    /// The stored batch that comes next, if nothing is in flight.
    pub(super) fn next_stored(&self) -> Option<&Arc<StoredBatch>> {
        match &self.sealed.front().filter(|_| self.in_flight.is_empty())?.rows {
            Kept::Journal(stored) => Some(stored),
            Kept::Memory(_) => None,
        }
    }

    /// The stored batches, in order.
    pub fn stored(&self) -> impl Iterator<Item = &Arc<StoredBatch>> {
        self.sealed.iter().filter_map(|sealed| match &sealed.rows {
            Kept::Journal(stored) => Some(stored),
            Kept::Memory(_) => None,
        })
    }

    /// The stored batch that has a group.
    pub fn stored_with(&self, group: u64) -> Option<&Arc<StoredBatch>> {
        if self.stored.batches == 0 {
            return None;
        }
        let behind = self.sealed.partition_point(|sealed| sealed.rows.first_group() <= group);
        match &self.sealed.get(behind.checked_sub(1)?)?.rows {
            Kept::Journal(stored) if stored.numbers().position(group).is_some() => Some(stored),
            _ => None,
        }
    }

    /// Takes the stored batches, at the end of the buffer. What is in memory stays there.
    pub fn take_stored(&mut self) -> Vec<Arc<StoredBatch>> {
        self.stored.storing = None;
        self.stored.forget();
        let stored: Vec<_> = self.stored().cloned().collect();
        self.sealed.retain(|sealed| sealed.rows.memory().is_some());
        self.pending_rows -= stored.iter().map(|stored| stored.rows()).sum::<usize>();
        self.pending_bytes -= stored.iter().map(|stored| stored.size_bytes()).sum::<usize>();
        stored
    }
}
