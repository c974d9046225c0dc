//! A lane on the real disk.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its own set-up fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::{Adopted, Adoption, Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::scan::{Ending, Scan, Stored, StoredGroup, StoredNote};

mod damage;
mod notes;
mod resume;
mod room;

const SEGMENT_BYTES: u64 = 64 * 1024;

struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("write-buffer-journal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.0.join("journal")).expect("a directory")
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lane(journal: &Journal, max_bytes: u64) -> Lane<Disk> {
    let config = LaneConfig {
        writer: "w".to_owned(),
        dsn: "mysql://app@db/orders".to_owned(),
        settings: "{}".to_owned(),
        limits: Limits {
            segment_bytes: SEGMENT_BYTES,
            max_bytes,
        },
    };
    journal.create_lane(&config).expect("a lane")
}

fn adopt(journal: &Journal) -> Adopted {
    match journal.adopt("w").expect("asked") {
        Adoption::Adopted(adopted) => *adopted,
        other => panic!("{other:?}"),
    }
}

/// What a note begins with that says that records may be gone.
const GIVEN_UP: &[u8] = b"given up through ";

/// Reads a note.
fn given_up(note: &[u8]) -> Option<u64> {
    let ordinal = note.strip_prefix(GIVEN_UP)?;
    Some(u64::from_le_bytes(ordinal.try_into().ok()?))
}

/// Groups up to a number are settled: notes that, and gives them up.
fn settle(lane: &mut Lane<Disk>, number: u64) {
    if let Some(last) = lane.sealed_within(number) {
        lane.note(&[GIVEN_UP, &last.to_le_bytes()].concat()).expect("noted");
        lane.give_up_through(last).expect("given up");
    }
}

/// The numbers of the groups after one.
fn numbers(adopted: &Adopted, after: u64) -> Vec<u64> {
    let scan = adopted.scan(given_up).expect("a folder");
    let numbers = scan.filter_map(Stored::into_group).map(|group| group.number);
    numbers.filter(|number| *number > after).collect()
}

/// The numbers of the groups that a scan comes upon next.
fn next_numbers(scan: &mut Scan<Disk>) -> Vec<u64> {
    let groups = scan.by_ref().filter_map(Stored::into_group);
    groups.map(|group| group.number).collect()
}

fn segments(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .expect("listed")
        .map(|entry| entry.expect("listed").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".segment"));
    names.sort();
    names
}

fn limits() -> Limits {
    Limits {
        segment_bytes: SEGMENT_BYTES,
        max_bytes: 1 << 30,
    }
}

/// Reads to the end, which is whole, and goes on.
fn go_on(journal: &Journal) -> Lane<Disk> {
    let adopted = adopt(journal);
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert!(scan.by_ref().count() < 1_000_000);
    assert_eq!(scan.ending(), Ending::Whole);
    adopted.resume(scan, limits()).expect("whole")
}

/// What a scan returns, in short: a group's number and lane, a note's number and text, but for what
/// was given up.
fn told(scan: &mut Scan<Disk>) -> Vec<String> {
    let tell = |stored| match stored {
        Stored::Group(StoredGroup { number, lane, .. }) => format!("{number}@{lane}"),
        Stored::Note(StoredNote {
            after_number, bytes, ..
        }) => {
            format!("{after_number}:{}", String::from_utf8_lossy(&bytes))
        }
    };
    let is_told = |stored: &Stored| !matches!(stored, Stored::Note(note) if given_up(&note.bytes).is_some());
    scan.filter(is_told).map(tell).collect()
}
