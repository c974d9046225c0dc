//! The server, its judge, and the processes that write to it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder};
use write_buffer_core::clock::SystemClock;
use write_buffer_core::dead_letter::DeadLetter;
use write_buffer_core::dsn::{Dsn, ServerDsn};
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerUse, Position};
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::mysql::MySqlSink;
use write_buffer_core::table::name::TableName;
use write_buffer_core::table::rules::{Mode, TableRules};
use write_buffer_core::value::Value;
use write_buffer_core::writer::Writer;
use write_buffer_core::writer::observer::{Commit, Event, Observer};

/// The time in which anything happens that is waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);
const NEEDS_SERVER: &str = "run it by make test-core, or by scripts/with-mariadb cargo test -- --ignored";

/// The table that a version without positions made.
const OLD_LEDGER: &str = "(\
    `writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    `lane` SMALLINT UNSIGNED NOT NULL, \
    `last_transaction` BIGINT UNSIGNED NOT NULL, \
    `connection` BIGINT UNSIGNED NOT NULL, \
    `updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
    PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB";

pub fn variable(name: &str) -> String {
    std::env::var(name).expect(NEEDS_SERVER)
}

/// A test's own tables.
pub struct Tables {
    pub trades: String,
    pub ledger: String,
    pub judge: Conn,
}

impl Tables {
    pub fn new(test: &str) -> Self {
        let opts = Opts::from_url(&variable("WRITE_BUFFER_TEST_DSN")).expect("a DSN");
        let mut judge = Conn::new(opts).expect(NEEDS_SERVER);
        let (trades, ledger) = (format!("wb_{test}_trades"), format!("wb_{test}_ledger"));
        judge
            .query_drop(format!("DROP TABLE IF EXISTS {trades}, {ledger}"))
            .expect("dropped");
        judge
            .query_drop(format!("CREATE TABLE {trades} (n BIGINT NOT NULL) ENGINE = InnoDB"))
            .expect("made");
        Self { trades, ledger, judge }
    }

    pub fn with_old_ledger(test: &str) -> Self {
        let mut tables = Self::new(test);
        let sql = format!("CREATE TABLE {} {OLD_LEDGER}", tables.ledger);
        tables.judge.query_drop(sql).expect("made");
        tables
    }

    pub fn settings(&self) -> Settings {
        let rules = TableRules {
            mode: Some(Mode::Insert),
            ..TableRules::default()
        };
        Settings {
            ledger: LedgerUse::Always,
            tables: vec![(self.trades.clone(), rules)],
            keeps_rows: false,
            ..Settings::default()
        }
    }

    pub fn sink_at(&self, dsn: ServerDsn) -> MySqlSink {
        let ledger = TableName::parse(&self.ledger).expect("a name");
        MySqlSink::new(dsn, &self.settings(), ledger, 0)
    }

    /// A sink that nobody else knows by name.
    pub fn plain_sink(&self) -> MySqlSink {
        self.sink_at(dsn())
    }

    pub fn sink(&self, lane: u16) -> MySqlSink {
        let mut sink = self.plain_sink();
        sink.use_writer("a-writer", lane).expect("a name");
        sink
    }

    pub fn process(&self, sink: MySqlSink) -> Process {
        let settings = self.settings();
        Process {
            writer: Writer::new(Box::new(sink), Arc::new(SystemClock), &settings),
            trades: self.trades.clone(),
            settings,
        }
    }

    /// All trades, in order.
    pub fn trades(&mut self) -> Vec<i64> {
        let sql = format!("SELECT n FROM {} ORDER BY n", self.trades);
        self.judge.query(sql).expect("an answer")
    }

    /// The rows of the ledger: lane, number, position.
    pub fn ledger(&mut self) -> Vec<(u16, u64, Option<String>)> {
        let sql = format!(
            "SELECT lane, last_transaction, position FROM {} ORDER BY lane",
            self.ledger
        );
        self.judge.query(sql).expect("an answer")
    }

    pub fn columns(&mut self) -> Vec<String> {
        let rows: Vec<mysql::Row> = self
            .judge
            .query(format!("SHOW COLUMNS FROM {}", self.ledger))
            .expect("an answer");
        rows.into_iter().map(|row| row.get("Field").expect("a name")).collect()
    }

    pub fn run(&mut self, sql: &str) {
        self.judge.query_drop(sql).expect("an answer");
    }

    /// Ends the session that holds the row of lane 0, as the server's own time-outs do.
    pub fn end_session_in_row(&mut self) {
        let (ledger, mut root) = (self.ledger.clone(), root());
        root.query_drop("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
            .expect("set");
        let session: Option<u64> = root
            .query_first(format!("SELECT connection FROM {ledger} WHERE lane = 0"))
            .expect("an answer");
        let session = session.expect("a row");
        root.query_drop(format!("KILL CONNECTION {session}")).expect("killed");
        // Its locks go with it.
        let sql = format!("SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {session}");
        await_that("the session's end", || {
            let lives: Option<u8> = root.query_first(&sql).expect("an answer");
            lives.is_none().then_some(())
        });
    }
}

/// Waits until another session is at such a statement.
pub fn await_statement(like: &str) {
    let mut root = root();
    let sql =
        format!("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE '{like}'");
    await_that(like, || root.query_first::<u64, _>(&sql).expect("an answer"));
}

/// The administrator's connection.
pub fn root() -> Conn {
    let root = OptsBuilder::new()
        .socket(Some(variable("DB_SOCKET")))
        .user(Some("root"))
        .db_name(Some(variable("DB_DATABASE")));
    Conn::new(root).expect("root's connection")
}

pub fn dsn() -> ServerDsn {
    parsed(&variable("WRITE_BUFFER_TEST_DSN"))
}

pub fn parsed(dsn: &str) -> ServerDsn {
    match Dsn::parse(dsn) {
        Ok(Dsn::Server(server)) => *server,
        other => panic!("{other:?} is no server"),
    }
}

pub fn await_that<R>(what: &str, mut happens: impl FnMut() -> Option<R>) -> R {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(happened) = happens() {
            return happened;
        }
        assert!(Instant::now() < limit, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn all(through: u64) -> Position {
    Position { through, succession: 1 }
}

pub struct Process {
    pub writer: Writer,
    pub settings: Settings,
    pub trades: String,
}

impl Process {
    /// Writes a group for each number, as one transaction.
    pub fn write(&mut self, numbers: Range<i64>, observer: &mut At) -> Result<()> {
        let mut catalog = self.settings.catalog(Some(&dsn().database)).expect("a catalog");
        let table = catalog.table(&self.trades).expect("a table");
        let shape = catalog.shape(table, std::iter::once(b"n".as_slice())).expect("a shape");
        let mut batch = Batch::new(Instant::now());
        for number in numbers {
            let mut group = Group::default();
            group.push_row(&shape, &[Value::Int(number)]).expect("short");
            batch.append(&group, Instant::now());
        }
        let written = self.writer.write(&[&batch], 0, None, observer);
        written.map_err(|obstacle| obstacle.error().clone())
    }
}

/// Says the position, and may stop the process before COMMIT.
#[derive(Default)]
pub struct At {
    pub position: Option<Position>,
    pub stop: Option<(Sender<()>, Receiver<()>)>,
}

pub fn at(position: Position) -> At {
    At {
        position: Some(position),
        stop: None,
    }
}

impl Observer for At {
    fn position(&mut self, _groups: &Range<usize>, _transaction: u64) -> Result<Option<Position>> {
        Ok(self.position)
    }

    fn may_commit(&mut self, _groups: &Range<usize>) -> bool {
        if let Some((stopped, goes_on)) = self.stop.take() {
            stopped.send(()).expect("somebody waits");
            goes_on.recv_timeout(PATIENCE).expect("it goes on");
        }
        true
    }

    fn not_committed(&mut self) {}
    fn committed(&mut self, _: &Commit) {}
    fn given_up(&mut self, letter: DeadLetter) {
        panic!("nothing is given up: {}", letter.message);
    }
    fn may_lack_earlier_groups(&mut self, _: &Error) -> bool {
        false
    }
    fn has_room_for_failure(&self) -> bool {
        true
    }
    fn happened(&mut self, _: &Event<'_>) {}
}
