//! What is said of parked groups.

use std::time::{Duration, Instant};

use crate::buffer::parking::Parking;
use crate::error::message::Message;
use crate::error::{Error, count_rows};

/// A table that rows wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedTable {
    /// Its name.
    pub name: String,
    /// The rows of the groups that wait for it.
    pub rows: usize,
    /// The server's error code, or 0.
    pub code: u16,
    /// Why.
    pub message: String,
    /// How long the table has taken no rows.
    pub age: Duration,
    error: Error,
}

impl Parking {
    /// The tables that rows wait for. A group is counted at the first of its tables; one that waits
    /// behind another group is counted at none.
    pub fn tables(&self, now: Instant) -> Vec<ParkedTable> {
        let mut tables: Vec<ParkedTable> = Vec::new();
        let mut add = |name: String, rows: usize, error: &Error, since: Instant| {
            let age = now.saturating_duration_since(since);
            match tables.iter_mut().find(|table| table.name == name) {
                Some(table) => {
                    table.rows += rows;
                    table.age = table.age.max(age);
                }
                None => tables.push(ParkedTable {
                    name,
                    rows,
                    code: error.code(),
                    message: error.to_string(),
                    age,
                    error: error.clone(),
                }),
            }
        };
        let mut rows = vec![0; self.causes.len()];
        for group in self.groups.values() {
            match self.causes.iter().position(|cause| cause.is_of_any(&group.batch)) {
                Some(at) => rows[at] += group.batch.rows(),
                None => {
                    if let (Some(refused), Some((_, entry))) = (&group.refused, group.batch.tables().next()) {
                        add(entry.name.to_string(), group.batch.rows(), &refused.error, group.since);
                    }
                }
            }
        }
        for (cause, rows) in self.causes.iter().zip(rows).filter(|(_, rows)| *rows > 0) {
            add(cause.entry.name.to_string(), rows, &cause.error, cause.since);
        }
        tables
    }

    /// Why a flush fails that committed all else, if a group up to a number is parked.
    pub fn error(&self, number: u64, now: Instant) -> Option<Error> {
        if !self.holds_up_to(number) {
            return None;
        }
        let tables = self.tables(now);
        let first = tables.first()?;
        let words = |form: fn(&Message) -> &str, table: &ParkedTable| {
            let (name, rows, why) = (&table.name, count_rows(table.rows), form(table.error.words()));
            match table.code {
                0 => format!("{name} ({rows}): {why}"),
                code => format!("{name} ({rows}, error {code}): {why}"),
            }
        };
        if tables.len() == 1 {
            return Some(first.error.clone());
        }
        Some(first.error.reworded(Message::of_several(|form| {
            let said: Vec<String> = tables.iter().map(|table| words(form, table)).collect();
            format!(
                "{} tables take no rows now, and all others are written: {}",
                said.len(),
                said.join("; ")
            )
        })))
    }
}
