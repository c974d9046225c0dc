//! Whether a statement without an answer waits for a lock that somebody else holds.
//!
//! Servers count their waits for locks in whole seconds, and meanwhile the rows of other tables
//! wait behind it. So a statement that has no answer for a while is looked at from a second
//! session. If it waits for a lock it is given up: the second session goes on in the place of the
//! first one, and ends that by KILL ([`own_sessions`](super::own_sessions)). A statement that is
//! merely slow goes on.
//!
//! What a server says of another session:
//! - `PROCESSLIST` shows a wait for a table, and needs no right for an account's own sessions. Amid
//!   a trigger a session is its definer's, and does not show.
//!   <https://dev.mysql.com/doc/refman/8.4/en/general-thread-states.html>,
//!   <https://mariadb.com/kb/en/general-thread-states/>.
//! - `INNODB_TRX` shows a wait for a row, to an account with the right PROCESS. It is a copy, which
//!   may be too old; then the report of InnoDB says the same. Without the right a row is
//!   waited for as long as the server has it: that *somebody* waits, which anybody may see
//!   (`Innodb_row_lock_current_waits`), would have a table that is slow taken for one that is
//!   locked, each time.
//!   <https://dev.mysql.com/doc/refman/8.4/en/information-schema-innodb-trx-table.html>,
//!   <https://mariadb.com/kb/en/information-schema-innodb_trx-table/>.
//!
//! Invariants:
//! - A statement is given up only if the server says that this session waits for a lock. What
//!   cannot be asked is taken for slow: there is no second connection, its answer takes too long, a
//!   proxy sends it to another server.
//! - A table is waited for all the longer, the longer no row of it was written for a lock: a tenth
//!   of that time, up to the session's own time-out. So locks that come one after the other do not
//!   keep its rows out for ever.
//!
//! Bounds: the first look after 100 ms ([`FIRST_LOOK`]), half a second for it ([`LOOK_TIME`]);
//! after looks in vain none for up to 2 s, or up to a minute if the server could not be asked
//! ([`VAIN_PAUSE`], [`FAILED_PAUSE`]); 64 tables ([`TABLES_MAX`]).

use std::time::{Duration, Instant};

use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::connector::Connector;
use crate::sink::mysql::own_sessions::{OwnSessions, Session};
use crate::sink::mysql::wire::conn::Conn;
use crate::table::name::TableName;

/// After so long without an answer the server is asked. Few statements take as long, and rows
/// behind them are not late yet.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// The time to connect and to ask. The answer may come meanwhile, and is not taken then.
const LOOK_TIME: Duration = Duration::from_millis(500);
/// After a look that found no lock there is none for so long, and each time for twice as long, up
/// to the second time: a connection a statement would cost more than it saves where all are slow.
const VAIN_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// The same if the server could not be asked: it is too far away, or has no connection left.
const FAILED_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// A look in vain that comes no later than that after it might have come follows on the last one.
const IN_A_ROW: Duration = Duration::from_secs(1);
/// Locks of a table that come within that time are one.
const SAME_LOCK: Duration = Duration::from_secs(10);
/// More tables than are locked at a time.
const TABLES_MAX: usize = 64;
/// What a server says of a session that waits for a table.
const TABLE_LOCK_STATE: &str = "Waiting for table metadata lock";
/// What a server says of a transaction that waits for a row.
const ROW_LOCK_STATE: &str = "LOCK WAIT";
/// The lines of a transaction in a report before its statement, which may say anything.
const TRANSACTION_HEAD_LINES: usize = 4;

/// How a lock was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The session waits for the table.
    Table,
    /// The session waits for a row.
    Row,
}

/// A table that is locked.
#[derive(Debug)]
struct LockedTable {
    name: TableName,
    since: Instant,
    /// When it was seen last.
    seen: Instant,
}

/// What a sink remembers of looks.
#[derive(Debug, Default)]
pub struct LockWatch {
    /// The longest wait, if there are looks at all.
    longest: Option<Duration>,
    locked: Vec<LockedTable>,
    /// No look before that.
    next_look: Option<Instant>,
    /// The pause after the last look, if it found no lock.
    pause: Duration,
    /// The connection from which a statement was seen to wait.
    successor: Option<Connection>,
}

impl LockWatch {
    /// Looks at statements from now on. `longest`: the sessions' own time-out for locks.
    pub fn start(&mut self, longest: Duration) {
        self.longest = Some(longest);
    }

    /// Looks at none from now on.
    pub fn stop(&mut self) {
        self.longest = None;
    }

    /// How long a statement that writes to a table is waited for until the next look. `None`: as
    /// long as the server has it wait.
    fn patience(&self, table: &TableName, now: Instant) -> Option<Duration> {
        let longest = self.longest?;
        let paused_for = self
            .next_look
            .map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        let found = self.locked.iter().find(|locked| locked.name == *table);
        let locked_for = found.map_or(Duration::ZERO, |locked| now.saturating_duration_since(locked.since));
        let patience = FIRST_LOOK.max(locked_for / 10).max(paused_for);
        (patience < longest).then_some(patience)
    }

    fn note_locked(&mut self, table: &TableName, now: Instant) {
        self.pause = Duration::ZERO;
        self.locked
            .retain(|locked| now.saturating_duration_since(locked.seen) < SAME_LOCK);
        if let Some(locked) = self.locked.iter_mut().find(|locked| locked.name == *table) {
            locked.seen = now;
        } else if self.locked.len() < TABLES_MAX {
            self.locked.push(LockedTable {
                name: table.clone(),
                since: now,
                seen: now,
            });
        }
    }

    /// Rows of these tables were committed: nobody has locked them.
    pub fn note_written<'t>(&mut self, tables: impl Iterator<Item = &'t TableName>) {
        if !self.locked.is_empty() {
            let written: Vec<_> = tables.collect();
            self.locked.retain(|locked| !written.contains(&&locked.name));
        }
    }

    /// A look found no lock.
    fn pause(&mut self, (shortest, longest): (Duration, Duration), now: Instant) {
        // A look that comes long after it might have come is not one in a row.
        let is_row = self
            .next_look
            .is_some_and(|next| now <= next + self.pause.max(IN_A_ROW));
        let before = if is_row { self.pause } else { Duration::ZERO };
        self.pause = (before * 2).clamp(shortest, longest);
        self.next_look = Some(now + self.pause);
    }

    /// The statement was answered after it was seen to wait.
    pub fn forget_successor(&mut self, now: Instant) {
        self.successor = None;
        self.pause(VAIN_PAUSE, now);
    }

    /// The connection to go on with.
    pub fn take_successor(&mut self) -> Option<Connection> {
        self.successor.take()
    }
}

/// Looks at the statements of one session, from another one.
#[derive(Debug)]
pub struct Lookout<'s> {
    /// What the sink remembers.
    pub watch: &'s mut LockWatch,
    /// Connects to the session's server.
    pub connector: &'s Connector,
    /// Names the other session's lock.
    pub sessions: &'s mut OwnSessions,
}

impl Lookout<'_> {
    /// As [`LockWatch::patience`], for a session that can be ended.
    pub fn patience(&self, session: &Session, table: &TableName, now: Instant) -> Option<Duration> {
        session.lock.as_ref().and_then(|_| self.watch.patience(table, now))
    }

    /// Looks whether the session's statement waits for a lock. `None`: it does not, or that cannot
    /// be asked.
    pub fn look(&mut self, session: &Session, table: &TableName, deadline: Option<Instant>) -> Option<Evidence> {
        let own = Instant::now() + LOOK_TIME;
        let deadline = deadline.map_or(own, |deadline| deadline.min(own));
        let connected = self.connector.connect_beside(self.sessions.next_lock(), deadline);
        let asked = connected.and_then(|mut other| {
            other.set_deadline(Some(deadline)).ok()?;
            let evidence = evidence(session, &mut other.conn).ok()?;
            Some((other, evidence))
        });
        let now = Instant::now();
        match asked {
            Some((other, Some(evidence))) => {
                self.watch.note_locked(table, now);
                self.watch.successor = Some(other);
                Some(evidence)
            }
            Some((_, None)) => {
                self.watch.pause(VAIN_PAUSE, now);
                None
            }
            None => {
                self.watch.pause(FAILED_PAUSE, now);
                None
            }
        }
    }
}

/// Asks what a session waits for.
fn evidence(session: &Session, conn: &mut Conn) -> mysql::Result<Option<Evidence>> {
    let Some(state) = session.state(conn)? else {
        return Ok(None);
    };
    if state == TABLE_LOCK_STATE {
        return Ok(Some(Evidence::Table));
    }
    if !does_anybody_wait(conn)? {
        return Ok(None);
    }
    let of_rows = format!(
        "SELECT trx_state FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {}",
        session.number
    );
    let is_waiting = match conn.query_first::<String>(of_rows) {
        Ok(Some(state)) if state == ROW_LOCK_STATE => true,
        // The copy may be older than the wait, and stays so as long as somebody reads it.
        Ok(_) => {
            let report: Option<(String, String, String)> = conn.query_first("SHOW ENGINE INNODB STATUS")?;
            report.is_some_and(|(_, _, report)| reports_wait(&report, session.number))
        }
        // Without the right PROCESS.
        Err(mysql::Error::MySqlError(_)) => false,
        Err(error) => return Err(error),
    };
    Ok(is_waiting.then_some(Evidence::Row))
}

/// Whether a report of InnoDB has a session wait for a row. Of each transaction it says the state,
/// whether it waits, and then the session, before the statement, which may say anything.
fn reports_wait(report: &str, session: u64) -> bool {
    let names = ["MariaDB", "MySQL"].map(|server| format!("{server} thread id {session},"));
    let mut transactions = report.split("\n---TRANSACTION ").skip(1);
    transactions.any(|transaction| {
        let mut head = transaction.lines().take(TRANSACTION_HEAD_LINES);
        head.any(|line| line.starts_with(ROW_LOCK_STATE))
            && head.any(|line| names.iter().any(|name| line.starts_with(name)))
    })
}

/// Whether some session of the server waits for a row.
fn does_anybody_wait(conn: &mut Conn) -> mysql::Result<bool> {
    let count: Option<(String, String)> =
        conn.query_first("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")?;
    Ok(count.is_some_and(|(_, count)| count != "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_waited_for_longer_the_longer_it_is_locked() {
        let table = TableName::parse("t").expect("a name");
        let other = TableName::parse("other").expect("a name");
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let millis = |watch: &LockWatch, now| watch.patience(&table, now).map(|wait| wait.as_millis());
        let mut watch = LockWatch::default();
        assert_eq!(millis(&watch, start), None, "as long as the server has it");
        watch.start(Duration::from_secs(1));
        assert_eq!(millis(&watch, start), Some(100));
        watch.note_locked(&table, start);
        watch.note_locked(&table, at(1_000));
        assert_eq!(millis(&watch, at(1_000)), Some(100));
        assert_eq!(millis(&watch, at(5_000)), Some(500));
        assert_eq!(millis(&watch, at(10_000)), None);
        assert_eq!(watch.patience(&other, at(10_000)), Some(FIRST_LOOK));
        // Another lock of the same table is another time.
        watch.note_locked(&table, at(10_000));
        assert_eq!(millis(&watch, at(10_000)), None);
        watch.note_locked(&table, at(20_000));
        assert_eq!(millis(&watch, at(20_000)), Some(100));
        assert_eq!(millis(&watch, at(25_000)), Some(500));
        watch.note_written([&other].into_iter());
        assert_eq!(millis(&watch, at(25_000)), Some(500));
        watch.note_written([&other, &table].into_iter());
        assert_eq!(millis(&watch, at(25_000)), Some(100));
    }

    #[test]
    fn looks_that_are_of_no_use_become_rare() {
        let table = TableName::parse("t").expect("a name");
        let mut now = Instant::now();
        let mut watch = LockWatch::default();
        watch.start(Duration::from_secs(1));
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            watch.pause(FAILED_PAUSE, now);
            let pause = Duration::from_secs(expected);
            let seconds_away = watch.patience(&table, now);
            assert_eq!(seconds_away, None, "the server's own second is shorter");
            let soon = pause.saturating_sub(Duration::from_millis(400));
            assert_eq!(watch.patience(&table, now + soon), Some(Duration::from_millis(400)));
            assert_eq!(watch.patience(&table, now + pause), Some(FIRST_LOOK));
            now += pause;
        }
        watch.pause(VAIN_PAUSE, now);
        assert_eq!(watch.pause, VAIN_PAUSE.1);
        watch.note_locked(&table, now);
        for expected in [200, 400, 800, 1_600, 2_000, 2_000] {
            watch.pause(VAIN_PAUSE, now);
            assert_eq!(watch.pause, Duration::from_millis(expected), "from the beginning");
            now += watch.pause + FIRST_LOOK;
        }
        now += VAIN_PAUSE.1 * 2;
        watch.pause(VAIN_PAUSE, now);
        assert_eq!(watch.pause, VAIN_PAUSE.0, "statements were fast meanwhile");
        watch.stop();
        assert_eq!(watch.patience(&table, now + VAIN_PAUSE.1), None, "the buffer ends");
    }

    #[test]
    fn a_report_says_who_waits() {
        let report = "TRANSACTIONS\n------------\nLIST OF TRANSACTIONS FOR EACH SESSION:\n\
            ---TRANSACTION 22, ACTIVE 0 sec inserting\nmysql tables in use 1, locked 1\n\
            LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)\n\
            MariaDB thread id 6, OS thread handle 1, query id 15 127.0.0.1 wb Update\n\
            INSERT INTO t VALUES ('\nMySQL thread id 9,')\n\
            ---TRANSACTION 23, ACTIVE 0 sec\nLOCK WAIT 2 lock struct(s)\n\
            MySQL thread id 66, OS thread handle 2, query id 16 localhost root starting\n\
            ---TRANSACTION 21, ACTIVE 0 sec\n2 lock struct(s), heap size 1128, 2 row lock(s)\n\
            MySQL thread id 5, OS thread handle 2, query id 16 localhost root starting\nLOCK WAIT\n";
        let waiting: Vec<u64> = (0..100).filter(|session| reports_wait(report, *session)).collect();
        assert_eq!(waiting, [6, 66]);
        assert!(!reports_wait("", 6));
    }

    #[test]
    fn few_tables_are_remembered() {
        let mut watch = LockWatch::default();
        let now = Instant::now();
        for number in 0..=TABLES_MAX {
            let name = TableName::parse(&format!("t{number}")).expect("a name");
            watch.note_locked(&name, now);
        }
        assert_eq!(watch.locked.len(), TABLES_MAX);
    }
}
