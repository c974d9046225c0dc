//! How fast the server answers, as far as that was seen. A table's is shared by all lanes.
//!
//! Whoever gives up a statement because no answer came does not know why: somebody may hold a lock,
//! or the server may need its time. So the next statement of that table gets twice the time, and
//! half again with each quick answer to one that is about as large: a small one says nothing of a
//! large one. A table whose statements are slow is given up a few times at most.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// One answer counts for an eighth: one that waited for a lock says little.
const WEIGHT: u64 = 8;

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    /// The time that an answer takes, on average, in microseconds.
    usual: AtomicU64,
    /// The time that the next answer is given, after one did not come. 0: none was missed lately.
    allowed: AtomicU64,
    /// How many rows the statement had whose answer did not come.
    missed_rows: AtomicUsize,
    /// The last answer did not come.
    is_missed: AtomicBool,
}

/// How fast a table is says nothing about what it is.
impl PartialEq for Pace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pace {}

impl Pace {
    /// An answer took so long.
    pub fn answered(&self, took: Duration) {
        // An answer that gets lost between these two, by another lane's, would change little.
        let usual = self.usual.load(Ordering::Relaxed);
        let next = usual - usual / WEIGHT + micros(took) / WEIGHT;
        self.usual.store(next, Ordering::Relaxed);
        self.is_missed.store(false, Ordering::Relaxed);
    }

    /// It was quick, with so many rows.
    pub fn was_quick(&self, rows: usize) {
        let allowed = self.allowed.load(Ordering::Relaxed);
        if allowed > 0 && rows >= self.missed_rows.load(Ordering::Relaxed) / 2 {
            self.allowed.store(allowed / 2, Ordering::Relaxed);
        }
    }

    /// No answer came in this time, whoever waited.
    pub fn missed(&self) {
        self.is_missed.store(true, Ordering::Relaxed);
    }

    /// The same, to a statement with so many rows. No probe's: it has less to do than others.
    pub fn gave_up(&self, after: Duration, rows: usize) {
        self.missed_rows.store(rows, Ordering::Relaxed);
        self.allowed
            .fetch_max(micros(after).saturating_mul(2), Ordering::Relaxed);
    }

    /// Whether an answer did not come, and none has since.
    pub fn is_missed(&self) -> bool {
        self.is_missed.load(Ordering::Relaxed)
    }

    /// The time that an answer takes, on average.
    pub fn usual(&self) -> Duration {
        Duration::from_micros(self.usual.load(Ordering::Relaxed))
    }

    /// The time that the next answer is given at least, after one did not come.
    pub fn allowed(&self) -> Duration {
        Duration::from_micros(self.allowed.load(Ordering::Relaxed))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn what_is_given_up_gets_twice_the_time_until_answers_are_quick() {
        let pace = Pace::default();
        for lane_gave_up in [240, 250, 230] {
            pace.gave_up(ms(lane_gave_up), 10);
        }
        assert_eq!(pace.allowed(), ms(500), "several lanes met it at once");
        pace.answered(ms(300));
        assert_eq!(pace.allowed(), ms(500), "that was slow");
        pace.gave_up(ms(500), 10);
        assert_eq!(pace.allowed(), ms(1_000));
        for _ in 0..100 {
            pace.was_quick(4);
        }
        assert_eq!(pace.allowed(), ms(1_000), "they were small");
        for left in [500, 250, 125] {
            pace.was_quick(5);
            assert_eq!(pace.allowed(), ms(left));
        }
    }

    #[test]
    fn what_is_usual_follows_many_answers_and_not_one() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.answered(ms(4));
        }
        pace.answered(ms(240));
        assert!(pace.usual() < ms(40), "{:?}", pace.usual());
        for _ in 0..50 {
            pace.answered(ms(400));
        }
        assert!(pace.usual() > ms(380), "{:?}", pace.usual());
    }
}
