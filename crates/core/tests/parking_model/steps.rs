//! What happens in the model of parking, and what its tables are.

use proptest::prelude::*;
use write_buffer_core::table::column::{Column, ColumnKind};
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::rules::{Mode, TableRules};
use write_buffer_core::table::schema::{TableSchema, UniqueIndex};

pub const LANES: usize = 3;
pub const TABLES: usize = 3;
pub const KEYS: std::ops::Range<i64> = 0..5;
pub const NAMES: [&str; TABLES] = ["a", "b", "c"];

/// A row of the model.
#[derive(Clone, Copy)]
pub struct ModelRow {
    pub table: usize,
    pub key: i64,
    /// Its key can be compared with others.
    pub is_certain: bool,
    /// It has a column that is not there while the table's columns are wrong.
    pub is_wide: bool,
}

impl std::fmt::Debug for ModelRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (certain, wide) = (
            if self.is_certain { "" } else { "?" },
            if self.is_wide { "+" } else { "" },
        );
        write!(formatter, "{}{}{certain}{wide}", NAMES[self.table], self.key)
    }
}

impl ModelRow {
    pub fn meets(&self, other: &Self) -> bool {
        self.table == other.table && (self.key == other.key || !self.is_certain || !other.is_certain)
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    /// A group. It may refer to one that was added so many groups before.
    Add {
        rows: Vec<ModelRow>,
        parent: Option<u64>,
    },
    DropTable(usize),
    CreateTable(usize),
    DropColumn(usize),
    AddColumn(usize),
    /// A lane does what is due, up to the given number of attempts.
    Work(usize, usize),
    /// A lane takes something up, and loses its connection.
    Fail(usize),
    Flush,
    /// Somebody waits for a group: one of those taken, by its place among them.
    WaitFor(u64),
    Pass(u64),
    /// All lanes do all that is due.
    Rest,
}

fn row() -> impl Strategy<Value = ModelRow> {
    (0..TABLES, KEYS, prop::bool::weighted(0.95), prop::bool::weighted(0.2)).prop_map(
        |(table, key, is_certain, is_wide)| ModelRow {
            table,
            key,
            is_certain,
            is_wide,
        },
    )
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (prop::collection::vec(row(), 1..4), prop::option::weighted(0.15, 1..6_u64))
            .prop_map(|(rows, parent)| Step::Add { rows, parent }),
        2 => (0..TABLES).prop_map(Step::DropTable),
        2 => (0..TABLES).prop_map(Step::CreateTable),
        1 => (0..TABLES).prop_map(Step::DropColumn),
        1 => (0..TABLES).prop_map(Step::AddColumn),
        6 => (0..LANES, 1..4_usize).prop_map(|(lane, attempts)| Step::Work(lane, attempts)),
        1 => (0..LANES).prop_map(Step::Fail),
        1 => Just(Step::Flush),
        1 => any::<u64>().prop_map(Step::WaitFor),
        2 => (1..3_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Rest),
    ]
}

pub fn model(entry: &TableEntry) -> TableModel {
    let columns = ["id", "number", "wide"].map(|name| Column {
        name: name.to_owned(),
        kind: ColumnKind::Integer,
        ..Column::default()
    });
    let primary = UniqueIndex {
        name: "PRIMARY".to_owned(),
        columns: vec![Some("id".to_owned())],
        whole_columns: true,
    };
    let schema = TableSchema {
        columns: columns.to_vec(),
        unique_indexes: vec![primary],
        is_strict: true,
        ..TableSchema::default()
    };
    TableModel::from_server(&entry.name, &TableRules::default(), Mode::Upsert, schema).expect("a model")
}

/// Rows by the words of [`ModelRow`]'s `Debug`.
fn rows(text: &str) -> Vec<ModelRow> {
    text.split(' ')
        .map(|word| ModelRow {
            table: NAMES.iter().position(|name| word.starts_with(name)).expect("a table"),
            key: i64::from(word.as_bytes()[1] - b'0'),
            is_certain: !word.contains('?'),
            is_wide: word.contains('+'),
        })
        .collect()
}

/// A group of these rows.
pub fn add(text: &str) -> Step {
    Step::Add {
        rows: rows(text),
        parent: None,
    }
}
