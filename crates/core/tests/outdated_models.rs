//! Which tables are read anew after an error, and what is known of them until then.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use write_buffer_core::clock::SystemClock;
use write_buffer_core::dead_letter::DeadLetter;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, Position};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::rules::Mode;
use write_buffer_core::table::schema::TableSchema;
use write_buffer_core::value::Value;
use write_buffer_core::writer::Writer;
use write_buffer_core::writer::observer::{Commit, Event, Observer};

/// What the test and its sink share.
#[derive(Default)]
struct World {
    /// How often each table was read.
    reads: BTreeMap<String, usize>,
    /// Errors of the next reads.
    read_errors: Vec<Error>,
    /// Errors of the next transactions.
    commit_errors: Vec<Error>,
    /// Transactions with a row of this value are refused.
    refused: Option<i64>,
    /// How many transactions were tried.
    transactions: usize,
}

struct FakeSink(Arc<Mutex<World>>);

impl Sink for FakeSink {
    fn limits(&mut self, _: Option<Instant>) -> Result<Limits> {
        Ok(Limits {
            max_packet_bytes: 1 << 20,
        })
    }

    fn model(&mut self, table: &TableEntry, _: Option<Instant>) -> Result<TableModel> {
        let mut world = self.0.lock().expect("a lock");
        *world.reads.entry(table.name.to_string()).or_default() += 1;
        if let Some(error) = world.read_errors.pop() {
            return Err(error);
        }
        // The account may not see the definition of `hidden`.
        let definition = (table.name.to_string() != "hidden").then(|| "CREATE TABLE".into());
        let schema = TableSchema {
            definition,
            is_strict: true,
            ..TableSchema::default()
        };
        TableModel::from_server(&table.name, &table.rules, Mode::Insert, schema)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        _: Option<LedgerEntry>,
        _: Option<Instant>,
        _: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let mut world = self.0.lock().expect("a lock");
        world.transactions += 1;
        for statement in &plan.statements {
            let has = |value: i64| statement.rows.iter().any(|row| row.contains(&Value::Int(value)));
            if world.refused.is_some_and(has) {
                let refused = Error::server(1264, "out of range");
                return Err(refused.at_table(&statement.bound.model.name, None));
            }
        }
        world.commit_errors.pop().map_or(Ok(()), Err)
    }

    fn register(&mut self, _: u64, _: Option<Position>, _: Option<Instant>) -> Result<()> {
        Ok(())
    }

    fn forget_registration(&mut self) {}

    fn last_entry(&mut self, _: Option<Instant>) -> Result<Option<LedgerRow>> {
        Ok(Some(LedgerRow {
            number: 0,
            position: None,
        }))
    }

    fn retire(&mut self, _: Instant) {}

    fn connects(&self) -> u64 {
        1
    }
}

struct Nobody;

impl Observer for Nobody {
    fn may_lack_earlier_groups(&mut self, _error: &Error) -> bool {
        false
    }

    fn may_commit(&mut self, _: &std::ops::Range<usize>) -> bool {
        true
    }
    fn not_committed(&mut self) {}
    fn committed(&mut self, _: &Commit) {}
    fn given_up(&mut self, _: DeadLetter) {}
    fn has_room_for_failure(&self) -> bool {
        true
    }
    fn happened(&mut self, _: &Event<'_>) {}
}

#[derive(Debug, PartialEq, Eq)]
enum Known {
    Sure,
    Outdated,
    Nothing,
}
use Known::{Nothing, Outdated, Sure};

/// Writes a row of each table, meets the error at a second time, and returns what is known of
/// `broken`, `other` and `hidden` then, and how often each was read when a third time succeeded.
fn after(commit_error: Option<Error>, read_error: Option<Error>) -> ([Known; 3], [usize; 3]) {
    let names = ["broken", "other", "hidden"];
    let world = Arc::new(Mutex::new(World::default()));
    // A writer that parks tries once more by itself.
    let settings = Settings {
        keeps_rows: false,
        ..Settings::default()
    };
    let mut catalog = settings.catalog(None).expect("a catalog");
    let mut batch = Batch::new(Instant::now());
    let entries = names.map(|name| {
        let table = catalog.table(name).expect("a table");
        let shape = catalog.shape(table, std::iter::once("v".as_bytes())).expect("a shape");
        let mut group = Group::default();
        group.push_row(&shape, &[Value::Int(1)]).expect("short");
        batch.append(&group, Instant::now());
        Arc::clone(catalog.entry(table).expect("a table"))
    });
    let sink = Box::new(FakeSink(Arc::clone(&world)));
    let mut writer = Writer::new(sink, Arc::new(SystemClock), &settings);
    assert!(writer.write(&[&batch], 0, None, &mut Nobody).is_ok());
    if let Some(error) = read_error {
        entries[0].outdate();
        world.lock().expect("a lock").read_errors.push(error);
    }
    world.lock().expect("a lock").commit_errors.extend(commit_error);
    assert!(writer.write(&[&batch], 0, None, &mut Nobody).is_err());
    let known = entries.each_ref().map(|entry| match entry.model() {
        None => Nothing,
        Some(_) if entry.is_outdated() => Outdated,
        Some(_) => Sure,
    });
    assert!(writer.write(&[&batch], 0, None, &mut Nobody).is_ok());
    let all_sure = |entry: &Arc<TableEntry>| entry.model().is_some() && !entry.is_outdated();
    assert!(entries.iter().all(all_sure));
    let world = world.lock().expect("a lock");
    (known, names.map(|name| world.reads.get(name).copied().unwrap_or(0)))
}

#[test]
fn an_error_forgets_the_model_of_its_own_table_alone() {
    let error = Error::server(1146, "no such table").at_table(&"broken", None);
    assert_eq!(after(Some(error), None), ([Nothing, Sure, Outdated], [2, 1, 2]));
}

#[test]
fn after_an_error_of_no_table_all_are_read_anew_and_none_is_unknown_until_then() {
    for error in [
        Error::server(1105, "who knows"),
        Error::connection(2003, "nobody answers"),
    ] {
        let known = after(Some(error), None);
        assert_eq!(known, ([Outdated, Outdated, Outdated], [2, 2, 2]));
    }
    let lost = Error::connection(2003, "lost").at_table(&"broken", None);
    assert_eq!(after(Some(lost), None).0, [Outdated, Outdated, Outdated]);
}

#[test]
fn a_table_that_is_not_what_it_was_is_forgotten_when_it_is_read() {
    let gone = Error::server(1146, "no such table");
    assert_eq!(after(None, Some(gone)), ([Nothing, Sure, Sure], [3, 1, 1]));
    let lost = Error::connection(2003, "nobody answers");
    assert_eq!(after(None, Some(lost)), ([Outdated, Sure, Sure], [3, 1, 1]));
}

/// Whatever the batch's size: at first, when rows are refused, before one group is tried alone,
/// which may be two in turn, and after it was given up.
#[test]
fn a_refused_group_is_found_with_a_bounded_number_of_reads() {
    for groups in [2, 3, 8, 100, 128] {
        for refused in [0, 1, groups / 2, groups - 1] {
            let world = Arc::new(Mutex::new(World::default()));
            let settings = Settings::default();
            let mut catalog = settings.catalog(None).expect("a catalog");
            let table = catalog.table("t").expect("a table");
            let shape = catalog.shape(table, std::iter::once("v".as_bytes())).expect("a shape");
            let mut batch = Batch::new(Instant::now());
            for number in 0..groups {
                let mut group = Group::default();
                group.push_row(&shape, &[Value::Int(number)]).expect("short");
                batch.append(&group, Instant::now());
            }
            world.lock().expect("a lock").refused = Some(refused);
            let mut writer = Writer::new(Box::new(FakeSink(Arc::clone(&world))), Arc::new(SystemClock), &settings);
            assert!(writer.write(&[&batch], 0, None, &mut Nobody).is_ok());
            let world = world.lock().expect("a lock");
            let steps = world.transactions;
            let halvings = groups.ilog2() as usize;
            assert!(steps > halvings, "{groups} groups, {refused}: it is found by halving");
            let reads = world.reads.get("t").copied().unwrap_or(0);
            assert!(
                (2..=5).contains(&reads),
                "{groups} groups, {refused} refused: {reads} reads in {steps} transactions"
            );
        }
    }
}
