//! The rules of a table, bound to what the server says of it.
//!
//! Invariant: a [`TableModel`] exists only for rules that the table can keep. Three things are
//! refused, with the table and the column named:
//! - a key that is no unique key of the table;
//! - a row that could hit another row through a second unique index, unless `allowSecondUnique`
//!   accepts that;
//! - a sum over FLOAT or DOUBLE, whose result depends on the order of the rows, or over a column
//!   with a default other than 0 or NULL, whose result would depend on where a batch ends.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::table::bound::{BoundColumns, Check};
use crate::table::column::{Column, ColumnKind};
use crate::table::name::TableName;
use crate::table::rules::{MergeRule, Mode, TableRules};
use crate::table::schema::{TableSchema, UniqueIndex};

/// A table, ready to be written.
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
    /// The unique indexes beside the key. A row could hit another row through them.
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

    /// The model of a table that no server describes: the sink is `memory:`. The key is `id` unless
    /// configured.
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

    /// Whether writing rows twice does no harm: see [`TableRules::unrepeatable`].
    pub fn is_repeatable(&self) -> bool {
        self.rules.unrepeatable(self.mode).is_none()
    }

    /// Whether keys that differ here differ in the table. Not so in a lenient session, which cuts
    /// values.
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
    /// Columns with which no row can be written: the key or the guard is missing, a column stands
    /// twice, or a second unique index could make the row hit another one.
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
        // No column has two checks: a guard is outside the key, and neither has a rule.
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

    /// Refuses a row that could update another row than the one with its key. An index cannot be
    /// hit if the row leaves out one of its columns and the server fills that with NULL or a fresh
    /// number.
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
