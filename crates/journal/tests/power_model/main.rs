//! The journal on a [file system that loses power](disk::Model): a lane takes groups and notes,
//! syncs, settles and is disturbed, and at random operations, also in the middle of one, either its
//! process is killed or the machine goes down. Then somebody takes over what is left, and may be
//! cut in turn; and if it is whole, somebody goes on in it and lives the same life, up to four.
//!
//! The judge is a [list](expected::Expected) of what was appended, what a sync returned for, and
//! what the server has committed. `WRITE_BUFFER_POWER_CUTS` says how many cuts,
//! `WRITE_BUFFER_SEED` where to begin: a failure names the seed of its run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its own set-up fails"
)]

use std::io::Write as _;

mod disk;
mod expected;
mod life;
mod lost;
mod recovery;
mod state;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A header that alone told what was given up went with a segment that had nothing else; and a gap
/// that an earlier version read over.
#[test]
fn seeds_that_failed_once_do_not_again() {
    let mut tally = recovery::Tally::default();
    for seed in [507_345, 506_861, 711_348, 909_930] {
        life::run(seed, &mut tally);
    }
}

#[test]
fn nothing_that_was_synced_is_lost_and_nothing_else_comes_back() {
    let wanted = setting("WRITE_BUFFER_POWER_CUTS", 4_000);
    let mut seed = setting("WRITE_BUFFER_SEED", 1);
    let mut tally = recovery::Tally::default();
    while tally.cuts < wanted {
        life::run(seed, &mut tally);
        seed += 1;
    }
    // What the run is for has happened.
    let least = if wanted < 1_000 { 0 } else { wanted / 500 };
    for (what, count) in [
        ("kills", tally.kills),
        ("groups returned", tally.groups),
        ("notes returned", tally.notes_found),
        ("notes without room", tally.full_notes),
        ("lives after a kill", tally.resumed_after_kills),
        ("lives after a power cut", tally.resumed_after_cuts),
        ("cuts while a life begins", tally.cuts_of_resumes),
        ("lanes that are closed", tally.ends),
        ("groups lost that nobody had synced", tally.unsynced_lost),
        ("gaps", tally.gaps),
        ("gaps that a note explains", tally.skips),
        ("segments used again", tally.used_again),
        ("failed syncs", tally.failed_syncs),
        ("full disks", tally.full_disks),
        ("cuts of a recovery", tally.cuts_of_recoveries),
        ("damages", tally.damages),
        ("groups read back", tally.read_back),
    ] {
        assert!(count >= least, "too few {what}: {tally:?}");
    }
    writeln!(std::io::stdout(), "{tally:?}").expect("written");
}
