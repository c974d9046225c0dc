//! Recovery against a model of a server that does its worst: connections lost before COMMIT, or
//! during it with either outcome; COMMITs that take effect only later, as on another node of a
//! cluster; servers that cannot be reached, races lost, rows refused, and a ledger whose row is
//! deleted. Rows that must not be written twice (insert-only without a key, sums) are then in the
//! tables exactly once, or among the failures.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::clock::Clock;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerUse};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::rules::{MergeRule, TableRules};
use write_buffer_core::value::Value;

/// What happens to a transaction, or to a question to the ledger.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The connection is lost before COMMIT.
    LostBefore,
    /// It is lost while COMMIT is under way, which is not carried out.
    LostAtCommit,
    /// As before, and it is carried out.
    LostAfterCommit,
    /// As before, and it is carried out after so many questions to the ledger were answered.
    LostAndCommittedLater(u8),
    /// The connection is lost, the COMMIT carried out, and the writer's row deleted.
    LostWithoutTrace,
    /// The server answers COMMIT with an error that leaves it open, and carries it out.
    UnclearAnswer,
    Deadlock,
    /// A bug ends the attempt after it was committed. Only in a test of its own: it would end the
    /// model's caller, too.
    Panic,
    /// Nobody answers for so many attempts.
    Unreachable(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::LostBefore),
        Just(Fault::LostAtCommit),
        Just(Fault::LostAfterCommit),
        Just(Fault::LostAtCommit),
        (1..4_u8).prop_map(Fault::LostAndCommittedLater),
        (1..4_u8).prop_map(Fault::LostAndCommittedLater),
        Just(Fault::UnclearAnswer),
        Just(Fault::LostWithoutTrace),
        Just(Fault::Deadlock),
        (1..6_u8).prop_map(Fault::Unreachable),
    ]
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Tables {
    trades: BTreeMap<i64, u32>,
    balances: BTreeMap<i64, i64>,
    ledger: Option<u64>,
}

#[derive(Debug, Default)]
struct Server {
    tables: Tables,
    faults: Vec<Fault>,
    unreachable: u8,
    /// A transaction whose COMMIT is under way on another node.
    late: Vec<Late>,
    is_traceless: bool,
    /// A trade with this number is refused.
    refuses: Option<i64>,
}

#[derive(Debug)]
struct Late {
    questions: u8,
    entry: LedgerEntry,
    changes: Tables,
}

impl Server {
    fn connect(&mut self) -> Result<()> {
        if self.unreachable > 0 {
            self.unreachable -= 1;
            return Err(Error::connection(2003, "nobody answers"));
        }
        Ok(())
    }

    /// Carries out late COMMITs when their time has come, unless somebody else wrote the ledger's
    /// row meanwhile.
    fn let_late_commit(&mut self) {
        for mut late in std::mem::take(&mut self.late) {
            late.questions -= 1;
            if late.questions > 0 {
                self.late.push(late);
            } else if self.tables.ledger == Some(late.entry.after) {
                self.apply(Some(late.entry), &late.changes);
            }
        }
    }

    /// A COMMIT under way holds the row, or conflicts with its deletion.
    fn delete_ledger_row(&mut self) {
        self.late.clear();
        self.tables.ledger = None;
        self.is_traceless = true;
    }

    fn apply(&mut self, entry: Option<LedgerEntry>, changes: &Tables) {
        for (trade, times) in &changes.trades {
            *self.tables.trades.entry(*trade).or_default() += times;
        }
        for (account, amount) in &changes.balances {
            *self.tables.balances.entry(*account).or_default() += amount;
        }
        if let Some(entry) = entry {
            self.tables.ledger = Some(entry.number);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct FakeSink {
    server: Arc<Mutex<Server>>,
    is_registered: bool,
}

impl FakeSink {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn int(value: Option<&Value<'_>>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        other => panic!("{other:?} is no number"),
    }
}

fn changes(plan: &Plan<'_>) -> Tables {
    let mut changes = Tables::default();
    for statement in &plan.statements {
        for row in &statement.rows {
            if statement.bound.model.name.table() == "trades" {
                *changes.trades.entry(int(row.first())).or_default() += 1;
            } else {
                *changes.balances.entry(int(row.first())).or_default() += int(row.get(1));
            }
        }
    }
    changes
}

impl Sink for FakeSink {
    fn limits(&mut self, _deadline: Option<Instant>) -> Result<Limits> {
        self.server().connect()?;
        Ok(Limits {
            max_packet_bytes: 1 << 20,
        })
    }

    fn model(&mut self, table: &TableEntry, _deadline: Option<Instant>) -> Result<TableModel> {
        TableModel::without_schema(&table.name, &table.rules, table.default_mode)
    }

    fn commit(&mut self, plan: &Plan<'_>, entry: Option<LedgerEntry>, _deadline: Option<Instant>) -> Result<()> {
        let mut server = self.server();
        server.connect()?;
        if let Some(entry) = entry
            && server.tables.ledger != Some(entry.after)
        {
            return Err(Error::ledger_moved());
        }
        let changes = changes(plan);
        if let Some(refused) = server.refuses
            && changes.trades.contains_key(&refused)
        {
            return Err(Error::server(1264, "out of range"));
        }
        let lost = || Error::connection(2013, "lost");
        let unknown = |code| Error::commit_unknown(code, "lost while COMMIT was under way");
        match server.faults.pop() {
            Some(Fault::LostBefore) => return Err(lost()),
            Some(Fault::LostAtCommit) => return Err(unknown(2013)),
            Some(Fault::LostAndCommittedLater(questions)) if entry.is_some() => {
                server.late.extend(entry.map(|entry| Late {
                    questions,
                    entry,
                    changes,
                }));
                return Err(unknown(2013));
            }
            Some(Fault::Panic) => {
                server.apply(entry, &changes);
                drop(server);
                panic!("a bug, asked for by a test");
            }
            Some(Fault::Deadlock) => return Err(Error::server(1213, "deadlock")),
            Some(Fault::Unreachable(times)) => {
                server.unreachable = times;
                return Err(lost());
            }
            Some(
                fault @ (Fault::LostAfterCommit
                | Fault::UnclearAnswer
                | Fault::LostAndCommittedLater(_)
                | Fault::LostWithoutTrace),
            ) => {
                server.apply(entry, &changes);
                if fault == Fault::LostWithoutTrace {
                    server.delete_ledger_row();
                }
                return Err(unknown(if fault == Fault::UnclearAnswer { 1180 } else { 2013 }));
            }
            None => {}
        }
        server.apply(entry, &changes);
        Ok(())
    }

    fn register(&mut self, after: u64, _deadline: Option<Instant>) -> Result<()> {
        if !self.is_registered {
            let mut server = self.server();
            server.connect()?;
            server.tables.ledger.get_or_insert(after);
            drop(server);
            self.is_registered = true;
        }
        Ok(())
    }

    fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    fn last_entry(&mut self, _deadline: Option<Instant>) -> Result<Option<u64>> {
        let mut server = self.server();
        server.connect()?;
        let found = server.tables.ledger;
        server.let_late_commit();
        Ok(found)
    }

    fn retire(&mut self, _deadline: Instant) {
        self.server().tables.ledger = None;
    }

    fn connects(&self) -> u64 {
        1
    }
}

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
    Flush,
    Faults(Vec<Fault>),
    /// The next trade that is added is one that the server refuses.
    RefuseNext,
    /// Somebody deletes the writer's row.
    DeleteLedgerRow,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..3_i64, 1..9_i64).prop_map(|(account, amount)| Step::Add { account, amount }),
        3 => Just(Step::Flush),
        4 => prop::collection::vec(fault(), 1..5).prop_map(Step::Faults),
        1 => Just(Step::RefuseNext),
        1 => Just(Step::DeleteLedgerRow),
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
    let mut group = Group::default();
    for (table, columns, values) in [
        ("trades", ["n", "account"], [trade, account]),
        ("balances", ["id", "amount"], [account, amount]),
    ] {
        let table = buffer.catalog().table(table).expect("a table");
        let names = columns.iter().map(|name| name.as_bytes());
        let shape = buffer.catalog().shape(table, names).expect("a shape");
        group.push_row(&shape, &values.map(Value::Int)).expect("short");
    }
    if let Err(failed) = buffer.add(&group) {
        assert!(!matches!(failed.error.kind(), Kind::Config | Kind::Full), "{failed:?}");
    }
}

fn flush_to_the_end(buffer: &mut ForegroundBuffer) {
    for _ in 0..1_000 {
        if buffer.pending().rows == 0 {
            return;
        }
        // The faults run out. What they threw on the way does not matter here.
        drop(buffer.flush(None));
    }
    panic!("it never comes to an end: {:?}", buffer.metrics());
}

/// What the tables hold of the trades added, and the numbers that are lost or doubled.
fn compare(server: &FakeSink, added: &[(i64, i64, i64)], given_up: &[i64]) -> Result<(), String> {
    let mut expected = Tables::default();
    for (trade, account, amount) in added.iter().filter(|(trade, ..)| !given_up.contains(trade)) {
        expected.trades.insert(*trade, 1);
        *expected.balances.entry(*account).or_default() += amount;
    }
    let mut found = server.server().tables.clone();
    found.ledger = None;
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
        .map(|letter| (int(letter.rows[0].1.first().map(|(_, value)| value)), letter.code))
        .collect()
}

fn run(steps: Vec<Step>, batch_size: usize, ledger: LedgerUse) -> Result<(), String> {
    let sink = FakeSink::default();
    let mut buffer = ForegroundBuffer::new(settings(batch_size, ledger), Box::new(sink.clone()), Arc::new(NoWait))
        .expect("a buffer");
    let mut added = Vec::new();
    for step in steps {
        match step {
            Step::Add { account, amount } => {
                let trade = i64::try_from(added.len()).expect("few");
                added.push((trade, account, amount));
                add(&mut buffer, trade, account, amount);
            }
            Step::Flush => drop(buffer.flush(None)),
            Step::Faults(faults) => sink.server().faults.extend(faults),
            Step::RefuseNext => sink.server().refuses = i64::try_from(added.len()).ok(),
            Step::DeleteLedgerRow => {
                let mut server = sink.server();
                server.delete_ledger_row();
            }
        }
        let (metrics, pending) = (buffer.metrics(), buffer.pending().rows as u64);
        if metrics.added_rows != metrics.total_flushed + pending + metrics.failed_rows {
            return Err(format!("the counters do not balance: {metrics:?}, {pending} pending"));
        }
    }
    sink.server().refuses = None;
    flush_to_the_end(&mut buffer);
    let failures = given_up(&mut buffer);
    if !sink.server().is_traceless && failures.iter().any(|(_, code)| *code == 0) {
        return Err(format!("given up without a reason: {failures:?}"));
    }
    // If the ledger cannot say what became of a row, a person has to look. The row is among the
    // failures, whether or not it is in the tables.
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
    compare(&sink, &added, &refused)
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
    assert_eq!(buffer.flush(None, &never).expect("the ledger has it"), 1);
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
