//! From PHP to Rust: rows of any form, copied value by value into a group.
//!
//! User code may run while a group is gathered: a model's `getAttributes()`, a `toArray()`, a
//! `__toString()`, a generator. It may throw, call back into the same buffer, or end the request.
//! So nothing of the buffer is borrowed or locked while it runs: the buffer is asked for a table or
//! a shape between such calls, through [`Tables`], and arrays and objects that are read are held
//! with a reference of their own. At a fatal error all frames end in order, as at an exception.

pub mod deletions;
pub mod fast_path;
pub mod models;
pub mod moments;
pub mod rows;
pub mod values;

use std::rc::Rc;
use std::sync::Arc;

use write_buffer_core::error::{Error, Result};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::{Identity, TableId};
use write_buffer_core::table::shape::Shape;

use crate::convert::models::{ModelClass, Names};
use crate::zend::array::Elements;
use crate::zend::messages::PendingException;
use crate::zend::objects::HeldObject;

/// Why a row was not taken.
#[derive(Debug)]
pub enum ConversionError {
    /// User code threw.
    Pending(PendingException),
    /// A value or a row of a wrong type.
    Type {
        /// The number of the argument, from 1.
        argument: u32,
        /// What it must be, or what is wrong with it.
        message: String,
    },
    /// A row that its table cannot take.
    Config(Error),
}

impl ConversionError {
    /// An argument, by its number from 1, is or has a value of a wrong type.
    pub fn wrong_type(argument: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Type { argument, message }
    }
}

impl From<Error> for ConversionError {
    fn from(error: Error) -> Self {
        Self::Config(error)
    }
}

impl From<PendingException> for ConversionError {
    fn from(pending: PendingException) -> Self {
        Self::Pending(pending)
    }
}

/// What the conversion asks of the buffer.
pub trait Tables {
    /// A table by its name.
    fn table(&self, name: &str) -> Result<TableId>;
    /// The name of a table.
    fn name(&self, table: TableId) -> String;
    /// The shape of a row's columns.
    fn shape<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>>;
    /// The shape of a row that only updates the row with its key; where no row can name another, of
    /// one to be written.
    fn update<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>>;
    /// The shape of a deletion: with these columns, or with so many values in the key's order.
    fn deletion<'c>(
        &self,
        table: TableId,
        columns: Option<impl Iterator<Item = &'c [u8]> + Clone>,
        values: usize,
    ) -> Result<Arc<Shape>>;
    /// What is known of the class of an object. `None`: it is no model.
    fn model_class(&self, object: &HeldObject) -> Option<Rc<ModelClass>>;
    /// The table of a model that gave these names, if another one gave them before.
    fn table_of_names(&self, names: Names) -> Option<TableId>;
    /// Remembers the table of a model that gave these names, and whose key it knows.
    fn remember_names(&self, names: Names, table: TableId);
    /// The key that a model names.
    fn hint_key(&self, table: TableId, column: &str);
    /// What says which row of the table a model means. `key`: the column that it names. `None`:
    /// that is not known, or the table's rows are only inserted.
    fn identity(&self, table: TableId, key: Option<&str>) -> Option<Identity>;
    /// Copies a row that looks like the last one of its table. `false`: it does not, and nothing
    /// was copied.
    fn copy_alike(&self, table: TableId, row: Elements<'_>, group: &mut Group) -> bool;
    /// The error of a group that passed the buffer's bounds, with so many rows and bytes.
    fn too_large(&self, rows: usize, bytes: usize) -> Error;
    /// Remembers what a row of a table looks like.
    fn remember(&self, shape: &Arc<Shape>, row: Elements<'_>);
}
