//! An index of one table's waiting rows by key, for `find()`.
//!
//! `add()` knows nothing of it. A `find()` indexes what was added since the last one: so each row
//! is looked at once, and only in buffers that are asked. It holds the buffer's lock while it takes
//! references to batches, and reads them without it. Only the batch that still takes rows is read
//! under the lock, its new rows alone.
//!
//! Invariants:
//! - No row is missed: the rows of a key have one hash, whatever the server's equality is. Whoever
//!   reads a place looks whether the row has the key.
//! - A settled row is not found: a batch counts only as long as its queue has it. Batches that are
//!   in the journal alone, or were read back, are found by
//!   [another index](crate::buffer::stored_index).
//! - Rows of one key come in the order in which they were added. In one lane that is the order of
//!   batches. A group that goes to another lane than earlier rows of its key waits for these, so it
//!   opens a batch: the number of its first group is higher than those of all of them.
//!
//! Bounds: 32 bytes for each row that waits, beside `pending_bytes`. What is settled is dropped by
//! the next `find()`, and all by a `flush()` behind which nothing waits. At most
//! [`BATCHES_AT_ONCE`] batches of a lane are referred to in one hold of the lock.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Weak};

use rustc_hash::FxBuildHasher;

use crate::buffer::places::Places;
use crate::buffer::queue::Queue;
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::table::column::ColumnKind;
use crate::table::entry::TableId;
use crate::table::model::TableModel;
use crate::table::shape::Shape;
use crate::value::Value;

/// So many batches of a lane are referred to in one step.
const BATCHES_AT_ONCE: usize = 1_000;
/// The index keeps up to this many places, settled or not.
const PLACES_KEPT: usize = 4_096;
/// The bits of a [`Place`]: the lane, the batch and the row.
const ROW_BITS: u32 = 27;
const LANE_BITS: u32 = 6;
/// The index begins anew after so many batches of a lane.
const MAX_BATCHES: u64 = 1 << (u64::BITS - ROW_BITS - LANE_BITS);

/// Where a row waits, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

impl Place {
    fn new(lane: usize, batch: u64, row: usize) -> Self {
        Self((batch << (ROW_BITS + LANE_BITS)) | ((row as u64) << LANE_BITS) | lane as u64)
    }

    fn lane(self) -> usize {
        usize::try_from(self.0 & ((1 << LANE_BITS) - 1)).unwrap_or_default()
    }

    fn row(self) -> usize {
        usize::try_from((self.0 >> LANE_BITS) & ((1 << ROW_BITS) - 1)).unwrap_or_default()
    }

    fn batch(self) -> u64 {
        self.0 >> (ROW_BITS + LANE_BITS)
    }
}

/// A batch whose rows are indexed.
#[derive(Debug)]
struct IndexedBatch {
    first_group: u64,
    /// Nothing, as long as it takes rows.
    batch: Weak<Batch>,
}

/// What is indexed of a lane.
#[derive(Debug, Default)]
struct LaneIndex {
    /// By the numbers of their first groups. Only batches with rows of the table, and such as still
    /// take rows.
    batches: VecDeque<IndexedBatch>,
    /// The number of the first of them.
    first: u64,
    /// The batch up to which all are indexed, by the number of its first group.
    indexed: u64,
    /// The batch that took rows at the last look, by the number of its first group, and how many of
    /// its rows are indexed. Groups are counted from 1, so 0 is none: not an `Option`, whose empty
    /// place the compiler may read before it asks whether it is empty, to valgrind's dismay.
    open: (u64, usize),
}

impl LaneIndex {
    fn get(&self, number: u64) -> Option<&IndexedBatch> {
        self.batches.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn is_gone(&self, place: Place) -> bool {
        place.batch() < self.first
    }

    /// Makes a batch known. Returns its number.
    fn enter(&mut self, first_group: u64, batch: Weak<Batch>) -> u64 {
        match self.batches.back_mut().filter(|last| last.first_group == first_group) {
            Some(last) => last.batch = batch,
            None => self.batches.push_back(IndexedBatch { first_group, batch }),
        }
        self.first + self.batches.len() as u64 - 1
    }

    fn drop_settled(&mut self) {
        let open = self.open.0;
        while let Some(first) = self.batches.front() {
            if first.batch.strong_count() > 0 || first.first_group == open {
                break;
            }
            self.batches.pop_front();
            self.first += 1;
        }
    }
}

/// What a lane had at a look.
#[derive(Debug, Default)]
struct LaneView {
    in_flight: Vec<Arc<Batch>>,
    /// Groups in flight that are settled.
    done_groups: usize,
    /// The first batch that is neither in flight nor settled, by the number of its first group.
    first_waiting: u64,
    /// Batches that are not indexed yet.
    new: Vec<Arc<Batch>>,
    /// The rows of the key that the batch which takes rows has, and the number of its first group.
    open: (u64, Group),
}

/// What a look saw.
#[derive(Debug, Default)]
pub struct View {
    lanes: Vec<LaneView>,
    /// There were no new batches: all that waits is indexed.
    pub is_complete: bool,
}

/// What of a key's rows comes first. Groups that are parked were in flight when they were, beside
/// earlier ones: later ones of their keys are parked behind them, or not in flight yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is being written.
    InFlight,
    /// It is parked.
    Parked,
    /// Neither.
    Waiting,
}

/// A row's place in the order of a key's rows: the number of its batch's first group, or of its
/// group if that is parked, and the row there.
pub type Order = (Stage, u64, usize);

/// The index of one table: see the module.
#[derive(Debug)]
pub struct KeyIndex {
    table: TableId,
    key: Vec<(String, ColumnKind)>,
    places: Places<Place>,
    /// Places that are not in a run yet.
    new: Vec<(u64, Place)>,
    lanes: Vec<LaneIndex>,
    scratch: Vec<u8>,
}

impl KeyIndex {
    /// An index of nothing.
    pub fn new(table: TableId, model: &TableModel) -> Self {
        Self {
            table,
            key: key_of(model),
            places: Places::default(),
            new: Vec::new(),
            lanes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Whether it can go on: the table's key is as it was.
    pub fn is_for(&self, model: &TableModel) -> bool {
        let is_spent = |lane: &LaneIndex| lane.first + lane.batches.len() as u64 >= MAX_BATCHES - (1 << 20);
        self.key == key_of(model) && !self.lanes.iter().any(is_spent)
    }

    /// Looks at the queues of all lanes, in order, under their lock. `wanted` has the hash of the
    /// key that is looked for.
    pub fn look<'q>(&mut self, queues: impl Iterator<Item = &'q Queue>, wanted: u64) -> View {
        let mut view = View {
            lanes: Vec::new(),
            is_complete: true,
        };
        for (lane, queue) in queues.enumerate() {
            if self.lanes.len() <= lane {
                self.lanes.push(LaneIndex::default());
            }
            let mut seen = self.lanes.get(lane).map_or(0, |lane| lane.indexed);
            let (in_flight, done_groups) = queue.in_flight();
            let mut of_lane = LaneView {
                in_flight: in_flight.to_vec(),
                done_groups,
                first_waiting: queue.first_waiting().unwrap_or(u64::MAX),
                ..LaneView::default()
            };
            let new_in_flight = in_flight
                .iter()
                .filter(|batch| batch.first_group > seen && is_added(batch));
            of_lane.new.extend(new_in_flight.cloned());
            seen = of_lane.new.last().map_or(seen, |batch| batch.first_group);
            let waiting = queue.sealed_behind(seen).filter(|batch| is_added(batch));
            of_lane.new.extend(waiting.take(BATCHES_AT_ONCE).cloned());
            view.is_complete &= of_lane.new.is_empty();
            if let Some(open) = queue.open_batch() {
                self.read_open(lane, open, wanted, &mut of_lane);
            }
            view.lanes.push(of_lane);
        }
        view
    }

    /// Indexes the new rows of a batch that takes rows, and copies those that may have the key.
    fn read_open(&mut self, lane: usize, open: &Batch, wanted: u64, view: &mut LaneView) {
        let first_group = open.first_group;
        let Some(of_lane) = self.lanes.get_mut(lane) else {
            return;
        };
        let (known, rows) = of_lane.open;
        let indexed = if known == first_group { rows } else { 0 };
        // Batches before it may yet have to be indexed: the next look reads it.
        if view.new.is_empty() && open.rows_of(self.table) > 0 {
            self.index_rows(lane, open, &Weak::new(), indexed);
            if let Some(of_lane) = self.lanes.get_mut(lane) {
                of_lane.open = (first_group, open.rows());
            }
            view.open.0 = first_group;
            let number = self
                .lanes
                .get(lane)
                .map_or(0, |lane| lane.first + lane.batches.len() as u64);
            let unsorted = self
                .new
                .iter()
                .filter(|(hash, _)| *hash == wanted)
                .map(|(_, place)| *place);
            let places = self.places.get(wanted).chain(unsorted);
            let mut here: Vec<Place> = places
                .filter(|place| place.lane() == lane && place.batch() + 1 == number)
                .collect();
            here.sort();
            for row in here.into_iter().filter_map(|place| open.row(place.row())) {
                let values: Vec<Value<'_>> = row.values().collect();
                // A group without bounds takes what another one took.
                let _: Result<(), _> = view.open.1.push_row(row.shape, &values);
            }
        }
    }

    /// Indexes the new batches of a look, without the lock.
    pub fn learn(&mut self, view: &View) {
        for (lane, seen) in view.lanes.iter().enumerate() {
            for batch in &seen.new {
                let Some(of_lane) = self.lanes.get_mut(lane) else { break };
                let (known, rows) = std::mem::take(&mut of_lane.open);
                let indexed = if known == batch.first_group { rows } else { 0 };
                of_lane.indexed = batch.first_group;
                if batch.rows_of(self.table) > 0 {
                    self.index_rows(lane, batch, &Arc::downgrade(batch), indexed);
                }
            }
        }
        self.sort_new();
    }

    /// Sorts what was indexed since the last time.
    fn sort_new(&mut self) {
        if !self.new.is_empty() {
            self.places.insert(std::mem::take(&mut self.new));
        }
    }

    /// Indexes the rows of a batch from `from` on.
    fn index_rows(&mut self, lane: usize, batch: &Batch, known_as: &Weak<Batch>, from: usize) {
        let Some(of_lane) = self.lanes.get_mut(lane) else {
            return;
        };
        let number = of_lane.enter(batch.first_group, Weak::clone(known_as));
        let mut last: Option<(&Arc<Shape>, Option<Vec<usize>>)> = None;
        for (at, row) in (from..batch.rows()).filter_map(|at| Some((at, batch.row(at)?))) {
            if row.shape.table != self.table {
                continue;
            }
            let positions = match &last {
                Some((shape, positions)) if Arc::ptr_eq(shape, row.shape) => positions,
                _ => &last.insert((row.shape, positions_of(&self.key, row.shape))).1,
            };
            let Some(positions) = positions else { continue };
            let kinds = self.key.iter().map(|(_, kind)| *kind);
            let values = positions.iter().map(|at| row.values().nth(*at).unwrap_or(Value::Null));
            let hash = hash_of(kinds.zip(values), &mut self.scratch);
            self.new.push((hash, Place::new(lane, number, at)));
        }
    }

    /// The hash of a row's key. `None`: it lacks a column of it.
    pub fn hash_of_row(&mut self, row: &Row<'_>) -> Option<u64> {
        let positions = positions_of(&self.key, row.shape)?;
        let kinds = self.key.iter().map(|(_, kind)| *kind);
        let values = positions.iter().map(|at| row.values().nth(*at).unwrap_or(Value::Null));
        Some(hash_of(kinds.zip(values), &mut self.scratch))
    }

    /// The hash of a key's values, in the key's order.
    pub fn hash_of_key(&mut self, values: &[&Value<'_>]) -> u64 {
        let kinds = self.key.iter().map(|(_, kind)| *kind);
        hash_of(kinds.zip(values.iter().copied().cloned()), &mut self.scratch)
    }

    /// Calls back with the rows that may have the key of a look, in their order. `others` are those
    /// that are [parked](crate::buffer::parked_index), or were
    /// [stored](crate::buffer::stored_index).
    pub fn with_rows<'v, R>(
        &mut self,
        view: &'v View,
        wanted: u64,
        others: impl Iterator<Item = (Order, Row<'v>)>,
        read: impl FnOnce(Vec<Row<'_>>) -> R,
    ) -> R {
        self.sort_new();
        let mut batches: Vec<(Order, Arc<Batch>)> = Vec::new();
        for place in self.places.get(wanted) {
            let indexed = self.lanes.get(place.lane()).and_then(|lane| lane.get(place.batch()));
            let batch = indexed.and_then(|indexed| indexed.batch.upgrade());
            let seen = view.lanes.get(place.lane());
            if let (Some(batch), Some(seen)) = (batch, seen)
                && seen.has_unsettled(&batch, place.row())
            {
                batches.push(((seen.stage(&batch), batch.first_group, place.row()), batch));
            }
        }
        let mut rows: Vec<(Order, Row<'_>)> = Vec::new();
        rows.extend(
            batches
                .iter()
                .filter_map(|(order, batch)| Some((*order, batch.row(order.2)?))),
        );
        for (lane, seen) in view.lanes.iter().enumerate() {
            let (first_group, open) = &seen.open;
            let open = open.rows().enumerate();
            rows.extend(open.map(|(at, row)| ((Stage::Waiting, *first_group, at), row)));
            // Batches in flight that are not known: their rows were taken from others.
            let known = self.lanes.get(lane);
            let unknown =
                |batch: &&Arc<Batch>| batch.rows_of(self.table) > 0 && !batch.is_read_back && !is_known(known, batch);
            for batch in seen.in_flight.iter().filter(unknown) {
                let all = (0..batch.rows()).filter(|at| seen.has_unsettled(batch, *at));
                let all = all.filter_map(|at| Some(((Stage::InFlight, batch.first_group, at), batch.row(at)?)));
                rows.extend(all.filter(|(_, row)| row.shape.table == self.table));
            }
        }
        others.for_each(|other| rows.push(other));
        rows.sort_by_key(|(order, _)| *order);
        read(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Forgets what is settled, as far as that is worth it. `pending_rows` wait.
    pub fn forget_settled(&mut self, pending_rows: usize) {
        for lane in &mut self.lanes {
            lane.drop_settled();
        }
        if self.places.count() > PLACES_KEPT.max(2 * pending_rows) {
            let lanes = &self.lanes;
            let is_here = |place: Place| lanes.get(place.lane()).is_some_and(|lane| !lane.is_gone(place));
            self.places.retain(is_here);
        }
    }
}

impl LaneView {
    fn stage(&self, batch: &Batch) -> Stage {
        if batch.first_group >= self.first_waiting {
            Stage::Waiting
        } else {
            Stage::InFlight
        }
    }

    /// Whether the lane has a batch, and the row's group is not settled.
    fn has_unsettled(&self, batch: &Arc<Batch>, row: usize) -> bool {
        if batch.first_group >= self.first_waiting {
            return true;
        }
        let mut settled = self.done_groups;
        for other in &self.in_flight {
            if Arc::ptr_eq(other, batch) {
                return row >= batch.rows_before(settled);
            }
            settled = settled.saturating_sub(other.group_count());
        }
        false
    }
}

/// Whether a batch is as its groups were added. Others are found elsewhere.
fn is_added(batch: &Batch) -> bool {
    !batch.is_rest && !batch.is_read_back
}

fn is_known(lane: Option<&LaneIndex>, batch: &Arc<Batch>) -> bool {
    if batch.is_rest {
        return false;
    }
    let Some(batches) = lane.map(|lane| &lane.batches) else {
        return false;
    };
    let at = batches.binary_search_by_key(&batch.first_group, |known| known.first_group);
    let known = at.ok().and_then(|at| batches.get(at));
    known.is_some_and(|known| known.batch.as_ptr() == Arc::as_ptr(batch))
}

fn key_of(model: &TableModel) -> Vec<(String, ColumnKind)> {
    let columns = model.key.iter();
    columns.map(|name| (name.clone(), model.kind(name))).collect()
}

/// Where the columns of a key stand in a shape. `None`: one is missing.
fn positions_of(key: &[(String, ColumnKind)], shape: &Shape) -> Option<Vec<usize>> {
    shape.key_positions(key.iter().map(|(name, _)| name.as_str()))
}

/// A hash that is equal for values that are equal to the server, if that is certain, and else for
/// equal bytes: as [`crate::buffer::find`] compares them.
fn hash_of<'v>(parts: impl Iterator<Item = (ColumnKind, Value<'v>)>, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    for (kind, value) in parts {
        let mark = scratch.len();
        if kind.key(&value, scratch).is_some() {
            continue;
        }
        scratch.truncate(mark);
        match value {
            // Zero has two forms.
            Value::Float(number) => scratch.extend_from_slice(&(number + 0.0).to_bits().to_le_bytes()),
            // What is too long was not taken.
            value => drop(value.encode(scratch)),
        }
    }
    FxBuildHasher.hash_one(&**scratch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::table::catalog::Catalog;
    use std::time::Instant;

    struct World {
        queue: Queue,
        index: KeyIndex,
        shape: Arc<Shape>,
        taken: u64,
    }

    impl World {
        fn new() -> Self {
            let settings = Settings::default();
            let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
            let columns = std::iter::once("id".as_bytes());
            let shape = catalog.shape(TableId(0), columns).expect("a shape");
            let (name, rules) = (&shape.entry.name, &shape.entry.rules);
            let model = TableModel::without_schema(name, rules, shape.entry.default_mode).expect("a model");
            Self {
                queue: Queue::new(&settings),
                index: KeyIndex::new(TableId(0), &model),
                shape,
                taken: 0,
            }
        }

        fn add(&mut self, id: u64) {
            let mut group = Group::default();
            let value = Value::Int(i64::try_from(id).expect("few"));
            group.push_row(&self.shape, &[value]).expect("short");
            self.taken += 1;
            self.queue.add(&group, self.taken, Vec::new(), Instant::now());
        }

        /// Whether one of the rows that are read for a key has it.
        fn finds(&mut self, id: i64) -> bool {
            let wanted = self.index.hash_of_key(&[&Value::Int(id)]);
            loop {
                let view = self.index.look(std::iter::once(&self.queue), wanted);
                if view.is_complete {
                    let has_key = |row: &Row<'_>| row.values().next() == Some(Value::Int(id));
                    let rows = |rows: Vec<Row<'_>>| rows.iter().filter(|row| has_key(row)).count();
                    let found = self.index.with_rows(&view, wanted, std::iter::empty(), rows);
                    assert!(found <= 1, "{id} is read {found} times");
                    return found == 1;
                }
                self.index.learn(&view);
            }
        }

        /// Returns the rows that were read for a key, and the batches that were new.
        fn find(&mut self, id: i64) -> (usize, usize) {
            let wanted = self.index.hash_of_key(&[&Value::Int(id)]);
            let mut new = 0;
            loop {
                let view = self.index.look(std::iter::once(&self.queue), wanted);
                if view.is_complete {
                    let rows = self
                        .index
                        .with_rows(&view, wanted, std::iter::empty(), |rows| rows.len());
                    self.index.forget_settled(self.queue.pending_rows());
                    return (rows, new);
                }
                assert!(view.lanes.iter().all(|lane| lane.new.len() <= BATCHES_AT_ONCE));
                new += view.lanes.iter().map(|lane| lane.new.len()).sum::<usize>();
                self.index.learn(&view);
            }
        }
    }

    #[test]
    fn what_waits_is_read_once_and_then_the_keys_rows_alone() {
        for rows in [1_000, 300_050] {
            let mut world = World::new();
            (0..rows).for_each(|id| world.add(id));
            let batches = usize::try_from(rows).expect("few") / 100;
            assert_eq!(world.find(7), (1, batches));
            assert_eq!(world.find(8), (1, 0));
            assert_eq!(world.find(-1), (0, 0));
            for _ in 0..100 {
                world.add(7);
            }
            assert_eq!(world.find(7), (101, 1));
        }
    }

    #[test]
    fn what_is_left_of_a_batch_is_found_and_what_was_set_aside_is_not() {
        // Indexed as it took rows, after that, or never.
        for looks in [[true, false], [false, true], [true, true], [false, false]] {
            for first_goes in [false, true] {
                let mut world = World::new();
                (0..50).for_each(|id| world.add(id));
                if looks[0] {
                    assert_eq!(world.find(7).0, 1);
                }
                (50..60).for_each(|id| world.add(id));
                world.queue.want(u64::MAX);
                world.queue.begin(Instant::now(), |_| true);
                if looks[1] {
                    assert_eq!(world.find(7).0, 1);
                }
                let goes = |id: usize| (id == 0 && first_goes) || id % 10 == 5;
                world.queue.set_aside(|_, position| goes(position));
                (60..70).for_each(|id| world.add(id));
                for id in 0..70 {
                    let is_aside = id < 60 && goes(id);
                    let found = world.finds(i64::try_from(id).expect("few"));
                    assert_eq!(found, !is_aside, "{id}, {looks:?}, {first_goes}");
                }
            }
        }
    }

    #[test]
    fn what_is_settled_is_forgotten() {
        let mut world = World::new();
        for round in 0..50 {
            for id in 0..10_000 {
                world.add(round * 10_000 + id % 5_000);
            }
            assert_eq!(world.find(i64::try_from(round * 10_000).expect("few")).0, 2);
            world.queue.want(u64::MAX);
            while world.queue.pending_rows() > 0 {
                let (batches, _) = world.queue.begin(Instant::now(), |_| true);
                let groups = batches.iter().map(|batch| batch.group_count()).sum();
                world.queue.settle(groups, groups);
            }
            assert_eq!(world.find(i64::try_from(round * 10_000).expect("few")).0, 0);
            assert!(world.index.places.count() <= PLACES_KEPT);
            assert!(world.index.lanes[0].batches.len() <= 1);
        }
    }
}
