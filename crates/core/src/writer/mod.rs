//! Owns what happens to a batch on its way into a transaction: models, plan, repetitions, the
//! ledger, dead letters. Both buffers write through it, on whichever thread.
//!
//! Invariants:
//! - Groups are settled in their order, each once: committed with those around it, or given up
//!   alone.
//! - After a COMMIT without a clear answer the ledger is asked before anything else is written.
//!   What was in doubt is then settled, or written once more.
//! - A group is given up only when it is kept: in the dead-letter file, or in memory if there is
//!   room for it. If the file cannot be written to, or the memory is full of failures that nobody
//!   takes, nothing is given up, and the rows stay buffered.
//!
//! Bounds of a transaction: `max_retries` lost races, 3 reconnections, 5 questions to the ledger
//! ([`retry`]). A group at fault is found among *n* with about 2 log₂ *n* transactions.

mod give_up;
pub mod observer;
pub mod obstacle;
mod own_row;
pub mod retry;
mod tables;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::clock::Clock;
use crate::dead_letter::Status;
use crate::dead_letter::file::DeadLetterFile;
use crate::error::decision::{Decision, decide, is_locked, parks};
use crate::error::phase::Phase;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, LedgerUse};
use crate::plan::binder::Binder;
use crate::plan::limits::Limits;
use crate::plan::{Plan, plan};
use crate::rows::batch::Batch;
use crate::settings::Settings;
use crate::sink::{Place, Sink};
use crate::table::entry::TableId;
use crate::table::model::TableModel;
use crate::writer::observer::{Commit, Event, Observer};
use crate::writer::obstacle::Obstacle;
use crate::writer::retry::{RetryAction, RetryBudget};

/// Why groups were not written.
struct AttemptError {
    /// The groups that were tried.
    groups: Range<usize>,
    error: Error,
}

/// How an attempt ended that did not fail.
enum Attempt {
    Committed(Commit),
    /// The ledger has lost every trace of the transaction in doubt: nobody can say whether it was
    /// committed.
    NoTrace,
}

/// Writes batches through a sink: see the module.
pub struct Writer {
    sink: Box<dyn Sink>,
    clock: Arc<dyn Clock>,
    max_retries: u32,
    ledger_use: LedgerUse,
    ledger: Ledger<Commit>,
    dead_letter_file: Option<DeadLetterFile>,
    redact_values: bool,
    /// Groups up to here were in doubt when the ledger lost every trace of them. They are given up:
    /// writing them once more could double them.
    untraceable_end: usize,
    /// The ledger did not hold what it should: ask it before the next attempt.
    asks_ledger: bool,
    /// Whether the buffer sets groups aside.
    parks: bool,
    /// How often a transaction is repeated at once after it has waited for a lock.
    lock_retries: u32,
    /// The same for what is written next, if that is a probe.
    probe_lock_retries: Option<u32>,
    /// The [stale rows](Commit::stale_rows) of the last attempt that came to its COMMIT.
    stale_rows: usize,
    /// The connections and reconnections until the connection was closed last.
    closed_after: (u64, u64),
    /// What the tables were at the last attempt.
    models: FxHashMap<TableId, Arc<TableModel>>,
}

impl Writer {
    /// A writer for a buffer with these settings.
    pub fn new(mut sink: Box<dyn Sink>, clock: Arc<dyn Clock>, settings: &Settings) -> Self {
        if settings.keeps_rows {
            sink.wait_briefly_for_locks();
        }
        Self {
            sink,
            clock,
            max_retries: settings.max_retries,
            ledger_use: settings.ledger,
            ledger: Ledger::default(),
            dead_letter_file: settings.dead_letter_file.clone().map(DeadLetterFile::new),
            redact_values: settings.redact_values,
            untraceable_end: 0,
            asks_ledger: false,
            parks: settings.keeps_rows,
            lock_retries: 0,
            probe_lock_retries: None,
            stale_rows: 0,
            closed_after: (0, 0),
            models: FxHashMap::default(),
        }
    }

    /// An error of the sink, as buffers pass it on: with the values of rows that a server quotes,
    /// or without. A failure has them in any case.
    fn printed(&self, error: Error) -> Error {
        if self.redact_values { error } else { error.revealed() }
    }

    /// The buffer ends: locks are waited for as long as the server has it.
    pub fn wait_patiently_for_locks(&mut self) {
        self.sink.wait_patiently_for_locks();
    }

    /// What is written next repeats what failed so, as a probe of the table that was locked: it
    /// waits for the lock once.
    pub fn probe_lock(&mut self, failed: &Error, observer: &mut dyn Observer) {
        self.probe_lock_retries = Some(0);
        observer.happened(&Event::Retried(failed));
    }

    /// Writes the groups of the batches from `done` on, counted over all of them, in as few
    /// transactions as possible. If the server refuses one for good, halves of it are tried, down
    /// to the group at fault. That one is given up, and the others are committed, in order.
    ///
    /// # Errors
    ///
    /// Why some groups were not written. After [`Obstacle::Failed`] the caller calls again with the
    /// same batches. After any other obstacle no transaction is in doubt, and the batches may be
    /// others.
    pub fn write(
        &mut self,
        batches: &[&Batch],
        done: usize,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<(), Obstacle> {
        let total = batches.iter().map(|batch| batch.group_count()).sum();
        let mut start = done;
        // Nobody else waits longer than twice for a table that is locked.
        self.lock_retries = self.probe_lock_retries.take().unwrap_or(self.max_retries.min(1));
        // The ends of the ranges that were refused, the widest first.
        let mut ends = vec![total];
        // A table's error is met twice before it is believed: the models are read anew in between.
        let mut is_confirmed = false;
        // Rows were refused, and the models read anew since.
        let mut is_looked_at = false;
        let mut obstacle: Option<Obstacle> = None;
        while start < total {
            if start < self.untraceable_end {
                self.give_up(batches, start, (Status::Uncertain, &no_trace()), deadline, observer)?;
                start += 1;
                continue;
            }
            self.untraceable_end = 0;
            while ends.last().is_some_and(|end| *end <= start) {
                ends.pop();
            }
            let end = match obstacle {
                None => ends.last().copied().unwrap_or(total),
                // The batches may be others afterwards, so each transaction in doubt is decided
                // before: one without rows goes over it.
                Some(_) => start,
            };
            let began = self.clock.now();
            match self.write_range(batches, start..end, deadline, observer) {
                Ok(Attempt::Committed(commit)) if commit.groups.is_empty() => {
                    if let Some(obstacle) = obstacle.take() {
                        return Err(obstacle);
                    }
                }
                Ok(Attempt::Committed(commit)) => {
                    obstacle = None;
                    is_confirmed = false;
                    // What the ledger confirms late may have been given up in part.
                    let commit = commit.from_group(start, batches);
                    start = commit.groups.end;
                    observer.committed(&commit);
                }
                Ok(Attempt::NoTrace) => obstacle = None,
                Err(failed) if obstacle.is_some() => return Err(failed.error.into()),
                Err(failed) if decide(failed.error.phase(), &failed.error) != Decision::Refuse => {
                    if !self.parks || parks(&failed.error).is_none() {
                        return Err(failed.error.into());
                    }
                    if is_locked(&failed.error) {
                        let waited = self.clock.now().saturating_duration_since(began);
                        obstacle = Some(self.stop(Obstacle::Locked {
                            error: failed.error,
                            waited,
                            max: self.sink.own_lock_wait(),
                        })?);
                    } else if failed.error.phase() == Phase::Statement && !is_confirmed {
                        is_confirmed = true;
                    } else {
                        obstacle = Some(self.stop(Obstacle::Table(failed.error))?);
                    }
                }
                Err(failed) if failed.groups.len() > 1 => {
                    // Somebody may have altered the table. That is looked at when rows are refused
                    // first, and before one is given up: not at each step between the two.
                    let half = failed.groups.len() / 2;
                    if !is_looked_at || half == 1 {
                        is_looked_at = true;
                        Self::forget_models(batches, Some(&failed.error));
                    }
                    ends.push(start + half);
                }
                Err(failed) if self.parks && observer.may_lack_earlier_groups(&failed.error) => {
                    obstacle = Some(self.stop(Obstacle::Refused(failed.error))?);
                }
                Err(failed) => {
                    self.give_up(batches, start, (Status::Refused, &failed.error), deadline, observer)?;
                    start += 1;
                }
            }
        }
        // The numbers of these groups mean nothing to the next ones.
        self.forget_doubts();
        Ok(())
    }

    /// Stops at an obstacle, unless a transaction in doubt has to be decided before.
    fn stop(&self, obstacle: Obstacle) -> Result<Obstacle, Obstacle> {
        if self.ledger.has_doubts() {
            Ok(obstacle)
        } else {
            Err(obstacle)
        }
    }

    /// Writes some groups as one transaction, and repeats it as often as its budgets allow.
    fn write_range(
        &mut self,
        batches: &[&Batch],
        mut groups: Range<usize>,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<Attempt, AttemptError> {
        let started = self.clock.now();
        let mut budget = RetryBudget::new(self.max_retries);
        let mut lock_retries = self.lock_retries;
        let mut in_doubt: Option<(Range<usize>, usize)> = None;
        loop {
            let error = match self.attempt(batches, &mut groups, deadline, observer) {
                Ok(Attempt::Committed(mut written)) => {
                    written.took = self.clock.now().saturating_duration_since(started);
                    if let Some((groups, stale_rows)) = in_doubt
                        && groups == written.groups
                    {
                        // If that attempt was committed, this one has found its rows as they are.
                        written.stale_rows = written.stale_rows.min(stale_rows);
                    }
                    return Ok(Attempt::Committed(written));
                }
                Ok(Attempt::NoTrace) => return Ok(Attempt::NoTrace),
                Err(error) => self.printed(error),
            };
            let decision = decide(error.phase(), &error);
            if decision == Decision::CommitUnknown {
                in_doubt.get_or_insert((groups.clone(), self.stale_rows));
                observer.happened(&Event::CommitUnknown);
            }
            if self.parks && is_locked(&error) && !self.ledger.is_in_doubt() {
                // The rows of other tables do not wait for this one. A lock of a whole table is no
                // race that was lost.
                let is_whole = error.place().is_some_and(|place| place.is_locked);
                let Some(left) = lock_retries.checked_sub(1).filter(|_| !is_whole) else {
                    return Err(AttemptError { groups, error });
                };
                lock_retries = left;
            }
            let Some((again, wait)) = budget.next(decision, self.ledger.is_in_doubt(), fastrand::f64()) else {
                return Err(AttemptError { groups, error });
            };
            if deadline.is_some_and(|deadline| self.clock.now() + wait >= deadline) {
                let words = |why: &str| format!("the time given is over; the last error: {why}");
                let error = Error::timeout(error.words().map(words));
                return Err(AttemptError { groups, error });
            }
            match again {
                RetryAction::Transaction => observer.happened(&Event::Retried(&error)),
                RetryAction::Reconnect => observer.happened(&Event::Reconnected),
                RetryAction::LedgerLookup => self.asks_ledger = true,
            }
            if !wait.is_zero() {
                self.clock.sleep(wait);
            }
        }
    }

    fn attempt(
        &mut self,
        batches: &[&Batch],
        groups: &mut Range<usize>,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<Attempt> {
        if (self.asks_ledger || self.ledger.is_in_doubt())
            && let Some(ended) = self.settle_doubt(deadline, observer)?
        {
            return Ok(ended);
        }
        let limits = self.connect(deadline, observer)?;
        if groups.start >= groups.end {
            let written = Commit {
                groups: groups.clone(),
                rows: 0,
                coalesced_rows: 0,
                stale_rows: 0,
                took: Duration::ZERO,
            };
            self.commit(&Plan::default(), &written, deadline, observer)?;
            return Ok(Attempt::Committed(written));
        }
        self.read_models(batches, deadline)?;
        let mut planned = self.plan(batches, groups, limits);
        // Somebody may have altered a table since it was read. So no row is refused for what it
        // was.
        let is_refused = |planned: &Plan<'_>| {
            planned
                .rejected
                .first()
                .is_some_and(|first| first.group == groups.start)
        };
        if planned.as_ref().map_or(true, is_refused) {
            Self::forget_models(batches, None);
            self.read_models(batches, deadline)?;
            planned = self.plan(batches, groups, limits);
        }
        let mut planned = planned.map_err(|error| {
            Self::forget_models(batches, None);
            error.after_taking()
        })?;
        if let Some(rejected) = planned.rejected.first() {
            if rejected.group == groups.start {
                groups.end = groups.start + 1;
                return Err(rejected.error.clone().of_row());
            }
            // The groups before it are written first. Then it is given up alone.
            groups.end = rejected.group;
            planned = self.plan(batches, groups, limits)?;
        }
        let mut written = Commit {
            groups: groups.clone(),
            rows: planned.rows,
            coalesced_rows: planned.coalesced_rows,
            stale_rows: planned.stale_rows,
            took: Duration::ZERO,
        };
        if let Err(error) = self.commit(&planned, &written, deadline, observer) {
            // A table that somebody altered can show as any of many errors, so it is read anew for
            // the next attempt. A lost race is repeated at once, and is none of them. Whoever
            // halves groups that were refused together looks when it has to.
            let is_halved = groups.len() > 1;
            let decision = decide(error.phase(), &error);
            if decision != Decision::Repeat && !(decision == Decision::Refuse && is_halved) {
                Self::forget_models(batches, Some(&error));
            }
            return Err(error);
        }
        written.stale_rows = self.stale_rows;
        Ok(Attempt::Committed(written))
    }

    /// Connects if needed, and returns what the server takes at once.
    fn connect(&mut self, deadline: Option<Instant>, observer: &mut dyn Observer) -> Result<Limits> {
        if self.sink.is_connected() {
            return self.sink.limits(deadline);
        }
        observer.happened(&Event::Connecting);
        let limits = self.sink.limits(deadline);
        observer.happened(&Event::Connected);
        limits
    }

    fn plan<'b>(&self, batches: &[&'b Batch], groups: &Range<usize>, limits: Limits) -> Result<Plan<'b>> {
        plan(
            batches,
            groups.clone(),
            &limits,
            Binder::with_models(self.models.clone()),
        )
    }

    fn commit(
        &mut self,
        planned: &Plan<'_>,
        written: &Commit,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let committed = self.commit_entered(planned, written, deadline, observer);
        if let Err(error) = &committed
            && decide(error.phase(), error) != Decision::CommitUnknown
        {
            observer.not_committed();
        }
        committed
    }

    fn commit_entered(
        &mut self,
        planned: &Plan<'_>,
        written: &Commit,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        // While an attempt may yet be found committed, each transaction begins with the ledger's
        // row: so none is committed over it.
        if !self.ledger_use.covers(planned.is_repeatable()) && !self.ledger.has_doubts() {
            let mut may_commit = || observer.may_commit(&written.groups);
            let committed = self.sink.commit(planned, None, deadline, &mut may_commit);
            self.stale_rows = planned.stale_rows + self.sink.stale_rows();
            return committed;
        }
        self.sink
            .register(self.ledger.last_known(), self.ledger.last_position(), deadline)
            .map_err(Error::after_taking)?;
        let position = if written.groups.is_empty() {
            None
        } else {
            observer.position(&written.groups, self.ledger.next_number())?
        };
        let entry = self.ledger.begin(written.clone(), position);
        let mut may_commit = || observer.may_commit(&written.groups);
        let committed = self.sink.commit(planned, Some(entry), deadline, &mut may_commit);
        let stale_rows = planned.stale_rows + self.sink.stale_rows();
        self.stale_rows = stale_rows;
        // It may yet be found committed.
        self.ledger.amend(entry, |written| written.stale_rows = stale_rows);
        match &committed {
            Ok(()) => self.ledger.committed(entry),
            Err(error) if decide(error.phase(), error) == Decision::CommitUnknown => {}
            Err(error) if error.phase() == Phase::Commit => self.ledger.commit_failed(entry),
            Err(_) => self.ledger.failed(entry),
        }
        committed
    }

    /// The caller will not pass the last groups again, whatever became of them.
    pub fn forget_doubts(&mut self) {
        self.ledger.forget_doubts();
        self.untraceable_end = 0;
    }

    /// Where it writes to.
    pub fn place(&self) -> Option<Place> {
        self.sink.place()
    }

    /// Connections opened after the first.
    pub fn reconnects(&self) -> u64 {
        let since_closed = self.sink.connects() - self.closed_after.0;
        self.closed_after.1 + since_closed.saturating_sub(1)
    }

    /// Ends the connection, if there is one and nothing is under way. The next use opens another
    /// one, which is no reconnection.
    pub fn disconnect(&mut self) {
        self.closed_after = (self.sink.connects(), self.reconnects());
        self.sink.disconnect();
    }
}

fn no_trace() -> Error {
    Error::row(
        "the connection was lost while COMMIT was under way, and this writer's row in the ledger has been deleted since, so \
         nobody can say whether these rows were committed: look, and retry() what is missing",
    )
}
