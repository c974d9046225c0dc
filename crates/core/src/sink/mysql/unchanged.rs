//! How many rows of a statement left the table as it was, by the server's answer to it.
//!
//! | statement | answer | unchanged |
//! |---|---|---|
//! | upsert of several rows | `Records: n  Duplicates: d`, `a` affected | `n + d - a` |
//! | upsert of one row | no words; 1 affected | 1 if the row was there: [`TOUCHED_ROW`] |
//! | UPDATE, of one row or several | `Rows matched: m  Changed: c` | `m - c` |
//!
//! With `CLIENT_FOUND_ROWS` an upsert affects a row that it inserts by 1, one that it changes by 2
//! and one that it finds as it is by 1; duplicates are those that were there. So one row alone is
//! inserted or unchanged for 1. Therefore its statement says `LAST_INSERT_ID(number)` if a row is
//! there, and the answer has that number, or the next one: it must depend on the row. The manual
//! itself writes so: <https://dev.mysql.com/doc/refman/8.4/en/insert-on-duplicate.html>. Servers'
//! sources:
//! `Sql_cmd_insert_values::execute_inner` and `write_record` (MySQL), `mysql_insert` and
//! `write_record` (MariaDB).
//!
//! Limit: an upsert that writes NULL in the place of NULL changes the row to both servers, if the
//! column has another default.

use crate::plan::Operation;
use crate::sink::mysql::sql::TOUCHED_ROW;
use crate::sink::mysql::wire::answer::Done;

/// The rows that changed nothing. 0 if the answer does not say.
pub fn unchanged_rows(operation: Operation, done: &Done) -> u64 {
    match (operation, done.counts) {
        (Operation::Upsert, Some([records, duplicates])) => records
            .saturating_add(duplicates)
            .saturating_sub(done.affected_rows)
            .min(records),
        (Operation::Upsert, None) => {
            let was_there = [TOUCHED_ROW, TOUCHED_ROW + 1].contains(&done.last_insert_id);
            u64::from(was_there && done.affected_rows == 1)
        }
        (Operation::Update | Operation::SharedUpdate, Some([matched, changed])) => matched.saturating_sub(changed),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::consts::StatusFlags;

    #[test]
    fn the_answer_says_how_many_rows_changed_nothing() {
        for (operation, affected_rows, last_insert_id, counts, expected) in [
            // Of four rows one is new and one is changed.
            (Operation::Upsert, 5, 7, Some([4, 3]), 2),
            (Operation::Upsert, 2, 0, Some([2, 0]), 0),
            (Operation::Upsert, 4, 0, Some([2, 2]), 0),
            (Operation::Upsert, 2, 0, Some([2, 2]), 2),
            // One row: new, changed, as it was.
            (Operation::Upsert, 1, 0, None, 0),
            (Operation::Upsert, 2, TOUCHED_ROW, None, 0),
            (Operation::Upsert, 1, TOUCHED_ROW, None, 1),
            (Operation::Upsert, 1, TOUCHED_ROW + 1, None, 1),
            // A warning: MariaDB has words for one row, too.
            (Operation::Upsert, 1, TOUCHED_ROW, Some([1, 1]), 1),
            (Operation::Update, 1, 0, Some([1, 1]), 0),
            (Operation::Update, 1, 0, Some([1, 0]), 1),
            (Operation::SharedUpdate, 3, 0, Some([3, 1]), 2),
            // No words, or others.
            (Operation::Update, 1, 0, None, 0),
            (Operation::Upsert, 9, 0, Some([2, 0]), 0),
            (Operation::Upsert, 0, 0, Some([2, 9]), 2),
            (Operation::Update, 1, 0, Some([1, 5]), 0),
            (Operation::Insert, 2, 0, Some([2, 0]), 0),
            (Operation::Delete, 1, 0, None, 0),
        ] {
            let done = Done {
                affected_rows,
                last_insert_id,
                counts,
                status: StatusFlags::empty(),
            };
            assert_eq!(unchanged_rows(operation, &done), expected, "{operation:?}: {done:?}");
        }
    }
}
