//! The queue of one lane against a plain model: random interleavings of adding, flushing, time, and
//! a flusher that commits, gives up or fails. In half of the cases what waits for long is stored in
//! a journal, and given back by the model. Time is passed in, and nothing waits.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use write_buffer_core::buffer::background::lanes::Lanes;
use write_buffer_core::buffer::queue::Due;
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::table::catalog::Catalog;
use write_buffer_core::value::Value;
use write_buffer_journal::segment::Spot;

const INTERVAL: Duration = Duration::from_millis(100);
const BATCH_SIZE: usize = 5;
const MAX_ROWS: usize = 30;

#[derive(Debug, Clone)]
enum Step {
    /// A group of this many rows.
    Add(usize),
    /// A caller asks for all that was added.
    Flush,
    Pass(u64),
    /// The flusher takes up what is due, if anything is.
    Begin,
    /// It settles up to this many of the groups in flight.
    Settle(usize),
    /// What is in flight fails.
    Fail(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4_usize).prop_map(Step::Add),
        1 => Just(Step::Flush),
        2 => (1..150_u64).prop_map(Step::Pass),
        4 => Just(Step::Begin),
        4 => (1..8_usize).prop_map(Step::Settle),
        1 => (0..300_u64).prop_map(Step::Fail),
    ]
}

/// A group in the model: its rows' numbers, and when it was taken.
#[derive(Debug, Clone)]
struct ModelGroup {
    rows: Vec<i64>,
    taken: Instant,
}

#[derive(Debug, Default)]
struct Model {
    /// Groups not settled, in order; the first `in_flight` of them are in flight.
    groups: VecDeque<ModelGroup>,
    in_flight: usize,
    next_row: i64,
    settled: u64,
    /// Groups up to this number are wanted at once.
    wanted: u64,
    retry_at: Option<Instant>,
}

impl Model {
    fn rows(&self) -> Vec<i64> {
        self.groups.iter().flat_map(|group| group.rows.clone()).collect()
    }

    fn taken(&self) -> u64 {
        self.settled + u64::try_from(self.groups.len()).expect("few")
    }
}

fn number(value: &Value<'_>) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_leave_once_and_in_order(stores in any::<bool>(), steps in prop::collection::vec(step(), 1..120)) {
        let settings = Settings {
            batch_size: BATCH_SIZE,
            flush_interval: INTERVAL,
            max_pending_rows: MAX_ROWS,
            ..Settings::default()
        };
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let table = catalog.table("t").expect("a table");
        let shape = catalog.shape(table, std::iter::once(b"id".as_slice())).expect("a shape");
        let mut queue = Lanes::new(&settings, [()]);
        if stores {
            // A batch or two stay in memory.
            queue.store(&Settings { max_pending_bytes: 2_000, ..settings.clone() });
        }
        let lane = queue.ids().next().expect("one lane");
        let mut model = Model::default();
        let mut now = Instant::now();

        for step in steps {
            match step {
                Step::Add(rows) => {
                    let mut group = Group::default();
                    let numbers: Vec<i64> = (0..).map(|at| model.next_row + at).take(rows).collect();
                    for number in &numbers {
                        group.push_row(&shape, &[Value::Int(*number)]).expect("short");
                    }
                    let fits = model.rows().len() + rows <= MAX_ROWS;
                    prop_assert_eq!(queue.fits(&group), fits);
                    if fits {
                        let before = queue.due(lane, now);
                        let mut chosen = queue.choose(None, || now);
                        let ordinal = chosen.number;
                        chosen.spot = stores.then_some(Spot { ordinal, sequence: 1, offset: 0 });
                        let wake = queue.add_at(&group, None, chosen, now);
                        model.next_row += i64::try_from(rows).expect("few");
                        model.groups.push_back(ModelGroup { rows: numbers, taken: now });
                        // A flusher that sleeps must be woken if it has something to do sooner.
                        if queue.due(lane, now) != before && queue.due(lane, now) != Due::Never {
                            prop_assert_eq!(wake.ids().collect::<Vec<_>>(), vec![lane]);
                        }
                    }
                }
                Step::Flush => {
                    prop_assert_eq!(queue.request_flush(), model.taken());
                    model.wanted = model.taken();
                    model.retry_at = None;
                }
                Step::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Begin if queue.due(lane, now) == Due::Now => {
                    let mut next = model.settled + 1;
                    let mut read = Vec::new();
                    for stored in queue.wants_back(lane, now) {
                        prop_assert_eq!((stored.numbers().first(), model.in_flight), (next, 0));
                        prop_assert_eq!(stored.through(), stored.numbers().last());
                        let mut batch = Batch::new(stored.oldest());
                        batch.first_group = next;
                        let before = usize::try_from(next - model.settled - 1).expect("few");
                        for known in model.groups.iter().skip(before).take(stored.numbers().count()) {
                            let mut group = Group::default();
                            for number in &known.rows {
                                group.push_row(&shape, &[Value::Int(*number)]).expect("short");
                            }
                            batch.append(&group, now);
                        }
                        prop_assert_eq!(batch.rows(), stored.rows());
                        next = stored.numbers().last() + 1;
                        read.push((stored, batch));
                    }
                    prop_assert!(queue.take_back(lane, read, &[]));
                    let (batches, done) = queue.begin(lane, now);
                    let taken: Vec<i64> = batches
                        .iter()
                        .flat_map(|batch| batch.groups())
                        .skip(done)
                        .flatten()
                        .map(|row| number(&row.values().next().expect("a value")))
                        .collect();
                    prop_assert!(!taken.is_empty());
                    prop_assert_eq!(&model.rows()[..taken.len()], &taken[..], "the oldest rows, in order");
                    let in_flight: usize = batches.iter().map(|batch| batch.group_count()).sum::<usize>() - done;
                    if model.in_flight > 0 {
                        prop_assert_eq!(in_flight, model.in_flight, "what failed is tried again as it was");
                    }
                    model.in_flight = in_flight;
                    model.retry_at = None;
                }
                Step::Begin => {}
                Step::Settle(groups) => {
                    let groups = groups.min(model.in_flight);
                    if groups > 0 {
                        let rows = model.groups.drain(..groups).map(|group| group.rows.len()).sum();
                        queue.settle(lane, groups, rows);
                        model.in_flight -= groups;
                        model.settled += u64::try_from(groups).expect("few");
                    }
                }
                Step::Fail(milliseconds) => {
                    if model.in_flight > 0 {
                        let at = now + Duration::from_millis(milliseconds);
                        queue.failed(lane, at);
                        model.retry_at = Some(at);
                    }
                }
            }

            // Each row is in exactly one place, and nothing but these rows is there.
            let in_memory: Vec<i64> =
                queue.rows_of(table).map(|row| number(&row.values().next().expect("a value"))).collect();
            let stored = || queue.lane(lane).queue.stored();
            let is_stored = |number: u64| stored().any(|stored| stored.numbers().position(number).is_some());
            let groups = (model.settled + 1..).zip(&model.groups);
            let not_stored = groups.filter(|(number, _)| !is_stored(*number)).flat_map(|(_, group)| &group.rows);
            prop_assert_eq!(&in_memory, &not_stored.copied().collect::<Vec<_>>());
            let rows = model.rows();
            prop_assert_eq!(in_memory.len() + stored().map(|stored| stored.rows()).sum::<usize>(), rows.len());
            prop_assert!(stores || stored().next().is_none());
            prop_assert_eq!(queue.pending_rows(), rows.len());
            for number in 0..=model.taken() + 1 {
                prop_assert_eq!(queue.has(number), number > model.settled && number <= model.taken());
            }
            prop_assert_eq!(queue.pending_bytes() == 0, rows.is_empty());
            prop_assert_eq!(queue.oldest().is_some(), !rows.is_empty());
            prop_assert_eq!(queue.is_settled(model.settled), true);
            prop_assert_eq!(queue.is_settled(model.settled + 1), rows.is_empty());

            // What is due: never if nothing waits; at once if someone waits or a row is old; and
            // never later than the oldest row's time.
            let due = queue.due(lane, now);
            let retry_later = model.retry_at.is_some_and(|at| at > now);
            let oldest = model.groups.iter().map(|group| group.taken).min();
            match oldest {
                None => prop_assert_eq!(due, Due::Never),
                Some(_) if retry_later => prop_assert_eq!(due, Due::At(model.retry_at.expect("a time"))),
                Some(_) if model.wanted > model.settled || model.in_flight > 0 => prop_assert_eq!(due, Due::Now),
                Some(oldest) if now >= oldest + INTERVAL => prop_assert_eq!(due, Due::Now),
                Some(oldest) => prop_assert!(
                    due == Due::Now && rows.len() >= BATCH_SIZE || due == Due::At(oldest + INTERVAL),
                    "{due:?} with {} rows",
                    rows.len()
                ),
            }
        }
    }
}
