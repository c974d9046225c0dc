//! What became of the groups in a journal that was left behind: read from its notes and from the
//! writer's rows in the ledger. Pure.
//!
//! A group is settled if
//! - all groups up to its number are, as [`Note::SettledThrough`] says, or [`Note::Settled`] names
//!   it;
//! - its lane's position in the ledger covers it, and it was not parked before;
//! - a [`Note::Flight`] has it, whose transaction is the last one of its lane. If a later one was
//!   committed there, the flight's own end was noted before, or it was none. The last one that was
//!   committed need not be the last one that was noted: its COMMIT may have had no clear answer.
//!
//! A successor goes on in the row of the first lane for all lanes, in an *epoch* of its own. What
//! the row held before stands in its [`Note::TakenOver`]. In its epoch a position covers the groups
//! of all lanes that were not settled before.
//!
//! If a lane's row is gone, though it was about to be made, nobody can say what became of the
//! groups that only it could tell of.
//!
//! Nor can anybody if that note may be lost: the machine was off, and nobody had waited for the
//! disk ([`History::may_lack_notes`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::buffer::journal::notes::Note;
use crate::ledger::Position;

/// What a lane's row in the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFound {
    /// The number of its last transaction, without the marks of successors.
    pub transaction: u64,
    /// Its position, if there is one.
    pub position: Option<Position>,
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is committed, or kept elsewhere.
    Settled,
    /// It is not: it is to be written.
    Unsettled,
    /// Nobody can say.
    Uncertain,
}

/// The life of one owner of the journal.
#[derive(Debug, Default)]
struct Epoch {
    /// The row of the first lane when it began. `None` inside: there was none.
    found: Option<RowFound>,
    parked: BTreeSet<u64>,
    /// The flights of each group, by lane and transaction: a number stands for one attempt.
    flights: BTreeMap<u64, Vec<(u8, u64)>>,
    settled: BTreeSet<u64>,
    /// The lanes that were about to have a row in the ledger by its end, as bits.
    registered: u64,
}

/// What a journal's notes say, in their order.
#[derive(Debug)]
pub struct History {
    epochs: Vec<Epoch>,
    settled_through: u64,
    may_lack_notes: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            epochs: vec![Epoch::default()],
            settled_through: 0,
            may_lack_notes: false,
        }
    }
}

impl History {
    /// Takes the next note.
    pub fn note(&mut self, note: Note) {
        if let Note::TakenOver { transaction, position } = note {
            let position = position.and_then(|position| Position::parse(&position));
            self.epochs.push(Epoch {
                found: transaction.map(|transaction| RowFound { transaction, position }),
                registered: self.registered(),
                ..Epoch::default()
            });
            return;
        }
        let Some(epoch) = self.epochs.last_mut() else { return };
        match note {
            Note::Registering { lane } => epoch.registered |= bit(lane),
            Note::Parked(groups) => epoch.parked.extend(groups),
            Note::Flight {
                lane,
                transaction,
                groups,
            } => {
                for group in groups {
                    epoch.flights.entry(group).or_default().push((lane, transaction));
                }
            }
            Note::Settled(groups) => epoch.settled.extend(groups),
            Note::SettledThrough { number, registered, .. } => {
                self.settled_through = self.settled_through.max(number);
                epoch.registered |= registered;
            }
            Note::TakenOver { .. } => {}
        }
    }

    /// Notes may be lost: the first owner did not wait for the disk, and the machine was off since.
    pub fn may_lack_notes(&mut self) {
        self.may_lack_notes = true;
    }

    /// How many successors there were.
    pub fn successors(&self) -> usize {
        self.epochs.len() - 1
    }

    /// The lanes that were about to have a row in the ledger.
    pub fn registered_lanes(&self) -> impl Iterator<Item = u8> {
        let registered = self.registered();
        (0..64).filter(move |lane| registered & bit(*lane) != 0)
    }

    /// The same, as bits.
    pub fn registered(&self) -> u64 {
        self.epochs.last().map_or(0, |epoch| epoch.registered)
    }

    /// What became of a group of a lane. `rows`: what stands in the ledger now.
    pub fn fate(&self, number: u64, lane: u8, rows: &BTreeMap<u8, RowFound>) -> Fate {
        if number <= self.settled_through || self.epochs.iter().any(|epoch| epoch.settled.contains(&number)) {
            return Fate::Settled;
        }
        if rows.values().any(|row| row.position == Some(Position::END)) {
            // A successor had come to the end of all.
            return Fate::Settled;
        }
        let mut is_uncertain = false;
        for (at, epoch) in self.epochs.iter().enumerate() {
            // The row of the first lane, as it was when this epoch ended.
            let first = match self.epochs.get(at + 1) {
                Some(next) => next.found,
                None => rows.get(&0).copied(),
            };
            let row = |lane: u8| if lane == 0 { first } else { rows.get(&lane).copied() };
            let is_lost = |lane: u8| row(lane).is_none() && (self.may_lack_notes || epoch.registered & bit(lane) != 0);
            for (flight_lane, transaction) in epoch.flights.get(&number).into_iter().flatten() {
                if row(*flight_lane).is_some_and(|row| row.transaction == *transaction) {
                    return Fate::Settled;
                }
                is_uncertain |= is_lost(*flight_lane);
            }
            if epoch.parked.contains(&number) {
                continue;
            }
            let (covering, number_of_epoch) = if at == 0 { (lane, 0) } else { (0, at) };
            is_uncertain |= is_lost(covering);
            let position = row(covering).and_then(|row| row.position);
            if position.is_some_and(|position| {
                usize::try_from(position.succession) == Ok(number_of_epoch) && number <= position.through
            }) {
                return Fate::Settled;
            }
        }
        if is_uncertain { Fate::Uncertain } else { Fate::Unsettled }
    }
}

fn bit(lane: u8) -> u64 {
    1_u64.checked_shl(u32::from(lane)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(transaction: u64, through: u64, epoch: u32) -> RowFound {
        RowFound {
            transaction,
            position: Some(Position {
                through,
                succession: epoch,
            }),
        }
    }

    fn rows<const N: usize>(rows: [(u8, RowFound); N]) -> BTreeMap<u8, RowFound> {
        rows.into_iter().collect()
    }

    fn history<const N: usize>(notes: [Note; N]) -> History {
        let mut history = History::default();
        for note in notes {
            history.note(note);
        }
        history
    }

    fn registered() -> Note {
        Note::Registering { lane: 0 }
    }

    fn taken_over(row: RowFound) -> Note {
        Note::TakenOver {
            transaction: Some(row.transaction),
            position: row.position.map(|position| position.to_string()),
        }
    }

    #[test]
    fn a_position_covers_its_own_lane() {
        let history = history([registered(), Note::Registering { lane: 1 }]);
        let rows = rows([(0, row(3, 10, 0)), (1, row(1, 4, 0))]);
        for (number, lane, fate) in [
            (10, 0, Fate::Settled),
            (11, 0, Fate::Unsettled),
            (4, 1, Fate::Settled),
            (5, 1, Fate::Unsettled),
        ] {
            assert_eq!(history.fate(number, lane, &rows), fate, "{number} of {lane}");
        }
    }

    #[test]
    fn nothing_was_committed_before_a_row_was_to_be_made() {
        assert_eq!(history([]).fate(1, 0, &rows([])), Fate::Unsettled);
        assert_eq!(history([registered()]).fate(1, 0, &rows([])), Fate::Uncertain);
        assert_eq!(history([registered()]).fate(1, 1, &rows([])), Fate::Unsettled);
    }

    #[test]
    fn a_parked_group_is_settled_by_its_flight_alone() {
        let flight = Note::Flight {
            lane: 0,
            transaction: 7,
            groups: vec![2],
        };
        let history = history([registered(), Note::Parked(vec![2, 3]), flight]);
        let fate = |number, transaction| history.fate(number, 0, &rows([(0, row(transaction, 10, 0))]));
        assert_eq!(fate(1, 6), Fate::Settled);
        assert_eq!((fate(2, 6), fate(3, 6)), (Fate::Unsettled, Fate::Unsettled));
        assert_eq!((fate(2, 7), fate(3, 7)), (Fate::Settled, Fate::Unsettled));
        // Had it been committed, that would have been noted before the next one.
        assert_eq!(fate(2, 8), Fate::Unsettled);
    }

    #[test]
    fn an_earlier_flight_of_a_lane_had_its_end_noted() {
        let flight = |transaction, group| Note::Flight {
            lane: 0,
            transaction,
            groups: vec![group],
        };
        let history = history([
            registered(),
            Note::Parked(vec![2, 3]),
            flight(7, 2),
            Note::Settled(vec![2]),
            flight(8, 3),
        ]);
        let fate = |number, transaction| history.fate(number, 0, &rows([(0, row(transaction, 10, 0))]));
        assert_eq!((fate(2, 7), fate(3, 7)), (Fate::Settled, Fate::Unsettled));
        assert_eq!((fate(2, 8), fate(3, 8)), (Fate::Settled, Fate::Settled));
    }

    #[test]
    fn the_last_flight_that_was_noted_need_not_be_the_last_that_was_committed() {
        // The answer to the first one's COMMIT was lost, and it came late.
        let flight = |transaction| Note::Flight {
            lane: 0,
            transaction,
            groups: vec![2],
        };
        let history = history([registered(), Note::Parked(vec![2]), flight(7), flight(8)]);
        let fate = |transaction| history.fate(2, 0, &rows([(0, row(transaction, 10, 0))]));
        assert_eq!((fate(7), fate(8)), (Fate::Settled, Fate::Settled));
        assert_eq!((fate(6), fate(9)), (Fate::Unsettled, Fate::Unsettled));
    }

    #[test]
    fn what_a_lost_note_may_have_said_is_uncertain() {
        let mut history = history([registered(), Note::Parked(vec![2])]);
        let found = rows([(0, row(7, 10, 0))]);
        let fates = |history: &History, rows| {
            [(1, 0), (2, 0), (11, 0), (3, 1)].map(|(number, lane)| history.fate(number, lane, rows))
        };
        let known = [Fate::Settled, Fate::Unsettled, Fate::Unsettled];
        assert_eq!(fates(&history, &found)[..3], known);
        assert_eq!(fates(&history, &found)[3], Fate::Unsettled);
        history.may_lack_notes();
        assert_eq!(fates(&history, &found)[..3], known);
        // No note tells that this lane had a row.
        assert_eq!(fates(&history, &found)[3], Fate::Uncertain);
        let end = RowFound {
            transaction: 8,
            position: Some(Position::END),
        };
        assert_eq!(fates(&history, &rows([(0, end)])), [Fate::Settled; 4]);
    }

    #[test]
    fn a_successor_covers_all_lanes_and_no_group_that_it_parked() {
        let history = history([
            registered(),
            Note::Registering { lane: 1 },
            Note::Parked(vec![2]),
            taken_over(row(5, 10, 0)),
            Note::Parked(vec![12]),
        ]);
        let fate = |number, lane, first| history.fate(number, lane, &rows([(0, first), (1, row(1, 4, 0))]));
        // It has committed nothing yet.
        let before = row(5, 10, 0);
        assert_eq!(
            (fate(10, 0, before), fate(2, 0, before)),
            (Fate::Settled, Fate::Unsettled)
        );
        assert_eq!(
            (fate(5, 1, before), fate(4, 1, before)),
            (Fate::Unsettled, Fate::Settled)
        );
        // It goes through all that was left: 2, 5, 11, 12, 13.
        let after = row(6, 13, 1);
        for (number, lane) in [(2, 0), (5, 1), (11, 0), (13, 1), (10, 0), (4, 1)] {
            assert_eq!(fate(number, lane, after), Fate::Settled, "{number}");
        }
        assert_eq!(fate(12, 0, after), Fate::Unsettled);
        assert_eq!(fate(14, 0, after), Fate::Unsettled);
    }

    #[test]
    fn a_position_of_the_epoch_before_covers_nothing_that_was_left() {
        let history = history([
            registered(),
            taken_over(row(5, 10, 0)),
            Note::Parked(vec![12]),
            taken_over(row(6, 13, 1)),
        ]);
        let fate = |number, first| history.fate(number, 0, &rows([(0, first)]));
        // A flight of the second successor has moved the number, not the position.
        for number in [6, 7] {
            let found = row(number, 13, 1);
            assert_eq!((fate(11, found), fate(12, found)), (Fate::Settled, Fate::Unsettled));
        }
        assert_eq!(fate(12, row(8, 12, 2)), Fate::Settled);
    }

    #[test]
    fn a_row_that_only_a_successor_made_was_not_lost_before() {
        let first = [Note::TakenOver {
            transaction: None,
            position: None,
        }];
        assert_eq!(history(first.clone()).fate(3, 0, &rows([])), Fate::Unsettled);
        let [first] = first;
        let history = history([first, registered()]);
        assert_eq!(history.registered_lanes().collect::<Vec<_>>(), [0]);
        let fate = |number, first| history.fate(number, 0, &rows([(0, first)]));
        assert_eq!(fate(3, row(0, 0, 0)), Fate::Unsettled);
        assert_eq!(fate(3, row(1, 3, 1)), Fate::Settled);
        assert_eq!(fate(4, row(1, 3, 1)), Fate::Unsettled);
        assert_eq!(history.fate(3, 0, &rows([])), Fate::Uncertain);
    }

    #[test]
    fn what_is_gone_was_settled() {
        let history = history([Note::SettledThrough {
            number: 9,
            ordinal: 20,
            registered: 1,
        }]);
        assert_eq!(history.fate(9, 0, &rows([])), Fate::Settled);
        assert_eq!(history.fate(10, 0, &rows([])), Fate::Uncertain);
        assert_eq!(history.registered_lanes().collect::<Vec<_>>(), [0]);
    }
}
