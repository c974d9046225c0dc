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
//! Invariants:
//! - A number stands for one attempt, and is never used again. As long as an attempt may yet be
//!   found committed, what it held is remembered.
//! - A writer goes on from a number of its own epoch only. Whoever takes its place begins a later
//!   one ([`next_epoch`]). So a predecessor that was only asleep, a zombie, finds another number
//!   than it left, asks, and learns that it has been replaced ([`Verdict::TakenOver`]).
//!
//! Bound: the attempts in doubt are those since the last transaction that was committed for
//! certain, or given up. A question that was answered preceded each of them but one, so
//! [`crate::writer::retry`] bounds how fast they grow.

use std::fmt;

use crate::error::{Error, Result};

/// The bits of a number that count transactions. Those above them are the epoch: 16 million
/// successors of one writer, each with enough numbers for 34 years of 1,000 transactions a second.
const EPOCH_SHIFT: u32 = 40;
/// The lane of the row in which a successor enters the groups of all lanes of its predecessor. In a
/// lane's own row its position would overwrite which later groups of that lane are settled already.
pub const SUCCESSOR_LANE: u16 = u16::MAX;
/// The longest name of a writer: as much as the table's column holds.
const WRITER_NAME_MAX: usize = 32;

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

/// Which groups are settled once a transaction is committed. It is written with the transaction's
/// number, so it is exactly as committed as the rows.
///
/// Its text has at most 32 bytes of ASCII: `17`, or `17@2` in the second succession.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The groups up to here are settled, apart from those that a journal notes otherwise.
    pub through: u64,
    /// 0: the groups of this lane. Otherwise the successor, counted from 1, who wrote it: the
    /// groups of all lanes that were left to it.
    pub succession: u32,
}

impl Position {
    /// Everything is settled, and nothing comes any more.
    pub const END: Self = Self {
        through: u64::MAX,
        succession: u32::MAX,
    };

    /// Reads what `Display` has written, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (through, succession) = text.split_once(SUCCESSION).unwrap_or((text, "0"));
        let read = Self {
            through: through.parse().ok()?,
            succession: succession.parse().ok()?,
        };
        // Neither signs nor leading zeros.
        (read.to_string() == text).then_some(read)
    }
}

/// What stands before a position's succession.
const SUCCESSION: char = '@';

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { through, succession } = self;
        match succession {
            0 => write!(formatter, "{through}"),
            _ => write!(formatter, "{through}{SUCCESSION}{succession}"),
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
    /// Which groups are settled by it. `None`: the row keeps its position.
    pub position: Option<Position>,
}

/// A writer's row in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The number of the last transaction that was committed, or of the epoch that began since.
    pub number: u64,
    /// What the last transaction that had a position has written: a [`Position`], or another
    /// supplier's text. `None` if none had one, or if the table cannot hold any.
    pub position: Option<String>,
}

/// The number that a writer's successor leaves in its row: larger than any that the writer uses,
/// and of a later epoch. It still says which transaction was the last. `None`: there are no more.
pub fn next_epoch(number: u64) -> Option<u64> {
    number.checked_add(1 << EPOCH_SHIFT)
}

/// Which transaction of its writer a number stands for, whatever its epoch.
pub fn transaction_count(number: u64) -> u64 {
    number % (1 << EPOCH_SHIFT)
}

/// Checks the name of a writer that is given from outside.
///
/// # Errors
///
/// It is empty, has more than 32 bytes, or others than letters, digits and hyphens of ASCII.
pub fn check_writer_name(writer: &str) -> Result<()> {
    let is_plain = writer.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_plain && (1..=WRITER_NAME_MAX).contains(&writer.len()) {
        return Ok(());
    }
    Err(Error::config(format!(
        "{writer:?} is no name of a writer in the ledger: it takes 1 to {WRITER_NAME_MAX} ASCII letters, digits and hyphens"
    )))
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
    /// Another process has taken this writer's place. Nobody can say by the number what became of
    /// the transactions in doubt: that process knows, by the position.
    TakenOver,
}

/// A transaction that may yet be found committed.
#[derive(Debug)]
struct Doubt<T> {
    number: u64,
    position: Option<Position>,
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
    /// The position of the last transaction that was committed and had one.
    last_position: Option<Position>,
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
            last_position: None,
            doubts: Vec::new(),
            is_in_doubt: false,
        }
    }
}

impl<T> Ledger<T> {
    /// The entry for an attempt that begins now. It is in doubt until it is known to be committed
    /// or to have failed. So whatever else ends it, even a panic, the attempt is not forgotten.
    pub fn begin(&mut self, held: T, position: Option<Position>) -> LedgerEntry {
        self.last_used += 1;
        self.doubts.push(Doubt {
            number: self.last_used,
            position,
            held,
            is_said_to_have_failed: false,
        });
        self.is_in_doubt = true;
        LedgerEntry {
            after: self.last_known,
            number: self.last_used,
            position,
        }
    }

    /// The number of the attempt that begins next.
    pub fn next_number(&self) -> u64 {
        self.last_used + 1
    }

    /// Goes on where a predecessor was stopped, with what its row holds since it was taken over.
    pub fn resume(&mut self, number: u64, position: Option<Position>) {
        *self = Self {
            last_known: number,
            last_used: number,
            last_position: position,
            ..Self::default()
        };
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

    /// The position of the last transaction that was committed and had one.
    pub fn last_position(&self) -> Option<Position> {
        self.last_position
    }

    /// An attempt was committed for certain. It found the row as it was before those in doubt, so
    /// they never will be.
    pub fn committed(&mut self, entry: LedgerEntry) {
        self.last_known = entry.number;
        self.last_position = entry.position.or(self.last_position);
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
        if found >> EPOCH_SHIFT > self.last_used >> EPOCH_SHIFT {
            return Verdict::TakenOver;
        }
        self.last_known = found;
        self.last_used = self.last_used.max(found);
        let Some(at) = self.doubts.iter().position(|doubt| doubt.number == found) else {
            return Verdict::NotCommitted;
        };
        let doubt = self.doubts.swap_remove(at);
        self.last_position = doubt.position.or(self.last_position);
        self.doubts.clear();
        Verdict::Committed(doubt.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(after: u64, number: u64) -> LedgerEntry {
        LedgerEntry {
            after,
            number,
            position: None,
        }
    }

    fn in_doubt(held: &'static str) -> (Ledger<&'static str>, LedgerEntry) {
        let mut ledger = Ledger::default();
        let entry = ledger.begin(held, None);
        assert!(ledger.is_in_doubt());
        (ledger, entry)
    }

    fn position(through: u64) -> Position {
        Position { through, succession: 0 }
    }

    #[test]
    fn a_position_is_what_its_text_says() {
        for (through, succession, text) in [
            (17, 0, "17"),
            (17, 2, "17@2"),
            (0, 0, "0"),
            (u64::MAX, u32::MAX, "18446744073709551615@4294967295"),
        ] {
            let position = Position { through, succession };
            assert_eq!(position.to_string(), text);
            assert_eq!(Position::parse(text), Some(position));
            assert!(text.is_ascii() && text.len() <= 64);
        }
        for text in [
            "",
            "@",
            "17@",
            "@2",
            "17@0",
            "17@2@3",
            "+17",
            "017",
            "17@02",
            " 17",
            "17\n",
            "-1",
            "18446744073709551616",
            "17@4294967296",
            "1526919030474-55",
        ] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_last_position_is_that_of_what_was_committed() {
        let mut ledger = Ledger::default();
        let committed = ledger.begin("a", Some(position(4)));
        assert_eq!(ledger.last_position(), None);
        ledger.committed(committed);
        assert_eq!(ledger.last_position(), Some(position(4)));
        // One without leaves the row's as it is.
        let without = ledger.begin("b", None);
        ledger.committed(without);
        assert_eq!(ledger.last_position(), Some(position(4)));
        let failed = ledger.begin("c", Some(position(6)));
        ledger.failed(failed);
        ledger.begin("d", Some(position(8)));
        assert_eq!(ledger.judge(Some(2)), Verdict::NotCommitted);
        assert_eq!(ledger.last_position(), Some(position(4)));
        assert_eq!(ledger.judge(Some(4)), Verdict::Committed("d"));
        assert_eq!(ledger.last_position(), Some(position(8)));
    }

    #[test]
    fn a_successor_goes_on_from_a_number_that_its_predecessor_never_uses() {
        let mut zombie = Ledger::default();
        let first = zombie.begin("first", None);
        zombie.committed(first);
        // In doubt, and the number after the one that the row holds.
        let doubtful = zombie.begin("second", None);
        let number = next_epoch(first.number).expect("the first epochs");
        assert!(number > doubtful.number + 1_000_000_000);
        let mut successor = Ledger::default();
        successor.resume(number, Some(position(1)));
        assert_eq!(successor.last_position(), Some(position(1)));
        let entry = successor.begin("again", None);
        assert_eq!(entry, entry_of(number, number + 1));
        successor.committed(entry);
        for found in [number, number + 1] {
            assert_eq!(zombie.judge(Some(found)), Verdict::TakenOver, "{found}");
            assert_eq!(
                zombie.begin("third", None).after,
                first.number,
                "it goes on from nothing else"
            );
        }
        assert!(zombie.has_doubts(), "nobody has said what became of it");
        // A server that has lost the take-over is taken as it is.
        successor.begin("more", None);
        assert_eq!(successor.judge(Some(first.number)), Verdict::NotCommitted);
        assert_eq!(successor.begin("more", None).after, first.number);
        assert!(successor.begin("more", None).number > number, "its epoch stays");
    }

    #[test]
    fn epochs_come_to_an_end() {
        assert_eq!(next_epoch(0), Some(1 << EPOCH_SHIFT));
        assert_eq!(next_epoch(1 << EPOCH_SHIFT), Some(2 << EPOCH_SHIFT));
        assert_eq!(next_epoch((2 << EPOCH_SHIFT) - 1), Some((3 << EPOCH_SHIFT) - 1));
        assert_eq!(next_epoch(u64::MAX), None);
    }

    #[test]
    fn a_name_is_plain_and_short() {
        for name in ["a", "host-4711-F3a9", &"a".repeat(32)] {
            check_writer_name(name).expect(name);
        }
        for name in ["", "a b", "a_b", "a.b", "ä", "a'b", "a\0", &"a".repeat(33)] {
            check_writer_name(name).expect_err(name);
        }
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
            let entry = ledger.begin((), None);
            let after = number - 1;
            assert_eq!(entry, entry_of(after, number));
            ledger.committed(entry);
        }
    }

    #[test]
    fn a_number_is_used_once() {
        let (mut ledger, entry) = in_doubt("a");
        ledger.failed(entry);
        assert!(!ledger.is_in_doubt());
        assert_eq!(ledger.begin("b", None), entry_of(0, 2));
        // What failed for certain is not found later.
        assert_eq!(ledger.judge(Some(1)), Verdict::NotCommitted);
    }

    #[test]
    fn a_commit_that_is_said_to_have_failed_is_noticed_if_that_is_untrue() {
        let mut ledger = Ledger::default();
        for number in 1..4 {
            let entry = ledger.begin(number, None);
            ledger.commit_failed(entry);
            assert!(!ledger.is_in_doubt(), "nobody is asked");
            assert!(ledger.has_doubts());
            assert_eq!(entry.after, 0);
        }
        // The next attempt finds that the row holds another number, and asks.
        let entry = ledger.begin(4, None);
        ledger.failed(entry);
        assert_eq!(ledger.judge(Some(3)), Verdict::Committed(3));
        assert!(!ledger.has_doubts());
    }

    #[test]
    fn of_attempts_that_are_said_to_have_failed_the_last_is_remembered() {
        let (mut ledger, _) = in_doubt("unknown");
        assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
        for held in ["first", "second"] {
            let entry = ledger.begin(held, None);
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
            assert_eq!(ledger.begin("second", None), entry_of(0, 2));
            assert_eq!(ledger.judge(Some(0)), Verdict::NotCommitted);
            // A third attempt finds that the row holds another number, and asks.
            let third = ledger.begin("third", None);
            ledger.failed(third);
            assert_eq!(ledger.judge(Some(found)), Verdict::Committed(expected));
            assert_eq!(ledger.begin("next", None).after, found);
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_taken_for_something_else() {
        let (mut ledger, entry) = in_doubt("a");
        ledger.forget_doubts();
        let next = ledger.begin("b", None);
        assert_ne!(next.number, entry.number);
        ledger.failed(next);
        // The forgotten one was committed: the writer goes on from there.
        assert_eq!(ledger.judge(Some(entry.number)), Verdict::NotCommitted);
        assert_eq!(ledger.begin("c", None).after, entry.number);
    }

    #[test]
    fn a_server_that_lost_transactions_is_taken_as_it_is() {
        let mut ledger = Ledger::default();
        for _ in 0..5 {
            let entry = ledger.begin("a", None);
            ledger.committed(entry);
        }
        ledger.begin("b", None);
        assert_eq!(ledger.judge(Some(3)), Verdict::NotCommitted);
        assert_eq!(ledger.begin("b", None), entry_of(3, 7));
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
