//! Binds rows to their tables, each shape once.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::plan::limits::{Limits, PACKET_OVERHEAD_BYTES, row_bytes, row_bytes_max};
use crate::rows::arena::Row;
use crate::table::bound::BoundColumns;
use crate::table::entry::TableId;
use crate::table::model::TableModel;
use crate::table::shape::Shape;
use crate::value::Value;

/// A row bound to its table.
#[derive(Debug, Clone)]
pub struct BoundRow<'a> {
    /// Its columns.
    pub bound: Arc<BoundColumns>,
    /// Its values, in the columns' order.
    pub values: Vec<Value<'a>>,
}

impl<'a> BoundRow<'a> {
    /// The key form of the row, see [`ColumnKind::key`](crate::table::column::ColumnKind::key).
    pub fn key(&self) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(24);
        self.append_key(&mut key)?;
        Some(key)
    }

    pub(super) fn append_key(&self, key: &mut Vec<u8>) -> Option<()> {
        self.bound.append_key(|at| self.values.get(at), key)
    }

    pub(super) fn value(&self, at: usize) -> &Value<'a> {
        self.values.get(at).unwrap_or(&Value::Null)
    }
}

/// Binds rows to their tables, each shape once.
#[derive(Debug, Default)]
pub struct Binder {
    /// Models for these tables, whatever models the tables have by now.
    models: FxHashMap<TableId, Arc<TableModel>>,
    /// The model of all rows: they are of one table.
    only: Option<Arc<TableModel>>,
    bound: FxHashMap<*const Shape, Option<Result<Arc<BoundColumns>>>>,
}

impl Binder {
    /// A binder for rows of one table, by this model.
    pub fn with_model(model: Arc<TableModel>) -> Self {
        Self {
            only: Some(model),
            ..Self::default()
        }
    }

    /// A binder with these models, whatever becomes of the tables' own meanwhile.
    pub fn with_models(models: FxHashMap<TableId, Arc<TableModel>>) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }

    /// Binds a row and checks its values. Asks a table for its model once per shape: another thread
    /// may learn it, or forget it, at any time.
    ///
    /// # Errors
    ///
    /// A row that its table can never take; a table without a model.
    pub fn bind<'a>(&mut self, row: &Row<'a>) -> Result<BoundRow<'a>> {
        let (models, only) = (&self.models, &self.only);
        let bound = self.bound.entry(Arc::as_ptr(row.shape)).or_insert_with(|| {
            let given = only.as_ref().or_else(|| models.get(&row.shape.table)).cloned();
            let model = given.or_else(|| row.shape.entry.model())?;
            Some(row.shape.bind(&model).map(Arc::new))
        });
        let bound = bound
            .clone()
            .transpose()?
            .ok_or_else(|| Error::bug("a row's table is not known"))?;
        bound.check(row.values())?;
        let mut values = Vec::with_capacity(bound.columns.len());
        values.extend(row.values());
        Ok(BoundRow { bound, values })
    }

    /// Binds a row as [`Self::bind`] does, if it fits into a packet.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`]; a row that is larger than `max_allowed_packet`.
    pub fn check<'a>(&mut self, row: &Row<'a>, limits: &Limits) -> Result<BoundRow<'a>> {
        let bound = self.bind(row)?;
        let most = row_bytes_max(row.encoded_bytes(), bound.values.len());
        if most + PACKET_OVERHEAD_BYTES <= limits.max_packet_bytes {
            return Ok(bound);
        }
        let bytes = row_bytes(&bound.values) + PACKET_OVERHEAD_BYTES;
        if bytes > limits.max_packet_bytes {
            return Err(Error::row(format!(
                "table {}: a row of {bytes} bytes is larger than the server's max_allowed_packet ({} bytes): raise it, or store less",
                bound.bound.model.name, limits.max_packet_bytes
            )));
        }
        Ok(bound)
    }
}
