//! A planned statement as executions of prepared statements: the rows of each one, and its
//! parameters.
//!
//! Each statement size is a prepared statement on the server, and `max_prepared_stmt_count` is
//! 16,382 for all clients together. So there are at most 24 sizes (see `chunks`). If they are used
//! up, the same rows are sent as [text](super::text).
//!
//! Not MariaDB's bulk protocol: `bench/README.md` has the figures.
//!
//! Bounds of a statement: 65,535 placeholders (a two-byte count,
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>), 128
//! rows, the server's `max_allowed_packet`.

use crate::plan::limits::{Limits, PACKET_OVERHEAD_BYTES, row_bytes};
use crate::plan::{Operation, Statement};
use crate::sink::mysql::deletions::delete_order;
use crate::sink::mysql::parameters::{Parameter, settle_types};
use crate::sink::mysql::shared_update::{self, shared_columns};
use crate::sink::mysql::sql::{self, Dialect, quote_table, update_order};
use crate::sink::mysql::text_form::TextForm;
use crate::table::bound::BoundColumns;

/// The most placeholders of a statement.
const MAX_PLACEHOLDERS: usize = 65_535;
/// The most rows of a statement. Statements are sent without waiting for each other, so longer ones
/// save nothing. Preparing a longer one costs more: the server describes each placeholder, and the
/// client reads that.
const MAX_STATEMENT_ROWS: usize = 128;
/// The bytes by which a number is longer as a text.
const NUMBER_DIGITS: usize = 18;

/// What one server's statements look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementForm {
    /// What the server takes at once.
    pub limits: Limits,
    /// The rows of a full batch: a statement size of its own, up to 128.
    pub batch_rows: usize,
    /// The server's dialect.
    pub dialect: Dialect,
    /// How it reads texts in a statement.
    pub text: TextForm,
    /// Rows share UPDATEs.
    pub shares_updates: bool,
    /// An upsert of one row notes [whether the row was there](super::unchanged).
    pub notes_touched_rows: bool,
}

/// The text of a statement for `rows` rows.
pub fn statement(bound: &BoundColumns, operation: Operation, rows: usize, form: StatementForm) -> String {
    match operation {
        Operation::SharedUpdate => shared_update::statement(bound, &quote_table(&bound.model.name), rows, form.dialect),
        _ => sql::statement(bound, operation, rows, form.dialect, form.notes_touched_rows),
    }
}

/// One execution of a planned statement: some of its rows.
pub struct Execution<'p> {
    /// What it does with its rows. A single row has an UPDATE of its own.
    pub operation: Operation,
    /// How many rows.
    pub rows: usize,
    /// The place of the first one in the planned statement.
    first: usize,
    /// The parameters, in the order of the placeholders.
    pub parameters: Vec<Parameter<'p>>,
    /// The end of the statement's text: see [`settle_types`].
    pub types: String,
}

impl Execution<'_> {
    /// The text of its statement.
    pub fn sql(&self, planned: &Statement<'_>, form: StatementForm) -> String {
        statement(&planned.bound, self.operation, self.rows, form) + &self.types
    }

    /// The same rows, each one by an UPDATE of its own if they share one.
    pub fn apart<'p>(&self, planned: &'p Statement<'p>, form: StatementForm) -> Vec<Execution<'p>> {
        let rows = self.first..self.first + self.rows;
        match self.operation {
            Operation::SharedUpdate => rows.map(|at| execution(planned, at, 1, form)).collect(),
            _ => vec![execution(planned, self.first, self.rows, form)],
        }
    }
}

/// The executions of a planned statement, each within what the server takes at once.
pub fn executions<'p>(planned: &'p Statement<'p>, form: StatementForm) -> impl Iterator<Item = Execution<'p>> {
    let mut start = 0;
    row_counts(planned, &form).into_iter().map(move |rows| {
        let first = start;
        start += rows;
        execution(planned, first, rows, form)
    })
}

fn execution<'p>(planned: &'p Statement<'p>, first: usize, rows: usize, form: StatementForm) -> Execution<'p> {
    let operation = match planned.operation {
        Operation::SharedUpdate if rows == 1 => Operation::Update,
        operation => operation,
    };
    let mut parameters = parameters(planned, operation, first..first + rows);
    let types = settle_types(&mut parameters, &planned.bound, operation, form.dialect);
    Execution {
        operation,
        rows,
        first,
        parameters,
        types,
    }
}

/// The rows of each execution: see [`chunks`].
fn row_counts(planned: &Statement<'_>, form: &StatementForm) -> Vec<usize> {
    let is_shared = planned.operation == Operation::SharedUpdate;
    if planned.operation == Operation::Update || (is_shared && !form.shares_updates) {
        return vec![1; planned.rows.len()];
    }
    let columns = planned.bound.columns.len();
    let text_of = |rows| statement(&planned.bound, planned.operation, rows, *form).len();
    let text = text_of(1);
    let (row_text, number_digits) = match planned.operation {
        Operation::SharedUpdate => (text_of(2) - text, NUMBER_DIGITS * columns),
        // Less than the whole statement, and its types (see parameters.rs).
        Operation::Delete => (text + columns, 0),
        // A placeholder, its comma, and its type.
        _ => (3 * columns + 2, 0),
    };
    let text_room = form
        .limits
        .max_packet_bytes
        .saturating_sub(text + PACKET_OVERHEAD_BYTES);
    let max_rows = (MAX_PLACEHOLDERS / columns.max(1))
        .min(MAX_STATEMENT_ROWS)
        .min(1 + text_room / row_text.max(1));
    let sizes: Vec<_> = planned.rows.iter().map(|row| row_bytes(row) + number_digits).collect();
    chunks(&sizes, max_rows, form.batch_rows, form.limits.max_row_bytes())
}

/// The values of some rows, in the order of the placeholders.
fn parameters<'p>(
    planned: &'p Statement<'p>,
    operation: Operation,
    rows: std::ops::Range<usize>,
) -> Vec<Parameter<'p>> {
    let rows = planned.rows.get(rows).unwrap_or_default();
    let order = match operation {
        Operation::Update => update_order(&planned.bound),
        Operation::SharedUpdate => shared_columns(&planned.bound).collect(),
        Operation::Delete => delete_order(&planned.bound),
        Operation::Upsert | Operation::Insert => {
            let mut parameters = Vec::with_capacity(rows.len() * planned.bound.columns.len());
            for row in rows {
                parameters.extend(row.iter().map(Parameter::from));
            }
            return parameters;
        }
    };
    let values = rows.iter().flat_map(|row| order.iter().filter_map(|at| row.get(*at)));
    values.map(Parameter::from).collect()
}

/// Splits rows, given by their sizes, into executions of few different lengths, the longest first,
/// each within a packet.
///
/// Each length is a statement that the server keeps prepared. Two dozen lengths (1 to 8, multiples
/// of 8, and the length of a full batch) split any number up to 136 into two executions.
fn chunks(row_bytes: &[usize], max_rows: usize, batch_rows: usize, max_bytes: usize) -> Vec<usize> {
    let mut lengths: Vec<usize> = (1..8)
        .chain((8..=128).step_by(8))
        .chain([batch_rows.max(1)])
        .filter(|length| *length <= max_rows.max(1))
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut chunks = Vec::new();
    let mut rest = row_bytes;
    while !rest.is_empty() {
        let fits = |length: &&usize| {
            rest.get(..**length)
                .is_some_and(|rows| rows.iter().sum::<usize>() <= max_bytes)
        };
        let length = lengths.iter().rev().find(fits).copied().unwrap_or(1);
        chunks.push(length);
        rest = rest.get(length..).unwrap_or_default();
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_few_lengths_and_fit() {
        for (rows, max_rows, batch_rows, max_bytes, expected) in [
            (0, 1024, 100, 10_000, vec![]),
            (1, 1024, 100, 10_000, vec![1]),
            (100, 1024, 100, 10_000, vec![100]),
            (99, 1024, 100, 10_000, vec![96, 3]),
            (135, 1024, 100, 10_000, vec![128, 7]),
            (250, 1024, 100, 10_000, vec![128, 120, 2]),
            (400, 1024, 100, 100_000, vec![128, 128, 128, 16]),
            (2_000, 1024, 1_000, 100_000, vec![1_000, 1_000]),
            (100, 30, 100, 10_000, vec![24, 24, 24, 24, 4]),
            (10, 1024, 100, 45, vec![4, 4, 2]),
            (2, 1024, 100, 5, vec![1, 1]),
        ] {
            let sizes = vec![10; rows];
            assert_eq!(chunks(&sizes, max_rows, batch_rows, max_bytes), expected, "{rows} rows");
        }
    }
}
