//! What is to be written of one key, as its rows and deletions are read in order.
//!
//! What came before a deletion is dropped, what comes after it starts from nothing. So of a key at
//! most a DELETE and one row are left, unless something has to be written for its own sake:
//! - a row before a deletion, if the server might refuse it: a value that is not [taken for
//!   certain](BoundColumns::takes), a CHECK, a foreign key, a sum that may leave its column's
//!   range, a row that can only update;
//! - two deletions, or a row and a deletion, whose guards only the server can compare.
//!
//! A guard decides first: a deletion is void if the row before it is newer. Then the table's row is
//! at least as new, whichever it is. Otherwise the row may vanish: whether the server takes it or
//! refuses it as older, what is left is older than the deletion, or newer than both.

use std::cmp::Ordering;

use crate::error::Result;
use crate::plan::binder::BoundRow;
use crate::plan::merge::{ColumnUnions, Merged, MergedRow, is_taken_for_certain, merge};
#[cfg(doc)]
use crate::table::bound::BoundColumns;
use crate::table::column::ColumnKind;
use crate::table::rules::MergeRule;
use crate::value::decimal::exact;

/// What is to be written of one key: a deletion, and then a row.
#[derive(Debug, Default)]
pub struct Versions<'a> {
    deletion: Option<BoundRow<'a>>,
    row: Option<MergedRow<'a>>,
    stale_rows: usize,
}

impl<'a> Versions<'a> {
    /// Reads the next row or deletion of the key. Calls back with what has to be written before
    /// all that follows. Merges nothing if there are no `unions`.
    ///
    /// # Errors
    ///
    /// As [`merge`].
    pub fn add(
        &mut self,
        next: BoundRow<'a>,
        unions: Option<&mut ColumnUnions>,
        settle: &mut impl FnMut(MergedRow<'a>),
    ) -> Result<()> {
        let Some(unions) = unions else {
            self.settle(settle);
            self.put(next);
            return Ok(());
        };
        if next.bound.is_deletion {
            self.delete(next, settle);
            return Ok(());
        }
        self.row = Some(match self.row.take() {
            None => next.into(),
            Some(earlier) => match merge(earlier, next, unions)? {
                Merged::One(merged) => merged,
                Merged::Stale(merged) => {
                    self.stale_rows += 1;
                    merged
                }
                Merged::Apart(earlier, later) => {
                    self.row = Some(earlier);
                    self.settle(settle);
                    later.into()
                }
            },
        });
        Ok(())
    }

    /// The rows that a newer one before them has turned away, or that were the same.
    pub fn stale_rows(&self) -> usize {
        self.stale_rows
    }

    /// The end: calls back with all that is left.
    pub fn settle(&mut self, settle: &mut impl FnMut(MergedRow<'a>)) {
        self.deletion
            .take()
            .map(MergedRow::from)
            .into_iter()
            .for_each(&mut *settle);
        self.row.take().into_iter().for_each(settle);
    }

    fn put(&mut self, next: BoundRow<'a>) {
        if next.bound.is_deletion {
            self.deletion = Some(next);
        } else {
            self.row = Some(next.into());
        }
    }

    fn delete(&mut self, next: BoundRow<'a>, settle: &mut impl FnMut(MergedRow<'a>)) {
        match self.row.as_ref().map(|row| meet(row.row(), &next)) {
            None => {}
            Some(Meeting::DeletionIsVoid) => return,
            Some(Meeting::RowVanishes) => self.row = None,
            Some(Meeting::Unclear) => self.settle(settle),
        }
        self.deletion = Some(match self.deletion.take() {
            None => next,
            Some(earlier) => match stronger(&earlier, &next) {
                Some(Stronger::Earlier) => earlier,
                Some(Stronger::Later) => next,
                None => {
                    settle(earlier.into());
                    next
                }
            },
        });
    }
}

/// What a row and a deletion after it come to.
enum Meeting {
    /// The row is newer, and stays.
    DeletionIsVoid,
    /// The deletion does the same without the row.
    RowVanishes,
    /// Only the server can tell.
    Unclear,
}

fn meet(row: &BoundRow<'_>, deletion: &BoundRow<'_>) -> Meeting {
    let is_older = match (row.bound.guard, deletion.bound.guard) {
        (Some(here), Some(there)) => {
            let (before, after) = (row.value(here), deletion.value(there));
            match row.bound.compare(here, before, after) {
                Some(Ordering::Greater) if looks_up_without_error(deletion) => return Meeting::DeletionIsVoid,
                None | Some(Ordering::Greater) => false,
                Some(Ordering::Less | Ordering::Equal) => true,
            }
        }
        _ => true,
    };
    // A sum may leave the column's range, by what the table holds.
    let sums = row.bound.rules.contains(&MergeRule::Sum);
    if is_older && !sums && row.bound.defaults_are_taken && is_taken_for_certain(row) {
        Meeting::RowVanishes
    } else {
        Meeting::Unclear
    }
}

/// Which of two deletions does what both do.
enum Stronger {
    Earlier,
    Later,
}

/// `None`: only the server can tell.
fn stronger(earlier: &BoundRow<'_>, later: &BoundRow<'_>) -> Option<Stronger> {
    let stronger = match (earlier.bound.guard, later.bound.guard) {
        (None, _) => Stronger::Earlier,
        (Some(_), None) => Stronger::Later,
        (Some(here), Some(there)) => match earlier.bound.compare(here, earlier.value(here), later.value(there))? {
            Ordering::Greater => Stronger::Earlier,
            Ordering::Less | Ordering::Equal => Stronger::Later,
        },
    };
    let vanishes = match stronger {
        Stronger::Earlier => later,
        Stronger::Later => earlier,
    };
    looks_up_without_error(vanishes).then_some(stronger)
}

/// Whether the server compares the values of a deletion without an error for certain.
fn looks_up_without_error(deletion: &BoundRow<'_>) -> bool {
    let mut values = deletion.values.iter().enumerate();
    values.all(|(at, value)| deletion.bound.takes(at, value))
}

/// Whether a deletion may not stand beside others in a statement. The server may refuse it alone,
/// or it has an integer that the list of keys cannot.
pub fn goes_alone(deletion: &BoundRow<'_>) -> bool {
    let is_large = |at: &usize| {
        let is_integer = deletion.bound.kinds.get(*at) == Some(&ColumnKind::Integer);
        is_integer && exact(deletion.value(*at)).and_then(|number| number.to_i64()).is_none()
    };
    deletion.bound.model.sees_order_of_deletions()
        || !looks_up_without_error(deletion)
        || deletion.bound.key.iter().any(is_large)
}
