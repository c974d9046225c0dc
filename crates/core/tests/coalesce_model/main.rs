//! The aim of coalescing, against a plain model of a server: the statements of a plan leave a table
//! exactly as the rows would, sent one by one.
//!
//! The model is written from the servers' manuals. It shares no code with the engine but `Decimal`,
//! whose arithmetic has tests of its own. It leaves out ranges (UNSIGNED), floats, lenient sessions
//! and rows that the server refuses alone.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]
#![allow(clippy::option_option, reason = "a column is left out, NULL, or has a value")]

mod server;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use write_buffer_core::plan::binder::Binder;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::plan::plan;
use write_buffer_core::rows::batch::Batch;
use write_buffer_core::rows::group::Group;
use write_buffer_core::sink::mysql::executions::{StatementForm, executions};
use write_buffer_core::sink::mysql::parameters::Parameter;
use write_buffer_core::sink::mysql::sql::Dialect;
use write_buffer_core::sink::mysql::text_form::TextForm;
use write_buffer_core::table::catalog::Catalog;
use write_buffer_core::table::column::{Column, ColumnKind, TextKind};
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::name::TableName;
use write_buffer_core::table::rules::{MergeRule, Mode, TableRules};
use write_buffer_core::table::schema::{TableSchema, UniqueIndex};
use write_buffer_core::value::Value;

use crate::server::{Refused, Table, domain_of, execute_statement};

const KEYS: [&str; 8] = ["a", "A", "b", "B", "ä", "a ", "c-1", "C-1"];

#[derive(Debug, Clone, Copy)]
struct World {
    /// `id` is an integer, or text under a collation without case and accents.
    integer_key: bool,
    has_guard: bool,
    has_required: bool,
}

#[derive(Debug, Clone)]
struct GivenRow {
    key: usize,
    /// It names the row to delete, maybe with a guard.
    deletes: Option<bool>,
    /// It changes a row, and never makes one.
    updates: bool,
    /// Each column with its value, or without: `None` is left out, `Some(None)` is NULL.
    replace: Option<Option<i64>>,
    keep: Option<i64>,
    sum: Option<i64>,
    min: Option<Option<i64>>,
    max: Option<Option<i64>>,
    guard: i64,
    required: Option<i64>,
}

fn given_row() -> impl Strategy<Value = GivenRow> {
    let nullable = || prop::option::of(prop::option::weighted(0.8, -5..15_i64));
    (
        (
            0..KEYS.len(),
            prop::option::weighted(0.25, any::<bool>()),
            prop::bool::weighted(0.3),
        ),
        nullable(),
        prop::option::of(0..9_i64),
        prop::option::of(-2_000..2_000_i64),
        nullable(),
        nullable(),
        0..4_i64,
        prop::option::weighted(0.8, 0..9_i64),
    )
        .prop_map(
            |((key, deletes, updates), replace, keep, sum, min, max, guard, required)| GivenRow {
                key,
                deletes,
                updates,
                replace,
                keep,
                sum,
                min,
                max,
                guard,
                required,
            },
        )
}

impl GivenRow {
    fn columns(&self, world: World) -> Vec<(&'static str, Value<'static>)> {
        let number = |value: Option<i64>| value.map_or(Value::Null, Value::Int);
        let key = if world.integer_key {
            Value::Int(i64::try_from(self.key / 2).expect("small"))
        } else {
            Value::text(KEYS[self.key])
        };
        let mut columns = vec![("id", key)];
        if let Some(is_guarded) = self.deletes {
            columns.extend((world.has_guard && is_guarded).then_some(("v", Value::Int(self.guard))));
            return columns;
        }
        columns.extend(self.replace.map(|value| ("a", number(value))));
        columns.extend(self.keep.map(|value| ("k", Value::Int(value))));
        // In thousandths, for a column of hundredths: the server rounds each increment.
        let sum = |value: i64| Value::Bytes(format!("{value}e-3").into_bytes().into());
        columns.extend(self.sum.map(|value| ("s", sum(value))));
        columns.extend(self.min.map(|value| ("lo", number(value))));
        columns.extend(self.max.map(|value| ("hi", number(value))));
        if world.has_required {
            columns.extend(self.required.map(|value| ("r", Value::Int(value))));
        }
        if world.has_guard {
            columns.push(("v", Value::Int(self.guard)));
        }
        columns
    }
}

impl World {
    fn model(self) -> TableModel {
        let column = |name: &str, kind, default: Option<i64>| Column {
            name: name.to_owned(),
            kind,
            is_required: name == "id" || name == "r",
            is_filled_uniquely: default.is_none() && name != "id" && name != "r",
            has_default: default.is_some(),
            has_nonzero_default: default.is_some_and(|value| value != 0),
            is_nullable: name != "id" && name != "r",
            domain: domain_of(if self.integer_key && name == "id" { "a" } else { name }),
            collation: (name == "id" && !self.integer_key).then(|| Arc::from("utf8mb4_unicode_ci")),
            ..Column::default()
        };
        let key_kind = if self.integer_key {
            ColumnKind::Integer
        } else {
            ColumnKind::Text(TextKind::from_collation("utf8mb4_unicode_ci", 36))
        };
        let mut columns = vec![
            column("id", key_kind, None),
            column("a", ColumnKind::Integer, None),
            column("k", ColumnKind::Integer, Some(77)),
            column("s", ColumnKind::Decimal { scale: 2 }, Some(0)),
            column("lo", ColumnKind::Integer, None),
            column("hi", ColumnKind::Integer, Some(5)),
            column("v", ColumnKind::Integer, None),
        ];
        if self.has_required {
            columns.push(column("r", ColumnKind::Integer, None));
        }
        let schema = TableSchema {
            columns,
            unique_indexes: vec![UniqueIndex {
                name: "PRIMARY".to_owned(),
                columns: vec![Some("id".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
            ..TableSchema::default()
        };
        let merge = [
            ("k", MergeRule::Keep),
            ("s", MergeRule::Sum),
            ("lo", MergeRule::Min),
            ("hi", MergeRule::Max),
        ];
        let rules = TableRules {
            merge: merge.map(|(name, rule)| (name.to_owned(), rule)).into(),
            guard: self.has_guard.then(|| "v".to_owned()),
            ..TableRules::default()
        };
        let name = TableName::parse("t").expect("a name");
        TableModel::from_server(&name, &rules, Mode::Upsert, schema).expect("a model")
    }
}

fn limits(max_packet_bytes: usize) -> Limits {
    Limits { max_packet_bytes }
}

/// Plans some groups and executes the plan: all of it, or nothing.
fn transaction(table: &mut Table, world: World, batches: &[&Batch], groups: Range<usize>) -> Result<(), Refused> {
    let max_packet_bytes = 1 << 20;
    let planned = plan(batches, groups.clone(), &Limits { max_packet_bytes }, Binder::default()).expect("a plan");
    // The engine refuses by itself what the server would.
    if !planned.rejected.is_empty() {
        return Err(Refused);
    }
    assert_eq!(planned.rows, groups.len());
    let written: usize = planned.statements.iter().map(|statement| statement.rows.len()).sum();
    assert_eq!(written + planned.coalesced_rows, planned.rows);
    let mut after = table.clone();
    for statement in &planned.statements {
        execute_statement(&mut after, world.has_guard, statement)?;
    }
    *table = after;
    Ok(())
}

/// Writes all groups, halves of what is refused, and gives up the groups at fault, as the writer
/// does.
fn write_all(table: &mut Table, world: World, batches: &[&Batch], groups: usize) -> Vec<usize> {
    let (mut start, mut ends, mut refused) = (0, vec![groups], Vec::new());
    while start < groups {
        ends.retain(|end| *end > start);
        let end = ends.last().copied().unwrap_or(groups);
        match transaction(table, world, batches, start..end) {
            Ok(()) => start = end,
            Err(Refused) if end - start > 1 => ends.push(start + (end - start) / 2),
            Err(Refused) => {
                refused.push(start);
                start += 1;
            }
        }
    }
    refused
}

/// What a parameter takes in an execute packet, with its type and its bit for NULL.
fn packet_bytes(parameter: &Parameter<'_>) -> usize {
    3 + match parameter {
        Parameter::Null => 0,
        Parameter::Int(_) => 8,
        Parameter::Text(text) => 9 + text.len(),
    }
}

/// The rows as batches, cut where `cuts` says.
fn batches(rows: &[GivenRow], world: World, cuts: &[bool]) -> Vec<Batch> {
    let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
    let table = catalog.table("t").expect("a table");
    let entry = catalog.entry(table).expect("the table");
    entry.set_model(Some(Arc::new(world.model())));
    let now = Instant::now();
    let mut batches = vec![Batch::new(now)];
    let mut group = Group::default();
    for (row, cut) in rows.iter().zip(cuts) {
        let columns = row.columns(world);
        let names = columns.iter().map(|(name, _)| name.as_bytes());
        let shape = match row.deletes {
            None if row.updates => catalog.update(table, names),
            None => catalog.shape(table, names),
            Some(_) => catalog.deletion(table, names),
        };
        let shape = shape.expect("a shape");
        let values: Vec<_> = columns.into_iter().map(|(_, value)| value).collect();
        group.clear();
        group.push_row(&shape, &values).expect("short values");
        batches.last_mut().expect("a batch").append(&group, now);
        if *cut {
            batches.push(Batch::new(now));
        }
    }
    batches
}

fn world() -> impl Strategy<Value = World> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(integer_key, has_guard, has_required)| World {
        integer_key,
        has_guard,
        has_required,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_plan_does_what_its_rows_do_one_by_one(
        world in world(),
        rows in prop::collection::vec(given_row(), 1..24),
        cuts in prop::collection::vec(prop::bool::weighted(0.15), 24),
        together in any::<bool>(),
    ) {
        // One by one: each row a transaction of its own.
        let mut expected = Table::new();
        let mut refused_alone = Vec::new();
        for (number, single) in batches(&rows, world, &vec![true; rows.len()]).iter().enumerate().take(rows.len()) {
            if transaction(&mut expected, world, &[single], 0..1).is_err() {
                refused_alone.push(number);
            }
        }

        let many = batches(&rows, world, &cuts);
        let transactions: Vec<Vec<&Batch>> = if together {
            vec![many.iter().collect()]
        } else {
            many.iter().map(|batch| vec![batch]).collect()
        };
        let mut actual = Table::new();
        let mut refused = Vec::new();
        let mut first = 0;
        for batches in &transactions {
            let groups = batches.iter().map(|batch| batch.group_count()).sum();
            let found = write_all(&mut actual, world, batches, groups);
            refused.extend(found.into_iter().map(|group| first + group));
            first += groups;
        }
        prop_assert_eq!(first, rows.len());
        prop_assert_eq!(refused, refused_alone);
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn every_placeholder_has_its_value(
        world in world(),
        rows in prop::collection::vec(given_row(), 1..60),
        max_packet_bytes in 600..4_000_usize,
    ) {
        let one = batches(&rows, world, &vec![false; rows.len()]);
        let limits = limits(max_packet_bytes);
        let form = StatementForm {
            limits,
            batch_rows: 100,
            dialect: Dialect::RowAlias,
            text: TextForm::of_session("utf8mb4", ""),
            shares_updates: true,
            notes_touched_rows: true,
        };
        let planned = plan(&[&one[0]], 0..usize::MAX, &limits, Binder::default()).expect("a plan");
        for planned in &planned.statements {
            let mut written = 0;
            for execution in executions(planned, form) {
                let (rows, sql) = (execution.rows, execution.sql(planned, form));
                prop_assert_eq!(sql.matches('?').count(), execution.parameters.len(), "{}", sql);
                let packet: usize = execution.parameters.iter().map(packet_bytes).sum();
                prop_assert!(packet <= max_packet_bytes && sql.len() <= max_packet_bytes || rows == 1, "{}", sql);
                written += rows;
            }
            prop_assert_eq!(written, planned.rows.len());
        }
    }
}
