//! The lanes of a background buffer: the lane of each group, and the groups that it waits for
//! there. Pure, as the queues are.
//!
//! A lane keeps the order of its own rows. Between lanes three rules keep it:
//! - A group goes to the lane that its [route](Route) prefers, or that has the [run](runs), unless
//!   a row of one of its keys still waits in another lane. Then it goes there.
//! - If such rows wait in several lanes, the group waits in one of them until the others have
//!   written theirs.
//! - A row whose key is not certain counts as a row of any key of its table, and its group goes to
//!   the first lane. The key is not certain if the server has not described the table yet, or if
//!   only the server's collation can compare it. Rows of different keys
//!   that [may meet](crate::table::model::TableModel::may_meet) count as such.
//!
//! So the rows of one key are written in the order in which they were added, and a row never
//! overtakes one of another lane that it could meet. `rows_of_one_key_never_overtake_each_other` in
//! `crates/core/tests/lanes_model.rs` holds that.
//!
//! What waits for a table is [parked](crate::buffer::parking): to its lane it is settled, and
//! whatever could meet it is parked behind it when it is taken up.
//!
//! Nothing waits for ever. A group that waits opens a batch of its own, so a batch waits only for
//! groups that were added before its first one. Whichever batch was opened first waits for nothing.
//!
//! With `lanes: 0` only some lanes take new groups: see [`width`]. A lane that closes writes what
//! it has, and is followed there by rows of the same keys.
//!
//! `docs/design/order-between-lanes.md` says why.
//!
//! Bounds: 64 lanes ([`MAX_LANES`]); `max_pending_rows` and `max_pending_bytes` over all lanes;
//! those of the [memory of keys](memory).

mod lane;
mod memory;
mod noted;
mod runs;
mod settled;
mod stored;
mod widening;
mod width;

use std::sync::Arc;
use std::time::Instant;

use write_buffer_journal::segment::Spot;

pub use crate::buffer::background::lanes::lane::{Lane, LaneSet, MAX_LANES};
pub use crate::buffer::background::lanes::width::{CLOSE_AFTER, OPEN_AFTER};

use crate::buffer::background::lanes::memory::Memory;
use crate::buffer::background::lanes::runs::Runs;
use crate::buffer::background::lanes::width::Width;
use crate::buffer::background::route::{KeyHash, Route};
use crate::buffer::leftovers::LeftGroup;
use crate::buffer::parking::{LaneProgress, Models, Parking, Work};
use crate::buffer::queue::{AddEffect, Due, GroupPosition, LaneId, Queue};
use crate::error::Error;
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::table::entry::TableId;
use crate::writer::obstacle::Obstacle;

/// Where a group goes.
#[derive(Debug)]
pub struct Chosen {
    /// Its lane.
    pub lane: LaneId,
    /// Its number.
    pub number: u64,
    /// The groups of other lanes that it waits for.
    after: Vec<GroupPosition>,
    /// Any lane may have it.
    is_free: bool,
    /// Where it is in the journal.
    pub spot: Option<Spot>,
    /// It is part of the lane's run.
    is_in_run: bool,
}

/// The lanes of a background buffer: see the module.
#[derive(Debug)]
pub struct Lanes<F> {
    /// From 1 to [`MAX_LANES`], and always as many: so each [`LaneId`] of this set names one of
    /// them.
    all: Vec<Lane<F>>,
    max_pending_rows: usize,
    max_pending_bytes: usize,
    /// The number of groups ever taken, which is the number of the last one.
    taken: u64,
    memory: Memory,
    runs: Runs,
    width: Width,
    /// What waits for a table. A lane's queue does not have it any more.
    parking: Parking,
}

impl<F> Lanes<F> {
    /// Empty lanes, one for each flusher: from 1 to [`MAX_LANES`].
    ///
    /// # Panics
    ///
    /// No flusher, or more than [`MAX_LANES`].
    pub fn new(settings: &Settings, flushers: impl IntoIterator<Item = F>) -> Self {
        let lane = |flusher| Lane {
            queue: Queue::new(settings),
            flusher,
        };
        let lanes: Vec<_> = flushers.into_iter().map(lane).collect();
        assert!((1..=MAX_LANES).contains(&lanes.len()), "from 1 to {MAX_LANES} lanes");
        let runs = Runs::new(settings, lanes.len());
        Self {
            width: Width::new(settings, lanes.len(), runs.shortest()),
            runs,
            all: lanes,
            max_pending_rows: settings.max_pending_rows,
            max_pending_bytes: settings.max_pending_bytes,
            taken: 0,
            memory: Memory::default(),
            parking: Parking::new(settings),
        }
    }

    /// All lanes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Lane<F>> + Clone {
        self.all.iter()
    }

    /// Their ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = LaneId> + use<F> {
        (0..self.all.len()).map(LaneId::new)
    }

    /// One lane.
    pub fn lane(&self, lane: LaneId) -> &Lane<F> {
        &self.all[lane.index()]
    }

    /// One lane.
    pub fn lane_mut(&mut self, lane: LaneId) -> &mut Lane<F> {
        &mut self.all[lane.index()]
    }

    /// Whether the group fits under the bounds, beside what waits already.
    pub fn fits(&self, group: &Group) -> bool {
        self.pending_rows() + group.len() <= self.max_pending_rows
            && self.pending_bytes() + group.size_bytes() <= self.max_pending_bytes
    }

    /// Whether the group would fit if nothing waited.
    pub fn could_ever_fit(&self, group: &Group) -> bool {
        group.len() <= self.max_pending_rows && group.size_bytes() <= self.max_pending_bytes
    }

    /// Takes a group. Its number is [`Self::taken`] then. Without a route it goes to the first
    /// lane; a single lane needs none. Returns its lane, and the lanes whose flushers have
    /// something new to do.
    pub fn add(&mut self, group: &Group, route: Option<&Route>, now: Instant) -> (LaneId, LaneSet) {
        let chosen = self.choose(route, || now);
        let lane = chosen.lane;
        (lane, self.add_at(group, route, chosen, now))
    }

    /// Chooses the place of the next group, which [`Self::add_at`] then takes. If nobody does, its
    /// number stands for no group, and no other group waits for it, or goes where it would have.
    pub fn choose(&mut self, route: Option<&Route>, now: impl FnOnce() -> Instant) -> Chosen {
        self.taken += 1;
        match route {
            Some(route) if self.needs_route() => self.place(route, self.taken, now),
            _ => Chosen {
                lane: LaneId::new(0),
                number: self.taken,
                after: Vec::new(),
                is_free: false,
                is_in_run: false,
                spot: None,
            },
        }
    }

    /// Whether the next group needs a route. Without one it goes to the first lane.
    pub fn needs_route(&self) -> bool {
        self.all.len() > 1 && self.width.knows_keys()
    }

    /// Takes a group at its place, which was chosen by this route, before any other group was
    /// taken. Enters it in the memory of keys. Returns the lanes whose flushers have something new
    /// to do.
    pub fn add_at(&mut self, group: &Group, route: Option<&Route>, chosen: Chosen, now: Instant) -> LaneSet {
        let Chosen {
            lane,
            number,
            after,
            is_free,
            is_in_run,
            spot,
        } = chosen;
        if is_in_run {
            self.runs.took(lane, group);
        }
        if let Some(route) = route.filter(|_| self.needs_route()) {
            let (here, pending_rows, lanes) = (GroupPosition { lane, number }, self.pending_rows(), &self.all);
            let is_settled = |position: &GroupPosition| is_settled(lanes, position);
            self.memory.enter(route, here, pending_rows, is_settled);
        }
        let mut wake = LaneSet::default();
        for other in &after {
            self.lane_mut(other.lane).queue.want(other.number);
            wake.add(other.lane);
        }
        let queue = &mut self.lane_mut(lane).queue;
        queue.keeps_at(spot);
        if queue.add(group, number, after, now) == AddEffect::Wake {
            wake.add(lane);
        }
        if self.width.is_auto() {
            self.widen(number, is_free, now);
        }
        wake
    }

    /// The place of the group that is being taken.
    fn place(&self, route: &Route, number: u64, now: impl FnOnce() -> Instant) -> Chosen {
        let mut met = self.memory.met(route);
        met.retain(|position| !self.is_group_settled(position));
        let any_unknown = route.keys.iter().any(|(_, key)| *key == KeyHash::Unknown);
        let newest = met.iter().max_by_key(|position| position.number);
        let is_free = !any_unknown && newest.is_none();
        let (lane, is_in_run) = match (newest, route.hash) {
            _ if any_unknown => (LaneId::new(0), false),
            (Some(position), _) => (position.lane, false),
            (None, Some(hash)) => (self.lane_of_hash(hash), false),
            (None, None) => (self.runs.lane(&self.all[..self.width.open()], now()), true),
        };
        let mut after: Vec<GroupPosition> = Vec::new();
        for position in met.into_iter().filter(|position| position.lane != lane) {
            match after.iter_mut().find(|other| other.lane == position.lane) {
                Some(other) => other.number = other.number.max(position.number),
                None => after.push(position),
            }
        }
        Chosen {
            lane,
            number,
            after,
            is_free,
            is_in_run,
            spot: None,
        }
    }

    fn lane_of_hash(&self, hash: u64) -> LaneId {
        let at = hash % self.width.open() as u64;
        LaneId::new(usize::try_from(at).unwrap_or(0))
    }

    fn is_group_settled(&self, position: &GroupPosition) -> bool {
        is_settled(&self.all, position)
    }

    /// Makes all groups taken so far due at once. Returns the number of the last one.
    pub fn request_flush(&mut self) -> u64 {
        for lane in &mut self.all {
            lane.queue.want(self.taken);
            lane.queue.retry_now();
        }
        self.parking.request_probes();
        self.taken
    }

    /// Whether all groups up to a number are settled, or parked and tried since the last
    /// [`Self::request_flush`].
    pub fn is_tried(&self, group: u64) -> bool {
        is_settled_everywhere(&self.all, group) && self.parking.is_tried(group)
    }

    /// Whether all groups up to a number are settled.
    pub fn is_settled(&self, group: u64) -> bool {
        is_settled_everywhere(&self.all, group) && !self.parking.holds_up_to(group)
    }

    /// Whether groups that were added before a lane's next one are not settled, and may hold what
    /// it lacks: it was refused with this error. Makes them due at once.
    pub fn may_lack_earlier_groups(&mut self, lane: LaneId, error: &Error) -> bool {
        let Some(next) = self.next_to_settle(lane) else {
            return false;
        };
        let mut may_lack = self.parking.may_hold_what_lacks(next, error);
        for Lane { queue, .. } in &mut self.all {
            if queue.first_unsettled().is_some_and(|first| first < next) {
                queue.want(next);
                may_lack = true;
            }
        }
        may_lack
    }

    /// What there is to do in a lane.
    pub fn due(&self, lane: LaneId, now: Instant) -> Due {
        let queue = &self.lane(lane).queue;
        let due = queue.due(now, |after| self.is_group_settled(after));
        if self.parking.is_empty() || !queue.has_nothing_in_flight() || self.leaves_parked_to_others(lane) {
            return due;
        }
        due.or(self.parking.due(lane, now, queue.retry_at()))
    }

    /// Takes up what a lane has to do. `None`: all that was due is parked.
    pub fn take_up(&mut self, lane: LaneId, now: Instant) -> Option<Work> {
        let has_nothing = self.lane(lane).queue.has_nothing_in_flight();
        if !self.parking.is_empty() && has_nothing && !self.leaves_parked_to_others(lane) {
            let parked = self.parking.take(lane, now, &Progress(&self.all));
            if parked.is_some() {
                self.lane_mut(lane).queue.retry_now();
                return parked;
            }
        }
        let is_new = self.lane(lane).queue.has_nothing_in_flight();
        let (mut batches, done) = self.begin(lane, now);
        if is_new && !self.parking.is_empty() {
            let queue = &mut self.all[lane.index()].queue;
            self.parking.hold_back(queue, lane, now);
            batches = queue.flight();
        }
        (!batches.is_empty()).then_some(Work {
            batches,
            done,
            gives_up: None,
            reads: Vec::new(),
            repeats: None,
        })
    }

    /// Parks what an obstacle stands in the way of: see [`Parking::park`].
    ///
    /// # Errors
    ///
    /// The obstacle is in everybody's way.
    pub fn park(&mut self, lane: LaneId, obstacle: Obstacle, models: &Models, now: Instant) -> Result<bool, Error> {
        let queue = &mut self.all[lane.index()].queue;
        self.parking.park(queue, lane, obstacle, models, now)
    }

    /// See [`Parking::has_taken_groups`].
    pub fn has_parked_groups(&mut self) -> bool {
        self.parking.has_taken_groups()
    }

    /// What is parked.
    pub fn parking(&self) -> &Parking {
        &self.parking
    }

    /// See [`Parking::postpone`].
    pub fn postpone(&mut self, lane: LaneId, now: Instant) {
        self.parking.postpone(lane, now);
    }

    /// See [`Queue::begin`].
    pub fn begin(&mut self, lane: LaneId, now: Instant) -> (Vec<Arc<Batch>>, usize) {
        // Read before the lane is borrowed. A lane waits for others only, so its own entry does not
        // matter.
        let first: Vec<Option<u64>> = self.all.iter().map(|lane| lane.queue.first_unsettled()).collect();
        let is_settled = |after: &GroupPosition| {
            let first = first.get(after.lane.index()).copied().flatten();
            first.is_none_or(|first| first > after.number)
        };
        self.lane_mut(lane).queue.begin(now, is_settled)
    }

    /// The next groups of a lane are committed: see [`Queue::settle`]. Returns the lanes that may
    /// have waited for it.
    pub fn settle(&mut self, lane: LaneId, groups: usize, rows: usize) -> LaneSet {
        self.settle_as(lane, groups, rows, true)
    }

    /// The next group of a lane is given up. As [`Self::settle`].
    pub fn give_up(&mut self, lane: LaneId, rows: usize) -> LaneSet {
        self.settle_as(lane, 1, rows, false)
    }

    fn settle_as(&mut self, lane: LaneId, groups: usize, rows: usize, is_committed: bool) -> LaneSet {
        let mut wake = LaneSet::default();
        if !self.parking.is_empty() {
            if self.parking.has_flight(lane) {
                self.parking.settle(lane, groups, is_committed);
                return wake;
            }
            self.parking.lane_moved();
        }
        self.lane_mut(lane).queue.settle(groups, rows);
        for other in self.ids() {
            if other != lane && self.lane(other).queue.waits_for_others() {
                wake.add(other);
            }
        }
        wake
    }

    /// See [`Queue::failed`].
    pub fn failed(&mut self, lane: LaneId, retry_at: Instant) {
        self.lane_mut(lane).queue.failed(retry_at);
    }

    /// All groups in memory that are not settled, in the order in which they were added. Of each:
    /// its number, whether it may be committed all the same, and its rows.
    pub fn groups(&self) -> impl Iterator<Item = (u64, bool, impl Iterator<Item = Row<'_>>)> {
        let mut groups: Vec<_> = self.parking.all_groups().collect();
        for Lane { queue, .. } in &self.all {
            groups.extend(queue.groups().map(|(number, rows)| {
                let rows: Box<dyn Iterator<Item = Row<'_>> + '_> = Box::new(rows);
                (number, queue.is_in_doubt(number), rows)
            }));
        }
        groups.sort_by_key(|(number, ..)| *number);
        groups.into_iter()
    }

    /// Takes all groups that are not settled, in the order in which they were added, but for those
    /// that are in the journal alone: these are [taken](Self::take_stored) before.
    pub fn take_left(&mut self) -> Vec<LeftGroup> {
        let mut left: Vec<LeftGroup> = self.all.iter_mut().flat_map(|lane| lane.queue.take_left()).collect();
        left.extend(self.parking.take_left());
        left.sort_by_key(|group| group.number);
        left
    }

    /// All rows of a table in memory that are not settled, in the order in which they were added.
    pub fn rows_of(&self, table: TableId) -> impl Iterator<Item = Row<'_>> {
        let mut rows: Vec<(u64, Row<'_>)> = Vec::new();
        for (number, group) in self.all.iter().flat_map(|lane| lane.queue.groups()) {
            rows.extend(group.filter(|row| row.shape.table == table).map(|row| (number, row)));
        }
        rows.extend(self.parking.rows_of(table));
        if self.all.len() > 1 || !self.parking.is_empty() {
            // A stable sort: the rows of a group stay in their order.
            rows.sort_by_key(|(number, _)| *number);
        }
        rows.into_iter().map(|(_, row)| row)
    }

    /// Whether any lane has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        self.all.iter().any(|lane| lane.queue.has_rows_of(table)) || self.parking.has_rows_of(table)
    }

    /// Rows that were taken and are not settled.
    pub fn pending_rows(&self) -> usize {
        self.all.iter().map(|lane| lane.queue.pending_rows()).sum::<usize>() + self.parking.rows()
    }

    /// The memory that they take, in bytes, with that of their keys.
    pub fn pending_bytes(&self) -> usize {
        let batches: usize = self.all.iter().map(|lane| lane.queue.pending_bytes()).sum();
        batches + self.parking.bytes() + self.memory.bytes(self.pending_rows())
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        let queues = self.all.iter().filter_map(|lane| lane.queue.oldest());
        queues.chain(self.parking.oldest()).min()
    }

    /// Whether the rows of any one table have reached the batch size, those in flight counted.
    pub fn is_full(&self, batch_size: usize) -> bool {
        let rows_of = |table| self.all.iter().map(|lane| lane.queue.rows_of(table)).sum::<usize>();
        self.all
            .iter()
            .flat_map(|lane| lane.queue.tables())
            .any(|table| rows_of(table) >= batch_size)
    }
}

/// What the lanes' queues have settled.
struct Progress<'l, F>(&'l [Lane<F>]);

impl<F> LaneProgress for Progress<'_, F> {
    fn is_settled_in(&self, lane: LaneId, number: u64) -> bool {
        self.0[lane.index()].queue.is_settled(number)
    }

    fn is_settled(&self, number: u64) -> bool {
        is_settled_everywhere(self.0, number)
    }
}

fn is_settled_everywhere<F>(lanes: &[Lane<F>], group: u64) -> bool {
    lanes.iter().all(|lane| lane.queue.is_settled(group))
}

fn is_settled<F>(lanes: &[Lane<F>], position: &GroupPosition) -> bool {
    lanes[position.lane.index()].queue.is_settled(position.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::background::lanes::memory::KEYS_KEPT;
    use crate::table::catalog::Catalog;
    use crate::value::Value;

    /// Two lanes, and a group of one row.
    fn two_lanes() -> (Lanes<()>, Group) {
        let settings = Settings {
            lanes: 2,
            ..Settings::default()
        };
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let shape = catalog
            .shape(TableId(0), std::iter::once(b"id".as_slice()))
            .expect("a shape");
        let mut group = Group::default();
        group.push_row(&shape, &[Value::Int(0)]).expect("short");
        (Lanes::new(&settings, [(), ()]), group)
    }

    #[test]
    fn settled_keys_are_forgotten_and_waiting_ones_are_not() {
        let ((mut lanes, group), now) = (two_lanes(), Instant::now());
        let add = |lanes: &mut Lanes<()>, key: u64, route: u64| {
            let keys = vec![(TableId(0), KeyHash::Known(key))];
            let hash = Some(route);
            lanes.add(&group, Some(&Route { hash, keys }), now).0.index()
        };
        let waiting = u64::MAX;
        assert_eq!(add(&mut lanes, waiting, 1), 1);
        for key in 0..20_000 {
            add(&mut lanes, key, 0);
            lanes.request_flush();
            lanes.begin(LaneId::new(0), now);
            lanes.settle(LaneId::new(0), 1, 1);
        }
        assert!(lanes.memory.count() <= KEYS_KEPT + 1, "{} keys", lanes.memory.count());
        // Its route says the first lane, and its earlier row waits in the second.
        assert_eq!(add(&mut lanes, waiting, 0), 1);
        assert_eq!(add(&mut lanes, 5, 0), 0);
    }

    #[test]
    fn a_group_that_nobody_takes_changes_no_other_ones_place() {
        let ((mut lanes, group), now) = (two_lanes(), Instant::now());
        let route = |keys: &[u64], hash: u64| Route {
            hash: Some(hash),
            keys: keys.iter().map(|key| (TableId(0), KeyHash::Known(*key))).collect(),
        };
        let add = |lanes: &mut Lanes<()>, route: &Route| lanes.add(&group, Some(route), now).0.index();
        assert_eq!(add(&mut lanes, &route(&[1], 1)), 1);
        assert_eq!(add(&mut lanes, &route(&[2], 0)), 0);
        // It would go where the newest group of its keys is. There is no room for it.
        assert_eq!(lanes.choose(Some(&route(&[1, 2], 0)), || now).lane.index(), 0);
        assert_eq!(add(&mut lanes, &route(&[1], 0)), 1, "it would overtake the first one");
    }
}
