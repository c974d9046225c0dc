//! Notes between the groups: their order, their room, how long they stay.

use write_buffer_journal::error::Error;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::Adopted;
use write_buffer_journal::lane::Lane;
use write_buffer_journal::scan::{Ending, Stored};

use crate::{SEGMENT_BYTES, TestFolder, adopt, given_up, go_on, lane, settle, told};

/// The notes that are found, as text.
fn notes(adopted: &Adopted) -> Vec<String> {
    let scan = adopted.scan(given_up).expect("a folder");
    let notes = scan.filter_map(Stored::into_note).map(|note| note.bytes);
    let notes = notes.filter(|note| given_up(note).is_none());
    notes.map(|bytes| String::from_utf8(bytes).expect("text")).collect()
}

#[test]
fn groups_say_their_lane_and_notes_stand_between_them() {
    let folder = TestFolder::new("notes");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    assert_eq!(lane.note(b"first").expect("noted"), 1);
    lane.append(5, 3, &[b"a"]).expect("appended");
    for ordinal in 3..=4 {
        assert_eq!(lane.note(b"again").expect("noted"), ordinal);
    }
    let place = lane.append(9, 255, &[b"b"]).expect("appended");
    assert_eq!((place.ordinal, lane.last_number(), lane.last_ordinal()), (5, 9, 5));
    assert_eq!(lane.note(b"").expect("noted"), 6);
    drop(lane);
    let adopted = adopt(&journal);
    let all = ["0:first", "5@3", "5:again", "5:again", "9@255", "9:"];
    let mut scan = adopted.scan(given_up).expect("a folder");
    assert_eq!(told(&mut scan), all);
    assert_eq!(
        (scan.ending(), scan.last_number(), scan.last_ordinal()),
        (Ending::Whole, 9, 6)
    );
    let seen = journal.inspect(given_up).expect("listed");
    assert_eq!((seen[0].groups, seen[0].notes), (2, 4));
    assert_eq!((seen[0].first_number, seen[0].last_number), (Some(5), Some(9)));
}

#[test]
fn notes_find_room_where_a_group_did() {
    let folder = TestFolder::new("reserve");
    let journal = folder.journal();
    let mut lane = lane(&journal, 3 * SEGMENT_BYTES);
    let payload = vec![1; 20_000];
    for number in 1..=9 {
        lane.append(number, 0, &[&payload]).expect("there is room");
    }
    // What is left of the third segment is too short for it.
    let (mut notes, mut error) = (0, None);
    while error.is_none() {
        match lane.note(&payload) {
            Ok(_) => notes += 1,
            Err(full) => error = Some(full),
        }
        let group = lane.append(10, 0, &[b"short"]);
        assert!(matches!(group, Err(Error::Full { .. })), "what is left is for notes");
    }
    assert_eq!(notes, 3, "a segment of them");
    let error = error.expect("it is full");
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(lane.bytes(), 4 * SEGMENT_BYTES);
    lane.note(b"a short one").expect("room is left in the segment");
    settle(&mut lane, 3);
    lane.append(10, 0, &[b"short"]).expect("there is room again");
    for number in 11..=40 {
        settle(&mut lane, number - 1);
        lane.append(number, 0, &[&payload]).expect("there is room");
        lane.note(&payload).expect("there is room");
        assert!(lane.bytes() <= 4 * SEGMENT_BYTES, "{}", lane.bytes());
    }
    assert!(lane.bytes() <= 3 * SEGMENT_BYTES, "{}", lane.bytes());
    // A note may be longer than a segment, and finds room too, once.
    let folder = TestFolder::new("reserve-long");
    let journal = folder.journal();
    let mut lane = self::lane(&journal, 3 * SEGMENT_BYTES);
    lane.append(1, 0, &[&vec![1; 190_000 - 4096]]).expect("there is room");
    lane.note(&vec![2; 300_000]).expect("there is room");
    lane.note(b"").expect("there is room behind it");
    assert!(matches!(lane.note(&payload), Err(Error::Full { .. })));
}

#[test]
fn a_segment_that_is_given_up_is_no_room_for_groups_as_long_as_notes_need_it() {
    let folder = TestFolder::new("reserve-spare");
    let journal = folder.journal();
    let mut lane = lane(&journal, 3 * SEGMENT_BYTES);
    let (payload, large) = (vec![1; 20_000], vec![1; 50_000]);
    // Each takes a segment, and the second note the one for notes.
    for number in 1..=2 {
        lane.append(number, 0, &[&large]).expect("there is room");
        lane.note(&payload).expect("there is room");
    }
    assert_eq!(lane.bytes(), 4 * SEGMENT_BYTES);
    // The first segment goes, the second one is what notes needed.
    lane.give_up_through(1).expect("given up");
    let group = lane.append(3, 0, &[&large]);
    assert!(matches!(group, Err(Error::Full { .. })), "{group:?}");
    settle(&mut lane, 1);
    lane.append(3, 0, &[&large]).expect("there is room");
    lane.note(&payload).expect("there is room");
    assert_eq!(lane.bytes(), 4 * SEGMENT_BYTES);
}

#[test]
fn a_note_stays_until_what_is_given_up_reaches_it() {
    let folder = TestFolder::new("kept");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let payload = vec![1; 50_000];
    // Each group takes a segment, and the notes behind it stay in that.
    let append = |lane: &mut Lane<Disk>, number: u64| {
        lane.append(number, 0, &[&payload]).expect("appended");
        lane.note(format!("after {number}").as_bytes()).expect("noted")
    };
    for number in 1..=6 {
        append(&mut lane, number);
        settle(&mut lane, number.saturating_sub(2));
    }
    // Nothing up to a record in the middle of a segment gives that up.
    let last = lane.sealed_within(5).expect("sealed");
    lane.give_up_through(last - 1).expect("given up");
    drop(lane);
    let adopted = adopt(&journal);
    let found = notes(&adopted);
    assert!(
        found.ends_with(&["after 5".to_owned(), "after 6".to_owned()]),
        "{found:?}"
    );
    assert!(found.len() < 5, "spare ones are there until they are used: {found:?}");
    drop(adopted);
    let mut lane = go_on(&journal);
    settle(&mut lane, 5);
    append(&mut lane, 7);
    drop(lane);
    let found = notes(&adopt(&journal));
    assert!(
        found.ends_with(&["after 6".to_owned(), "after 7".to_owned()]),
        "{found:?}"
    );
}

#[test]
fn what_is_noted_again_before_groups_are_settled_is_there() {
    let folder = TestFolder::new("noted-again");
    let journal = folder.journal();
    let mut lane = lane(&journal, 1 << 30);
    let (payload, long) = (vec![1; 20_000], "x".repeat(9_000));
    for number in 1..=200 {
        lane.append(number, 0, &[&payload]).expect("appended");
        // More than one segment of notes, at each call.
        for name in 1..=10 {
            lane.note(format!("{number} {name} {long}").as_bytes()).expect("noted");
        }
        settle(&mut lane, number - 1);
        assert!(lane.bytes() <= 8 * SEGMENT_BYTES, "{}", lane.bytes());
    }
    drop(lane);
    let found = notes(&adopt(&journal));
    for name in 1..=10 {
        let note = format!("200 {name} {long}");
        assert_eq!(found.iter().filter(|found| **found == note).count(), 1, "{name}");
    }
}

#[test]
fn what_is_prepared_ahead_is_no_room_for_groups_as_long_as_notes_need_it() {
    let folder = TestFolder::new("ahead");
    let journal = folder.journal();
    let mut lane = lane(&journal, 3 * SEGMENT_BYTES);
    let (payload, large) = (vec![1; 20_000], vec![1; 50_000]);
    lane.append(1, 0, &[&large]).expect("there is room");
    lane.note(&payload).expect("there is room");
    lane.note(&payload).expect("there is room");
    let ahead = lane.take_ahead().expect("half of it is used");
    lane.note(&payload).expect("there is room");
    lane.note(&payload).expect("there is room");
    lane.note(&payload).expect("there is room");
    let prepared = ahead.prepare();
    lane.note(&payload).expect("there is room");
    lane.put_ahead(prepared);
    let mut number = 2;
    while lane.append(number, 0, &[&large]).is_ok() {
        number += 1;
        lane.note(&payload).expect("a group had room");
    }
}
