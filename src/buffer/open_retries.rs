//! Dead-letter files whose retry stopped while this buffer held groups of them: no server, or a
//! table that takes no rows.
//!
//! Such a file stays where its retry keeps it, and its lock is held, until the buffer has written
//! the last of these groups, has given it up, or ends. Only then is it known what to say of it: so
//! a group never has a second line.
//!
//! Invariant: nothing here runs PHP code, or waits.
//!
//! Bound: the lines that are put back at once, for each file.

use std::collections::BTreeSet;
use std::path::Path;

use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::dead_letter::line::json_line;
use write_buffer_core::dead_letter::retry::{RetryFile, uncertain};
use write_buffer_core::error::Result;

/// What becomes of a line.
pub enum LineEnd {
    /// Its group is still buffered.
    Open,
    /// Its group is written.
    Committed,
    /// Its group was given up, and the buffer's own file has it.
    Kept,
    /// It goes back into its file, like this.
    Back(Vec<u8>),
}

impl LineEnd {
    /// What becomes of the line of a group that is settled. `keeps_itself`: the buffer has a file
    /// of its own, where it writes what it gives up. In two files it could be put back twice.
    pub fn of_settled(fate: Result<(), FlushError>, line: &[u8], keeps_itself: bool) -> Self {
        let Err(failed) = fate else {
            return Self::Committed;
        };
        match failed.failures.first() {
            _ if keeps_itself => Self::Kept,
            Some(letter) => Self::Back(json_line(letter).trim_ascii_end().to_vec()),
            // Its failure is not held: there were too many, or somebody has taken it, and may put
            // it back.
            None => Self::Back(uncertain(line)),
        }
    }
}

/// A line whose group is buffered.
#[derive(Clone, Copy)]
pub struct OpenLine {
    /// Its number in the file, from 0.
    pub at: usize,
    /// Its group's.
    pub ticket: u64,
}

/// A file with such lines.
pub struct OpenRetry {
    /// All its other lines are done.
    pub file: RetryFile,
    /// In their order.
    pub lines: Vec<OpenLine>,
}

impl OpenRetry {
    /// Ends lines. Returns how many of their groups are committed.
    ///
    /// # Errors
    ///
    /// A file cannot be written to. What was not given back stays open.
    pub fn settle(&mut self, mut end: impl FnMut(OpenLine, &[u8]) -> LineEnd) -> Result<usize> {
        let (mut open, mut settled, mut back, mut committed) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for line in &self.lines {
            match end(*line, self.file.line(line.at)) {
                LineEnd::Open => {
                    open.push(*line);
                    continue;
                }
                LineEnd::Committed => committed += 1,
                LineEnd::Kept => {}
                LineEnd::Back(text) => back.push(text),
            }
            settled.push(line.at);
        }
        self.file.give_back(&back)?;
        self.lines = open;
        for at in settled {
            self.file.settled(at..at + 1)?;
        }
        Ok(committed)
    }
}

/// The files: see the module.
#[derive(Default)]
pub struct OpenRetries(Vec<OpenRetry>);

impl OpenRetries {
    /// A retry stopped.
    pub fn enter(&mut self, retry: OpenRetry) {
        self.0.push(retry);
    }

    /// The one of a dead-letter file, for whoever goes on with it.
    pub fn take_of(&mut self, source: &Path) -> Option<OpenRetry> {
        let at = self.0.iter().position(|retry| retry.file.source() == source)?;
        Some(self.0.swap_remove(at))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tickets of all groups that have a line in one of the files.
    pub fn tickets(&self) -> BTreeSet<u64> {
        let lines = self.0.iter().flat_map(|retry| &retry.lines);
        lines.map(|line| line.ticket).collect()
    }

    /// Ends lines, and files that have no open one any more. Returns why some could not be ended.
    pub fn settle(&mut self, mut end: impl FnMut(OpenLine, &[u8]) -> LineEnd) -> Vec<String> {
        let mut untold = Vec::new();
        for mut retry in std::mem::take(&mut self.0) {
            let settled = retry.settle(&mut end);
            let failed = if retry.lines.is_empty() {
                settled.and(retry.file.finish())
            } else {
                self.0.push(retry);
                settled.map(drop)
            };
            untold.extend(failed.err().map(|error| error.to_string()));
        }
        untold
    }
}
