//! The table behind the [ledger](crate::ledger): `write_buffer_ledger`, in the DSN's database.
//!
//! Invariants: a writer's row is there before its first transaction, and each transaction that is
//! entered locks it first ([`LedgerTable::entry_sql`]). So [`LedgerTable::last_entry`], which locks
//! it too, waits for a COMMIT that is still under way.
//!
//! The row also holds the writer's connection number. A session that has lost its client without
//! noticing would hold the row for hours. A dirty read shows its number: if that is our own lost
//! connection, KILL ends it.
//!
//! Bounds: a row for each writer that lives, or died within 7 days ([`KEPT_DAYS`]). Whenever a
//! writer begins, at most 1,000 older rows are deleted ([`PRUNED_AT_ONCE`]). The question after a
//! COMMIT without a clear answer waits 5 s for the row ([`LOOKUP_LOCK_WAIT_S`]).

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::error::codes;
use crate::ledger::LedgerEntry;
use crate::sink::mysql::variables;

/// The table's name.
pub const NAME: &str = "write_buffer_ledger";
/// Rows of writers that have written nothing for so long are deleted: those writers died without
/// deleting them.
const KEPT_DAYS: u32 = 7;
/// The most rows that are deleted at once.
const PRUNED_AT_ONCE: u32 = 1_000;
/// A COMMIT takes milliseconds. Whatever holds the row for longer is a session that has lost its
/// client.
const LOOKUP_LOCK_WAIT_S: u32 = 5;
/// The statement that makes the table.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS `write_buffer_ledger` (\
     `writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
     `lane` SMALLINT UNSIGNED NOT NULL, \
     `last_transaction` BIGINT UNSIGNED NOT NULL, \
     `connection` BIGINT UNSIGNED NOT NULL, \
     `updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
     PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB";

/// A writer's row in the table.
#[derive(Debug)]
pub struct LedgerTable {
    /// Empty until the writer has a name.
    writer: String,
    lane: u16,
    is_registered: bool,
    /// The server's number of the connection, once it was read.
    connection: Option<u64>,
    /// The number of the last connection that was lost. It may still hold locks.
    lost_connection: Option<u64>,
    /// The number of the last transaction that was entered, or was to be.
    last_entered: Option<u64>,
}

impl LedgerTable {
    /// The row of a new writer, which has no name yet.
    pub fn new(lane: u16) -> Self {
        Self {
            writer: String::new(),
            lane,
            is_registered: false,
            connection: None,
            lost_connection: None,
            last_entered: None,
        }
    }

    /// Names the writer by the system's random numbers. No two processes share a name, not even a
    /// parent and its forked child.
    pub fn name_writer(&mut self) -> Result<(), getrandom::Error> {
        if self.writer.is_empty() {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            self.writer = format!("{:032x}", u128::from_le_bytes(bytes));
        }
        Ok(())
    }

    /// The connection is gone.
    pub fn connection_lost(&mut self) {
        self.lost_connection = self.connection.take().or(self.lost_connection);
    }

    /// The row is gone from the table.
    pub fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    /// Makes the writer's row, with `after` as its number. Makes the table if it is missing. The
    /// writer must have a name.
    pub fn register(&mut self, conn: &mut Conn, after: u64) -> mysql::Result<()> {
        if self.connection.is_none() {
            self.connection = conn.query_first("SELECT CONNECTION_ID()")?;
        }
        if self.is_registered {
            return Ok(());
        }
        match self.insert(conn, after) {
            Ok(()) => {}
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_TABLE => {
                conn.query_drop(CREATE)?;
                self.insert(conn, after)?;
            }
            Err(error) => return Err(error),
        }
        self.is_registered = true;
        prune(conn)
    }

    fn insert(&self, conn: &mut Conn, after: u64) -> mysql::Result<()> {
        // An insert without an answer may have left the row behind.
        let Self { writer, lane, .. } = self;
        conn.query_drop(format!(
            "INSERT INTO `{NAME}` (`writer`, `lane`, `last_transaction`, `connection`) VALUES ('{writer}', {lane}, {after}, {}) \
             ON DUPLICATE KEY UPDATE `lane` = {lane}",
            self.connection_id()
        ))
    }

    fn connection_id(&self) -> u64 {
        self.connection.unwrap_or_default()
    }

    /// The statement that enters a transaction, as its first step. It finds one row. If it finds
    /// none, the row is gone, or does not hold `entry.after`.
    pub fn entry_sql(&mut self, entry: LedgerEntry) -> String {
        self.last_entered = Some(entry.number);
        let LedgerEntry { after, number } = entry;
        format!(
            "UPDATE `{NAME}` SET `last_transaction` = {number}, `connection` = {} WHERE {} AND `last_transaction` = {after}",
            self.connection_id(),
            self.is_ours()
        )
    }

    /// Whether the next transaction can be entered over this connection.
    pub fn is_ready(&self) -> bool {
        self.is_registered && self.connection.is_some()
    }

    fn is_ours(&self) -> String {
        format!("`writer` = '{}' AND `lane` = {}", self.writer, self.lane)
    }

    /// Whether the server says that it is a replica: what it knows of a transaction may be old.
    pub fn is_on_replica(conn: &mut Conn) -> mysql::Result<bool> {
        let read_only: Option<String> = conn.query_first("SELECT @@GLOBAL.read_only")?;
        Ok(read_only.is_some_and(|read_only| !variables::takes_writes(&read_only)))
    }

    /// The number of the last transaction that was committed, once none is under way any more.
    /// `None`: the row is gone.
    ///
    /// A session that has lost its client without noticing holds the row until its time-outs are
    /// over: it is ended.
    pub fn last_entry(&self, conn: &mut Conn) -> mysql::Result<Option<u64>> {
        // On a Galera cluster this waits until what other nodes have committed has arrived here:
        // <https://mariadb.com/kb/en/galera-cluster-system-variables/#wsrep_sync_wait>.
        let galera: Option<(String, String)> = conn.query_first("SHOW VARIABLES LIKE 'wsrep_on'")?;
        let waits_for_cluster = galera.is_some_and(|(_, is_on)| is_on.eq_ignore_ascii_case("ON"));
        conn.query_drop(format!(
            "SET SESSION innodb_lock_wait_timeout = {LOOKUP_LOCK_WAIT_S}{}",
            if waits_for_cluster {
                ", SESSION wsrep_sync_wait = 15"
            } else {
                ""
            }
        ))?;
        let found = conn.query_first(format!(
            "SELECT `last_transaction` FROM `{NAME}` WHERE {} FOR UPDATE",
            self.is_ours()
        ));
        if let Err(mysql::Error::MySqlError(error)) = &found
            && error.code == codes::ER_LOCK_WAIT_TIMEOUT
        {
            self.end_lost_session(conn)?;
        }
        conn.query_drop(format!(
            "SET SESSION innodb_lock_wait_timeout = DEFAULT{}",
            if waits_for_cluster {
                ", SESSION wsrep_sync_wait = DEFAULT"
            } else {
                ""
            }
        ))?;
        match found {
            // The table is gone, and every row with it.
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_TABLE => Ok(None),
            found => found,
        }
    }

    /// Ends our own lost session if it holds the row on this server. What it wrote there, and has
    /// not committed, shows that it does: the number of the transaction in doubt, and its own.
    /// After a restart of the server, or on another one, that number is not there, and the
    /// connection of the same number is somebody else's.
    fn end_lost_session(&self, conn: &mut Conn) -> mysql::Result<()> {
        conn.query_drop("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")?;
        let written: Option<(u64, u64)> = conn.query_first(format!(
            "SELECT `last_transaction`, `connection` FROM `{NAME}` WHERE {}",
            self.is_ours()
        ))?;
        let is_ours =
            |(number, holder): &(u64, u64)| Some(*number) == self.last_entered && Some(*holder) == self.lost_connection;
        match written.filter(is_ours) {
            None => Ok(()),
            Some((_, holder)) => match conn.query_drop(format!("KILL CONNECTION {holder}")) {
                Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_THREAD => Ok(()),
                ended => ended,
            },
        }
    }

    /// Deletes the row, at a clean end.
    pub fn retire(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if self.is_registered {
            conn.query_drop(format!("DELETE FROM `{NAME}` WHERE {}", self.is_ours()))?;
            self.is_registered = false;
        }
        Ok(())
    }

    /// Whether the row is there, as far as that is known.
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }
}

/// Deletes rows of dead writers. Reads them without a lock, so as not to wait for a living writer's
/// transaction.
fn prune(conn: &mut Conn) -> mysql::Result<()> {
    let is_old = format!("`updated_at` < NOW() - INTERVAL {KEPT_DAYS} DAY");
    let old: Vec<(String, u16)> = conn.query(format!(
        "SELECT `writer`, `lane` FROM `{NAME}` WHERE {is_old} LIMIT {PRUNED_AT_ONCE}"
    ))?;
    for (writer, lane) in old {
        // Other writers prune, too. What they hold they will delete.
        conn.exec_drop(
            format!("DELETE FROM `{NAME}` WHERE `writer` = ? AND `lane` = ? AND {is_old}"),
            (writer, lane),
        )?;
    }
    Ok(())
}
