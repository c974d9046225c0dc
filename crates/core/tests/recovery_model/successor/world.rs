//! What the processes share: the server's tables and ledger, and the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow};

use super::Story;
use super::process::succeed;

#[derive(Debug, Default)]
pub struct World {
    pub rows: BTreeMap<u16, LedgerRow>,
    /// The last process that took a row over.
    pub owners: BTreeMap<u16, usize>,
    /// The sessions that hold a row, amid a transaction.
    pub locks: BTreeMap<u16, u64>,
    pub ended_sessions: BTreeSet<u64>,
    pub last_session: u64,
    /// Transactions whose COMMIT is under way on another node.
    pub late: Vec<Late>,
    pub trades: BTreeMap<i64, u32>,
    /// The journal: the groups' lanes, by number.
    pub journal: BTreeMap<u64, u16>,
    /// Lanes that may have entered a transaction.
    pub entered: BTreeSet<u16>,
    /// When the journal's folder is gone, nobody comes any more.
    pub is_settled: bool,
    pub steps: BTreeMap<usize, u32>,
    pub dead: BTreeSet<usize>,
    pub take_overs: u32,
    /// How often a process heard that it was replaced.
    pub refusals: u32,
    pub wrong: Vec<String>,
}

/// A transaction whose COMMIT is under way on another node.
#[derive(Debug)]
pub struct Late {
    pub questions: u8,
    pub process: usize,
    pub lane: u16,
    pub entry: LedgerEntry,
    pub trades: Vec<i64>,
}

#[derive(Clone)]
pub struct Shared {
    pub world: Arc<Mutex<World>>,
    pub story: Arc<Mutex<Story>>,
}

impl Shared {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step of a process. It may be stopped there. Afterwards it may be dead.
    pub fn step(&self, process: usize) -> Result<()> {
        let stop = self.story().stops.get(process).copied();
        let is_stopped = {
            let mut world = self.world();
            let steps = world.steps.entry(process).or_default();
            *steps += 1;
            stop.is_some_and(|(at, _)| at + 1 == *steps)
        };
        if is_stopped {
            let is_settled = {
                let mut world = self.world();
                if stop.is_some_and(|(_, dies)| dies) {
                    world.dead.insert(process);
                    if let Some(held) = world.sessions_of(process) {
                        world.end_session(held);
                    }
                }
                world.is_settled
            };
            if !is_settled {
                succeed(self, process + 1);
            }
        }
        if self.world().dead.contains(&process) {
            return Err(Error::connection(2003, "the process is dead"));
        }
        Ok(())
    }
}

impl World {
    /// Carries a transaction out.
    pub fn apply(&mut self, process: usize, lane: u16, entry: LedgerEntry, trades: &[i64]) {
        if let Some(owner) = self.owners.get(&lane).copied()
            && owner > process
        {
            self.wrong
                .push(format!("process {process} commits after {owner} took its place"));
        }
        let row = self.rows.get_mut(&lane).expect("it was compared");
        row.number = entry.number;
        if let Some(position) = entry.position {
            row.position = Some(position.to_string());
        }
        for trade in trades {
            *self.trades.entry(*trade).or_default() += 1;
        }
    }

    /// A question was answered. Late COMMITs are carried out when their time has come, unless
    /// somebody has written the row meanwhile.
    pub fn let_late_commit(&mut self) {
        for mut late in std::mem::take(&mut self.late) {
            late.questions -= 1;
            if late.questions > 0 {
                self.late.push(late);
            } else if self.rows.get(&late.lane).map(|row| row.number) == Some(late.entry.after) {
                self.apply(late.process, late.lane, late.entry, &late.trades);
            }
        }
    }

    /// The session of a process that holds a row. Its number says whose it is.
    pub fn sessions_of(&self, process: usize) -> Option<u64> {
        let mut sessions = self.locks.values().copied();
        sessions.find(|session| session % 16 == process as u64)
    }

    pub fn end_session(&mut self, session: u64) {
        self.locks.retain(|_, holder| *holder != session);
        self.ended_sessions.insert(session);
    }
}
