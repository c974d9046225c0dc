//! The foreground buffer against a plain model: random calls, and a sink that fails or refuses on
//! demand. Whatever happens, each row that was taken is in exactly one place. The tables hold what
//! the groups that were not given up say, in their order.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::clock::Clock;
use write_buffer_core::dead_letter::LetterRow;
use write_buffer_core::error::codes;
use write_buffer_core::error::{Error, Kind};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, Position};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::value::Value;

/// A clock that stands still until somebody waits.
#[derive(Debug, Clone)]
struct ManualClock {
    start: Instant,
    passed_ms: Arc<AtomicU64>,
}

impl ManualClock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            passed_ms: Arc::default(),
        }
    }

    fn pass(&self, milliseconds: u64) {
        self.passed_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.passed_ms.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) {
        self.pass(u64::try_from(duration.as_millis()).expect("short"));
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// An order with a number of trades.
    Add {
        order: i64,
        trades: usize,
    },
    /// An order without its key: refused.
    AddWrong,
    /// A balance's increment.
    Put {
        account: i64,
        amount: i64,
    },
    Flush,
    Pass {
        milliseconds: u64,
    },
    FailNext {
        code: u16,
        times: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_i64, 0..4_usize).prop_map(|(order, trades)| Step::Add { order, trades }),
        1 => Just(Step::AddWrong),
        4 => (0..3_i64, -9..9_i64).prop_map(|(account, amount)| Step::Put { account, amount }),
        2 => Just(Step::Flush),
        1 => (1..400_u64).prop_map(|milliseconds| Step::Pass { milliseconds }),
        2 => (prop_oneof![Just(1213_u16), Just(1205), Just(2006), Just(1264)], 1..6_usize)
            .prop_map(|(code, times)| Step::FailNext { code, times }),
    ]
}

/// A group that was taken, with a number of its own.
#[derive(Debug, Clone)]
enum Taken {
    Order { id: i64, number: i64, trades: Vec<i64> },
    Balance { account: i64, number: i64, amount: i64 },
}

impl Taken {
    fn number(&self) -> i64 {
        match self {
            Self::Order { number, .. } | Self::Balance { number, .. } => *number,
        }
    }
}

/// What the tables hold.
#[derive(Debug, Default, PartialEq, Clone)]
struct Expected {
    orders: std::collections::BTreeMap<i64, i64>,
    trades: Vec<i64>,
    balances: std::collections::BTreeMap<i64, i64>,
}

impl Expected {
    fn after<'t>(groups: impl Iterator<Item = &'t Taken>) -> Self {
        let mut tables = Self::default();
        for group in groups {
            match group {
                Taken::Order { id, number, trades } => {
                    tables.orders.insert(*id, *number);
                    tables.trades.extend(trades);
                }
                Taken::Balance { account, amount, .. } => *tables.balances.entry(*account).or_default() += amount,
            }
        }
        tables
    }
}

fn actual(store: &MemoryStore) -> Expected {
    let mut found = Expected::default();
    let number = |value: &Value<'_>| match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} is no number"),
    };
    for (table, rows) in store.tables() {
        for row in rows {
            let (first, second) = (number(&row[0].1), row.get(1).map(|(_, value)| number(value)));
            match table.as_str() {
                "orders" => drop(found.orders.insert(first, second.expect("a version"))),
                "trades" => found.trades.push(first),
                _ => drop(found.balances.insert(first, second.expect("an amount"))),
            }
        }
    }
    found.trades.sort_unstable();
    found
}

/// The numbers of the groups that were given up: the last column of each of their rows.
fn given_up(buffer: &mut ForegroundBuffer) -> Vec<i64> {
    let letters = buffer.take_failures();
    let number = |row: &LetterRow| match row.columns.last() {
        Some((_, Value::Int(number))) => *number,
        other => panic!("{other:?} is no number"),
    };
    letters.iter().map(|letter| number(&letter.rows[0])).collect()
}

fn add_row(buffer: &mut ForegroundBuffer, group: &mut Group, table: &str, columns: [&str; 3], values: [i64; 3]) {
    let table = buffer.catalog().table(table).expect("a table");
    let names = columns.iter().map(|name| name.as_bytes());
    let shape = buffer.catalog().shape(table, names).expect("a shape");
    group.push_row(&shape, &values.map(Value::Int)).expect("short values");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_row_is_in_exactly_one_place(
        steps in prop::collection::vec(step(), 1..60),
        batch_size in 1..8_usize,
        max_retries in 0..3_u32,
    ) {
        let store = MemoryStore::default();
        let clock = ManualClock::new();
        let settings = Settings {
            batch_size,
            max_retries,
            flush_interval: Duration::from_millis(300),
            max_pending_rows: 40,
            tables: vec![(
                "balances".to_owned(),
                write_buffer_core::table::rules::TableRules {
                    merge: vec![("amount".to_owned(), write_buffer_core::table::rules::MergeRule::Sum)],
                    ..Default::default()
                },
            )],
            ..Settings::default()
        };
        let sink = Box::new(MemorySink::new(store.clone()));
        let mut buffer = ForegroundBuffer::new(settings, sink, Arc::new(clock.clone())).expect("a buffer");
        let mut taken: Vec<Taken> = Vec::new();
        let (mut next, mut next_trade, mut rows) = (0, 0, 0_u64);

        for step in steps {
            let mut group = Group::default();
            next += 1;
            let mut adds = None;
            match step {
                Step::Add { order, trades } => {
                    add_row(&mut buffer, &mut group, "orders", ["id", "version", "number"], [order, next, next]);
                    let trades: Vec<i64> = (next_trade..).take(trades).collect();
                    next_trade += i64::try_from(trades.len()).expect("few");
                    for trade in &trades {
                        add_row(&mut buffer, &mut group, "trades", ["id", "order", "number"], [*trade, order, next]);
                    }
                    adds = Some(Taken::Order { id: order, number: next, trades });
                }
                Step::AddWrong => {
                    add_row(&mut buffer, &mut group, "orders", ["price", "version", "number"], [1, 2, next]);
                }
                Step::Put { account, amount } => {
                    add_row(&mut buffer, &mut group, "balances", ["id", "amount", "number"], [account, amount, next]);
                    adds = Some(Taken::Balance { account, number: next, amount });
                }
                Step::Flush => drop(buffer.flush(None)),
                Step::Pass { milliseconds } => clock.pass(milliseconds),
                Step::FailNext { code, times } => store.fail_next(code, times),
            }
            if !group.is_empty() {
                let pending = buffer.pending().rows;
                let is_refusal = |error: &Error| matches!(error.kind(), Kind::Config | Kind::Full | Kind::TooLarge);
                let was_taken = !buffer.add(&group).is_err_and(|failed| is_refusal(&failed.error));
                if was_taken {
                    rows += u64::try_from(group.len()).expect("few");
                    taken.push(adds.expect("a wrong row is not taken"));
                } else {
                    // Nothing changed but what a flush to make room may have written.
                    prop_assert!(buffer.pending().rows <= pending);
                }
            }
            let metrics = buffer.metrics();
            let pending = u64::try_from(buffer.pending().rows).expect("few");
            prop_assert_eq!(metrics.rows_added, rows);
            prop_assert_eq!(metrics.rows_added, metrics.rows_committed + pending + metrics.rows_refused);
            prop_assert!(buffer.pending().rows <= 40);
            prop_assert_eq!(buffer.pending().rows == 0, buffer.pending().bytes == 0);
        }

        // The failures asked for run out, and then everything arrives.
        while buffer.flush(None).is_err() {}
        prop_assert_eq!(buffer.pending().rows, 0);
        let lost = given_up(&mut buffer);
        let kept = taken.iter().filter(|group| !lost.contains(&group.number()));
        prop_assert_eq!(actual(&store), Expected::after(kept));
    }
}

/// A server that cannot be reached for a while, and how often that was tried.
#[derive(Clone)]
struct Unreachable {
    store: MemoryStore,
    is_up: Arc<AtomicBool>,
    connects: Arc<AtomicU64>,
}

impl Unreachable {
    fn reach(&self) -> Result<MemorySink, Error> {
        if self.is_up.load(Ordering::Relaxed) {
            return Ok(MemorySink::new(self.store.clone()));
        }
        self.connects.fetch_add(1, Ordering::Relaxed);
        Err(Error::connection(codes::CR_CONN_HOST_ERROR, "connection refused"))
    }
}

impl Sink for Unreachable {
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits, Error> {
        self.reach()?.limits(deadline)
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel, Error> {
        self.reach()?.model(table, deadline)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<(), Error> {
        self.reach()?.commit(plan, entry, deadline, may_commit)
    }

    fn register(&mut self, after: u64, position: Option<Position>, deadline: Option<Instant>) -> Result<(), Error> {
        self.reach()?.register(after, position, deadline)
    }

    fn forget_registration(&mut self) {}

    fn last_entry(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>, Error> {
        self.reach()?.last_entry(deadline)
    }

    fn retire(&mut self, _deadline: Instant) {}

    fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }
}

/// Each `add()` is overdue. They do not all try to connect; the time between two tries grows to two
/// seconds.
#[test]
fn a_server_that_cannot_be_reached_is_left_alone() {
    let sink = Unreachable {
        store: MemoryStore::default(),
        is_up: Arc::default(),
        connects: Arc::default(),
    };
    let clock = ManualClock::new();
    let settings = Settings {
        flush_interval: Duration::from_millis(1),
        max_pending_rows: 100_000,
        ..Settings::default()
    };
    let mut buffer =
        ForegroundBuffer::new(settings, Box::new(sink.clone()), Arc::new(clock.clone())).expect("a buffer");
    let add = |buffer: &mut ForegroundBuffer, id: i64| {
        clock.pass(10);
        let mut group = Group::default();
        add_row(buffer, &mut group, "orders", ["id", "price", "number"], [id, 0, id]);
        buffer.add(&group).is_ok()
    };
    // A minute.
    let told = (0..6_000).filter(|id| !add(&mut buffer, *id)).count();
    let connects = sink.connects();
    assert!((20..=200).contains(&connects), "{connects} connects");
    assert!(told < 200, "{told} calls failed");
    assert_eq!(buffer.pending().rows, 6_000, "all are taken");
    // Who asks for it is not left alone.
    for round in 1..=3 {
        assert!(buffer.flush(None).is_err());
        assert!(sink.connects() >= connects + round, "a flush tries at once");
    }
    sink.is_up.store(true, Ordering::Relaxed);
    // Within four seconds, by what was waited.
    let written = (6_000..6_400).find(|id| add(&mut buffer, *id) && buffer.pending().rows < 6_000);
    assert!(written.is_some(), "it is found again by itself");
    assert!(buffer.flush(None).is_ok());
    assert_eq!(
        actual(&sink.store).orders.len(),
        usize::try_from(written.expect("some") + 1).expect("few")
    );
}

/// A server that takes its time to say what a table is.
struct Slow {
    clock: ManualClock,
    asked: Arc<AtomicU64>,
}

impl Sink for Slow {
    fn look_up_time(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn limits(&mut self, _deadline: Option<Instant>) -> Result<Limits, Error> {
        panic!("nothing is written")
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let deadline = deadline.expect("a look-up has a time");
        self.clock.pass(600);
        if self.clock.now() >= deadline {
            return Err(Error::timeout("the server did not answer in time"));
        }
        MemorySink::new(MemoryStore::default()).model(table, Some(deadline))
    }

    fn commit(
        &mut self,
        _plan: &Plan<'_>,
        _entry: Option<LedgerEntry>,
        _deadline: Option<Instant>,
        _may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<(), Error> {
        panic!("nothing is written")
    }

    fn register(&mut self, _after: u64, _position: Option<Position>, deadline: Option<Instant>) -> Result<(), Error> {
        assert!(deadline.is_some(), "it belongs to the look-up");
        Ok(())
    }

    fn forget_registration(&mut self) {}

    fn last_entry(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>, Error> {
        panic!("nothing is written")
    }

    fn retire(&mut self, _deadline: Instant) {}

    fn connects(&self) -> u64 {
        1
    }
}

/// All tables of one call share it. A buffer that keeps nothing says so; another one takes them.
#[test]
fn a_look_at_many_tables_has_one_time() {
    for keeps_rows in [false, true] {
        let (clock, asked) = (ManualClock::new(), Arc::new(AtomicU64::new(0)));
        let sink = Slow {
            clock: clock.clone(),
            asked: Arc::clone(&asked),
        };
        let settings = Settings {
            keeps_rows,
            flush_interval: Duration::from_hours(1),
            ..Settings::default()
        };
        let mut buffer = ForegroundBuffer::new(settings, Box::new(sink), Arc::new(clock.clone())).expect("a buffer");
        let mut group = Group::default();
        for table in ["a", "b", "c", "d", "e"] {
            add_row(&mut buffer, &mut group, table, ["id", "price", "number"], [1, 2, 3]);
        }
        let began = clock.now();
        let added = buffer.add(&group);
        assert_eq!(asked.load(Ordering::Relaxed), 2, "two take longer than there is time");
        assert_eq!(clock.now().duration_since(began).as_millis(), 1_200);
        if keeps_rows {
            assert!(added.is_ok());
            assert_eq!(buffer.pending().rows, 5);
        } else {
            assert_eq!(added.expect_err("no time").error.kind(), Kind::Timeout);
            assert_eq!(buffer.pending().rows, 0);
        }
    }
}
