//! What whoever comes next has to find.

use std::path::Path;

use fastrand::Rng;
use write_buffer_journal::folder;
use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Adopted, Adoption, Journal};
use write_buffer_journal::lane::Limits;
use write_buffer_journal::scan::{Ending, Scan, Stored};

use crate::disk::Model;
use crate::expected::{Expected, given_up, given_up_note};
use crate::life::{DIRECTORY, FINE_MOMENTS, WRITER, config};
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
    /// Gaps that are taken for a damage, since nobody had waited for the note that explains them.
    pub unexplained: u64,
    /// Gaps that a note explains.
    pub skips: u64,
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
fn check_without_payloads(case: &str, adopted: &Adopted<Model>, found: &[Stored], end: &Ending) {
    let mut scan = adopted.scan(given_up).expect("a folder").without_payloads();
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
        "seed {seed}, {ending:?}, {wanted} wanted, {} given up",
        expected.given_up
    );
    let (model, adopted) = take_over(seed, cut(state, ending, rng), rng.u64(..), 0);
    let owes_any = wanted > expected.given_up;
    let Some(adopted) = adopted else {
        assert!(!owes_any, "{case}: the folder is lost");
        return;
    };
    if let Err(error) = adopted.header() {
        assert!(
            !owes_any && error != HeaderError::Version(1),
            "{case}: no header: {error:?}"
        );
    }
    let mut scan = adopted.scan(given_up).expect("a folder");
    let found: Vec<Stored> = scan.by_ref().collect();
    let mut places = expected.places(&case, &found);
    check_row(&case, &places, expected);
    count(&found, &places, expected, tally);
    let end = scan.ending();
    check_without_payloads(&case, &adopted, &found, &end);
    // Segments may go and the note be lost that says so, if nobody waits for the disk.
    let may_be_unexplained = ending == Cut::Power && !expected.waits;
    match &end {
        Ending::Whole => {}
        Ending::PowerCut(_) if ending == Cut::Power => tally.gaps += 1,
        Ending::Damaged(_) if may_be_unexplained => tally.unexplained += 1,
        _ => panic!("{case}: {end:?}"),
    }
    let behind = behind_the_gap(&case, &mut scan, expected, places.last().copied());
    if may_be_unexplained && end != Ending::Whole {
        places.extend(behind);
    }
    assert_eq!(expected.missing(&places, wanted), [0; 0], "{case}: {places:?}, {end:?}");
    if end == Ending::Whole && adopted.header().is_ok() && rng.u8(0..4) == 0 {
        drop(adopted);
        cut_removal(&case, &model.now(), expected, rng, tally);
    }
}

fn count(found: &[Stored], places: &[usize], expected: &Expected, tally: &mut Tally) {
    let notes = found.iter().filter(|stored| matches!(stored, Stored::Note(_))).count();
    tally.groups += (found.len() - notes) as u64;
    tally.notes_found += notes as u64;
    tally.unsynced_lost += expected.missing(places, expected.records.len()).len() as u64;
    // Behind what was given up.
    tally.skips += u64::from(places.windows(2).any(|pair| pair[0] + 1 < pair[1]));
}

/// Nothing is left out between two records that were returned, unless it was given up.
fn check_row(case: &str, places: &[usize], expected: &Expected) {
    let rest: Vec<usize> = places.iter().copied().filter(|at| *at >= expected.given_up).collect();
    let wanted: Vec<usize> = (expected.given_up..).take(rest.len()).collect();
    assert_eq!(rest, wanted, "{case}");
}

/// Bits flip in a folder that a killed process has left: nothing panics, nothing comes back that
/// was not appended, and nothing is missing without a word. But for the last record: with a damaged
/// head it looks as if it was being written. And but for the last one of an earlier life of the
/// machine.
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
    let mut scan = adopted.scan(given_up).expect("a folder");
    let found: Vec<Stored> = scan.by_ref().collect();
    let places = expected.places(&case, &found);
    check_row(&case, &places, expected);
    let end = scan.ending();
    if end == Ending::Whole {
        let missing = expected.missing(&places, expected.appended);
        let last = expected.records.len().saturating_sub(1);
        let is_excused = |at: &usize| *at == last || !is_first_boot;
        assert!(
            missing.len() <= 1 && missing.iter().all(is_excused),
            "{case}: {missing:?} are missing without a word, of {places:?}"
        );
    }
    behind_the_gap(&case, &mut scan, expected, places.last().copied());
    tally.damages += u64::from(matches!(end, Ending::Damaged(_)));
    tally.damaged_headers += u64::from(adopted.header().is_err());
}

/// What comes behind a gap was appended too, and each record once. Returns all of it.
fn behind_the_gap(case: &str, scan: &mut Scan<Model>, expected: &Expected, mut last: Option<usize>) -> Vec<usize> {
    let mut all = Vec::new();
    while scan.pass_gap() {
        let found: Vec<Stored> = scan.by_ref().collect();
        let places = expected.places(case, &found);
        let first = places.first().copied();
        assert!(
            first.is_none() || first > last,
            "{case}: {first:?} comes again after {last:?}"
        );
        last = places.last().copied().or(last);
        all.extend(places);
    }
    all
}

/// All is written, that is noted, and the folder is removed: at each moment whoever finds anything
/// of it finds the note, too.
fn cut_removal(case: &str, state: &State, expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    let (model, adopted) = take_over(0, state.clone(), rng.u64(..), 0);
    let adopted = adopted.expect("it was there before");
    let mut scan = adopted.scan(given_up).expect("a folder");
    scan.by_ref().for_each(drop);
    let limits = Limits {
        max_bytes: u64::MAX,
        ..config(0).limits
    };
    let mut lane = adopted.resume(scan, limits).expect("whole");
    let last = lane.last_ordinal();
    let noted = lane.note(&given_up_note(last)).expect("there is room");
    if expected.waits {
        lane.syncer().sync().expect("synced");
    }
    model.keep_moments(FINE_MOMENTS);
    lane.close().expect("removed");
    let is_synced = expected.waits || expected.synced > 0;
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
        let mut scan = adopted.scan(given_up).expect("a folder");
        let found: Vec<Stored> = scan.by_ref().collect();
        let ending = scan.ending();
        let is_note = |stored: &Stored| matches!(stored, Stored::Note(note) if note.ordinal == noted);
        if is_cut && !expected.waits {
            continue;
        }
        assert!(
            found.is_empty() || found.iter().any(is_note),
            "{case}: {found:?} without the note that all is settled"
        );
        assert_eq!(ending, Ending::Whole, "{case}: removing looks like a damage");
    }
    let (_, adopted) = take_over(0, model.now(), 0, 0);
    assert!(adopted.is_none(), "{case}: it is still there");
}
