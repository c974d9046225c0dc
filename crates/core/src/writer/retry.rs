//! When a failed transaction is tried once more, and after which wait.
//!
//! Each class of failure has a budget of its own, so that a deadlock does not use up what a lost
//! connection may need. Beyond the budgets the buffer decides: a background buffer tries again
//! later, a foreground buffer throws. The rows stay. A server that cannot be reached has no budget
//! here: trying again at once would not help.
//!
//! Bounds of a transaction: `max_retries` lost races, 3 reconnections (`MAX_RECONNECTS`), 5
//! questions to the ledger (`MAX_LEDGER_LOOKUPS`); waits of at most 750 ms.

use std::time::Duration;

use crate::error::decision::Decision;

/// The wait before the first repetition of a transaction, on average. A deadlock is over when the
/// other transaction is, which takes milliseconds.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
/// The first wait after a new connection was lost, too. There is none before the first
/// reconnection: a server closes an idle connection after `wait_timeout`, and a new one works at
/// once.
const FIRST_RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait, on average.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// Plans of one transaction over tables that were altered.
const MAX_REPLANS: u32 = 10;
/// The most reconnections of one transaction.
const MAX_RECONNECTS: u32 = 3;
/// The most questions to the ledger about one transaction, conflicts with its answer counted.
const MAX_LEDGER_LOOKUPS: u32 = 5;

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAction {
    /// The transaction: it lost a race.
    Transaction,
    /// The transaction, over a new connection.
    Reconnect,
    /// The question whether the transaction was committed.
    LedgerLookup,
}

/// The budgets of one transaction, as far as they are left.
#[derive(Debug, Clone, Copy)]
pub struct RetryBudget {
    max_retries: u32,
    retries: u32,
    replans: u32,
    reconnects: u32,
    ledger_lookups: u32,
}

impl RetryBudget {
    /// Full budgets, with `max_retries` repetitions of the transaction.
    pub fn new(max_retries: u32) -> Self {
        Self {
            max_retries,
            retries: 0,
            replans: 0,
            reconnects: 0,
            ledger_lookups: 0,
        }
    }

    /// What to try again, and the wait before it. `None`: nothing, or the budget is used up.
    /// `in_doubt`: the ledger has not said yet whether the transaction was committed.
    ///
    /// A wait doubles each time. `jitter`, from 0 to 1, spreads it from half to one and a half of
    /// its length, so that two writers that met once do not meet again.
    pub fn next(&mut self, decision: Decision, in_doubt: bool, jitter: f64) -> Option<(RetryAction, Duration)> {
        let (again, used, max) = match (decision, in_doubt) {
            (Decision::AskLedger, _)
            | (Decision::Repeat | Decision::Replan | Decision::Reconnect | Decision::CommitUnknown, true) => {
                (RetryAction::LedgerLookup, &mut self.ledger_lookups, MAX_LEDGER_LOOKUPS)
            }
            (Decision::Repeat, false) => (RetryAction::Transaction, &mut self.retries, self.max_retries),
            (Decision::Replan, false) => (RetryAction::Transaction, &mut self.replans, MAX_REPLANS),
            (Decision::Reconnect | Decision::CommitUnknown, false) => {
                (RetryAction::Reconnect, &mut self.reconnects, MAX_RECONNECTS)
            }
            (Decision::Refuse | Decision::Keep, _) => return None,
        };
        if *used >= max {
            return None;
        }
        let nth = *used;
        *used += 1;
        let wait = match again {
            RetryAction::Transaction => backoff(FIRST_BACKOFF, nth),
            RetryAction::Reconnect | RetryAction::LedgerLookup if nth == 0 => Duration::ZERO,
            RetryAction::Reconnect | RetryAction::LedgerLookup => backoff(FIRST_RECONNECT_BACKOFF, nth - 1),
        };
        Some((again, wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0))))
    }
}

fn backoff(first: Duration, nth: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(nth)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(
        budget: &mut RetryBudget,
        decision: Decision,
        in_doubt: bool,
        times: usize,
    ) -> Vec<Option<(RetryAction, u128)>> {
        let next = |_| {
            let next = budget.next(decision, in_doubt, 0.5);
            next.map(|(again, wait)| (again, wait.as_millis()))
        };
        (0..times).map(next).collect()
    }

    #[test]
    fn waits_double_and_end() {
        let again = |wait| Some((RetryAction::Transaction, wait));
        let mut budget = RetryBudget::new(3);
        assert_eq!(
            waits(&mut budget, Decision::Repeat, false, 4),
            [again(5), again(10), again(20), None]
        );
        let mut budget = RetryBudget::new(40);
        assert_eq!(waits(&mut budget, Decision::Repeat, false, 40).pop(), Some(again(500)));
    }

    #[test]
    fn each_class_has_a_budget_of_its_own() {
        let mut budget = RetryBudget::new(1);
        assert_eq!(
            waits(&mut budget, Decision::Repeat, false, 2),
            [Some((RetryAction::Transaction, 5)), None]
        );
        let reconnect = |wait| Some((RetryAction::Reconnect, wait));
        assert_eq!(
            waits(&mut budget, Decision::Reconnect, false, 4),
            [reconnect(0), reconnect(50), reconnect(100), None]
        );
        let look_up = |wait| Some((RetryAction::LedgerLookup, wait));
        assert_eq!(
            waits(&mut budget, Decision::CommitUnknown, true, 6),
            [look_up(0), look_up(50), look_up(100), look_up(200), look_up(400), None]
        );
        assert_eq!(waits(&mut budget, Decision::AskLedger, false, 1), [None]);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let again = |decision, in_doubt| {
            let next = RetryBudget::new(1).next(decision, in_doubt, 0.0);
            next.map(|(again, _)| again)
        };
        for (decision, in_doubt, expected) in [
            (Decision::Repeat, false, Some(RetryAction::Transaction)),
            (Decision::Repeat, true, Some(RetryAction::LedgerLookup)),
            (Decision::Reconnect, false, Some(RetryAction::Reconnect)),
            (Decision::Reconnect, true, Some(RetryAction::LedgerLookup)),
            (Decision::CommitUnknown, false, Some(RetryAction::Reconnect)),
            (Decision::CommitUnknown, true, Some(RetryAction::LedgerLookup)),
            (Decision::AskLedger, false, Some(RetryAction::LedgerLookup)),
            (Decision::AskLedger, true, Some(RetryAction::LedgerLookup)),
            (Decision::Replan, false, Some(RetryAction::Transaction)),
            (Decision::Replan, true, Some(RetryAction::LedgerLookup)),
            (Decision::Refuse, false, None),
            (Decision::Refuse, true, None),
            (Decision::Keep, false, None),
            (Decision::Keep, true, None),
        ] {
            assert_eq!(
                again(decision, in_doubt),
                expected,
                "{decision:?}, in doubt: {in_doubt}"
            );
        }
        assert_eq!(RetryBudget::new(0).next(Decision::Repeat, false, 0.0), None);
        assert!(RetryBudget::new(0).next(Decision::Replan, false, 0.0).is_some());
    }
}
