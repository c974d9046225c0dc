//! What whoever comes next has to find.

use std::path::Path;

use fastrand::Rng;
use write_buffer_journal::folder;
use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Adopted, Adoption, Journal};
use write_buffer_journal::scan::{Ending, Scan, StoredGroup};

use crate::disk::Model;
use crate::life::{DIRECTORY, config};
use crate::state::State;

/// What ended the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Kill,
    Power,
}

/// What is known of a lane's groups.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Numbers and payloads, in order.
    pub groups: Vec<(u64, Vec<u8>)>,
    /// So many of them were appended for certain,
    pub appended: usize,
    /// synced for certain,
    pub synced: usize,
    /// committed for certain.
    pub committed: usize,
}

impl Expected {
    pub fn last_number(&self) -> u64 {
        self.groups.last().map_or(0, |(number, _)| *number)
    }

    /// What the ledger says.
    pub fn position(&self) -> u64 {
        self.committed.checked_sub(1).map_or(0, |last| self.groups[last].0)
    }

    /// What holds between this moment and a later one.
    pub fn meanwhile(self, later: &Self) -> Self {
        Self {
            groups: later.groups.clone(),
            committed: later.committed,
            ..self
        }
    }

    fn after(&self, position: u64) -> &[(u64, Vec<u8>)] {
        let first = self.groups.partition_point(|(number, _)| *number <= position);
        &self.groups[first..]
    }
}

/// What has happened, to see that it does.
#[derive(Debug, Default)]
pub struct Tally {
    pub cuts: u64,
    pub kills: u64,
    pub groups: u64,
    pub unsynced_lost: u64,
    pub gaps: u64,
    pub used_again: u64,
    pub failed_syncs: u64,
    pub full_disks: u64,
    pub cuts_of_recoveries: u64,
    pub damages: u64,
    pub damaged_headers: u64,
}

fn of(state: State, seed: u64, moments: u32) -> (Model, Option<Adopted<Model>>) {
    let model = Model::of(state, seed, moments);
    let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
    let adopted = match journal.adopt(&config().writer).expect("asked") {
        Adoption::Adopted(adopted) => Some(*adopted),
        Adoption::Gone => None,
        other => panic!("seed {seed}: {other:?}"),
    };
    (model, adopted)
}

/// Cuts, takes over, compares; and cuts those who take over.
pub fn check(seed: u64, state: State, cut: Cut, expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    let state = match cut {
        Cut::Kill => {
            tally.kills += 1;
            state
        }
        Cut::Power => {
            tally.cuts += 1;
            state.power_cut(rng)
        }
    };
    let wanted = match cut {
        Cut::Kill => expected.appended,
        Cut::Power => expected.synced,
    };
    let case = format!(
        "seed {seed}, {cut:?}, {} wanted, position {}",
        wanted,
        expected.position()
    );
    let (model, adopted) = of(state, rng.u64(..), 0);
    let Some(adopted) = adopted else {
        assert!(wanted <= expected.committed, "{case}: the folder is lost");
        return;
    };
    if let Err(error) = adopted.header() {
        assert!(
            wanted == 0 && error != HeaderError::Version(1),
            "{case}: no header: {error:?}"
        );
    }
    let mut scan = adopted.scan(Some(expected.position())).expect("a folder");
    let found: Vec<StoredGroup> = scan.by_ref().collect();
    let after = expected.after(expected.position());
    compare(&case, &found, after);
    let kept = expected.committed + found.len();
    assert!(kept >= wanted, "{case}: {kept} of {wanted} groups that must be there");
    tally.groups += found.len() as u64;
    tally.unsynced_lost += (after.len() - found.len()) as u64;
    let ending = scan.ending();
    match (&ending, cut) {
        (Ending::Whole, _) => {}
        (Ending::PowerCut(_), Cut::Power) => tally.gaps += 1,
        _ => panic!("{case}: {ending:?}"),
    }
    behind_the_gap(&case, &mut scan, after, found.len());
    // Whoever takes over dies after some of the groups, and somebody goes on.
    if let Some(middle) = rng.choice(&found) {
        // They may stand elsewhere: a copy for an original.
        let rest = adopted.scan(Some(middle.number)).expect("a folder");
        let rest: Vec<u64> = rest.map(|group| group.number).collect();
        let numbers = found.iter().map(|group| group.number);
        let expected: Vec<u64> = numbers.filter(|number| *number > middle.number).collect();
        assert_eq!(rest, expected, "{case}: from {} on", middle.number);
    }
    if ending == Ending::Whole {
        let last = found.last().map_or(expected.position(), |group| group.number);
        drop(adopted);
        let is_synced = expected.synced > 0;
        cut_removal(&case, model.now(), (last, is_synced), rng, tally);
    }
}

/// Bits flip in a folder that a killed process has left: nothing panics, nothing comes back that
/// was not appended, and nothing is missing without a word. But for the last record: with a damaged
/// head it looks as if it was being written.
pub fn check_damaged(seed: u64, mut state: State, expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    state.damage(rng);
    let case = format!("seed {seed}, damaged");
    let (_, Some(adopted)) = of(state, rng.u64(..), 0) else {
        panic!("{case}: the folder is lost");
    };
    let mut scan = adopted.scan(Some(expected.position())).expect("a folder");
    let found: Vec<StoredGroup> = scan.by_ref().collect();
    let after = expected.after(expected.position());
    compare(&case, &found, after);
    let ending = scan.ending();
    let missing = after.len() - found.len();
    assert!(
        missing <= 1 || ending != Ending::Whole,
        "{case}: {missing} groups are missing without a word"
    );
    behind_the_gap(&case, &mut scan, after, found.len());
    tally.damages += u64::from(matches!(ending, Ending::Damaged(_)));
    tally.damaged_headers += u64::from(adopted.header().is_err());
}

fn compare(case: &str, found: &[StoredGroup], expected: &[(u64, Vec<u8>)]) {
    assert!(found.len() <= expected.len(), "{case}: more than there were");
    for (found, (number, payload)) in found.iter().zip(expected) {
        assert_eq!(found.number, *number, "{case}: the next number");
        assert!(found.payload == *payload, "{case}: the payload of {number}");
    }
}

/// What comes behind a gap was appended too, and each group once.
fn behind_the_gap(case: &str, scan: &mut Scan<Model>, after: &[(u64, Vec<u8>)], mut at: usize) {
    while scan.pass_gap() {
        for group in scan.by_ref() {
            let place = after.iter().position(|(number, _)| *number == group.number);
            let place = place.unwrap_or_else(|| panic!("{case}: {} was never appended", group.number));
            assert!(place >= at, "{case}: {} again", group.number);
            assert!(
                after[place].1 == group.payload,
                "{case}: the payload of {}",
                group.number
            );
            at = place + 1;
        }
    }
}

/// All is written, and the folder is removed: at each moment nothing else is found.
fn cut_removal(case: &str, state: State, (position, is_synced): (u64, bool), rng: &mut Rng, tally: &mut Tally) {
    let (model, adopted) = of(state, rng.u64(..), 3);
    let adopted = adopted.expect("it was there before");
    adopted.remove().expect("removed");
    for state in model.take_moments() {
        tally.cuts_of_recoveries += 1;
        let is_cut = rng.bool();
        let state = if is_cut { state.power_cut(rng) } else { state };
        let (model, Some(adopted)) = of(state, rng.u64(..), 0) else {
            continue;
        };
        if is_synced && adopted.header().is_err() {
            let left = folder::segments(&model, adopted.folder()).expect("a folder");
            assert!(left.is_empty(), "{case}: {left:?} without a header");
        }
        let mut scan = adopted.scan(Some(position)).expect("a folder");
        assert_eq!(scan.by_ref().count(), 0, "{case}: a group comes back");
        // A segment that nobody had synced may have lost its header now: nobody can say what was in
        // it.
        let ending = scan.ending();
        let is_headless = is_cut && matches!(&ending, Ending::PowerCut(_));
        while scan.pass_gap() {
            assert_eq!(scan.by_ref().count(), 0, "{case}: a group comes back behind a gap");
        }
        assert!(
            ending == Ending::Whole || is_headless,
            "{case}: removing looks like {ending:?}"
        );
    }
    let (_, adopted) = of(model.now(), 0, 0);
    assert!(adopted.is_none(), "{case}: it is still there");
}
