//! A table and a row's columns, shared by all rows that have the same.

use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Result as CoreResult;
use crate::table::bound::BoundColumns;
use crate::table::entry::{TableEntry, TableId};

/// A table and a row's columns, shared by all rows that have the same.
#[derive(Debug)]
pub struct Shape {
    /// The table's number.
    pub table: TableId,
    /// The table.
    pub entry: Arc<TableEntry>,
    /// The columns' names, in the row's order.
    pub columns: Arc<[Box<str>]>,
    /// The position of the column that groups are routed by, if the row has it.
    pub route: Option<usize>,
    /// The columns bound to a model of the table, and the version of that model.
    binding: RwLock<Option<(u64, CoreResult<Arc<BoundColumns>>)>>,
}

impl Shape {
    /// The shape of a table's rows with these columns.
    pub fn new(table: TableId, entry: Arc<TableEntry>, columns: Arc<[Box<str>]>, route_by: Option<&str>) -> Self {
        let is_route = |column: &str| route_by.is_some_and(|route_by| column.eq_ignore_ascii_case(route_by));
        Self {
            route: columns.iter().position(|column| is_route(column)),
            table,
            entry,
            columns,
            binding: RwLock::new(None),
        }
    }

    /// The columns bound to the table's model. `None` while there is no model. Bound once per
    /// model.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written.
    pub fn bound(&self) -> CoreResult<Option<Arc<BoundColumns>>> {
        // The version is read before the model: a model that comes in between is bound under an old
        // version.
        let version = self.entry.model_version();
        if let Some((bound_for, bound)) = &*self.binding.read().unwrap_or_else(PoisonError::into_inner)
            && *bound_for == version
        {
            return bound.clone().map(Some);
        }
        let Some(model) = self.entry.model() else {
            return Ok(None);
        };
        let bound = model.bind(&self.columns).map(Arc::new);
        *self.binding.write().unwrap_or_else(PoisonError::into_inner) = Some((version, bound.clone()));
        bound.map(Some)
    }
}
