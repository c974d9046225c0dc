//! What whoever comes next has to find.

use std::path::Path;

use fastrand::Rng;
use write_buffer_journal::folder;
use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Adopted, Adoption, Journal};
use write_buffer_journal::scan::{Ending, Scan, Stored};

use crate::disk::Model;
use crate::expected::Expected;
use crate::life::{DIRECTORY, WRITER};
use crate::state::State;

/// What ended the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Kill,
    Power,
}

/// What has happened, to see that it does.
#[derive(Debug, Default)]
pub struct Tally {
    pub cuts: u64,
    pub kills: u64,
    pub groups: u64,
    pub notes: u64,
    pub notes_found: u64,
    pub full_notes: u64,
    pub resumed_after_kills: u64,
    pub resumed_after_cuts: u64,
    pub cuts_of_resumes: u64,
    pub ends: u64,
    pub unsynced_lost: u64,
    pub gaps: u64,
    pub used_again: u64,
    pub failed_syncs: u64,
    pub full_disks: u64,
    pub cuts_of_recoveries: u64,
    pub damages: u64,
    pub damaged_headers: u64,
    pub read_back: u64,
}

/// What is left after the process, or the machine, has ended.
pub fn cut(state: State, cut: Cut, rng: &mut Rng) -> State {
    match cut {
        Cut::Kill => state,
        Cut::Power => state.power_cut(rng),
    }
}

pub fn adopt(seed: u64, journal: &Journal<Model>) -> Option<Adopted<Model>> {
    match journal.adopt(WRITER).expect("asked") {
        Adoption::Adopted(adopted) => Some(*adopted),
        Adoption::Gone => None,
        other => panic!("seed {seed}: {other:?}"),
    }
}

/// Begins from a state, and takes the folder over.
pub fn take_over(seed: u64, state: State, model_seed: u64, moments: u32) -> (Model, Option<Adopted<Model>>) {
    let model = Model::of(state, model_seed, moments);
    let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
    let adopted = adopt(seed, &journal);
    (model, adopted)
}

/// A scan without payloads finds the same.
fn check_without_payloads(case: &str, adopted: &Adopted<Model>, position: u64, found: &[Stored], end: &Ending) {
    let mut scan = adopted.scan(Some(position)).expect("a folder").without_payloads();
    let mut wanted = found.to_vec();
    for stored in &mut wanted {
        if let Stored::Group(group) = stored {
            group.payload.clear();
        }
    }
    assert_eq!(scan.by_ref().collect::<Vec<_>>(), wanted, "{case}");
    assert_eq!(&scan.ending(), end, "{case}");
}

/// Cuts, takes over, compares; and cuts those who take over.
pub fn check(seed: u64, state: State, ending: Cut, expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    match ending {
        Cut::Kill => tally.kills += 1,
        Cut::Power => tally.cuts += 1,
    }
    let wanted = expected.wanted(ending);
    let case = format!(
        "seed {seed}, {ending:?}, {wanted} wanted, position {}",
        expected.position
    );
    let (model, adopted) = take_over(seed, cut(state, ending, rng), rng.u64(..), 0);
    let Some(adopted) = adopted else {
        assert!(!expected.owes_any(wanted), "{case}: the folder is lost");
        return;
    };
    if let Err(error) = adopted.header() {
        assert!(
            !expected.owes_any(wanted) && error != HeaderError::Version(1),
            "{case}: no header: {error:?}"
        );
    }
    let mut scan = adopted.scan(Some(expected.position)).expect("a folder");
    let found: Vec<Stored> = scan.by_ref().collect();
    let places = expected.places(&case, &found);
    check_groups(&case, &places, expected);
    assert_eq!(expected.missing(&places, wanted), [0; 0], "{case}: {places:?}");
    count(&found, &places, expected, tally);
    let end = scan.ending();
    check_without_payloads(&case, &adopted, expected.position, &found, &end);
    match (&end, ending) {
        (Ending::Whole, _) => {}
        (Ending::PowerCut(_), Cut::Power) => tally.gaps += 1,
        _ => panic!("{case}: {end:?}"),
    }
    behind_the_gap(&case, &mut scan, expected, places.last().copied());
    let found: Vec<u64> = found
        .into_iter()
        .filter_map(Stored::into_group)
        .map(|group| group.number)
        .collect();
    // Whoever takes over dies after some of the groups, and somebody goes on.
    if let Some(middle) = rng.choice(&found).copied() {
        // They may stand elsewhere: a copy for an original.
        let rest = adopted.scan(Some(middle)).expect("a folder");
        let rest: Vec<u64> = rest.filter_map(Stored::into_group).map(|group| group.number).collect();
        let after: Vec<u64> = found.iter().copied().filter(|number| *number > middle).collect();
        // It may come further: over a note that is lost amid what is settled now.
        let all = expected.groups_after(middle).into_iter();
        let all: Vec<u64> = all.map(|at| expected.records[at].number).collect();
        assert!(
            rest.starts_with(&after) && all.starts_with(&rest),
            "{case}: from {middle} on: {rest:?}"
        );
        assert!(
            rest == after || end != Ending::Whole,
            "{case}: from {middle} on: {rest:?}"
        );
    }
    if end == Ending::Whole {
        let last = found.last().copied().unwrap_or(expected.position);
        drop(adopted);
        let is_synced = expected.synced > 0;
        cut_removal(&case, model.now(), (last, is_synced), rng, tally);
    }
}

fn count(found: &[Stored], places: &[usize], expected: &Expected, tally: &mut Tally) {
    let notes = found.iter().filter(|stored| matches!(stored, Stored::Note(_))).count();
    tally.groups += (found.len() - notes) as u64;
    tally.notes_found += notes as u64;
    let lost = expected.records.iter().enumerate().filter(|(at, record)| {
        let is_after = record.lane.is_some() && record.number > expected.position;
        (is_after || record.is_owed) && !places.contains(at)
    });
    tally.unsynced_lost += lost.count() as u64;
}

/// No group is left out between two that were returned.
fn check_groups(case: &str, places: &[usize], expected: &Expected) {
    let is_group = |at: &usize| expected.records[*at].lane.is_some();
    let groups: Vec<usize> = places.iter().copied().filter(is_group).collect();
    let after = expected.groups_after(expected.position);
    assert!(after.starts_with(&groups), "{case}: {groups:?} of {after:?}");
}

/// Bits flip in a folder that a killed process has left: nothing panics, nothing comes back that
/// was not appended, and nothing is missing without a word. But for the last record: with a damaged
/// head it looks as if it was being written. And but for one record of an earlier life of the
/// machine, or one note amid what is settled: it may have been given up.
pub fn check_damaged(
    seed: u64,
    mut state: State,
    expected: &Expected,
    is_first_boot: bool,
    rng: &mut Rng,
    tally: &mut Tally,
) {
    state.damage(rng);
    let case = format!("seed {seed}, damaged");
    let (_, Some(adopted)) = take_over(seed, state, rng.u64(..), 0) else {
        panic!("{case}: the folder is lost");
    };
    let mut scan = adopted.scan(Some(expected.position)).expect("a folder");
    let found: Vec<Stored> = scan.by_ref().collect();
    let places = expected.places(&case, &found);
    check_groups(&case, &places, expected);
    let end = scan.ending();
    if end == Ending::Whole {
        let missing = expected.missing(&places, expected.appended);
        let last = expected.records.len().saturating_sub(1);
        let is_excused = |at: &usize| {
            let record = &expected.records[*at];
            let is_settled_note = record.lane.is_none() && record.number <= expected.position;
            *at == last || is_settled_note || !is_first_boot
        };
        assert!(
            missing.len() <= 1 && missing.iter().all(is_excused),
            "{case}: {missing:?} are missing without a word, of {places:?}"
        );
    }
    behind_the_gap(&case, &mut scan, expected, places.last().copied());
    tally.damages += u64::from(matches!(end, Ending::Damaged(_)));
    tally.damaged_headers += u64::from(adopted.header().is_err());
}

/// What comes behind a gap was appended too, and each record once.
fn behind_the_gap(case: &str, scan: &mut Scan<Model>, expected: &Expected, mut last: Option<usize>) {
    while scan.pass_gap() {
        let found: Vec<Stored> = scan.by_ref().collect();
        let places = expected.places(case, &found);
        let first = places.first().copied();
        assert!(
            first.is_none() || first > last,
            "{case}: {first:?} comes again after {last:?}"
        );
        last = places.last().copied().or(last);
    }
}

/// All is written, and the folder is removed: at each moment nothing else is found.
fn cut_removal(case: &str, state: State, (position, is_synced): (u64, bool), rng: &mut Rng, tally: &mut Tally) {
    let (model, adopted) = take_over(0, state, rng.u64(..), 3);
    let adopted = adopted.expect("it was there before");
    adopted.remove().expect("removed");
    for state in model.take_moments() {
        tally.cuts_of_recoveries += 1;
        let is_cut = rng.bool();
        let state = if is_cut { state.power_cut(rng) } else { state };
        let (model, Some(adopted)) = take_over(0, state, rng.u64(..), 0) else {
            continue;
        };
        if is_synced && adopted.header().is_err() {
            let left = folder::segments(&model, adopted.folder()).expect("a folder");
            assert!(left.is_empty(), "{case}: {left:?} without a header");
        }
        let mut scan = adopted.scan(Some(position)).expect("a folder");
        let groups = |scan: &mut Scan<Model>| scan.filter_map(Stored::into_group).count();
        assert_eq!(groups(&mut scan), 0, "{case}: a group comes back");
        // A segment that nobody had synced may have lost its header now: nobody can say what was in
        // it.
        let ending = scan.ending();
        let is_headless = is_cut && matches!(&ending, Ending::PowerCut(_));
        while scan.pass_gap() {
            assert_eq!(groups(&mut scan), 0, "{case}: a group comes back behind a gap");
        }
        assert!(
            ending == Ending::Whole || is_headless,
            "{case}: removing looks like {ending:?}"
        );
    }
    let (_, adopted) = take_over(0, model.now(), 0, 0);
    assert!(adopted.is_none(), "{case}: it is still there");
}
