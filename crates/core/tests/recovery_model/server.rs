//! The server that does its worst, and the sink before it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proptest::prelude::*;
use write_buffer_core::error::phase::Phase;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, Position};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::sink::Sink;
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::value::Value;

/// What happens to a transaction, or to a question to the ledger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The connection is lost before COMMIT.
    LostBefore,
    /// It is lost while COMMIT is under way, which is not carried out.
    LostAtCommit,
    /// As before, and it is carried out.
    LostAfterCommit,
    /// As before, and it is carried out after so many questions to the ledger were answered.
    LostAndCommittedLater(u8),
    /// The connection is lost while COMMIT is under way, and nobody answers for so many attempts.
    LostAndAway {
        is_committed: bool,
        attempts: u8,
    },
    /// The connection is lost, the COMMIT carried out, and the writer's row deleted.
    LostWithoutTrace,
    /// The server answers COMMIT with an error that leaves it open, and carries it out.
    UnclearAnswer,
    Deadlock,
    /// A row is refused, if the transaction has more than one group: its halves are tried.
    RefusedTogether,
    /// COMMIT is answered by a lost race, and not carried out.
    LostRaceAtCommit,
    /// COMMIT is answered by a lost race, although it was carried out.
    UntrueAnswer,
    /// A bug ends the attempt when it is committed already. The next one waits until the test
    /// [lets it](FakeSink::let_go_on). Only in a test of its own: the model's caller would end,
    /// too.
    Panic,
    /// Nobody answers for so many attempts.
    Unreachable(u8),
}

pub fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::LostBefore),
        Just(Fault::LostAtCommit),
        Just(Fault::LostAfterCommit),
        Just(Fault::LostAtCommit),
        (1..4_u8).prop_map(Fault::LostAndCommittedLater),
        (1..4_u8).prop_map(Fault::LostAndCommittedLater),
        (any::<bool>(), 1..12_u8).prop_map(|(is_committed, attempts)| Fault::LostAndAway { is_committed, attempts }),
        Just(Fault::UnclearAnswer),
        Just(Fault::LostWithoutTrace),
        Just(Fault::Deadlock),
        Just(Fault::RefusedTogether),
        Just(Fault::LostRaceAtCommit),
        Just(Fault::UntrueAnswer),
        (1..6_u8).prop_map(Fault::Unreachable),
    ]
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    pub trades: BTreeMap<i64, u32>,
    pub balances: BTreeMap<i64, i64>,
    pub prices: BTreeMap<i64, i64>,
    pub ledger: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Server {
    pub tables: Tables,
    pub faults: Vec<Fault>,
    unreachable: u8,
    /// A transaction whose COMMIT is under way on another node.
    late: Vec<Late>,
    pub is_traceless: bool,
    /// A trade with this number is refused.
    pub refuses: Option<i64>,
    /// What the next questions are answered by.
    pub answers: Vec<u16>,
    /// Nothing is answered.
    is_held: bool,
    /// A table that takes no rows.
    pub blocked: Option<&'static str>,
}

#[derive(Debug)]
pub struct Late {
    questions: u8,
    entry: LedgerEntry,
    changes: Tables,
}

impl Server {
    fn connect(&mut self) -> Result<()> {
        if self.unreachable > 0 {
            self.unreachable -= 1;
            return Err(Error::connection(2003, "nobody answers"));
        }
        Ok(())
    }

    /// Late COMMITs are carried out when their time has come, unless somebody else wrote the
    /// ledger's row meanwhile.
    fn let_late_commit(&mut self) {
        for mut late in std::mem::take(&mut self.late) {
            late.questions -= 1;
            if late.questions > 0 {
                self.late.push(late);
            } else if self.tables.ledger == Some(late.entry.after) {
                self.apply(Some(late.entry), &late.changes);
            }
        }
    }

    /// All COMMITs that are under way come to their end.
    pub fn carry_out_late_commits(&mut self) {
        while !self.late.is_empty() {
            self.let_late_commit();
        }
    }

    /// A COMMIT under way holds the row, or conflicts with its deletion.
    pub fn delete_ledger_row(&mut self) {
        self.late.clear();
        self.tables.ledger = None;
        self.is_traceless = true;
    }

    fn apply(&mut self, entry: Option<LedgerEntry>, changes: &Tables) {
        for (trade, times) in &changes.trades {
            *self.tables.trades.entry(*trade).or_default() += times;
        }
        for (account, amount) in &changes.balances {
            *self.tables.balances.entry(*account).or_default() += amount;
        }
        self.tables.prices.extend(changes.prices.iter());
        if let Some(entry) = entry {
            self.tables.ledger = Some(entry.number);
        }
    }

    /// Connects, and asks something.
    fn look_up(&mut self) -> Result<()> {
        self.connect()?;
        self.answers.pop().map_or(Ok(()), |code| {
            Err(Error::server(code, "the answer to a question").during(Phase::LookUp))
        })
    }
}

#[derive(Debug, Clone, Default)]
pub struct FakeSink {
    server: Arc<(Mutex<Server>, Condvar)>,
    is_registered: bool,
}

impl FakeSink {
    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.server.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server, when it answers.
    fn answering(&self) -> MutexGuard<'_, Server> {
        let answers = self.server.1.wait_while(self.server(), |server| server.is_held);
        answers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the attempt behind a [panic](Fault::Panic) go on.
    pub fn let_go_on(&self) {
        self.server().is_held = false;
        self.server.1.notify_all();
    }
}

pub fn int(value: Option<&Value<'_>>) -> i64 {
    match value {
        Some(Value::Int(number)) => *number,
        other => panic!("{other:?} is no number"),
    }
}

fn changes(plan: &Plan<'_>) -> Tables {
    let mut changes = Tables::default();
    for statement in &plan.statements {
        for row in &statement.rows {
            let (first, second) = (int(row.first()), || int(row.get(1)));
            match statement.bound.model.name.table() {
                "trades" => *changes.trades.entry(first).or_default() += 1,
                "balances" => *changes.balances.entry(first).or_default() += second(),
                _ => drop(changes.prices.insert(first, second())),
            }
        }
    }
    changes
}

impl Sink for FakeSink {
    fn limits(&mut self, _deadline: Option<Instant>) -> Result<Limits> {
        self.answering().look_up()?;
        Ok(Limits {
            max_packet_bytes: 1 << 20,
        })
    }

    fn model(&mut self, table: &TableEntry, _deadline: Option<Instant>) -> Result<TableModel> {
        TableModel::without_schema(&table.name, &table.rules, table.default_mode)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        _deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let mut server = self.answering();
        server.connect()?;
        if let Some(entry) = entry
            && server.tables.ledger != Some(entry.after)
        {
            return Err(Error::ledger_moved());
        }
        let changes = changes(plan);
        let names = plan.statements.iter().map(|statement| &statement.bound.model.name);
        if let Some(blocked) = server.blocked
            && let Some(name) = names.into_iter().find(|name| name.table() == blocked)
        {
            return Err(Error::server(1146, "no such table").at_table(name, None));
        }
        if let Some(refused) = server.refuses
            && changes.trades.contains_key(&refused)
        {
            return Err(Error::server(1264, "out of range"));
        }
        let is_before_commit = matches!(
            server.faults.last(),
            Some(Fault::LostBefore | Fault::RefusedTogether | Fault::Deadlock | Fault::Unreachable(_))
        );
        if !is_before_commit && !may_commit() {
            return Err(Error::taken_back());
        }
        let lost = || Error::connection(2013, "lost");
        let unknown = |code| Error::commit_unknown(code, "lost while COMMIT was under way");
        match server.faults.pop() {
            Some(Fault::LostBefore) => return Err(lost()),
            Some(Fault::LostAndAway { is_committed, attempts }) => {
                if is_committed {
                    server.apply(entry, &changes);
                }
                server.unreachable = attempts;
                return Err(unknown(2013));
            }
            Some(Fault::LostAtCommit) => return Err(unknown(2013)),
            Some(Fault::LostAndCommittedLater(questions)) if entry.is_some() => {
                server.late.extend(entry.map(|entry| Late {
                    questions,
                    entry,
                    changes,
                }));
                return Err(unknown(2013));
            }
            Some(Fault::Panic) => {
                server.apply(entry, &changes);
                server.is_held = true;
                drop(server);
                panic!("a bug, asked for by a test");
            }
            Some(Fault::RefusedTogether) if changes.trades.len() + changes.prices.len() > 1 => {
                return Err(Error::server(1264, "out of range"));
            }
            Some(Fault::Deadlock) => return Err(Error::server(1213, "deadlock")),
            Some(fault @ (Fault::LostRaceAtCommit | Fault::UntrueAnswer)) => {
                // Nobody could know it without an entry.
                if fault == Fault::UntrueAnswer && entry.is_some() {
                    server.apply(entry, &changes);
                }
                return Err(Error::server(1213, "deadlock").during(Phase::Commit));
            }
            Some(Fault::Unreachable(times)) => {
                server.unreachable = times;
                return Err(lost());
            }
            Some(
                fault @ (Fault::LostAfterCommit
                | Fault::UnclearAnswer
                | Fault::LostAndCommittedLater(_)
                | Fault::LostWithoutTrace),
            ) => {
                server.apply(entry, &changes);
                if fault == Fault::LostWithoutTrace {
                    server.delete_ledger_row();
                }
                return Err(unknown(if fault == Fault::UnclearAnswer { 1180 } else { 2013 }));
            }
            None | Some(Fault::RefusedTogether) => {}
        }
        server.apply(entry, &changes);
        Ok(())
    }

    fn register(&mut self, after: u64, _position: Option<Position>, _deadline: Option<Instant>) -> Result<()> {
        if !self.is_registered {
            let mut server = self.answering();
            server.look_up()?;
            server.tables.ledger.get_or_insert(after);
            drop(server);
            self.is_registered = true;
        }
        Ok(())
    }

    fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    fn last_entry(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        let mut server = self.answering();
        server.look_up()?;
        let found = server.tables.ledger;
        server.let_late_commit();
        Ok(found.map(|number| LedgerRow { number, position: None }))
    }

    fn retire(&mut self, _deadline: Instant) {
        self.server().tables.ledger = None;
    }

    fn connects(&self) -> u64 {
        1
    }
}
