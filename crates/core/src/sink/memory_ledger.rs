//! The [ledger](crate::ledger) of [`memory:`](crate::sink::memory): rows of writers whose names
//! were given from outside, since a successor can find those alone. It plays what the MySQL sink's
//! table does, statement by statement. It has no bound, and prunes nothing.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::ledger::{LedgerEntry, LedgerRow, Position, check_writer_name, next_epoch};

/// A writer's name, and its lane.
pub type Writer = (String, u16);

/// All rows.
pub type LedgerRows = BTreeMap<Writer, LedgerRow>;

/// A sink's side of the ledger. Without a name it does nothing.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    writer: Option<Writer>,
    is_registered: bool,
    is_taken_over: bool,
    has_entered: bool,
    /// From this number on the row is a successor's.
    end: Option<u64>,
}

impl MemoryLedger {
    /// See [`Sink::use_writer`](crate::sink::Sink::use_writer).
    ///
    /// # Errors
    ///
    /// It is no name, or comes too late.
    pub fn use_writer(&mut self, writer: &str, lane: u16) -> Result<()> {
        check_writer_name(writer)?;
        if self.has_entered {
            return Err(Error::config(format!(
                "the writer cannot be called {writer:?} any more: it has entered transactions in the ledger"
            )));
        }
        *self = Self {
            writer: Some((writer.to_owned(), lane)),
            ..Self::default()
        };
        Ok(())
    }

    /// Whether it has one. Without it there is nothing to register.
    pub fn has_name(&self) -> bool {
        self.writer.is_some()
    }

    /// See [`Sink::register`](crate::sink::Sink::register).
    pub fn register(&mut self, rows: &mut LedgerRows, number: u64, position: Option<Position>) {
        if let Some(writer) = self.writer.as_ref().filter(|_| !self.is_registered) {
            let position = position.map(|position| position.to_string());
            rows.entry(writer.clone()).or_insert(LedgerRow { number, position });
            self.registered(number);
        }
    }

    fn registered(&mut self, number: u64) {
        self.is_registered = true;
        self.end = next_epoch(number);
    }

    /// See [`Sink::forget_registration`](crate::sink::Sink::forget_registration).
    pub fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    /// Whether the row holds what a transaction wants to find there.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn check(&mut self, rows: &LedgerRows, entry: LedgerEntry) -> Result<()> {
        self.has_entered = true;
        match &self.writer {
            Some(writer) if rows.get(writer).map(|row| row.number) != Some(entry.after) => Err(Error::ledger_moved()),
            _ => Ok(()),
        }
    }

    /// Enters a transaction.
    pub fn enter(&self, rows: &mut LedgerRows, entry: LedgerEntry) {
        if let Some(row) = self.writer.as_ref().and_then(|writer| rows.get_mut(writer)) {
            row.number = entry.number;
            if let Some(position) = entry.position {
                row.position = Some(position.to_string());
            }
        }
    }

    /// The row.
    pub fn row(&self, rows: &LedgerRows) -> Option<LedgerRow> {
        rows.get(self.writer.as_ref()?).cloned()
    }

    /// See [`Sink::take_over`](crate::sink::Sink::take_over).
    ///
    /// # Errors
    ///
    /// There are no more epochs.
    pub fn take_over(&mut self, rows: &mut LedgerRows) -> Result<Option<LedgerRow>> {
        let Some(row) = self.writer.as_ref().and_then(|writer| rows.get_mut(writer)) else {
            return Ok(None);
        };
        let Some(number) = next_epoch(row.number) else {
            return Err(Error::config(
                "the ledger's row cannot be taken over: its number is too large",
            ));
        };
        row.number = number;
        let row = row.clone();
        self.is_taken_over = true;
        self.registered(number);
        Ok(Some(row))
    }

    /// See [`Sink::register_successor`](crate::sink::Sink::register_successor).
    pub fn register_successor(&mut self, rows: &mut LedgerRows) -> Option<LedgerRow> {
        let writer = self.writer.as_ref()?;
        if rows.contains_key(writer) {
            return None;
        }
        let number = next_epoch(0)?;
        let row = LedgerRow { number, position: None };
        rows.insert(writer.clone(), row.clone());
        self.is_taken_over = true;
        self.registered(number);
        Some(row)
    }

    /// See [`Sink::retire`](crate::sink::Sink::retire). `of_all_lanes`: and `retire_all`.
    pub fn retire(&mut self, rows: &mut LedgerRows, of_all_lanes: bool) {
        let (Some((name, lane)), Some(end), true) = (&self.writer, self.end, self.is_registered) else {
            return;
        };
        let is_ours = |writer: &Writer, row: &LedgerRow| {
            writer.0 == *name && (of_all_lanes || writer.1 == *lane) && row.number < end
        };
        if self.is_taken_over {
            for (_, row) in rows.iter_mut().filter(|(writer, row)| is_ours(writer, row)) {
                row.position = Some(Position::END.to_string());
            }
        } else {
            rows.retain(|writer, row| !is_ours(writer, row));
        }
        self.is_registered = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(lane: u16) -> MemoryLedger {
        let mut ledger = MemoryLedger::default();
        ledger.use_writer("a-writer", lane).expect("a name");
        ledger
    }

    fn entry(after: u64, number: u64, position: Option<Position>) -> LedgerEntry {
        LedgerEntry {
            after,
            number,
            position,
        }
    }

    #[test]
    fn a_transaction_without_a_position_keeps_the_old_one() {
        let (mut ledger, mut rows) = (sink(0), LedgerRows::new());
        ledger.register(&mut rows, 0, None);
        assert_eq!(ledger.row(&rows).map(|row| row.position), Some(None));
        ledger.enter(&mut rows, entry(0, 1, Some(Position::END)));
        ledger.enter(&mut rows, entry(1, 2, None));
        let row = ledger.row(&rows).expect("a row");
        assert_eq!((row.number, row.position), (2, Some(Position::END.to_string())));
    }

    #[test]
    fn who_was_taken_over_finds_another_number_and_leaves_the_row_alone() {
        let (mut zombie, mut successor, mut rows) = (sink(1), sink(1), LedgerRows::new());
        zombie.register(&mut rows, 0, None);
        zombie.check(&rows, entry(0, 1, None)).expect("its own");
        let row = successor.take_over(&mut rows).expect("taken").expect("a row");
        assert_eq!(row.number, 1 << 40);
        zombie.check(&rows, entry(0, 1, None)).expect_err("taken over");
        zombie.retire(&mut rows, true);
        assert_eq!(successor.row(&rows), Some(row), "it is not deleted");
        successor.retire(&mut rows, true);
        let left = successor.row(&rows).and_then(|row| row.position);
        assert_eq!(left, Some(Position::END.to_string()), "it stays, at its end");
        sink(2).register_successor(&mut rows).expect("there was none");
        assert_eq!(sink(2).register_successor(&mut rows), None);
    }

    #[test]
    fn an_own_row_is_deleted() {
        let (mut first, mut second, mut rows) = (sink(0), sink(1), LedgerRows::new());
        first.register(&mut rows, 0, None);
        second.register(&mut rows, 0, None);
        first.retire(&mut rows, false);
        assert_eq!(rows.keys().map(|writer| writer.1).collect::<Vec<_>>(), [1]);
        second.retire(&mut rows, true);
        assert!(rows.is_empty());
    }

    #[test]
    fn without_a_name_there_are_no_rows() {
        let (mut ledger, mut rows) = (MemoryLedger::default(), LedgerRows::new());
        ledger.register(&mut rows, 0, None);
        ledger.check(&rows, entry(5, 6, None)).expect("nothing to check");
        assert_eq!(ledger.take_over(&mut rows), Ok(None));
        assert!(rows.is_empty());
        ledger.use_writer("late", 0).expect_err("it has entered something");
        sink(0).use_writer("no name", 0).expect_err("a blank");
    }
}
