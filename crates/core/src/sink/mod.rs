//! Owns where transactions go: the [`Sink`] trait, with [`mysql`] for servers and [`memory`] for
//! tests without one.
//!
//! Invariants:
//! - A transaction is committed whole or not at all. An error says which, or that this is unknown.
//! - A sink does not repeat a transaction: the writer does.
//!
//! Bounds: one connection a sink, and no wait longer than the caller's deadline or the DSN's
//! time-outs, apart from the look-up of a host's name (see [`mysql`]).

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::ledger::{LedgerEntry, LedgerRow, Position};
use crate::plan::Plan;
use crate::plan::limits::Limits;
use crate::table::entry::TableEntry;
use crate::table::model::TableModel;

pub mod memory;
pub mod memory_ledger;
pub mod mysql;

/// Binds a table's rules without a server.
pub type LocalModel = fn(&TableEntry) -> Result<TableModel>;

/// Where a sink writes to: its `Display` is for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The servers: a host and its port, or a socket's path.
    pub servers: Vec<String>,
    /// The database on them.
    pub database: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{server}/{}", self.database)?;
        }
        Ok(())
    }
}

/// A place that takes whole transactions.
///
/// An implementation has at most one connection, opens it when it is first needed, and drops it
/// after any error that leaves its state in doubt.
pub trait Sink: Send {
    /// The database of tables that are named without one.
    fn database(&self) -> Option<&str> {
        None
    }

    /// Where it writes to. `None`: to no server.
    fn place(&self) -> Option<Place> {
        None
    }

    /// Whether there is a connection now.
    fn is_connected(&self) -> bool {
        true
    }

    /// From now on no statement waits long for a lock. So a table that somebody has locked holds up
    /// no other one.
    fn wait_briefly_for_locks(&mut self) {}

    /// The buffer ends: statements wait for locks as long as the server has them, which is safer
    /// where only the end's time counts.
    fn wait_patiently_for_locks(&mut self) {}

    /// The server's own time-out for locks.
    fn own_lock_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// How long a caller waits who asks for definitions of tables and has named no time. `None`: as
    /// long as it takes.
    fn look_up_time(&self) -> Option<Duration> {
        None
    }

    /// Connects if needed, and returns what the server takes at once.
    ///
    /// # Errors
    ///
    /// No server, a refused login, or the deadline is over.
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits>;

    /// Binds a table's rules to what the server says of it.
    ///
    /// # Errors
    ///
    /// As [`Self::limits`]; no such table; rules that the table cannot keep.
    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel>;

    /// How a table's rules are bound without a server, if the sink needs none. Then rows are
    /// checked as they are added.
    fn local_model(&self) -> Option<LocalModel> {
        None
    }

    /// Executes a plan as one transaction: all of it is committed, or nothing. With an `entry`, the
    /// transaction writes it into the [ledger](crate::ledger) as its first step.
    ///
    /// Asks `may_commit` when all is written, right before COMMIT. If it says no, nothing is
    /// committed, and the error is [`Error::taken_back`].
    ///
    /// # Errors
    ///
    /// The server's, with nothing committed; except an error that [is
    /// unknown](crate::error::decision::Decision::CommitUnknown).
    /// [Moved](crate::error::Kind::LedgerMoved): the ledger does not hold `entry.after`.
    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()>;

    /// How many rows of the last transaction that [`Self::commit`] wrote have a guard and changed
    /// nothing: the row that was there is newer, or the same. Known before COMMIT, so also if its
    /// answer is lost.
    fn stale_rows(&self) -> usize {
        0
    }

    /// Gives the writer's row in the ledger a name from outside, and a lane, so that a successor
    /// can find it. Without it the writer has a name that nobody else knows.
    ///
    /// May be called again for another row, until a transaction was entered.
    ///
    /// # Errors
    ///
    /// [Config](crate::error::Kind::Config): a name that [is
    /// none](crate::ledger::check_writer_name), or it comes too late.
    fn use_writer(&mut self, _writer: &str, _lane: u16) -> Result<()> {
        Ok(())
    }

    /// Makes the writer's row in the ledger, with `after` as its number and `position` as the
    /// last that was committed, if it is not there yet.
    ///
    /// # Errors
    ///
    /// As [`Self::limits`]; [config](crate::error::Kind::Config): there is no ledger, and the
    /// account may not make it.
    fn register(&mut self, after: u64, position: Option<Position>, deadline: Option<Instant>) -> Result<()>;

    /// The writer's row is gone: the next [`Self::register`] makes it anew.
    fn forget_registration(&mut self);

    /// The writer's row in the ledger, once no transaction that is entered in it is under way any
    /// more. `None`: the row is gone.
    ///
    /// # Errors
    ///
    /// As [`Self::limits`].
    fn last_entry(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>>;

    /// Takes the place of another process that wrote under this [name](Self::use_writer): as
    /// [`Self::last_entry`], and begins a [later epoch](crate::ledger::next_epoch) in the row. From
    /// then on that process can commit nothing more, should it live. Returns the row as it is
    /// afterwards. `None`: there is no such row.
    ///
    /// After an error it may be done or not. Doing it again is harmless.
    ///
    /// Whoever writes groups of several lanes takes over the rows of all of them, so that none of
    /// them can go on, and enters in a [row of its own](crate::ledger::SUCCESSOR_LANE), taken over
    /// last.
    ///
    /// # Errors
    ///
    /// As [`Self::limits`]. A lock wait time-out (1205): a transaction of that process is still
    /// open.
    fn take_over(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        Ok(None)
    }

    /// Makes the row that [`Self::take_over`] did not find, without a position, for a process that
    /// had not entered anything when it was taken for dead. Should it live, it finds that its place
    /// is taken. `None`: the row is there now, so it has to be taken over.
    ///
    /// # Errors
    ///
    /// As [`Self::register`].
    fn register_successor(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        Err(Error::config("there is no ledger here"))
    }

    /// Ends the writer's row, if that can be done at once. Otherwise the row stays, and is pruned
    /// later.
    ///
    /// A row of this process's own is deleted. One that was [taken over](Self::take_over) stays for
    /// a week, at [the end](Position::END): its first owner may yet wake up, and must not find its
    /// place free.
    fn retire(&mut self, deadline: Instant);

    /// As [`Self::retire`], for the rows of all lanes under the writer's name.
    fn retire_all(&mut self, deadline: Instant) {
        self.retire(deadline);
    }

    /// Ends the connection, if there is one, outside a transaction. The next use opens another one.
    fn disconnect(&mut self) {}

    /// How many connections were opened.
    fn connects(&self) -> u64;
}
