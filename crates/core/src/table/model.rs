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

use crate::error::phase::Phase;
use crate::error::{Error, Result};
use crate::table::column::{Column, ColumnKind};
use crate::table::domain::Domain;
use crate::table::name::TableName;
use crate::table::rules::{KeyRule, MergeRule, Mode, TableRules};
use crate::table::schema::{ForeignKey, TableSchema, UniqueIndex};

/// A table, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableModel {
    /// Its name.
    pub name: TableName,
    /// How rows are written.
    pub mode: Mode,
    /// The key's columns, in order. Empty for an insert-only table without a key, and if the key is
    /// the server's to know.
    pub key: Vec<String>,
    pub(super) rules: TableRules,
    pub(super) schema: Option<TableSchema>,
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
            key: match &rules.key {
                KeyRule::Columns(columns) => columns.clone(),
                KeyRule::Primary | KeyRule::Server => vec!["id".to_owned()],
            },
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

    /// What it refers to.
    pub fn foreign_keys(&self) -> &[ForeignKey] {
        self.schema.as_ref().map_or(&[], |schema| &schema.foreign_keys)
    }

    /// Whether its triggers may write to a table that is not the transaction's.
    pub fn has_writing_triggers(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| schema.triggers.may_write())
    }

    /// Whether its triggers may touch another table.
    pub fn may_touch(&self, other: &TableName) -> bool {
        let may_touch = |schema: &TableSchema| schema.triggers.may_touch(other);
        self.schema.as_ref().is_some_and(may_touch)
    }

    /// The table's definition, as the server showed it when the model was made.
    pub fn definition(&self) -> Option<&Arc<str>> {
        self.schema.as_ref()?.definition.as_ref()
    }

    /// Whether rows of different keys may be written in another order than they were added. Not if
    /// one may refer to another, meet it in a second unique index, or be seen by a trigger, or if
    /// the server numbers them; nor if every version is to be seen.
    pub fn may_sort(&self) -> bool {
        self.goes_by_key() && !self.rules.writes_each_version && !self.tells_order()
    }

    /// Whether a row goes into that of its key for certain, as it is.
    pub fn goes_by_key(&self) -> bool {
        !self.may_meet() && !self.has_triggers()
    }

    /// Whether triggers are known to see its rows.
    pub fn has_triggers(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| !schema.triggers.is_empty())
    }

    /// Whether every version of a row is to be written, in a statement of its own.
    pub fn writes_each_version(&self) -> bool {
        self.rules.writes_each_version
    }

    /// Whether the server sets a column outside the key that tells in which order rows came.
    fn tells_order(&self) -> bool {
        let is_of_key = |column: &Column| self.key.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        let mut columns = self.schema.iter().flat_map(|schema| &schema.columns);
        columns.any(|column| column.tells_order && !is_of_key(column))
    }

    /// Whether rows of different keys may meet: in a second unique index, or by a foreign key to
    /// the table itself.
    pub fn may_meet(&self) -> bool {
        let refers_to_itself = |key: &ForeignKey| key.table == self.name;
        self.rules.key == KeyRule::Server
            || !self.other_unique.is_empty()
            || self.foreign_keys().iter().any(refers_to_itself)
    }

    /// Whether two rows of one key may become one. Not if somebody sees each version.
    pub fn may_merge(&self) -> bool {
        self.may_sort() && self.schema.as_ref().is_none_or(|schema| !schema.keeps_history)
    }

    /// Whether a row may be sent beside others if it has NULL for a column that takes none. A
    /// lenient server refuses such a row alone, and makes the NULL fit in a statement of several
    /// rows.
    pub fn refuses_null_alone(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| !schema.is_strict)
    }

    /// Whether the server makes a number for 0 in this column, as it does for NULL.
    pub(super) fn makes_number_for_zero(&self, column: &str) -> bool {
        self.schema.as_ref().is_some_and(|schema| {
            schema.makes_number_for_zero && schema.column(column).is_some_and(|column| column.is_auto_increment)
        })
    }

    /// Whether a CHECK or a generated column depends on the column's value.
    pub(super) fn is_checked(&self, column: &str) -> bool {
        let is_it = |name: &String| name.eq_ignore_ascii_case(column);
        self.schema
            .as_ref()
            .is_some_and(|schema| schema.examined.iter().any(is_it))
    }

    /// Whether the server may refuse a row for the default of this column, which it lacks: before
    /// it finds the row that is there.
    pub(super) fn default_is_checked(&self, column: &str) -> bool {
        let has_default = self.column(column).is_some_and(|column| column.has_default);
        self.is_checked(column) || (self.is_reference(column) && has_default)
    }

    /// Whether a foreign key has the column.
    pub(super) fn is_reference(&self, column: &str) -> bool {
        let has_it = |key: &ForeignKey| key.columns.iter().any(|name| name.eq_ignore_ascii_case(column));
        self.foreign_keys().iter().any(has_it)
    }

    /// Whether two versions of a row must not share a statement: to the history they would be one.
    pub fn keeps_history(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| schema.keeps_history)
    }

    /// Columns that the server sets whenever a row changes that does not give them.
    pub fn columns_set_on_update(&self) -> impl Iterator<Item = &str> {
        let columns = self.schema.iter().flat_map(|schema| &schema.columns);
        columns
            .filter(|column| column.is_set_on_update)
            .map(|column| column.name.as_str())
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

    pub(super) fn rule(&self, column: &str) -> MergeRule {
        self.rules
            .merge
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(column))
            .map_or(MergeRule::Replace, |(_, rule)| *rule)
    }

    pub(super) fn domain(&self, column: &str) -> (Domain, bool) {
        match &self.schema {
            None => (Domain::Any, true),
            Some(schema) => schema.column(column).map_or((Domain::Unknown, false), |column| {
                (column.domain.clone(), column.is_nullable)
            }),
        }
    }

    /// The kind of a column's values.
    pub fn kind(&self, column: &str) -> ColumnKind {
        match &self.schema {
            None => ColumnKind::Untyped,
            Some(schema) => schema.column(column).map_or(ColumnKind::Other, |column| column.kind),
        }
    }

    /// Refuses a row that could update another row than the one with its key. An index cannot be
    /// hit if the row leaves out one of its columns and the server fills that with NULL or a fresh
    /// number.
    pub(super) fn check_other_unique(&self, position: &impl Fn(&str) -> Option<usize>) -> Result<()> {
        if self.mode == Mode::Insert || self.rules.allow_second_unique || self.rules.key == KeyRule::Server {
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
                ))
                .during(Phase::LookUp));
            }
        }
        Ok(())
    }
}

fn server_key(name: &TableName, rules: &TableRules, mode: Mode, schema: &TableSchema) -> Result<Vec<String>> {
    if rules.key == KeyRule::Server {
        return Ok(Vec::new());
    }
    if let KeyRule::Columns(key) = &rules.key {
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
    let has_primary = schema.unique_indexes.iter().any(|index| index.name == "PRIMARY");
    match primary {
        Some(index) => Ok(index.columns.iter().flatten().cloned().collect()),
        None if mode == Mode::Insert => Ok(Vec::new()),
        None if has_primary => Err(Error::config(format!(
            "table {name}: its primary key has a part of a column only, so it does not tell rows apart by their values: \
             name a unique key of whole columns with 'key' in `tables`, or use 'key' => 'server' or mode 'insert'"
        ))),
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
