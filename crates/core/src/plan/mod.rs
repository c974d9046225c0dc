//! Owns the plan of one transaction: from batches of rows to statements.
//!
//! Tables come in the catalog's order (orders, trades, then others by first use) and rows in key
//! order, so that two writers lock in the same order. Rows of one table and one column set share a
//! statement, in the order of the plan. The plan says what is written. The sink says it in SQL, and
//! splits long statements.
//!
//! Invariants:
//! - No lock, clock or I/O beside a look at a table's model.
//! - A group is planned whole, or left out whole ([`Plan::rejected`]).
//! - Aim: the planned rows leave the tables as the rows would, sent one by one ([`mod@coalesce`]).
//!
//! Bound: a row fits into one packet of the server ([`Limits`]). How many rows a plan has is its
//! caller's choice.

pub mod binder;
pub mod coalesce;
pub mod limits;
pub mod merge;
mod references;
mod repeats;
pub mod sums;
pub mod versions;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::phase::Phase;
use crate::error::{Error, Result};
use crate::plan::binder::{Binder, BoundRow};
use crate::plan::coalesce::coalesce;
use crate::plan::limits::Limits;
use crate::plan::references::TableRows;
use crate::plan::repeats::{Repeat, StatementKeys};
use crate::plan::versions::goes_alone;
use crate::rows::batch::Batch;
use crate::table::bound::BoundColumns;
use crate::table::domain::Domain;
use crate::table::rules::Mode;
use crate::value::Value;

/// So many statements are compared with a row one by one. Further ones are found by their columns.
const SCANNED_STATEMENTS: usize = 8;

/// What a statement does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Insert, or merge into the row with the same key.
    Upsert,
    /// Insert only.
    Insert,
    /// Merge into the row with the same key, which must be there: the row lacks a column that an
    /// insert needs, or its row was there when it was given. In strict mode the server refuses an
    /// upsert of a row that lacks one (1364), even if the key exists. One row a statement. No row
    /// found is an error: an update that hits nothing would be a lost row.
    Update,
    /// Delete the row with the key, if it is there. With a guard: if it is not newer.
    Delete,
    /// As [`Self::Update`], several rows a statement: no two of them have one key, and each is the
    /// same beside others ([`BoundColumns::shares_update`]).
    SharedUpdate,
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
    /// No other row may stand beside its one.
    pub is_alone: bool,
}

/// What the rows of a table's statements have in common.
type StatementKey = (Operation, Arc<[Box<str>]>);

impl Plan<'_> {
    /// Whether writing its rows twice does no harm.
    pub fn is_repeatable(&self) -> bool {
        let has = |operation: Operation| self.statements.iter().any(|statement| statement.operation == operation);
        // What was deleted by the first time may be what another row needs the second time: the
        // row that it updates, or refers to.
        let updates = has(Operation::Update) || has(Operation::SharedUpdate);
        let may_lack = has(Operation::Delete) && (self.keeps_order || updates);
        let mut statements = self.statements.iter();
        !may_lack && statements.all(|statement| statement.bound.is_repeatable())
    }
}

/// A group that can never be written, and why.
#[derive(Debug)]
pub struct RejectedGroup {
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
    pub rejected: Vec<RejectedGroup>,
    /// Rows added that the plan writes, coalesced ones counted.
    pub rows: usize,
    /// How many of them were merged into others.
    pub coalesced_rows: usize,
    /// How many of these have a guard and change nothing.
    pub stale_rows: usize,
    /// Some rows keep the order in which they were added: they may meet others.
    pub keeps_order: bool,
}

/// Plans one transaction over some groups of the batches. `groups` counts over all batches. The
/// binder knows each table.
///
/// # Errors
///
/// A table that was altered so that its rules do not fit any more; a bug of ours: see
/// [`coalesce()`].
pub fn plan<'a>(batches: &[&'a Batch], groups: Range<usize>, limits: &Limits, mut binder: Binder) -> Result<Plan<'a>> {
    let mut plan = Plan::default();
    let mut tables: Vec<TableRows<'a>> = Vec::new();
    let all_groups = batches.iter().flat_map(|batch| batch.groups()).enumerate();
    let mut group: Vec<(usize, BoundRow<'a>)> = Vec::new();
    for (number, mut rows) in all_groups.take(groups.end).skip(groups.start) {
        group.clear();
        let bound: Result<()> = rows.try_for_each(|row| {
            let bound = binder.check(&row, limits);
            let bound = bound.map_err(|error| error.at_table(&row.shape.entry.name, Some(&row.shape.columns)))?;
            group.push((row.shape.table.0, bound));
            Ok(())
        });
        match bound {
            // The table's definition is in the way: no row is at fault.
            Err(error) if error.phase() == Phase::LookUp => return Err(error),
            Err(error) => plan.rejected.push(RejectedGroup { group: number, error }),
            Ok(()) => {
                for (table, row) in group.drain(..) {
                    if tables.len() <= table {
                        tables.resize_with(table + 1, TableRows::default);
                    }
                    if let Some(rows) = tables.get_mut(table) {
                        rows.rows.push(row);
                        rows.places.push(plan.rows);
                    }
                    plan.rows += 1;
                }
            }
        }
    }
    match references::order(&tables) {
        Some(order) => {
            for rows in order
                .into_iter()
                .filter_map(|table| tables.get_mut(table).map(std::mem::take))
            {
                let coalesced = coalesce(rows.rows, limits.max_row_bytes())?;
                plan.coalesced_rows += coalesced.coalesced_rows;
                plan.stale_rows += coalesced.stale_rows;
                plan.keeps_order |= coalesced.in_order;
                for layer in coalesced.layers {
                    append_statements(&mut plan.statements, layer, coalesced.in_order);
                }
            }
        }
        None => {
            plan.keeps_order = true;
            append_statements(&mut plan.statements, as_added(tables), true);
        }
    }
    Ok(plan)
}

/// The rows of all tables, in the order in which they were added.
fn as_added(tables: Vec<TableRows<'_>>) -> Vec<BoundRow<'_>> {
    let mut rows: Vec<_> = tables
        .into_iter()
        .flat_map(|table| table.places.into_iter().zip(table.rows))
        .collect();
    rows.sort_unstable_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Puts rows with the same columns into one statement. Rows that keep their order share one only
/// with their neighbours.
fn append_statements<'a>(statements: &mut Vec<Statement<'a>>, rows: Vec<BoundRow<'a>>, in_order: bool) {
    let first = statements.len();
    // Further statements that others may join. Their columns are compared by hash.
    let mut by_columns: FxHashMap<StatementKey, usize> = FxHashMap::default();
    let mut keys = StatementKeys::default();
    for row in rows {
        let repeat = keys.look(&row);
        let is_lone_deletion = row.bound.is_deletion && goes_alone(&row);
        let mut values = row.values;
        for (value, (kind, (domain, _))) in values.iter_mut().zip(row.bound.kinds.iter().zip(&row.bound.domains)) {
            if matches!(value, Value::DateTime(_)) {
                *value = kind.cut(std::mem::replace(value, Value::Null));
            } else if matches!(domain, Domain::Year) {
                *value = domain.in_full(std::mem::replace(value, Value::Null));
            }
        }
        let as_they_are = row.bound.assigning_as_they_are(&values);
        let is_as_it_is = as_they_are.is_some();
        let bound = as_they_are.unwrap_or(row.bound);
        let operation = match (bound.model.mode, &bound.only_updates) {
            _ if bound.is_deletion => Operation::Delete,
            _ if bound.is_numbered() => Operation::Insert,
            (Mode::Insert, _) => Operation::Insert,
            (Mode::Upsert, None) => Operation::Upsert,
            (Mode::Upsert, Some(_)) if !in_order && !is_as_it_is && bound.shares_update(&values) => {
                Operation::SharedUpdate
            }
            (Mode::Upsert, Some(_)) => Operation::Update,
        };
        let from = if in_order {
            statements.len().saturating_sub(1).max(first)
        } else {
            first
        };
        let versions_may_meet = in_order && operation == Operation::Upsert && bound.model.keeps_history();
        let is_alone = versions_may_meet
            || is_as_it_is
            || is_lone_deletion
            || repeat == Repeat::Unknown
            || bound.must_go_alone(&values);
        let takes_it = |statement: &Statement<'_>| {
            !is_alone
                && repeat == Repeat::No
                && !statement.is_alone
                && statement.operation == operation
                && have_same_columns(&statement.bound, &bound)
        };
        let scanned = statements.len().min(from + SCANNED_STATEMENTS);
        let near = statements.get(from..scanned).unwrap_or_default();
        let place = match near.iter().position(takes_it) {
            Some(at) => Some(from + at),
            None => by_columns.get(&(operation, Arc::clone(&bound.columns))).copied(),
        };
        match place
            .and_then(|at| statements.get_mut(at))
            .filter(|statement| takes_it(statement))
        {
            Some(statement) => statement.rows.push(values),
            None => {
                keys.begin_statement();
                if !in_order && !is_alone && statements.len() >= first + SCANNED_STATEMENTS {
                    by_columns.insert((operation, Arc::clone(&bound.columns)), statements.len());
                }
                statements.push(Statement {
                    bound,
                    operation,
                    rows: vec![values],
                    is_alone,
                });
            }
        }
    }
}

/// Whether rows of both can share a statement. Nearly always both are one, and no name is compared.
fn have_same_columns(one: &Arc<BoundColumns>, other: &Arc<BoundColumns>) -> bool {
    Arc::ptr_eq(one, other) || (Arc::ptr_eq(&one.model, &other.model) && one.columns == other.columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::group::Group;
    use crate::table::catalog::Catalog;
    use crate::table::column::{Column, ColumnKind, TextKind};
    use crate::table::entry::TableId;
    use crate::table::model::TableModel;
    use crate::table::rules::TableRules;
    use crate::table::schema::{TableSchema, UniqueIndex};
    use std::time::Instant;

    #[test]
    fn each_version_of_a_row_has_a_statement_of_its_own() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let entry = Arc::clone(catalog.entry(TableId(0)).expect("a table"));
        let rules = TableRules {
            writes_each_version: true,
            ..TableRules::default()
        };
        let kinds = [
            (
                "id",
                ColumnKind::Text(TextKind::from_collation("utf8mb4_unicode_ci", 9)),
            ),
            ("v", ColumnKind::Integer),
            ("w", ColumnKind::Integer),
        ];
        let schema = TableSchema {
            columns: kinds
                .map(|(name, kind)| Column {
                    name: name.to_owned(),
                    kind,
                    ..Column::default()
                })
                .into(),
            unique_indexes: vec![UniqueIndex {
                name: "PRIMARY".to_owned(),
                columns: vec![Some("id".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
            ..TableSchema::default()
        };
        let model = TableModel::from_server(&entry.name, &rules, entry.default_mode, schema).expect("a model");
        let shapes = ["v", "w"].map(|column| {
            let columns = ["id".as_bytes(), column.as_bytes()];
            catalog.shape(TableId(0), columns.into_iter()).expect("a shape")
        });
        let mut batch = Batch::new(Instant::now());
        let mut group = Group::default();
        let rows = [
            (0, "2", 1),
            (0, "1", 1),
            (0, "3", 1),
            (0, "1", 2),
            (0, "2", 2),
            (0, "2", 2),
            // Only a server could tell whether this is a version of another row.
            (0, "\u{e4}", 1),
            (0, "3", 2),
            (1, "3", 3),
            (0, "3", 4),
            (0, "4", 1),
        ];
        for (shape, id, version) in rows {
            let row = [Value::text(id), Value::Int(version)];
            group.push_row(&shapes[shape], &row).expect("short");
        }
        batch.append(&group, Instant::now());
        let limits = Limits {
            max_packet_bytes: 1 << 20,
        };
        let model = Arc::new(model);
        let binder = Binder::with_models(std::iter::once((TableId(0), model)).collect());
        let plan = plan(&[&batch], 0..1, &limits, binder).expect("a plan");
        let written: Vec<_> = plan.statements.iter().map(|statement| statement.rows.clone()).collect();
        let row = |id: &'static str, version| vec![Value::text(id), Value::Int(version)];
        let expected = vec![
            vec![row("2", 1), row("1", 1), row("3", 1)],
            vec![row("1", 2), row("2", 2)],
            vec![row("2", 2)],
            vec![row("\u{e4}", 1)],
            vec![row("3", 2)],
            vec![row("3", 3)],
            vec![row("3", 4), row("4", 1)],
        ];
        assert_eq!(written, expected);
        assert_eq!((plan.rows, plan.coalesced_rows), (rows.len(), 0));
    }

    #[test]
    fn rows_of_many_column_sets_share_a_statement_each() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let entry = Arc::clone(catalog.entry(TableId(0)).expect("a table"));
        let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
        let sets = 4 * SCANNED_STATEMENTS;
        let mut batch = Batch::new(Instant::now());
        let mut group = Group::default();
        for id in 0..i64::try_from(3 * sets).expect("few") {
            let column = format!("c{}", usize::try_from(id).expect("positive") % sets);
            let columns = ["id".as_bytes(), column.as_bytes()];
            let shape = catalog.shape(TableId(0), columns.into_iter()).expect("a shape");
            group.clear();
            group
                .push_row(&shape, &[Value::Int(id), Value::Int(-id)])
                .expect("short");
            batch.append(&group, Instant::now());
        }
        let limits = Limits {
            max_packet_bytes: 1 << 20,
        };
        let binder = Binder::with_models(std::iter::once((TableId(0), Arc::new(model))).collect());
        let plan = plan(&[&batch], 0..3 * sets, &limits, binder).expect("a plan");
        let rows: Vec<_> = plan.statements.iter().map(|statement| statement.rows.len()).collect();
        assert_eq!(rows, vec![3; sets]);
        for (at, statement) in plan.statements.iter().enumerate() {
            assert_eq!(*statement.bound.columns[1], *format!("c{at}"));
        }
    }
}
