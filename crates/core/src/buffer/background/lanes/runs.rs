//! Which lane takes the groups that any lane may take.
//!
//! A lane takes a run of them before another one gets any. Keys that rise are neighbours in an
//! index: lanes that take turns row by row write to the same pages and wait for each other there.
//!
//! - A lane that keeps up takes all. Without a backlog that is the first one.
//! - A run ends when it is long enough, or when its lane has written all. While another lane keeps
//!   up, it ends also when its lane has more than a run to write, or is late: something has waited
//!   for the flush interval behind the transaction that it writes.
//! - The next run goes to the first lane that keeps up, or else to the one with the fewest rows.
//!
//! A run is a preference, as a route is: which lane a group goes to is never a matter of order.
//!
//! Bounds: the shortest run has [`SHORTEST_RUN`] batches. It goes on while each lane has more to
//! write than the run has, up to [`MAX_TRANSACTION_ROWS`]: so no lane waits for work meanwhile. A
//! run has at most half of a lane's share of the buffer, in rows and in bytes: so all lanes have
//! work before the buffer is full. A lane keeps up with less than half of the shortest run.

use std::time::Instant;

use crate::buffer::background::lanes::lane::Lane;
use crate::buffer::limits::{MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ROWS};
use crate::buffer::queue::{LaneId, Queue};
use crate::rows::group::Group;
use crate::settings::Settings;

/// The shortest run, in batches of one table.
const SHORTEST_RUN: usize = 20;

/// The run that is under way: see the module.
#[derive(Debug)]
pub(super) struct Runs {
    shortest: usize,
    longest: usize,
    most_bytes: usize,
    /// The lane whose run it is, and what the run has.
    lane: LaneId,
    rows: usize,
    bytes: usize,
}

impl Runs {
    /// The first lane's run, with nothing in it.
    pub fn new(settings: &Settings, lanes: usize) -> Self {
        let longest = MAX_TRANSACTION_ROWS.min(settings.max_pending_rows / lanes / 2);
        Self {
            shortest: settings.batch_size.saturating_mul(SHORTEST_RUN).min(longest),
            longest,
            most_bytes: MAX_TRANSACTION_BYTES.min(settings.max_pending_bytes / lanes / 2),
            lane: LaneId::new(0),
            rows: 0,
            bytes: 0,
        }
    }

    /// The lane of the next group.
    pub fn lane<F>(&self, lanes: &[Lane<F>], now: Instant) -> LaneId {
        let current = &lanes[self.lane.index()].queue;
        let has = |queue: &Queue, rows, bytes| {
            queue.pending_rows() < rows && queue.pending_bytes() < bytes && !queue.is_late(now)
        };
        let goes_on = current.pending_rows() > 0 && self.rows < self.length(lanes) && self.bytes < self.most_bytes;
        // What a lane has that began a run as it kept up.
        let (rows, bytes) = (self.shortest / 2 + self.shortest, self.most_bytes / 2 + self.most_bytes);
        if goes_on && has(current, rows, bytes) {
            return self.lane;
        }
        let keeps_up = |queue: &Queue| has(queue, self.shortest / 2, self.most_bytes / 2);
        let fewest = || (0..lanes.len()).min_by_key(|at| lanes[*at].queue.pending_rows());
        match lanes.iter().position(|lane| keeps_up(&lane.queue)) {
            Some(first) => LaneId::new(first),
            None if goes_on => self.lane,
            None => fewest().map_or(self.lane, LaneId::new),
        }
    }

    /// How many rows the run takes.
    fn length<F>(&self, lanes: &[Lane<F>]) -> usize {
        if self.rows < self.shortest {
            return self.shortest;
        }
        let fewest = lanes.iter().map(|lane| lane.queue.pending_rows()).min();
        fewest.map_or(self.shortest, |rows| rows.clamp(self.shortest, self.longest))
    }

    /// A lane takes the group.
    pub fn took(&mut self, lane: LaneId, group: &Group) {
        if self.lane != lane {
            (self.lane, self.rows, self.bytes) = (lane, 0, 0);
        }
        self.rows += group.len();
        self.bytes += group.size_bytes();
    }
}
