//! What processes do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::leftovers::{EndCause, EndTime};
use write_buffer_core::buffer::recovery::{MakeSink, Recovered, Recovery};
use write_buffer_core::buffer::snapshot::ThreadState;
use write_buffer_core::error::Error;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::{JournalSettings, JournalSync, Settings};
use write_buffer_core::sink::Sink;
use write_buffer_core::table::rules::{KeyRule, MergeRule, Mode, TableRules};
use write_buffer_core::value::Value;
use write_buffer_journal::journal::Journal;

use crate::crash;
use crate::world::{BAD, Crash, Status, StepSink, World};

/// The tables that are insert-only and have no key: a group that is written twice is there twice.
pub const EVENTS: [&str; 2] = ["events0", "events1"];

/// Nothing takes as long.
const LONG: Duration = Duration::from_mins(5);

/// A group, as the judge knows it.
#[derive(Debug, Clone)]
pub struct Added {
    pub events: &'static str,
    pub is_bad: bool,
    pub balance: Option<(i64, i64)>,
    pub price: Option<i64>,
    /// The process that added it, and its number there.
    pub process: usize,
    pub number: Option<u64>,
}

/// A program: what is the same in all lives, and what was added.
pub struct Program {
    pub sync: JournalSync,
    lanes: usize,
    max_bytes: u64,
    look_interval: Duration,
    max_pending_rows: usize,
    max_pending_bytes: usize,
    pub added: BTreeMap<i64, Added>,
    blocked: Vec<&'static str>,
    /// The machine was off, and nobody had waited for the disk.
    pub may_lose: bool,
    /// Somebody has emptied the ledger's table: nobody can say what was committed.
    pub has_lost_ledger: bool,
}

impl Program {
    pub fn new(rng: &mut fastrand::Rng) -> Self {
        Self {
            sync: match rng.u8(0..4) {
                0 => JournalSync::Always,
                1 => JournalSync::Interval(Duration::from_millis(1)),
                _ => JournalSync::None,
            },
            lanes: rng.usize(1..5),
            max_bytes: if rng.bool() { 64 << 10 } else { 1 << 20 },
            look_interval: Duration::from_millis(rng.u64(1..20)),
            max_pending_rows: if rng.bool() { 8 } else { 1000 },
            // So little that most of what waits is in the journal alone.
            max_pending_bytes: if rng.bool() { 8 << 10 } else { 64 << 20 },
            added: BTreeMap::new(),
            blocked: Vec::new(),
            may_lose: false,
            has_lost_ledger: false,
        }
    }

    fn settings(&self, directory: &Path) -> Settings {
        let keyed = |merge: Vec<(String, MergeRule)>| TableRules {
            key: KeyRule::Columns(vec!["id".to_owned()]),
            merge,
            ..TableRules::default()
        };
        let insert = || TableRules {
            mode: Some(Mode::Insert),
            key: KeyRule::Columns(vec!["none".to_owned()]),
            ..TableRules::default()
        };
        Settings {
            batch_size: 3,
            max_pending_rows: self.max_pending_rows,
            max_pending_bytes: self.max_pending_bytes,
            flush_interval: Duration::from_millis(1),
            lanes: self.lanes,
            route_by: Some("route".to_owned()),
            park_timeout: Duration::ZERO,
            overflow_timeout: Duration::from_millis(200),
            tables: vec![
                (
                    "balances".to_owned(),
                    keyed(vec![("amount".to_owned(), MergeRule::Sum)]),
                ),
                ("prices".to_owned(), keyed(Vec::new())),
                (EVENTS[0].to_owned(), insert()),
                (EVENTS[1].to_owned(), insert()),
            ],
            journal: Some(JournalSettings {
                directory: directory.to_owned(),
                sync: self.sync,
                max_bytes: self.max_bytes,
                dsn: "memory:".to_owned(),
                look_interval: self.look_interval,
            }),
            ..Settings::default()
        }
    }

    fn block(&mut self, world: &World, rng: &mut fastrand::Rng) {
        let table = [EVENTS[0], EVENTS[1], "balances", "prices"][rng.usize(0..4)];
        let is_blocked = self.blocked.contains(&table);
        self.blocked.retain(|other| *other != table);
        if !is_blocked {
            self.blocked.push(table);
        }
        world.store.block_table(table, (!is_blocked).then_some(1146));
    }

    pub fn unblock_all(&mut self, world: &World) {
        for table in std::mem::take(&mut self.blocked) {
            world.store.block_table(table, None);
        }
    }

    fn next(&mut self, process: usize, rng: &mut fastrand::Rng) -> (i64, Added) {
        let id = i64::try_from(self.added.len()).expect("few") + 1000;
        // Processes do not share prices: nobody promises an order between them.
        let first = i64::try_from(process).expect("few") * 10;
        let added = Added {
            events: EVENTS[rng.usize(0..2)],
            is_bad: rng.u8(0..20) == 0,
            balance: rng.bool().then(|| (rng.i64(0..3), rng.i64(1..100))),
            price: rng.bool().then(|| first + rng.i64(0..3)),
            process,
            number: None,
        };
        self.added.insert(id, added.clone());
        (id, added)
    }

    /// What a copy has lost, compared with the moment at which it was made.
    pub fn lose(&mut self, world: &World, life: &Life, crash: &Crash, rng: &mut fastrand::Rng) {
        let is_power_cut = rng.u8(0..3) == 0 && life.kind == Kind::Owns;
        for (folder, last) in &crash.copy.ordinals {
            let path = crash.copy.directory.join(folder);
            let is_own = *folder == life.writer;
            let mut first = crash.last_change.get(folder).copied().unwrap_or(0);
            if is_power_cut {
                // What is not its own was synced by those who took it over, or long ago.
                first = if is_own { crash.synced } else { *last };
            }
            let first = first.max(crash::last_settled_through(&path)).min(*last);
            let gone = crash::cut(&path, rng.u64(first..=*last));
            if is_power_cut {
                crash::begin_another_life(&path);
            }
            if is_own {
                let of_process = |added: &Added| {
                    added.process == life.process && added.number.is_some_and(|number| gone.contains(&number))
                };
                let ids: Vec<i64> = self
                    .added
                    .iter()
                    .filter(|(_, added)| of_process(added))
                    .map(|(id, _)| *id)
                    .collect();
                let mut state = world.lock();
                for id in ids {
                    if state.required.remove(&id) && is_power_cut && self.sync == JournalSync::Always {
                        state.wrong.push(format!("{id} was taken, and is not on the disk"));
                    }
                }
            }
        }
        self.may_lose |= is_power_cut && self.sync == JournalSync::None;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has a buffer, which waits for the recovery.
    Owns,
    /// It recovers, and nothing else.
    Recovers,
    /// The same, for a short time.
    RecoversInTime,
}

/// A process.
pub struct Life {
    pub process: usize,
    pub kind: Kind,
    /// Its folder.
    pub writer: String,
    buffer: Option<Arc<BackgroundBuffer>>,
    directory: PathBuf,
    thread: Option<JoinHandle<Vec<Recovered>>>,
    stops: Arc<AtomicBool>,
    /// Why a recovery has not come to its end.
    pub left: Vec<String>,
}

fn spawn(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(body).map(drop)
}

fn sink(world: &Arc<World>, process: usize) -> Box<dyn Sink> {
    Box::new(StepSink::new(world, process))
}

impl Life {
    pub fn begin(
        world: &Arc<World>,
        program: &Program,
        kind: Kind,
        directory: &Path,
        stops_at: Option<u64>,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let process = world.begin(directory, stops_at);
        let settings = program.settings(directory);
        let make_sink: MakeSink = {
            let world = Arc::clone(world);
            Box::new(move |_, _| Ok(sink(&world, process)))
        };
        let recovery = Recovery::new(settings.clone(), make_sink, spawn).expect("a recovery");
        let recovery = Arc::new(recovery);
        let mut life = Self {
            process,
            kind,
            writer: String::new(),
            buffer: None,
            directory: directory.to_owned(),
            thread: None,
            stops: Arc::default(),
            left: Vec::new(),
        };
        if kind == Kind::Owns {
            let sinks = (0..program.lanes).map(|_| sink(world, process)).collect();
            let buffer = Arc::new(BackgroundBuffer::new(settings, sinks, spawn).expect("a buffer"));
            recovery.start(&buffer).expect("started");
            recovery.watch(&buffer);
            world.lock().processes[process].buffer = Some(Arc::clone(&buffer));
            life.writer = buffer.journal_writer().expect("a journal");
            life.buffer = Some(buffer);
        } else {
            let stops = Arc::clone(&life.stops);
            let time = Duration::from_millis(rng.u64(0..30));
            let until = Instant::now() + if kind == Kind::Recovers { LONG } else { time };
            let stops = move || stops.load(Ordering::Relaxed) || Instant::now() >= until;
            life.thread = Some(std::thread::spawn(move || recovery.run(&stops)));
        }
        life
    }

    /// Does something, until it is stopped.
    pub fn live(&mut self, world: &World, program: &mut Program, rng: &mut fastrand::Rng) {
        for _ in 0..rng.usize(1..60) {
            if !world.is_running(self.process) {
                break;
            }
            match (rng.u8(0..12), &self.buffer) {
                (0, _) => program.block(world, rng),
                (1, Some(buffer)) => drop(buffer.flush(Some(Duration::from_millis(rng.u64(0..30))), &|| false)),
                (2, Some(buffer)) => buffer.request_flush(),
                (_, Some(buffer)) => {
                    let (id, added) = program.next(self.process, rng);
                    let number = add(buffer, id, &added, rng);
                    world.saw_stored(buffer.rows_in_journal() > 0);
                    if let Some(number) = number {
                        program.added.get_mut(&id).expect("it was just added").number = Some(number);
                        let mut state = world.lock();
                        if state.processes[self.process].status == Status::Running {
                            state.required.insert(id);
                        }
                    }
                }
                (_, None) => {
                    let time = Instant::now() + Duration::from_millis(rng.u64(0..10));
                    self.wait(world, time);
                }
            }
        }
    }

    /// Waits until it is stopped, or has come to its end.
    fn wait(&self, world: &World, until: Instant) {
        let mut state = world.lock();
        let is_over = |life: &Self| life.thread.as_ref().is_none_or(JoinHandle::is_finished);
        while state.processes[self.process].status == Status::Running && !is_over(self) && Instant::now() < until {
            state = world
                .changed
                .wait_timeout(state, Duration::from_millis(1))
                .expect("not poisoned")
                .0;
        }
    }

    /// Waits until its recovery has come to its end.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            for recovered in thread.join().expect("no panic") {
                self.left.extend(recovered.error.map(|error| error.to_string()));
                self.left
                    .extend(recovered.set_aside.map(|aside| format!("set aside: {aside:?}")));
            }
        }
    }

    /// A zombie tries to write what it has.
    pub fn go_on(&mut self) {
        if let Some(buffer) = &self.buffer {
            drop(buffer.flush(Some(Duration::from_millis(300)), &|| false));
        }
    }

    /// Ends as a process should, unless it is stopped meanwhile.
    pub fn end(&mut self, world: &World) {
        self.stops.store(true, Ordering::Relaxed);
        world.changed.notify_all();
        if let Some(buffer) = &self.buffer {
            let time = EndTime::of(Duration::from_millis(20));
            let cause = buffer.drain(time).err().unwrap_or_else(|| EndCause {
                error: Error::closed(),
                place: None,
                names_keys: true,
            });
            drop(buffer.keep_left(&cause, time, &std::collections::BTreeSet::new()));
            buffer.stop();
            let until = Instant::now() + LONG;
            let is_stopped = || world.lock().processes[self.process].status == Status::Stopped;
            // Its recovery may go on for a while.
            let journal = Journal::open(&self.directory).expect("a journal");
            let is_locked = || {
                let folders = journal.inspect(|_| None).expect("a list");
                folders.iter().any(|folder| folder.holder.is_some())
            };
            let is_over = || buffer.snapshot().thread == ThreadState::None && !is_locked();
            while !is_over() && !is_stopped() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            self.wait(world, Instant::now() + LONG);
        }
    }
}

fn add(buffer: &BackgroundBuffer, id: i64, added: &Added, rng: &mut fastrand::Rng) -> Option<u64> {
    let route = rng.i64(0..8);
    let mut rows: Vec<(&str, Vec<&str>, Vec<i64>)> = Vec::new();
    let second = if added.is_bad { BAD } else { 1 };
    rows.push((added.events, vec!["n", "part", "route"], vec![id, 0, route]));
    if let Some((account, amount)) = added.balance {
        rows.push(("balances", vec!["id", "amount"], vec![account, amount]));
    }
    if let Some(price) = added.price {
        rows.push(("prices", vec!["id", "price"], vec![price, id]));
    }
    rows.push((added.events, vec!["n", "part", "route"], vec![id, second, route]));
    let mut group = Group::default();
    for (table, columns, values) in rows {
        let mut catalog = buffer.catalog();
        let table = catalog.table(table).expect("a table");
        let shape = catalog
            .shape(table, columns.iter().map(|name| name.as_bytes()))
            .expect("a shape");
        let values: Vec<_> = values.into_iter().map(Value::Int).collect();
        group.push_row(&shape, &values).expect("short");
    }
    let limit = rng.bool().then(|| Instant::now() + Duration::from_millis(50));
    buffer.add(&group, limit, &|| false).ok().flatten()
}
