//! A table that rows are given for: its name, its configured rules and, once known, its model.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::table::bound::BoundColumns;
use crate::table::model::TableModel;
use crate::table::name::TableName;
use crate::table::rules::{KeyRule, Mode, TableRules};

/// A table's number in its [`crate::table::catalog::Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub usize);

/// What says which row of a table a partial one means.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's columns.
    pub key: Vec<String>,
    /// The guard column.
    pub guard: Option<String>,
}

/// The error of a table whose rows must not be written twice, where nothing sees to that.
pub(super) fn unrepeatable(name: &TableName, why: &str) -> Error {
    Error::config(format!(
        "table {name}: {why}, and ledger is 'never', so a COMMIT that is not answered would write its rows twice: \
         use ledger 'auto', or accept that with 'repeatable' => true in `tables`"
    ))
}

/// A table that rows are given for.
#[derive(Debug)]
pub struct TableEntry {
    /// Its name.
    pub name: TableName,
    /// What the user configured for it.
    pub rules: TableRules,
    /// Its mode, if the rules name none.
    pub default_mode: Mode,
    /// Rows that must not be written twice are refused: there is no ledger.
    pub refuses_unrepeatable: bool,
    /// Another name in use that differs in letter case alone. On a server that does not regard
    /// letter case both are one table, and this one is refused.
    pub case_twin: Option<String>,
    /// The key that a model object named, used for a table that no server describes.
    pub(super) key_hint: OnceLock<String>,
    /// The rules bound to the table, once that is known. Whoever writes the table sets it. Whoever
    /// adds a row checks the row against it, if it is there. The lock is held to copy a pointer.
    pub(super) model: RwLock<Option<Arc<TableModel>>>,
    /// Counts the changes of `model`, to a model or to none.
    pub(super) model_version: AtomicU64,
    /// The model may be one of before: it is read anew before rows are written.
    is_outdated: AtomicBool,
}

impl TableEntry {
    /// A table that is not known yet.
    pub fn new(name: TableName, rules: TableRules, default_mode: Mode, case_twin: Option<String>) -> Self {
        Self {
            name,
            rules,
            default_mode,
            refuses_unrepeatable: false,
            case_twin,
            key_hint: OnceLock::new(),
            model: RwLock::new(None),
            model_version: AtomicU64::new(0),
            is_outdated: AtomicBool::new(false),
        }
    }

    /// Refuses rows that must not be written twice, if there is no ledger. Those of its rules are
    /// refused by the [catalog](crate::table::catalog).
    ///
    /// # Errors
    ///
    /// Such a row.
    pub fn check_repeatable(&self, bound: &BoundColumns) -> Result<()> {
        if !self.refuses_unrepeatable || !bound.is_numbered() || bound.is_repeatable() {
            return Ok(());
        }
        Err(unrepeatable(
            &self.name,
            "a row without its AUTO_INCREMENT key is an insert",
        ))
    }

    /// The rules bound to the table, if that is known.
    pub fn model(&self) -> Option<Arc<TableModel>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the model is to be read anew. Until then it says which rows may have one key, and
    /// nothing is refused for it.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated.load(Ordering::Acquire)
    }

    /// What becomes of an error that the model found with a row: nothing, if it is to be read anew.
    ///
    /// # Errors
    ///
    /// The error.
    #[cold]
    pub fn unless_outdated<T>(&self, error: Error) -> Result<Option<T>> {
        if self.is_outdated() { Ok(None) } else { Err(error) }
    }

    /// Has the model read anew, after an error that did not come from this table.
    pub fn outdate(&self) {
        self.is_outdated.store(true, Ordering::Release);
    }

    /// Remembers the table's model. `None` forgets it, after an error that a change of this table
    /// could explain.
    pub fn set_model(&self, model: Option<Arc<TableModel>>) {
        let mut slot = self.model.write().unwrap_or_else(PoisonError::into_inner);
        *slot = model;
        self.is_outdated.store(false, Ordering::Release);
        self.model_version.fetch_add(1, Ordering::Release);
    }

    /// A number that changes whenever the model does.
    pub fn model_version(&self) -> u64 {
        self.model_version.load(Ordering::Acquire)
    }

    /// Whether a row can name one that is there.
    pub fn names_rows(&self) -> bool {
        self.rules.key.names_rows(self.rules.mode.unwrap_or(self.default_mode))
    }

    /// What says which row of the table a model object means. `key` is the column that it names,
    /// for as long as the table is not known. `None`: rows are only inserted, or nothing says what
    /// the key is.
    pub fn identity(&self, key: Option<&str>) -> Option<Identity> {
        if !self.names_rows() {
            return None;
        }
        let known = self.model().filter(|model| !model.key.is_empty());
        let key = match (known, &self.rules.key) {
            (_, KeyRule::Columns(columns)) => columns.clone(),
            (Some(model), _) => model.key.clone(),
            (None, _) => vec![key?.to_owned()],
        };
        Some(Identity {
            key,
            guard: self.rules.guard.clone(),
        })
    }

    /// The key that a model object named.
    pub fn key_hint(&self) -> Option<&str> {
        self.key_hint.get().map(String::as_str)
    }
}
