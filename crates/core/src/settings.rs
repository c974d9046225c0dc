//! The settings of a buffer, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ledger::LedgerUse;
use crate::table::catalog::Catalog;
use crate::table::rules::TableRules;

/// A buffer's settings. [`Settings::check`] has the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Rows of one table that make the buffer full.
    pub batch_size: usize,
    /// How old the oldest row may grow.
    pub flush_interval: Duration,
    /// Repetitions of a transaction after a lost race.
    pub max_retries: u32,
    /// The table of `add()`'s first parameter.
    pub order_table: String,
    /// The table of `add()`'s second parameter.
    pub trade_table: String,
    /// Rules by table.
    pub tables: Vec<(String, TableRules)>,
    /// Bound of buffered rows.
    pub max_pending_rows: usize,
    /// Bound of buffered bytes.
    pub max_pending_bytes: usize,
    /// What `add()` does where a group does not fit; a foreground buffer flushes instead.
    pub overflow: Overflow,
    /// How long [`Overflow::Block`] waits.
    pub overflow_timeout: Duration,
    /// How long the last flush, at destruction, may take.
    pub shutdown_timeout: Duration,
    /// When transactions are entered in the ledger.
    pub ledger: LedgerUse,
    /// How many flushers write side by side, each over a connection of its own.
    pub lanes: usize,
    /// The column by whose value a group's lane is chosen; `None`: by the key of its first row.
    pub route_by: Option<String>,
    /// Where groups that are given up are written to.
    pub dead_letter_file: Option<PathBuf>,
}

/// What `add()` does where a group does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Wait for room, for a bounded time.
    Block,
    /// Refuse the group at once.
    Throw,
}

impl Overflow {
    /// The name in PHP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Throw => "throw",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            flush_interval: Duration::from_millis(500),
            max_retries: 3,
            order_table: "orders".to_owned(),
            trade_table: "trades".to_owned(),
            tables: Vec::new(),
            max_pending_rows: 100_000,
            max_pending_bytes: 67_108_864,
            overflow: Overflow::Block,
            overflow_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(5),
            ledger: LedgerUse::Auto,
            lanes: 1,
            route_by: None,
            dead_letter_file: None,
        }
    }
}

/// The largest batch: what one transaction takes without hurting the server's redo log and the replicas behind it.
pub const MAX_BATCH_SIZE: usize = 10_000;
/// A day.
pub const MAX_DURATION: Duration = Duration::from_hours(24);
/// Repetitions beyond this help nobody.
pub const MAX_RETRIES: u32 = 100;

impl Settings {
    /// The tables that these settings name.
    ///
    /// # Errors
    ///
    /// A name that is none; a table that needs the ledger, and must not have it.
    pub fn catalog(&self) -> Result<Catalog> {
        let order = [self.order_table.as_str(), self.trade_table.as_str()];
        let catalog = Catalog::new(&order, &self.trade_table, self.tables.clone())?.with_ledger(self.ledger)?;
        Ok(catalog.routed_by(self.route_by.clone()))
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work, by its PHP name.
    pub fn check(&self) -> Result<()> {
        if self.order_table == self.trade_table {
            return Err(Error::config(format!(
                "orderTable and tradeTable are both {:?}: give each table once",
                self.order_table
            )));
        }
        if self.max_pending_rows < self.batch_size {
            return Err(Error::config(format!(
                "maxPendingRows ({}) is smaller than batchSize ({}), so no batch would ever be full",
                self.max_pending_rows, self.batch_size
            )));
        }
        Ok(())
    }
}
