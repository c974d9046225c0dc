//! The sink of a process that can be stopped in each call.

use std::time::Instant;

use write_buffer_core::error::phase::Phase;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, Position, next_epoch};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::sink::Sink;
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;

use super::Fault;
use super::world::{Late, Shared};
use crate::server::int;

pub struct NamedSink {
    shared: Shared,
    process: usize,
    lane: u16,
    is_registered: bool,
    is_taken_over: bool,
    end: u64,
    /// 0: none.
    session: u64,
}

impl NamedSink {
    pub fn new(shared: &Shared, process: usize) -> Self {
        Self {
            shared: shared.clone(),
            process,
            lane: 0,
            is_registered: false,
            is_taken_over: false,
            end: 0,
            session: 0,
        }
    }

    fn step(&self) -> Result<()> {
        self.shared.step(self.process)
    }

    fn registered(&mut self, number: u64) {
        self.is_registered = true;
        self.end = next_epoch(number).expect("few epochs");
    }

    fn connect(&mut self) {
        if self.session == 0 {
            let mut world = self.shared.world();
            world.last_session += 16;
            self.session = world.last_session + self.process as u64;
        }
    }

    /// The connection is lost, and the server notices.
    fn disconnect(&mut self) {
        self.shared.world().end_session(self.session);
        self.session = 0;
    }

    /// Whether the session has lived up to now.
    fn check_session(&mut self) -> bool {
        let is_ended = self.shared.world().ended_sessions.contains(&self.session);
        if is_ended {
            self.session = 0;
        }
        !is_ended
    }

    /// Waits for the row, in vain if somebody holds it.
    fn check_lock(&mut self) -> Result<()> {
        self.connect();
        let holder = self.shared.world().locks.get(&self.lane).copied();
        if holder.is_some_and(|holder| holder != self.session) {
            return Err(Error::server(1205, "somebody holds the row").during(Phase::LookUp));
        }
        Ok(())
    }

    fn unlock(&self) {
        let mut world = self.shared.world();
        world.locks.retain(|_, holder| *holder != self.session);
    }

    /// Takes the row over, and returns it as it is then.
    fn begin_epoch(&mut self) -> Option<LedgerRow> {
        let mut world = self.shared.world();
        let row = world.rows.get_mut(&self.lane)?;
        row.number = next_epoch(row.number).expect("few epochs");
        let row = row.clone();
        world.owners.insert(self.lane, self.process);
        world.take_overs += 1;
        drop(world);
        self.is_taken_over = true;
        self.registered(row.number);
        Some(row)
    }
}

impl Sink for NamedSink {
    fn limits(&mut self, _deadline: Option<Instant>) -> Result<Limits> {
        self.step()?;
        self.connect();
        Ok(Limits {
            max_packet_bytes: 1 << 20,
        })
    }

    fn model(&mut self, table: &TableEntry, _deadline: Option<Instant>) -> Result<TableModel> {
        TableModel::without_schema(&table.name, &table.rules, table.default_mode)
    }

    fn use_writer(&mut self, _writer: &str, lane: u16) -> Result<()> {
        self.lane = lane;
        self.is_registered = false;
        self.is_taken_over = false;
        Ok(())
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        _deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let entry = entry.expect("with positions every transaction is entered");
        self.step()?;
        let lost = || Error::connection(2013, "lost");
        let unknown = || Error::commit_unknown(2013, "lost while COMMIT was under way");
        self.check_lock().map_err(|error| error.during(Phase::Statement))?;
        {
            let mut world = self.shared.world();
            if world.rows.get(&self.lane).map(|row| row.number) != Some(entry.after) {
                return Err(Error::ledger_moved());
            }
            world.locks.insert(self.lane, self.session);
        }
        let rows = plan.statements.iter().flat_map(|statement| &statement.rows);
        let trades: Vec<i64> = rows.map(|row| int(row.first())).collect();
        // Amid the transaction: the row is locked.
        self.step()?;
        if !self.check_session() {
            return Err(lost());
        }
        let fault = self.shared.story().faults.pop();
        match fault {
            Some(Fault::LostBefore) => {
                self.disconnect();
                return Err(lost());
            }
            Some(Fault::Deadlock) => {
                self.unlock();
                return Err(Error::server(1213, "deadlock"));
            }
            Some(Fault::NoTable) if !trades.is_empty() => {
                self.unlock();
                return Err(Error::server(1146, "no such table").at_table(&"trades", None));
            }
            Some(Fault::RefusedTogether) if trades.len() > 1 => {
                self.unlock();
                return Err(Error::server(1264, "out of range"));
            }
            _ => {}
        }
        assert!(may_commit(), "nobody takes anything back");
        // Before COMMIT is sent.
        self.step()?;
        if !self.check_session() {
            return Err(unknown());
        }
        let found = self.shared.world().rows.get(&self.lane).map(|row| row.number);
        if found != Some(entry.after) {
            // Another node's COMMIT has come: a cluster lets the first one win.
            self.unlock();
            return Err(Error::server(1213, "deadlock").during(Phase::Commit));
        }
        let is_committed = !matches!(
            fault,
            Some(Fault::LostAtCommit { is_committed: false } | Fault::LostRaceAtCommit)
        );
        if let Some(Fault::LostAndCommittedLater(questions)) = fault {
            let (process, lane) = (self.process, self.lane);
            self.shared.world().late.push(Late {
                questions,
                process,
                lane,
                entry,
                trades,
            });
        } else if is_committed {
            self.shared.world().apply(self.process, self.lane, entry, &trades);
        }
        self.unlock();
        // Before its answer comes.
        self.step()?;
        match fault {
            Some(Fault::LostAtCommit { .. } | Fault::LostAndCommittedLater(_)) => {
                self.disconnect();
                Err(unknown())
            }
            Some(Fault::LostRaceAtCommit | Fault::UntrueAnswer) => {
                Err(Error::server(1213, "deadlock").during(Phase::Commit))
            }
            _ => Ok(()),
        }
    }

    fn register(&mut self, after: u64, position: Option<Position>, _deadline: Option<Instant>) -> Result<()> {
        if self.is_registered {
            return Ok(());
        }
        self.step()?;
        self.check_lock()?;
        let position = position.map(|position| position.to_string());
        let row = LedgerRow {
            number: after,
            position,
        };
        self.shared.world().rows.entry(self.lane).or_insert(row);
        self.registered(after);
        self.step()
    }

    fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    fn last_entry(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.step()?;
        self.check_lock()?;
        let found = self.shared.world().rows.get(&self.lane).cloned();
        self.shared.world().let_late_commit();
        self.step()?;
        Ok(found)
    }

    fn take_over(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.step()?;
        self.check_lock()?;
        let is_lost = self.shared.story().lost_take_overs.pop().flatten();
        if let Some(is_carried_out) = is_lost {
            if is_carried_out {
                drop(self.begin_epoch());
            }
            self.disconnect();
            return Err(Error::connection(2013, "lost"));
        }
        let taken = self.begin_epoch();
        self.shared.world().let_late_commit();
        self.step()?;
        Ok(taken)
    }

    fn register_successor(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.step()?;
        let number = next_epoch(0).expect("the first");
        {
            let mut world = self.shared.world();
            if world.rows.contains_key(&self.lane) {
                return Ok(None);
            }
            let row = LedgerRow { number, position: None };
            world.rows.insert(self.lane, row);
            world.owners.insert(self.lane, self.process);
        }
        self.is_taken_over = true;
        self.registered(number);
        self.step()?;
        Ok(Some(LedgerRow { number, position: None }))
    }

    fn retire(&mut self, deadline: Instant) {
        let _ = deadline;
        if self.step().is_ok() && self.is_registered && !self.is_taken_over {
            let end = self.end;
            let mut world = self.shared.world();
            world.rows.retain(|lane, row| *lane != self.lane || row.number >= end);
        }
    }

    fn retire_all(&mut self, deadline: Instant) {
        let _ = deadline;
        assert!(self.is_taken_over, "only successors call it here");
        if self.step().is_ok() {
            let end = self.end;
            let mut world = self.shared.world();
            for row in world.rows.values_mut().filter(|row| row.number < end) {
                row.position = Some(Position::END.to_string());
            }
        }
    }

    fn connects(&self) -> u64 {
        1
    }
}
