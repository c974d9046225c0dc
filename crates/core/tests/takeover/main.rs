//! Successors, zombies and positions on a real server. The judge is another client.
//!
//! These tests need a server: `make test-core` and `make test-mysql` run them.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

mod world;

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use mysql::prelude::Queryable;
use write_buffer_core::error::{Kind, Result};
use write_buffer_core::ledger::{LedgerRow, Position};
use write_buffer_core::sink::Sink;

use crate::world::{At, PATIENCE, Process, Tables, all, at, await_statement, parsed, root, variable};

/// A process that has written 1 to 3, and is stopped before COMMIT.
struct Stopped {
    thread: JoinHandle<(Process, Result<()>)>,
    go_on: Sender<()>,
}

impl Stopped {
    fn new(tables: &Tables) -> Self {
        let (stopped, is_stopped) = channel();
        let (go_on, goes_on) = channel();
        let mut process = tables.process(tables.sink(0));
        let mut observer = At {
            stop: Some((stopped, goes_on)),
            ..at(all(3))
        };
        let thread = std::thread::spawn(move || {
            let written = process.write(1..4, &mut observer);
            (process, written)
        });
        is_stopped.recv_timeout(PATIENCE).expect("it comes to its COMMIT");
        Self { thread, go_on }
    }

    fn go_on(self) -> (Process, Result<()>) {
        self.go_on.send(()).expect("it waits");
        self.thread.join().expect("no panic")
    }
}

fn refuses(written: Result<()>) {
    let error = written.expect_err("its place is taken");
    assert_eq!(error.kind(), Kind::TakenOver, "{error}");
}

const EPOCH: u64 = 1 << 40;

#[test]
#[ignore = "needs a server"]
fn a_successor_waits_for_a_transaction_that_is_committed_after_all() {
    let mut tables = Tables::new("waits");
    let stopped = Stopped::new(&tables);
    let mut sink = tables.sink(0);
    let successor = std::thread::spawn(move || sink.take_over(None));
    await_statement("%wb_waits_ledger% FOR UPDATE");
    let (mut zombie, written) = stopped.go_on();
    written.expect("it was first");
    let row = successor.join().expect("no panic").expect("taken over");
    let expected = LedgerRow {
        // The epoch, and one transaction.
        number: EPOCH + 1,
        position: Some(all(3).to_string()),
    };
    assert_eq!(row, Some(expected), "the position is exactly as committed as the rows");
    for _ in 0..2 {
        refuses(zombie.write(4..5, &mut at(all(4))));
    }
    assert_eq!(tables.trades(), [1, 2, 3]);
    assert_eq!(tables.ledger(), [(0, EPOCH + 1, Some(all(3).to_string()))]);
}

#[test]
#[ignore = "needs a server"]
fn a_zombie_amid_its_transaction_finds_its_place_taken() {
    let mut tables = Tables::new("zombie");
    let stopped = Stopped::new(&tables);
    let mut successor = tables.process(tables.sink(0));
    let error = successor.writer.take_over(None).expect_err("the row is held");
    assert_eq!(error.code(), 1205, "nobody else's session is killed: {error}");
    tables.end_session_in_row();
    let row = successor.writer.take_over(None).expect("taken over");
    let expected = LedgerRow {
        number: EPOCH,
        position: None,
    };
    assert_eq!(row, Some(expected));
    successor.write(1..4, &mut at(all(3))).expect("written");
    let (mut zombie, written) = stopped.go_on();
    refuses(written);
    refuses(zombie.write(1..4, &mut at(all(3))));
    assert_eq!(tables.trades(), [1, 2, 3]);
    // It ends its row, and the zombie never comes back.
    successor.writer.retire_all(Instant::now() + PATIENCE);
    refuses(zombie.write(4..5, &mut at(all(4))));
    zombie.writer.retire(Instant::now() + PATIENCE);
    refuses(zombie.write(4..5, &mut at(all(4))));
    assert_eq!(tables.ledger(), [(0, EPOCH + 1, Some(Position::END.to_string()))]);
    assert_eq!(tables.trades(), [1, 2, 3]);
}

#[test]
#[ignore = "needs a server"]
fn a_successor_of_a_successor_and_lanes_that_never_wrote() {
    let mut tables = Tables::new("lanes");
    let mut sink = tables.sink(0);
    assert_eq!(sink.take_over(None), Ok(None), "there is no table yet");
    let made = LedgerRow {
        number: EPOCH,
        position: None,
    };
    assert_eq!(sink.register_successor(None), Ok(Some(made.clone())));
    assert_eq!(tables.sink(0).register_successor(None), Ok(None), "it is there");
    // A lane that had not registered when it was taken for dead.
    refuses(tables.process(tables.sink(0)).write(1..2, &mut at(all(1))));
    sink.use_writer("a-writer", 1).expect("another row");
    assert_eq!(sink.register_successor(None), Ok(Some(made)));
    let mut zombie = tables.process(sink);
    // The answer to a take-over may be lost: once more is harmless.
    let mut second = tables.process(tables.sink(1));
    for epoch in 2..4 {
        let row = second.writer.take_over(None).expect("taken over").expect("a row");
        assert_eq!(row.number, epoch * EPOCH);
    }
    refuses(zombie.write(1..2, &mut at(all(1))));
    second.write(1..2, &mut at(all(1))).expect("written");
    second.write(2..3, &mut At::default()).expect("written");
    let end = Some(Position::END.to_string());
    let position = Some(all(1).to_string());
    assert_eq!(tables.ledger(), [(0, EPOCH, None), (1, 3 * EPOCH + 2, position)]);
    second.writer.retire_all(Instant::now() + PATIENCE);
    assert_eq!(tables.ledger(), [(0, EPOCH, end.clone()), (1, 3 * EPOCH + 2, end)]);
    assert_eq!(tables.trades(), [1, 2]);
}

#[test]
#[ignore = "needs a server"]
fn a_row_that_is_made_anew_has_the_last_position() {
    let mut tables = Tables::new("anew");
    let mut process = tables.process(tables.sink(3));
    process.write(1..2, &mut at(all(1))).expect("written");
    let ledger = tables.ledger.clone();
    for (sql, trade) in [
        (format!("DELETE FROM {ledger}"), 2),
        (format!("DROP TABLE {ledger}"), 3),
    ] {
        tables.run(&sql);
        while process.write(trade..trade + 1, &mut At::default()).is_err() {
            assert!(tables.trades().len() < 3, "{sql}: it goes on in time");
        }
        let rows = tables.ledger();
        assert_eq!((rows[0].0, rows[0].2.clone()), (3, Some(all(1).to_string())), "{sql}");
    }
    process.writer.retire(Instant::now() + PATIENCE);
    assert!(tables.ledger().is_empty(), "its own row is deleted");
    assert_eq!(tables.trades(), [1, 2, 3]);
}

#[test]
#[ignore = "needs a server"]
fn a_writer_without_positions_goes_on_with_a_table_of_an_earlier_version() {
    let mut tables = Tables::with_old_ledger("plain");
    let old = tables.columns();
    let ledger = tables.ledger.clone();
    tables.run(&format!(
        "INSERT INTO {ledger} VALUES ('old', 0, 1, 1, NOW() - INTERVAL 8 DAY)"
    ));
    let mut process = tables.process(tables.plain_sink());
    process.write(1..3, &mut At::default()).expect("written");
    // It asks: the row is not what it left.
    tables.run(&format!("UPDATE {ledger} SET last_transaction = last_transaction + 5"));
    process.write(3..4, &mut At::default()).expect("written");
    tables.run(&format!("DELETE FROM {ledger}"));
    process.write(4..5, &mut At::default()).expect("written");
    assert_eq!(tables.columns(), old);
    let count: Option<u64> = tables
        .judge
        .query_first(format!("SELECT COUNT(*) FROM {ledger}"))
        .expect("an answer");
    assert_eq!(count, Some(1));
    process.writer.retire(Instant::now() + PATIENCE);
    let left: Vec<String> = tables
        .judge
        .query(format!("SELECT writer FROM {ledger}"))
        .expect("an answer");
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(tables.trades(), [1, 2, 3, 4]);
}

#[test]
#[ignore = "needs a server"]
fn a_writer_with_positions_adds_the_column_to_a_table_of_an_earlier_version() {
    let expected = [
        "writer",
        "lane",
        "last_transaction",
        "position",
        "connection",
        "updated_at",
    ];
    for (test, is_named) in [("added", true), ("unnamed", false)] {
        let mut tables = Tables::with_old_ledger(test);
        let sink = if is_named { tables.sink(0) } else { tables.plain_sink() };
        let mut process = tables.process(sink);
        // Another writer is amid its work: nothing of it is disturbed.
        let mut other = tables.process(tables.plain_sink());
        other.write(1..2, &mut At::default()).expect("written");
        process.write(2..3, &mut at(all(2))).expect("written");
        other.write(3..4, &mut At::default()).expect("written");
        assert_eq!(tables.columns(), expected);
        let mut positions: Vec<_> = tables.ledger().into_iter().map(|row| row.2).collect();
        positions.sort();
        assert_eq!(positions, [None, Some(all(2).to_string())]);
        assert_eq!(tables.trades(), [1, 2, 3]);
    }
    // A successor, too.
    let tables = Tables::with_old_ledger("successor");
    assert_eq!(tables.sink(0).take_over(None), Ok(None));
}

#[test]
#[ignore = "needs a server"]
fn an_account_that_may_not_add_the_column_is_told_the_statement() {
    let mut tables = Tables::with_old_ledger("told");
    let mut root = root();
    let account = "'wb_told'@'127.0.0.1'";
    let database = variable("DB_DATABASE");
    for sql in [
        format!("DROP USER IF EXISTS {account}"),
        format!("CREATE USER {account} IDENTIFIED BY 'pw-of-wb-told'"),
        format!("GRANT INSERT ON {database}.{} TO {account}", tables.trades),
        format!(
            "GRANT SELECT, INSERT, UPDATE ON {database}.{} TO {account}",
            tables.ledger
        ),
    ] {
        root.query_drop(&sql).expect(&sql);
    }
    let port = variable("DB_PORT");
    let mut sink = tables.sink_at(parsed(&format!(
        "mysql://wb_told:pw-of-wb-told@127.0.0.1:{port}/{database}"
    )));
    sink.use_writer("a-writer", 0).expect("a name");
    let error = sink.take_over(None).expect_err("no such column");
    assert_eq!(error.kind(), Kind::Config);
    let mut process = tables.process(sink);
    let error = process.write(1..2, &mut at(all(1))).expect_err("no such column");
    assert_eq!(error.kind(), Kind::Blocked);
    let said = error.message().to_owned();
    assert!(said.contains("\"wb_told\" needs ALTER"), "{said}");
    assert!(!said.contains("pw-of"), "{said}");
    assert!(tables.trades().is_empty(), "nothing is written without its position");
    let (_, statement) = said.split_once("adds it: ").expect("the statement");
    root.query_drop(statement).expect("it is whole");
    process.write(1..2, &mut at(all(1))).expect("written");
    assert_eq!(tables.trades(), [1]);
    // The first attempt has used 1.
    assert_eq!(tables.ledger(), [(0, 2, Some(all(1).to_string()))]);
    root.query_drop(format!("DROP USER {account}")).expect("dropped");
}

#[test]
#[ignore = "needs a server"]
fn rows_with_a_position_are_kept_for_ninety_days() {
    let mut tables = Tables::new("pruned");
    let ledger = tables.ledger.clone();
    // Makes the table.
    tables
        .process(tables.sink(9))
        .write(1..2, &mut at(all(1)))
        .expect("written");
    let end = Position::END.to_string();
    for (writer, position, days) in [
        ("plain-young", None, 6),
        ("plain-old", None, 8),
        ("kept", Some("17/12"), 89),
        ("kept-text", Some("1526919030474-55"), 89),
        ("too-old", Some("17/12"), 91),
        ("ended-young", Some(end.as_str()), 6),
        ("ended-old", Some(end.as_str()), 8),
    ] {
        let position = position.map_or("NULL".to_owned(), |position| format!("'{position}'"));
        tables.run(&format!(
            "INSERT INTO {ledger} (writer, lane, last_transaction, position, connection, updated_at) \
             VALUES ('{writer}', 0, 1, {position}, 1, NOW() - INTERVAL {days} DAY)"
        ));
    }
    // More of those that are kept than are looked at in one go.
    let many: Vec<String> = (0..1_200)
        .map(|lane| format!("('a-crowd', {lane}, 1, '1/1', 1, NOW() - INTERVAL 30 DAY)"))
        .collect();
    tables.run(&format!(
        "INSERT INTO {ledger} (writer, lane, last_transaction, position, connection, updated_at) VALUES {}",
        many.join(", ")
    ));
    let mut plain = tables.process(tables.plain_sink());
    plain.write(2..3, &mut At::default()).expect("written");
    plain.writer.retire(Instant::now() + PATIENCE);
    let left: Vec<String> = tables
        .judge
        .query(format!("SELECT DISTINCT writer FROM {ledger} ORDER BY writer"))
        .expect("an answer");
    assert_eq!(
        left,
        ["a-crowd", "a-writer", "ended-young", "kept", "kept-text", "plain-young"]
    );
}
