//! What a table is: its name, the rules configured for it, what the server says of it, and the two bound together.
//!
//! Invariant: a [`TableModel`] exists only for rules that the table can keep. Everything that would make a row go to
//! the wrong place (a key that is not unique, a second unique index, a sum over a column with a default) is refused
//! when the model is made, with the table and the column named.

pub mod catalog;
pub mod column;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::error::{Error, Result};
use crate::table::column::{Column, ColumnKind};
use crate::value::{Value, Values};

/// A table's name, with its database where one was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    database: Option<String>,
    table: String,
}

impl TableName {
    /// Reads `table` or `database.table`.
    ///
    /// # Errors
    ///
    /// An empty name, one with a NUL byte, or one longer than the 64 characters that a server takes:
    /// <https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html>.
    pub fn parse(name: &str) -> Result<Self> {
        let (database, table) = match name.split_once('.') {
            Some((database, table)) => (Some(database), table),
            None => (None, name),
        };
        let fits = |part: &str| !part.is_empty() && part.chars().count() <= 64 && !part.contains(['\0', '.']);
        if !fits(table) || !database.is_none_or(fits) {
            return Err(Error::config(format!(
                "{name:?} is no table name: give `table` or `database.table`, up to 64 characters each"
            )));
        }
        Ok(Self {
            database: database.map(str::to_owned),
            table: table.to_owned(),
        })
    }

    /// The database, where one was given.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The table without its database.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(formatter, "{database}.")?;
        }
        formatter.write_str(&self.table)
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Insert, or update the row with the same key.
    Upsert,
    /// Insert only; a second row with the same key is an error. Never coalesced.
    Insert,
}

/// What happens to a column when a row meets an earlier one with the same key, in the buffer or in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRule {
    /// The later value wins.
    Replace,
    /// The first value stays.
    Keep,
    /// The values are added up, exactly. NULL in the table counts as 0.
    Sum,
    /// The smaller value stays. NULL counts as no value.
    Min,
    /// The larger value stays. NULL counts as no value.
    Max,
}

impl MergeRule {
    /// Reads a rule's name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "replace" => Self::Replace,
            "keep" => Self::Keep,
            "sum" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => return None,
        })
    }
}

/// What the user configured for a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableRules {
    /// The key's columns, in order; `None`: the primary key.
    pub key: Option<Vec<String>>,
    /// `None`: the default of the table's place (orders upsert, trades insert).
    pub mode: Option<Mode>,
    /// Merge rules by column; a column that is not here is replaced.
    pub merge: Vec<(String, MergeRule)>,
    /// A row is only replaced by one whose guard column is not smaller.
    pub guard: Option<String>,
    /// Accept that a row may update another row through a second unique index.
    pub allow_second_unique: bool,
    /// Accept that rows are written twice after a COMMIT that was not answered: they do no harm, or somebody else sees to it.
    pub repeatable: bool,
}

impl TableRules {
    /// Why rows written under these rules cannot be written a second time without harm; `None`: they can. A second `replace`,
    /// `keep`, `min` or `max` of the same row finds what the first one left, and leaves it.
    pub fn unrepeatable(&self, default_mode: Mode) -> Option<String> {
        if self.repeatable {
            return None;
        }
        if self.mode.unwrap_or(default_mode) == Mode::Insert {
            return Some("it is insert-only".to_owned());
        }
        let summed = self.merge.iter().find(|(_, rule)| *rule == MergeRule::Sum);
        summed.map(|(column, _)| format!("its column {column} is summed"))
    }
}

/// A unique index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIndex {
    /// The index's name; `PRIMARY` for the primary key.
    pub name: String,
    /// Its columns, in order. `None` stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it covers whole columns. An index over a prefix does not tell rows apart by their values.
    pub whole_columns: bool,
}

impl UniqueIndex {
    fn is_on(&self, key: &[String]) -> bool {
        self.whole_columns
            && self.columns.len() == key.len()
            && key.iter().all(|wanted| {
                self.columns.iter().any(|column| {
                    column
                        .as_ref()
                        .is_some_and(|column| column.eq_ignore_ascii_case(wanted))
                })
            })
    }

    fn describe(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.as_deref().unwrap_or("an expression"))
            .collect();
        format!("{} ({})", self.name, columns.join(", "))
    }
}

/// What the server says of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSchema {
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// All unique indexes, the primary key first.
    pub unique_indexes: Vec<UniqueIndex>,
    /// Whether the session is strict: a value that does not fit is refused. Otherwise it is made to fit, and two keys
    /// that differ here may be one in the table.
    pub is_strict: bool,
}

impl TableSchema {
    /// The column of that name; the server compares column names without case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A table, ready to be written to.
#[derive(Debug, Clone)]
pub struct TableModel {
    /// Its name.
    pub name: TableName,
    /// How rows are written.
    pub mode: Mode,
    /// The key's columns, in order. Empty only for an insert-only table without a key.
    pub key: Vec<String>,
    rules: TableRules,
    schema: Option<TableSchema>,
    /// Unique indexes other than the key, through which a row could hit another row.
    other_unique: Vec<UniqueIndex>,
}

impl TableModel {
    /// Binds the rules to what the server says of the table.
    ///
    /// # Errors
    ///
    /// Rules that the table cannot keep: see the module's invariant.
    pub fn from_server(name: &TableName, rules: &TableRules, mode: Mode, schema: TableSchema) -> Result<Self> {
        let mode = rules.mode.unwrap_or(mode);
        let key = server_key(name, rules, mode, &schema)?;
        let named = rules
            .merge
            .iter()
            .map(|(column, _)| column)
            .chain(&rules.guard)
            .chain(&key);
        for column in named {
            if schema.column(column).is_none() {
                return Err(Error::config(format!(
                    "table {name} has no column {column}, which its rules name: correct `tables`"
                )));
            }
        }
        for (column, rule) in &rules.merge {
            if *rule == MergeRule::Sum {
                check_sum_column(name, &schema, column)?;
            }
        }
        let mut other_unique = schema.unique_indexes.clone();
        if let Some(at) = other_unique.iter().position(|index| index.is_on(&key)) {
            other_unique.remove(at);
        }
        let model = Self {
            name: name.clone(),
            mode,
            key,
            rules: rules.clone(),
            schema: Some(schema),
            other_unique,
        };
        model.check_rules()?;
        Ok(model)
    }

    /// The model of a table that no server describes: `memory:`. The key is `id` unless configured.
    ///
    /// # Errors
    ///
    /// Rules that contradict each other.
    pub fn without_schema(name: &TableName, rules: &TableRules, mode: Mode) -> Result<Self> {
        let model = Self {
            name: name.clone(),
            mode: rules.mode.unwrap_or(mode),
            key: rules.key.clone().unwrap_or_else(|| vec!["id".to_owned()]),
            rules: rules.clone(),
            schema: None,
            other_unique: Vec::new(),
        };
        model.check_rules()?;
        Ok(model)
    }

    fn check_rules(&self) -> Result<()> {
        let in_key = |column: &str| self.key.iter().any(|key| key.eq_ignore_ascii_case(column));
        if let Some((column, _)) = self.rules.merge.iter().find(|(column, _)| in_key(column)) {
            return Err(Error::config(format!(
                "table {}: column {column} is part of the key and cannot have a merge rule",
                self.name
            )));
        }
        let Some(guard) = &self.rules.guard else {
            return Ok(());
        };
        let merged = self
            .rules
            .merge
            .iter()
            .any(|(column, _)| column.eq_ignore_ascii_case(guard));
        if in_key(guard) || merged {
            return Err(Error::config(format!(
                "table {}: the guard {guard} must be a column outside the key, without a merge rule",
                self.name
            )));
        }
        Ok(())
    }

    /// What the server says of a column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.schema.as_ref()?.column(name)
    }

    /// The guard column.
    pub fn guard(&self) -> Option<&str> {
        self.rules.guard.as_deref()
    }

    /// Whether rows can be written a second time without harm: see [`TableRules::unrepeatable`].
    pub fn is_repeatable(&self) -> bool {
        self.rules.unrepeatable(self.mode).is_none()
    }

    /// Whether keys that differ here differ in the table.
    pub fn keys_are_certain(&self) -> bool {
        self.schema.as_ref().is_none_or(|schema| schema.is_strict)
    }

    fn rule(&self, column: &str) -> MergeRule {
        self.rules
            .merge
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(column))
            .map_or(MergeRule::Replace, |(_, rule)| *rule)
    }

    fn kind(&self, column: &str) -> ColumnKind {
        match &self.schema {
            None => ColumnKind::Untyped,
            Some(schema) => schema.column(column).map_or(ColumnKind::Other, |column| column.kind),
        }
    }

    /// Binds a row's columns to the table.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written: the key or the guard is missing, a column stands twice, or a second
    /// unique index could make the row hit another one.
    pub fn bind(self: &Arc<Self>, columns: &Arc<[Box<str>]>) -> Result<BoundColumns> {
        let position = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        for (at, column) in columns.iter().enumerate() {
            if position(column) != Some(at) {
                return Err(Error::config(format!(
                    "table {}: column {column} is given twice in one row; the server compares column names without case",
                    self.name
                )));
            }
        }
        let mut key = Vec::with_capacity(self.key.len());
        for name in &self.key {
            match position(name) {
                Some(at) => key.push(at),
                None if self.mode == Mode::Insert => {
                    key.clear();
                    break;
                }
                None => {
                    return Err(Error::config(format!(
                        "table {}: a row has no key column {name}; give it a value, or configure another key in `tables`",
                        self.name
                    )));
                }
            }
        }
        let guard = match self.guard() {
            None => None,
            Some(guard) => Some(
                position(guard)
                    .ok_or_else(|| Error::config(format!("table {}: a row has no guard column {guard}", self.name)))?,
            ),
        };
        self.check_other_unique(&position)?;
        let missing_required = match (&self.schema, self.mode) {
            (Some(schema), Mode::Upsert) => schema
                .columns
                .iter()
                .find(|column| column.is_required && position(&column.name).is_none())
                .map(|column| column.name.clone()),
            _ => None,
        };
        let rules: Vec<_> = columns.iter().map(|column| self.rule(column)).collect();
        let mut checks: Vec<_> = guard.iter().map(|at| (*at, Check::Guard)).collect();
        if self.mode == Mode::Upsert {
            checks.extend(key.iter().map(|at| (*at, Check::Key)));
        }
        let is_summed = |at: &usize| rules.get(*at) == Some(&MergeRule::Sum);
        checks.extend((0..columns.len()).filter(is_summed).map(|at| (at, Check::Number)));
        // No column has two: a guard is outside the key, and neither has a rule.
        checks.sort_unstable_by_key(|(at, _)| *at);
        Ok(BoundColumns {
            checks,
            rules,
            kinds: columns.iter().map(|column| self.kind(column)).collect(),
            columns: Arc::clone(columns),
            key,
            guard,
            missing_required,
            model: Arc::clone(self),
        })
    }

    /// Refuses a row that could update another row than the one with its key. An index cannot be hit where the row
    /// leaves out one of its columns and the server fills it with NULL or a fresh number.
    fn check_other_unique(&self, position: &impl Fn(&str) -> Option<usize>) -> Result<()> {
        if self.mode == Mode::Insert || self.rules.allow_second_unique {
            return Ok(());
        }
        for index in &self.other_unique {
            let never_hit = index.columns.iter().flatten().any(|name| {
                position(name).is_none() && self.column(name).is_some_and(|column| column.is_filled_uniquely)
            });
            if !never_hit {
                return Err(Error::config(format!(
                    "table {} has a second unique index, {}: an upsert could update another row than the one with its key ({}). \
                     Drop the index, use mode 'insert', or accept it with 'allowSecondUnique' => true in `tables`",
                    self.name,
                    index.describe(),
                    self.key.join(", ")
                )));
            }
        }
        Ok(())
    }
}

fn server_key(name: &TableName, rules: &TableRules, mode: Mode, schema: &TableSchema) -> Result<Vec<String>> {
    if let Some(key) = &rules.key {
        if schema.unique_indexes.iter().any(|index| index.is_on(key)) || mode == Mode::Insert {
            return Ok(key.clone());
        }
        let found: Vec<_> = schema.unique_indexes.iter().map(UniqueIndex::describe).collect();
        let found = if found.is_empty() {
            "none".to_owned()
        } else {
            found.join("; ")
        };
        return Err(Error::config(format!(
            "table {name}: the configured key ({}) is no unique key of the table, so an upsert would double rows. Its unique keys: {found}",
            key.join(", ")
        )));
    }
    let primary = schema
        .unique_indexes
        .iter()
        .find(|index| index.name == "PRIMARY" && index.whole_columns);
    match primary {
        Some(index) => Ok(index.columns.iter().flatten().cloned().collect()),
        None if mode == Mode::Insert => Ok(Vec::new()),
        None => Err(Error::config(format!(
            "table {name} has no primary key: name a unique key with 'key' in `tables`, or use mode 'insert'"
        ))),
    }
}

fn check_sum_column(name: &TableName, schema: &TableSchema, column: &str) -> Result<()> {
    let Some(found) = schema.column(column) else {
        return Ok(());
    };
    if !matches!(found.kind, ColumnKind::Integer | ColumnKind::Decimal { .. }) {
        return Err(Error::config(format!(
            "table {name}: column {column} has a type that cannot be summed exactly; use DECIMAL or an integer type"
        )));
    }
    if found.has_nonzero_default {
        return Err(Error::config(format!(
            "table {name}: column {column} has a default other than 0, so a sum over it would depend on where batches end; \
             make the default 0 or NULL"
        )));
    }
    Ok(())
}

/// A row's columns, bound to their table: which are the key, and each one's rule and kind.
#[derive(Debug, Clone)]
pub struct BoundColumns {
    /// The table.
    pub model: Arc<TableModel>,
    /// The columns' names, as the row has them.
    pub columns: Arc<[Box<str>]>,
    /// Positions of the key's columns, in the key's order. Empty: an insert-only row that does not name its key.
    pub key: Vec<usize>,
    /// Position of the guard.
    pub guard: Option<usize>,
    /// Each column's rule.
    pub rules: Vec<MergeRule>,
    /// Each column's kind.
    pub kinds: Vec<ColumnKind>,
    /// A column that the server wants and the row has not. Such a row can only update.
    pub missing_required: Option<String>,
    /// What each row is checked for, by column, in their order.
    checks: Vec<(usize, Check)>,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Part of the key: not NULL.
    Key,
    /// The guard: not NULL.
    Guard,
    /// Under `sum`: a number.
    Number,
}

impl BoundColumns {
    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Checks one row's values, in the columns' order. Reads no further than the last column that can be wrong.
    ///
    /// # Errors
    ///
    /// NULL in the key or the guard, or no number under `sum`.
    pub fn check<'v>(&self, mut values: impl Iterator<Item = Value<'v>>) -> Result<()> {
        let mut read = 0;
        for (at, check) in &self.checks {
            let value = values.nth(at - read).unwrap_or(Value::Null);
            read = at + 1;
            let passes = match check {
                Check::Number => crate::table::column::number(&value).is_some(),
                Check::Key | Check::Guard => !value.is_null(),
            };
            if !passes {
                return Err(self.refused(*at, *check));
            }
        }
        Ok(())
    }

    fn refused(&self, at: usize, check: Check) -> Error {
        let (name, column) = (&self.model.name, self.columns.get(at).map_or("?", |column| column));
        Error::config(match check {
            Check::Key => {
                format!("table {name}: key column {column} is null; a row without its key cannot be written")
            }
            Check::Guard => {
                format!("table {name}: guard column {column} is null; a row without its guard cannot be compared")
            }
            Check::Number => format!(
                "table {name}: column {column} is summed and takes a number: an int, or a string such as '12.50'"
            ),
        })
    }

    /// Appends the key form of a row, whose values are asked for by column; see [`ColumnKind::key`]. `None`: whether another row has
    /// the same key only the server can tell.
    pub fn append_key<'v, V: Borrow<Value<'v>>>(
        &self,
        value: impl Fn(usize) -> Option<V>,
        key: &mut Vec<u8>,
    ) -> Option<()> {
        if self.key.is_empty() || !self.model.keys_are_certain() {
            return None;
        }
        for at in &self.key {
            self.kinds.get(*at)?.key(value(*at)?.borrow(), key)?;
        }
        Some(())
    }

    /// A hash of a row's key form, which is written to `key` on the way; `None` as for [`Self::append_key`].
    pub fn key_hash(&self, values: &Values<'_>, key: &mut Vec<u8>) -> Option<u64> {
        key.clear();
        self.append_key(|at| values.clone().nth(at), key)?;
        Some(FxBuildHasher.hash_one(&*key))
    }

    /// Compares two values of a column as the server does; `None` where only the server can tell.
    pub fn compare(&self, at: usize, left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
        self.kinds.get(at)?.compare(left, right)
    }
}
