//! The background buffer under real threads: several callers add, flush and look, while a sink
//! fails now and then. At the end the tables hold what was added. At every look the counters
//! balance.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::snapshot::Snapshot;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::{Overflow, Settings};
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::table::rules::{MergeRule, TableRules};
use write_buffer_core::value::Value;

fn spawn(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(body).map(drop)
}

fn never() -> bool {
    false
}

/// When a wait ends in vain. Nothing here takes as long, on one slow processor with load either.
const DEADLINE: Duration = Duration::from_mins(5);

/// Waits until another thread has counted once more. So the two take turns, on one processor too.
fn wait_for_another(count: &AtomicU64) {
    let (before, began) = (count.load(Ordering::Relaxed), Instant::now());
    while count.load(Ordering::Relaxed) == before {
        assert!(began.elapsed() < DEADLINE, "the other thread counts no more");
        std::thread::yield_now();
    }
}

fn settings() -> Settings {
    Settings {
        batch_size: 20,
        flush_interval: Duration::from_millis(2),
        max_pending_rows: 400,
        overflow: Overflow::Block,
        overflow_timeout: DEADLINE,
        tables: vec![(
            "balances".to_owned(),
            TableRules {
                merge: vec![("amount".to_owned(), MergeRule::Sum)],
                ..TableRules::default()
            },
        )],
        ..Settings::default()
    }
}

fn add(buffer: &BackgroundBuffer, table: &str, columns: [&str; 2], values: [i64; 2]) {
    let mut group = Group::default();
    let shape = {
        let mut catalog = buffer.catalog();
        let table = catalog.table(table).expect("a table");
        catalog
            .shape(table, columns.iter().map(|name| name.as_bytes()))
            .expect("a shape")
    };
    group.push_row(&shape, &values.map(Value::Int)).expect("short");
    buffer
        .add(&group, buffer.room_limit(), &never)
        .expect("room within the limit");
}

fn sums(store: &MemoryStore, table: &str) -> BTreeMap<i64, i64> {
    let number = |value: &Value<'_>| match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} is no number"),
    };
    let tables = store.tables();
    let rows = tables
        .iter()
        .find(|(name, _)| name == table)
        .map(|(_, rows)| rows.clone())
        .unwrap_or_default();
    rows.iter().map(|row| (number(&row[0].1), number(&row[1].1))).collect()
}

#[test]
fn nothing_is_lost_or_doubled_between_threads() {
    const THREADS: i64 = 4;
    const ADDS: i64 = 2_000;
    let store = MemoryStore::default();
    let sink: Box<dyn Sink> = Box::new(MemorySink::new(store.clone()));
    let buffer = Arc::new(BackgroundBuffer::new(settings(), vec![sink], spawn).expect("a buffer"));
    let next = Arc::new(AtomicI64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let looks = Arc::new(AtomicU64::new(0));

    let callers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (buffer, next, looks) = (Arc::clone(&buffer), Arc::clone(&next), Arc::clone(&looks));
            std::thread::spawn(move || {
                for round in 0..ADDS {
                    if round % 10 == 0 {
                        wait_for_another(&looks);
                    }
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    add(&buffer, "trades", ["id", "thread"], [id, thread]);
                    add(&buffer, "balances", ["id", "amount"], [id % 7, 1]);
                    if round % 100 == 0 {
                        // An error of the failing sink does not matter here: the rows stay.
                        drop(buffer.flush(Some(Duration::from_millis(50)), &never));
                    }
                }
            })
        })
        .collect();
    let watcher = {
        let (buffer, over, looks) = (Arc::clone(&buffer), Arc::clone(&over), Arc::clone(&looks));
        let store = store.clone();
        std::thread::spawn(move || {
            let mut failures = 0;
            while !over.load(Ordering::Relaxed) {
                let Snapshot { metrics, pending, .. } = buffer.snapshot();
                let pending = u64::try_from(pending.rows).expect("few");
                assert_eq!(
                    metrics.rows_added,
                    metrics.rows_committed + pending + metrics.rows_refused
                );
                assert!(pending <= 400);
                let looks = looks.fetch_add(1, Ordering::Relaxed) + 1;
                // Often enough to meet every kind of moment, and not so often that nothing is ever
                // written.
                if looks.is_multiple_of(50) && failures < 30 {
                    failures += 1;
                    store.fail_next(if looks.is_multiple_of(100) { 1213 } else { 2006 }, 2);
                }
                std::thread::yield_now();
            }
            failures
        })
    };
    for caller in callers {
        caller.join().expect("a caller");
    }
    over.store(true, Ordering::Relaxed);
    assert!(watcher.join().expect("the watcher") > 0, "the sink has failed");
    let began = Instant::now();
    while buffer.flush(None, &never).is_err() {
        assert!(began.elapsed() < DEADLINE, "the failures asked for run out");
    }
    assert_eq!(buffer.pending().rows, 0);
    let total = THREADS * ADDS;
    assert_eq!(sums(&store, "trades").len(), usize::try_from(total).expect("few"));
    let expected: BTreeMap<i64, i64> = (0..7)
        .map(|id| (id, (0..total).filter(|row| row % 7 == id).map(|_| 1).sum()))
        .collect();
    assert_eq!(sums(&store, "balances"), expected);
    buffer.stop();
}

/// After an error the flusher forgets what it knows of a table, at any moment of an `add()`.
#[test]
fn a_table_that_is_forgotten_meanwhile_refuses_no_row() {
    const ADDS: i64 = 20_000;
    let store = MemoryStore::default();
    let sink: Box<dyn Sink> = Box::new(MemorySink::new(store.clone()));
    let buffer = Arc::new(BackgroundBuffer::new(settings(), vec![sink], spawn).expect("a buffer"));
    add(&buffer, "trades", ["id", "n"], [-1, 0]);
    let entry = {
        let mut catalog = buffer.catalog();
        let table = catalog.table("trades").expect("a table");
        Arc::clone(catalog.entry(table).expect("the table"))
    };
    let over = Arc::new(AtomicBool::new(false));
    let times = Arc::new(AtomicU64::new(0));
    let forgetter = {
        let over = Arc::clone(&over);
        let times = Arc::clone(&times);
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                entry.set_model(None);
                times.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
        })
    };
    for id in 0..ADDS {
        if id % 100 == 0 {
            wait_for_another(&times);
        }
        add(&buffer, "trades", ["id", "n"], [id, id]);
    }
    over.store(true, Ordering::Relaxed);
    forgetter.join().expect("the thread that forgets");
    buffer.flush(None, &never).expect("all is written");
    assert_eq!(sums(&store, "trades").len(), usize::try_from(ADDS + 1).expect("few"));
    buffer.stop();
}

#[test]
fn the_group_at_fault_is_given_up_and_no_other() {
    let store = MemoryStore::default();
    let sink: Box<dyn Sink> = Box::new(MemorySink::new(store.clone()));
    let settings = Settings {
        batch_size: 1_000,
        flush_interval: Duration::from_mins(1),
        ..Settings::default()
    };
    let buffer = BackgroundBuffer::new(settings, vec![sink], spawn).expect("a buffer");
    for id in 0..100 {
        add(&buffer, "trades", ["id", "n"], [id, id]);
    }
    // Insert-only rows whose keys are there already: the server would refuse the whole transaction
    // with 1062.
    for id in [3, 50, 99] {
        add(&buffer, "trades", ["id", "n"], [id, -1]);
    }
    for id in 100..150 {
        add(&buffer, "trades", ["id", "n"], [id, id]);
    }
    let failed = buffer.flush(None, &never).expect_err("three groups are refused");
    assert_eq!((failed.failures.len(), failed.error.code()), (3, 1062));
    let expected: BTreeMap<i64, i64> = (0..150).map(|id| (id, id)).collect();
    assert_eq!(sums(&store, "trades"), expected);
    let letters = buffer.take_failures();
    let keys: Vec<_> = letters
        .iter()
        .map(|letter| letter.rows[0].columns[0].1.clone())
        .collect();
    assert_eq!(keys, [3, 50, 99].map(Value::Int));
    assert!(buffer.flush(None, &never).is_ok(), "an error is reported once");
    let Snapshot { metrics, pending, .. } = buffer.snapshot();
    assert_eq!(
        (metrics.rows_refused, metrics.rows_committed, pending.rows),
        (3, 150, 0)
    );
    buffer.stop();
}
