//! What the conversion of rows asks of a buffer: its tables, and the shapes of its last rows.
//!
//! Each question is a step of its own, between calls of user code.

use std::rc::Rc;
use std::sync::Arc;

use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::{Identity, TableId};
use write_buffer_core::table::shape::Shape;

use crate::buffer::object::Handle;
use crate::convert::Tables;
use crate::convert::models::{ModelClass, Names};
use crate::zend::array::Elements;
use crate::zend::objects::HeldObject;

impl Tables for Handle<'_> {
    fn table(&self, name: &str) -> Result<TableId> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.table(name)))
    }

    fn name(&self, table: TableId) -> String {
        self.with(|state| {
            state.buffer.with_catalog(|catalog| {
                catalog
                    .entry(table)
                    .map_or_else(String::new, |entry| entry.name.to_string())
            })
        })
    }

    fn shape<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.shape(table, columns)))
    }

    fn update<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.update(table, columns)))
    }

    fn deletion<'c>(
        &self,
        table: TableId,
        columns: Option<impl Iterator<Item = &'c [u8]> + Clone>,
        values: usize,
    ) -> Result<Arc<Shape>> {
        self.with(|state| {
            state.buffer.with_catalog(|catalog| match columns {
                Some(columns) => catalog.deletion(table, columns),
                None => catalog.deletion_by_place(table, values),
            })
        })
    }

    fn copy_alike(&self, table: TableId, row: Elements<'_>, group: &mut Group) -> bool {
        self.with(|state| state.last_shapes.copy(table, row, group))
    }

    fn too_large(&self, rows: usize, bytes: usize) -> Error {
        self.with(|state| state.too_large(rows, bytes))
    }

    fn remember(&self, shape: &Arc<Shape>, row: Elements<'_>) {
        self.with(|state| state.last_shapes.remember(shape, row));
    }

    fn identity(&self, table: TableId, key: Option<&str>) -> Option<Identity> {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.entry(table)?.identity(key)))
    }

    fn model_class(&self, object: &HeldObject) -> Option<Rc<ModelClass>> {
        self.with(|state| state.models.class_of(object))
    }

    fn table_of_names(&self, names: Names) -> Option<TableId> {
        self.with(|state| state.models.table_of(names))
    }

    fn remember_names(&self, names: Names, table: TableId) {
        self.with(|state| state.models.remember_table(names, table));
    }

    fn hint_key(&self, table: TableId, column: &str) {
        self.with(|state| state.buffer.with_catalog(|catalog| catalog.hint_key(table, column)));
    }
}
