//! What is left of a journal when its process, or the machine, stops: a copy of its directory, as
//! it is then, or without its last records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use write_buffer_core::buffer::journal::notes::Note;
use write_buffer_journal::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use write_buffer_journal::record::{HEAD_BYTES, Head, Kind, record_bytes, seed};

/// A directory's files, by their paths in it.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A copied directory.
#[derive(Debug, Clone)]
pub struct Copy {
    pub directory: PathBuf,
    /// The last record of each folder.
    pub ordinals: BTreeMap<String, u64>,
}

/// A new directory for one journal.
pub fn new_directory() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("write-buffer-journal-model-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    drop(fs::remove_dir_all(&directory));
    directory
}

/// All files of a directory, and of its folders.
pub fn read(directory: &Path) -> Files {
    let mut files = Files::new();
    let mut add = |path: PathBuf| {
        if let (Ok(bytes), Ok(name)) = (fs::read(&path), path.strip_prefix(directory)) {
            files.insert(name.to_owned(), bytes);
        }
    };
    for path in list(directory) {
        if path.is_dir() {
            list(&path).into_iter().for_each(&mut add);
        } else {
            add(path);
        }
    }
    files
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Copies a directory as it is at one instant.
pub fn copy(directory: &Path) -> Copy {
    let mut files = read(directory);
    loop {
        let again = read(directory);
        if again == files {
            break;
        }
        files = again;
    }
    let copy = new_directory();
    write(&copy, &files);
    Copy {
        ordinals: last_ordinals(&copy),
        directory: copy,
    }
}

/// Makes a directory with these files.
pub fn write(directory: &Path, files: &Files) {
    make(directory);
    for (name, bytes) in files {
        let path = directory.join(name);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            make(folder);
        }
        fs::write(path, bytes).expect("written");
    }
}

/// The first segment of a folder.
pub fn first_segment(folder: &Path) -> PathBuf {
    segments(folder).swap_remove(0).path
}

fn make(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(folder).expect("made");
}

struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    header: SegmentHeader,
    /// Each record's head, and where it begins.
    records: Vec<(Head, usize)>,
}

fn segments(folder: &Path) -> Vec<Segment> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "segment");
    list(folder)
        .into_iter()
        .filter(is_segment)
        .filter_map(segment)
        .collect()
}

fn segment(path: PathBuf) -> Option<Segment> {
    let bytes = fs::read(&path).ok()?;
    let header = SegmentHeader::decode(&bytes).ok()?;
    let (mut records, mut at) = (Vec::new(), SEGMENT_HEADER_BYTES);
    let head_at = |at: usize| Head::decode(bytes.get(at..at + HEAD_BYTES)?, seed(header.salt));
    while let Some(head) = head_at(at) {
        records.push((head, at));
        at += record_bytes(usize::try_from(head.length).ok()?)?;
    }
    Some(Segment {
        path,
        bytes,
        header,
        records,
    })
}

/// The last record of each folder.
pub fn last_ordinals(directory: &Path) -> BTreeMap<String, u64> {
    let folders = list(directory).into_iter().filter(|path| path.is_dir());
    let last = |folder: &Path| {
        let of_segment = |segment: &Segment| {
            segment
                .records
                .last()
                .map_or(segment.header.base_ordinal, |(head, _)| head.ordinal)
        };
        segments(folder).iter().map(of_segment).max().unwrap_or(0)
    };
    let named = |folder: PathBuf| Some((folder.file_name()?.to_str()?.to_owned(), last(&folder)));
    folders.filter_map(named).collect()
}

/// The last record of a folder without which its segments may not have gone.
pub fn last_settled_through(folder: &Path) -> u64 {
    let mut last = 0;
    for segment in segments(folder) {
        for (head, at) in &segment.records {
            let payload = at + HEAD_BYTES..at + HEAD_BYTES + usize::try_from(head.length).expect("short");
            let note = (head.kind == Kind::Note).then(|| Note::decode(&segment.bytes[payload]));
            if let Some(Some(Note::SettledThrough { .. })) = note {
                last = last.max(head.ordinal);
            }
        }
    }
    last
}

/// Takes the records after this one out of a folder. Returns the numbers of groups that are gone.
pub fn cut(folder: &Path, last: u64) -> BTreeSet<u64> {
    let mut gone = BTreeSet::new();
    for mut segment in segments(folder) {
        let gone_records: Vec<(Head, usize)> = segment
            .records
            .iter()
            .filter(|(head, _)| head.ordinal > last)
            .copied()
            .collect();
        for (head, at) in &gone_records {
            segment.bytes[*at..at + HEAD_BYTES].fill(0);
            if head.kind == Kind::Group {
                gone.insert(head.number);
            }
        }
        if gone_records.is_empty() {
            continue;
        }
        if segment.header.base_ordinal > last {
            fs::remove_file(&segment.path).expect("removed");
        } else {
            fs::write(&segment.path, &segment.bytes).expect("written");
        }
    }
    gone
}

/// The machine was off since.
pub fn begin_another_life(folder: &Path) {
    for mut segment in segments(folder) {
        segment.header.boot_id = [7; 16];
        let header = segment.header.encode();
        segment.bytes[..header.len()].copy_from_slice(&header);
        fs::write(&segment.path, &segment.bytes).expect("written");
    }
}
