//! Files that are not as they were written.

use std::fs;

use write_buffer_journal::header::{HeaderError, SegmentHeader};
use write_buffer_journal::record::{self, Head};
use write_buffer_journal::scan::{DamageKind, Ending, Stored};

use crate::{GIVEN_UP, TestFolder, adopt, given_up, lane, limits, next_numbers, segments};

#[test]
fn a_damaged_record_amid_valid_ones_is_reported_by_its_place() {
    let folder = TestFolder::new("damage");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=5 {
        lane.append(number, 0, &[&[9; 100]]).expect("appended");
    }
    let path = lane.folder().join(&segments(lane.folder())[0]);
    drop(lane);
    // A bit of the third payload.
    let mut bytes = fs::read(&path).expect("read");
    let third = 4096 + 2 * 144;
    bytes[third + 50] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let adopted = adopt(&journal);
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(next_numbers(&mut scan), [1, 2]);
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
    assert_eq!(next_numbers(&mut scan), [4, 5]);
    assert!(!scan.pass_gap());
    // A later version's segment.
    bytes[third + 50] ^= 1;
    bytes[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..80]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &bytes).expect("written");
    let ending = adopted.scan(given_up).expect("a folder").ending();
    assert!(
        matches!(&ending, Ending::Damaged(damages) if damages[0].kind == DamageKind::Version(2)),
        "{ending:?}"
    );
    let folder = adopted.folder().to_owned();
    fs::write(folder.join("header"), b"damaged").expect("written");
    drop(adopted);
    assert_eq!(adopt(&journal).header(), Err(HeaderError::Damaged));
}

fn nines(number: u64) -> Vec<u8> {
    vec![9; usize::try_from(number * 100).expect("small")]
}

#[test]
fn no_bytes_make_recovery_panic() {
    let folder = TestFolder::new("fuzz");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=40 {
        lane.append(number, 7, &[&nines(number)]).expect("appended");
        lane.note(&number.to_le_bytes()).expect("noted");
    }
    let folder = lane.folder().to_owned();
    drop(lane);
    let names = segments(&folder);
    let whole: Vec<Vec<u8>> = names
        .iter()
        .map(|name| fs::read(folder.join(name)).expect("read"))
        .collect();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut resumed = 0;
    for round in 0..300 {
        for name in segments(&folder) {
            fs::remove_file(folder.join(name)).expect("removed");
        }
        for (name, bytes) in names.iter().zip(&whole) {
            fs::write(folder.join(name), damaged(bytes.clone(), &mut rng)).expect("written");
        }
        let adopted = adopt(&journal);
        let mut scan = adopted.scan(given_up).expect("a folder");
        let (mut last_number, mut last_ordinal) = (0, 0);
        loop {
            for stored in scan.by_ref() {
                match stored {
                    Stored::Group(group) => {
                        assert!(group.number > last_number, "round {round}");
                        last_number = group.number;
                        assert!(group.lane == 7 && group.payload == nines(last_number), "round {round}");
                    }
                    Stored::Note(note) => {
                        assert!(note.ordinal > last_ordinal, "round {round}");
                        last_ordinal = note.ordinal;
                        assert_eq!(
                            (note.after_number, note.ordinal),
                            (last_ordinal / 2, note.after_number * 2)
                        );
                        assert_eq!(note.bytes, note.after_number.to_le_bytes(), "round {round}");
                    }
                }
            }
            scan.ending();
            if !scan.pass_gap() {
                break;
            }
        }
        // Who may go on finds what he appends.
        let mut scan = adopted.scan(given_up).expect("a folder");
        let before = scan.by_ref().count();
        if let Ok(mut lane) = adopted.resume(scan, limits()) {
            let number = lane.last_number() + 1;
            lane.append(number, 7, &[b"new"]).expect("appended");
            if round % 8 == 0 {
                assert_eq!(lane.syncer().sync().expect("synced"), lane.last_ordinal());
            }
            drop(lane);
            let adopted = adopt(&journal);
            let mut scan = adopted.scan(given_up).expect("a folder");
            let found: Vec<Stored> = scan.by_ref().collect();
            assert_eq!(
                (found.len(), scan.ending()),
                (before + 1, Ending::Whole),
                "round {round}"
            );
            let last = found.last().cloned().and_then(Stored::into_group);
            assert_eq!(last.expect("the new one").number, number, "round {round}");
            resumed += 1;
        }
    }
    assert!(resumed > 30, "{resumed}");
}

fn damaged(mut bytes: Vec<u8>, rng: &mut fastrand::Rng) -> Vec<u8> {
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
    bytes
}

/// What a note says may be gone is nobody's loss, and is not looked at.
#[test]
fn what_was_given_up_is_no_damage() {
    let folder = TestFolder::new("lost-note");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    for number in 1..=4 {
        lane.append(number, 0, &[&[9; 100]]).expect("appended");
    }
    let note = lane.note(&[GIVEN_UP, &3_u64.to_le_bytes()].concat()).expect("noted");
    lane.append(5, 0, &[&[9; 100]]).expect("appended");
    let path = lane.folder().join(&segments(lane.folder())[0]);
    drop(lane);
    let adopted = adopt(&journal);
    let bytes = fs::read(&path).expect("read");
    let record = |at: usize| 4096 + at * 144;
    // A bit of the head, or of the payload, of a record.
    for (damaged, found, is_whole) in [
        (record(1) + 20, &[1, 4, 5][..], true),
        (record(1) + 50, &[1, 4, 5], true),
        (record(2) + 50, &[1, 2, 4, 5], true),
        (record(3) + 50, &[1, 2, 3], false),
        // The note itself.
        (record(4) + 50, &[1, 2, 3, 4], false),
    ] {
        let mut changed = bytes.clone();
        changed[damaged] ^= 1;
        fs::write(&path, &changed).expect("written");
        let mut scan = adopted.scan(given_up).expect("a folder");
        assert_eq!(next_numbers(&mut scan), found, "{damaged}");
        assert_eq!(scan.ending() == Ending::Whole, is_whole, "{damaged}");
    }
    // A note that is lost explains nothing, and one tells of nothing that comes after it.
    for told in [note - 1, note, u64::MAX] {
        let mut changed = bytes.clone();
        changed[record(1) + 50] ^= 1;
        let (head, payload) = changed[record(4)..].split_at_mut(40);
        payload[GIVEN_UP.len()..][..8].copy_from_slice(&told.to_le_bytes());
        let header = SegmentHeader::decode(&bytes).expect("a header");
        let seed = record::seed(header.salt);
        let mut whole = Head::decode(head, seed).expect("a head");
        whole.payload_crc = crc32c::crc32c_append(seed, &payload[..whole.length as usize]);
        head.copy_from_slice(&whole.encode(seed));
        fs::write(&path, &changed).expect("written");
        let mut scan = adopted.scan(given_up).expect("a folder");
        let (found, is_whole): (&[u64], bool) = if told < note { (&[1, 5], true) } else { (&[1], false) };
        assert_eq!(next_numbers(&mut scan), found, "{told}");
        assert_eq!(scan.ending() == Ending::Whole, is_whole, "{told}");
    }
}
