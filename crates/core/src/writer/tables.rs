//! What the tables are that rows are written to.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::error::decision::parks;
use crate::error::{Error, Result};
use crate::rows::batch::Batch;
use crate::table::entry::{TableEntry, TableId};
use crate::table::model::TableModel;
use crate::writer::Writer;

impl Writer {
    /// The model of a table, known or read from the sink.
    ///
    /// # Errors
    ///
    /// As [`Sink::model`].
    pub fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<Arc<TableModel>> {
        if let Some(model) = table.model().filter(|_| !table.is_outdated()) {
            return Ok(model);
        }
        let read = self.sink.model(table, deadline);
        if read.as_ref().is_err_and(|error| !error.is_connection()) {
            // It is not what it was.
            table.set_model(None);
        }
        let model = Arc::new(read.map_err(|error| self.printed(error).at_table(&table.name, None))?);
        table.set_model(Some(Arc::clone(&model)));
        Ok(model)
    }

    /// When a look at tables ends that begins now, for a caller who has named no time.
    pub fn look_up_limit(&self) -> Option<Instant> {
        self.clock.now().checked_add(self.sink.look_up_time()?)
    }

    /// Reads tables that are not known, if they are there.
    pub fn read_tables(&mut self, tables: &[Arc<TableEntry>], deadline: Option<Instant>) {
        for table in tables {
            // Whoever writes to it meets the error, too.
            drop(self.model(table, deadline));
        }
    }

    /// Whether a server has to be asked what a table is.
    pub fn asks_server(&self) -> bool {
        self.sink.local_model().is_none()
    }

    /// What the tables were at the last attempt.
    pub fn models(&self) -> &FxHashMap<TableId, Arc<TableModel>> {
        &self.models
    }

    /// Takes the models of all tables. They are held until the plan is made: what rows are bound to
    /// must not change on another thread meanwhile.
    pub(super) fn read_models(&mut self, batches: &[&Batch], deadline: Option<Instant>) -> Result<()> {
        let mut models = FxHashMap::default();
        let mut failed: Vec<(TableId, Error)> = Vec::new();
        for (id, table) in batches.iter().flat_map(|batch| batch.tables()) {
            if models.contains_key(&id) || failed.iter().any(|(other, _)| *other == id) {
                continue;
            }
            match self.model(table, deadline).map_err(Error::after_taking) {
                Ok(model) => drop(models.insert(id, model)),
                // The others are read all the same: what waits behind this table's rows is told by
                // their keys.
                Err(error) if self.parks && parks(&error).is_some() => failed.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        self.models = models;
        failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// The table of an error is read anew for the next plan, and until then nothing is known of it.
    /// If the error has none, all are read anew: a session on another server may differ. Other
    /// tables are read anew only if nobody verifies them when they are written to.
    pub(super) fn forget_models(batches: &[&Batch], error: Option<&Error>) {
        let place = error.filter(|error| !error.is_connection()).and_then(Error::place);
        for (_, table) in batches.iter().flat_map(|batch| batch.tables()) {
            let is_verified = || table.model().is_some_and(|model| model.definition().is_some());
            match place {
                Some(place) if place.table == table.name.to_string() => table.set_model(None),
                Some(_) if is_verified() => {}
                _ => table.outdate(),
            }
        }
    }
}
