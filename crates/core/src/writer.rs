//! Writes batches through a sink: models, plan, transaction, retries. What both buffers do with a batch, whichever
//! thread they do it on.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::batch::Batch;
use crate::catalog::TableEntry;
use crate::clock::Clock;
use crate::dead_letter::DeadLetter;
use crate::error::{Error, Result};
use crate::plan::{Binder, Plan, plan};
use crate::retry::RetryBudget;
use crate::sink::Sink;
use crate::table::TableModel;

/// A transaction that was committed.
#[derive(Debug)]
pub struct Written {
    /// Rows committed, coalesced ones counted.
    pub rows: usize,
    /// How many of them went into others.
    pub coalesced_rows: usize,
    /// How long it took, with all repetitions.
    pub took: Duration,
    /// Groups that were left out, since they can never be written.
    pub rejected: Vec<DeadLetter>,
}

/// See the module.
pub struct Writer {
    sink: Box<dyn Sink>,
    clock: Arc<dyn Clock>,
    max_retries: u32,
}

impl Writer {
    /// A writer that repeats a transaction up to `max_retries` times.
    pub fn new(sink: Box<dyn Sink>, clock: Arc<dyn Clock>, max_retries: u32) -> Self {
        Self {
            sink,
            clock,
            max_retries,
        }
    }

    /// The model of a table: known, or asked of the sink.
    ///
    /// # Errors
    ///
    /// As [`Sink::model`].
    pub fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<Arc<TableModel>> {
        if let Some(model) = table.model() {
            return Ok(model);
        }
        let model = Arc::new(self.sink.model(table, deadline)?);
        table.set_model(Some(Arc::clone(&model)));
        Ok(model)
    }

    /// Writes some groups of the batches, counted over all of them, as one transaction. `retried` hears of each error
    /// that was repeated after.
    ///
    /// # Errors
    ///
    /// What the sink says; nothing was committed, unless the error is
    /// [unknown](crate::error::Error::is_commit_unknown).
    pub fn write(
        &mut self,
        batches: &[&Batch],
        groups: Range<usize>,
        deadline: Option<Instant>,
        retried: &mut dyn FnMut(&Error),
    ) -> Result<Written> {
        let started = self.clock.now();
        let limits = self.sink.limits(deadline)?;
        // Held until the plan is made: a caller's thread must not change what its rows are bound to.
        let mut models = FxHashMap::default();
        for (id, table) in batches.iter().flat_map(|batch| batch.tables()) {
            models.insert(id, self.model(table, deadline).map_err(Error::after_taking)?);
        }
        let planned = plan(batches, groups, &limits, Binder::with_models(models))?;
        if planned.rows > 0
            && let Err(error) = self.commit(&planned, deadline, retried)
        {
            // A table that changed under us shows as any of many errors: read it anew for the next try.
            for (_, table) in batches.iter().flat_map(|batch| batch.tables()) {
                table.set_model(None);
            }
            return Err(error);
        }
        Ok(Written {
            rows: planned.rows,
            coalesced_rows: planned.coalesced_rows,
            took: self.clock.now().saturating_duration_since(started),
            rejected: dead_letters(batches, &planned),
        })
    }

    /// Commits a plan, repeating it after lost races, and once over a new connection where the old one was gone before
    /// anything could be committed: an idle connection is closed by the server after `wait_timeout`.
    fn commit(&mut self, planned: &Plan<'_>, deadline: Option<Instant>, retried: &mut dyn FnMut(&Error)) -> Result<()> {
        let mut budget = RetryBudget::new(self.max_retries);
        let mut may_reconnect = true;
        loop {
            let Err(error) = self.sink.commit(planned, deadline) else {
                return Ok(());
            };
            if let Some(wait) = budget.backoff(&error, fastrand::f64()) {
                let now = self.clock.now();
                if deadline.is_some_and(|deadline| now + wait >= deadline) {
                    return Err(Error::timeout(format!(
                        "the time given is over; the last error: {error}"
                    )));
                }
                retried(&error);
                self.clock.sleep(wait);
            } else if may_reconnect && error.is_connection() && !error.is_commit_unknown() {
                may_reconnect = false;
            } else {
                return Err(error);
            }
        }
    }

    /// Connections opened after the first.
    pub fn reconnects(&self) -> u64 {
        self.sink.connects().saturating_sub(1)
    }

    /// See [`Sink::abandon`].
    pub fn abandon(&mut self) {
        self.sink.abandon();
    }
}

fn dead_letters(batches: &[&Batch], planned: &Plan<'_>) -> Vec<DeadLetter> {
    if planned.rejected.is_empty() {
        return Vec::new();
    }
    let mut rejected = planned.rejected.iter().peekable();
    let groups = batches.iter().flat_map(|batch| batch.groups()).enumerate();
    groups
        .filter_map(|(number, rows)| {
            let found = rejected.next_if(|rejected| rejected.group == number)?;
            Some(DeadLetter::new(rows, &found.error))
        })
        .collect()
}
