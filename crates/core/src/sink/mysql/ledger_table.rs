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
//! A successor knows none of this, so it ends no session of its predecessor. It waits for the
//! predecessor's transaction, and fails if that takes longer than 5 s.
//!
//! Rights: SELECT, INSERT and UPDATE. Without DELETE the rows of dead writers stay.
//!
//! Tables that an earlier version made have no column `position`. A writer without positions never
//! names it, so it goes on with such a table. One with positions adds it, outside a transaction
//! ([`LedgerTable::add_position_column`]).
//!
//! Bounds: a row for each writer that lives, or died within 7 days ([`KEPT_DAYS`]); within 90 days
//! if it left a position ([`KEPT_DAYS_WITH_POSITION`]): somebody may yet go on from there. Whenever
//! a writer begins, at most 1,000 older rows are deleted ([`PRUNED_AT_ONCE`]). The question after a
//! COMMIT without a clear answer waits 5 s for the row ([`LOOKUP_LOCK_WAIT_S`]).

use mysql::Row;

use crate::error::codes;
use crate::ledger::{LedgerEntry, LedgerRow, Position, next_epoch};
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
/// The same for writers that left a position, but for the [last one](Position::END): a machine that
/// was off must find its row.
const KEPT_DAYS_WITH_POSITION: u32 = 90;
/// The most rows that are deleted at once.
const PRUNED_AT_ONCE: u32 = 1_000;
/// A COMMIT takes milliseconds. Whatever holds the row for longer is a session that has lost its
/// client.
const LOOKUP_LOCK_WAIT_S: u32 = 5;
/// How often a row is asked for that its owner changes before it can be taken over.
const TAKE_OVER_TRIES: u32 = 5;
/// The column of the position, which is also in [`DEFINITION`].
const POSITION_COLUMN: &str = "`position` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL";
/// The columns of the table, and its engine.
const DEFINITION: &str = "(\
     `writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
     `lane` SMALLINT UNSIGNED NOT NULL, \
     `last_transaction` BIGINT UNSIGNED NOT NULL, \
     `position` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, \
     `connection` BIGINT UNSIGNED NOT NULL, \
     `updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
     PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB";

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is this writer's, by a name that nobody else knows.
    Private,
    /// It is this writer's, by a name from outside.
    Named,
    /// It was another process's.
    TakenOver,
}

/// A writer's row in the table.
#[derive(Debug)]
pub struct LedgerTable {
    name: TableName,
    /// Empty until the writer has a name.
    writer: String,
    lane: u16,
    origin: Origin,
    is_registered: bool,
    /// The table is known to have the column `position`.
    has_positions: bool,
    /// The number of the last transaction that was entered, or was to be.
    last_entered: Option<u64>,
    /// From this number on the row is a successor's.
    end: Option<u64>,
}

impl LedgerTable {
    /// The row of a new writer, which has no name yet.
    pub fn new(name: TableName, lane: u16) -> Self {
        Self {
            name,
            writer: String::new(),
            lane,
            origin: Origin::Private,
            is_registered: false,
            has_positions: false,
            last_entered: None,
            end: None,
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

    /// The statement that adds the column of the position to a table of an earlier version.
    pub fn add_position_sql(&self) -> String {
        format!(
            "ALTER TABLE {} ADD COLUMN {POSITION_COLUMN} AFTER `last_transaction`",
            self.quoted()
        )
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

    /// Gives the row a name from outside, which was checked. Returns whether it comes in time.
    pub fn use_writer(&mut self, writer: &str, lane: u16) -> bool {
        if self.last_entered.is_some() {
            return false;
        }
        writer.clone_into(&mut self.writer);
        self.lane = lane;
        self.origin = Origin::Named;
        self.is_registered = false;
        self.end = None;
        true
    }

    /// The writer's name. Empty: it has none yet.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Whether the table is known to have the column `position`.
    pub fn has_positions(&self) -> bool {
        self.has_positions
    }

    /// Whether others may know the writer's name.
    pub fn is_named(&self) -> bool {
        self.origin != Origin::Private
    }

    /// The row is gone from the table, or the table is another one.
    pub fn forget_registration(&mut self) {
        self.is_registered = false;
        self.has_positions = false;
    }

    /// Makes the writer's row, with `after` as its number and a position. Makes the table if it is
    /// missing. The writer must have a name. For a position the table [must have its
    /// column](Self::add_position_column), if it is there.
    pub fn register(
        &mut self,
        conn: &mut Conn,
        session: u64,
        after: u64,
        position: Option<Position>,
    ) -> mysql::Result<()> {
        if self.is_registered {
            return Ok(());
        }
        // An insert without an answer may have left the row behind.
        let or_else = format!("ON DUPLICATE KEY UPDATE `lane` = {}", self.lane);
        self.insert(conn, session, after, position, &or_else)?;
        self.registered(after);
        self.prune(conn)
    }

    /// Makes the row that was not there to be taken over. Returns its number. `None`: it is there
    /// now.
    pub fn register_successor(&mut self, conn: &mut Conn, session: u64) -> mysql::Result<Option<u64>> {
        let Some(number) = next_epoch(0) else { return Ok(None) };
        match self.insert(conn, session, number, None, "") {
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_DUP_ENTRY => return Ok(None),
            made => made?,
        }
        self.origin = Origin::TakenOver;
        self.registered(number);
        Ok(Some(number))
    }

    fn registered(&mut self, number: u64) {
        self.is_registered = true;
        self.end = next_epoch(number);
    }

    /// Inserts the row. Makes the table if it is missing.
    fn insert(
        &self,
        conn: &mut Conn,
        session: u64,
        after: u64,
        position: Option<Position>,
        or_else: &str,
    ) -> mysql::Result<()> {
        let Self { writer, lane, .. } = self;
        let (column, value) =
            position.map_or_else(Default::default, |position| (", `position`", format!(", '{position}'")));
        let insert = format!(
            "INSERT INTO {} (`writer`, `lane`, `last_transaction`, `connection`{column}) VALUES ('{writer}', {lane}, {after}, {session}{value}) {or_else}",
            self.quoted()
        );
        match conn.query_drop(&insert) {
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_TABLE => {
                conn.query_drop(self.create_sql())?;
                conn.query_drop(insert)
            }
            inserted => inserted,
        }
    }

    /// Adds the column `position` to a table that an earlier version made. Asks only once.
    pub fn add_position_column(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if self.has_positions {
            return Ok(());
        }
        let question = format!("SELECT `position` FROM {} LIMIT 0", self.quoted());
        let has_column = |conn: &mut Conn| conn.query::<Row>(&question).map(drop);
        match has_column(conn) {
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_BAD_FIELD_ERROR => {
                // Another writer may be faster.
                let added = conn.query_drop(self.add_position_sql());
                if added.is_err() && has_column(conn).is_err() {
                    return added;
                }
            }
            asked => asked?,
        }
        self.has_positions = true;
        Ok(())
    }

    /// The statement that enters a transaction, as its first step. It finds one row. If it finds
    /// none, the row is gone, or does not hold `entry.after`. For a position the table [must have
    /// its column](Self::add_position_column).
    pub fn entry_sql(&mut self, entry: LedgerEntry, session: u64) -> String {
        self.last_entered = Some(entry.number);
        self.set_number_sql(entry, session)
    }

    fn set_number_sql(&self, entry: LedgerEntry, session: u64) -> String {
        let LedgerEntry {
            after,
            number,
            position,
        } = entry;
        let position = position.map_or_else(String::new, |position| format!(", `position` = '{position}'"));
        format!(
            "UPDATE {} SET `last_transaction` = {number}, `connection` = {session}{position} WHERE {} AND `last_transaction` = {after}",
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

    /// The row, once no transaction that is entered in it is under way any more. `None`: it is
    /// gone.
    /// Has the position if the table is known to have its column.
    ///
    /// A session of ours that has lost its client without noticing holds the row until its
    /// time-outs are over: it is ended.
    ///
    /// `lock_wait_s`: the session's own time for locks.
    pub fn last_entry(
        &self,
        conn: &mut Conn,
        sessions: &OwnSessions,
        lock_wait_s: Option<u64>,
    ) -> mysql::Result<Option<LedgerRow>> {
        Self::with_patience(conn, lock_wait_s, |conn| self.ask(conn, sessions))
    }

    /// Takes the row over from whoever wrote it, by the number of a later epoch.
    ///
    /// The number that was found is compared as it is set, in one statement. So the position that
    /// was found with it holds: each transaction that sets another one sets another number.
    pub fn take_over(
        &mut self,
        conn: &mut Conn,
        sessions: &OwnSessions,
        lock_wait_s: Option<u64>,
    ) -> mysql::Result<TakeOver> {
        let taken = Self::with_patience(conn, lock_wait_s, |conn| {
            for _ in 0..TAKE_OVER_TRIES {
                let Some(found) = self.ask(conn, sessions)? else {
                    return Ok(TakeOver::NoRow);
                };
                let Some(number) = next_epoch(found.number) else {
                    return Ok(TakeOver::NoEpoch);
                };
                let entry = LedgerEntry {
                    after: found.number,
                    number,
                    position: None,
                };
                if conn.query_changes(self.set_number_sql(entry, sessions.number()))? == 1 {
                    return Ok(TakeOver::Taken(LedgerRow { number, ..found }));
                }
            }
            Ok(TakeOver::IsInUse)
        })?;
        if let TakeOver::Taken(row) = &taken {
            self.origin = Origin::TakenOver;
            self.registered(row.number);
        }
        Ok(taken)
    }

    /// Runs questions with the time for locks that a COMMIT needs, and after all that a cluster's
    /// other nodes have committed.
    fn with_patience<R>(
        conn: &mut Conn,
        lock_wait_s: Option<u64>,
        ask: impl FnOnce(&mut Conn) -> mysql::Result<R>,
    ) -> mysql::Result<R> {
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
        let answer = ask(conn);
        conn.query_drop(format!(
            "SET SESSION innodb_lock_wait_timeout = {}{}",
            lock_wait_s.map_or_else(|| "DEFAULT".to_owned(), |seconds| seconds.to_string()),
            if waits_for_cluster {
                ", SESSION wsrep_sync_wait = DEFAULT"
            } else {
                ""
            }
        ))?;
        answer
    }

    /// See [`Self::last_entry`].
    fn ask(&self, conn: &mut Conn, sessions: &OwnSessions) -> mysql::Result<Option<LedgerRow>> {
        let position = if self.has_positions { "`position`" } else { "NULL" };
        let found = conn.query_first(format!(
            "SELECT `last_transaction`, {position} FROM {} WHERE {} FOR UPDATE",
            self.quoted(),
            self.is_ours()
        ));
        match found {
            // The table is gone, and every row with it.
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_TABLE => Ok(None),
            Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_LOCK_WAIT_TIMEOUT => {
                self.end_lost_session(conn, sessions)?;
                Err(mysql::Error::MySqlError(error))
            }
            found => Ok(found?.map(|(number, position)| LedgerRow { number, position })),
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

    /// Ends the row, at a clean end: see [`Sink::retire`](crate::sink::Sink::retire).
    pub fn retire(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        self.end_rows(conn, &self.is_ours())
    }

    /// The same for the rows of all lanes under the writer's name.
    pub fn retire_all(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        self.end_rows(conn, &format!("`writer` = '{}'", self.writer))
    }

    fn end_rows(&mut self, conn: &mut Conn, rows: &str) -> mysql::Result<()> {
        if !self.is_registered {
            return Ok(());
        }
        let table = self.quoted();
        // What a successor has taken over meanwhile is none of ours.
        let are_ours = match self.end.filter(|_| self.is_named()) {
            Some(end) => format!("{rows} AND `last_transaction` < {end}"),
            None => rows.to_owned(),
        };
        if self.origin == Origin::TakenOver {
            self.add_position_column(conn)?;
            let end = Position::END;
            conn.query_drop(format!("UPDATE {table} SET `position` = '{end}' WHERE {are_ours}"))?;
        } else {
            // Without the right to, they stay.
            unless_denied(conn.query_drop(format!("DELETE FROM {table} WHERE {are_ours}")))?;
        }
        self.is_registered = false;
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
        let is_older = |days: u32| format!("`updated_at` < NOW() - INTERVAL {days} DAY");
        let mut is_old = is_older(KEPT_DAYS);
        let old_rows =
            |is_old: &str| format!("SELECT `writer`, `lane` FROM {table} WHERE {is_old} LIMIT {PRUNED_AT_ONCE}");
        let mut old: Vec<(String, u16)> = conn.query(old_rows(&is_old))?;
        // An earlier version's table has no positions. It is not looked at without a need.
        let has_positions = !old.is_empty()
            && conn
                .query_first::<Row>(format!("SHOW COLUMNS FROM {table} LIKE 'position'"))?
                .is_some();
        if has_positions {
            is_old = format!(
                "{is_old} AND (`position` IS NULL OR `position` = '{}' OR {})",
                Position::END,
                is_older(KEPT_DAYS_WITH_POSITION)
            );
            old = conn.query(old_rows(&is_old))?;
        }
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

/// What became of the wish to [take a row over](LedgerTable::take_over).
#[derive(Debug)]
pub enum TakeOver {
    /// It is done.
    Taken(LedgerRow),
    /// There is no such row.
    NoRow,
    /// Its owner lives, and writes faster.
    IsInUse,
    /// There are no later epochs.
    NoEpoch,
}

/// Whether a row could be deleted, as far as the account's rights go.
fn unless_denied(deleted: mysql::Result<()>) -> mysql::Result<bool> {
    match deleted {
        Err(mysql::Error::MySqlError(error)) if codes::hides_table(error.code) => Ok(false),
        deleted => deleted.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> LedgerTable {
        let mut table = LedgerTable::new(TableName::of_parts(None, "ledger"), 2);
        table.name_writer().expect("random numbers");
        table
    }

    fn entry(position: Option<Position>) -> LedgerEntry {
        LedgerEntry {
            after: 3,
            number: 4,
            position,
        }
    }

    #[test]
    fn an_entry_names_the_column_of_the_position_only_if_it_has_one() {
        let mut table = table();
        let writer = table.writer().to_owned();
        assert_eq!(
            table.entry_sql(entry(None), 7),
            format!(
                "UPDATE `ledger` SET `last_transaction` = 4, `connection` = 7 WHERE `writer` = '{writer}' AND `lane` = 2 AND \
                 `last_transaction` = 3"
            )
        );
        let with_position = table.entry_sql(entry(Some(Position::END)), 7);
        let set = format!("`connection` = 7, `position` = '{}' WHERE", Position::END);
        assert!(with_position.contains(&set), "{with_position}");
    }

    #[test]
    fn a_table_that_is_made_and_one_that_is_altered_have_the_same_column() {
        assert!(table().create_sql().contains(POSITION_COLUMN));
        assert!(table().add_position_sql().contains(POSITION_COLUMN));
    }

    #[test]
    fn a_writer_is_called_from_outside_before_it_enters_anything() {
        let mut table = table();
        assert!(table.use_writer("one", 0) && table.use_writer("other", 1));
        table.entry_sql(entry(None), 7);
        assert!(!table.use_writer("late", 0));
        assert_eq!((table.writer(), table.lane), ("other", 1));
    }
}
