//! From batches to statements: the plan of one transaction.
//!
//! Tables come in the catalog's order (orders, trades, then others by first use), rows in key order, so that two
//! writers lock in the same order. Rows of one table and one column set share a statement, split by what the server
//! takes at once.
//!
//! Bounds: 65,535 placeholders a statement (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html>,
//! a two-byte count), the server's `max_allowed_packet`, and few statement sizes ([`chunks`]), since each size is a
//! prepared statement on the server and `max_prepared_stmt_count` is 16,382 for all clients together.

pub mod coalesce;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::plan::coalesce::{BoundRow, coalesce};
use crate::rows::{Batch, Row, Shape, TableId};
use crate::sink::mysql::sql::{Dialect, Operation, statement, update_order};
use crate::table::{BoundColumns, Mode, TableModel};
use crate::value::Value;

/// A statement has at most this many placeholders.
pub const MAX_PLACEHOLDERS: usize = 65_535;
/// A statement has at most this many rows. Statements are sent without waiting for each other, so longer ones save nothing; and
/// preparing one makes the server describe each placeholder, and the client read that.
pub const MAX_STATEMENT_ROWS: usize = 128;
/// What a packet holds beside the values, generously.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// What the server takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_allowed_packet`.
    pub max_packet_bytes: usize,
    /// The row count that a full batch has: a statement size of its own.
    pub batch_rows: usize,
    /// The server's dialect.
    pub dialect: Dialect,
}

impl Limits {
    /// The longest row that a packet takes.
    fn max_row_bytes(&self) -> usize {
        self.max_packet_bytes.saturating_sub(PACKET_OVERHEAD_BYTES)
    }
}

/// Rows of one table and one column set, for one operation.
#[derive(Debug)]
pub struct Statement<'a> {
    /// The table and its columns.
    pub bound: Arc<BoundColumns>,
    /// What to do.
    pub operation: Operation,
    /// The rows, in the order in which they are written.
    pub rows: Vec<Vec<Value<'a>>>,
}

impl Plan<'_> {
    /// Whether its rows can be written a second time without harm.
    pub fn is_repeatable(&self) -> bool {
        self.statements
            .iter()
            .all(|statement| statement.bound.model.is_repeatable())
    }
}

impl Statement<'_> {
    /// How many rows each execution takes: see [`chunks`].
    pub fn chunks(&self, limits: &Limits) -> Vec<usize> {
        if self.operation == Operation::Update {
            return vec![1; self.rows.len()];
        }
        let columns = self.bound.columns.len();
        let text = statement(&self.bound, self.operation, 1, limits.dialect).len();
        let text_room = limits.max_packet_bytes.saturating_sub(text + PACKET_OVERHEAD_BYTES);
        let max_rows = (MAX_PLACEHOLDERS / columns.max(1))
            .min(MAX_STATEMENT_ROWS)
            // A placeholder, its comma, and its type (see sink/parameters.rs).
            .min(1 + text_room / (3 * columns + 2));
        let sizes: Vec<_> = self.rows.iter().map(|row| row_bytes(row)).collect();
        chunks(&sizes, max_rows, limits.batch_rows, limits.max_row_bytes())
    }

    /// The values of some rows, in the order of the placeholders.
    pub fn parameters(&self, rows: Range<usize>) -> Vec<&Value<'_>> {
        let rows = self.rows.get(rows).unwrap_or_default();
        if self.operation == Operation::Update {
            let order = update_order(&self.bound);
            return rows
                .iter()
                .flat_map(|row| order.iter().filter_map(|at| row.get(*at)))
                .collect();
        }
        rows.iter().flatten().collect()
    }
}

/// What a row takes in an execute packet: its values, and for each the type (2 bytes) and its bit for NULL.
fn row_bytes(row: &[Value<'_>]) -> usize {
    row.iter().map(|value| value.wire_bytes() + 3).sum()
}

/// Splits rows, given by their sizes, into executions of few different lengths, the longest first, each within a packet.
///
/// Each length is a statement that the server keeps prepared. Two dozen lengths (1 to 8, multiples of 8, and the length of a full
/// batch) split any number up to 136 into two executions.
pub fn chunks(row_bytes: &[usize], max_rows: usize, batch_rows: usize, max_bytes: usize) -> Vec<usize> {
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

/// A group that can never be written, and why.
#[derive(Debug)]
pub struct Rejected {
    /// Its number, counted over all the plan's batches.
    pub group: usize,
    /// Why.
    pub error: Error,
}

/// The statements of one transaction.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// To be executed in order.
    pub statements: Vec<Statement<'a>>,
    /// Groups that the plan leaves out.
    pub rejected: Vec<Rejected>,
    /// Rows added that the plan writes, coalesced ones counted.
    pub rows: usize,
    /// How many of them went into others.
    pub coalesced_rows: usize,
}

/// Plans one transaction over some groups of the batches, counted over all of them. The binder knows each
/// table.
///
/// # Errors
///
/// A bug of ours: see [`coalesce()`].
pub fn plan<'a>(batches: &[&'a Batch], groups: Range<usize>, limits: &Limits, mut binder: Binder) -> Result<Plan<'a>> {
    let mut plan = Plan::default();
    let mut tables: Vec<Vec<BoundRow<'a>>> = Vec::new();
    let all_groups = batches.iter().flat_map(|batch| batch.groups()).enumerate();
    let mut group: Vec<(TableId, BoundRow<'a>)> = Vec::new();
    for (number, mut rows) in all_groups.take(groups.end).skip(groups.start) {
        group.clear();
        let bound = rows.try_for_each(|row| {
            group.push((row.shape.table, binder.check(&row, limits)?));
            Ok(())
        });
        match bound {
            Err(error) => plan.rejected.push(Rejected { group: number, error }),
            Ok(()) => {
                plan.rows += group.len();
                for (table, row) in group.drain(..) {
                    if tables.len() <= table.0 {
                        tables.resize_with(table.0 + 1, Vec::new);
                    }
                    if let Some(rows) = tables.get_mut(table.0) {
                        rows.push(row);
                    }
                }
            }
        }
    }
    for rows in tables {
        let coalesced = coalesce(rows, limits.max_row_bytes())?;
        plan.coalesced_rows += coalesced.coalesced_rows;
        for layer in coalesced.layers {
            append_statements(&mut plan.statements, layer, coalesced.in_order);
        }
    }
    Ok(plan)
}

/// Puts rows that share their columns into one statement; rows whose order matters only beside their neighbours.
fn append_statements<'a>(statements: &mut Vec<Statement<'a>>, rows: Vec<BoundRow<'a>>, in_order: bool) {
    let first = statements.len();
    for row in rows {
        let operation = match (row.bound.model.mode, &row.bound.missing_required) {
            (Mode::Insert, _) => Operation::Insert,
            (Mode::Upsert, None) => Operation::Upsert,
            (Mode::Upsert, Some(_)) => Operation::Update,
        };
        let mut values = row.values;
        for (value, kind) in values.iter_mut().zip(&row.bound.kinds) {
            if matches!(value, Value::DateTime(_)) {
                *value = kind.cut(std::mem::replace(value, Value::Null));
            }
        }
        let from = if in_order {
            statements.len().saturating_sub(1).max(first)
        } else {
            first
        };
        let same = |statement: &&mut Statement<'_>| statement.bound.columns == row.bound.columns;
        match statements.get_mut(from..).unwrap_or_default().iter_mut().find(same) {
            Some(statement) => statement.rows.push(values),
            None => statements.push(Statement {
                bound: row.bound,
                operation,
                rows: vec![values],
            }),
        }
    }
}

/// Binds rows to their tables, each shape once.
#[derive(Debug, Default)]
pub struct Binder {
    /// Models that are given, and not asked of the tables themselves.
    models: FxHashMap<TableId, Arc<TableModel>>,
    /// The model of rows whose table is not known.
    fallback: Option<Arc<TableModel>>,
    bound: FxHashMap<*const Shape, Option<Result<Arc<BoundColumns>>>>,
}

impl Binder {
    /// A binder for rows of one table, that has this model as long as the table is not known.
    pub fn with_fallback(model: Arc<TableModel>) -> Self {
        Self {
            fallback: Some(model),
            ..Self::default()
        }
    }

    /// A binder with these models, whatever becomes of the tables meanwhile.
    pub fn with_models(models: FxHashMap<TableId, Arc<TableModel>>) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }

    /// Binds a row and checks its values. The table is asked for once a shape: another thread may come to know it, or forget it, at
    /// any time.
    ///
    /// # Errors
    ///
    /// A row that its table can never take; a table that is not known.
    pub fn bind<'a>(&mut self, row: &Row<'a>) -> Result<BoundRow<'a>> {
        let (models, fallback) = (&self.models, &self.fallback);
        let bound = self.bound.entry(Arc::as_ptr(row.shape)).or_insert_with(|| {
            let given = models.get(&row.shape.table).cloned();
            let model = given.or_else(|| row.shape.entry.model()).or_else(|| fallback.clone())?;
            Some(model.bind(&row.shape.columns).map(Arc::new))
        });
        let bound = bound
            .clone()
            .transpose()?
            .ok_or_else(|| Error::row("the row's table is not known"))?;
        bound.check(row.values())?;
        let mut values = Vec::with_capacity(bound.columns.len());
        values.extend(row.values());
        Ok(BoundRow { bound, values })
    }

    fn check<'a>(&mut self, row: &Row<'a>, limits: &Limits) -> Result<BoundRow<'a>> {
        let bound = self.bind(row)?;
        let bytes = row_bytes(&bound.values);
        if bytes > limits.max_row_bytes() {
            return Err(Error::row(format!(
                "table {}: a row of {bytes} bytes is larger than the server's max_allowed_packet ({} bytes): raise it, or store less",
                bound.bound.model.name, limits.max_packet_bytes
            )));
        }
        Ok(bound)
    }
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
