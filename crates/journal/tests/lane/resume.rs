//! Going on in a folder that a dead process has left.

use std::fs;
use std::ops::Range;
use std::path::Path;

use write_buffer_journal::error::Error;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::header::{SEGMENT_HEADER_USED, SegmentHeader};
use write_buffer_journal::journal::Adoption;
use write_buffer_journal::lane::{Beginning, Lane, Limits};
use write_buffer_journal::scan::{Ending, Stored};

use crate::{SEGMENT_BYTES, TestFolder, adopt, given_up, go_on, lane, limits, numbers, segments, settle, told};

#[test]
fn a_successor_goes_on_and_the_next_one_finds_all_of_it() {
    let folder = TestFolder::new("resume");
    let journal = folder.journal();
    let mut first = lane(&journal, 1 << 30);
    let payload = vec![1; 20_000];
    for number in 1..=10 {
        first.append(number, 1, &[&payload]).expect("appended");
    }
    first.note(b"of the first").expect("noted");
    drop(first);
    for life in 1..=3_u64 {
        let adopted = adopt(&journal);
        let mut scan = adopted.scan(given_up).expect("a folder");
        let groups = scan
            .by_ref()
            .filter(|stored| matches!(stored, Stored::Group(_)))
            .count();
        assert_eq!(groups as u64, 10 + (life - 1) * 5);
        let last = scan.last_number();
        let limits = Limits {
            segment_bytes: SEGMENT_BYTES,
            max_bytes: 1 << 30,
        };
        let mut lane = adopted.resume(scan, limits).expect("whole");
        assert_eq!(lane.last_number(), last);
        assert!(matches!(journal.adopt("w").expect("asked"), Adoption::Held(_)));
        assert!(matches!(
            lane.append(last, 0, &[b""]),
            Err(Error::NumberNotAbove { .. })
        ));
        for number in last + 1..=last + 5 {
            lane.append(number, 2, &[&payload]).expect("appended");
        }
        lane.note(format!("of {life}").as_bytes()).expect("noted");
        assert_eq!(lane.syncer().sync().expect("synced"), lane.last_ordinal());
    }
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(given_up).expect("a folder");
    let all = (1..=10).map(|number| format!("{number}@1"));
    let all = all.chain(["10:of the first".to_owned()]);
    let lives = (1..=3).flat_map(|life| {
        let groups = (6 + life * 5..=10 + life * 5).map(|number| format!("{number}@2"));
        groups.chain([format!("{}:of {life}", 10 + life * 5)])
    });
    assert_eq!(told(&mut scan), all.chain(lives).collect::<Vec<_>>());
    assert_eq!(scan.ending(), Ending::Whole);
    let mut lane = adopted.resume(scan, Limits::default()).expect("whole");
    assert!(!segments(lane.folder()).is_empty());
    let folder = lane.folder().to_owned();
    settle(&mut lane, 24);
    assert!(segments(&folder).len() >= 2, "24 groups are settled, of 25");
    lane.close().expect("closed");
    assert!(!folder.exists());
}

#[test]
fn what_a_successor_writes_again_is_what_was_there() {
    let folder = TestFolder::new("again");
    let journal = folder.journal();
    let mut first = lane(&journal, 1 << 30);
    // One in a segment of its own, which is larger than what is written at once.
    for (number, length) in (1..).zip([1, 7, 8, 9, 300, 0, 1_000_001, 5, 33, 400_000, 2]) {
        first.append(number, 0, &[&vec![1; length]]).expect("appended");
        first.note(&vec![b'n'; length % 50]).expect("noted");
    }
    let path = first.folder().to_owned();
    drop(first);
    let read = |name: &String| fs::read(path.join(name)).expect("read");
    let names = segments(&path);
    let before: Vec<Vec<u8>> = names.iter().map(read).collect();
    assert!(before.len() > 2);
    let next = go_on(&journal);
    next.syncer().sync().expect("synced");
    assert!(before == names.iter().map(read).collect::<Vec<_>>());
}

#[test]
fn records_that_begin_alike_are_whole_in_each_segment() {
    let folder = TestFolder::new("alike");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let payload = |number: u64| {
        let rest = u8::try_from(number % 7).expect("small");
        [vec![1; 1000], vec![rest; usize::from(rest)]].concat()
    };
    let mut beginning = Beginning::of(1000);
    for number in 1..=300 {
        let payload = payload(number);
        let mut record = lane.begin(number, 0, payload.len() + 2).expect("room");
        record.put_alike(&payload, &mut beginning).expect("put");
        // It is the beginning no more.
        record.put_alike(b"ab", &mut Beginning::of(1)).expect("put");
        record.end().expect("ended");
        if number % 50 == 0 {
            // Shorter than what is alike.
            beginning = Beginning::of(if number % 100 == 0 { 1000 } else { 5000 });
        }
    }
    let path = lane.folder().to_owned();
    drop(lane);
    assert!(segments(&path).len() > 3);
    let mut scan = adopt(&journal).scan(given_up).expect("a folder");
    let found: Vec<_> = scan.by_ref().filter_map(Stored::into_group).collect();
    assert_eq!(found.len(), 300);
    for group in found {
        assert_eq!(group.payload, [payload(group.number), b"ab".to_vec()].concat());
    }
    assert_eq!(scan.ending(), Ending::Whole);
}

/// Gives a segment another life of the machine.
fn set_boot(path: &Path, boot: u8) {
    let mut bytes = fs::read(path).expect("read");
    let mut header = SegmentHeader::decode(&bytes).expect("a header");
    header.boot_id = [boot; 16];
    bytes[..SEGMENT_HEADER_USED].copy_from_slice(&header.encode());
    fs::write(path, bytes).expect("written");
}

fn wipe(path: &Path, bytes: Range<usize>) {
    let mut all = fs::read(path).expect("read");
    all[bytes].fill(0);
    fs::write(path, all).expect("written");
}

#[test]
fn each_segment_is_judged_by_its_own_life_of_the_machine() {
    let folder = TestFolder::new("boots");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=3 {
        lane.append(number, 1, &[&[9; 100]]).expect("appended");
    }
    let path = lane.folder().join(&segments(lane.folder())[0]);
    drop(lane);
    // The machine went down: the third has its head, and not its payload.
    set_boot(&path, 7);
    let mut bytes = fs::read(&path).expect("read");
    bytes[4096 + 2 * 144 + 50] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let mut lane = go_on(&journal);
    assert_eq!((lane.last_number(), lane.last_ordinal()), (2, 2));
    for number in 3..=4 {
        let place = lane.append(number, 2, &[&[8; 100]]).expect("appended");
        assert_eq!(place.ordinal, number, "the ordinal of the one that is lost");
    }
    drop(lane);
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(told(&mut scan), ["1@1", "2@1", "3@2", "4@2"]);
    assert_eq!(scan.ending(), Ending::Whole);
    // What was on the disk when the second life began is missing: a damage.
    let whole = bytes.clone();
    bytes[4096 + 144 + 50] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(told(&mut scan), ["1@1"]);
    assert!(matches!(scan.ending(), Ending::Damaged(_)));
    fs::write(&path, &whole).expect("written");
    // So is a head without its payload in this life.
    let path = adopted.folder().join(&segments(adopted.folder())[1]);
    let mut bytes = fs::read(&path).expect("read");
    bytes[4096 + 144 + 50] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(told(&mut scan), ["1@1", "2@1", "3@2"]);
    let Ending::Damaged(damages) = scan.ending() else {
        panic!("it is damaged");
    };
    assert_eq!((&damages[0].path, damages[0].offset), (&path, 4096 + 144));
    let resumed = adopted.resume(scan, limits());
    assert!(matches!(resumed, Err(Error::NotWhole { .. })), "{resumed:?}");
    assert!(
        matches!(journal.adopt("w").expect("asked"), Adoption::Adopted(_)),
        "it is free"
    );
}

#[test]
fn a_segment_that_tells_of_records_that_are_lost_goes() {
    let folder = TestFolder::new("astray");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=10 {
        lane.append(number * 10, 1, &[&[9; 100]]).expect("appended");
    }
    lane.append(110, 1, &[&vec![9; 60_000]]).expect("appended");
    let path = |lane: &Lane<Disk>, at: usize| lane.folder().join(&segments(lane.folder())[at]);
    let (first, second) = (path(&lane, 0), path(&lane, 1));
    drop(lane);
    // The machine went down. Of the second segment only the header was written, of the first all
    // but the last two records.
    wipe(&second, 4096..65_536);
    wipe(&first, 4096 + 8 * 144..65_536);
    set_boot(&first, 7);
    set_boot(&second, 7);
    let mut lane = go_on(&journal);
    assert_eq!((lane.last_number(), lane.last_ordinal()), (80, 8));
    for number in [100, 200, 300] {
        lane.append(number, 2, &[&[8; 100]]).expect("appended");
    }
    let third = path(&lane, segments(lane.folder()).len() - 1);
    drop(lane);
    // It went down again, and 200 is lost before 300. The second segment, if it were there, would
    // have a record of the same ordinal.
    wipe(&third, 4096 + 144..4096 + 2 * 144);
    set_boot(&third, 8);
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(told(&mut scan).split_off(7), ["80@1", "100@2"]);
    assert!(matches!(scan.ending(), Ending::PowerCut(_)));
}

#[test]
fn a_scan_goes_on_while_the_successor_appends_and_settles() {
    let folder = TestFolder::new("both");
    let journal = folder.journal();
    let mut first = lane(&journal, 1 << 30);
    let payload = vec![1; 20_000];
    for number in 1..=30 {
        first.append(number, 0, &[&payload]).expect("appended");
    }
    drop(first);
    let adopted = adopt(&journal);
    let mut ahead = adopted.scan(given_up).expect("a folder");
    assert_eq!(ahead.by_ref().count(), 30);
    let groups = adopted.scan(given_up).expect("a folder");
    let mut lane = adopted.resume(ahead, limits()).expect("whole");
    let mut found = Vec::new();
    for group in groups.filter_map(Stored::into_group) {
        found.push(group.number);
        assert!(group.payload == payload);
        let number = lane.last_number() + 1;
        lane.append(number, 0, &[&payload]).expect("appended");
        settle(&mut lane, group.number);
    }
    assert_eq!(found, (1..=30).collect::<Vec<_>>());
    assert!(
        lane.bytes() < 15 * SEGMENT_BYTES,
        "old segments are used again: {}",
        lane.bytes()
    );
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 30), (31..=60).collect::<Vec<_>>());
}

#[test]
fn leftovers_are_no_part_of_the_next_life() {
    let folder = TestFolder::new("leftovers");
    let journal = folder.journal();
    let first = lane(&journal, 1 << 30);
    let folder = first.folder().to_owned();
    drop(first);
    // What a process leaves that ends while it begins something; and a name beyond all.
    for name in ["000000000000000a.new", "header-1.new"] {
        fs::write(folder.join(name), b"half").expect("written");
    }
    fs::write(folder.join("000000000000000b.segment"), [0; 8192]).expect("written");
    let mut lane = go_on(&journal);
    assert_eq!((lane.last_number(), lane.last_ordinal()), (0, 0));
    lane.append(8, 0, &[b"a"]).expect("appended");
    assert_eq!(segments(&folder), ["000000000000000c.segment"]);
    assert_eq!(lane.syncer().sync().expect("synced"), 1);
    drop(lane);
    assert_eq!(numbers(&adopt(&journal), 7), [8]);
}
