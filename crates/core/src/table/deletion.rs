//! Deletions: rows that have a key, and maybe a guard, and name the row to delete.
//!
//! Invariant: a table whose rows are inserted only, or whose key is the server's to know, takes
//! none.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::table::bound::{BoundColumns, Check};
use crate::table::column::ColumnKind;
use crate::table::entry::TableEntry;
use crate::table::model::TableModel;
use crate::table::name::TableName;
use crate::table::rules::{KeyRule, MergeRule, Mode};

impl TableEntry {
    /// Checks that the table's rows may be deleted.
    ///
    /// # Errors
    ///
    /// They are inserted only, or their key is the server's to know.
    pub fn check_deletion(&self) -> Result<()> {
        let mode = self.rules.mode.unwrap_or(self.default_mode);
        check_deletion(&self.name, mode, &self.rules.key)
    }

    /// The columns of the table's key, if they are known.
    pub fn known_key(&self) -> Option<Vec<String>> {
        match (&self.rules.key, self.model()) {
            (KeyRule::Columns(columns), _) => Some(columns.clone()),
            (_, model) => model.map(|model| model.key.clone()),
        }
    }
}

fn check_deletion(name: &TableName, mode: Mode, key: &KeyRule) -> Result<()> {
    if mode == Mode::Insert {
        return Err(Error::config(format!(
            "table {name} is insert-only, so its rows are not deleted: set 'mode' => 'upsert' for it in `tables`, or run the \
             DELETE yourself"
        )));
    }
    if *key == KeyRule::Server {
        return Err(Error::config(format!(
            "table {name}: its key is the server's to know, so no row can be named: give its columns with 'key' in `tables`, or \
             run the DELETE yourself"
        )));
    }
    Ok(())
}

impl TableModel {
    /// The columns of the key, for a deletion that has as many values in the key's order.
    ///
    /// # Errors
    ///
    /// The key has more or fewer columns.
    pub(super) fn columns_in_order(&self, count: usize) -> Result<Arc<[Box<str>]>> {
        if self.key.len() == count {
            Ok(self.key.iter().map(|name| Box::from(name.as_str())).collect())
        } else {
            Err(self.other_key_is_needed())
        }
    }

    fn other_key_is_needed(&self) -> Error {
        let guard = match self.guard() {
            Some(guard) => format!(", if you like with the guard {guard}"),
            None => String::new(),
        };
        Error::config(format!(
            "table {}: a deletion needs the table's key ({}){guard}, and no other column",
            self.name,
            self.key.join(", ")
        ))
    }

    /// Binds the columns of a deletion to the table.
    ///
    /// # Errors
    ///
    /// Other columns than the key's and the guard; a table whose rows are not deleted.
    pub(super) fn bind_deletion(self: &Arc<Self>, columns: &Arc<[Box<str>]>) -> Result<BoundColumns> {
        check_deletion(&self.name, self.mode, &self.rules.key)?;
        let position = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        let key: Option<Vec<usize>> = self.key.iter().map(|name| position(name)).collect();
        let guard = self.guard().and_then(position);
        let key = key.filter(|key| !key.is_empty() && key.len() + usize::from(guard.is_some()) == columns.len());
        let key = key.ok_or_else(|| self.other_key_is_needed())?;
        let mut checks: Vec<_> = key.iter().map(|at| (*at, Check::DeletedKey)).collect();
        checks.extend(guard.iter().map(|at| (*at, Check::Guard)));
        if self.keys_are_certain() {
            // A deletion compares the guard, and would make something else of what does not fit.
            let is_number = |at: &usize| {
                let kind = columns.get(*at).map(|column| self.kind(column));
                matches!(
                    kind,
                    Some(ColumnKind::Integer | ColumnKind::Decimal { .. } | ColumnKind::Float)
                )
            };
            let numbers = guard.iter().filter(|at| is_number(at));
            checks.extend(numbers.map(|at| (*at, Check::ComparedNumber)));
            let has_members = |at: &usize| columns.get(*at).is_some_and(|column| self.has_members(column));
            let members = guard.iter().filter(|at| has_members(at));
            checks.extend(members.map(|at| (*at, Check::Member)));
            checks.extend(guard.iter().map(|at| (*at, Check::Fitting)));
        }
        checks.sort_unstable_by_key(|(at, _)| *at);
        let none = || vec![false; columns.len()];
        Ok(BoundColumns {
            is_deletion: true,
            checks,
            rules: vec![MergeRule::Replace; columns.len()],
            kinds: columns.iter().map(|column| self.kind(column)).collect(),
            domains: columns.iter().map(|column| self.domain(column)).collect(),
            checked: none(),
            references: none(),
            default_is_checked: none(),
            lacks_column_set_on_update: false,
            defaults_are_taken: true,
            numbered_key: None,
            only_updates: None,
            shared_update: None,
            guarded: Vec::new(),
            as_they_are: Vec::new(),
            columns: Arc::clone(columns),
            key,
            guard,
            model: Arc::clone(self),
        })
    }

    /// Whether the server takes the defaults of all columns that a row lacks.
    pub(super) fn takes_defaults(&self, is_given: impl Fn(&str) -> bool) -> bool {
        let columns = self.schema.iter().flat_map(|schema| &schema.columns);
        let mut lacked = columns.filter(|column| !is_given(&column.name));
        !lacked.any(|column| self.default_is_checked(&column.name))
    }

    /// Whether somebody sees in which order rows of different keys are deleted: a trigger, or a
    /// foreign key of the table to itself.
    pub fn sees_order_of_deletions(&self) -> bool {
        let refers_to_itself = self.foreign_keys().iter().any(|key| key.table == self.name);
        refers_to_itself || self.schema.as_ref().is_some_and(|schema| !schema.triggers.is_empty())
    }
}
