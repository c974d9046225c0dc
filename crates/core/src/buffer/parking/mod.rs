//! Groups that cannot be written now for a reason that lies in one table, and those behind them.
//! Pure: time comes in as an argument. Whoever owns it holds its own lock.
//!
//! A group is parked if
//! - it has a row of a table that takes none now: the [cause](cause);
//! - it shares a key with a group that is parked;
//! - it was refused, and may lack what an earlier group holds that is not settled yet.
//!
//! All other groups flow. A parked group stays here until it is settled, also while it is on its
//! way again: as the *flight* of the lane that took it.
//!
//! Invariants:
//! - A group is parked whole. Its other keys hold later groups of those keys.
//! - A group that could meet a parked one is parked behind it. Keys that cannot be compared for
//!   certain count as equal. So the rows of one key keep their order.
//! - A group leaves only after all groups that were added before it, and that it could meet, have
//!   left: those of its own lane, and those that are parked.
//! - The keys of one table are compared by one model. If the table's model changes, they are read
//!   anew.
//! - While nothing is parked nothing is done here.
//!
//! Bounds: what is parked counts against the buffer's. A table is probed by one group every
//! [`PROBE_INTERVAL`]; `parkTimeoutMs` after a group was parked for its table it is given up, a
//! quarter of a second later at most. A look at all parked groups follows an event, never a timer
//! alone: one was settled, a probe is due, a group's time is over.

mod arrivals;
mod cause;
mod flight;
mod held;
mod left;
mod look_up;
mod report;
mod take;
mod tried;
mod under_way;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::buffer::keys::TableKey;
use crate::buffer::parking::arrivals::Log;
use crate::buffer::parking::cause::Cause;
use crate::buffer::parking::flight::Flight;
use crate::buffer::parking::held::{HeldKeys, KeyReader};
use crate::buffer::queue::{Due, LaneId, Queue};
use crate::error::{Error, codes};
use crate::rows::arena::Row;
use crate::rows::batch::Batch;
use crate::settings::Settings;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;
use crate::writer::obstacle::Obstacle;

pub use arrivals::Arrivals;
pub use cause::PROBE_INTERVAL;
pub use flight::Work;
pub use report::ParkedTable;

/// Groups whose time is over are looked for this often at most.
const EXPIRY_STEP: Duration = Duration::from_millis(250);

/// The memory that counts for the key of a row.
const KEY_BYTES: usize = 2 * size_of::<TableKey>();

/// The models of some tables.
pub type Models = FxHashMap<TableId, Arc<TableModel>>;

/// A group that is parked, or on its way again.
#[derive(Debug)]
struct ParkedGroup {
    /// It alone.
    batch: Arc<Batch>,
    keys: Box<[TableKey]>,
    /// The lane that had it: what was added before it there goes first.
    lane: LaneId,
    since: Instant,
    refused: Option<Box<Refusal>>,
    is_in_flight: bool,
    /// It may be committed all the same: a COMMIT of it had no clear answer.
    is_in_doubt: bool,
}

impl ParkedGroup {
    /// The memory that it takes, with its keys here and in the sum of all.
    fn size_bytes(&self) -> usize {
        self.batch.size_bytes() + 2 * size_of::<Self>() + self.batch.rows() * KEY_BYTES
    }
}

/// A group was refused. It waits for what was added before it: for what the lanes hold first. If it
/// is refused again, it is tried whenever something that was parked is settled.
#[derive(Debug)]
struct Refusal {
    error: Error,
    /// If it is refused again: what had come to an end then.
    seen: Option<Endings>,
}

/// How much came to an end here, ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Endings {
    /// Groups that were settled.
    groups: u64,
    /// Flights.
    flights: u64,
}

impl Refusal {
    /// Whether it is tried again only after something else has come to an end.
    fn waits(&self, now: Endings) -> bool {
        self.seen.is_some_and(|seen| {
            if may_lack_parked(&self.error) {
                seen.groups == now.groups
            } else {
                seen.flights == now.flights
            }
        })
    }
}

/// Whether a row that was refused so may be taken once a parked one is written, whenever that is.
fn may_lack_parked(error: &Error) -> bool {
    error.code() != 0 && codes::may_lack_another_row(error.code())
}

/// What the lanes' queues have settled.
pub trait LaneProgress {
    /// Whether a lane's queue has settled all groups up to a number.
    fn is_settled_in(&self, lane: LaneId, number: u64) -> bool;
    /// Whether all queues have.
    fn is_settled(&self, number: u64) -> bool;
}

/// What is parked: see the module.
#[derive(Debug)]
pub struct Parking {
    /// By number: all that is parked, and all that is on its way again.
    groups: BTreeMap<u64, ParkedGroup>,
    log: Log,
    /// The rows of each table.
    table_rows: FxHashMap<TableId, usize>,
    held: HeldKeys,
    reader: KeyReader,
    causes: Vec<Cause>,
    flights: Vec<Flight>,
    rows: usize,
    bytes: usize,
    endings: Endings,
    timeout: Option<Duration>,
    /// Some group may be free to go.
    is_changed: bool,
    /// Some group waits for what a lane's queue holds.
    waits_for_lanes: bool,
    /// When a group's time may be over.
    next_expiry: Option<Instant>,
    /// Groups left a lane's queue for here since somebody asked.
    has_taken: bool,
    /// Those that did so and are not noted yet. `None`: nobody notes them.
    unnoted: Option<Vec<u64>>,
}

impl Parking {
    /// Nothing is parked.
    pub fn new(settings: &Settings) -> Self {
        Self {
            groups: BTreeMap::new(),
            log: Log::default(),
            table_rows: FxHashMap::default(),
            held: HeldKeys::default(),
            reader: KeyReader::default(),
            causes: Vec::new(),
            flights: Vec::new(),
            rows: 0,
            bytes: 0,
            endings: Endings::default(),
            timeout: Some(settings.park_timeout).filter(|timeout| !timeout.is_zero()),
            is_changed: false,
            waits_for_lanes: false,
            next_expiry: None,
            has_taken: false,
            unnoted: None,
        }
    }

    /// Whether nothing is parked.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Begins to remember which groups come, for [`Self::newly_parked`].
    pub fn note_parked(&mut self) {
        self.unnoted.get_or_insert_default();
    }

    /// The groups that have come, until somebody takes them out.
    pub fn newly_parked(&mut self) -> &mut Vec<u64> {
        self.unnoted.get_or_insert_default()
    }

    /// The numbers of groups in a lane's flight, by their positions there. `None`: it has none.
    pub fn flight_numbers(&self, lane: LaneId, groups: &Range<usize>) -> Option<Vec<u64>> {
        let flight = self.flights.iter().find(|flight| flight.lane == lane)?;
        let groups = flight.groups.get(groups.clone()).unwrap_or_default();
        Some(groups.iter().map(|(number, _)| *number).collect())
    }

    /// Rows that are parked, or on their way again.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest of them was taken.
    pub fn oldest(&self) -> Option<Instant> {
        self.groups.values().map(|group| group.batch.oldest).min()
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.log.clear();
        self.table_rows.clear();
        self.flights.clear();
        self.rows = 0;
        self.bytes = 0;
        self.forget_reasons();
    }

    fn forget_reasons(&mut self) {
        self.held = HeldKeys::default();
        self.reader.clear();
        self.causes.clear();
        self.is_changed = false;
        self.waits_for_lanes = false;
        self.next_expiry = None;
    }

    fn changed(&mut self) {
        self.is_changed = true;
        for cause in &mut self.causes {
            cause.is_stalled = false;
        }
    }

    /// A lane's queue has settled groups.
    pub fn lane_moved(&mut self) {
        if self.waits_for_lanes {
            self.waits_for_lanes = false;
            self.changed();
        }
    }

    /// What there is to do for a lane with nothing else in flight. `retry_at` is the end of its
    /// wait after a failure.
    pub fn due(&self, lane: LaneId, now: Instant, retry_at: Option<Instant>) -> Due {
        if self.groups.is_empty() {
            return Due::Never;
        }
        if self.has_flight(lane) {
            return match retry_at.filter(|at| *at > now) {
                Some(at) => Due::At(at),
                None => Due::Now,
            };
        }
        if self.is_changed || self.causes.iter().any(|cause| cause.is_due(now)) {
            return Due::Now;
        }
        let waiting = self.causes.iter().filter(|cause| cause.awaits_probe());
        let next = waiting.map(|cause| cause.next_probe).chain(self.next_expiry).min();
        match next {
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// Somebody flushes: all tables are probed at once.
    pub fn request_probes(&mut self) {
        self.reader.want_unread();
        self.causes.iter_mut().for_each(Cause::want);
    }

    /// Whether a table is in the way of which nobody was told yet. All are told by now.
    pub fn tell(&mut self) -> bool {
        let untold = self.causes.iter_mut().filter(|cause| !cause.is_told);
        untold.map(|cause| cause.is_told = true).count() > 0
    }

    /// Whether a refused group may lack what an earlier one holds that is parked, or on its way
    /// again.
    pub fn may_hold_what_lacks(&self, number: u64, error: &Error) -> bool {
        let may_lack_row = may_lack_parked(error);
        let mut earlier = self.groups.range(..number);
        earlier.any(|(_, group)| may_lack_row || group.is_in_flight)
    }

    /// Whether groups left a lane's queue for here since the last call. Other lanes may have waited
    /// for them.
    pub fn has_taken_groups(&mut self) -> bool {
        std::mem::take(&mut self.has_taken)
    }

    /// Whether a batch may have rows that have to wait.
    fn touches(&self, batch: &Batch) -> bool {
        batch
            .shapes()
            .any(|shape| self.held.has_table(shape.table) || self.causes.iter().any(|cause| cause.is_of(shape)))
    }

    /// Sets aside what a queue has just taken into flight and has to wait.
    pub fn hold_back(&mut self, queue: &mut Queue, lane: LaneId, now: Instant) {
        if !queue.in_flight().0.iter().any(|batch| self.touches(batch)) {
            return;
        }
        let tables: Vec<_> = queue.in_flight().0.iter().flat_map(|batch| batch.tables()).collect();
        let tables = tables.into_iter().map(|(id, entry)| (id, Arc::clone(entry)));
        self.read_by(
            tables
                .filter_map(|(id, entry)| Some((id, entry.model()?, entry)))
                .collect(),
        );
        self.set_aside(queue, lane, None, now);
    }

    /// Keys of these tables are read by these models from now on.
    fn read_by(&mut self, models: Vec<(TableId, Arc<TableModel>, Arc<TableEntry>)>) {
        for (table, model, entry) in models {
            if !self.reader.has_other_model(table, &model) {
                continue;
            }
            self.reader.set_model(table, &entry, &model);
            let (held, reader) = (&mut self.held, &mut self.reader);
            for group in self.groups.values_mut() {
                if group.batch.rows_of(table) > 0 {
                    held.remove(&group.keys);
                    group.keys = reader.read(group.batch.all_rows());
                    held.add(&group.keys);
                }
            }
            self.changed();
        }
    }

    /// Sets aside, from what a queue has in flight, what has to wait: the first group if it was
    /// refused, the rows of tables in the way, and what could meet what is parked. Returns whether
    /// what is in flight is other than it was.
    fn set_aside(&mut self, queue: &mut Queue, lane: LaneId, mut refused: Option<Error>, now: Instant) -> bool {
        let mut parked: Vec<(Box<[TableKey]>, Option<Error>)> = Vec::new();
        let (held, reader, causes) = (&mut self.held, &mut self.reader, &self.causes);
        let aside = queue.set_aside(|batch, position| {
            let is_of_cause = |row: Row<'_>| causes.iter().any(|cause| cause.is_of(row.shape));
            let keys = reader.read(batch.group(position));
            let error = refused.take();
            let waits = error.is_some() || held.meets(&keys) || batch.group(position).any(is_of_cause);
            if waits {
                held.add(&keys);
                parked.push((keys, error));
            }
            waits
        });
        let any_aside = !aside.groups.is_empty();
        for ((number, batch), (keys, refused)) in aside.groups.into_iter().zip(parked) {
            self.rows += batch.rows();
            // It may be older than those that it could meet, and then it waits for none of them.
            self.is_changed |=
                refused.is_some() || self.groups.last_key_value().is_some_and(|(last, _)| number < *last);
            // It may be the one to probe a table with.
            let causes = self.causes.iter_mut().filter(|cause| cause.is_of_any(&batch));
            causes.for_each(|cause| cause.is_stalled = false);
            let group = ParkedGroup {
                batch: Arc::new(batch),
                keys,
                lane,
                since: now,
                refused: refused.map(|error| Box::new(Refusal { error, seen: None })),
                is_in_flight: false,
                is_in_doubt: queue.is_in_doubt(number),
            };
            self.bytes += group.size_bytes();
            for row in group.batch.all_rows() {
                *self.table_rows.entry(row.shape.table).or_default() += 1;
            }
            self.log.push(number);
            self.groups.insert(number, group);
            if let Some(unnoted) = &mut self.unnoted {
                unnoted.push(number);
            }
        }
        let newly_unread = self.reader.newly_unread();
        let is_in_the_way = |entry: &Arc<TableEntry>| self.causes.iter().any(|cause| Arc::ptr_eq(&cause.entry, entry));
        if !newly_unread.iter().all(is_in_the_way) {
            // The next probe reads them. Until then their rows wait for each other.
            self.request_probes();
        }
        if any_aside {
            self.has_taken = true;
            self.lane_moved();
            if let Some(timeout) = self.timeout {
                self.next_expiry.get_or_insert(now + timeout);
            }
        }
        aside.is_changed
    }

    /// Parks what an obstacle stands in the way of, from what a lane has in flight. `models` is
    /// what the tables were then. Returns whether the rest may be tried at once: what is in flight
    /// is other than it was.
    ///
    /// # Errors
    ///
    /// The obstacle is in everybody's way.
    pub fn park(
        &mut self,
        queue: &mut Queue,
        lane: LaneId,
        obstacle: Obstacle,
        models: &Models,
        now: Instant,
    ) -> Result<bool, Error> {
        if self.groups.is_empty() {
            self.forget_reasons();
        }
        let batches: Vec<&Batch> = match self.flights.iter().find(|flight| flight.lane == lane) {
            Some(flight) => flight.batches().collect(),
            None => queue.in_flight().0.iter().map(|batch| &**batch).collect(),
        };
        let tables = batches.iter().flat_map(|batch| batch.tables());
        let known = tables.filter_map(|(id, entry)| Some((id, Arc::clone(models.get(&id)?), Arc::clone(entry))));
        let known: Vec<_> = known.collect();
        for (table, model, entry) in &known {
            if !self.reader.knows(*table) {
                self.reader.set_model(*table, entry, model);
            }
        }
        self.read_by(known);
        let refused = match obstacle {
            Obstacle::Failed(error) => return Err(error),
            Obstacle::Refused(error) => Some(error),
            Obstacle::Table(error) => {
                self.blame(queue, lane, (&error, None), models, now);
                None
            }
            Obstacle::Locked { error, waited, max } => {
                self.blame(queue, lane, (&error, Some((waited, max))), models, now);
                None
            }
        };
        Ok(if self.has_flight(lane) {
            self.return_from_flight(lane, refused, now)
        } else {
            self.set_aside(queue, lane, refused, now)
        })
    }

    /// Notes the table that is in the way. If it is locked, also how long that was waited for, and
    /// how long a flush waits.
    fn blame(
        &mut self,
        queue: &Queue,
        lane: LaneId,
        (error, waited): (&Error, Option<(Duration, Duration)>),
        models: &Models,
        now: Instant,
    ) {
        let Some(place) = error.place() else { return };
        let in_flight: Vec<&Batch> = match self.flights.iter().find(|flight| flight.lane == lane) {
            Some(flight) => flight.batches().collect(),
            None => queue.in_flight().0.iter().map(|batch| &**batch).collect(),
        };
        let shape = {
            let mut shapes = in_flight.iter().flat_map(|batch| batch.shapes());
            shapes
                .find(|shape| shape.entry.name.to_string() == place.table)
                .cloned()
        };
        let Some(shape) = shape else { return };
        let seen = models.get(&shape.table).cloned();
        // What a probe was meant for is not what failed: it may be well by now. It is not
        // forgotten: two tables in the way of one group would take turns, and be probed for ever.
        let probed = self.causes.iter_mut().filter(|cause| cause.prober == Some(lane));
        probed
            .filter(|cause| !cause.is_same(&shape, error))
            .for_each(Cause::doubt);
        match self.causes.iter_mut().find(|cause| cause.is_same(&shape, error)) {
            Some(cause) => {
                let was_probe = cause.prober == Some(lane);
                cause.met(error.clone(), seen, now);
                cause.waited(waited, now);
                if self.reader.wants_unread() && !was_probe {
                    // Only a probe reads them, and groups may wait behind others because of them.
                    cause.is_wanted = true;
                }
            }
            None => {
                let mut cause = Cause::new(&shape, error.clone(), seen, now);
                cause.waited(waited, now);
                self.causes.push(cause);
                if self.reader.unread().any(|(table, _)| table != shape.table) {
                    // As above: what another table is may be known by now.
                    self.request_probes();
                }
            }
        }
    }
}
