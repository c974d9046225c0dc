//! Groups that were given up: kept for `takeFailures()`, and reported once to whoever flushes.
//!
//! Bounds: 1,000 groups ([`FAILURES_MAX`]) and 64 MiB ([`FAILURE_BYTES_MAX`]) are kept. At the
//! bound, groups that are in the dead-letter file make room. Without such a file nothing more is
//! given up until somebody takes the failures, and the rows stay buffered. As many wait to be
//! reported, the first ones. They share their rows with those that are kept.

use std::collections::VecDeque;

use crate::dead_letter::DeadLetter;

/// The most groups that are kept.
pub const FAILURES_MAX: usize = 1_000;
/// The most bytes of groups that are kept, unless one group alone has more.
pub const FAILURE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The groups that were given up: see the module.
#[derive(Debug, Default)]
pub struct Failures {
    kept: VecDeque<DeadLetter>,
    kept_bytes: usize,
    /// Groups that no flush has reported yet.
    unreported: Vec<DeadLetter>,
    unreported_bytes: usize,
    /// Rows of groups that no caller was told of.
    untold_rows: usize,
    has_dead_letter_file: bool,
}

impl Failures {
    /// No failures yet.
    pub fn new(has_dead_letter_file: bool) -> Self {
        Self {
            has_dead_letter_file,
            ..Self::default()
        }
    }

    /// Whether one more group can be given up without losing another.
    pub fn has_room(&self) -> bool {
        self.has_dead_letter_file || !self.is_at_bound()
    }

    fn is_at_bound(&self) -> bool {
        self.kept.len() >= FAILURES_MAX || self.kept_bytes >= FAILURE_BYTES_MAX
    }

    /// Keeps a group that was given up. At the bound the oldest groups make room: they are in the
    /// dead-letter file.
    pub fn keep(&mut self, letter: DeadLetter) {
        while self.is_at_bound() {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.size_bytes();
        }
        self.untold_rows += letter.rows.len();
        if self.unreported.len() < FAILURES_MAX && self.unreported_bytes < FAILURE_BYTES_MAX {
            self.unreported_bytes += letter.size_bytes();
            self.unreported.push(letter.clone());
        }
        self.kept_bytes += letter.size_bytes();
        self.kept.push_back(letter);
    }

    /// Groups that no flush has reported yet. They count as reported from now on.
    pub fn take_unreported(&mut self) -> Vec<DeadLetter> {
        self.unreported_bytes = 0;
        std::mem::take(&mut self.unreported)
    }

    /// The caller was told of all groups that were given up so far.
    pub fn told(&mut self) {
        self.untold_rows = 0;
    }

    /// All groups that are kept. They are kept no longer.
    pub fn take(&mut self) -> Vec<DeadLetter> {
        self.unreported.clear();
        self.unreported_bytes = 0;
        self.untold_rows = 0;
        self.kept_bytes = 0;
        self.kept.drain(..).collect()
    }

    /// The number of rows that were given up without anybody being told: they are in no file, and
    /// no flush has reported them.
    pub fn untold_rows(&self) -> usize {
        if self.has_dead_letter_file { 0 } else { self.untold_rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{LetterRow, Status};
    use crate::table::shape::RowKind;
    use crate::value::Value;
    use std::borrow::Cow;
    use std::time::SystemTime;

    fn letter(bytes: usize) -> DeadLetter {
        let text = Value::Bytes(Cow::Owned(vec![b'x'; bytes]));
        let row = LetterRow {
            table: "t".to_owned(),
            columns: vec![("v".into(), text)],
            kind: RowKind::Row,
        };
        DeadLetter {
            rows: vec![row].into(),
            status: Status::Refused,
            code: 1406,
            message: "".into(),
            time: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn without_a_file_there_is_room_until_a_bound() {
        for (bytes, groups) in [(1, FAILURES_MAX), (FAILURE_BYTES_MAX / 4, 4)] {
            let mut failures = Failures::new(false);
            for group in 0..groups {
                assert!(failures.has_room(), "{group} of {groups}");
                failures.keep(letter(bytes));
            }
            assert!(!failures.has_room());
            assert_eq!(failures.untold_rows(), groups);
            assert_eq!(failures.take_unreported().len(), groups);
            assert_eq!(failures.untold_rows(), groups, "the flush may be the end's own");
            failures.told();
            assert_eq!(failures.untold_rows(), 0);
            assert_eq!(failures.take().len(), groups);
            assert!(failures.has_room());
        }
    }

    #[test]
    fn what_waits_to_be_reported_is_bounded_in_bytes_and_shares_its_rows() {
        let mut failures = Failures::new(true);
        for _ in 0..100 {
            failures.keep(letter(FAILURE_BYTES_MAX / 4));
        }
        let unreported = failures.take_unreported();
        assert_eq!(unreported.len(), 4);
        failures.keep(letter(1));
        let (reported, kept) = (failures.take_unreported(), failures.take());
        assert_eq!((reported.len(), kept.len()), (1, 4));
        assert!(std::sync::Arc::ptr_eq(&reported[0].rows, &kept[3].rows));
    }

    #[test]
    fn with_a_file_the_oldest_make_room() {
        let mut failures = Failures::new(true);
        for _ in 0..2 * FAILURES_MAX {
            assert!(failures.has_room());
            failures.keep(letter(1));
        }
        assert_eq!(failures.untold_rows(), 0, "the file tells");
        assert_eq!(failures.take_unreported().len(), FAILURES_MAX);
        assert!(failures.take_unreported().is_empty());
        assert_eq!(failures.take().len(), FAILURES_MAX);
    }
}
