//! Groups that were given up, kept for `takeFailures()`.

use std::collections::VecDeque;

use crate::dead_letter::DeadLetter;

/// Failures kept for `take_failures()`. When there are more, those that are in the dead-letter file make room; without
/// such a file nothing more is given up until they are taken, and the rows stay buffered.
pub const MAX_FAILURES: usize = 1_000;

/// Keeps a group that was given up. Where the bound is reached it is in the dead-letter file, and the oldest make room.
pub(crate) fn keep_failure(failures: &mut VecDeque<DeadLetter>, letter: DeadLetter) {
    if failures.len() >= MAX_FAILURES {
        failures.pop_front();
    }
    failures.push_back(letter);
}
