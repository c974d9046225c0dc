//! What is known of a lane's records: the judge's own list.

use fastrand::Rng;
use write_buffer_journal::scan::{Stored, StoredGroup, StoredNote};

use crate::recovery::Cut;

/// A group or a note that was appended. Its ordinal is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The group's number, or that of the group before the note.
    pub number: u64,
    /// The engine's lane; `None` for a note.
    pub lane: Option<u8>,
    pub payload: Vec<u8>,
    /// A note that has to be found.
    pub is_owed: bool,
    /// A group that no sync had returned for, and that a power cut took: nobody has it any more.
    pub is_lost: bool,
}

/// What is known of a lane's records.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub records: Vec<Record>,
    /// So many of them were appended for certain,
    pub appended: usize,
    /// synced for certain.
    pub synced: usize,
    /// What the ledger says.
    pub position: u64,
    /// Notes from this ordinal on are kept.
    pub kept_from: u64,
    /// The last record when groups were settled last.
    settled_at: u64,
}

impl Expected {
    pub fn new() -> Self {
        Self {
            kept_from: u64::MAX,
            ..Self::default()
        }
    }

    /// What holds between this moment and a later one.
    pub fn meanwhile(self, later: &Self) -> Self {
        Self {
            records: later.records.clone(),
            position: later.position,
            ..self
        }
    }

    /// Groups after a number, as places in the list.
    pub fn groups_after(&self, number: u64) -> Vec<usize> {
        let groups = self.records.iter().enumerate();
        groups
            .filter(|(_, record)| record.lane.is_some() && record.number > number && !record.is_lost)
            .map(|(at, _)| at)
            .collect()
    }

    /// Numbers of groups that may be settled now: of those that were appended.
    pub fn choose_position(&self, rng: &mut Rng) -> u64 {
        let groups = self.groups_after(self.position);
        let numbers = groups.iter().map(|at| self.records[*at].number);
        rng.choice([self.position].into_iter().chain(numbers).collect::<Vec<_>>())
            .expect("one at least")
    }

    /// `settle_through` was called: from now on it owes less.
    pub fn settle(&mut self, number: u64) {
        let notes_before = self.kept_from.min(self.settled_at + 1);
        for (record, ordinal) in self.records.iter_mut().zip(1..) {
            record.is_owed &= record.number > number || ordinal >= notes_before;
        }
        self.settled_at = self.records.len() as u64;
    }

    /// So many records of which at least must be there.
    pub fn wanted(&self, cut: Cut) -> usize {
        match cut {
            Cut::Kill => self.appended,
            Cut::Power => self.synced,
        }
    }

    /// Whether any of the first so many has to be found.
    pub fn owes_any(&self, wanted: usize) -> bool {
        let mut first = self.records.iter().take(wanted);
        first.any(|record| match record.lane {
            Some(_) => record.number > self.position && !record.is_lost,
            None => record.is_owed,
        })
    }

    /// A successor is about to go on behind this record, and has found these. What it has not may
    /// still come back: it is settled.
    pub fn take_over(&mut self, cut: Cut, last_ordinal: u64, found: &[usize]) {
        let last = usize::try_from(last_ordinal).expect("small");
        assert!(last <= self.records.len(), "{last} of {}", self.records.len());
        for (at, record) in self.records.iter_mut().enumerate() {
            record.is_owed &= found.contains(&at);
            // One that a sync had returned for is found: that was checked before.
            let may_be_lost = cut == Cut::Power && at >= self.synced && record.number > self.position;
            record.is_lost |= may_be_lost && record.lane.is_some() && !found.contains(&at);
        }
        self.appended = last;
        self.synced = match cut {
            Cut::Kill => self.synced.min(last),
            Cut::Power => last,
        };
        self.kept_from = u64::MAX;
        self.settled_at = 0;
    }

    /// The successor goes on: what it has not found is gone.
    pub fn go_on(&mut self) {
        self.records.truncate(self.appended);
    }

    /// Where what a scan returned stands in the list: in its order, and each as it was appended.
    pub fn places(&self, case: &str, found: &[Stored]) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        for stored in found {
            let at = self.place(stored);
            let at = at.unwrap_or_else(|| panic!("{case}: {stored:?} was never appended"));
            let last = places.last().copied();
            assert!(last.is_none_or(|last| last < at), "{case}: {stored:?} after {last:?}");
            places.push(at);
        }
        places
    }

    fn place(&self, stored: &Stored) -> Option<usize> {
        let is_same = |record: &Record| match stored {
            Stored::Group(StoredGroup {
                number, lane, payload, ..
            }) => (record.number, record.lane, &record.payload) == (*number, Some(*lane), payload),
            Stored::Note(StoredNote {
                after_number, bytes, ..
            }) => (record.number, record.lane, &record.payload) == (*after_number, None, bytes),
        };
        match stored {
            Stored::Group(_) => self.records.iter().position(is_same),
            Stored::Note(note) => {
                let at = usize::try_from(note.ordinal).ok()?.checked_sub(1)?;
                self.records.get(at).is_some_and(is_same).then_some(at)
            }
        }
    }

    /// What a scan has to return up to where it ended, and does not: groups after the position, and
    /// notes.
    pub fn missing(&self, found: &[usize], wanted: usize) -> Vec<usize> {
        // The log ends there. Before it nothing may be missing, whether it was synced or not: but
        // for a note amid what is settled.
        let end = found.last().map_or(0, |last| last + 1);
        let first_group = self.groups_after(self.position).first().copied();
        let is_within = |at: usize| at < end && first_group.is_some_and(|first| at > first);
        let owed = self
            .records
            .iter()
            .enumerate()
            .filter(|(at, record)| match record.lane {
                Some(_) => record.number > self.position && !record.is_lost && (*at < wanted || *at < end),
                None => record.is_owed && (*at < wanted || is_within(*at)),
            });
        owed.map(|(at, _)| at).filter(|at| !found.contains(at)).collect()
    }
}
