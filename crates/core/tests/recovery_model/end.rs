//! The end, while the server does its worst: what is left goes into the dead-letter file, and each
//! row is in the tables or in the file. Only what is marked as uncertain may be in both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::buffer::leftovers::EndTime;
use write_buffer_core::ledger::LedgerUse;
use write_buffer_core::settings::Settings;

use crate::server::{FakeSink, Fault};
use crate::{Added, NoWait, Step, play, settings, step};

/// A line of the file: its status, and the group's trade.
type Line = (String, Option<i64>);

fn lines(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let read: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        let row = &read["rows"][0];
        let trade = (row["table"] == "trades").then(|| row["row"]["n"].as_i64().expect("a number"));
        (read["status"].as_str().expect("a status").to_owned(), trade)
    };
    text.lines().map(line).collect()
}

/// An untrue answer to COMMIT is noticed by the next transaction. At the end there is none, so a
/// clear answer is taken for true.
fn with_true_answers(step: Step) -> Step {
    let true_one = |fault| match fault {
        Fault::UntrueAnswer => Fault::LostRaceAtCommit,
        fault => fault,
    };
    match step {
        Step::Faults(faults) => Step::Faults(faults.into_iter().map(true_one).collect()),
        step => step,
    }
}

/// Plays the steps, ends the buffer as it is then, and returns the file's lines.
fn end(steps: Vec<Step>, batch_size: usize) -> Result<Vec<Line>, String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "write-buffer-end-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    let sink = FakeSink::default();
    let with_file = Settings {
        dead_letter_file: Some(path.clone()),
        ..settings(batch_size, LedgerUse::Auto)
    };
    let mut buffer = ForegroundBuffer::new(with_file, Box::new(sink.clone()), Arc::new(NoWait)).expect("a buffer");
    let added = play(steps, &sink, &mut buffer)?;
    let time = EndTime::of(Duration::from_mins(1));
    let pending = buffer.pending_rows();
    if let Err(cause) = buffer.drain(time) {
        let untold = buffer.keep_left(&cause, time, &BTreeSet::new()).untold;
        if untold.is_some() || pending == 0 {
            return Err(format!("{pending} pending, untold: {untold:?}"));
        }
    }
    let metrics = buffer.metrics();
    if buffer.pending_rows() > 0 || metrics.rows_added != metrics.rows_committed + metrics.rows_refused {
        return Err(format!("the counters do not balance: {metrics:?}"));
    }
    sink.server().carry_out_late_commits();
    let lines = lines(&std::fs::read_to_string(&path).unwrap_or_default());
    drop(std::fs::remove_file(&path));
    compare(&sink, &added, &lines)?;
    Ok(lines)
}

fn compare(sink: &FakeSink, added: &Added, lines: &[Line]) -> Result<(), String> {
    let mut status: BTreeMap<i64, &str> = BTreeMap::new();
    let mut last_left = None;
    for (name, trade) in lines {
        let Some(trade) = *trade else { continue };
        if status.insert(trade, name).is_some() {
            return Err(format!("trade {trade} has two lines: {lines:?}"));
        }
        if name != "refused" && last_left.replace(trade).is_some_and(|last| last > trade) {
            return Err(format!("not in the order in which they were added: {lines:?}"));
        }
    }
    let found = sink.server().tables.clone();
    let mut balances: BTreeMap<i64, i64> = BTreeMap::new();
    for (trade, account, amount) in &added.trades {
        let times = found.trades.get(trade).copied().unwrap_or(0);
        let allowed = match status.get(trade) {
            None => 1..=1,
            Some(&"uncertain") => 0..=1,
            Some(_) => 0..=0,
        };
        if !allowed.contains(&times) {
            return Err(format!("trade {trade} is {times} times in the table: {lines:?}"));
        }
        if times > 0 {
            *balances.entry(*account).or_default() += amount;
        }
    }
    if balances == found.balances {
        Ok(())
    } else {
        Err(format!("{balances:?}, found {:?}", found.balances))
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_left_is_in_the_tables_or_in_the_file(
        steps in prop::collection::vec(step().prop_map(with_true_answers), 1..60),
        batch_size in 1..6_usize,
    ) {
        let ended = end(steps, batch_size);
        prop_assert!(ended.is_ok(), "{}", ended.unwrap_err());
    }
}

#[test]
fn only_a_commit_without_a_clear_answer_is_uncertain() {
    let add = || Step::Add { account: 1, amount: 5 };
    let away = Fault::Unreachable(u8::MAX);
    for (faults, expected) in [
        (vec![], vec![]),
        (vec![away], vec!["unwritten", "unwritten"]),
        (vec![away, Fault::LostBefore], vec!["unwritten", "unwritten"]),
        (vec![away, Fault::LostRaceAtCommit], vec!["unwritten", "unwritten"]),
    ] {
        let case = format!("{faults:?}");
        let lines = end(vec![Step::Faults(faults), add(), add()], 10).expect(&case);
        let found: Vec<&str> = lines.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(found, expected, "{case}");
    }
    for is_committed in [true, false] {
        let attempts = u8::MAX;
        let unclear = Step::Faults(vec![Fault::LostAndAway { is_committed, attempts }]);
        // The first two were in that COMMIT, the third came after it.
        let lines = end(vec![unclear, add(), add(), Step::Flush, add()], 10).expect("each row is in its place");
        let found: Vec<&str> = lines.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(found, ["uncertain", "uncertain", "unwritten"], "{is_committed}");
    }
}
