//! The model of a server, written from the servers' manuals.

use std::collections::{BTreeMap, BTreeSet};

use write_buffer_core::plan::{Operation, Statement};
use write_buffer_core::table::domain::Domain;
use write_buffer_core::value::Value;
use write_buffer_core::value::decimal::Decimal;

/// A table of the model server, by folded key.
pub type Table = BTreeMap<String, BTreeMap<String, Option<String>>>;

/// The whole numbers that the columns hold, but for `s`, which holds hundredths.
const SMALLEST: i64 = -3;
const LARGEST: i64 = 12;
/// Hundredths.
const LARGEST_SUM: i64 = 999;

/// The values that a column takes, as the engine knows them.
pub fn domain_of(column: &str) -> Domain {
    match column {
        "id" => Domain::Unknown,
        "s" => Domain::Decimal {
            whole_digits: 1,
            scale: 2,
            is_unsigned: false,
        },
        _ => Domain::Integer {
            min: i128::from(SMALLEST),
            max: i128::from(LARGEST),
            rounds_up_to_zero: true,
        },
    }
}

/// Whether the server takes the value into the column.
fn fits(column: &str, value: Option<&str>) -> bool {
    let Some(number) = value.and_then(|value| Decimal::parse(value.as_bytes())) else {
        return true;
    };
    let within = |least: Decimal, most: Decimal| least <= number && number <= most;
    match column {
        "id" => true,
        // One digit before the point.
        "s" => within(decimal(-LARGEST_SUM), decimal(LARGEST_SUM)),
        _ => within(Decimal::from(SMALLEST), Decimal::from(LARGEST)),
    }
}

fn decimal(hundredths: i64) -> Decimal {
    Decimal::parse(format!("{hundredths}e-2").as_bytes()).expect("a number")
}

/// What the column becomes when an INSERT leaves it out.
fn default_of(column: &str) -> Option<&'static str> {
    match column {
        "k" => Some("77"),
        "s" => Some("0"),
        "hi" => Some("5"),
        _ => None,
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Int(number) => Some(number.to_string()),
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).expect("text")),
        other => panic!("{other:?} is not used here"),
    }
}

/// As the column stores it.
fn stored(column: &str, value: &Value<'_>) -> Option<String> {
    let text = text(value)?;
    match column {
        "s" => Some(Decimal::parse(text.as_bytes()).expect("a number").round(2).to_string()),
        _ => Some(text),
    }
}

/// The equality of `utf8mb4_unicode_ci` over the keys used here: no case, no accents, no spaces at
/// the end.
fn fold(key: &str) -> String {
    key.trim_end().to_lowercase().replace('ä', "a")
}

/// The server refuses the statement.
#[derive(Debug, PartialEq)]
pub struct Refused;

fn number(value: Option<&String>) -> Option<Decimal> {
    let text = value?;
    Some(Decimal::parse(text.as_bytes()).expect("a number"))
}

/// Executes one row of a statement, as the server's manual says.
fn execute(
    table: &mut Table,
    operation: Operation,
    has_guard: bool,
    row: &[(&str, &Value<'_>)],
) -> Result<(), Refused> {
    let key = text(row[0].1).expect("a key");
    let folded = fold(&key);
    let given: BTreeMap<&str, Option<String>> = row.iter().map(|(name, value)| (*name, stored(name, value))).collect();
    // What does not fit is an error, whether or not it would be stored.
    if !given.iter().all(|(name, value)| fits(name, value.as_deref())) {
        return Err(Refused);
    }
    if operation == Operation::Delete {
        let guards = table.get(&folded).zip(given.get("v"));
        let guards = guards.and_then(|(old, new)| number(old["v"].as_ref()).zip(number(new.as_ref())));
        if guards.is_none_or(|(old, new)| new >= old) {
            table.remove(&folded);
        }
        return Ok(());
    }
    let Some(old) = table.get_mut(&folded) else {
        if matches!(operation, Operation::Update | Operation::SharedUpdate) {
            return Err(Refused);
        }
        let mut fresh = BTreeMap::new();
        for column in ["a", "k", "s", "lo", "hi", "v", "r"] {
            let value = given.get(column).cloned();
            fresh.insert(
                column.to_owned(),
                value.unwrap_or_else(|| default_of(column).map(str::to_owned)),
            );
        }
        fresh.insert("id".to_owned(), Some(key));
        table.insert(folded, fresh);
        return Ok(());
    };
    if has_guard && number(old["v"].as_ref()).is_some_and(|old| number(given["v"].as_ref()).expect("a guard") < old) {
        return Ok(());
    }
    for (column, new) in given {
        let before = old.get_mut(column).expect("a column");
        *before = match column {
            "id" | "k" => continue,
            "s" => {
                let sum = number(before.as_ref())
                    .unwrap_or_else(|| Decimal::from(0))
                    .add(&number(new.as_ref()).expect("a number"));
                let sum = Some(sum.to_string());
                if !fits("s", sum.as_deref()) {
                    return Err(Refused);
                }
                sum
            }
            "lo" | "hi" if before.is_none() || new.is_none() => new.or_else(|| before.clone()),
            "lo" if number(new.as_ref()) > number(before.as_ref()) => continue,
            "hi" if number(new.as_ref()) < number(before.as_ref()) => continue,
            _ => new,
        };
    }
    Ok(())
}

/// Executes a statement.
///
/// # Errors
///
/// The server refuses one of its rows.
pub fn execute_statement(table: &mut Table, has_guard: bool, statement: &Statement<'_>) -> Result<(), Refused> {
    // A join changes a row once, however many rows have its key.
    let keys = statement.rows.iter().map(|row| fold(&text(&row[0]).expect("a key")));
    let are_distinct = keys.collect::<BTreeSet<_>>().len() == statement.rows.len();
    assert!(are_distinct || statement.operation != Operation::SharedUpdate);
    for row in &statement.rows {
        let columns: Vec<_> = statement.bound.columns.iter().map(|name| &**name).zip(row).collect();
        execute(table, statement.operation, has_guard, &columns)?;
    }
    Ok(())
}
