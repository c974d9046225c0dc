//! A table and a row's columns, shared by all rows that have the same.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::error::Result as CoreResult;
use crate::table::bound::BoundColumns;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RowKind {
    /// To be written.
    #[default]
    Row,
    /// To change the row with its key, which must be there.
    Update,
    /// It names the row to delete: its columns are the key's, and maybe the guard.
    Deletion,
    /// As [`Self::Deletion`], with the key's values in the key's order. The columns' names are
    /// their places: nobody knew the key.
    DeletionByPlace,
}

impl RowKind {
    /// Whether the row names one to delete.
    pub fn is_deletion(self) -> bool {
        matches!(self, Self::Deletion | Self::DeletionByPlace)
    }
}

/// A table and a row's columns, shared by all rows that have the same.
#[derive(Debug)]
pub struct Shape {
    /// The table's number.
    pub table: TableId,
    /// The table.
    pub entry: Arc<TableEntry>,
    /// The columns' names, in the row's order.
    pub columns: Arc<[Box<str>]>,
    /// What the rows are for.
    pub kind: RowKind,
    /// The position of the column that groups are routed by, if the row has it.
    pub route: Option<usize>,
    /// The columns bound to a model of the table, and the version of that model.
    binding: RwLock<Option<(u64, CoreResult<Arc<BoundColumns>>)>>,
    /// Its portable form, once a journal has asked for it. `None` inside: it has none.
    portable: OnceLock<Option<Box<[u8]>>>,
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
            kind: RowKind::Row,
            binding: RwLock::new(None),
            portable: OnceLock::new(),
        }
    }

    /// The same shape, for rows of another kind.
    #[must_use]
    pub fn of_kind(self, kind: RowKind) -> Self {
        let route = self.route.filter(|_| kind != RowKind::DeletionByPlace);
        Self { kind, route, ..self }
    }

    /// Its portable form: made by `encode` once.
    pub fn portable(&self, encode: impl FnOnce(&Self) -> Option<Vec<u8>>) -> Option<&[u8]> {
        let form = self.portable.get_or_init(|| encode(self).map(Vec::into_boxed_slice));
        form.as_deref()
    }

    /// The columns bound to a model of the table.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written or deleted.
    pub fn bind(&self, model: &Arc<TableModel>) -> CoreResult<BoundColumns> {
        match self.kind {
            RowKind::Row => {
                let bound = model.bind(&self.columns)?;
                self.entry.check_repeatable(&bound)?;
                Ok(bound)
            }
            RowKind::Update => {
                let bound = model.bind_update(&self.columns)?;
                self.entry.check_repeatable(&bound)?;
                Ok(bound)
            }
            RowKind::Deletion => model.bind_deletion(&self.columns),
            RowKind::DeletionByPlace => model.bind_deletion(&model.columns_in_order(self.columns.len())?),
        }
    }

    /// Where the columns of a key stand. `None`: one is missing.
    pub fn key_positions<'k>(&self, key: impl ExactSizeIterator<Item = &'k str>) -> Option<Vec<usize>> {
        if self.kind == RowKind::DeletionByPlace {
            return (key.len() == self.columns.len()).then(|| (0..key.len()).collect());
        }
        let position = |name: &str| self.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        key.map(position).collect()
    }

    /// What `look` makes of the columns bound to the table's model: of `None` while there is no
    /// model. Bound once per model.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written; what `look` returns.
    pub fn with_bound<R>(&self, look: impl FnOnce(Option<&Arc<BoundColumns>>) -> CoreResult<R>) -> CoreResult<R> {
        // The version is read before the model: a model that comes in between is bound under an old
        // version.
        let version = self.entry.model_version();
        if let Some((bound_for, bound)) = &*self.binding.read().unwrap_or_else(PoisonError::into_inner)
            && *bound_for == version
        {
            return look(Some(bound.as_ref().map_err(Clone::clone)?));
        }
        look(self.bind_anew(version)?.as_ref())
    }

    #[cold]
    fn bind_anew(&self, version: u64) -> CoreResult<Option<Arc<BoundColumns>>> {
        let Some(model) = self.entry.model() else {
            return Ok(None);
        };
        let bound = self.bind(&model).map(Arc::new);
        *self.binding.write().unwrap_or_else(PoisonError::into_inner) = Some((version, bound.clone()));
        bound.map(Some)
    }
}
