//! What of the parked groups goes on its way next: those that are free, a probe of a table, or
//! those whose time is over.

use std::sync::Arc;
use std::time::Instant;

use crate::buffer::limits::{MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS};
use crate::buffer::parking::cause::Cause;
use crate::buffer::parking::flight::Flight;
use crate::buffer::parking::held::HeldKeys;
use crate::buffer::parking::{EXPIRY_STEP, LaneProgress, PROBE_INTERVAL, Parking, Work};
use crate::buffer::queue::LaneId;

impl Parking {
    /// Takes groups into a lane's flight that are free to go, or one that probes a table, or those
    /// whose time is over. Or returns what is in flight there already.
    pub fn take(&mut self, lane: LaneId, now: Instant, lanes: &impl LaneProgress) -> Option<Work> {
        // A panic may have ended the attempt before.
        self.commit_unclear(lane);
        if !self.has_flight(lane) {
            self.causes.iter_mut().for_each(Cause::look_at_table);
            let unread = self.reader.unread();
            let unread = unread.filter_map(|(id, entry)| Some((id, entry.model()?, Arc::clone(entry))));
            self.read_by(unread.collect());
            let flight = self.expired(lane, now).or_else(|| self.free(lane, now, lanes))?;
            for number in flight.numbers() {
                if let Some(group) = self.groups.get_mut(&number) {
                    group.is_in_flight = true;
                }
            }
            self.flights.push(flight);
        }
        self.flights.iter().find(|flight| flight.lane == lane).map(Flight::work)
    }

    /// The groups whose time is over, of one cause.
    fn expired(&mut self, lane: LaneId, now: Instant) -> Option<Flight> {
        let timeout = self.timeout?;
        if self.next_expiry? > now {
            return None;
        }
        let ending: Vec<&Cause> = self.causes.iter().filter(|cause| cause.ends()).collect();
        let mut flight: Option<(Flight, *const Cause)> = None;
        let mut next: Option<Instant> = None;
        for (number, group) in &self.groups {
            let Some(cause) = ending.iter().find(|cause| cause.is_of_any(&group.batch)) else {
                continue;
            };
            let at = group.since + timeout;
            if group.is_in_flight || at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            let (flight, of) = flight.get_or_insert_with(|| {
                let waited_ms = timeout.as_millis();
                let words = format!("given up after {waited_ms} ms (parkTimeoutMs)");
                (
                    Flight::giving_up(lane, cause.error.clone().context(&words)),
                    std::ptr::from_ref(*cause),
                )
            });
            if std::ptr::eq(*of, *cause) {
                flight.add(*number, Arc::clone(&group.batch));
            } else {
                next = Some(now);
            }
        }
        self.next_expiry = next.map(|next| next.max(now + EXPIRY_STEP));
        flight.map(|(flight, _)| flight)
    }

    /// Groups that are free to go; else one that probes a table.
    fn free(&mut self, lane: LaneId, now: Instant, lanes: &impl LaneProgress) -> Option<Flight> {
        if !self.is_changed && !self.causes.iter().any(|cause| cause.is_due(now)) {
            return None;
        }
        let mut flight = Flight::writing(lane);
        // Those that were added before and stay.
        let mut ahead = HeldKeys::default();
        let mut any_stays = false;
        // For each cause a group that could probe it, and whether it is of no other cause.
        let mut probes: Vec<Option<(u64, bool)>> = vec![None; self.causes.len()];
        let mut has_groups = vec![false; self.causes.len()];
        let (mut rows, mut bytes) = (0, 0);
        for (number, group) in &self.groups {
            let of = self
                .causes
                .iter()
                .enumerate()
                .filter(|(_, cause)| cause.is_of_any(&group.batch));
            let causes: Vec<usize> = of.map(|(at, _)| at).collect();
            for (cause, has_groups) in self.causes.iter().zip(&mut has_groups) {
                *has_groups |= cause.concerns_any(&group.batch);
            }
            let may_go = if group.is_in_flight {
                false
            } else if !lanes.is_settled_in(group.lane, *number)
                || (group.refused.is_some() && !lanes.is_settled(*number))
            {
                self.waits_for_lanes = true;
                false
            } else if ahead.meets(&group.keys)
                || (any_stays
                    && group
                        .refused
                        .as_ref()
                        .is_some_and(|refusal| refusal.waits(self.endings)))
            {
                false
            } else {
                for at in &causes {
                    let is_alone = causes.len() == 1;
                    if probes[*at].is_none_or(|(_, was_alone)| is_alone && !was_alone) {
                        probes[*at] = Some((*number, is_alone));
                    }
                }
                causes.is_empty()
            };
            if may_go {
                rows += group.batch.rows();
                bytes += group.batch.size_bytes();
                if !flight.is_empty() && (rows > MAX_TRANSACTION_ROWS || bytes > MAX_TRANSACTION_BYTES) {
                    return Some(flight);
                }
                flight.add(*number, Arc::clone(&group.batch));
            } else {
                any_stays = true;
                ahead.add(&group.keys);
            }
        }
        self.is_changed = !flight.is_empty();
        if !flight.is_empty() {
            return Some(flight);
        }
        self.probe(lane, now, &probes, &has_groups)
    }

    /// A flight of one group that probes a table, if one is due.
    fn probe(
        &mut self,
        lane: LaneId,
        now: Instant,
        probes: &[Option<(u64, bool)>],
        has_groups: &[bool],
    ) -> Option<Flight> {
        let mut flight: Option<Flight> = None;
        for (cause, probe) in self.causes.iter_mut().zip(probes) {
            match probe {
                _ if !cause.is_due(now) => {}
                None => {
                    cause.is_stalled = true;
                    cause.next_probe = now + PROBE_INTERVAL;
                }
                Some((number, _)) if flight.is_none() => {
                    if let Some(group) = self.groups.get(number) {
                        let mut probing = Flight::writing(lane);
                        probing.reads = self.reader.take_unread();
                        probing.repeats = cause.is_lock().then(|| cause.error.clone());
                        probing.add(*number, Arc::clone(&group.batch));
                        flight = Some(probing);
                        cause.prober = Some(lane);
                        cause.is_wanted = true;
                    }
                }
                Some(_) => {}
            }
        }
        // All groups of a table are gone: its next rows are tried as others are.
        let mut has_groups = has_groups.iter();
        self.causes.retain(|_| has_groups.next().copied().unwrap_or(true));
        flight
    }
}
