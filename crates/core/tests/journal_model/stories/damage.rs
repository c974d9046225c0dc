//! A folder that is damaged, or that a power cut left with a gap: what can be read goes into the
//! dead-letter file, once, wherever whoever does that is killed; and nothing else goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use write_buffer_journal::record::{HEAD_BYTES, record_bytes};

use super::{GROUPS, House, add};
use crate::crash::{self, Files};

/// The record whose payload is damaged, as a group's number.
const LOST: i64 = 5;

/// A process was killed with groups that nobody has written, one of which is damaged.
fn damaged(is_power_cut: bool) -> House {
    let mut house = House::new();
    let buffer = house.buffer();
    let hold = buffer.hold();
    for number in 1..=GROUPS {
        add(&buffer, number);
    }
    house.kill(buffer);
    std::mem::forget(hold);
    let folder = house.directory().join(&house.folders()[0]);
    let segment = crash::first_segment(&folder);
    let mut bytes = fs::read(&segment).expect("read");
    // All records are alike: the fifth begins where four have ended.
    let length = u32::from_le_bytes(bytes[4096 + 8..4096 + 12].try_into().expect("four bytes"));
    let record = record_bytes(usize::try_from(length).expect("small")).expect("short");
    let at = 4096 + usize::try_from(LOST - 1).expect("small") * record;
    if is_power_cut {
        bytes[at..at + record].fill(0);
    } else {
        bytes[at + HEAD_BYTES + 20] ^= 1;
    }
    fs::write(&segment, bytes).expect("written");
    if is_power_cut {
        crash::begin_another_life(&folder);
    }
    house
}

/// What the dead-letter file has to say. After a power cut notes may be lost, too.
fn expected(is_power_cut: bool) -> BTreeMap<i64, Vec<String>> {
    let status = |number| {
        if number < LOST && !is_power_cut {
            "unwritten"
        } else {
            "uncertain"
        }
    };
    let numbers = (1..=GROUPS).filter(|number| *number != LOST);
    numbers
        .map(|number| (number, vec![status(number).to_owned()]))
        .collect()
}

/// The files of a folder that was set aside, by their names in it.
fn files_in(files: &Files, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let named = |(path, bytes): (&PathBuf, &Vec<u8>)| Some((path.strip_prefix(folder).ok()?.to_owned(), bytes.clone()));
    files.iter().filter_map(named).collect()
}

#[test]
fn a_damaged_folder_is_set_aside_and_never_deleted() {
    let house = damaged(false);
    let before = crash::read(house.directory());
    let name = house.folders().remove(0);
    let recovered = house.recover();
    let set_aside = recovered.iter().find_map(|recovered| recovered.set_aside.as_ref());
    let (path, _) = set_aside.unwrap_or_else(|| panic!("it is set aside: {recovered:?}"));
    assert_eq!(house.folders(), [format!("{name}.damaged")]);
    assert_eq!(*path, house.directory().join(format!("{name}.damaged")));
    let after = crash::read(house.directory());
    let aside = files_in(&after, Path::new(&format!("{name}.damaged")));
    assert!(files_in(&before, Path::new(&name)) == aside, "nothing in it is changed");
    assert_eq!(house.letters(), expected(false));
    assert_eq!(house.rows(), [0; 0]);
    assert!(house.recover().is_empty(), "it is nobody's any more");
    assert!(crash::read(house.directory()) == after);
}

#[test]
fn a_folder_with_a_gap_of_a_power_cut_goes_once_all_of_it_is_kept() {
    let house = damaged(true);
    let recovered = house.recover();
    assert!(
        recovered[0].error.is_none() && recovered[0].set_aside.is_none(),
        "{recovered:?}"
    );
    assert_eq!(house.folders(), [""; 0]);
    assert_eq!(house.letters(), expected(true));
    assert_eq!(house.rows(), [0; 0]);
}

/// Whoever keeps the groups is killed: before each line, within each, and after the last one,
/// before the folder is set aside, or amid its removal.
#[test]
fn what_is_kept_is_kept_once_wherever_that_is_cut() {
    for is_power_cut in [false, true] {
        let house = damaged(is_power_cut);
        let before = crash::read(house.directory());
        let folder = house.folders().remove(0);
        house.recover();
        let lines = fs::read(house.letter_file()).expect("letters");
        let ends = (1..=lines.len()).filter(|end| lines[end - 1] == b'\n');
        let mut cuts: Vec<usize> = [0].into_iter().chain(ends).collect();
        // A line that is torn: amid the name, at the end of the name, and where braces end.
        let torn = cuts.iter().take(cuts.len() - 1).flat_map(|begin| {
            let line = &lines[*begin..];
            let braces = (1..line.len()).filter(|end| line[end - 1] == b'}' && line[*end] != b'\n');
            [8, 60]
                .into_iter()
                .chain(braces.take(2))
                .map(move |length| begin + length)
        });
        cuts.extend(torn.collect::<Vec<_>>());
        for cut in cuts {
            let house = House::of(&before);
            fs::write(house.letter_file(), &lines[..cut]).expect("written");
            let recovered = house.recover();
            assert_eq!(house.letters(), expected(is_power_cut), "cut at {cut}: {recovered:?}");
            assert_eq!(house.folders().len(), usize::from(!is_power_cut), "cut at {cut}");
            assert_eq!(house.rows(), [0; 0]);
        }
        if !is_power_cut {
            continue;
        }
        // All lines are there, and the folder goes: file by file, the lock last.
        let mut names: Vec<&PathBuf> = before.keys().filter(|path| path.starts_with(&folder)).collect();
        names.sort_by_key(|path| (path.ends_with("lock"), path.ends_with("header")));
        for gone in 0..=names.len() {
            let house = House::of(&before);
            fs::write(house.letter_file(), &lines).expect("written");
            for name in &names[..gone] {
                fs::remove_file(house.directory().join(name)).expect("removed");
            }
            let recovered = house.recover();
            assert_eq!(house.letters(), expected(true), "{gone} files are gone: {recovered:?}");
            assert_eq!(house.folders(), [""; 0], "{gone} files are gone: {recovered:?}");
        }
    }
}
