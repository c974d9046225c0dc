//! Groups that were given up: kept for `takeFailures()`, and reported once to whoever flushes.
//!
//! Bounds: 1,000 groups ([`FAILURES_MAX`]) and 64 MiB ([`FAILURE_BYTES_MAX`]) are kept. At the
//! bound, groups that are in the dead-letter file make room, and those that were handed to whoever
//! waited for them. If there are none, nothing more is given up until somebody takes the failures,
//! and the rows stay buffered. As many wait to be reported, the first ones. They share their rows
//! with those that are kept.
//!
//! The numbers of groups that were given up are remembered beyond that: a group that is settled,
//! and not among them, is committed. Numbers in a row are one run. The last [`RUNS_MAX`] runs are
//! remembered; of groups before these nobody can say it any more.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use crate::dead_letter::{DeadLetter, FlushError};
use crate::error::Error;

/// The most groups that are kept.
pub const FAILURES_MAX: usize = 1_000;
/// The most bytes of groups that are kept, unless one group alone has more.
pub const FAILURE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most runs of numbers that are remembered: about 2 MiB.
pub const RUNS_MAX: usize = 65_536;

/// A group that was given up, with its number.
#[derive(Debug, Clone)]
struct Failure {
    number: u64,
    letter: DeadLetter,
    /// Whoever waited for the group has it.
    is_handed_over: bool,
}

/// The groups that were given up: see the module.
#[derive(Debug, Default)]
pub struct Failures {
    kept: VecDeque<Failure>,
    kept_bytes: usize,
    /// How many of these were handed over, and their bytes.
    handed_over: usize,
    handed_over_bytes: usize,
    /// Groups that no flush has reported yet.
    unreported: Vec<Failure>,
    unreported_bytes: usize,
    /// Rows of groups that no caller was told of.
    untold_rows: usize,
    /// The numbers of the groups that were given up last: each run's first and last one.
    runs: BTreeMap<u64, u64>,
    /// Of groups up to this number nobody knows whether they were given up, unless they are in a
    /// run.
    forgotten: u64,
    /// Those of groups that the end left in the journal.
    in_journal: Vec<RangeInclusive<u64>>,
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
        let (groups, bytes) = (self.handed_over, self.handed_over_bytes);
        self.has_dead_letter_file || !is_at_bound(self.kept.len() - groups, self.kept_bytes - bytes)
    }

    /// Keeps a group that was given up, with its number. At the bound the oldest groups make room
    /// that are in the dead-letter file, or were handed over.
    pub fn keep(&mut self, number: u64, letter: DeadLetter) {
        self.not_committed(number);
        while is_at_bound(self.kept.len(), self.kept_bytes) {
            let is_elsewhere = |failure: &Failure| self.has_dead_letter_file || failure.is_handed_over;
            let oldest = self.kept.iter().position(is_elsewhere);
            let Some(oldest) = oldest.and_then(|at| self.kept.remove(at)) else {
                break;
            };
            let bytes = oldest.letter.size_bytes();
            self.kept_bytes -= bytes;
            if oldest.is_handed_over {
                self.handed_over -= 1;
                self.handed_over_bytes -= bytes;
            }
        }
        self.untold_rows += letter.rows.len();
        let failure = Failure {
            number,
            letter,
            is_handed_over: false,
        };
        if self.unreported.len() < FAILURES_MAX && self.unreported_bytes < FAILURE_BYTES_MAX {
            self.unreported_bytes += failure.letter.size_bytes();
            self.unreported.push(failure.clone());
        }
        self.kept_bytes += failure.letter.size_bytes();
        self.kept.push_back(failure);
    }

    /// A group was settled, and not committed.
    pub fn not_committed(&mut self, number: u64) {
        if self.is_in_a_run(number) {
            return;
        }
        let before = self.run_before(number).filter(|(_, last)| last + 1 == number);
        let first = before.map_or(number, |(first, _)| first);
        let last = self.runs.remove(&(number + 1)).unwrap_or(number);
        self.runs.insert(first, last);
        if self.runs.len() > RUNS_MAX
            && let Some((_, last)) = self.runs.pop_first()
        {
            self.forgotten = self.forgotten.max(last);
        }
    }

    /// The end left a group in the journal. They come in their order, one lane's after the other's.
    pub fn left_in_journal(&mut self, number: u64) {
        match self.in_journal.last_mut() {
            Some(last) if last.end() + 1 == number => *last = *last.start()..=number,
            _ => self.in_journal.push(number..=number),
        }
    }

    /// Groups after this number were not taken, after all: their numbers are those of others.
    pub fn forget_after(&mut self, number: u64) {
        drop(self.runs.split_off(&(number + 1)));
        if let Some((first, last)) = self.run_before(number + 1) {
            self.runs.insert(first, last.min(number));
        }
    }

    fn run_before(&self, number: u64) -> Option<(u64, u64)> {
        self.runs
            .range(..number)
            .next_back()
            .map(|(first, last)| (*first, *last))
    }

    fn is_in_a_run(&self, number: u64) -> bool {
        self.run_before(number + 1).is_some_and(|(_, last)| number <= last)
    }

    /// Tells whoever waited for a group what became of it: it is settled. If it was given up, it
    /// counts as reported from now on.
    ///
    /// # Errors
    ///
    /// It was given up, or is in the journal, or nobody knows.
    pub fn tell_of(&mut self, number: u64) -> Result<(), FlushError> {
        if self.in_journal.iter().any(|run| run.contains(&number)) {
            return Err(Error::blocked(format!(
                "the buffer has ended, and the rows of ticket {number} are in its journal: the next buffer that names it \
                 writes them, or WriteBuffer\\Journal::recover() does"
            ))
            .into());
        }
        if !self.is_in_a_run(number) {
            return if number > self.forgotten {
                Ok(())
            } else {
                Err(Error::forgotten(format!(
                    "ticket {number} is too old: nobody knows any more whether its group was committed or given up, since more \
                     than {RUNS_MAX} others were given up later. Look for its rows in the table"
                ))
                .into())
            };
        }
        let Some(at) = self.kept.iter().position(|failure| failure.number == number) else {
            return Err(Error::given_up(format!(
                "ticket {number} was given up, and its failure is not held any more: takeFailures() has returned it, or \
                 it is in the deadLetterFile"
            ))
            .into());
        };
        let failure = &mut self.kept[at];
        let letter = failure.letter.clone();
        if !std::mem::replace(&mut failure.is_handed_over, true) {
            self.handed_over += 1;
            self.handed_over_bytes += letter.size_bytes();
        }
        if let Some(at) = self.unreported.iter().position(|failure| failure.number == number) {
            self.unreported.remove(at);
            self.unreported_bytes -= letter.size_bytes();
            self.untold_rows = self.untold_rows.saturating_sub(letter.rows.len());
        }
        FlushError::given_up(vec![letter], None).map_or(Ok(()), Err)
    }

    /// Groups that no flush has reported yet.
    pub fn unreported(&self) -> Vec<DeadLetter> {
        letters(self.unreported.iter().cloned())
    }

    /// What a flush reports that ends by an error: these groups, if its exception can have them.
    pub fn reported_by(&self, error: Error) -> FlushError {
        let failures = if error.tells_of_failures() {
            self.unreported()
        } else {
            Vec::new()
        };
        FlushError::new(error, failures)
    }

    /// The caller of a flush hears of this. If it has groups, all that were given up so far count
    /// as reported from now on.
    pub fn told(&mut self, reported: &FlushError) {
        if !reported.failures.is_empty() {
            self.unreported.clear();
            self.unreported_bytes = 0;
            self.untold_rows = 0;
        }
    }

    /// All groups that are kept. They stay.
    pub fn all(&self) -> Vec<DeadLetter> {
        letters(self.kept.iter().cloned())
    }

    /// All groups that are kept. They are kept no longer.
    pub fn take(&mut self) -> Vec<DeadLetter> {
        self.unreported.clear();
        self.unreported_bytes = 0;
        self.untold_rows = 0;
        self.kept_bytes = 0;
        self.handed_over = 0;
        self.handed_over_bytes = 0;
        letters(self.kept.drain(..))
    }

    /// The number of rows that were given up without anybody being told: they are in no file, and
    /// no flush has reported them.
    pub fn untold_rows(&self) -> usize {
        if self.has_dead_letter_file { 0 } else { self.untold_rows }
    }
}

fn is_at_bound(groups: usize, bytes: usize) -> bool {
    groups >= FAILURES_MAX || bytes >= FAILURE_BYTES_MAX
}

fn letters(failures: impl IntoIterator<Item = Failure>) -> Vec<DeadLetter> {
    failures.into_iter().map(|failure| failure.letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{LetterRow, Status};
    use crate::error::Kind;
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
            id: "a1".into(),
            tag: Some("order 7".into()),
            rows: vec![row].into(),
            status: Status::Refused,
            code: 1406,
            message: "".into(),
            time: SystemTime::UNIX_EPOCH,
        }
    }

    fn take_unreported(failures: &mut Failures) -> Vec<DeadLetter> {
        let letters = failures.unreported();
        if let Some(reported) = FlushError::given_up(letters.clone(), None) {
            failures.told(&reported);
        }
        letters
    }

    #[test]
    fn without_a_file_there_is_room_until_a_bound() {
        for (bytes, groups) in [(1, FAILURES_MAX), (FAILURE_BYTES_MAX / 4, 4)] {
            let mut failures = Failures::new(false);
            for group in 0..groups {
                assert!(failures.has_room(), "{group} of {groups}");
                failures.keep(group as u64, letter(bytes));
            }
            assert!(!failures.has_room());
            assert_eq!(failures.untold_rows(), groups);
            for error in [Error::timeout("late"), Error::connection(2002, "away")] {
                let waits = failures.reported_by(error);
                assert!(waits.failures.is_empty(), "its exception has no groups");
                failures.told(&waits);
            }
            assert_eq!(failures.untold_rows(), groups);
            let reported = failures.reported_by(Error::config("no table"));
            assert_eq!(reported.failures.len(), groups);
            assert_eq!(failures.untold_rows(), groups, "the flush may be the end's own");
            failures.told(&reported);
            assert_eq!(failures.untold_rows(), 0);
            assert!(failures.unreported().is_empty());
            assert_eq!(failures.take().len(), groups);
            assert!(failures.has_room());
        }
    }

    #[test]
    fn what_waits_to_be_reported_is_bounded_in_bytes_and_shares_its_rows() {
        let mut failures = Failures::new(true);
        for number in 0..100 {
            failures.keep(number, letter(FAILURE_BYTES_MAX / 4));
        }
        let unreported = take_unreported(&mut failures);
        assert_eq!(unreported.len(), 4);
        failures.keep(100, letter(1));
        let (reported, kept) = (take_unreported(&mut failures), failures.take());
        assert_eq!((reported.len(), kept.len()), (1, 4));
        assert!(std::sync::Arc::ptr_eq(&reported[0].rows, &kept[3].rows));
    }

    #[test]
    fn with_a_file_the_oldest_make_room() {
        let mut failures = Failures::new(true);
        for number in 0..2 * FAILURES_MAX {
            assert!(failures.has_room());
            failures.keep(number as u64, letter(1));
        }
        assert_eq!(failures.untold_rows(), 0, "the file tells");
        assert_eq!(take_unreported(&mut failures).len(), FAILURES_MAX);
        assert!(take_unreported(&mut failures).is_empty());
        assert_eq!(failures.take().len(), FAILURES_MAX);
    }

    fn told(failures: &mut Failures, number: u64) -> Option<(usize, String)> {
        let failed = failures.tell_of(number).err()?;
        Some((failed.failures.len(), failed.error.to_string()))
    }

    #[test]
    fn a_group_that_was_given_up_is_told_of_for_as_long_as_it_is_remembered() {
        let mut failures = Failures::new(false);
        failures.keep(3, letter(1));
        failures.keep(5, letter(1));
        failures.not_committed(7);
        for committed in [1, 2, 4, 6, 8] {
            assert_eq!(told(&mut failures, committed), None);
        }
        assert_eq!(failures.untold_rows(), 2);
        for _ in 0..2 {
            let (letters, why) = told(&mut failures, 3).expect("it was given up");
            assert_eq!(letters, 1);
            assert!(why.starts_with("gave up 1 row"), "{why}");
        }
        assert_eq!(failures.untold_rows(), 1, "its caller was told");
        assert_eq!(
            take_unreported(&mut failures).len(),
            1,
            "the other one is still to be reported"
        );
        assert_eq!(failures.take().len(), 2);
        for taken in [3, 5, 7] {
            let (letters, why) = told(&mut failures, taken).expect("it was given up");
            assert_eq!(letters, 0);
            assert!(why.contains("was given up, and its failure is not held"), "{why}");
        }
        // Whatever is forgotten: nothing that was given up is ever said to be committed.
        for number in (10..).step_by(2).take(RUNS_MAX) {
            failures.not_committed(number);
        }
        for number in 1..=7 {
            let failed = failures.tell_of(number).expect_err("nobody knows");
            assert_eq!(failed.error.kind(), Kind::Forgotten, "{number}: {}", failed.error);
        }
        assert_eq!(told(&mut failures, 8), None);
        assert!(told(&mut failures, 10).is_some());
        assert_eq!(told(&mut failures, 11), None);
    }

    #[test]
    fn without_a_file_those_that_were_handed_over_make_room() {
        let mut failures = Failures::new(false);
        let mut number = 0;
        let mut give_up = |failures: &mut Failures, bytes| {
            number += 1;
            failures.keep(number, letter(bytes));
            number
        };
        // Whoever waits for each group has each of them.
        for _ in 0..3 * FAILURES_MAX {
            assert!(failures.has_room());
            let number = give_up(&mut failures, 1);
            assert!(failures.tell_of(number).is_err());
        }
        assert_eq!(failures.all().len(), FAILURES_MAX);
        // Those for which nobody waits stay.
        let untold: Vec<u64> = (0..FAILURES_MAX)
            .map(|_| {
                assert!(failures.has_room());
                give_up(&mut failures, 1)
            })
            .collect();
        assert!(!failures.has_room());
        assert_eq!(failures.all().len(), FAILURES_MAX);
        for number in [untold[7], untold[7], untold[9]] {
            assert_eq!(told(&mut failures, number).expect("it was given up").0, 1);
        }
        assert!(failures.has_room());
        give_up(&mut failures, 1);
        assert!(failures.has_room());
        let handed_over_is_gone = told(&mut failures, untold[7]).expect("it was given up");
        assert_eq!(handed_over_is_gone.0, 0);
        give_up(&mut failures, 1);
        assert!(!failures.has_room(), "each makes room once");
        assert_eq!(failures.take().len(), FAILURES_MAX);
        assert!(failures.has_room());
        // By bytes.
        let large = give_up(&mut failures, FAILURE_BYTES_MAX);
        assert!(!failures.has_room());
        assert!(failures.tell_of(large).is_err());
        assert!(failures.has_room());
        give_up(&mut failures, 1);
        assert_eq!(failures.all().len(), 1);
    }

    #[test]
    fn numbers_in_a_row_are_one_run_in_whatever_order_they_come() {
        let mut failures = Failures::new(true);
        let last = 3 * RUNS_MAX as u64;
        for number in (2..=last)
            .step_by(3)
            .chain((1..=last).rev().step_by(3))
            .chain((1..=last).step_by(3))
        {
            failures.not_committed(number);
        }
        failures.not_committed(7);
        failures.not_committed(last + 2);
        assert_eq!(
            failures.runs.into_iter().collect::<Vec<_>>(),
            [(1, last), (last + 2, last + 2)]
        );
    }

    #[test]
    fn numbers_that_were_not_given_after_all_are_forgotten() {
        let mut failures = Failures::new(false);
        for number in [3, 4, 5, 7] {
            failures.not_committed(number);
        }
        failures.forget_after(4);
        let given_up: Vec<u64> = (1..9).filter(|number| failures.tell_of(*number).is_err()).collect();
        assert_eq!(given_up, [3, 4]);
        failures.forget_after(2);
        assert!((1..9).all(|number| failures.tell_of(number).is_ok()));
    }
}
