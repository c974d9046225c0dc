//! A process that lives for long looks for what others leave.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;

use super::{House, LONG, TABLE, add, add_to};

/// A folder with one group for each number, of a process that is dead.
fn dead(house: &House, table: &str, numbers: Range<i64>) -> House {
    let mut other = House::new();
    other.store = house.store.clone();
    let buffer = other.buffer();
    let hold = buffer.hold();
    for number in numbers {
        add_to(&buffer, table, number);
    }
    other.kill(buffer);
    std::mem::forget(hold);
    other
}

/// It is there at once, as if its owner had died right now.
fn put(from: &House, to: &Path) {
    for name in from.folders() {
        fs::rename(from.directory().join(&name), to.join(&name)).expect("renamed");
    }
}

fn await_that(what: &str, happens: impl Fn() -> bool) {
    let limit = Instant::now() + LONG;
    while !happens() {
        assert!(Instant::now() < limit, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process that has written a row, and looks.
fn living(house: &House) -> BackgroundBuffer {
    let buffer = house.buffer();
    house.recovery().watch(&buffer);
    add(&buffer, 0);
    buffer.flush(Some(LONG), &|| false).expect("written");
    buffer
}

/// The rows of all tables.
fn all_rows(house: &House) -> usize {
    house.store.tables().iter().map(|(_, rows)| rows.len()).sum()
}

/// Whoever starts in the dead one's place comes first: it has the time between two looks.
#[test]
fn what_is_seen_for_the_first_time_is_left_alone() {
    let house = House::new();
    let recovery = house.recovery();
    let from = dead(&house, TABLE, 1..2);
    put(&from, house.directory());
    assert!(recovery.is_needed());
    assert_eq!(recovery.long_dead(), [""; 0]);
    // Somebody starts, and dies as well.
    house.recover();
    let other = dead(&house, TABLE, 2..3);
    put(&other, house.directory());
    assert_eq!(recovery.long_dead(), [""; 0], "it is another one");
    assert_eq!(recovery.long_dead(), house.folders());
    house.recover();
    assert_eq!(recovery.long_dead(), [""; 0]);
    assert_eq!(house.rows(), [1, 2]);
}

#[test]
fn an_idle_process_writes_what_others_leave_later() {
    let house = House::new();
    let buffer = living(&house);
    for number in 1..=3 {
        put(&dead(&house, TABLE, number..number + 1), house.directory());
        await_that("the dead one's row", || house.rows().last() == Some(&number));
        await_that("no folder but its own", || house.folders().len() == 1);
    }
    buffer.stop();
    assert_eq!(house.rows(), [0, 1, 2, 3]);
    assert_eq!(house.folders(), [""; 0]);
}

/// While one waits for a table, others come and go; and it is written once the table is there.
#[test]
fn one_that_waits_for_a_table_holds_up_nobody() {
    let house = House::new();
    let buffer = living(&house);
    house.store.block_table("blocked", Some(1146));
    put(&dead(&house, "blocked", 1..2), house.directory());
    for number in 1..=3 {
        put(&dead(&house, TABLE, number..number + 1), house.directory());
        await_that("the other one's row", || house.rows().last() == Some(&number));
    }
    add(&buffer, 4);
    buffer.flush(Some(LONG), &|| false).expect("its own rows do not wait");
    house.store.block_table("blocked", None);
    await_that("all of it", || house.folders().len() == 1);
    buffer.stop();
    assert_eq!(house.rows(), [0, 1, 2, 3, 4]);
    assert_eq!(all_rows(&house), 6);
}

/// What is under way when the process ends is left to whoever comes next.
#[test]
fn an_end_waits_for_no_table() {
    let house = House::new();
    let buffer = living(&house);
    house.store.block_table("blocked", Some(1146));
    put(&dead(&house, "blocked", 1..2), house.directory());
    await_that("it is taken over", || {
        let ledger = house.store.ledger();
        ledger.values().any(|row| row.number >= 1 << 40)
    });
    buffer.stop();
    await_that("its own folder goes", || house.folders().len() == 1);
    house.store.block_table("blocked", None);
    await_that("somebody else writes it", || {
        house.recover();
        house.folders().is_empty()
    });
    assert_eq!(all_rows(&house), 2);
}
