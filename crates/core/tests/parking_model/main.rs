//! Parking against a model of a server whose tables come and go: several lanes write side by side,
//! fail and are refused at random places, while somebody flushes and time passes. Time is passed
//! in, and nothing waits.
//!
//! The judge is one list of rows. A row may be committed while its table is there, and after every
//! earlier row that it could meet. A group that depends on no table that is gone is committed once
//! somebody flushes.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

mod find;
mod histories;
mod steps;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::lanes::Lanes;
use write_buffer_core::buffer::background::route::Router;
use write_buffer_core::buffer::find::Finder;
use write_buffer_core::buffer::parking::{Models, Work};
use write_buffer_core::buffer::queue::{Due, LaneId};
use write_buffer_core::error::Error;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::table::catalog::Catalog;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;
use write_buffer_core::value::Value;
use write_buffer_core::writer::obstacle::Obstacle;

use steps::{LANES, ModelRow, NAMES, Step, TABLES, model, step};

const TIMEOUT: Duration = Duration::from_secs(7);

struct ModelGroup {
    rows: Vec<ModelRow>,
    parent: Option<u64>,
}

struct World {
    lanes: Lanes<()>,
    shapes: Vec<[Arc<Shape>; 2]>,
    now: Instant,
    groups: BTreeMap<u64, ModelGroup>,
    added_rows: usize,
    pending: BTreeSet<u64>,
    committed: BTreeSet<u64>,
    committed_rows: usize,
    given_up_rows: usize,
    /// When a group was seen parked first.
    parked_at: BTreeMap<u64, Instant>,
    is_dropped: [bool; TABLES],
    is_narrow: [bool; TABLES],
    times_out: bool,
    finder: Finder,
}

impl World {
    fn new(times_out: bool) -> Self {
        let settings = Settings {
            batch_size: 4,
            flush_interval: Duration::from_millis(100),
            lanes: LANES,
            max_pending_rows: usize::MAX,
            park_timeout: if times_out { TIMEOUT } else { Duration::ZERO },
            ..Settings::default()
        };
        let mut catalog = Catalog::new(None, &NAMES, "none", Vec::new()).expect("a catalog");
        let shapes = (0..TABLES).map(|table| {
            let entry = catalog.entry(TableId(table)).expect("a table");
            entry.set_model(Some(Arc::new(model(entry))));
            let columns: [&[&[u8]]; 2] = [&[b"id", b"number"], &[b"id", b"number", b"wide"]];
            columns.map(|columns| catalog.shape(TableId(table), columns.iter().copied()).expect("a shape"))
        });
        Self {
            shapes: shapes.collect(),
            lanes: Lanes::new(&settings, [(); LANES]),
            now: Instant::now(),
            groups: BTreeMap::new(),
            added_rows: 0,
            pending: BTreeSet::new(),
            committed: BTreeSet::new(),
            committed_rows: 0,
            given_up_rows: 0,
            parked_at: BTreeMap::new(),
            is_dropped: [false; TABLES],
            is_narrow: [false; TABLES],
            times_out,
            finder: Finder::default(),
        }
    }

    fn lane(&self, lane: usize) -> LaneId {
        self.lanes.ids().nth(lane).expect("a lane")
    }

    fn add(&mut self, rows: Vec<ModelRow>, parent: Option<u64>) {
        let number = self.groups.len() as u64 + 1;
        let mut group = Group::default();
        let mut router = Router::default();
        for row in &rows {
            let shape = &self.shapes[row.table][usize::from(row.is_wide)];
            // A text is no key of an integer column that could be compared.
            let key = if row.is_certain {
                Value::Int(row.key)
            } else {
                Value::text("?")
            };
            let values = [key, Value::Int(number.cast_signed()), Value::Null];
            let values = &values[..if row.is_wide { 3 } else { 2 }];
            group.push_row(shape, values).expect("short");
        }
        for row in group.rows() {
            row.check(|bound| router.visit(&row, bound))
                .expect("a row that can be written");
        }
        if number.is_multiple_of(2) {
            router.route.hash = Some(number);
        }
        self.lanes.add(&group, Some(&router.route), self.now);
        self.added_rows += rows.len();
        self.pending.insert(number);
        let parent = parent
            .and_then(|before| number.checked_sub(before))
            .filter(|parent| *parent > 0);
        self.groups.insert(number, ModelGroup { rows, parent });
    }

    /// The table that takes no row like this now.
    fn is_blocked(&self, row: &ModelRow) -> bool {
        self.is_dropped[row.table] || (row.is_wide && self.is_narrow[row.table])
    }

    fn error(&self, row: &ModelRow) -> Error {
        let shape = &self.shapes[row.table][usize::from(row.is_wide)];
        let code = if self.is_dropped[row.table] { 1146 } else { 1054 };
        Error::server(code, "not there").at_table(&NAMES[row.table], Some(&shape.columns))
    }

    fn commit(&mut self, lane: usize, numbers: &[u64]) -> Result<(), TestCaseError> {
        let mut rows = 0;
        for number in numbers {
            let group = &self.groups[number];
            for row in &group.rows {
                prop_assert!(!self.is_blocked(row), "group {number} is committed into no table");
                for earlier in self.pending.range(..number) {
                    let meets = self.groups[earlier].rows.iter().any(|other| other.meets(row));
                    prop_assert!(!meets, "group {number} overtakes group {earlier} in lane {lane}");
                }
            }
            prop_assert!(self.pending.remove(number), "group {number} is written twice");
            self.committed.insert(*number);
            rows += group.rows.len();
        }
        self.committed_rows += rows;
        self.lanes.settle(self.lane(lane), numbers.len(), rows);
        Ok(())
    }

    fn give_up(&mut self, lane: usize, number: u64) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.lanes.next_to_settle(self.lane(lane)), Some(number));
        prop_assert!(self.pending.remove(&number), "group {number} is given up twice");
        let rows = self.groups[&number].rows.len();
        self.given_up_rows += rows;
        self.lanes.give_up(self.lane(lane), rows);
        Ok(())
    }

    fn numbers(work: &Work) -> Vec<u64> {
        let groups = work.batches.iter().flat_map(|batch| batch.groups()).skip(work.done);
        let number = |mut rows: Box<dyn Iterator<Item = write_buffer_core::rows::arena::Row<'_>> + '_>| {
            let row = rows.next().expect("a row");
            match row.values().nth(1) {
                Some(Value::Int(number)) => number.cast_unsigned(),
                other => panic!("{other:?} is no number"),
            }
        };
        groups.map(|rows| number(Box::new(rows))).collect()
    }

    /// One attempt of a lane, as its writer and the server do it. Returns whether there was
    /// anything to do.
    fn work(&mut self, lane: usize) -> Result<bool, TestCaseError> {
        let id = self.lane(lane);
        if self.lanes.due(id, self.now) != Due::Now {
            return Ok(false);
        }
        let Some(work) = self.lanes.take_up(id, self.now) else {
            self.look()?;
            return Ok(true);
        };
        let numbers = Self::numbers(&work);
        prop_assert!(!numbers.is_empty());
        if work.gives_up.is_some() {
            for number in numbers {
                let parked = self.parked_at.get(&number).copied();
                prop_assert!(
                    parked.is_some_and(|at| self.now >= at + TIMEOUT),
                    "group {number} has time left"
                );
                self.give_up(lane, number)?;
            }
            return Ok(true);
        }
        self.read_tables(&numbers);
        for entry in &work.reads {
            let table = NAMES
                .iter()
                .position(|name| *name == entry.name.to_string())
                .expect("a table");
            if !self.is_dropped[table] {
                entry.set_model(Some(Arc::new(model(entry))));
            }
        }
        let in_the_way = (0..TABLES).find_map(|table| {
            let rows = numbers.iter().flat_map(|number| &self.groups[number].rows);
            rows.filter(|row| row.table == table)
                .find(|row| self.is_blocked(row))
                .copied()
        });
        if let Some(row) = in_the_way {
            let error = self.error(&row);
            let models = self.models();
            let parked = self.lanes.park(id, Obstacle::Table(error), &models, self.now);
            prop_assert_eq!(parked, Ok(true), "what is in the way is set aside");
            return Ok(true);
        }
        // The first group whose parent is not there is refused.
        let mut there = self.committed.clone();
        let mut taken = Vec::new();
        let mut refused = None;
        for number in &numbers {
            let parent = self.groups[number].parent;
            if parent.is_some_and(|parent| !there.contains(&parent)) {
                refused = Some(*number);
                break;
            }
            there.insert(*number);
            taken.push(*number);
        }
        self.commit(lane, &taken)?;
        if let Some(number) = refused {
            let error = Error::server(1452, "a foreign key fails");
            if self.lanes.may_lack_earlier_groups(id, &error) {
                let models = self.models();
                let parked = self.lanes.park(id, Obstacle::Refused(error), &models, self.now);
                prop_assert_eq!(parked, Ok(true));
            } else {
                let parent = self.groups[&number].parent.expect("it has one");
                prop_assert!(
                    !self.pending.contains(&parent),
                    "group {number} is refused before its parent's turn"
                );
                self.give_up(lane, number)?;
            }
        }
        Ok(true)
    }

    /// The writer reads what the tables of some groups are.
    fn read_tables(&self, numbers: &[u64]) {
        let rows = numbers.iter().flat_map(|number| &self.groups[number].rows);
        for ModelRow { table, .. } in rows {
            let entry = &self.shapes[*table][0].entry;
            if self.is_dropped[*table] {
                entry.set_model(None);
            } else if entry.model().is_none() {
                entry.set_model(Some(Arc::new(model(entry))));
            }
        }
    }

    /// The models of tables that are there.
    fn models(&self) -> Models {
        let models = self.shapes.iter().enumerate();
        models
            .filter_map(|(table, [shape, _])| Some((TableId(table), shape.entry.model()?)))
            .collect()
    }

    /// All lanes do all that is due now.
    fn rest(&mut self) -> Result<(), TestCaseError> {
        for round in 0.. {
            prop_assert!(round < 2_000, "it never rests");
            let mut is_idle = true;
            for lane in 0..LANES {
                is_idle &= !self.work(lane)?;
            }
            if is_idle {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What holds at any moment.
    fn look(&mut self) -> Result<(), TestCaseError> {
        for (number, _) in self.lanes.parking().groups() {
            self.parked_at.entry(number).or_insert(self.now);
        }
        let pending: usize = self.pending.iter().map(|number| self.groups[number].rows.len()).sum();
        prop_assert_eq!(self.lanes.pending_rows(), pending);
        prop_assert_eq!(self.added_rows, self.committed_rows + self.given_up_rows + pending);
        prop_assert!(self.lanes.parking().rows() <= pending);
        // All up to here are settled, whatever was settled beyond.
        let first_pending = self.pending.first().copied();
        let taken = self.groups.len() as u64;
        prop_assert_eq!(self.lanes.taken(), taken);
        prop_assert_eq!(self.lanes.settled_through(), first_pending.unwrap_or(taken + 1) - 1);
        for number in 0..=taken + 1 {
            prop_assert_eq!(
                self.lanes.has(number),
                self.pending.contains(&number),
                "group {}",
                number
            );
        }
        for table in 0..TABLES {
            let found: Vec<u64> = self
                .lanes
                .rows_of(TableId(table))
                .map(|row| match row.values().nth(1) {
                    Some(Value::Int(number)) => number.cast_unsigned(),
                    other => panic!("{other:?} is no number"),
                })
                .collect();
            let expected: Vec<u64> = self
                .pending
                .iter()
                .flat_map(|number| self.groups[number].rows.iter().map(move |row| (*number, row)))
                .filter(|(_, row)| row.table == table)
                .map(|(number, _)| number)
                .collect();
            prop_assert_eq!(found, expected, "table {}", table);
            self.find(table)?;
        }
        Ok(())
    }
}

/// The buffer ends: all that is left comes out, in the order in which it was added.
fn end(mut world: World) -> Result<(), TestCaseError> {
    let told: usize = world.lanes.groups().map(|(.., rows)| rows.count()).sum();
    prop_assert_eq!(told, world.lanes.pending_rows());
    let left = world.lanes.take_left();
    let numbers: Vec<u64> = left.iter().map(|group| group.number).collect();
    prop_assert_eq!(numbers, world.pending.iter().copied().collect::<Vec<_>>());
    for group in &left {
        prop_assert_eq!(group.rows().count(), world.groups[&group.number].rows.len());
    }
    prop_assert_eq!((world.lanes.pending_rows(), world.lanes.pending_bytes()), (0, 0));
    for id in world.lanes.ids().collect::<Vec<_>>() {
        prop_assert_eq!(world.lanes.due(id, world.now), Due::Never);
    }
    Ok(())
}

fn run(steps: Vec<Step>, times_out: bool, ends: bool) -> Result<(), TestCaseError> {
    let mut world = World::new(times_out);
    for step in steps {
        match step {
            Step::Add { rows, parent } => world.add(rows, parent),
            Step::DropTable(table) => world.is_dropped[table] = true,
            Step::CreateTable(table) => world.is_dropped[table] = false,
            Step::DropColumn(table) => world.is_narrow[table] = true,
            Step::AddColumn(table) => world.is_narrow[table] = false,
            Step::Work(lane, attempts) => {
                for _ in 0..attempts {
                    world.work(lane)?;
                }
            }
            Step::Fail(lane) => {
                let id = world.lane(lane);
                if world.lanes.due(id, world.now) == Due::Now && world.lanes.take_up(id, world.now).is_some() {
                    world.lanes.failed(id, world.now + Duration::from_millis(50));
                }
            }
            Step::WaitFor(at) => {
                if let Some(at) = at.checked_rem(world.groups.len() as u64) {
                    world.wait_for(at + 1)?;
                }
            }
            Step::Flush => {
                let target = world.lanes.request_flush();
                world.rest()?;
                world.check_flushed(target)?;
            }
            Step::Pass(milliseconds) => world.now += Duration::from_millis(milliseconds),
            Step::Rest => world.rest()?,
        }
        world.look()?;
    }
    if ends {
        return end(world);
    }
    // Tables that are gone for good: their rows are given up in time, and no others.
    if world.times_out {
        for _ in 0..2 * TIMEOUT.as_secs() + 4 {
            world.lanes.request_flush();
            world.rest()?;
            world.look()?;
            world.now += Duration::from_secs(1);
        }
        let waits = |number: &u64| world.groups[number].rows.iter().any(|row| world.is_blocked(row));
        prop_assert!(!world.pending.iter().any(waits), "a group waits longer than it may");
    }
    // All tables are there again: all is written, and nothing is held any more.
    world.is_dropped = [false; TABLES];
    world.is_narrow = [false; TABLES];
    world.lanes.request_flush();
    world.rest()?;
    world.now += Duration::from_secs(3);
    world.rest()?;
    world.look()?;
    prop_assert!(world.pending.is_empty(), "{:?} are left", world.pending);
    prop_assert!(world.lanes.parking().is_empty());
    prop_assert!(world.lanes.parking().tables(world.now).is_empty());
    prop_assert_eq!((world.lanes.pending_rows(), world.lanes.pending_bytes()), (0, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_table_that_is_gone_holds_up_its_own_keys_and_nothing_else(
        steps in prop::collection::vec(step(), 1..120),
        times_out in any::<bool>(),
        ends in prop::bool::weighted(0.3),
    ) {
        run(steps, times_out, ends)?;
    }
}
