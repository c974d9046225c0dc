//! What can be seen of a [background buffer](crate::buffer::background) from outside.

use crate::buffer::background::BackgroundBuffer;
use crate::buffer::background::lanes::Lane;
use crate::buffer::background::shared::{ConnectionUse, Flusher};
use crate::buffer::metrics::Metrics;
use crate::buffer::snapshot::{LaneSnapshot, Pending, Snapshot, ThreadState};
use crate::clock::Clock as _;
use crate::dead_letter::DeadLetter;

impl BackgroundBuffer {
    /// Whether the rows of any one table have reached the batch size, those in flight counted.
    pub fn is_full(&self) -> bool {
        self.shared.lock().lanes.is_full(self.settings.batch_size)
    }

    /// Rows that were taken and are not settled.
    pub fn pending(&self) -> Pending {
        let now = self.clock.now();
        self.shared.lock().pending(now)
    }

    /// Those of them that are in the journal alone.
    pub fn rows_in_journal(&self) -> usize {
        self.shared.lock().lanes.stored_rows()
    }

    /// The counters and the state, of all lanes and of each one.
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let state = self.shared.lock();
        let lanes: Vec<_> = state
            .lanes
            .iter()
            .map(|Lane { queue, flusher }| LaneSnapshot {
                metrics: flusher.metrics.clone(),
                pending_rows: queue.pending_rows(),
                thread: flusher.thread,
                reconnects: flusher.reconnects,
            })
            .collect();
        let is_open = |(at, lane): (usize, &Lane<Flusher>)| {
            at < state.lanes.open_lanes() || lane.flusher.connection == ConnectionUse::Open
        };
        let lanes_open = state.lanes.iter().enumerate().filter(|lane| is_open(*lane)).count();
        let (pending, last_error, time_blocked) = (state.pending(now), state.last_error.clone(), state.time_blocked);
        let (parked_rows, parked_tables) = (state.lanes.parking().rows(), state.lanes.parking().tables(now));
        drop(state);
        let mut metrics = Metrics::default();
        for lane in &lanes {
            metrics.add(&lane.metrics);
        }
        metrics.time_blocked = time_blocked;
        metrics.last_error = last_error;
        Snapshot {
            metrics,
            pending,
            parked_rows,
            parked_tables,
            thread: lanes.iter().map(|lane| lane.thread).max().unwrap_or(ThreadState::None),
            reconnects: lanes.iter().map(|lane| lane.reconnects).sum(),
            lanes,
            lanes_open,
        }
    }

    /// The failures. They stay.
    pub fn failures(&self) -> Vec<DeadLetter> {
        self.shared.lock().failures.all()
    }

    /// The failures. They are kept no longer.
    pub fn take_failures(&self) -> Vec<DeadLetter> {
        self.shared.lock().failures.take()
    }

    /// The number of rows that were given up without anybody being told.
    pub fn untold_failed_rows(&self) -> usize {
        self.shared.lock().failures.untold_rows()
    }

    /// The last error, as text.
    pub fn last_error(&self) -> Option<String> {
        self.shared.lock().last_error.clone()
    }
}
