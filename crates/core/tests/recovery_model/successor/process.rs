//! The processes: the first one, and its successors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use write_buffer_core::clock::Clock;
use write_buffer_core::dead_letter::DeadLetter;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::ledger::{LedgerRow, LedgerUse, Position, SUCCESSOR_LANE};
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::value::Value;
use write_buffer_core::writer::Writer;
use write_buffer_core::writer::observer::{Commit, Event, Observer};

use super::sink::NamedSink;
use super::world::Shared;
use super::{Deed, LANES};
use crate::NoWait;

/// How often a process tries what fails.
const TRIES: usize = 8;

/// What a process knows of the groups that it writes.
struct Memory<'p> {
    shared: &'p Shared,
    process: usize,
    /// `None`: groups of all lanes, in their order.
    lane: Option<u16>,
    /// The numbers of the batch's groups.
    numbers: Vec<u64>,
    /// Those of all groups that are not settled.
    unsettled: &'p mut BTreeSet<u64>,
    done: usize,
}

impl Observer for Memory<'_> {
    fn position(&mut self, groups: &Range<usize>, _transaction: u64) -> Result<Option<Position>> {
        assert!(!groups.is_empty(), "nothing is settled by a transaction without rows");
        let mut world = self.shared.world();
        world.entered.extend(self.lane);
        drop(world);
        let written: BTreeSet<u64> = self.numbers[groups.clone()].iter().copied().collect();
        Ok(Some(Position {
            through: *written.last().expect("not empty"),
            succession: u32::from(self.lane.is_none()),
        }))
    }

    fn may_commit(&mut self, _groups: &Range<usize>) -> bool {
        true
    }

    fn not_committed(&mut self) {}

    fn committed(&mut self, written: &Commit) {
        for number in &self.numbers[written.groups.clone()] {
            self.unsettled.remove(number);
        }
        self.done = written.groups.end;
    }

    fn given_up(&mut self, letter: DeadLetter) {
        let said = format!("process {} gives up: {}", self.process, letter.message);
        self.shared.world().wrong.push(said);
        self.done += 1;
    }

    fn may_lack_earlier_groups(&mut self, _error: &Error) -> bool {
        false
    }

    fn has_room_for_failure(&self) -> bool {
        true
    }

    fn happened(&mut self, _event: &Event<'_>) {}
}

fn settings(shared: &Shared) -> Settings {
    Settings {
        keeps_rows: shared.story().parks,
        ..crate::settings(10, LedgerUse::Always)
    }
}

fn writer(shared: &Shared, sink: NamedSink) -> Writer {
    let clock: Arc<dyn Clock> = Arc::new(NoWait);
    Writer::new(Box::new(sink), clock, &settings(shared))
}

/// Writes groups by their numbers. Returns why it had to stop.
fn write(
    writer: &mut Writer,
    shared: &Shared,
    (process, lane): (usize, Option<u16>),
    numbers: Vec<u64>,
    unsettled: &mut BTreeSet<u64>,
) -> Result<(), Error> {
    let mut catalog = settings(shared).catalog(None).expect("a catalog");
    let table = catalog.table("trades").expect("a table");
    let shape = catalog.shape(table, std::iter::once(b"n".as_slice())).expect("a shape");
    let mut batch = Batch::new(Instant::now());
    for number in &numbers {
        let mut group = Group::default();
        let value = Value::Int(i64::try_from(*number).expect("few"));
        group.push_row(&shape, &[value]).expect("short");
        batch.append(&group, Instant::now());
    }
    let mut memory = Memory {
        shared,
        process,
        lane,
        numbers,
        unsettled,
        done: 0,
    };
    let mut failed = None;
    for _ in 0..TRIES {
        let done = memory.done;
        match writer.write(&[&batch], done, None, &mut memory) {
            Ok(()) => return Ok(()),
            Err(obstacle) if obstacle.error().kind() == Kind::TakenOver => {
                shared.world().refusals += 1;
                if failed
                    .replace(obstacle.error().clone())
                    .is_some_and(|last| last.kind() == Kind::TakenOver)
                {
                    // However often it tries.
                    break;
                }
            }
            Err(obstacle) => failed = Some(obstacle.error().clone()),
        }
    }
    Err(failed.expect("it was tried"))
}

/// The first process: adds groups to the journal, and writes them, each lane its own.
pub fn own(shared: &Shared) {
    let mut writers: Vec<Writer> = (0..LANES)
        .map(|lane| {
            let mut sink = NamedSink::new(shared, 0);
            sink.use_writer("writer", lane).expect("a name");
            writer(shared, sink)
        })
        .collect();
    let mut unsettled = BTreeSet::new();
    let mut queues = vec![Vec::new(); usize::from(LANES)];
    let mut last = 0;
    let deeds = shared.story().deeds.clone();
    for deed in deeds.into_iter().chain((0..LANES).map(Deed::Write)) {
        match deed {
            Deed::Add(lane, count) => {
                let numbers: Vec<u64> = (last + 1..=last + count as u64).collect();
                last += count as u64;
                let added = numbers.iter().map(|number| (*number, lane));
                // A lane's folder is another process's as soon as it is taken over.
                if !shared.world().owners.contains_key(&lane) {
                    shared.world().journal.extend(added);
                    unsettled.extend(numbers.iter().copied());
                    queues[usize::from(lane)].extend(numbers);
                }
            }
            Deed::Write(lane) => {
                let at = usize::from(lane);
                let numbers = queues[at].clone();
                if !numbers.is_empty()
                    && write(&mut writers[at], shared, (0, Some(lane)), numbers, &mut unsettled).is_ok()
                {
                    queues[at].clear();
                }
                queues[at].retain(|number| unsettled.contains(number));
            }
        }
    }
    if unsettled.is_empty() {
        // A clean end: the journal's folder goes, then the rows.
        shared.world().is_settled = true;
        for writer in &mut writers {
            writer.retire(Instant::now() + Duration::from_secs(1));
        }
    }
}

/// Takes over a row, or makes it. `None`: somebody holds it, or this process is dead.
fn take(
    shared: &Shared,
    process: usize,
    lane: u16,
    mut take_over: impl FnMut() -> Result<Option<LedgerRow>>,
) -> Option<LedgerRow> {
    for _ in 0..TRIES {
        match take_over() {
            Ok(Some(row)) => return Some(row),
            Ok(None) if shared.world().entered.contains(&lane) => {
                let said = format!("process {process} finds no row of lane {lane}, which has entered something");
                shared.world().wrong.push(said);
                return None;
            }
            Err(error) if error.code() == 1205 => {
                if !shared.story().ends_sessions.pop().unwrap_or(false) {
                    return None;
                }
                let mut world = shared.world();
                if let Some(holder) = world.locks.get(&lane).copied() {
                    world.end_session(holder);
                }
            }
            Ok(None) | Err(_) => {}
        }
    }
    None
}

/// A successor: takes over all rows, writes what is not settled, and ends them. Returns whether it
/// came to the end.
pub fn succeed(shared: &Shared, process: usize) -> bool {
    let mut sink = NamedSink::new(shared, process);
    let mut positions = BTreeMap::new();
    let mut note = |lane: u16, row: LedgerRow| {
        let position = row.position.map(|text| Position::parse(&text).expect("a position"));
        positions.insert(lane, position);
    };
    for lane in 0..LANES {
        sink.use_writer("writer", lane).expect("a name");
        let taken = take(shared, process, lane, || match sink.take_over(None)? {
            Some(row) => Ok(Some(row)),
            None if shared.world().entered.contains(&lane) => Ok(None),
            None => sink.register_successor(None),
        });
        let Some(row) = taken else { return false };
        note(lane, row);
    }
    // Theirs comes last: what another successor has written before is in its position, and none
    // writes after.
    sink.use_writer("writer", SUCCESSOR_LANE).expect("a name");
    let mut writer = writer(shared, sink);
    let taken = take(shared, process, SUCCESSOR_LANE, || match writer.take_over(None)? {
        Some(row) => Ok(Some(row)),
        None => writer.register_successor(None),
    });
    let Some(row) = taken else { return false };
    note(SUCCESSOR_LANE, row);
    let is_settled = |number: u64, lane: u16| {
        let of_lane = positions.get(&lane).copied().flatten();
        of_lane.is_some_and(|position| number <= position.through)
            || positions
                .values()
                .flatten()
                .any(|position| position.succession > 0 && number <= position.through)
    };
    let left: Vec<u64> = shared
        .world()
        .journal
        .iter()
        .filter(|(number, lane)| !is_settled(**number, **lane))
        .map(|(number, _)| *number)
        .collect();
    let mut unsettled: BTreeSet<u64> = left.iter().copied().collect();
    let at_once = shared.story().recovered_at_once;
    for numbers in left.chunks(at_once) {
        if write(&mut writer, shared, (process, None), numbers.to_vec(), &mut unsettled).is_err() {
            return false;
        }
    }
    // The folder first.
    shared.world().is_settled = true;
    writer.retire_all(Instant::now() + Duration::from_secs(1));
    true
}
