//! How many lanes take new groups. Fixed, or with `lanes: 0` as many as the backlog needs: one at
//! first, others while it lasts.
//!
//! - Another lane opens if all that are open have had a backlog for [`OPEN_AFTER`]: at each group
//!   that was added meanwhile, and at one that may go to any lane. What was there when it began is
//!   settled by then, so the server does write.
//! - The last lane closes when the backlog has not needed it for [`CLOSE_AFTER`]. What it has it
//!   writes, and then its connection goes.
//! - As long as one lane is enough nobody needs to know the keys of what waits. They are remembered
//!   from the beginning of a backlog on, and no lane opens before all that came earlier is settled.
//!
//! Which lanes are open is a preference, as a run is: rows of one key follow each other into a lane
//! that closes, too.
//!
//! Bounds: [`AUTO_LANES`].

use std::time::{Duration, Instant};

use crate::settings::{AUTO_LANES, Settings};

/// A backlog lasts when it is this old.
pub const OPEN_AFTER: Duration = Duration::from_millis(100);
/// How long a lane stays open that the backlog does not need.
pub const CLOSE_AFTER: Duration = Duration::from_secs(5);

/// Rows and bytes that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub rows: usize,
    pub bytes: usize,
}

impl Waiting {
    /// Whether it is at least so many times as much.
    fn is(self, times: usize, bound: Self) -> bool {
        self.rows >= times.saturating_mul(bound.rows) || self.bytes >= times.saturating_mul(bound.bytes)
    }
}

/// What the group that was just taken is, and what it found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub number: u64,
    /// It could have gone to any lane.
    pub is_free: bool,
    /// What waits in all lanes.
    pub waiting: Waiting,
    /// Nothing waits in any lane but the first.
    pub is_in_first_lane: bool,
}

/// How many lanes take new groups: see the module.
#[derive(Debug)]
pub(super) struct Width {
    /// `None`: it never changes.
    auto: Option<Auto>,
    open: usize,
}

#[derive(Debug)]
struct Auto {
    /// With so much a lane has a backlog.
    run: Waiting,
    /// Since when there has been a backlog, and since which group.
    behind: Option<(Instant, u64)>,
    /// When the backlog needed each lane last.
    needed: Vec<Option<Instant>>,
    /// The keys of all groups behind this one are remembered.
    keys_after: Option<u64>,
}

impl Width {
    /// All lanes, or one of them. `run`: the shortest run.
    pub fn new(settings: &Settings, lanes: usize, run: Waiting) -> Self {
        let auto = (settings.lanes == 0).then(|| Auto {
            run,
            behind: None,
            needed: vec![None; lanes.min(AUTO_LANES)],
            keys_after: None,
        });
        Self {
            open: if auto.is_some() { 1 } else { lanes },
            auto,
        }
    }

    /// How many lanes take new groups: the first ones.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether the keys of groups are remembered.
    pub fn knows_keys(&self) -> bool {
        self.auto.as_ref().is_none_or(|auto| auto.keys_after.is_some())
    }

    /// Whether it opens and closes lanes.
    pub fn is_auto(&self) -> bool {
        self.auto.is_some()
    }

    /// A group was taken. `is_settled`: whether all groups up to one are.
    pub fn took(&mut self, arrival: &Arrival, now: Instant, is_settled: impl Fn(u64) -> bool) {
        self.close(now);
        let Some(auto) = &mut self.auto else { return };
        let waiting = arrival.waiting;
        let half = Waiting {
            rows: auto.run.rows / 2,
            bytes: auto.run.bytes / 2,
        };
        for (lane, needed) in auto.needed.iter_mut().enumerate().take(self.open).skip(1) {
            if waiting.is(lane, half) {
                *needed = Some(now);
            }
        }
        if !waiting.is(self.open, auto.run) {
            auto.behind = None;
            if self.open == 1 && arrival.is_in_first_lane && !waiting.is(1, half) {
                auto.keys_after = None;
            }
            return;
        }
        let (since, group) = *auto.behind.get_or_insert((now, arrival.number));
        auto.keys_after.get_or_insert(arrival.number);
        let lasts = now.saturating_duration_since(since) >= OPEN_AFTER && is_settled(group);
        if lasts
            && arrival.is_free
            && let Some(needed) = auto.needed.get_mut(self.open)
        {
            *needed = Some(now);
            self.open += 1;
            auto.behind = Some((now, arrival.number));
        }
    }

    /// Closes the lanes whose time is over.
    pub fn close(&mut self, now: Instant) {
        while let Some(last) = self.open.checked_sub(1)
            && self.closes_at(last).is_some_and(|at| at <= now)
            && let Some(auto) = &mut self.auto
        {
            self.open = last;
            // It was a backlog of more lanes.
            auto.behind = None;
        }
    }

    /// When an open lane closes, if the backlog does not need it meanwhile.
    pub fn closes_at(&self, lane: usize) -> Option<Instant> {
        let auto = self.auto.as_ref().filter(|_| lane > 0 && lane < self.open)?;
        (*auto.needed.get(lane)?).map(|needed| needed + CLOSE_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LANES: usize = AUTO_LANES;
    const RUN: Waiting = Waiting {
        rows: 100,
        bytes: 10_000,
    };

    #[derive(Debug, Clone)]
    struct Event {
        passes_ms: u64,
        rows: usize,
        bytes: usize,
        is_free: bool,
        settles: u64,
        is_in_first_lane: bool,
    }

    fn event() -> impl Strategy<Value = Event> {
        let passes = prop_oneof![6 => 0..30_u64, 2 => 30..120_u64, 1 => 1_000..6_000_u64];
        let rows = prop_oneof![4 => 90..600_usize, 1 => 0..90_usize];
        let bytes = prop_oneof![4 => 0..9_000_usize, 1 => 9_000..60_000_usize];
        let rest = (prop::bool::weighted(0.8), 0..4_u64, any::<bool>());
        (passes, rows, bytes, rest).prop_map(|(passes_ms, rows, bytes, (is_free, settles, is_in_first_lane))| Event {
            passes_ms,
            rows,
            bytes,
            is_free,
            settles,
            is_in_first_lane,
        })
    }

    /// What a group found, as the rules are told from it.
    struct Seen {
        at: Instant,
        number: u64,
        waiting: Waiting,
        /// Lanes that were open when it had been taken, and whether that changed with it.
        open: usize,
        has_opened: bool,
        has_closed: bool,
    }

    fn needs(waiting: Waiting, lanes: usize, halves: usize) -> bool {
        2 * waiting.rows >= lanes * halves * RUN.rows || 2 * waiting.bytes >= lanes * halves * RUN.bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Told once more from all that was seen, without any memory of the rules' own.
        #[test]
        fn lanes_open_under_a_backlog_that_lasts_and_close_when_it_is_over(
            events in prop::collection::vec(event(), 1..120),
        ) {
            let settings = Settings { lanes: 0, ..Settings::default() };
            let mut width = Width::new(&settings, LANES, RUN);
            let (mut now, mut settled) = (Instant::now(), 0);
            let mut seen: Vec<Seen> = Vec::new();
            let mut keys_after = None;
            for (number, event) in (1..).zip(events) {
                now += Duration::from_millis(event.passes_ms);
                settled = (settled + event.settles).min(number - 1);
                let waiting = Waiting { rows: event.rows, bytes: event.bytes };
                let before = width.open();
                let arrival = Arrival {
                    number,
                    is_free: event.is_free,
                    waiting,
                    is_in_first_lane: event.is_in_first_lane,
                };
                let knew_keys = width.knows_keys();
                width.took(&arrival, now, |group| settled >= group);

                // First lanes close that nothing has needed.
                let mut open = before;
                while open > 1 {
                    let lane = open - 1;
                    let needed = |earlier: &Seen| {
                        now - earlier.at < CLOSE_AFTER
                            && earlier.open >= open
                            && ((earlier.has_opened && earlier.open == open) || needs(earlier.waiting, lane, 1))
                    };
                    if seen.iter().any(needed) {
                        break;
                    }
                    open -= 1;
                }
                let has_closed = open < before;
                // The backlog of those that are open, as long as it has lasted without a gap.
                let mut begins = needs(waiting, open, 2).then_some((now, number));
                if begins.is_some() && !has_closed {
                    for earlier in seen.iter().rev() {
                        let is_behind = earlier.has_opened || needs(earlier.waiting, open, 2);
                        if earlier.open != open || !is_behind {
                            break;
                        }
                        begins = Some((earlier.at, earlier.number));
                        if earlier.has_opened || earlier.has_closed {
                            break;
                        }
                    }
                }
                let lasts = begins.is_some_and(|(since, group)| now - since >= OPEN_AFTER && settled >= group);
                let has_opened = lasts && event.is_free && open < LANES;
                open += usize::from(has_opened);
                prop_assert_eq!(width.open(), open, "at group {}", number);
                seen.push(Seen { at: now, number, waiting, open, has_opened, has_closed });

                // Whoever was added before keys were remembered is settled before a lane opens.
                if !knew_keys && width.knows_keys() {
                    keys_after = Some(number);
                }
                prop_assert!(width.knows_keys() || (open == 1 && event.is_in_first_lane) || !knew_keys);
                prop_assert!(!has_opened || keys_after.is_some_and(|group| settled >= group));
                prop_assert_eq!(width.closes_at(0), None);
            }
        }
    }

    #[test]
    fn as_many_as_were_asked_for_stay_open() {
        let settings = Settings {
            lanes: 3,
            ..Settings::default()
        };
        let mut width = Width::new(&settings, 3, RUN);
        let now = Instant::now();
        for (number, rows) in [(1, 0), (2, 1_000_000), (3, 0)] {
            let arrival = Arrival {
                number,
                is_free: true,
                waiting: Waiting { rows, bytes: 0 },
                is_in_first_lane: true,
            };
            width.took(
                &arrival,
                now + CLOSE_AFTER * u32::try_from(2 * number).unwrap_or(0),
                |_| true,
            );
            assert_eq!((width.open(), width.knows_keys()), (3, true));
            assert_eq!(width.closes_at(2), None);
        }
    }
}
