//! Recovery against a model of a server that does its worst: connections lost before COMMIT, during
//! it with either outcome, COMMITs that take effect only later, as on another node of a cluster,
//! answers to COMMIT that are untrue, questions that are answered by any error, servers that cannot
//! be reached, races lost, rows refused, tables that take no rows for a while, and a ledger whose
//! row is deleted. Rows that must not be
//! repeated (insert-only without a key, sums) are then in the tables exactly once, or among the
//! failures; and of rows that replace each other the last one stays.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

mod end;
mod server;
mod successor;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::clock::Clock;
use write_buffer_core::error::{Kind, Result};
use write_buffer_core::ledger::LedgerUse;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::table::rules::{KeyRule, MergeRule, TableRules};
use write_buffer_core::value::Value;

use crate::server::{FakeSink, Fault, Tables, fault, int};

/// Waits pass at once.
#[derive(Debug, Clone, Copy)]
struct NoWait;

impl Clock for NoWait {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, _duration: Duration) {}
}

#[derive(Debug, Clone)]
enum Step {
    /// A trade and a balance's increment, in one group.
    Add {
        account: i64,
        amount: i64,
    },
    /// A price, which replaces the last one, in a group of its own: it needs no ledger.
    AddPrice {
        id: i64,
    },
    Flush,
    Faults(Vec<Fault>),
    /// The next questions are answered by these codes.
    Answers(Vec<u16>),
    /// The next trade that is added is one that the server refuses.
    RefuseNext,
    /// Somebody deletes the writer's row.
    DeleteLedgerRow,
    /// A table takes no rows, or all do again.
    Block(Option<&'static str>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..3_i64, 1..9_i64).prop_map(|(account, amount)| Step::Add { account, amount }),
        3 => (0..3_i64).prop_map(|id| Step::AddPrice { id }),
        3 => Just(Step::Flush),
        1 => prop::collection::vec(prop_oneof![Just(1062), Just(1146), Just(1105), Just(1213), Just(1053)], 1..4)
            .prop_map(Step::Answers),
        4 => prop::collection::vec(fault(), 1..5).prop_map(Step::Faults),
        1 => Just(Step::RefuseNext),
        1 => Just(Step::DeleteLedgerRow),
        2 => prop::option::weighted(0.7, prop_oneof![Just("trades"), Just("balances"), Just("prices")]).prop_map(Step::Block),
    ]
}

fn settings(batch_size: usize, ledger: LedgerUse) -> Settings {
    Settings {
        batch_size,
        ledger,
        flush_interval: Duration::from_hours(1),
        tables: vec![
            (
                "balances".to_owned(),
                TableRules {
                    merge: vec![("amount".to_owned(), MergeRule::Sum)],
                    repeatable: ledger == LedgerUse::Never,
                    ..TableRules::default()
                },
            ),
            (
                "prices".to_owned(),
                TableRules {
                    key: KeyRule::Columns(vec!["id".to_owned()]),
                    ..TableRules::default()
                },
            ),
            (
                "trades".to_owned(),
                TableRules {
                    repeatable: ledger == LedgerUse::Never,
                    ..TableRules::default()
                },
            ),
        ],
        ..Settings::default()
    }
}

fn add(buffer: &mut ForegroundBuffer, trade: i64, account: i64, amount: i64) {
    add_rows(
        buffer,
        &[
            ("trades", ["n", "account"], [trade, account]),
            ("balances", ["id", "amount"], [account, amount]),
        ],
    );
}

fn add_rows(buffer: &mut ForegroundBuffer, rows: &[(&str, [&str; 2], [i64; 2])]) {
    let mut group = Group::default();
    for (table, columns, values) in rows {
        let table = buffer.catalog().table(table).expect("a table");
        let names = columns.iter().map(|name| name.as_bytes());
        let shape = buffer.catalog().shape(table, names).expect("a shape");
        group.push_row(&shape, &values.map(Value::Int)).expect("short");
    }
    if let Err(failed) = buffer.add(&group) {
        assert!(
            !matches!(failed.error.kind(), Kind::Config | Kind::Full | Kind::TooLarge),
            "{failed:?}"
        );
    }
}

fn flush_to_the_end(buffer: &mut ForegroundBuffer) {
    for _ in 0..1_000 {
        if buffer.pending().rows == 0 {
            return;
        }
        // Faults run out; what they threw on the way is no matter here.
        drop(buffer.flush(None));
    }
    panic!("it never comes to an end: {:?}", buffer.metrics());
}

/// What the tables hold of the trades added, and the numbers that are lost or doubled.
fn compare(
    server: &FakeSink,
    added: &[(i64, i64, i64)],
    prices: &BTreeMap<i64, i64>,
    given_up: &[i64],
) -> Result<(), String> {
    let mut expected = Tables {
        prices: prices.clone(),
        ..Tables::default()
    };
    for (trade, account, amount) in added.iter().filter(|(trade, ..)| !given_up.contains(trade)) {
        expected.trades.insert(*trade, 1);
        *expected.balances.entry(*account).or_default() += amount;
    }
    let mut found = server.server().tables.clone();
    found.ledger = None;
    if server.server().is_traceless {
        // Prices that nobody can say whether they were committed may be among the failures.
        found.prices.clone_from(&expected.prices);
    }
    if found == expected {
        Ok(())
    } else {
        Err(format!("found {found:?}, expected {expected:?}"))
    }
}

fn given_up(buffer: &mut ForegroundBuffer) -> Vec<(i64, u16)> {
    let letters = buffer.take_failures();
    letters
        .iter()
        .filter(|letter| &*letter.rows[0].table != "prices")
        .map(|letter| (int(letter.rows[0].columns.first().map(|(_, value)| value)), letter.code))
        .collect()
}

/// What was added: trades, each with an account and its increment, and the last price of each id.
#[derive(Debug, Default)]
struct Added {
    trades: Vec<(i64, i64, i64)>,
    prices: BTreeMap<i64, i64>,
}

/// Plays the steps, and checks the counters after each.
fn play(steps: Vec<Step>, sink: &FakeSink, buffer: &mut ForegroundBuffer) -> Result<Added, String> {
    let mut all = Added::default();
    let mut versions = 0..;
    for step in steps {
        match step {
            Step::Add { account, amount } => {
                let trade = i64::try_from(all.trades.len()).expect("few");
                all.trades.push((trade, account, amount));
                add(buffer, trade, account, amount);
            }
            Step::AddPrice { id } => {
                let version = versions.next().expect("no end");
                all.prices.insert(id, version);
                add_rows(buffer, &[("prices", ["id", "version"], [id, version])]);
            }
            Step::Flush => drop(buffer.flush(None)),
            Step::Faults(faults) => sink.server().faults.extend(faults),
            Step::Answers(codes) => sink.server().answers.extend(codes),
            Step::RefuseNext => sink.server().refuses = i64::try_from(all.trades.len()).ok(),
            Step::Block(table) => sink.server().blocked = table,
            Step::DeleteLedgerRow => {
                let mut server = sink.server();
                server.delete_ledger_row();
            }
        }
        let (metrics, pending) = (buffer.metrics(), buffer.pending().rows as u64);
        if metrics.rows_added != metrics.rows_committed + pending + metrics.rows_refused {
            return Err(format!("the counters do not balance: {metrics:?}, {pending} pending"));
        }
    }
    Ok(all)
}

fn run(steps: Vec<Step>, batch_size: usize, ledger: LedgerUse) -> Result<(), String> {
    let sink = FakeSink::default();
    let mut buffer = ForegroundBuffer::new(settings(batch_size, ledger), Box::new(sink.clone()), Arc::new(NoWait))
        .expect("a buffer");
    let Added { trades: added, prices } = play(steps, &sink, &mut buffer)?;
    sink.server().refuses = None;
    sink.server().blocked = None;
    flush_to_the_end(&mut buffer);
    let failures = given_up(&mut buffer);
    if !sink.server().is_traceless && failures.iter().any(|(_, code)| *code == 0) {
        return Err(format!("given up without a reason: {failures:?}"));
    }
    // What the ledger cannot say is for a person to look at: in the tables or not, it is among the
    // failures.
    let unclear: Vec<i64> = failures
        .iter()
        .filter(|(_, code)| *code == 0)
        .map(|(trade, _)| *trade)
        .collect();
    let committed: Vec<i64> = {
        let server = sink.server();
        unclear
            .iter()
            .copied()
            .filter(|trade| server.tables.trades.contains_key(trade))
            .collect()
    };
    let refused: Vec<i64> = failures
        .iter()
        .map(|(trade, _)| *trade)
        .filter(|trade| !committed.contains(trade))
        .collect();
    compare(&sink, &added, &prices, &refused)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_is_lost_or_doubled(
        steps in prop::collection::vec(step(), 1..60),
        batch_size in 1..6_usize,
        always in any::<bool>(),
    ) {
        let ledger = if always { LedgerUse::Always } else { LedgerUse::Auto };
        let ended = run(steps, batch_size, ledger);
        prop_assert!(ended.is_ok(), "{}", ended.unwrap_err());
    }
}

#[test]
fn a_panic_behind_the_commit_doubles_nothing() {
    let sink = FakeSink::default();
    sink.server().faults.push(Fault::Panic);
    let spawn = |body: Box<dyn FnOnce() + Send>| std::thread::Builder::new().spawn(body).map(drop);
    let buffer =
        BackgroundBuffer::new(settings(10, LedgerUse::Auto), vec![Box::new(sink.clone())], spawn).expect("a buffer");
    let mut group = Group::default();
    let shape = {
        let mut catalog = buffer.catalog();
        let table = catalog.table("trades").expect("a table");
        catalog.shape(table, [b"n".as_slice()].into_iter()).expect("a shape")
    };
    group.push_row(&shape, &[Value::Int(0)]).expect("short");
    let never = || false;
    buffer.add(&group, None, &never).expect("taken");
    let failed = buffer.flush(None, &never).expect_err("a bug is said");
    assert!(failed.error.message().contains("a bug in write_buffer"), "{failed:?}");
    // Not before: an attempt that succeeds takes back what the one before it said.
    sink.let_go_on();
    // The thread may have settled it before this call.
    buffer.flush(None, &never).expect("the ledger has it");
    assert_eq!(buffer.snapshot().metrics.rows_committed, 1);
    assert_eq!(sink.server().tables.trades, BTreeMap::from([(0, 1)]));
    buffer.stop();
}

/// The faults are real: without the ledger they double rows.
#[test]
fn without_the_ledger_rows_are_doubled() {
    let steps = || {
        vec![
            Step::Faults(vec![Fault::LostAfterCommit]),
            Step::Add { account: 1, amount: 5 },
            Step::Flush,
        ]
    };
    assert_eq!(run(steps(), 10, LedgerUse::Auto), Ok(()));
    let doubled = run(steps(), 10, LedgerUse::Never).expect_err("the row is there twice");
    assert!(doubled.contains("trades: {0: 2}"), "{doubled}");
}

/// The price alone needs no ledger. It is written while the first attempt may yet be found
/// committed, which happens after it.
#[test]
fn rows_that_need_no_ledger_forget_no_doubt() {
    let last_first = vec![
        Fault::LostAtCommit,
        Fault::RefusedTogether,
        Fault::RefusedTogether,
        Fault::LostAndCommittedLater(2),
    ];
    let trade = Step::Add { account: 1, amount: 5 };
    let steps = vec![
        Step::AddPrice { id: 1 },
        Step::Faults(last_first),
        trade.clone(),
        trade.clone(),
        trade.clone(),
        trade,
        Step::Flush,
    ];
    assert_eq!(run(steps, 2, LedgerUse::Auto), Ok(()));
}
