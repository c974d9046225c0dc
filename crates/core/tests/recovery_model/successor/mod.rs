//! A process is stopped at any step, even amid a transaction, and taken for dead. A successor takes
//! its place in the ledger, writes what the position says is missing, and ends the rows. Then the
//! first one goes on: a zombie. Successors are stopped, too, and taken for dead by others.
//!
//! Whatever the steps: each group is written exactly once, and who was replaced commits nothing
//! more.
//!
//! The processes share a server and a journal, which is a list of groups here. All run on one
//! thread: a process that is stopped runs its successor within the call of its sink that it is
//! stopped in.

mod process;
mod sink;
mod world;

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use proptest::prelude::*;
use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::dead_letter::DeadLetter;
use write_buffer_core::error::{Error, Kind, Result};
use write_buffer_core::ledger::{LedgerUse, Position};
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::value::Value;
use write_buffer_core::writer::Writer;
use write_buffer_core::writer::observer::{Commit, Event, Observer};

use self::process::{own, succeed};
use self::world::{Shared, World};
use crate::{NoWait, add, settings};

const LANES: u16 = 2;

/// What happens at a COMMIT of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    LostBefore,
    /// The connection is lost while COMMIT is under way.
    LostAtCommit {
        is_committed: bool,
    },
    /// As before, and it is carried out after so many questions, as on another node of a cluster.
    LostAndCommittedLater(u8),
    Deadlock,
    /// Its halves are tried.
    RefusedTogether,
    /// A table is not there. What is in doubt is settled by a transaction without rows.
    NoTable,
    LostRaceAtCommit,
    /// COMMIT is carried out, and answered by a lost race.
    UntrueAnswer,
}

/// What the first process does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Adds so many groups of a lane to the journal.
    Add(u16, usize),
    /// Writes what it has added of a lane.
    Write(u16),
}

/// How the story goes.
#[derive(Debug, Clone)]
struct Story {
    deeds: Vec<Deed>,
    /// When each process is stopped, counted in its steps, and whether it dies then.
    stops: Vec<(u32, bool)>,
    faults: Vec<Fault>,
    /// Whether the answer to a take-over is lost, and whether it was carried out then.
    lost_take_overs: Vec<Option<bool>>,
    /// Whether the server ends the session that holds a row, when a successor has waited for it.
    ends_sessions: Vec<bool>,
    /// Whether the buffer sets groups aside whose table takes none.
    parks: bool,
    /// How many groups a successor writes in one batch.
    recovered_at_once: usize,
}

fn story() -> impl Strategy<Value = Story> {
    let fault = prop_oneof![
        Just(Fault::LostBefore),
        any::<bool>().prop_map(|is_committed| Fault::LostAtCommit { is_committed }),
        any::<bool>().prop_map(|is_committed| Fault::LostAtCommit { is_committed }),
        (1..4_u8).prop_map(Fault::LostAndCommittedLater),
        Just(Fault::Deadlock),
        Just(Fault::RefusedTogether),
        Just(Fault::NoTable),
        Just(Fault::LostRaceAtCommit),
        Just(Fault::UntrueAnswer),
    ];
    let deed = prop_oneof![
        (0..LANES, 1..4_usize).prop_map(|(lane, count)| Deed::Add(lane, count)),
        (0..LANES).prop_map(Deed::Write),
    ];
    (
        prop::collection::vec(deed, 1..16),
        prop::collection::vec((0..40_u32, prop::bool::weighted(0.2)), 1..4),
        prop::collection::vec(fault, 0..4),
        prop::collection::vec(prop::option::weighted(0.3, any::<bool>()), 0..6),
        prop::collection::vec(any::<bool>(), 0..4),
        any::<bool>(),
        1..5_usize,
    )
        .prop_map(
            |(deeds, stops, faults, lost_take_overs, ends_sessions, parks, recovered_at_once)| Story {
                deeds,
                stops,
                faults,
                lost_take_overs,
                ends_sessions,
                parks,
                recovered_at_once,
            },
        )
}

fn play(story: Story) -> Result<World, String> {
    let shared = Shared {
        world: Arc::default(),
        story: Arc::new(Mutex::new(story)),
    };
    own(&shared);
    let is_settled = shared.world().is_settled;
    if !is_settled {
        // A last one, whom nothing disturbs.
        let calm = Story {
            stops: Vec::new(),
            faults: Vec::new(),
            lost_take_overs: Vec::new(),
            ends_sessions: vec![true; 100],
            ..shared.story().clone()
        };
        *shared.story() = calm;
        let last = 15;
        if !succeed(&shared, last) {
            return Err("the last successor could not go on".to_owned());
        }
    }
    let world = std::mem::take(&mut *shared.world());
    if !world.wrong.is_empty() {
        return Err(format!("{:?}", world.wrong));
    }
    for number in world.journal.keys() {
        let times = world
            .trades
            .get(&i64::try_from(*number).expect("few"))
            .copied()
            .unwrap_or(0);
        if times != 1 {
            return Err(format!("group {number} was written {times} times: {:?}", world.trades));
        }
    }
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_zombie_doubles_nothing_and_a_successor_loses_nothing(story in story()) {
        let ended = play(story);
        prop_assert!(ended.is_ok(), "{}", ended.unwrap_err());
    }
}

/// The first process is stopped at each of its steps, and its successor at each of its own, while
/// the second successor takes over.
#[test]
fn whichever_step_it_is() {
    let (mut take_overs, mut refusals, mut ended_sessions) = (0, 0, 0);
    let deeds = vec![
        Deed::Add(0, 2),
        Deed::Write(0),
        Deed::Add(1, 2),
        Deed::Add(0, 1),
        Deed::Write(1),
    ];
    for first in 0..32 {
        for second in 0..32 {
            let story = Story {
                deeds: deeds.clone(),
                stops: vec![(first, false), (second, false)],
                faults: Vec::new(),
                lost_take_overs: Vec::new(),
                ends_sessions: vec![second % 2 == 0; 8],
                parks: first % 2 == 0,
                recovered_at_once: 2,
            };
            let world = play(story).unwrap_or_else(|wrong| panic!("stopped at {first} and {second}: {wrong}"));
            take_overs += world.take_overs;
            refusals += world.refusals;
            ended_sessions += world.ended_sessions.len();
        }
    }
    // All that is to be tested happens.
    assert!(take_overs > 1_000 && refusals > 500 && ended_sessions > 50);
}

/// A plain buffer over `memory:`, under a name from outside.
fn buffer(store: &MemoryStore) -> ForegroundBuffer {
    let mut sink = MemorySink::new(store.clone());
    sink.use_writer("writer", 0).expect("a name");
    ForegroundBuffer::new(settings(10, LedgerUse::Always), Box::new(sink), Arc::new(NoWait)).expect("a buffer")
}

#[test]
fn a_buffer_that_was_replaced_keeps_its_rows_and_says_so() {
    let store = MemoryStore::default();
    let mut zombie = buffer(&store);
    add(&mut zombie, 1, 1, 1);
    zombie.flush(None).expect("written");
    let mut sink = MemorySink::new(store.clone());
    sink.use_writer("writer", 0).expect("a name");
    sink.take_over(None).expect("taken over").expect("a row");
    add(&mut zombie, 2, 1, 1);
    for _ in 0..3 {
        let failed = zombie.flush(None).expect_err("its place is taken");
        assert_eq!(failed.error.kind(), Kind::TakenOver, "{failed:?}");
        assert_eq!((zombie.pending_rows(), zombie.take_failures().len()), (2, 0));
    }
    sink.retire_all(Instant::now());
    zombie.flush(None).expect_err("its place stays taken");
    let (name, trades) = store.tables().swap_remove(0);
    assert_eq!((name.as_str(), trades.len()), ("trades", 1));
}

/// Says where it is, or that it cannot.
struct Says(Result<Option<Position>>);

impl Observer for Says {
    fn position(&mut self, groups: &Range<usize>, _transaction: u64) -> Result<Option<Position>> {
        assert_eq!(*groups, 0..2);
        self.0.clone()
    }
    fn may_commit(&mut self, _: &Range<usize>) -> bool {
        true
    }
    fn not_committed(&mut self) {}
    fn committed(&mut self, _: &Commit) {}
    fn given_up(&mut self, letter: DeadLetter) {
        panic!("nothing is given up: {}", letter.message);
    }
    fn may_lack_earlier_groups(&mut self, _: &Error) -> bool {
        false
    }
    fn has_room_for_failure(&self) -> bool {
        true
    }
    fn happened(&mut self, _: &Event<'_>) {}
}

#[test]
fn who_cannot_say_the_position_commits_nothing() {
    let store = MemoryStore::default();
    let mut sink = MemorySink::new(store.clone());
    sink.use_writer("writer", 7).expect("a name");
    let settings = settings(10, LedgerUse::Always);
    let mut catalog = settings.catalog(None).expect("a catalog");
    let table = catalog.table("trades").expect("a table");
    let shape = catalog.shape(table, std::iter::once(b"n".as_slice())).expect("a shape");
    let mut batch = Batch::new(Instant::now());
    for number in 0..2 {
        let mut group = Group::default();
        group.push_row(&shape, &[Value::Int(number)]).expect("short");
        batch.append(&group, Instant::now());
    }
    let mut writer = Writer::new(Box::new(sink), Arc::new(NoWait), &settings);
    let at = |through| Some(Position { through, succession: 3 });
    let mut written = |says: Result<Option<Position>>| {
        let written = writer.write(&[&batch], 0, None, &mut Says(says));
        let rows = store.tables().first().map_or(0, |(_, rows)| rows.len());
        let row = store.ledger().remove(&("writer".to_owned(), 7)).expect("a row");
        (written.map_err(|obstacle| obstacle.error().code()), rows, row.position)
    };
    let full = Error::server(1021, "the journal's disk is full");
    assert_eq!(written(Err(full.clone())), (Err(1021), 0, None));
    assert_eq!(written(Ok(at(2))), (Ok(()), 2, Some("2@3".to_owned())));
    assert_eq!(written(Err(full)), (Err(1021), 2, Some("2@3".to_owned())));
    assert_eq!(written(Ok(None)), (Ok(()), 4, Some("2@3".to_owned())), "it stays");
    assert_eq!(written(Ok(at(4))), (Ok(()), 6, Some("4@3".to_owned())));
}
