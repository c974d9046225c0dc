//! When a transaction that lost a race is repeated.

use std::time::Duration;

use crate::error::Error;

/// The wait before the first repetition, on average. A deadlock is over when the other transaction is, which takes
/// milliseconds.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
/// The longest wait, on average.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// How often a transaction was repeated, and whether it may be once more.
#[derive(Debug, Clone, Copy)]
pub struct RetryBudget {
    used: u32,
    max: u32,
}

impl RetryBudget {
    /// A budget of `max` repetitions.
    pub fn new(max: u32) -> Self {
        Self { used: 0, max }
    }

    /// The wait before the next repetition; `None`: the error is not one to repeat after, or the budget is used up.
    ///
    /// The wait doubles each time. `jitter`, from 0 to 1, spreads it from half to one and a half of its length, so that
    /// two writers that met once do not meet again.
    pub fn backoff(&mut self, error: &Error, jitter: f64) -> Option<Duration> {
        if !error.is_retryable() || self.used >= self.max {
            return None;
        }
        let doubled = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(self.used));
        self.used += 1;
        Some(doubled.min(LONGEST_BACKOFF).mul_f64(0.5 + jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let deadlock = Error::server(1213, "deadlock");
        let mut budget = RetryBudget::new(3);
        let waits: Vec<_> = (0..4)
            .map(|_| budget.backoff(&deadlock, 0.5).map(|wait| wait.as_millis()))
            .collect();
        assert_eq!(waits, [Some(5), Some(10), Some(20), None]);
        let mut budget = RetryBudget::new(40);
        let last = (0..40).filter_map(|_| budget.backoff(&deadlock, 1.0)).last();
        assert_eq!(last.map(|wait| wait.as_millis()), Some(750));
    }

    #[test]
    fn only_a_lost_race_is_repeated() {
        for (code, repeated) in [
            (1213, true),
            (1205, true),
            (1020, true),
            (1062, false),
            (2006, false),
            (1146, false),
        ] {
            let error = Error::server(code, "error");
            assert_eq!(RetryBudget::new(1).backoff(&error, 0.0).is_some(), repeated, "{code}");
        }
        assert!(
            RetryBudget::new(1)
                .backoff(&Error::commit_unknown("lost"), 0.0)
                .is_none()
        );
        assert!(
            RetryBudget::new(0)
                .backoff(&Error::server(1213, "deadlock"), 0.0)
                .is_none()
        );
    }
}
