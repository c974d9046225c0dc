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
use crate::buffer::queue::{AddEffect, Due, GroupPosition, Queue};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::settings::Settings;
use crate::table::entry::TableId;

/// More lanes than a server profits from.
pub const MAX_LANES: usize = 64;

/// The memory of keys is not cleared below this.
const KEYS_KEPT: usize = 4_096;

/// Lanes that have something to do now, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneSet(u64);

impl LaneSet {
    fn add(&mut self, lane: usize) {
        self.0 |= 1 << (lane % MAX_LANES);
    }

    /// The lanes.
    pub fn lanes(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lane = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (lane < MAX_LANES).then_some(lane)
        })
    }

    /// Those of which it holds.
    #[must_use]
    pub fn only(self, holds: impl Fn(usize) -> bool) -> Self {
        let mut only = Self::default();
        self.lanes().filter(|lane| holds(*lane)).for_each(|lane| only.add(lane));
        only
    }
}

/// The groups of one table.
#[derive(Debug, Clone, Default)]
struct TablePositions {
    /// The last group with a row of it, by lane.
    last: Vec<u64>,
    /// The last group with a row of unknown key.
    unknown: Option<GroupPosition>,
}

/// See the module.
#[derive(Debug)]
pub struct Lanes {
    queues: Vec<Queue>,
    max_pending_rows: usize,
    max_pending_bytes: usize,
    /// How many groups were ever taken, which is the number of the last one.
    taken: u64,
    /// The last group with a row of that key, by its hash. A collision makes a group wait, and nothing else.
    keys: FxHashMap<(TableId, u64), GroupPosition>,
    tables: Vec<TablePositions>,
}

impl Lanes {
    /// Empty lanes.
    pub fn new(settings: &Settings) -> Self {
        Self {
            queues: (0..settings.lanes.clamp(1, MAX_LANES))
                .map(|_| Queue::new(settings))
                .collect(),
            max_pending_rows: settings.max_pending_rows,
            max_pending_bytes: settings.max_pending_bytes,
            taken: 0,
            keys: FxHashMap::default(),
            tables: Vec::new(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// One lane's queue.
    pub fn queue(&self, lane: usize) -> Option<&Queue> {
        self.queues.get(lane)
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

    /// Takes a group. Without a route, which one lane does not need, it takes the first. Gives its lane, and which lanes'
    /// flushers have something new to do.
    pub fn add(&mut self, group: &Group, route: Option<&Route>, now: Instant) -> (usize, LaneSet) {
        self.taken += 1;
        let mut wake = LaneSet::default();
        let (lane, after) = match route {
            Some(route) if self.queues.len() > 1 => self.place(route),
            _ => (0, Vec::new()),
        };
        for other in &after {
            if let Some(queue) = self.queues.get_mut(other.lane) {
                queue.want(other.number);
                wake.add(other.lane);
            }
        }
        let number = self.taken;
        if let Some(queue) = self.queues.get_mut(lane)
            && queue.add(group, number, after, now) == AddEffect::Wake
        {
            wake.add(lane);
        }
        (lane, wake)
    }

    /// The lane of the group that is being taken, and what it waits for. It is entered there.
    fn place(&mut self, route: &Route) -> (usize, Vec<GroupPosition>) {
        let mut met: Vec<GroupPosition> = Vec::new();
        for (table, key) in &route.keys {
            let places = self.tables.get(table.0);
            match key {
                KeyHash::Known(hash) => {
                    met.extend(self.keys.get(&(*table, *hash)));
                    met.extend(places.and_then(|places| places.unknown));
                }
                KeyHash::Unknown => {
                    let last = places.map_or(&[][..], |places| &places.last).iter().enumerate();
                    met.extend(last.map(|(lane, group)| GroupPosition { lane, number: *group }));
                }
            }
        }
        met.retain(|place| !self.is_group_settled(place));
        let any_unknown = route.keys.iter().any(|(_, key)| *key == KeyHash::Unknown);
        let newest = met.iter().max_by_key(|place| place.number);
        let lane = match newest {
            _ if any_unknown => 0,
            Some(place) => place.lane,
            None => usize::try_from(route.hash % self.queues.len() as u64).unwrap_or(0),
        };
        self.enter(route, lane);
        let mut after: Vec<GroupPosition> = Vec::new();
        for place in met.into_iter().filter(|place| place.lane != lane) {
            match after.iter_mut().find(|other| other.lane == place.lane) {
                Some(other) => other.number = other.number.max(place.number),
                None => after.push(place),
            }
        }
        (lane, after)
    }

    fn enter(&mut self, route: &Route, lane: usize) {
        let here = GroupPosition {
            lane,
            number: self.taken,
        };
        for (table, key) in &route.keys {
            if self.tables.len() <= table.0 {
                self.tables.resize(table.0 + 1, TablePositions::default());
            }
            if let Some(places) = self.tables.get_mut(table.0) {
                places.last.resize(self.queues.len(), 0);
                if let Some(last) = places.last.get_mut(lane) {
                    *last = here.number;
                }
                if *key == KeyHash::Unknown {
                    places.unknown = Some(here);
                }
            }
            if let KeyHash::Known(hash) = key {
                self.keys.insert((*table, *hash), here);
            }
        }
        if self.keys.len() > KEYS_KEPT.max(2 * self.pending_rows()) {
            let queues = &self.queues;
            self.keys
                .retain(|_, place| *place == here || !is_settled(queues, place));
        }
    }

    fn is_group_settled(&self, place: &GroupPosition) -> bool {
        is_settled(&self.queues, place)
    }

    /// Asks for all groups taken so far, at once; gives the number of the last one.
    pub fn request_flush(&mut self) -> u64 {
        for queue in &mut self.queues {
            queue.want(self.taken);
            queue.retry_now();
        }
        self.taken
    }

    /// Whether all groups up to a number are settled.
    pub fn is_settled(&self, group: u64) -> bool {
        self.queues.iter().all(|queue| queue.is_settled(group))
    }

    /// Whether the other lanes have settled all groups that were added before the first one of this lane. What is left of
    /// them is asked for at once.
    pub fn others_are_settled(&mut self, lane: usize) -> bool {
        let Some(first) = self.queues.get(lane).and_then(Queue::first_unsettled) else {
            return true;
        };
        let mut all = true;
        for (other, queue) in self.queues.iter_mut().enumerate() {
            if other != lane && !queue.is_settled(first) {
                queue.want(first);
                all = false;
            }
        }
        all
    }

    /// What there is to do in a lane.
    pub fn due(&self, lane: usize, now: Instant) -> Due {
        self.queues
            .get(lane)
            .map_or(Due::Never, |queue| queue.due(now, |after| self.is_group_settled(after)))
    }

    /// See [`Queue::begin`].
    pub fn begin(&mut self, lane: usize, now: Instant) -> (Vec<Arc<Batch>>, usize) {
        // Asked for before the lane is borrowed; it waits for others only.
        let first: Vec<Option<u64>> = self.queues.iter().map(Queue::first_unsettled).collect();
        let is_settled = |after: &GroupPosition| {
            let first = first.get(after.lane).copied().flatten();
            first.is_none_or(|first| first > after.number)
        };
        self.queues
            .get_mut(lane)
            .map_or((Vec::new(), 0), |queue| queue.begin(now, is_settled))
    }

    /// See [`Queue::settle`]. Gives the lanes that may have waited for it.
    pub fn settle(&mut self, lane: usize, groups: usize, rows: usize) -> LaneSet {
        let mut wake = LaneSet::default();
        if let Some(queue) = self.queues.get_mut(lane) {
            queue.settle(groups, rows);
        }
        for (other, queue) in self.queues.iter().enumerate() {
            if other != lane && queue.waits_for_others() {
                wake.add(other);
            }
        }
        wake
    }

    /// See [`Queue::failed`].
    pub fn failed(&mut self, lane: usize, retry_at: Instant) {
        if let Some(queue) = self.queues.get_mut(lane) {
            queue.failed(retry_at);
        }
    }

    /// All rows of a table that are not settled, in the order in which they were added.
    pub fn rows_of(&self, table: TableId) -> impl Iterator<Item = Row<'_>> {
        let mut rows: Vec<(u64, Row<'_>)> = Vec::new();
        for queue in &self.queues {
            for (number, group) in queue.groups() {
                rows.extend(group.filter(|row| row.shape.table == table).map(|row| (number, row)));
            }
        }
        if self.queues.len() > 1 {
            // Stable: the rows of a group stay in their order.
            rows.sort_by_key(|(number, _)| *number);
        }
        rows.into_iter().map(|(_, row)| row)
    }

    /// Whether any lane has rows of a table.
    pub fn has_rows_of(&self, table: TableId) -> bool {
        self.queues.iter().any(|queue| queue.has_rows_of(table))
    }

    /// Rows taken and not settled.
    pub fn pending_rows(&self) -> usize {
        self.queues.iter().map(Queue::pending_rows).sum()
    }

    /// The memory they take, in bytes.
    pub fn pending_bytes(&self) -> usize {
        self.queues.iter().map(Queue::pending_bytes).sum()
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        self.queues.iter().filter_map(Queue::oldest).min()
    }

    /// Whether the rows of any one table have reached the batch size, those in flight counted.
    pub fn is_full(&self, batch_size: usize) -> bool {
        let rows_of = |table| self.queues.iter().map(|queue| queue.rows_of(table)).sum::<usize>();
        self.queues
            .iter()
            .flat_map(Queue::tables)
            .any(|table| rows_of(table) >= batch_size)
    }
}

fn is_settled(queues: &[Queue], place: &GroupPosition) -> bool {
    queues
        .get(place.lane)
        .is_none_or(|queue| queue.is_settled(place.number))
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
        let (mut lanes, now) = (Lanes::new(&settings), Instant::now());
        let add = |lanes: &mut Lanes, key: u64, route: u64| {
            let mut group = Group::default();
            group.push_row(&shape, &[Value::Int(0)]).expect("short");
            let keys = vec![(TableId(0), KeyHash::Known(key))];
            lanes.add(&group, Some(&Route { hash: route, keys }), now).0
        };
        let waiting = u64::MAX;
        assert_eq!(add(&mut lanes, waiting, 1), 1);
        for key in 0..20_000 {
            add(&mut lanes, key, 0);
            lanes.request_flush();
            lanes.begin(0, now);
            lanes.settle(0, 1, 1);
        }
        assert!(lanes.keys.len() <= KEYS_KEPT + 1, "{} keys", lanes.keys.len());
        // Its route says the first lane, and its earlier row waits in the second.
        assert_eq!(add(&mut lanes, waiting, 0), 1);
        assert_eq!(add(&mut lanes, 5, 0), 0);
    }
}
