//! Lanes against their purpose: flushers take up, settle and fail in any order, and rows of one key
//! never overtake each other. Time is passed in, and nothing waits.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::lanes::Lanes;
use write_buffer_core::buffer::background::route::{KeyHash, Route};
use write_buffer_core::buffer::key_index::KeyIndex;
use write_buffer_core::buffer::queue::{Due, LaneId};
use write_buffer_core::rows::arena::Row;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::table::catalog::Catalog;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::shape::Shape;
use write_buffer_core::value::Value;

const INTERVAL: Duration = Duration::from_millis(100);
const LANES: usize = 3;

/// A row of the model: its table, its key, and whether the lanes are told of the key.
#[derive(Debug, Clone, Copy)]
struct ModelRow {
    table: usize,
    key: i64,
    is_known: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        rows: Vec<ModelRow>,
        /// `None`: any lane may take the group.
        route: Option<u64>,
    },
    Flush,
    /// Somebody waits for a group: one of those taken, by its place among them.
    WaitFor(u64),
    Pass(u64),
    Begin(usize),
    Settle(usize, usize),
    Fail(usize, u64),
    Find(usize, i64),
}

fn row() -> impl Strategy<Value = ModelRow> {
    (0..2_usize, 0..6_i64, prop::bool::weighted(0.93)).prop_map(|(table, key, is_known)| ModelRow {
        table,
        key,
        is_known,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec(row(), 1..4), any::<Option<u64>>()).prop_map(|(rows, route)| Step::Add { rows, route }),
        1 => Just(Step::Flush),
        1 => any::<u64>().prop_map(Step::WaitFor),
        2 => (1..150_u64).prop_map(Step::Pass),
        6 => (0..LANES).prop_map(Step::Begin),
        6 => (0..LANES, 1..6_usize).prop_map(|(lane, groups)| Step::Settle(lane, groups)),
        1 => (0..LANES, 0..300_u64).prop_map(|(lane, wait)| Step::Fail(lane, wait)),
        2 => (0..2_usize, 0..6_i64).prop_map(|(table, key)| Step::Find(table, key)),
    ]
}

/// What became of the rows, each named by its number.
#[derive(Default)]
struct World {
    next: i64,
    /// Rows that are not settled, by table and key, in the order in which they were added.
    waiting: BTreeMap<(usize, i64), Vec<i64>>,
    /// The groups in flight, by lane: each group's rows.
    in_flight: [Vec<Vec<(usize, i64, i64)>>; LANES],
    pending: BTreeSet<i64>,
    /// The first row of each group, in the order in which they were added.
    groups: Vec<i64>,
}

fn numbers(row: &Row<'_>) -> (usize, i64, i64) {
    let values: Vec<_> = row.values().collect();
    match values.as_slice() {
        [Value::Int(key), Value::Int(number)] => (row.shape.table.0, *key, *number),
        other => panic!("{other:?} is no row of this test"),
    }
}

/// The rows that an index finds under a key, each by its number.
fn found(index: &mut KeyIndex, lanes: &Lanes<()>, key: i64) -> Vec<i64> {
    let wanted = index.hash_of_key(&[&Value::Int(key)]);
    let view = loop {
        let view = index.look(lanes.iter().map(|lane| &lane.queue), wanted);
        if view.is_complete {
            break view;
        }
        index.learn(&view);
    };
    let rows = index.with_rows(&view, wanted, std::iter::empty(), |rows| {
        rows.iter().map(numbers).collect::<Vec<_>>()
    });
    index.forget_settled(lanes.pending_rows());
    rows.into_iter()
        .filter(|row| row.1 == key)
        .map(|(_, _, number)| number)
        .collect()
}

fn id(lanes: &Lanes<()>, lane: usize) -> LaneId {
    lanes.ids().nth(lane).expect("a lane")
}

impl World {
    fn add(
        &mut self,
        lanes: &mut Lanes<()>,
        shapes: &[Arc<Shape>],
        rows: &[ModelRow],
        route: Option<u64>,
        now: Instant,
    ) {
        let mut group = Group::default();
        let mut keys = Vec::new();
        self.groups.push(self.next + 1);
        for row in rows {
            self.next += 1;
            let values = [Value::Int(row.key), Value::Int(self.next)];
            group.push_row(&shapes[row.table], &values).expect("short");
            self.waiting.entry((row.table, row.key)).or_default().push(self.next);
            self.pending.insert(self.next);
            // Fewer hashes than keys: after a collision a group may wait, and must not be wrong.
            let hash = KeyHash::Known(u64::try_from(row.key % 5).expect("positive"));
            keys.push((TableId(row.table), if row.is_known { hash } else { KeyHash::Unknown }));
        }
        lanes.add(&group, Some(&Route { hash: route, keys }), now);
    }

    /// The numbers of the groups that are not settled: their rows are all there still.
    fn unsettled(&self) -> BTreeSet<u64> {
        let numbered = (1..).zip(&self.groups);
        let waits = numbered.filter(|(_, first)| self.pending.contains(first));
        waits.map(|(number, _)| number).collect()
    }

    /// Settles groups of a lane: each row must be the oldest one of its key.
    fn settle(&mut self, lanes: &mut Lanes<()>, lane: usize, groups: usize) -> Result<Vec<usize>, TestCaseError> {
        let groups: Vec<_> = self.in_flight[lane].drain(..groups).collect();
        let mut rows = 0;
        for (table, key, number) in groups.iter().flatten() {
            let waiting = self.waiting.entry((*table, *key)).or_default();
            prop_assert_eq!(
                waiting.first(),
                Some(number),
                "table {} key {} in lane {}",
                table,
                key,
                lane
            );
            waiting.remove(0);
            self.pending.remove(number);
            rows += 1;
        }
        Ok(lanes
            .settle(id(lanes, lane), groups.len(), rows)
            .ids()
            .map(LaneId::index)
            .collect())
    }

    /// Somebody waits for a group: the lanes settle it without anybody's further word. What came
    /// later may stay.
    fn wait_for(&mut self, lanes: &mut Lanes<()>, group: u64, now: Instant) -> Result<(), TestCaseError> {
        lanes.request_group(group);
        for round in 0.. {
            if !lanes.has(group) {
                break;
            }
            prop_assert!(round < 1_000, "group {group} waits for ever");
            for lane in 0..LANES {
                if lanes.has(group) && lanes.due(id(lanes, lane), now) == Due::Now {
                    self.begin(lanes, lane, now);
                    let groups = self.in_flight[lane].len();
                    self.settle(lanes, lane, groups)?;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, lanes: &mut Lanes<()>, lane: usize, now: Instant) {
        let (batches, done) = lanes.begin(id(lanes, lane), now);
        self.in_flight[lane] = batches
            .iter()
            .flat_map(|batch| batch.groups())
            .skip(done)
            .map(|rows| rows.map(|row| numbers(&row)).collect())
            .collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_of_one_key_never_overtake_each_other(steps in prop::collection::vec(step(), 1..150)) {
        let settings = Settings {
            batch_size: 4,
            flush_interval: INTERVAL,
            lanes: LANES,
            // Runs are short: of four rows.
            max_pending_rows: 8 * LANES,
            ..Settings::default()
        };
        let mut catalog = Catalog::new(None, &["a", "b"], "none", Vec::new()).expect("a catalog");
        let columns = || [b"id".as_slice(), b"number"].into_iter();
        let shapes = [0, 1].map(|table| catalog.shape(TableId(table), columns()).expect("a shape"));
        let mut lanes = Lanes::new(&settings, [(); LANES]);
        let mut world = World::default();
        let mut now = Instant::now();
        let mut indexes = [0, 1].map(|table| {
            let entry = catalog.entry(TableId(table)).expect("a table");
            let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
            KeyIndex::new(TableId(table), &model)
        });

        for step in steps {
            let due_before: Vec<Due> = (0..LANES).map(|lane| lanes.due(id(&lanes, lane), now)).collect();
            let mut woken = None;
            match step {
                Step::Add { rows, route } => world.add(&mut lanes, &shapes, &rows, route, now),
                Step::Flush => { lanes.request_flush(); }
                Step::WaitFor(at) => {
                    if let Some(group) = at.checked_rem(world.groups.len() as u64).map(|at| at + 1) {
                        world.wait_for(&mut lanes, group, now)?;
                    }
                }
                Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Begin(lane) if lanes.due(id(&lanes, lane), now) == Due::Now => {
                    world.begin(&mut lanes, lane, now);
                    prop_assert!(!world.in_flight[lane].is_empty());
                }
                Step::Begin(_) => {}
                Step::Settle(lane, groups) => {
                    let groups = groups.min(world.in_flight[lane].len());
                    // After a failure nothing is settled before it is taken up again.
                    if groups > 0 && lanes.due(id(&lanes, lane), now) == Due::Now {
                        woken = Some((lane, world.settle(&mut lanes, lane, groups)?));
                    }
                }
                Step::Find(table, key) => {
                    let rows = found(&mut indexes[table], &lanes, key);
                    let expected = world.waiting.get(&(table, key)).cloned().unwrap_or_default();
                    prop_assert_eq!(rows, expected, "table {} key {}", table, key);
                }
                Step::Fail(lane, milliseconds) => {
                    if !world.in_flight[lane].is_empty() {
                        lanes.failed(id(&lanes, lane), now + Duration::from_millis(milliseconds));
                    }
                }
            }
            // A lane that another one's work made due is woken.
            if let Some((settled, woken)) = woken {
                for lane in (0..LANES).filter(|lane| *lane != settled) {
                    if due_before[lane] != Due::Now && lanes.due(id(&lanes, lane), now) == Due::Now {
                        prop_assert!(woken.contains(&lane), "lane {lane} slept on");
                    }
                }
            }
            // Nobody waits for a lane that itself only waits for its time.
            let is_busy = |lane: usize| !world.in_flight[lane].is_empty() || lanes.due(id(&lanes, lane), now) == Due::Now;
            let waits = |lane: usize| {
                lanes.due(id(&lanes, lane), now) == Due::Never && lanes.lane(id(&lanes, lane)).queue.pending_rows() > 0
            };
            prop_assert!(!(0..LANES).any(waits) || (0..LANES).any(is_busy), "all lanes sleep");
            // Each row is in exactly one place, and is found in its order.
            for (table, _) in shapes.iter().enumerate() {
                let rows: Vec<i64> = lanes.rows_of(TableId(table)).map(|row| numbers(&row).2).collect();
                let mut expected: Vec<i64> =
                    world.waiting.iter().filter(|((of, _), _)| *of == table).flat_map(|(_, rows)| rows.clone()).collect();
                expected.sort_unstable();
                prop_assert_eq!(rows, expected);
            }
            prop_assert_eq!(lanes.pending_rows(), world.pending.len());
            prop_assert_eq!(lanes.is_settled(u64::MAX), world.pending.is_empty());
            // Lanes settle groups in any order. What is settled without a gap has one end.
            let (unsettled, taken) = (world.unsettled(), world.groups.len() as u64);
            prop_assert_eq!(lanes.taken(), taken);
            prop_assert_eq!(lanes.settled_through(), unsettled.first().map_or(taken, |first| first - 1));
            for number in 0..=taken + 1 {
                prop_assert_eq!(lanes.has(number), unsettled.contains(&number), "group {}", number);
            }
        }

        // Whatever waits for whatever: all of it gets written.
        lanes.request_flush();
        for round in 0.. {
            if world.pending.is_empty() {
                break;
            }
            prop_assert!(round < 1_000, "{} rows wait for ever", world.pending.len());
            for lane in 0..LANES {
                if lanes.due(id(&lanes, lane), now) == Due::Now {
                    world.begin(&mut lanes, lane, now);
                    let groups = world.in_flight[lane].len();
                    world.settle(&mut lanes, lane, groups)?;
                }
            }
        }
        prop_assert_eq!((lanes.pending_rows(), lanes.pending_bytes()), (0, 0));
    }
}
