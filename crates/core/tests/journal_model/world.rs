//! The server, which outlives every process, and the sink before it. Each call of a process is a
//! step; at one of them the process stops, and what is in its journal is copied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::error::phase::Phase;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, Position};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::sink::{LocalModel, Sink};
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::value::Value;

use crate::crash::{self, Copy};

/// A row with this in its second column is refused.
pub const BAD: i64 = 666;
/// What the server does with a transaction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    LostBefore,
    /// The answer to COMMIT is lost.
    LostAtCommit {
        is_committed: bool,
    },
    Deadlock,
    /// COMMIT is carried out, and answered by a lost race.
    UntrueAnswer,
}

/// What becomes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Running,
    /// Each of its calls waits. It is taken for dead.
    Stopped,
    /// It goes on after it was taken for dead.
    Zombie,
    /// Nothing of it reaches the server any more.
    Dead,
}

/// A process that was stopped.
#[derive(Debug, Clone)]
pub struct Crash {
    pub copy: Copy,
    /// For each folder: its records up to this one were there when the process last changed
    /// something at the server.
    pub last_change: BTreeMap<String, u64>,
    /// What its buffer had synced for certain.
    pub synced: u64,
}

pub struct Process {
    pub status: Status,
    pub directory: PathBuf,
    /// It stops at this step.
    pub stops_at: Option<u64>,
    pub steps: u64,
    pub crash: Option<Crash>,
    pub buffer: Option<Arc<BackgroundBuffer>>,
    last_change: BTreeMap<String, u64>,
}

#[derive(Default)]
pub struct State {
    pub processes: Vec<Process>,
    pub rng: fastrand::Rng,
    /// In percent.
    pub faults: u8,
    /// What `add()` has returned for in a process that was not stopped: it has to be there.
    pub required: BTreeSet<i64>,
    /// How often a process was told that its place is taken.
    pub refusals: u64,
    /// How often rows were in the journal alone.
    pub stored: u64,
    /// Who made a row in the ledger, or took it over last.
    owners: BTreeMap<(String, u16), usize>,
    pub wrong: Vec<String>,
    /// At each COMMIT all that the journal has is on the disk.
    pub commits_are_synced: bool,
}

#[derive(Default)]
pub struct World {
    state: Mutex<State>,
    pub changed: Condvar,
    pub store: MemoryStore,
    sinks: AtomicUsize,
    /// So many sinks were there at a time, at most.
    pub most_sinks: AtomicUsize,
}

impl World {
    pub fn new(seed: u64, faults: u8) -> Arc<Self> {
        let world = Self::default();
        let mut state = world.lock();
        state.rng = fastrand::Rng::with_seed(seed);
        state.faults = faults;
        drop(state);
        Arc::new(world)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, directory: &Path, stops_at: Option<u64>) -> usize {
        let mut state = self.lock();
        state.processes.push(Process {
            status: Status::Running,
            directory: directory.to_owned(),
            stops_at,
            steps: 0,
            crash: None,
            buffer: None,
            last_change: crash::last_ordinals(directory),
        });
        state.processes.len() - 1
    }

    pub fn set_status(&self, process: usize, status: Status) {
        self.lock().processes[process].status = status;
        self.changed.notify_all();
    }

    /// Stops a process wherever it is.
    pub fn stop(&self, process: usize) {
        self.lock().stop(process);
        self.changed.notify_all();
    }

    pub fn saw_stored(&self, is_stored: bool) {
        self.lock().stored += u64::from(is_stored);
    }

    pub fn is_running(&self, process: usize) -> bool {
        self.lock().processes[process].status == Status::Running
    }
}

impl State {
    fn stop(&mut self, process: usize) {
        let found = &mut self.processes[process];
        if found.status != Status::Running {
            return;
        }
        found.status = Status::Stopped;
        // Before the copy is made: of what comes meanwhile nobody is sure.
        let progress = found.buffer.as_ref().and_then(|buffer| buffer.journal_progress());
        // Where there is no buffer any more, it has let its journal go.
        let synced = progress.map_or(u64::MAX, |(_, synced)| synced);
        found.crash = Some(Crash {
            copy: crash::copy(&found.directory),
            last_change: found.last_change.clone(),
            synced,
        });
    }

    /// The process has changed something at the server.
    fn has_changed(&mut self, process: usize) {
        let process = &mut self.processes[process];
        process.last_change = crash::last_ordinals(&process.directory);
    }

    fn check_synced(&mut self, process: usize) {
        let buffer = self.processes[process].buffer.as_ref();
        let progress = buffer.and_then(|buffer| buffer.journal_progress());
        if self.commits_are_synced && progress.is_none_or(|(appended, synced)| synced < appended) {
            self.wrong.push(format!("COMMIT waits for the disk: {progress:?}"));
        }
    }

    fn fault(&mut self, process: usize) -> Option<Fault> {
        if self.processes[process].status != Status::Running || self.rng.u8(0..100) >= self.faults {
            return None;
        }
        Some(match self.rng.u8(0..5) {
            0 => Fault::LostBefore,
            1 => Fault::LostAtCommit { is_committed: true },
            2 => Fault::LostAtCommit { is_committed: false },
            3 => Fault::Deadlock,
            _ => Fault::UntrueAnswer,
        })
    }
}

pub struct StepSink {
    world: Arc<World>,
    process: usize,
    sink: MemorySink,
    row: Option<(String, u16)>,
}

impl Drop for StepSink {
    fn drop(&mut self) {
        self.world.sinks.fetch_sub(1, Ordering::Relaxed);
    }
}

impl StepSink {
    pub fn new(world: &Arc<World>, process: usize) -> Self {
        let sinks = world.sinks.fetch_add(1, Ordering::Relaxed) + 1;
        world.most_sinks.fetch_max(sinks, Ordering::Relaxed);
        Self {
            world: Arc::clone(world),
            process,
            sink: MemorySink::new(world.store.clone()),
            row: None,
        }
    }

    /// A step. Waits while the process is stopped.
    fn step<'w>(&self, world: &'w World, mut state: MutexGuard<'w, State>) -> Result<MutexGuard<'w, State>> {
        loop {
            match state.processes[self.process].status {
                Status::Running => {
                    let found = &mut state.processes[self.process];
                    found.steps += 1;
                    if found.stops_at != Some(found.steps) {
                        return Ok(state);
                    }
                    state.stop(self.process);
                    world.changed.notify_all();
                }
                Status::Zombie if self.is_replaced(&state) => return Ok(state),
                Status::Stopped => state = world.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                // A process without a row in the ledger has sent no COMMIT. Nobody takes its place,
                // so it has to be dead.
                Status::Zombie | Status::Dead => return Err(Error::connection(2013, "lost")),
            }
        }
    }

    fn is_replaced(&self, state: &State) -> bool {
        let owner = self.row.as_ref().and_then(|row| state.owners.get(row));
        owner.is_some_and(|owner| *owner > self.process)
    }

    fn owns(&self, state: &mut State) {
        if let Some(row) = &self.row {
            state.owners.insert(row.clone(), self.process);
        }
    }

    /// Whoever takes a place over has the lock of the folder. A zombie has lost it.
    fn may_take_over(&self, state: &State) -> Result<()> {
        match state.processes[self.process].status {
            Status::Zombie => Err(Error::connection(2013, "lost")),
            _ => Ok(()),
        }
    }

    /// A call: a step before it, and one after it.
    fn call<R>(&mut self, run: impl FnOnce(&mut Self, &mut State) -> Result<R>) -> Result<R> {
        let world = Arc::clone(&self.world);
        let mut state = self.step(&world, world.lock())?;
        let answer = run(self, &mut state);
        if answer.is_ok() && state.processes[self.process].status == Status::Running {
            state.has_changed(self.process);
        }
        if let Err(error) = &answer
            && error.kind() == Kind::LedgerMoved
            && state.processes[self.process].status == Status::Zombie
        {
            state.refusals += 1;
        }
        drop(self.step(&world, state)?);
        answer
    }
}

fn has_bad_row(plan: &Plan<'_>) -> bool {
    let mut rows = plan.statements.iter().flat_map(|statement| &statement.rows);
    rows.any(|row| row.get(1) == Some(&Value::Int(BAD)))
}

impl Sink for StepSink {
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits> {
        self.sink.limits(deadline)
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel> {
        self.sink.model(table, deadline)
    }

    fn local_model(&self) -> Option<LocalModel> {
        self.sink.local_model()
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let process = self.process;
        let unknown = || Error::commit_unknown(2013, "lost while COMMIT was under way");
        self.call(|own, state| {
            if has_bad_row(plan) {
                return Err(Error::server(1264, "out of range"));
            }
            let fault = state.fault(process);
            match fault {
                Some(Fault::LostBefore) => return Err(Error::connection(2013, "lost")),
                Some(Fault::Deadlock) => return Err(Error::server(1213, "deadlock")),
                Some(Fault::LostAtCommit { is_committed: false }) => {
                    return Err(if may_commit() { unknown() } else { Error::taken_back() });
                }
                _ => {}
            }
            own.sink.commit(plan, entry, deadline, may_commit)?;
            state.check_synced(process);
            if state.processes[process].status == Status::Zombie {
                state
                    .wrong
                    .push(format!("process {process} commits {entry:?} as a zombie"));
            }
            match fault {
                None => Ok(()),
                Some(fault) => {
                    state.has_changed(process);
                    Err(if fault == Fault::UntrueAnswer {
                        Error::server(1213, "deadlock").during(Phase::Commit)
                    } else {
                        unknown()
                    })
                }
            }
        })
    }

    fn stale_rows(&self) -> usize {
        self.sink.stale_rows()
    }

    fn use_writer(&mut self, writer: &str, lane: u16) -> Result<()> {
        self.row = Some((writer.to_owned(), lane));
        self.sink.use_writer(writer, lane)
    }

    fn register(&mut self, after: u64, position: Option<Position>, deadline: Option<Instant>) -> Result<()> {
        self.call(|own, _| own.sink.register(after, position, deadline))
    }

    fn forget_registration(&mut self) {
        self.sink.forget_registration();
    }

    fn last_entry(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.call(|own, _| own.sink.last_entry(deadline))
    }

    fn take_over(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.call(|own, state| {
            own.may_take_over(state)?;
            let taken = own.sink.take_over(deadline)?;
            Ok(taken.inspect(|_| own.owns(state)))
        })
    }

    fn register_successor(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.call(|own, state| {
            own.may_take_over(state)?;
            let made = own.sink.register_successor(deadline)?;
            Ok(made.inspect(|_| own.owns(state)))
        })
    }

    fn retire(&mut self, deadline: Instant) {
        drop(self.call(|own, _| {
            own.sink.retire(deadline);
            Ok(())
        }));
    }

    fn retire_all(&mut self, deadline: Instant) {
        drop(self.call(|own, _| {
            own.sink.retire_all(deadline);
            Ok(())
        }));
    }

    fn connects(&self) -> u64 {
        1
    }
}
