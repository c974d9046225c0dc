use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::table::catalog::Catalog;
use crate::value::Value;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("write-buffer-group-journal-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn segments(directory: &Path, writer: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join(writer)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "segment"))
        .collect();
    paths.sort();
    paths
}

fn group() -> Group {
    let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
    let table = catalog.table("t").expect("a table");
    let shape = catalog
        .shape(table, std::iter::once(b"id".as_slice()))
        .expect("a shape");
    let mut group = Group::default();
    group.push_row(&shape, &[Value::bytes(&[b'x'; 1000])]).expect("short");
    group
}

#[test]
fn a_segment_is_given_up_only_when_that_is_noted_on_the_disk() {
    let directory = Directory::new("given-up");
    let settings = JournalSettings {
        directory: directory.0.clone(),
        // Nobody syncs here.
        sync: JournalSync::Interval(Duration::from_hours(1)),
        max_bytes: 1 << 20,
        dsn: "memory:".to_owned(),
        look_interval: Duration::from_hours(1),
    };
    let mut journal = GroupJournal::open(&settings, "writer", String::new()).expect("a journal");
    let (group, lane) = (group(), LaneId::new(0));
    let mut last = 0;
    // A segment that was given up is the next one that takes groups, under another name.
    let mut fill = |journal: &mut GroupJournal| {
        for _ in 0..200 {
            last += 1;
            journal.append(last, lane, &group).expect("room");
        }
        last
    };
    let last = fill(&mut journal);
    let first = segments(&directory.0, "writer").remove(0);
    journal.give_up_settled(last).expect("noted");
    let last = fill(&mut journal);
    journal.give_up_settled(last).expect("noted");
    assert!(first.exists(), "a power cut would leave a gap that nobody can explain");
    assert_eq!(journal.given_up(), 0);
    journal
        .owed_to_room()
        .expect("something to wait for")
        .wait()
        .expect("synced");
    journal.give_up_settled(last).expect("given up");
    assert_eq!(journal.given_up(), 1);
    fill(&mut journal);
    assert!(!first.exists());
}
