//! What a writer does with its row in the ledger.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::ledger::{LedgerRow, Position, Verdict};
#[cfg(doc)]
use crate::sink::Sink;
use crate::table::model::TableModel;
use crate::writer::observer::{Event, Observer};
use crate::writer::{Attempt, Writer};

impl Writer {
    /// Makes the ledger ready before the first row of this table is taken, if its rows need the
    /// ledger.
    ///
    /// # Errors
    ///
    /// As [`Sink::register`].
    pub fn prepare_ledger(&mut self, model: &TableModel, deadline: Option<Instant>) -> Result<()> {
        if self.ledger_use.covers(model.is_repeatable()) {
            let (after, position) = (self.ledger.last_known(), self.ledger.last_position());
            let registered = self.sink.register(after, position, deadline);
            registered.map_err(|error| self.printed(error))?;
        }
        Ok(())
    }

    /// Asks the ledger what became of what is in doubt. `None`: it was not committed, or nothing is
    /// in doubt.
    pub(super) fn settle_doubt(
        &mut self,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Attempt>> {
        let was_in_doubt = self.ledger.is_in_doubt();
        let found = self.sink.last_entry(deadline)?;
        self.asks_ledger = false;
        let verdict = self.ledger.judge(found.map(|row| row.number));
        if was_in_doubt {
            let committed = matches!(verdict, Verdict::Committed(_));
            observer.happened(&Event::LedgerAnswered { committed });
        }
        match verdict {
            Verdict::Committed(written) => Ok(Some(Attempt::Committed(written))),
            Verdict::NoTrace(attempts) => {
                let ends = attempts.iter().map(|written| written.groups.end);
                self.untraceable_end = ends.max().unwrap_or(0);
                Ok(Some(Attempt::NoTrace))
            }
            Verdict::NotCommitted => Ok(None),
            Verdict::Unregistered => {
                self.sink.forget_registration();
                Ok(None)
            }
            Verdict::TakenOver => {
                // Nothing is tried before that has changed.
                self.asks_ledger = true;
                Err(Error::taken_over())
            }
        }
    }

    /// Deletes the writer's row from the ledger, at a clean end, until `deadline`.
    pub fn retire(&mut self, deadline: Instant) {
        if !self.ledger.is_in_doubt() {
            self.sink.retire(deadline);
        }
    }

    /// Ends the rows of all lanes under the writer's name, until `deadline`: see
    /// [`Sink::retire_all`].
    pub fn retire_all(&mut self, deadline: Instant) {
        if !self.ledger.is_in_doubt() {
            self.sink.retire_all(deadline);
        }
    }

    /// Goes on in the place of another process: see [`Sink::take_over`]. Before anything is
    /// written.
    ///
    /// # Errors
    ///
    /// As [`Sink::take_over`].
    pub fn take_over(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        let row = self.sink.take_over(deadline).map_err(|error| self.printed(error))?;
        Ok(row.inspect(|row| self.resume(row)))
    }

    /// The same where there is no row: see [`Sink::register_successor`].
    ///
    /// # Errors
    ///
    /// As [`Sink::register_successor`].
    pub fn register_successor(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        let row = self
            .sink
            .register_successor(deadline)
            .map_err(|error| self.printed(error))?;
        Ok(row.inspect(|row| self.resume(row)))
    }

    fn resume(&mut self, row: &LedgerRow) {
        let position = row.position.as_deref().and_then(Position::parse);
        self.ledger.resume(row.number, position);
    }
}
