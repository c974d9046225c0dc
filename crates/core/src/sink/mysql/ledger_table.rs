//! The table behind the [ledger](crate::ledger): `write_buffer_ledger` in the DSN's database, or
//! the one that the setting `ledgerTable` names.
//!
//! Invariants: a writer's row is there before its first transaction, and each transaction that is
//! entered locks it first ([`LedgerTable::entry_sql`]). So [`LedgerTable::last_entry`], which
//! locks it too, waits for a COMMIT that is still under way.
//!
//! A session that has lost its client without noticing would hold the row for hours, and the
//! question with it: KILL ends it. Nobody else's session is ever killed. Three things must agree:
//! - A dirty read shows the transaction in doubt in the row, with the number of the connection
//!   that was lost.
//! - That number is this writer's own memory. What the row says is only compared with it: others
//!   may write there.
//! - The session of that number [is ours](OwnSessions).
//!
//! Rights: SELECT, INSERT and UPDATE. Without DELETE the rows of dead writers stay.
//!
//! Bounds: a row for each writer that lives, or died within 7 days ([`KEPT_DAYS`]). Whenever a
//! writer begins, at most 1,000 older rows are deleted ([`PRUNED_AT_ONCE`]). The question after a
//! COMMIT without a clear answer waits 5 s for the row ([`LOOKUP_LOCK_WAIT_S`]).

use crate::error::codes;
use crate::ledger::LedgerEntry;
use crate::sink::mysql::own_sessions::{OwnSessions, random_name};
use crate::sink::mysql::sql::{quote_table, text_literal};
use crate::sink::mysql::variables;
use crate::sink::mysql::wire::conn::Conn;
use crate::table::name::TableName;

/// The table's name, unless the settings say another.
pub const NAME: &str = "write_buffer_ledger";
/// Rows of writers that have written nothing for so long are deleted: those writers died without
/// deleting them.
const KEPT_DAYS: u32 = 7;
/// The most rows that are deleted at once.
const PRUNED_AT_ONCE: u32 = 1_000;
/// A COMMIT takes milliseconds. Whatever holds the row for longer is a session that has lost its
/// client.
const LOOKUP_LOCK_WAIT_S: u32 = 5;
/// The columns of the table, and its engine.
const DEFINITION: &str = "(\
     `writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
     `lane` SMALLINT UNSIGNED NOT NULL, \
     `last_transaction` BIGINT UNSIGNED NOT NULL, \
     `connection` BIGINT UNSIGNED NOT NULL, \
     `updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
     PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB";

/// A writer's row in the table.
#[derive(Debug)]
pub struct LedgerTable {
    name: TableName,
    /// Empty until the writer has a name.
    writer: String,
    lane: u16,
    is_registered: bool,
    /// The number of the last transaction that was entered, or was to be.
    last_entered: Option<u64>,
}

impl LedgerTable {
    /// The row of a new writer, which has no name yet.
    pub fn new(name: TableName, lane: u16) -> Self {
        Self {
            name,
            writer: String::new(),
            lane,
            is_registered: false,
            last_entered: None,
        }
    }

    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The statement that makes the table.
    pub fn create_sql(&self) -> String {
        format!("CREATE TABLE IF NOT EXISTS {} {DEFINITION}", self.quoted())
    }

    fn quoted(&self) -> String {
        quote_table(&self.name)
    }

    /// Gives the writer a [random name](random_name), if it has none.
    pub fn name_writer(&mut self) -> Result<(), getrandom::Error> {
        if self.writer.is_empty() {
            self.writer = random_name()?;
        }
        Ok(())
    }

    /// The row is gone from the table.
    pub fn forget_registration(&mut self) {
        self.is_registered = false;
    }

    /// Makes the writer's row, with `after` as its number. Makes the table if it is missing. The
    /// writer must have a name.
    pub fn register(&mut self, conn: &mut Conn, session: u64, after: u64) -> mysql::Result<()> {
        if self.is_registered {
            return Ok(());
        }
        match self.insert(conn, session, after) {
            Ok(()) => {}
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_TABLE => {
                conn.query_drop(self.create_sql())?;
                self.insert(conn, session, after)?;
            }
            Err(error) => return Err(error),
        }
        self.is_registered = true;
        self.prune(conn)
    }

    fn insert(&self, conn: &mut Conn, session: u64, after: u64) -> mysql::Result<()> {
        // An insert without an answer may have left the row behind.
        let Self { writer, lane, .. } = self;
        conn.query_drop(format!(
            "INSERT INTO {} (`writer`, `lane`, `last_transaction`, `connection`) VALUES ('{writer}', {lane}, {after}, {session}) \
             ON DUPLICATE KEY UPDATE `lane` = {lane}",
            self.quoted()
        ))
    }

    /// The statement that enters a transaction, as its first step. It finds one row. If it finds
    /// none, the row is gone, or does not hold `entry.after`.
    pub fn entry_sql(&mut self, entry: LedgerEntry, session: u64) -> String {
        self.last_entered = Some(entry.number);
        let LedgerEntry { after, number } = entry;
        format!(
            "UPDATE {} SET `last_transaction` = {number}, `connection` = {session} WHERE {} AND `last_transaction` = {after}",
            self.quoted(),
            self.is_ours()
        )
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
    ///
    /// `lock_wait_s`: the session's own time for locks.
    pub fn last_entry(
        &self,
        conn: &mut Conn,
        sessions: &OwnSessions,
        lock_wait_s: Option<u64>,
    ) -> mysql::Result<Option<u64>> {
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
            "SELECT `last_transaction` FROM {} WHERE {} FOR UPDATE",
            self.quoted(),
            self.is_ours()
        ));
        if let Err(mysql::Error::MySqlError(error)) = &found
            && error.code == codes::ER_LOCK_WAIT_TIMEOUT
        {
            self.end_lost_session(conn, sessions)?;
        }
        conn.query_drop(format!(
            "SET SESSION innodb_lock_wait_timeout = {}{}",
            lock_wait_s.map_or_else(|| "DEFAULT".to_owned(), |seconds| seconds.to_string()),
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

    /// Ends our own lost session if it holds the row on this server: see the module.
    fn end_lost_session(&self, conn: &mut Conn, sessions: &OwnSessions) -> mysql::Result<()> {
        conn.query_drop("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")?;
        let written: Option<(u64, u64)> = conn.query_first(format!(
            "SELECT `last_transaction`, `connection` FROM {} WHERE {}",
            self.quoted(),
            self.is_ours()
        ))?;
        let in_doubt = (self.last_entered, sessions.number_in_doubt());
        if written.is_some_and(|(entered, session)| in_doubt == (Some(entered), Some(session))) {
            sessions.end_in_doubt(conn)?;
        }
        Ok(())
    }

    /// Deletes the row, at a clean end. Without the right to, it stays.
    pub fn retire(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if self.is_registered {
            let deleted = conn.query_drop(format!("DELETE FROM {} WHERE {}", self.quoted(), self.is_ours()));
            unless_denied(deleted)?;
            self.is_registered = false;
        }
        Ok(())
    }

    /// Whether the row is there, as far as that is known.
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// Deletes rows of dead writers. Reads them without a lock, so as not to wait for a living
    /// writer's transaction. Without the right to delete, they stay.
    fn prune(&self, conn: &mut Conn) -> mysql::Result<()> {
        let table = self.quoted();
        let is_old = format!("`updated_at` < NOW() - INTERVAL {KEPT_DAYS} DAY");
        let old: Vec<(String, u16)> = conn.query(format!(
            "SELECT `writer`, `lane` FROM {table} WHERE {is_old} LIMIT {PRUNED_AT_ONCE}"
        ))?;
        for (writer, lane) in old {
            // Other writers prune, too. What they hold they will delete.
            let writer = text_literal(&writer);
            let deleted = conn.query_drop(format!(
                "DELETE FROM {table} WHERE `writer` = {writer} AND `lane` = {lane} AND {is_old}"
            ));
            if !unless_denied(deleted)? {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a row could be deleted, as far as the account's rights go.
fn unless_denied(deleted: mysql::Result<()>) -> mysql::Result<bool> {
    match deleted {
        Err(mysql::Error::MySqlError(error)) if codes::hides_table(error.code) => Ok(false),
        deleted => deleted.map(|()| true),
    }
}
