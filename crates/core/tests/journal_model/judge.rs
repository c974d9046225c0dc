//! The judge: what was added, and what the tables and the dead-letter file have.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use write_buffer_core::sink::memory::StoredRow;
use write_buffer_core::value::Value;

use crate::life::{EVENTS, Program};
use crate::world::World;

fn number(row: &StoredRow, at: usize) -> i64 {
    match row.get(at) {
        Some((_, Value::Int(number))) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// The statuses of each group in the dead-letter file.
fn letters(directory: &Path) -> BTreeMap<i64, Vec<String>> {
    let text = fs::read_to_string(directory.join("dead-letters.jsonl")).unwrap_or_default();
    let mut letters: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let read: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        let id = read["rows"][0]["row"]["n"].as_i64().expect("a number");
        let status = read["status"].as_str().expect("a status").to_owned();
        letters.entry(id).or_default().push(status);
    }
    letters
}

pub fn judge(world: &World, program: &Program, directory: &Path, left: &[String]) -> Result<(), String> {
    let mut wrong = std::mem::take(&mut world.lock().wrong);
    wrong.extend(left.iter().cloned());
    let tables: BTreeMap<String, Vec<StoredRow>> = world.store.tables().into_iter().collect();
    let rows = |table: &str| tables.get(table).cloned().unwrap_or_default();
    let mut written: BTreeMap<i64, [u32; 2]> = BTreeMap::new();
    for row in EVENTS.iter().flat_map(|table| rows(table)) {
        let part = usize::from(number(&row, 1) != 0);
        written.entry(number(&row, 0)).or_default()[part] += 1;
    }
    let letters = letters(directory);
    let required = world.lock().required.clone();
    let (mut balances, mut prices) = (BTreeMap::<i64, i64>::new(), BTreeMap::<i64, i64>::new());
    for (id, added) in &program.added {
        let [times, parts] = written.get(id).copied().unwrap_or_default();
        let kept = letters.get(id).map_or(&[][..], Vec::as_slice);
        let is_required = required.contains(id);
        let is_uncertain = kept.iter().any(|status| status == "uncertain");
        let is_right = times == parts
            && match (added.is_bad, is_uncertain) {
                (false, false) => kept.is_empty() && times <= 1 && (times == 1 || !is_required || program.may_lose),
                (true, false) => times == 0 && kept.len() <= 1 && (kept.len() == 1 || !is_required || program.may_lose),
                (_, true) => (program.may_lose || program.has_lost_ledger) && times <= 1,
            };
        if !is_right {
            wrong.push(format!(
                "{id} was written {times} and {parts} times, and kept as {kept:?}; required: {is_required}; {added:?}"
            ));
        }
        if times > 0 {
            if let Some((account, amount)) = added.balance {
                *balances.entry(account).or_default() += amount;
            }
            prices.extend(added.price.map(|price| (price, *id)));
        }
    }
    let found = |table: &str| -> BTreeMap<i64, i64> {
        rows(table).iter().map(|row| (number(row, 0), number(row, 1))).collect()
    };
    for (table, expected) in [("balances", balances), ("prices", prices)] {
        if found(table) != expected {
            wrong.push(format!("{table} are {:?} and not {expected:?}", found(table)));
        }
    }
    let folders = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir());
    wrong.extend(folders.map(|folder| format!("{} is left", folder.path().display())));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{:?}, {} added: {}",
        program.sync,
        program.added.len(),
        wrong.join("; ")
    ))
}
