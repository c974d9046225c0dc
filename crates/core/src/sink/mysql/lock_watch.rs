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
//! - `INNODB_TRX` shows a wait for a row, to an account with the right PROCESS. Without it a row is
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
//! - A table is waited for all the longer, the longer it has been locked: a tenth of that time, up
//!   to the session's own time-out. So locks that come one after the other do not keep its rows out
//!   for ever.
//!
//! Bounds: the first look after 150 ms ([`FIRST_LOOK`]), half a second for it ([`LOOK_TIME`]); then
//! none for a second ([`LOOK_PAUSE`]) if it found nothing, or twice as long as last time, up to a
//! minute ([`LOOK_PAUSE_MAX`]), if the server could not be asked; 64 tables ([`TABLES_MAX`]).

use std::time::{Duration, Instant};

use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::connector::Connector;
use crate::sink::mysql::own_sessions::{OwnSessions, Session};
use crate::sink::mysql::wire::conn::Conn;
use crate::table::name::TableName;

/// After so long without an answer the server is asked. Few statements take as long, and rows
/// behind them are not late yet.
const FIRST_LOOK: Duration = Duration::from_millis(150);
/// The time to connect and to ask. The answer may come meanwhile, and is not taken then.
const LOOK_TIME: Duration = Duration::from_millis(500);
/// After a look that found nothing there is none for so long: a connection a statement would cost
/// more than it saves where all are slow.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, where looks are of no use: the server is too far away, or has no connection
/// left.
const LOOK_PAUSE_MAX: Duration = Duration::from_mins(1);
/// Locks of a table that come within that time are one.
const SAME_LOCK: Duration = Duration::from_secs(10);
/// More tables than are locked at a time.
const TABLES_MAX: usize = 64;
/// What a server says of a session that waits for a table.
const TABLE_LOCK_STATE: &str = "Waiting for table metadata lock";
/// What a server says of a transaction that waits for a row.
const ROW_LOCK_STATE: &str = "LOCK WAIT";

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
    /// The pause after the last look, if the server could not be asked.
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
        let is_paused = self.next_look.is_some_and(|next| now < next);
        let found = self.locked.iter().find(|locked| locked.name == *table);
        let locked_for = found.map_or(Duration::ZERO, |locked| now.saturating_duration_since(locked.since));
        let patience = FIRST_LOOK.max(locked_for / 10);
        (!is_paused && patience < longest).then_some(patience)
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

    fn note_unlocked(&mut self, now: Instant) {
        self.pause = Duration::ZERO;
        self.next_look = Some(now + LOOK_PAUSE);
    }

    fn note_unasked(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(LOOK_PAUSE, LOOK_PAUSE_MAX);
        self.next_look = Some(now + self.pause);
    }

    /// The statement was answered after it was seen to wait.
    pub fn forget_successor(&mut self, now: Instant) {
        self.successor = None;
        self.note_unlocked(now);
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
                self.watch.note_unlocked(now);
                None
            }
            None => {
                self.watch.note_unasked(now);
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
    let of_rows = format!(
        "SELECT trx_state FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = {}",
        session.number
    );
    match conn.query_first::<String>(of_rows) {
        Ok(state) => Ok(state.filter(|state| state == ROW_LOCK_STATE).map(|_| Evidence::Row)),
        // Without the right PROCESS.
        Err(mysql::Error::MySqlError(_)) => Ok(None),
        Err(error) => Err(error),
    }
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
        assert_eq!(millis(&watch, start), Some(150));
        watch.note_locked(&table, start);
        watch.note_locked(&table, at(1_000));
        assert_eq!(millis(&watch, at(1_400)), Some(150));
        assert_eq!(millis(&watch, at(5_000)), Some(500));
        assert_eq!(millis(&watch, at(10_000)), None);
        assert_eq!(watch.patience(&other, at(10_000)), Some(FIRST_LOOK));
        // Another lock of the same table is another time.
        watch.note_locked(&table, at(10_000));
        assert_eq!(millis(&watch, at(10_000)), None);
        watch.note_locked(&table, at(20_000));
        assert_eq!(millis(&watch, at(20_000)), Some(150));
    }

    #[test]
    fn looks_that_are_of_no_use_become_rare() {
        let table = TableName::parse("t").expect("a name");
        let mut now = Instant::now();
        let mut watch = LockWatch::default();
        watch.start(Duration::from_secs(1));
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            watch.note_unasked(now);
            let pause = Duration::from_secs(expected);
            assert_eq!(watch.patience(&table, now + pause.saturating_sub(FIRST_LOOK)), None);
            assert_eq!(watch.patience(&table, now + pause), Some(FIRST_LOOK));
            now += pause;
        }
        watch.note_unlocked(now);
        assert_eq!(watch.patience(&table, now), None);
        now += LOOK_PAUSE;
        assert_eq!(watch.patience(&table, now), Some(FIRST_LOOK));
        watch.note_unasked(now);
        assert_eq!(
            watch.patience(&table, now + LOOK_PAUSE),
            Some(FIRST_LOOK),
            "from the beginning"
        );
        watch.stop();
        assert_eq!(watch.patience(&table, now + LOOK_PAUSE), None, "the buffer ends");
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
