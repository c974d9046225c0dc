//! The lanes of a background buffer: which lane a group takes, and what it has to wait for there. Pure, as the queues are.
//!
//! Lanes write side by side, so what keeps the order of one lane does not keep it between two. Three rules do:
//! - A group goes to the lane that its route chooses, unless a row of one of its keys still waits in another one: then it
//!   goes there.
//! - Where such rows wait in several lanes, the group waits in one of them until the others have written theirs.
//! - Rows whose key is not known for certain (a table that the server was not asked for yet, a collation that only it knows)
//!   all go to the first lane, and count as rows of any key of their table.
//!
//! So at any time the rows of one key are written in the order in which they were added, and a row of one lane never
//! overtakes one of another that it could meet.
//!
//! Why nothing waits for ever: a group that waits opens a batch of its own, so a batch waits only for groups that were added
//! before its first one; whichever batch was opened first waits for nothing.
//!
//! Bounds: `max_pending_rows` and `max_pending_bytes` over all lanes; the memory of keys is cleared of settled ones when it
//! has twice as many as rows are pending.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::buffer::background::route::{KeyHash, Route};
use crate::buffer::queue::{AddEffect, Due, GroupPosition, LaneId, Queue};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::table::entry::TableId;

/// More lanes than a server profits from.
pub const MAX_LANES: usize = 64;
/// The memory of keys is not cleared below this.
const KEYS_KEPT: usize = 4_096;

/// Some lanes of one set, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneSet(u64);

impl LaneSet {
    fn add(&mut self, lane: LaneId) {
        self.0 |= 1 << lane.index();
    }

    /// The lanes.
    pub fn ids(self) -> impl Iterator<Item = LaneId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lane = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (lane < MAX_LANES).then(|| LaneId::new(lane))
        })
    }
}

/// The groups of one table.
#[derive(Debug, Clone, Default)]
struct TablePositions {
    /// The last group with a row of it, by lane.
    last: Vec<GroupPosition>,
    /// The last group with a row of unknown key.
    unknown: Option<GroupPosition>,
}

/// One lane: what waits in it, and who writes it.
#[derive(Debug)]
pub struct Lane<F> {
    /// What waits.
    pub queue: Queue,
    /// Who writes it: nobody in tests of the rules alone.
    pub flusher: F,
}

/// See the module.
#[derive(Debug)]
pub struct Lanes<F> {
    /// At least one, at most [`MAX_LANES`], and always as many: so a [`LaneId`] names one of them.
    all: Vec<Lane<F>>,
    max_pending_rows: usize,
    max_pending_bytes: usize,
    /// How many groups were ever taken, which is the number of the last one.
    taken: u64,
    /// The last group with a row of that key, by its hash. A collision makes a group wait, and nothing else.
    keys: FxHashMap<(TableId, u64), GroupPosition>,
    tables: Vec<TablePositions>,
}

impl<F> Lanes<F> {
    /// Empty lanes, one for each flusher: at least one, at most [`MAX_LANES`].
    ///
    /// # Panics
    ///
    /// None, or too many.
    pub fn new(settings: &Settings, flushers: impl IntoIterator<Item = F>) -> Self {
        let lane = |flusher| Lane {
            queue: Queue::new(settings),
            flusher,
        };
        let lanes: Vec<_> = flushers.into_iter().map(lane).collect();
        assert!((1..=MAX_LANES).contains(&lanes.len()), "from 1 to {MAX_LANES} lanes");
        Self {
            all: lanes,
            max_pending_rows: settings.max_pending_rows,
            max_pending_bytes: settings.max_pending_bytes,
            taken: 0,
            keys: FxHashMap::default(),
            tables: Vec::new(),
        }
    }

    /// All lanes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Lane<F>> {
        self.all.iter()
    }

    /// Their names, in order.
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

    /// Takes a group. Without a route, which one lane does not need, it takes the first. Returns its lane, and which
    /// lanes' flushers have something new to do.
    pub fn add(&mut self, group: &Group, route: Option<&Route>, now: Instant) -> (LaneId, LaneSet) {
        self.taken += 1;
        let mut wake = LaneSet::default();
        let (lane, after) = match route {
            Some(route) if self.all.len() > 1 => self.place(route),
            _ => (LaneId::new(0), Vec::new()),
        };
        for other in &after {
            self.lane_mut(other.lane).queue.want(other.number);
            wake.add(other.lane);
        }
        let number = self.taken;
        if self.lane_mut(lane).queue.add(group, number, after, now) == AddEffect::Wake {
            wake.add(lane);
        }
        (lane, wake)
    }

    /// The lane of the group that is being taken, and what it waits for. It is entered there.
    fn place(&mut self, route: &Route) -> (LaneId, Vec<GroupPosition>) {
        let mut met: Vec<GroupPosition> = Vec::new();
        for (table, key) in &route.keys {
            let positions = self.tables.get(table.0);
            match key {
                KeyHash::Known(hash) => {
                    met.extend(self.keys.get(&(*table, *hash)));
                    met.extend(positions.and_then(|positions| positions.unknown));
                }
                KeyHash::Unknown => met.extend(positions.iter().flat_map(|positions| &positions.last)),
            }
        }
        met.retain(|position| !self.is_group_settled(position));
        let any_unknown = route.keys.iter().any(|(_, key)| *key == KeyHash::Unknown);
        let newest = met.iter().max_by_key(|position| position.number);
        let lane = match newest {
            _ if any_unknown => LaneId::new(0),
            Some(position) => position.lane,
            None => self.lane_of_hash(route.hash),
        };
        self.enter(route, lane);
        let mut after: Vec<GroupPosition> = Vec::new();
        for position in met.into_iter().filter(|position| position.lane != lane) {
            match after.iter_mut().find(|other| other.lane == position.lane) {
                Some(other) => other.number = other.number.max(position.number),
                None => after.push(position),
            }
        }
        (lane, after)
    }

    fn lane_of_hash(&self, hash: u64) -> LaneId {
        let at = hash % self.all.len() as u64;
        LaneId::new(usize::try_from(at).unwrap_or(0))
    }

    fn enter(&mut self, route: &Route, lane: LaneId) {
        let here = GroupPosition {
            lane,
            number: self.taken,
        };
        for (table, key) in &route.keys {
            if self.tables.len() <= table.0 {
                self.tables.resize(table.0 + 1, TablePositions::default());
            }
            let positions = &mut self.tables[table.0];
            match positions.last.iter_mut().find(|last| last.lane == lane) {
                Some(last) => *last = here,
                None => positions.last.push(here),
            }
            match key {
                KeyHash::Unknown => positions.unknown = Some(here),
                KeyHash::Known(hash) => drop(self.keys.insert((*table, *hash), here)),
            }
        }
        if self.keys.len() > KEYS_KEPT.max(2 * self.pending_rows()) {
            let lanes = &self.all;
            self.keys
                .retain(|_, position| *position == here || !is_settled(lanes, position));
        }
    }

    fn is_group_settled(&self, position: &GroupPosition) -> bool {
        is_settled(&self.all, position)
    }

    /// Asks for all groups taken so far, at once; returns the number of the last one.
    pub fn request_flush(&mut self) -> u64 {
        for lane in &mut self.all {
            lane.queue.want(self.taken);
            lane.queue.retry_now();
        }
        self.taken
    }

    /// Whether all groups up to a number are settled.
    pub fn is_settled(&self, group: u64) -> bool {
        self.all.iter().all(|lane| lane.queue.is_settled(group))
    }

    /// Whether the other lanes have settled all groups that were added before the first one of this lane. What is left of
    /// them is asked for at once.
    pub fn others_are_settled(&mut self, lane: LaneId) -> bool {
        let Some(first) = self.lane(lane).queue.first_unsettled() else {
            return true;
        };
        let mut all = true;
        for (other, Lane { queue, .. }) in self.all.iter_mut().enumerate() {
            if other != lane.index() && !queue.is_settled(first) {
                queue.want(first);
                all = false;
            }
        }
        all
    }

    /// What there is to do in a lane.
    pub fn due(&self, lane: LaneId, now: Instant) -> Due {
        self.lane(lane).queue.due(now, |after| self.is_group_settled(after))
    }

    /// See [`Queue::begin`].
    pub fn begin(&mut self, lane: LaneId, now: Instant) -> (Vec<Arc<Batch>>, usize) {
        // Asked for before the lane is borrowed; it waits for others only.
        let first: Vec<Option<u64>> = self.all.iter().map(|lane| lane.queue.first_unsettled()).collect();
        let is_settled = |after: &GroupPosition| {
            let first = first.get(after.lane.index()).copied().flatten();
            first.is_none_or(|first| first > after.number)
        };
        self.lane_mut(lane).queue.begin(now, is_settled)
    }

    /// See [`Queue::settle`]. Returns the lanes that may have waited for it.
    pub fn settle(&mut self, lane: LaneId, groups: usize, rows: usize) -> LaneSet {
        let mut wake = LaneSet::default();
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

    /// All rows of a table that are not settled, in the order in which they were added.
    pub fn rows_of(&self, table: TableId) -> impl Iterator<Item = Row<'_>> {
        let mut rows: Vec<(u64, Row<'_>)> = Vec::new();
        for (number, group) in self.all.iter().flat_map(|lane| lane.queue.groups()) {
            rows.extend(group.filter(|row| row.shape.table == table).map(|row| (number, row)));
        }
        if self.all.len() > 1 {
            // Stable: the rows of a group stay in their order.
            rows.sort_by_key(|(number, _)| *number);
        }
        rows.into_iter().map(|(_, row)| row)
    }

    /// Whether any lane has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        self.all.iter().any(|lane| lane.queue.has_rows_of(table))
    }

    /// Rows taken and not settled.
    pub fn pending_rows(&self) -> usize {
        self.all.iter().map(|lane| lane.queue.pending_rows()).sum()
    }

    /// The memory they take, in bytes.
    pub fn pending_bytes(&self) -> usize {
        self.all.iter().map(|lane| lane.queue.pending_bytes()).sum()
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        self.all.iter().filter_map(|lane| lane.queue.oldest()).min()
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

fn is_settled<F>(lanes: &[Lane<F>], position: &GroupPosition) -> bool {
    lanes[position.lane.index()].queue.is_settled(position.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::value::Value;

    #[test]
    fn settled_keys_are_forgotten_and_waiting_ones_are_not() {
        let settings = Settings {
            lanes: 2,
            ..Settings::default()
        };
        let mut catalog = Catalog::new(&["t"], "none", Vec::new()).expect("a catalog");
        let shape = catalog
            .shape(TableId(0), std::iter::once(b"id".as_slice()))
            .expect("a shape");
        let (mut lanes, now) = (Lanes::new(&settings, [(), ()]), Instant::now());
        let add = |lanes: &mut Lanes<()>, key: u64, route: u64| {
            let mut group = Group::default();
            group.push_row(&shape, &[Value::Int(0)]).expect("short");
            let keys = vec![(TableId(0), KeyHash::Known(key))];
            lanes.add(&group, Some(&Route { hash: route, keys }), now).0.index()
        };
        let waiting = u64::MAX;
        assert_eq!(add(&mut lanes, waiting, 1), 1);
        for key in 0..20_000 {
            add(&mut lanes, key, 0);
            lanes.request_flush();
            lanes.begin(LaneId::new(0), now);
            lanes.settle(LaneId::new(0), 1, 1);
        }
        assert!(lanes.keys.len() <= KEYS_KEPT + 1, "{} keys", lanes.keys.len());
        // Its route says the first lane, and its earlier row waits in the second.
        assert_eq!(add(&mut lanes, waiting, 0), 1);
        assert_eq!(add(&mut lanes, 5, 0), 0);
    }
}
