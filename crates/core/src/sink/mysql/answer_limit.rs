//! How long the answer to a statement with rows is waited for, before its connection is given up.
//!
//! Servers count waits for a lock in seconds. For as long a transaction would hold what it has
//! locked, and writers of other rows would wait behind it. So the client waits for a fraction of
//! that, on both servers. A lock and a slow server look the same from here: what is usual for the
//! table, and for a COMMIT, makes the wait longer ([`Pace`]). If it would be as long as the
//! server's own the server has the last word.

use std::time::Duration;

use crate::sink::Patience;
use crate::table::pace::Pace;

/// How many times as long as usual an answer may take.
const TIMES_USUAL: u32 = 4;
/// How much less a lane waits for a table that another one has waited for in vain. It was on its
/// way to it, and may hold rows that others wait for.
const AFTER_OTHERS: u32 = 2;
/// How often the wait is halved, at most, while one after the other is in vain.
const HALVINGS_MAX: u32 = 1;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct AnswerLimit {
    patience: Patience,
    /// The usual wait.
    brief: Duration,
    /// The least one, whatever makes it shorter.
    least: Duration,
    /// From here on it is the server that ends the wait.
    max: Duration,
}

impl AnswerLimit {
    /// `commits` is how fast the server commits. `missed` is how many transactions in a row were
    /// given up for an answer that did not come: the next ones wait half as long, or the rows that
    /// they all have would be late by all these waits. Not less: answers take their time under
    /// load.
    pub fn new(patience: Patience, brief: Duration, max: Duration, commits: &Pace, missed: u32) -> Self {
        let halved = match patience {
            Patience::Usual => brief / 2_u32.pow(missed.min(HALVINGS_MAX)),
            Patience::Full | Patience::Probe { .. } => brief,
        };
        Self {
            patience,
            brief: halved.max(commits.usual().saturating_mul(TIMES_USUAL)),
            least: brief / AFTER_OTHERS,
            max,
        }
    }

    /// An answer to a statement of a table, with so many rows, took so long.
    pub fn answered(&self, pace: &Pace, rows: usize, took: Duration) {
        pace.answered(took);
        if self.patience == Patience::Usual && took <= self.brief / 2 {
            pace.was_quick(rows);
        }
    }

    /// No answer came in this time. A probe's says nothing of what others need.
    pub fn gave_up(&self, pace: &Pace, rows: usize, after: Duration) {
        // Those who met it at once do not double it again.
        if self.patience == Patience::Usual && !pace.is_missed() {
            pace.gave_up(after, rows);
        }
        pace.missed();
    }

    /// How long a statement of a table is waited for. `None`: until the server answers.
    pub fn of(&self, pace: &Pace) -> Option<Duration> {
        let usual = self.brief.max(pace.usual().saturating_mul(TIMES_USUAL));
        let limit = match self.patience {
            Patience::Full => return None,
            Patience::Usual if pace.is_missed() => self.least.max(usual / AFTER_OTHERS),
            Patience::Usual => usual.max(pace.allowed()),
            Patience::Probe { times } => usual.saturating_mul(times),
        };
        (limit < self.max).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn limit(patience: Patience, commits: &Pace, table: &Pace) -> Option<Duration> {
        AnswerLimit::new(patience, ms(250), ms(1_000), commits, 0).of(table)
    }

    #[test]
    fn a_statement_is_given_a_fraction_of_a_second() {
        let (commits, table) = (Pace::default(), Pace::default());
        for (patience, expected) in [
            (Patience::Usual, Some(ms(250))),
            (Patience::Probe { times: 1 }, Some(ms(250))),
            (Patience::Probe { times: 2 }, Some(ms(500))),
            (Patience::Probe { times: 4 }, None),
            (Patience::Full, None),
        ] {
            assert_eq!(limit(patience, &commits, &table), expected, "{patience:?}");
        }
        let missed = [0, 1, 2, 9].map(|missed| {
            let limit = AnswerLimit::new(Patience::Usual, ms(240), ms(1_000), &commits, missed);
            limit.of(&table).expect("less than a second").as_millis()
        });
        assert_eq!(missed, [240, 120, 120, 120]);
    }

    #[test]
    fn what_is_slow_is_given_more_and_in_the_end_what_the_server_gives() {
        let (commits, table) = (Pace::default(), Pace::default());
        let mut waits = Vec::new();
        while let Some(wait) = limit(Patience::Usual, &commits, &table) {
            let limit = AnswerLimit::new(Patience::Usual, ms(250), ms(1_000), &commits, 0);
            limit.gave_up(&table, 1, wait);
            assert_eq!(limit.of(&table), Some(ms(250) / 2), "other lanes know of it");
            // A probe is answered.
            table.answered(ms(1));
            waits.push(wait);
        }
        assert_eq!(waits, [ms(250), ms(500)]);
        assert_eq!(
            limit(Patience::Probe { times: 1 }, &commits, &table),
            Some(ms(250)),
            "a probe holds nobody up for that"
        );
        for _ in 0..50 {
            table.answered(ms(100));
        }
        let slow = limit(Patience::Probe { times: 1 }, &commits, &table).expect("less than a second");
        assert!(slow > ms(350), "{slow:?}");
        let table = Pace::default();
        for _ in 0..50 {
            commits.answered(ms(200));
        }
        let slow = limit(Patience::Usual, &commits, &table).expect("less than a second");
        assert!(slow > ms(750), "{slow:?}");
    }
}
