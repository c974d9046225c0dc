//! The ledger's rules: which transactions are entered in it, under which number, and what its
//! answer means. Pure: the [sink](crate::sink) has the table, the [writer](crate::writer) asks.
//!
//! The table has a row for each writer, with the number of the last transaction that it committed.
//! A transaction first sets its own number there, if the row still holds the one that the writer
//! left. So the row says of any transaction whether it was committed. No transaction is committed
//! twice: the second time the row holds its number already.
//!
//! What needs the ledger? Rows that must not be written twice: sums, and insert-only rows, which a
//! second time would be doubled, or refused (1062) if they have a key. A `replace` needs none: if
//! two writers share a row, the last one to reach the server wins in any case. That is what `guard`
//! is for.
//!
//! `docs/design/exactly-once.md` tells the whole story; `crates/core/tests/recovery_model/` plays
//! it against a server that does its worst.
//!
//! Invariant: a number stands for one attempt, and is never used again. As long as an attempt may
//! yet be found committed, what it held is remembered.
//!
//! Bound: the attempts in doubt are those since the last transaction that was committed for
//! certain, or given up. A question that was answered preceded each of them but one, so
//! [`crate::writer::retry`] bounds how fast they grow.

/// When transactions are entered in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerUse {
    /// Those with a row that must not be written twice: see
    /// [`TableModel::is_repeatable`](crate::table::model::TableModel::is_repeatable).
    Auto,
    /// All.
    Always,
    /// None. Tables whose rows must not be written twice are refused, unless their rules accept it.
    Never,
}

impl LedgerUse {
    /// Reads the name in PHP.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "always" => Self::Always,
            "never" => Self::Never,
            _ => return None,
        })
    }

    /// Whether transactions are entered, or a table's rows, that may (`is_repeatable`) or must not
    /// be written twice.
    pub fn covers(self, is_repeatable: bool) -> bool {
        match self {
            Self::Auto => !is_repeatable,
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// The name in PHP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// What a transaction writes into the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The number that the row must hold before.
    pub after: u64,
    /// The transaction's own number.
    pub number: u64,
}

/// What the row's number, or its absence, means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// A transaction in doubt was committed: this is what it held.
    Committed(T),
    /// None of those in doubt was committed, so far. The writer goes on from here.
    NotCommitted,
    /// The row is gone, and with it every trace of the transactions in doubt. This is what they
    /// held.
    NoTrace(Vec<T>),
    /// The row is gone, and no transaction is in doubt: the row has to be made anew.
    Unregistered,
}

/// A transaction that may yet be found committed.
#[derive(Debug)]
struct Doubt<T> {
    number: u64,
    held: T,
    /// COMMIT was answered, by an error that says that nothing was committed.
    is_said_to_have_failed: bool,
}

/// The writer's side of the ledger. `T` is what a transaction held.
#[derive(Debug)]
pub struct Ledger<T> {
    /// What the row holds, as far as that is known.
    last_known: u64,
    last_used: u64,
    /// Transactions that may yet be found committed.
    doubts: Vec<Doubt<T>>,
    /// The row was not asked since the last of them.
    is_in_doubt: bool,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self {
            last_known: 0,
            last_used: 0,
            doubts: Vec::new(),
            is_in_doubt: false,
        }
    }
}

impl<T> Ledger<T> {
    /// The entry for an attempt that begins now. It is in doubt until it is known to be committed
    /// or to have failed. So whatever else ends it, even a panic, the attempt is not forgotten.
    pub fn begin(&mut self, held: T) -> LedgerEntry {
        self.last_used += 1;
        self.doubts.push(Doubt {
            number: self.last_used,
            held,
            is_said_to_have_failed: false,
        });
        self.is_in_doubt = true;
        LedgerEntry {
            after: self.last_known,
            number: self.last_used,
        }
    }

    /// What an attempt holds is known better now.
    pub fn amend(&mut self, entry: LedgerEntry, change: impl FnOnce(&mut T)) {
        if let Some(doubt) = self.doubts.iter_mut().find(|doubt| doubt.number == entry.number) {
            change(&mut doubt.held);
        }
    }

    /// An attempt failed before its COMMIT. It began when nothing else had to be asked about.
    pub fn failed(&mut self, entry: LedgerEntry) {
        self.doubts.retain(|doubt| doubt.number != entry.number);
        self.is_in_doubt = false;
    }

    /// COMMIT was answered by an error that says that nothing was committed. That is taken for
    /// true, so nobody is asked; and the attempt is remembered: were it untrue, the next one would
    /// find this number in the row.
    ///
    /// The next attempt is entered behind the row as it was before this one. So one such attempt is
    /// remembered: if a later one came as far as its COMMIT, the earlier was not committed.
    pub fn commit_failed(&mut self, entry: LedgerEntry) {
        self.doubts.retain(|doubt| !doubt.is_said_to_have_failed);
        for doubt in &mut self.doubts {
            doubt.is_said_to_have_failed |= doubt.number == entry.number;
        }
        self.is_in_doubt = false;
    }

    /// The number that the row must hold for the next transaction.
    pub fn last_known(&self) -> u64 {
        self.last_known
    }

    /// An attempt was committed for certain. It found the row as it was before those in doubt, so
    /// they never will be.
    pub fn committed(&mut self, entry: LedgerEntry) {
        self.last_known = entry.number;
        self.forget_doubts();
    }

    /// Whether an attempt may yet be found committed.
    pub fn has_doubts(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Whether the row has to be asked before anything else is written.
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// What was in doubt is settled in another way, or nobody asks for it any more.
    pub fn forget_doubts(&mut self) {
        self.doubts.clear();
        self.is_in_doubt = false;
    }

    /// Judges the number that was found in the row. Attempts that it does not name stay in doubt
    /// until something is committed: on a cluster a COMMIT under way on another node may yet come,
    /// and the row then holds its number.
    pub fn judge(&mut self, found: Option<u64>) -> Verdict<T> {
        self.is_in_doubt = false;
        let Some(found) = found else {
            if self.doubts.is_empty() {
                return Verdict::Unregistered;
            }
            let doubts = std::mem::take(&mut self.doubts);
            return Verdict::NoTrace(doubts.into_iter().map(|doubt| doubt.held).collect());
        };
        self.last_known = found;
        self.last_used = self.last_used.max(found);
        let Some(at) = self.doubts.iter().position(|doubt| doubt.number == found) else {
            return Verdict::NotCommitted;
        };
        let doubt = self.doubts.swap_remove(at);
        self.doubts.clear();
        Verdict::Committed(doubt.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_doubt(held: &'static str) -> (Ledger<&'static str>, LedgerEntry) {
        let mut ledger = Ledger::default();
        let entry = ledger.begin(held);
        assert!(ledger.is_in_doubt());
        (ledger, entry)
    }

    #[test]
    fn what_is_found_committed_is_what_was_known_of_it_last() {
        let (mut ledger, entry) = in_doubt("a");
        ledger.amend(entry, |held| *held = "known better");
        assert_eq!(ledger.judge(Some(1)), Verdict::Committed("known better"));
        ledger.amend(entry, |held| *held = "gone");
    }

    #[test]
    fn numbers_follow_each_other() {
        let mut ledger = Ledger::default();
        for number in 1..4 {
            let entry = ledger.begin(());
            let after = number - 1;
            assert_eq!(entry, LedgerEntry { after, number });
            ledger.committed(entry);
        }
    }

    #[test]
    fn a_number_is_used_once() {
        let (mut ledger, entry) = in_doubt("a");
        ledger.failed(entry);
        assert!(!ledger.is_in_doubt());
        assert_eq!(ledger.begin("b"), LedgerEntry { after: 0, number: 2 });
        // What failed for certain is not found later.
        assert_eq!(ledger.judge(Some(1)), Verdict::NotCommitted);
    }

    #[test]
    fn a_commit_that_is_said_to_have_failed_is_noticed_if_that_is_untrue() {
        let mut ledger = Ledger::default();
        for number in 1..4 {
            let entry = ledger.begin(number);
            ledger.commit_failed(entry);
            assert!(!ledger.is_in_doubt(), "nobody is asked");
            assert!(ledger.has_doubts());
            assert_eq!(entry.after, 0);
        }
        // The next attempt finds that the row holds another number, and asks.
        let entry = ledger.begin(4);
        ledger.failed(entry);
        assert_eq!(ledger.judge(Some(3)), Verdict::Committed(3));
        assert!(!ledger.has_doubts());
    }

    #[test]
    fn of_attempts_that_are_said_to_have_failed_the_last_is_remembered() {
        let (mut ledger, _) = in_doubt("unknown");
        assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
        for held in ["first", "second"] {
            let entry = ledger.begin(held);
            ledger.commit_failed(entry);
        }
        // The row held 0 when the second one came to its COMMIT.
        assert_eq!(ledger.judge(Some(2)), Verdict::NotCommitted);
        assert_eq!(
            ledger.judge(Some(1)),
            Verdict::Committed("unknown"),
            "on a cluster it may come late"
        );
    }

    #[test]
    fn the_row_decides_what_is_in_doubt() {
        for (found, expected) in [
            (Some(1), Verdict::Committed("a")),
            (Some(0), Verdict::NotCommitted),
            (None, Verdict::NoTrace(vec!["a"])),
        ] {
            let (mut ledger, _) = in_doubt("a");
            assert_eq!(ledger.judge(found), expected, "{found:?}");
            assert!(!ledger.is_in_doubt());
        }
    }

    #[test]
    fn a_late_commit_is_noticed_whichever_attempt_it_belongs_to() {
        for (found, expected) in [(1, "first"), (2, "second")] {
            let (mut ledger, _) = in_doubt("first");
            assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
            assert_eq!(ledger.begin("second"), LedgerEntry { after: 0, number: 2 });
            assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
            // A third attempt finds that the row holds another number, and asks.
            let third = ledger.begin("third");
            ledger.failed(third);
            assert_eq!(ledger.judge(Some(found)), Verdict::Committed(expected));
            assert_eq!(ledger.begin("next").after, found);
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_taken_for_something_else() {
        let (mut ledger, entry) = in_doubt("a");
        ledger.forget_doubts();
        let next = ledger.begin("b");
        assert_ne!(next.number, entry.number);
        ledger.failed(next);
        // The forgotten one was committed: the writer goes on from there.
        assert_eq!(ledger.judge(Some(entry.number)), Verdict::NotCommitted);
        assert_eq!(ledger.begin("c").after, entry.number);
    }

    #[test]
    fn a_server_that_lost_transactions_is_taken_as_it_is() {
        let mut ledger = Ledger::default();
        for _ in 0..5 {
            let entry = ledger.begin("a");
            ledger.committed(entry);
        }
        ledger.begin("b");
        assert_eq!(ledger.judge(Some(3)), Verdict::NotCommitted);
        assert_eq!(ledger.begin("b"), LedgerEntry { after: 3, number: 7 });
    }

    #[test]
    fn a_missing_row_without_a_doubt_is_made_anew() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.judge(None), Verdict::<()>::Unregistered);
    }

    #[test]
    fn a_row_that_goes_between_two_questions_takes_the_trace_along() {
        let (mut ledger, _) = in_doubt("a");
        assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
        assert_eq!(ledger.judge(None), Verdict::NoTrace(vec!["a"]));
    }
}
