//! The settings of a buffer, checked against each other. The binding checks the bounds of each
//! single setting.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ledger::LedgerUse;
use crate::table::catalog::Catalog;
use crate::table::name::TableName;
use crate::table::rules::TableRules;

/// The dead-letter file of a buffer with a journal, in its directory, unless the settings name one.
pub const DEAD_LETTERS: &str = "dead-letters.jsonl";

/// When what was taken survives the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalSync {
    /// When the system writes it: it survives the process.
    None,
    /// A thread syncs at least this often.
    Interval(Duration),
    /// Before `add()` returns.
    Always,
}

impl JournalSync {
    /// The name in PHP.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Interval(_) => "interval",
            Self::Always => "always",
        }
    }
}

/// A journal's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// The directory.
    pub directory: PathBuf,
    /// When it is synced.
    pub sync: JournalSync,
    /// The most that it takes on the disk, in bytes.
    pub max_bytes: u64,
    /// Where the rows go: the DSN without its password.
    pub dsn: String,
    /// How often a buffer looks there for what dead writers have left.
    pub look_interval: Duration,
}

/// How often a buffer looks for dead writers, unless a test wants it otherwise.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// A buffer's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The number of rows of one table that make a batch full.
    pub batch_size: usize,
    /// The age of the oldest row at which a flush is due.
    pub flush_interval: Duration,
    /// The most repetitions of a transaction after lost races.
    pub max_retries: u32,
    /// The table of `add()`'s first parameter.
    pub order_table: String,
    /// The table of `add()`'s second parameter.
    pub trade_table: String,
    /// Rules by table.
    pub tables: Vec<(String, TableRules)>,
    /// The most rows that are buffered.
    pub max_pending_rows: usize,
    /// The most bytes that are buffered.
    pub max_pending_bytes: usize,
    /// What `add()` does if a group does not fit. A foreground buffer flushes instead.
    pub overflow: Overflow,
    /// The longest wait of [`Overflow::Block`].
    pub overflow_timeout: Duration,
    /// The longest time that the last flush, at destruction, may take.
    pub shutdown_timeout: Duration,
    /// When transactions are entered in the ledger.
    pub ledger: LedgerUse,
    /// The ledger's table.
    pub ledger_table: String,
    /// The number of lanes: flushers that write side by side, each over a connection of its own.
    pub lanes: usize,
    /// The column whose value chooses a group's lane. `None`: they go in runs.
    pub route_by: Option<String>,
    /// How long rows may wait for a table that takes none, until they are given up. Zero: for ever.
    pub park_timeout: Duration,
    /// The most statements that a connection has prepared. 0: none, so rows are sent as text.
    pub max_prepared_statements: usize,
    /// Whether rows stay that cannot be written now. Not in a `SyncWriteBuffer`: it keeps nothing,
    /// so it neither parks nor waits before it tries again.
    pub keeps_rows: bool,
    /// The file for groups that are given up.
    pub dead_letter_file: Option<PathBuf>,
    /// Whether the values of rows that a server quotes are kept out of messages. Failures have
    /// them.
    pub redact_values: bool,
    /// The journal, if what was taken is to survive the process.
    pub journal: Option<JournalSettings>,
}

/// What `add()` does if a group does not fit.
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
            ledger_table: "write_buffer_ledger".to_owned(),
            lanes: 1,
            route_by: None,
            park_timeout: Duration::from_mins(1),
            max_prepared_statements: 32,
            keeps_rows: true,
            dead_letter_file: None,
            redact_values: false,
            journal: None,
        }
    }
}

impl Settings {
    /// The tables that these settings name.
    ///
    /// # Errors
    ///
    /// A table's name that no server takes; a table that needs the ledger while `ledger` is
    /// 'never'.
    pub fn catalog(&self, database: Option<&str>) -> Result<Catalog> {
        let first_tables = [self.order_table.as_str(), self.trade_table.as_str()];
        let mut catalog = Catalog::new(database, &first_tables, &self.trade_table, self.tables.clone())?;
        if catalog.table(&self.order_table)? == catalog.table(&self.trade_table)? {
            return Err(Error::config(format!(
                "orderTable and tradeTable are both {:?}: give each table once",
                self.order_table
            )));
        }
        let catalog = catalog.with_ledger(self.ledger)?;
        Ok(catalog.routed_by(self.route_by.clone()))
    }

    /// The ledger's table.
    ///
    /// # Errors
    ///
    /// A name that no server takes.
    pub fn ledger_table(&self) -> Result<TableName> {
        TableName::parse(&self.ledger_table).map_err(|error| error.context("ledgerTable"))
    }

    /// The same settings, with what a journal needs: each transaction is entered in the ledger, and
    /// failures have a file.
    #[must_use]
    pub fn with_journal_needs(mut self) -> Self {
        if let Some(journal) = &self.journal {
            self.ledger = LedgerUse::Always;
            let file = || journal.directory.join(DEAD_LETTERS);
            self.dead_letter_file = Some(self.dead_letter_file.unwrap_or_else(file));
        }
        self
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work, by its PHP name.
    pub fn check(&self) -> Result<()> {
        if self.max_pending_rows < self.batch_size {
            return Err(Error::config(format!(
                "maxPendingRows ({}) is smaller than batchSize ({}), so no batch would ever be full",
                self.max_pending_rows, self.batch_size
            )));
        }
        if self.journal.is_some() && self.ledger == LedgerUse::Never {
            return Err(Error::config(
                "a journal needs the ledger, which says what of it was committed: leave out ledger: 'never', or leave out journal",
            ));
        }
        Ok(())
    }
}
