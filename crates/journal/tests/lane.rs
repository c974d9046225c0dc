//! A lane on the real disk: room, settling, reading back, threads.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its own set-up fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use write_buffer_journal::error::Error;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Adopted, Adoption, Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::scan::{DamageKind, Ending};

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

fn numbers(adopted: &Adopted, after: u64) -> Vec<u64> {
    adopted
        .scan(Some(after))
        .expect("a folder")
        .map(|group| group.number)
        .collect()
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

#[test]
fn a_group_larger_than_a_segment_has_one_of_its_own() {
    let folder = TestFolder::new("large");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let large = vec![7; 300_000];
    for (number, payload) in [(1, &b"before"[..]), (2, &large), (3, b"after")] {
        lane.append(number, &[payload]).expect("appended");
    }
    assert_eq!(
        lane.bytes(),
        SEGMENT_BYTES + 307_200,
        "the third finds room behind the second"
    );
    drop(lane);
    let adopted = adopt(&journal);
    let groups: Vec<_> = adopted.scan(Some(0)).expect("a folder").collect();
    assert_eq!(groups.iter().map(|group| group.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(groups[1].payload == large);
}

#[test]
fn segments_are_used_again_once_all_their_groups_are_settled() {
    let folder = TestFolder::new("again");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let payload = vec![1; 20_000];
    for number in 1..=300 {
        lane.append(number, &[&payload]).expect("appended");
        lane.settle_through(number - 1).expect("settled");
        // The open one, one that waits, two spare ones.
        assert!(lane.bytes() <= 4 * SEGMENT_BYTES, "{}", lane.bytes());
    }
    assert!(segments(lane.folder()).len() <= 4);
    drop(lane);
    let adopted = adopt(&journal);
    assert_eq!(numbers(&adopted, 299), [300]);
    assert_eq!(numbers(&adopted, 300), [0; 0]);
}

#[test]
fn what_is_full_says_so_and_goes_on_once_groups_are_settled() {
    let folder = TestFolder::new("full");
    let journal = folder.journal();
    let mut lane = lane(&journal, 3 * SEGMENT_BYTES);
    let payload = vec![1; 20_000];
    let mut number = 1;
    let error = loop {
        match lane.append(number, &[&payload]) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("journalMaxBytes"));
    assert_eq!(number, 10, "three segments of three");
    lane.append(number, &[b"short"]).expect("it fits into what is open");
    lane.settle_through(3).expect("settled");
    for number in 11..=13 {
        lane.append(number, &[&payload]).expect("the first segment is free");
    }
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 3), (4..=13).collect::<Vec<_>>());
}

#[test]
fn a_group_is_there_when_it_is_committed_and_not_before() {
    let folder = TestFolder::new("commit");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    lane.append(5, &[b"first"]).expect("appended");
    {
        let mut dropped = lane.begin(6, 100).expect("begun");
        dropped.put(&[0xff; 100]).expect("put");
        dropped.put(b"x").expect_err("more than was announced");
    }
    for number in [0, 5] {
        assert!(matches!(
            lane.append(number, &[b""]),
            Err(Error::NumberNotAbove { last: 5, .. })
        ));
    }
    let mut short = lane.begin(6, 100).expect("begun");
    short.put(b"less than announced").expect("put");
    let place = short.commit().expect("committed");
    lane.append(7, &[b"third"]).expect("appended");
    let mut walk = place.groups();
    let payloads = [walk.next_found(), walk.next_found(), walk.next_found()];
    let payloads = payloads.map(|found| found.map(|found| found.payload));
    let text = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(payloads, [text("less than announced"), text("third"), None]);
    assert_eq!(lane.syncer().sync().expect("synced"), 3);
    assert!(matches!(lane.begin(8, usize::MAX), Err(Error::GroupTooLarge { .. })));
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 0), [5, 6, 7]);
}

#[test]
fn what_somebody_reads_stays_readable() {
    let folder = TestFolder::new("readers");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let place = lane.append(1, &[b"old"]).expect("appended");
    let payload = vec![1; 20_000];
    for number in 2..=100 {
        lane.append(number, &[&payload]).expect("appended");
        lane.settle_through(number - 1).expect("settled");
    }
    let found = place.groups().next_found().expect("it is there");
    assert_eq!((found.head.number, found.payload), (1, b"old".to_vec()));
}

#[test]
fn a_lane_without_groups_leaves_nothing() {
    let folder = TestFolder::new("close");
    let journal = folder.journal();
    assert!(lane(&journal, 1 << 30).close().expect("closed"));
    let mut other = lane(&journal, 1 << 30);
    other.append(1, &[b"a"]).expect("appended");
    other.syncer().sync().expect("synced");
    other.settle_through(1).expect("settled");
    assert!(other.close().expect("closed"));
    let mut third = lane(&journal, 1 << 30);
    third.append(1, &[b"a"]).expect("appended");
    assert!(!third.close().expect("closed"), "for whoever comes next");
    assert_eq!(numbers(&adopt(&journal), 0), [1]);
    assert!(lane_names(&journal).is_err(), "its name is taken");
}

fn lane_names(journal: &Journal) -> Result<(), Error> {
    let config = LaneConfig {
        writer: "w".to_owned(),
        dsn: String::new(),
        settings: String::new(),
        limits: Limits::default(),
    };
    let result = journal.create_lane(&config).map(|_| ());
    assert_eq!(journal.inspect().expect("listed").len(), 1, "nothing half made is left");
    result
}

#[test]
fn a_damaged_record_amid_valid_ones_is_reported_by_its_place() {
    let folder = TestFolder::new("damage");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=5 {
        lane.append(number, &[&[9; 100]]).expect("appended");
    }
    let path = lane.folder().join(&segments(lane.folder())[0]);
    drop(lane);
    // A bit of the third payload.
    let mut bytes = fs::read(&path).expect("read");
    let third = 4096 + 2 * 144;
    bytes[third + 50] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(Some(0)).expect("a folder");
    assert_eq!(scan.by_ref().map(|group| group.number).collect::<Vec<_>>(), [1, 2]);
    let Ending::Damaged(damages) = scan.ending() else {
        panic!("it is damaged");
    };
    let offsets: Vec<_> = damages
        .iter()
        .map(|damage| (damage.offset, damage.kind.clone()))
        .collect();
    let offset = third as u64;
    assert_eq!(offsets, [(offset, DamageKind::Checksum), (offset, DamageKind::Missing)]);
    assert!(scan.pass_gap());
    assert_eq!(scan.by_ref().map(|group| group.number).collect::<Vec<_>>(), [4, 5]);
    assert!(!scan.pass_gap());
    // What is settled is nobody's loss.
    let mut scan = adopted.scan(Some(3)).expect("a folder");
    assert_eq!(scan.by_ref().map(|group| group.number).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(scan.ending(), Ending::Whole);
    // A later version's segment.
    bytes[third + 50] ^= 1;
    bytes[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..80]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).expect("written");
    let ending = adopted.scan(Some(0)).expect("a folder").ending();
    assert!(
        matches!(&ending, Ending::Damaged(damages) if damages[0].kind == DamageKind::Version(2)),
        "{ending:?}"
    );
    let folder = adopted.folder().to_owned();
    fs::write(folder.join("header"), b"damaged").expect("written");
    drop(adopted);
    assert_eq!(adopt(&journal).header(), Err(HeaderError::Damaged));
}

#[test]
fn no_bytes_make_recovery_panic() {
    let folder = TestFolder::new("fuzz");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=40 {
        lane.append(number, &[&vec![9; usize::try_from(number * 100).expect("small")]])
            .expect("appended");
    }
    let folder = lane.folder().to_owned();
    drop(lane);
    let adopted = adopt(&journal);
    let names = segments(&folder);
    let whole: Vec<Vec<u8>> = names
        .iter()
        .map(|name| fs::read(folder.join(name)).expect("read"))
        .collect();
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..300 {
        for (name, bytes) in names.iter().zip(&whole) {
            let mut bytes = bytes.clone();
            for _ in 0..rng.usize(0..4) {
                let at = rng.usize(0..bytes.len());
                let end = (at + 1 + rng.usize(0..5000)).min(bytes.len());
                match rng.u8(0..4) {
                    0 => bytes[at..end].fill(rng.u8(..)),
                    1 => bytes[at..end].iter_mut().for_each(|byte| *byte = rng.u8(..)),
                    2 => bytes.truncate(at.max(1)),
                    // Records stand in other places.
                    _ => bytes.copy_within(at..end, at / 2),
                }
            }
            fs::write(folder.join(name), bytes).expect("written");
        }
        let mut scan = adopted.scan(Some(rng.u64(0..50))).expect("a folder");
        let mut last = 0;
        loop {
            for group in scan.by_ref() {
                assert!(group.number > last, "round {round}");
                last = group.number;
                assert!(
                    group.payload == vec![9; usize::try_from(last * 100).expect("small")],
                    "round {round}"
                );
            }
            scan.ending();
            if !scan.pass_gap() {
                break;
            }
        }
    }
}

#[test]
fn many_threads_sync_while_one_appends() {
    let folder = TestFolder::new("threads");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let syncer = lane.syncer();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let syncer = syncer.clone();
            scope.spawn(move || {
                while syncer.synced() < 400 {
                    let appended = syncer.appended();
                    assert!(syncer.sync().expect("synced") >= appended);
                    std::thread::yield_now();
                }
            });
        }
        // A lane may move to another thread.
        scope.spawn(move || {
            for number in 1..=400 {
                let place = lane.append(number, &[&[3; 700]]).expect("appended");
                if number % 50 == 0 {
                    assert!(lane.syncer().sync_through(place.ordinal).expect("synced") >= number);
                    lane.settle_through(number - 20).expect("settled");
                }
            }
        });
    });
    assert_eq!(numbers(&adopt(&journal), 380), (381..=400).collect::<Vec<_>>());
}
