//! Records that cannot be read any more when they are to be written elsewhere: a failed sync, and
//! the page was dropped from memory.

use std::path::{Path, PathBuf};

use write_buffer_journal::journal::{Adoption, Journal};
use write_buffer_journal::lane::Lane;
use write_buffer_journal::scan::{Ending, Stored};

use crate::disk::{Faults, Model};
use crate::life::{DIRECTORY, WRITER, config};

const SYNC_FAILS: Faults = Faults {
    sync_fails: true,
    is_full: false,
};

fn begin() -> (Model, Journal<Model>, Lane<Model>) {
    let model = Model::new(7, 0);
    let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
    let mut lane = journal.create_lane(&config(0)).expect("a lane");
    for number in 1..=5 {
        lane.append(number, 0, &[&[9; 100]]).expect("appended");
    }
    (model, journal, lane)
}

/// The third record's payload is another one now.
fn lose(model: &Model, lane: &Lane<Model>) {
    let path: PathBuf = lane.folder().join("0000000000000001.segment");
    model.edit(&path, |bytes| bytes[4096 + 2 * 144 + 50] ^= 1);
}

/// Neither an append nor a sync says that all is well, and nothing is given up.
fn check_refused(journal: &Journal<Model>, mut lane: Lane<Model>) {
    for _ in 1..=3 {
        let number = lane.last_number() + 1;
        let appended = lane.append(number, 0, &[b"more"]).map(drop);
        let error = appended.expect_err("a record is lost");
        assert!(
            error.to_string().contains("records that cannot be read any more: 1"),
            "{error}"
        );
        lane.note(b"more").expect_err("a record is lost");
        lane.syncer().sync().expect_err("it failed");
    }
    drop(lane);
    let Adoption::Adopted(adopted) = journal.adopt(WRITER).expect("asked") else {
        panic!("its owner is dead");
    };
    let mut scan = adopted.scan(|_| None).expect("a folder");
    let mut found = Vec::new();
    loop {
        found.extend(scan.by_ref().filter_map(Stored::into_group).map(|group| group.number));
        assert!(matches!(scan.ending(), Ending::Damaged(_)) || found.len() > 2);
        if !scan.pass_gap() {
            break;
        }
    }
    assert_eq!(found[..4], [1, 2, 4, 5]);
}

#[test]
fn a_record_that_cannot_be_copied_gives_nothing_up() {
    let (model, journal, mut lane) = begin();
    model.set_faults(SYNC_FAILS);
    while !lane.syncer().has_failed() {
        let number = lane.last_number() + 1;
        lane.append(number, 0, &[b""]).expect("appended");
        let _ = lane.syncer().sync();
    }
    model.set_faults(Faults::default());
    lose(&model, &lane);
    check_refused(&journal, lane);
}

#[test]
fn a_successor_does_not_sync_what_it_cannot_read() {
    let (model, journal, lane) = begin();
    drop(lane);
    let Adoption::Adopted(adopted) = journal.adopt(WRITER).expect("asked") else {
        panic!("its owner is dead");
    };
    let mut scan = adopted.scan(|_| None).expect("a folder");
    assert_eq!(scan.by_ref().count(), 5);
    let mut lane = adopted.resume(scan, config(0).limits).expect("whole");
    lane.append(6, 0, &[b""]).expect("appended");
    lose(&model, &lane);
    lane.syncer().sync().expect_err("a record is lost");
    check_refused(&journal, lane);
}
