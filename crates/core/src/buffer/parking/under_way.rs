//! What becomes of parked groups that are on their way again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::buffer::keys::TableKey;
use crate::buffer::parking::flight::Flight;
use crate::buffer::parking::held::HeldKeys;
use crate::buffer::parking::{EXPIRY_STEP, PROBE_INTERVAL, ParkedGroup, Parking, Refusal};
use crate::buffer::queue::LaneId;
use crate::error::Error;
use crate::rows::batch::Batch;

impl Parking {
    /// Whether a lane has parked groups in flight.
    pub fn has_flight(&self, lane: LaneId) -> bool {
        self.flights.iter().any(|flight| flight.lane == lane)
    }

    /// Whether a lane has a parked group up to a number in flight.
    pub fn has_in_flight(&self, lane: LaneId, number: u64) -> bool {
        let mut flights = self.flights.iter().filter(|flight| flight.lane == lane);
        flights.any(|flight| flight.has_group_up_to(number))
    }

    /// The number of the next group in a lane's flight.
    pub fn next_in_flight(&self, lane: LaneId) -> Option<u64> {
        self.flights.iter().find(|flight| flight.lane == lane)?.numbers().next()
    }

    fn flight_mut(&mut self, lane: LaneId) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.lane == lane)
    }

    /// COMMIT is about to be sent for these groups of a lane's flight: see
    /// [`doubt`](crate::buffer::doubt).
    pub fn begin_commit(&mut self, lane: LaneId, groups: &Range<usize>) {
        self.commit_unclear(lane);
        if let Some(flight) = self.flight_mut(lane).filter(|_| !groups.is_empty()) {
            let numbers = flight.groups.get(groups.clone()).unwrap_or_default();
            flight.committing = numbers.iter().map(|(number, _)| *number).collect();
            flight.awaits_commit = true;
        }
    }

    /// It was not carried out.
    pub fn commit_failed(&mut self, lane: LaneId) {
        if let Some(flight) = self.flight_mut(lane) {
            flight.committing.clear();
            flight.awaits_commit = false;
        }
    }

    /// Nobody knows what became of it: its groups are in doubt until they are settled.
    pub fn commit_unclear(&mut self, lane: LaneId) {
        let Some(flight) = self.flight_mut(lane) else { return };
        flight.awaits_commit = false;
        for number in std::mem::take(&mut flight.committing) {
            if let Some(group) = self.groups.get_mut(&number) {
                group.is_in_doubt = true;
            }
        }
    }

    /// Whether the answer to a COMMIT of a lane's flight is awaited.
    pub fn awaits_commit(&self, lane: LaneId) -> bool {
        self.flights
            .iter()
            .any(|flight| flight.lane == lane && flight.awaits_commit)
    }

    /// Whether a group may be committed all the same.
    pub(super) fn is_in_doubt(&self, number: u64, group: &ParkedGroup) -> bool {
        group.is_in_doubt || self.flights.iter().any(|flight| flight.committing.contains(&number))
    }

    /// The next `groups` groups of a lane's flight are committed, or given up.
    pub fn settle(&mut self, lane: LaneId, groups: usize, is_committed: bool) {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.lane == lane) else {
            return;
        };
        let settled: Vec<u64> = flight.numbers().take(groups).collect();
        flight.done += settled.len();
        flight.committing.clear();
        flight.awaits_commit = false;
        let is_over = flight.left().is_empty();
        for number in &settled {
            let Some(group) = self.groups.remove(number) else {
                continue;
            };
            self.endings.groups += 1;
            self.held.remove(&group.keys);
            self.rows -= group.batch.rows();
            self.bytes -= group.size_bytes();
            self.forget_rows(&group.batch);
            if is_committed {
                // Its tables took its rows.
                self.causes.retain(|cause| !cause.concerns_any(&group.batch));
            }
        }
        if is_over {
            self.end_flight(lane);
        }
        if !settled.is_empty() {
            self.changed();
            let groups = &self.groups;
            self.log
                .forget_settled(groups.len(), |number| groups.contains_key(&number));
        }
        if self.groups.is_empty() {
            self.forget_reasons();
        }
    }

    /// The rows of a group that is settled count no more.
    fn forget_rows(&mut self, group: &Batch) {
        for row in group.all_rows() {
            let table = row.shape.table;
            if let Some(rows) = self.table_rows.get_mut(&table) {
                *rows -= 1;
                if *rows == 0 {
                    self.table_rows.remove(&table);
                }
            }
        }
    }

    fn end_flight(&mut self, lane: LaneId) {
        self.flights.retain(|flight| flight.lane != lane);
        self.endings.flights += 1;
        for cause in &mut self.causes {
            if cause.prober == Some(lane) {
                cause.prober = None;
            }
        }
    }

    /// Takes back what has to wait again, from a lane's flight: the first group if it was refused,
    /// the rows of tables in the way, and what could meet these. Returns whether there was any.
    pub(super) fn return_from_flight(&mut self, lane: LaneId, mut refused: Option<Error>, now: Instant) -> bool {
        self.commit_unclear(lane);
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.lane == lane) else {
            return false;
        };
        let mut back = HeldKeys::default();
        let mut stays: Vec<(u64, Arc<Batch>)> = Vec::new();
        let all = flight.left().len();
        for (number, batch) in flight.left().to_vec() {
            let Some(group) = self.groups.get_mut(&number) else {
                continue;
            };
            let error = refused.take();
            let keys: &[TableKey] = &group.keys;
            let waits = error.is_some() || back.meets(keys) || self.causes.iter().any(|cause| cause.is_of_any(&batch));
            if !waits {
                stays.push((number, batch));
                continue;
            }
            back.add(keys);
            // The second time it was tried behind all lanes, and may lack what is parked.
            let seen = group.refused.is_some().then_some(self.endings);
            group.refused = error.map(|error| Box::new(Refusal { error, seen }));
            group.is_in_flight = false;
            group.lane = lane;
        }
        let is_changed = stays.len() < all;
        flight.groups = stays;
        flight.done = 0;
        if flight.is_empty() {
            self.end_flight(lane);
        }
        if is_changed {
            self.changed();
            // They may have waited behind others for long, and are known to wait for a table now.
            if self.timeout.is_some() {
                self.next_expiry.get_or_insert(now + EXPIRY_STEP);
            }
        }
        is_changed
    }

    /// What was to be given up cannot be kept anywhere now: it is tried again later.
    pub fn postpone(&mut self, lane: LaneId, now: Instant) {
        self.commit_unclear(lane);
        let Some(flight) = self.flights.iter().find(|flight| flight.lane == lane) else {
            return;
        };
        for number in flight.numbers() {
            if let Some(group) = self.groups.get_mut(&number) {
                group.is_in_flight = false;
            }
        }
        self.end_flight(lane);
        self.next_expiry = Some(now + PROBE_INTERVAL.max(EXPIRY_STEP));
    }
}
