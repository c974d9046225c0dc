//! Where batches go.

use std::time::Instant;

use crate::catalog::TableEntry;
use crate::error::Result;
use crate::plan::{Limits, Plan};
use crate::table::TableModel;

mod connect;
pub mod memory;
pub mod mysql;
mod schema;

/// Binds a table's rules without a server.
pub type LocalModel = fn(&TableEntry) -> Result<TableModel>;

/// A place that takes whole transactions.
///
/// An implementation holds at most one connection, opens it when it is first needed, and throws it away after any
/// error that leaves its state in doubt.
pub trait Sink: Send {
    /// Connects where needed, and says what the server takes at once.
    ///
    /// # Errors
    ///
    /// No server, a refused login, or the deadline.
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits>;

    /// Binds a table's rules to what the server says of it.
    ///
    /// # Errors
    ///
    /// As [`Self::limits`]; no such table; rules that the table cannot keep.
    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel>;

    /// Where the sink needs no server to bind a table's rules: how. Then rows are checked as they are added.
    fn local_model(&self) -> Option<LocalModel> {
        None
    }

    /// Executes a plan as one transaction: all of it is committed, or nothing.
    ///
    /// # Errors
    ///
    /// Whatever the server answers, with nothing committed; except an error that
    /// [is unknown](crate::error::Error::is_commit_unknown).
    fn commit(&mut self, plan: &Plan<'_>, deadline: Option<Instant>) -> Result<()>;

    /// How often a connection was opened.
    fn connects(&self) -> u64;

    /// Forgets the connection without a word to the server: in a forked child it is the parent's.
    fn abandon(&mut self);
}
