//! What is known of a lane's records: the judge's own list.

use fastrand::Rng;
use write_buffer_journal::scan::{Stored, StoredGroup, StoredNote};

use crate::recovery::Cut;

/// What a note begins with that says that records may be gone.
const GIVEN_UP: &[u8] = b"given up through ";

/// The note that says so.
pub fn given_up_note(ordinal: u64) -> Vec<u8> {
    [GIVEN_UP, &ordinal.to_le_bytes()].concat()
}

/// Reads a note.
pub fn given_up(note: &[u8]) -> Option<u64> {
    let ordinal = note.strip_prefix(GIVEN_UP)?;
    Some(u64::from_le_bytes(ordinal.try_into().ok()?))
}

/// A group or a note that was appended. Its ordinal is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The group's number, or that of the group before the note.
    pub number: u64,
    /// The engine's lane; `None` for a note.
    pub lane: Option<u8>,
    pub payload: Vec<u8>,
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
    /// Records up to this ordinal may be gone.
    pub given_up: usize,
    /// Nothing was given up before the note that says so was synced.
    pub waits: bool,
}

impl Expected {
    pub fn new(waits: bool) -> Self {
        Self {
            waits,
            ..Self::default()
        }
    }

    /// What holds between this moment and a later one.
    pub fn meanwhile(self, later: &Self) -> Self {
        Self {
            records: later.records.clone(),
            position: later.position,
            given_up: later.given_up,
            ..self
        }
    }

    /// Numbers of groups that may be settled now: of those that were appended.
    pub fn choose_position(&self, rng: &mut Rng) -> u64 {
        let groups = self.records.iter().filter(|record| record.lane.is_some());
        let after = groups
            .map(|group| group.number)
            .filter(|number| *number > self.position);
        let numbers: Vec<u64> = [self.position].into_iter().chain(after).collect();
        rng.choice(numbers).expect("one at least")
    }

    /// So many records of which at least must be there, unless they were given up.
    pub fn wanted(&self, cut: Cut) -> usize {
        match cut {
            Cut::Kill => self.appended,
            Cut::Power => self.synced,
        }
    }

    /// Somebody is about to go on behind this record.
    pub fn take_over(&mut self, cut: Cut, last_ordinal: u64) {
        let last = usize::try_from(last_ordinal).expect("small");
        assert!(last <= self.records.len(), "{last} of {}", self.records.len());
        self.appended = last;
        self.synced = match cut {
            Cut::Kill => self.synced.min(last),
            Cut::Power => last,
        };
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

    /// What is not there of the first so many, and was not given up.
    pub fn missing(&self, found: &[usize], wanted: usize) -> Vec<usize> {
        (self.given_up..wanted).filter(|at| !found.contains(at)).collect()
    }
}
