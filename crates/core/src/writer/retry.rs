//! When something that failed is tried once more, and after which wait.
//!
//! Bounds: each class of failure has a budget of its own, so that a deadlock does not use up what a lost connection may
//! need. What lies beyond them is the buffer's to decide: a background buffer tries again later, a foreground one throws.

use std::time::Duration;

use crate::error::Error;

/// The wait before the first repetition of a transaction, on average. A deadlock is over when the other transaction is,
/// which takes milliseconds.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
/// The first wait after a new connection was lost, too. Before the first reconnection there is none: an idle connection is
/// closed by the server after `wait_timeout`, and a new one works at once.
const FIRST_RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait, on average.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// Reconnections of one transaction.
const MAX_RECONNECTS: u32 = 3;
/// Questions to the ledger about one transaction, and conflicts with what it says.
const MAX_LEDGER_LOOKUPS: u32 = 5;

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The transaction: it lost a race.
    Transaction,
    /// The transaction, over a new connection.
    Reconnect,
    /// The question whether the transaction was committed.
    LedgerLookup,
}

/// What is left of the budgets of one transaction.
#[derive(Debug, Clone, Copy)]
pub struct RetryBudget {
    max_retries: u32,
    retries: u32,
    reconnects: u32,
    ledger_lookups: u32,
}

impl RetryBudget {
    /// Full budgets, with `max_retries` repetitions of the transaction.
    pub fn new(max_retries: u32) -> Self {
        Self {
            max_retries,
            retries: 0,
            reconnects: 0,
            ledger_lookups: 0,
        }
    }

    /// What to try again after an error, and the wait before it; `None`: nothing, or the budget is used up. `in_doubt`
    /// says that the ledger has yet to tell whether the transaction was committed.
    ///
    /// A wait doubles each time. `jitter`, from 0 to 1, spreads it from half to one and a half of its length, so that
    /// two writers that met once do not meet again.
    pub fn next(&mut self, error: &Error, in_doubt: bool, jitter: f64) -> Option<(Again, Duration)> {
        let (again, used, max) = if error.is_ledger_moved() || (in_doubt && is_passing(error)) {
            (Again::LedgerLookup, &mut self.ledger_lookups, MAX_LEDGER_LOOKUPS)
        } else if error.is_retryable() {
            (Again::Transaction, &mut self.retries, self.max_retries)
        } else if error.is_lost_connection() {
            (Again::Reconnect, &mut self.reconnects, MAX_RECONNECTS)
        } else {
            return None;
        };
        if *used >= max {
            return None;
        }
        let nth = *used;
        *used += 1;
        let wait = match again {
            Again::Transaction => backoff(FIRST_BACKOFF, nth),
            Again::Reconnect | Again::LedgerLookup if nth == 0 => Duration::ZERO,
            Again::Reconnect | Again::LedgerLookup => backoff(FIRST_RECONNECT_BACKOFF, nth - 1),
        };
        Some((again, wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0))))
    }
}

fn is_passing(error: &Error) -> bool {
    error.is_retryable() || error.is_lost_connection()
}

fn backoff(first: Duration, nth: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(nth)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(budget: &mut RetryBudget, error: &Error, in_doubt: bool, times: usize) -> Vec<Option<(Again, u128)>> {
        let next = |_| {
            let next = budget.next(error, in_doubt, 0.5);
            next.map(|(again, wait)| (again, wait.as_millis()))
        };
        (0..times).map(next).collect()
    }

    #[test]
    fn waits_double_and_end() {
        let deadlock = Error::server(1213, "deadlock");
        let again = |wait| Some((Again::Transaction, wait));
        let mut budget = RetryBudget::new(3);
        assert_eq!(
            waits(&mut budget, &deadlock, false, 4),
            [again(5), again(10), again(20), None]
        );
        let mut budget = RetryBudget::new(40);
        assert_eq!(waits(&mut budget, &deadlock, false, 40).pop(), Some(again(500)));
    }

    #[test]
    fn each_class_has_a_budget_of_its_own() {
        let mut budget = RetryBudget::new(1);
        let (deadlock, lost) = (Error::server(1213, "deadlock"), Error::connection(2013, "lost"));
        assert_eq!(
            waits(&mut budget, &deadlock, false, 2),
            [Some((Again::Transaction, 5)), None]
        );
        let reconnect = |wait| Some((Again::Reconnect, wait));
        assert_eq!(
            waits(&mut budget, &lost, false, 4),
            [reconnect(0), reconnect(50), reconnect(100), None]
        );
        let look_up = |wait| Some((Again::LedgerLookup, wait));
        assert_eq!(
            waits(&mut budget, &lost, true, 6),
            [look_up(0), look_up(50), look_up(100), look_up(200), look_up(400), None]
        );
        assert_eq!(waits(&mut budget, &Error::ledger_moved(), false, 1), [None]);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let again = |error: &Error, in_doubt| {
            let next = RetryBudget::new(1).next(error, in_doubt, 0.0);
            next.map(|(again, _)| again)
        };
        for (error, in_doubt, expected) in [
            (Error::server(1205, ""), false, Some(Again::Transaction)),
            (Error::server(1020, ""), false, Some(Again::Transaction)),
            (Error::server(1053, ""), false, Some(Again::Reconnect)),
            (Error::commit_unknown(2013, ""), false, Some(Again::Reconnect)),
            (Error::commit_unknown(2013, ""), true, Some(Again::LedgerLookup)),
            (Error::server(1205, ""), true, Some(Again::LedgerLookup)),
            (Error::ledger_moved(), false, Some(Again::LedgerLookup)),
            (Error::server(1062, ""), false, None),
            (Error::server(1146, ""), false, None),
            (Error::server(1146, ""), true, None),
            // Nobody answers there: waiting a little will not help.
            (Error::connection(2003, ""), false, None),
            (Error::connection(2003, ""), true, None),
            (Error::timeout(""), true, None),
        ] {
            assert_eq!(again(&error, in_doubt), expected, "{error:?}, in doubt: {in_doubt}");
        }
        assert_eq!(RetryBudget::new(0).next(&Error::server(1213, ""), false, 0.0), None);
    }
}
