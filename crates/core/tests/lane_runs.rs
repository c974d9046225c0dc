//! Runs: which lane takes the groups that any lane may take. Time is passed in, and nothing waits.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::lanes::Lanes;
use write_buffer_core::buffer::background::route::{KeyHash, Route};
use write_buffer_core::buffer::queue::LaneId;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::value::Value;

const LANES: usize = 4;
const INTERVAL: Duration = Duration::from_millis(500);
/// 20 batches of 10 rows.
const SHORTEST: usize = 200;

struct World {
    lanes: Lanes<()>,
    group: Group,
    now: Instant,
    next: u64,
    /// Rows in flight, by lane.
    in_flight: [usize; LANES],
}

impl World {
    fn new(settings: &Settings, text: usize) -> Self {
        let mut catalog = settings.catalog(None).expect("a catalog");
        let table = catalog.table("t").expect("a table");
        let columns = ["id".as_bytes(), "text".as_bytes()].into_iter();
        let shape = catalog.shape(table, columns).expect("a shape");
        let mut group = Group::default();
        let text = vec![b'x'; text];
        group
            .push_row(&shape, &[Value::Int(0), Value::bytes(&text)])
            .expect("short");
        Self {
            lanes: Lanes::new(settings, [(); LANES]),
            group,
            now: Instant::now(),
            next: 0,
            in_flight: [0; LANES],
        }
    }

    /// Adds a group with a new key. Returns its lane.
    fn add(&mut self) -> usize {
        self.next += 1;
        self.add_keys(&[self.next])
    }

    fn add_keys(&mut self, keys: &[u64]) -> usize {
        let keys = keys.iter().map(|key| (TableId(0), KeyHash::Known(*key))).collect();
        let route = Route { hash: None, keys };
        self.lanes.add(&self.group, Some(&route), self.now).0.index()
    }

    fn id(&self, lane: usize) -> LaneId {
        self.lanes.ids().nth(lane).expect("a lane")
    }

    fn begin(&mut self, lane: usize) {
        if self.in_flight[lane] == 0 {
            self.lanes.request_flush();
            let (batches, done) = self.lanes.begin(self.id(lane), self.now);
            let groups: usize = batches.iter().map(|batch| batch.group_count()).sum();
            self.in_flight[lane] = groups - done;
        }
    }

    fn settle(&mut self, lane: usize) {
        let groups = std::mem::take(&mut self.in_flight[lane]);
        if groups > 0 {
            self.lanes.settle(self.id(lane), groups, groups);
        }
    }

    fn rows(&self) -> [usize; LANES] {
        std::array::from_fn(|lane| self.lanes.lane(self.id(lane)).queue.pending_rows())
    }
}

fn settings() -> Settings {
    Settings {
        batch_size: 10,
        flush_interval: INTERVAL,
        lanes: LANES,
        ..Settings::default()
    }
}

#[test]
fn without_a_backlog_all_goes_to_one_lane() {
    let mut world = World::new(&settings(), 10);
    for _ in 0..100 {
        for _ in 0..50 {
            assert_eq!(world.add(), 0);
        }
        world.begin(0);
        // What comes while it writes waits there too.
        for _ in 0..49 {
            assert_eq!(world.add(), 0);
        }
        world.settle(0);
        world.begin(0);
        world.settle(0);
    }
}

#[test]
fn a_burst_is_spread_in_runs() {
    let mut world = World::new(&settings(), 10);
    let lanes: Vec<usize> = (0..LANES * SHORTEST).map(|_| world.add()).collect();
    let runs: Vec<&[usize]> = lanes.chunk_by(|one, other| one == other).collect();
    assert_eq!(runs.iter().map(|run| run[0]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(runs.iter().all(|run| run.len() == SHORTEST));
    // Nobody writes, and more waits: runs become longer.
    let mut longest = 0;
    while world.lanes.pending_rows() < 50_000 {
        let before = world.add();
        let mut length = 1;
        while world.add() == before {
            length += 1;
        }
        longest = longest.max(length);
    }
    assert!(longest > 10 * SHORTEST, "{longest}");
    assert!(longest <= 10_000, "{longest}");
}

#[test]
fn all_lanes_have_work_before_the_buffer_is_full() {
    let mut bounds = settings();
    bounds.max_pending_bytes = 8 << 20;
    let mut world = World::new(&bounds, 100_000);
    let mut lanes = Vec::new();
    while world.lanes.fits(&world.group) {
        lanes.push(world.add());
    }
    assert!(world.rows().iter().all(|rows| *rows > 0), "{:?}", world.rows());
    let longest = lanes.chunk_by(|one, other| one == other).map(<[usize]>::len).max();
    // A mebibyte.
    assert!(longest.is_some_and(|rows| rows <= 11), "{lanes:?}");

    bounds = settings();
    bounds.max_pending_rows = 50;
    let mut world = World::new(&bounds, 10);
    while world.lanes.fits(&world.group) {
        world.add();
    }
    assert!(world.rows().iter().all(|rows| *rows > 0), "{:?}", world.rows());
}

#[test]
fn rows_do_not_wait_behind_a_lane_that_stands_still() {
    let mut world = World::new(&settings(), 10);
    assert_eq!(world.add(), 0);
    world.begin(0);
    // It writes, and goes on writing, while a row comes now and then.
    assert_eq!(world.add(), 0);
    world.now += INTERVAL;
    assert_eq!(world.add(), 1);
    world.begin(1);
    world.settle(1);
    assert_eq!(world.add(), 1);
    world.settle(0);
    world.begin(0);
    world.settle(0);
    world.begin(1);
    world.settle(1);
    assert_eq!(world.add(), 0);
}

#[test]
fn groups_with_a_key_that_waits_follow_it_and_are_part_of_no_run() {
    let mut world = World::new(&settings(), 10);
    for at in 0..10 * SHORTEST as u64 {
        assert_eq!(world.add_keys(&[u64::MAX, u64::MAX - 1 - at % 5]), 0);
    }
    // All lanes but that one are idle.
    assert_eq!(world.add(), 1);
    assert_eq!(world.add_keys(&[u64::MAX]), 0);
    assert_eq!(world.add(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Add(usize),
    Begin(usize),
    Settle(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..400_usize).prop_map(Step::Add),
        2 => (0..LANES).prop_map(Step::Begin),
        2 => (0..LANES).prop_map(Step::Settle),
        1 => (1..300_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// While a lane is idle, what comes waits behind one and a half of the shortest runs at most.
    #[test]
    fn nothing_waits_behind_a_long_run_while_a_lane_is_idle(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(&settings(), 10);
        for step in steps {
            match step {
                Step::Add(count) => for _ in 0..count {
                    let before = world.rows();
                    let chosen = world.add();
                    if before.contains(&0) {
                        prop_assert!(before[chosen] < SHORTEST / 2 + SHORTEST, "{before:?} {chosen}");
                    }
                },
                Step::Begin(lane) => world.begin(lane),
                Step::Settle(lane) => world.settle(lane),
                Step::Pass(milliseconds) => world.now += Duration::from_millis(milliseconds),
            }
        }
    }
}
