//! The end of a [foreground buffer](crate::buffer::foreground): what is left is kept elsewhere.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::buffer::foreground::{ForegroundBuffer, Trigger};
use crate::buffer::leftovers::{self, EndCause, EndTime, Left};
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::metrics::count;
use crate::dead_letter::FlushError;
use crate::dead_letter::file::DeadLetterFile;

impl ForegroundBuffer {
    /// The flush at destruction.
    ///
    /// # Errors
    ///
    /// Why rows are left.
    pub fn drain(&mut self, time: EndTime) -> Result<(), EndCause> {
        if self.pending_rows() == 0 {
            return Ok(());
        }
        self.writer.wait_patiently_for_locks();
        let flushed = self.flush_until(Some(time.limit), Trigger::Caller);
        match flushed {
            Err(failed) if self.pending_rows() > 0 => Err(EndCause {
                error: failed.error,
                place: self.writer.place(),
                names_keys: !self.settings.redact_values,
            }),
            _ => Ok(()),
        }
    }

    /// What to say if the rows that are left will be lost: all but those of groups that are
    /// `in_files`. They stay.
    pub fn lost_warning(&self, cause: &EndCause, in_files: &BTreeSet<u64>) -> Option<String> {
        leftovers::warning(self.progress.groups().into_iter(), in_files, cause)
    }

    /// The end of the rows that are left: they leave the buffer, and go into the dead-letter file,
    /// but for those of groups that are `in_files` already.
    pub fn keep_left(&mut self, cause: &EndCause, time: EndTime, in_files: &BTreeSet<u64>) -> Left {
        let rows = self.progress.pending_rows();
        let left = self.progress.take_left();
        for group in &left {
            self.progress.failures.not_committed(group.number);
        }
        self.writer.forget_doubts();
        self.has_left = true;
        self.progress.metrics.rows_refused += count(rows);
        self.progress.metrics.groups_refused += count(left.len());
        let file = self.settings.dead_letter_file.clone().map(DeadLetterFile::new);
        leftovers::keep(left, in_files, file.as_ref(), cause, time)
    }

    /// The end, after [`Self::drain`]: removes this writer's row from the ledger, if all rows are
    /// written.
    pub fn end(&mut self) {
        // A server that did not take them gets no more time.
        if self.pending_rows() == 0 && !self.has_left {
            self.writer.retire(Instant::now() + RETIRE_TIMEOUT);
        }
    }

    /// Drops the group that was taken after the one with this number, for a caller that keeps none.
    /// Its number is given once more. Returns what the caller hears of why it `failed`: that it is
    /// nowhere; or its failure, which says that it may be committed, if a COMMIT of it was not
    /// answered, whatever was met afterwards.
    pub fn discard_after(&mut self, taken: u64, failed: FlushError) -> FlushError {
        let is_in_doubt = self.progress.queue.is_in_doubt(taken + 1);
        let rows = self.progress.pending_rows();
        let left = self.progress.take_left();
        drop(self.progress.failures.take());
        self.progress.failures.forget_after(taken);
        self.taken = taken;
        self.writer.forget_doubts();
        let mut failed = failed.of_one_group();
        let metrics = &mut self.progress.metrics;
        if let Some(group) = left.first().filter(|_| is_in_doubt) {
            failed = group.in_doubt(failed);
            metrics.refused(rows);
        } else {
            metrics.rows_added = metrics.rows_added.saturating_sub(count(rows));
        }
        failed.is_dropped = failed.failures.is_empty();
        failed
    }
}
