//! Single stories of a journal's directory: what one process leaves, and what the next one makes of
//! it.

mod damage;
mod folders;
mod gaps;
mod look;
mod order;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::recovery::{Recovered, Recovery};
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::{JournalSettings, JournalSync, Settings};
use write_buffer_core::sink::memory::{MemorySink, MemoryStore, StoredRow};
use write_buffer_core::table::rules::{KeyRule, Mode, TableRules};
use write_buffer_core::value::Value;

use crate::crash::{self, Files};

/// Nothing takes as long.
const LONG: Duration = Duration::from_mins(1);
/// Insert-only, without a key: what is written twice is there twice.
const TABLE: &str = "events";

/// So many groups are left in a folder.
const GROUPS: i64 = 9;

/// A directory, and the server.
struct House {
    store: MemoryStore,
    directories: Vec<PathBuf>,
    sync: JournalSync,
}

impl Drop for House {
    fn drop(&mut self) {
        for directory in &self.directories {
            drop(fs::remove_dir_all(directory));
        }
    }
}

fn spawn(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(body).map(drop)
}

impl House {
    fn new() -> Self {
        Self {
            store: MemoryStore::default(),
            directories: vec![crash::new_directory()],
            sync: JournalSync::None,
        }
    }

    /// A directory with these files.
    fn of(files: &Files) -> Self {
        let house = Self::new();
        crash::write(house.directory(), files);
        house
    }

    fn directory(&self) -> &Path {
        self.directories.last().expect("one at least")
    }

    fn settings(&self) -> Settings {
        let rules = TableRules {
            mode: Some(Mode::Insert),
            key: KeyRule::Columns(vec!["none".to_owned()]),
            ..TableRules::default()
        };
        Settings {
            flush_interval: Duration::from_millis(1),
            tables: vec![(TABLE.to_owned(), rules.clone()), ("blocked".to_owned(), rules)],
            park_timeout: Duration::ZERO,
            journal: Some(JournalSettings {
                directory: self.directory().to_owned(),
                sync: self.sync,
                max_bytes: 1 << 20,
                dsn: "memory:".to_owned(),
                look_interval: Duration::from_millis(1),
            }),
            ..Settings::default()
        }
    }

    /// A process that recovers nothing.
    fn buffer(&self) -> BackgroundBuffer {
        let sink = Box::new(MemorySink::new(self.store.clone()));
        BackgroundBuffer::new(self.settings(), vec![sink], spawn).expect("a buffer")
    }

    fn recovery(&self) -> Arc<Recovery> {
        let store = self.store.clone();
        let make = move |_: &Settings, _| Ok(Box::new(MemorySink::new(store.clone())) as _);
        Arc::new(Recovery::new(self.settings(), Box::new(make), spawn).expect("a recovery"))
    }

    fn recover(&self) -> Vec<Recovered> {
        let until = Instant::now() + LONG;
        self.recovery().run(&|| Instant::now() >= until)
    }

    /// Its process dies now: what it has in its directory is all that is left of it.
    fn kill(&mut self, buffer: BackgroundBuffer) {
        let copy = crash::copy(self.directory()).directory;
        self.directories.push(copy);
        // It has threads, and they wait for ever.
        std::mem::forget(buffer);
    }

    /// The folders, by name.
    fn folders(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory()).expect("listed").flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = folders
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn letter_file(&self) -> PathBuf {
        self.directory().join("dead-letters.jsonl")
    }

    /// The statuses of each group in the dead-letter file. A line that is torn is none.
    fn letters(&self) -> BTreeMap<i64, Vec<String>> {
        let text = fs::read_to_string(self.letter_file()).unwrap_or_default();
        let mut letters: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let Ok(read) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let number = read["rows"][0]["row"]["n"].as_i64().expect("a number");
            let status = read["status"].as_str().expect("a status").to_owned();
            letters.entry(number).or_default().push(status);
        }
        letters
    }

    fn rows(&self) -> Vec<i64> {
        numbers(&self.store)
    }
}

/// What the server has, in order.
fn numbers(store: &MemoryStore) -> Vec<i64> {
    let tables = store.tables();
    let rows = tables.iter().find(|(name, _)| name == TABLE).map(|(_, rows)| rows);
    let number = |row: &StoredRow| match row.first() {
        Some((_, Value::Int(number))) => *number,
        other => panic!("{other:?} is no number"),
    };
    let mut numbers: Vec<i64> = rows.into_iter().flatten().map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Adds a group of one row, which takes a kilobyte.
fn add(buffer: &BackgroundBuffer, number: i64) {
    add_to(buffer, TABLE, number);
}

fn add_to(buffer: &BackgroundBuffer, table: &str, number: i64) {
    let mut catalog = buffer.catalog();
    let table = catalog.table(table).expect("a table");
    let columns = ["n", "pad"].iter().map(|name| name.as_bytes());
    let shape = catalog.shape(table, columns).expect("a shape");
    drop(catalog);
    let mut group = Group::default();
    let pad = Value::bytes(&[b'x'; 1000]);
    group.push_row(&shape, &[Value::Int(number), pad]).expect("short");
    buffer.add(&group, None, &|| false).expect("there is room");
}
