//! Room, settling, reading back, threads.

use write_buffer_journal::error::Error;
use write_buffer_journal::journal::{Journal, LaneConfig};
use write_buffer_journal::lane::Limits;
use write_buffer_journal::scan::{Ending, Stored, StoredGroup};

use crate::{SEGMENT_BYTES, TestFolder, adopt, given_up, go_on, lane, numbers, segments, settle};

#[test]
fn a_group_larger_than_a_segment_has_one_of_its_own() {
    let folder = TestFolder::new("large");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let large = vec![7; 300_000];
    for (number, payload) in [(1, &b"before"[..]), (2, &large), (3, b"after")] {
        lane.append(number, 0, &[payload]).expect("appended");
    }
    assert_eq!(
        lane.bytes(),
        SEGMENT_BYTES + 307_200,
        "the third finds room behind the second"
    );
    drop(lane);
    let adopted = adopt(&journal);
    let scan = adopted.scan(given_up).expect("a folder");
    let groups: Vec<StoredGroup> = scan.filter_map(Stored::into_group).collect();
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
        lane.append(number, 0, &[&payload]).expect("appended");
        settle(&mut lane, number - 1);
        // The open one, one that waits, two spare ones.
        assert!(lane.bytes() <= 4 * SEGMENT_BYTES, "{}", lane.bytes());
    }
    assert!(segments(lane.folder()).len() <= 4);
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 299), [300]);
}

#[test]
fn what_was_given_up_at_once_is_no_damage() {
    let folder = TestFolder::new("inspect");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let (payload, large) = (vec![1; 20_000], vec![1; 100_000]);
    // In each round segments become spare ones, and those between them and the last one go.
    for round in 0..8 {
        for number in 1..=30 {
            let payload = if number % 11 == 0 { &large } else { &payload };
            lane.append(round * 30 + number, 0, &[payload]).expect("appended");
            lane.note(b"note").expect("noted");
        }
        let last = lane.last_number();
        settle(&mut lane, last - 3);
        let seen = journal.inspect(given_up).expect("listed");
        assert_eq!(
            (&seen[0].ending, seen[0].last_number),
            (&Ending::Whole, Some(last)),
            "round {round}"
        );
        assert!(seen[0].groups >= 3 && seen[0].notes >= 3, "{seen:?}");
    }
    // Two are kept to be used again, before a gap. Whoever goes on knows of it.
    let names = segments(lane.folder());
    assert!(names.len() >= 3, "{names:?}");
    drop(lane);
    let (lane, found) = (go_on(&journal), numbers);
    drop(lane);
    assert_eq!(found(&adopt(&journal), 237), [238, 239, 240]);
    // Without the notes nobody knows.
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(|_| None).expect("a folder");
    scan.by_ref().for_each(drop);
    assert!(matches!(scan.ending(), Ending::Damaged(_)));
    let resumed = adopted.resume(scan, Limits::default()).map(drop);
    assert!(matches!(resumed, Err(Error::NotWhole { .. })), "{resumed:?}");
}

#[test]
fn what_is_full_says_so_and_goes_on_once_groups_are_settled() {
    let folder = TestFolder::new("full");
    let journal = folder.journal();
    let mut lane = lane(&journal, 3 * SEGMENT_BYTES);
    let payload = vec![1; 20_000];
    let mut number = 1;
    let error = loop {
        match lane.append(number, 0, &[&payload]) {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("journalMaxBytes"));
    assert_eq!(number, 10, "three segments of three");
    lane.append(number, 0, &[b"short"]).expect("it fits into what is open");
    settle(&mut lane, 3);
    for number in 11..=13 {
        lane.append(number, 0, &[&payload]).expect("the first segment is free");
    }
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 3), (4..=13).collect::<Vec<_>>());
}

#[test]
fn a_group_is_there_when_it_is_committed_and_not_before() {
    let folder = TestFolder::new("commit");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    lane.append(5, 0, &[b"first"]).expect("appended");
    {
        let mut dropped = lane.begin(6, 0, 100).expect("begun");
        dropped.put(&[0xff; 100]).expect("put");
        dropped.put(b"x").expect_err("more than was announced");
    }
    for number in [0, 5] {
        assert!(matches!(
            lane.append(number, 0, &[b""]),
            Err(Error::NumberNotAbove { last: 5, .. })
        ));
    }
    let mut short = lane.begin(6, 0, 100).expect("begun");
    short.put(b"less than announced").expect("put");
    let place = short.commit().expect("committed");
    lane.append(7, 0, &[b"third"]).expect("appended");
    let mut walk = place.groups();
    let payloads = [walk.next_found(), walk.next_found(), walk.next_found()];
    let payloads = payloads.map(|found| found.map(|found| found.payload));
    let text = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(payloads, [text("less than announced"), text("third"), None]);
    assert_eq!(lane.syncer().sync().expect("synced"), 3);
    assert!(matches!(lane.begin(8, 0, usize::MAX), Err(Error::GroupTooLarge { .. })));
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 0), [5, 6, 7]);
}

#[test]
fn what_somebody_reads_stays_readable() {
    let folder = TestFolder::new("readers");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let place = lane.append(1, 0, &[b"old"]).expect("appended");
    let payload = vec![1; 20_000];
    for number in 2..=100 {
        lane.append(number, 0, &[&payload]).expect("appended");
        settle(&mut lane, number - 1);
    }
    let found = place.groups().next_found().expect("it is there");
    assert_eq!((found.head.number, found.payload), (1, b"old".to_vec()));
}

#[test]
fn a_lane_that_is_closed_leaves_nothing() {
    let folder = TestFolder::new("close");
    let journal = folder.journal();
    lane(&journal, 1 << 30).close().expect("closed");
    let mut other = lane(&journal, 1 << 30);
    other.append(1, 0, &[b"a"]).expect("appended");
    other.syncer().sync().expect("synced");
    other.close().expect("closed");
    assert!(journal.inspect(given_up).expect("listed").is_empty());
    let mut third = lane(&journal, 1 << 30);
    third.append(1, 0, &[b"a"]).expect("appended");
    drop(third);
    assert_eq!(numbers(&adopt(&journal), 0), [1], "for whoever comes next");
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
    assert_eq!(
        journal.inspect(given_up).expect("listed").len(),
        1,
        "nothing half made is left"
    );
    result
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
                let place = lane.append(number, 0, &[&[3; 700]]).expect("appended");
                if number % 50 == 0 {
                    assert!(lane.syncer().sync_through(place.ordinal).expect("synced") >= number);
                    settle(&mut lane, number - 20);
                }
            }
        });
    });
    assert_eq!(numbers(&adopt(&journal), 380), (381..=400).collect::<Vec<_>>());
}
