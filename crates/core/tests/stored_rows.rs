//! Rows that wait in the journal alone: they are found as those in memory are, written in their
//! order, and those that cannot be read back are failures. The judge is a map from keys to values.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]
#![allow(clippy::indexing_slicing, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::find::Found;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::{JournalSettings, JournalSync, Settings};
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::table::rules::{KeyRule, TableRules};
use write_buffer_core::value::Value;

/// What one lane has.
const MAX_PENDING_BYTES: usize = 256 << 10;
const LONG: Duration = Duration::from_mins(1);

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("write-buffer-stored-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn settings(directory: &Directory, lanes: usize) -> Settings {
    Settings {
        batch_size: 20,
        max_pending_rows: 1_000_000,
        max_pending_bytes: MAX_PENDING_BYTES * lanes,
        flush_interval: Duration::from_millis(1),
        lanes,
        route_by: Some("id".to_owned()),
        tables: vec![(
            "t".to_owned(),
            TableRules {
                key: KeyRule::Columns(vec!["id".to_owned()]),
                ..TableRules::default()
            },
        )],
        journal: Some(JournalSettings {
            directory: directory.0.clone(),
            sync: JournalSync::None,
            max_bytes: 1 << 30,
            dsn: "memory:".to_owned(),
            look_interval: Duration::from_hours(1),
        }),
        ..Settings::default()
    }
}

fn spawn(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(body).map(drop)
}

fn buffer(settings: Settings, store: &MemoryStore) -> BackgroundBuffer {
    let sink = |_| Box::new(MemorySink::new(store.clone())) as Box<dyn Sink>;
    let sinks = (0..settings.lanes).map(sink).collect();
    BackgroundBuffer::new(settings, sinks, spawn).expect("a buffer")
}

/// What a key has: a value, or `None` if it was deleted.
type Expected = BTreeMap<i64, Option<i64>>;

fn push(buffer: &BackgroundBuffer, group: &mut Group, key: i64, value: Option<i64>) {
    let mut catalog = buffer.catalog();
    let table = catalog.table("t").expect("a table");
    let shape = match value {
        Some(_) => catalog.shape(table, ["id", "v", "text"].iter().map(|name| name.as_bytes())),
        None => catalog.deletion(table, std::iter::once(b"id".as_slice())),
    };
    let shape = shape.expect("a shape");
    let text = "x".repeat(usize::try_from(key % 90).expect("small"));
    let values = [
        Value::Int(key),
        Value::Int(value.unwrap_or_default()),
        Value::text(&text),
    ];
    let count = if value.is_some() { 3 } else { 1 };
    group.push_row(&shape, &values[..count]).expect("short");
}

fn value_of(row: &[(Box<str>, Value<'static>)]) -> i64 {
    match row.iter().find(|(name, _)| **name == *"v") {
        Some((_, Value::Int(value))) => *value,
        other => panic!("{other:?}"),
    }
}

fn stored(store: &MemoryStore) -> BTreeMap<i64, i64> {
    let tables = store.tables();
    let rows = tables.iter().filter(|(name, _)| name == "t").flat_map(|(_, rows)| rows);
    let number = |value: &Value<'_>| match value {
        Value::Int(number) => *number,
        other => panic!("{other:?}"),
    };
    rows.map(|row| (number(&row[0].1), number(&row[1].1))).collect()
}

/// What is not found is in the table, or nowhere.
fn check_find(buffer: &BackgroundBuffer, store: &MemoryStore, expected: &Expected, key: i64) -> bool {
    let found = buffer.find("t", &[(None, Value::Int(key))]).expect("a key");
    let wanted = expected.get(&key).copied().flatten();
    match &found {
        Found::Row(row) => assert_eq!(Some(value_of(row)), wanted, "key {key}"),
        Found::Deletion => assert_eq!(None, wanted, "key {key}"),
        Found::Nothing => assert_eq!(stored(store).get(&key).copied(), wanted, "key {key}"),
    }
    found != Found::Nothing
}

fn play(seed: u64, lanes: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (directory, store) = (Directory::new(&format!("play-{seed}-{lanes}")), MemoryStore::default());
    let buffer = buffer(settings(&directory, lanes), &store);
    let mut expected = Expected::new();
    let (mut most_in_journal, mut found_in_journal) = (0, 0);
    let mut hold = Some(buffer.hold());
    let mut next = 0;
    for step in 0..3_000 {
        let mut group = Group::default();
        for _ in 0..rng.usize(1..4) {
            let key = rng.i64(0..600);
            next += 1;
            let value = (rng.u8(0..8) > 0).then_some(next);
            push(&buffer, &mut group, key, value);
            expected.insert(key, value);
        }
        buffer
            .add(&group, Some(Instant::now() + LONG), &|| false)
            .expect("there is room");
        assert!(
            buffer.pending().bytes <= MAX_PENDING_BYTES * lanes,
            "{}",
            buffer.pending().bytes
        );
        most_in_journal = most_in_journal.max(buffer.rows_in_journal());
        if rng.u8(0..10) == 0 {
            let is_stored = buffer.rows_in_journal() > 0;
            let was_found = check_find(&buffer, &store, &expected, rng.i64(0..600));
            found_in_journal += u64::from(is_stored && was_found);
        }
        // It writes some of it now and then.
        if step % 700 == 600 {
            drop(hold.take());
        }
        if step % 700 == 620 {
            hold = Some(buffer.hold());
        }
    }
    // While it is written, too.
    drop(hold.take());
    while buffer.pending().rows > 0 {
        buffer.request_flush();
        check_find(&buffer, &store, &expected, rng.i64(0..600));
    }
    for key in 0..600 {
        assert!(!check_find(&buffer, &store, &expected, key), "it is written");
    }
    assert!(
        most_in_journal > 1_000 && found_in_journal > 100,
        "{most_in_journal} {found_in_journal}"
    );
    let snapshot = buffer.snapshot();
    assert_eq!(snapshot.metrics.rows_added, snapshot.metrics.rows_committed);
    buffer.stop();
}

#[test]
fn rows_in_the_journal_alone_are_found_and_written_in_their_order() {
    for (seed, lanes) in [(1, 1), (2, 1), (3, 4), (4, 3)] {
        play(seed, lanes);
    }
}

#[test]
fn what_cannot_be_read_back_is_a_failure_and_the_rest_is_written() {
    let (directory, store) = (Directory::new("damage"), MemoryStore::default());
    let buffer = buffer(settings(&directory, 1), &store);
    let hold = buffer.hold();
    let (damaged, unlike_others) = (2_345, 0x1234_5678_9abc_def0_i64);
    for key in 0..3_000 {
        let mut group = Group::default();
        let value = if key == damaged { unlike_others } else { key };
        push(&buffer, &mut group, key, Some(value));
        buffer.add(&group, None, &|| false).expect("there is room");
    }
    assert!(buffer.rows_in_journal() > 2_000);
    let writer = buffer.journal_writer().expect("a journal");
    let segment = directory.0.join(&writer).join("0000000000000001.segment");
    let bytes = fs::read(&segment).expect("read");
    let mut places = bytes.windows(8).enumerate();
    let (at, _) = places
        .find(|(_, window)| *window == unlike_others.to_le_bytes())
        .expect("it is there");
    let file = fs::File::options().write(true).open(&segment).expect("opened");
    file.write_all_at(&[0xff], at as u64).expect("written");
    drop(hold);
    let until = Instant::now() + LONG;
    while buffer.pending().rows > 0 && Instant::now() < until {
        buffer
            .flush(Some(LONG), &|| false)
            .expect_err("what cannot be read is told");
    }
    let written = stored(&store);
    assert_eq!(written.len(), 2_999);
    assert!(written.iter().all(|(key, value)| key == value && *key != damaged));
    let failures = buffer.take_failures();
    assert_eq!(failures.len(), 1);
    let message = failures[0].message.to_string();
    assert_eq!((failures[0].rows.len(), failures[0].status.name()), (0, "uncertain"));
    assert!(message.contains("ticket 2346 was not written"), "{message}");
    assert!(message.contains(&segment.display().to_string()), "{message}");
    let copy = directory.0.join(format!("{writer}-0000000000000001.damaged"));
    assert!(message.contains(&copy.display().to_string()), "{message}");
    assert_eq!(fs::read(&copy).expect("a copy")[at], 0xff);
    let letters = fs::read_to_string(directory.0.join("dead-letters.jsonl")).expect("letters");
    assert_eq!(letters.lines().count(), 1, "{letters}");
    let metrics = buffer.snapshot().metrics;
    assert_eq!((metrics.rows_committed, metrics.rows_refused), (2_999, 1));
    buffer.stop();
}
