//! The session that a sink has on a server, and the last one that it lost.
//!
//! A session that has lost its client may not notice: it waits for a table's lock, or for a client
//! that never says a word again, and holds what it has locked. A sink that connects anew ends it by
//! KILL, so that a server never has more than two sessions of one sink.
//!
//! Nobody else's session is ever killed. A number alone names another session on another server, or
//! on one that was restarted. So each session takes a lock by a name when it begins (`GET_LOCK`),
//! and only the session that holds that lock is ended. The name has 128 random bits in it, locks
//! end with their sessions, and numbers are not used again before that.
//!
//! A session whose COMMIT is in doubt is left alone: it may be about to carry it out. Only the
//! [ledger](super::ledger_table) ends that one, when it holds up the question.
//!
//! The lock needs no right, and one round trip a connection. On a server or proxy that has no such
//! locks nothing is killed: its own time-outs end the session.
//!
//! Bounds: one session, one that was lost, and one that was lost amid a COMMIT.

use crate::error::codes;
use crate::sink::mysql::wire::conn::Conn;

/// A session, as the server knows it.
#[derive(Debug, Clone, Default)]
struct Session {
    /// Its number there.
    number: u64,
    /// The name of the lock that it holds as long as it lives. `None`: the server gave it none.
    lock: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct OwnSessions {
    /// What the names of all locks begin with. Empty until the first session.
    prefix: String,
    /// How many sessions there were.
    count: u64,
    /// The session, once its number was read.
    current: Option<Session>,
    /// The last one that was lost.
    lost: Option<Session>,
    /// The last one that was lost amid a COMMIT.
    in_doubt: Option<Session>,
}

impl OwnSessions {
    /// A session begins: reads its number, takes its lock, and ends the lost one.
    ///
    /// # Errors
    ///
    /// The socket's and the protocol's. What the server refuses is done without.
    pub fn begin(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        let lock = self.next_lock();
        self.current = Some(identify(conn, lock)?);
        if let Some(lost) = &self.lost {
            unless_refused(end(lost, conn))?;
            self.lost = None;
        }
        Ok(())
    }

    /// The name of the next session's lock. `None`: the system has no random numbers.
    fn next_lock(&mut self) -> Option<String> {
        if self.prefix.is_empty() {
            self.prefix = format!("wb_{}", random_name().ok()?);
        }
        self.count += 1;
        Some(format!("{}_{}", self.prefix, self.count))
    }

    /// Whether the session has begun.
    pub fn has_begun(&self) -> bool {
        self.current.is_some()
    }

    /// Whether the session can be ended by its successor: it holds a lock.
    pub fn can_be_ended(&self) -> bool {
        self.current.as_ref().is_some_and(|session| session.lock.is_some())
    }

    /// The session's number. 0: it is not known.
    pub fn number(&self) -> u64 {
        self.current.as_ref().map_or(0, |session| session.number)
    }

    /// The connection is gone. `in_doubt`: its COMMIT may be under way.
    pub fn connection_lost(&mut self, in_doubt: bool) {
        if let Some(lost) = self.current.take() {
            *(if in_doubt { &mut self.in_doubt } else { &mut self.lost }) = Some(lost);
        }
    }

    /// The number of the last session that was lost amid a COMMIT.
    pub fn number_in_doubt(&self) -> Option<u64> {
        self.in_doubt.as_ref().map(|session| session.number)
    }

    /// Ends that session, if it lives on this server.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn end_in_doubt(&self, conn: &mut Conn) -> mysql::Result<()> {
        self.in_doubt.as_ref().map_or(Ok(()), |session| end(session, conn))
    }
}

/// Ends a session, if it lives on this server.
fn end(session: &Session, conn: &mut Conn) -> mysql::Result<()> {
    let (number, Some(lock)) = (session.number, &session.lock) else {
        return Ok(());
    };
    let holder: Option<Option<u64>> = conn.query_first(format!("SELECT IS_USED_LOCK('{lock}')"))?;
    if holder.flatten() != Some(number) {
        return Ok(());
    }
    match conn.query_drop(format!("KILL CONNECTION {number}")) {
        Err(mysql::Error::MySqlError(error)) if error.code == codes::ER_NO_SUCH_THREAD => Ok(()),
        ended => ended,
    }
}

/// A name of 128 of the system's random bits, in hexadecimal. No two processes share one, not even
/// a parent and its forked child.
pub fn random_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// Reads a session's number, and takes the lock.
fn identify(conn: &mut Conn, lock: Option<String>) -> mysql::Result<Session> {
    if let Some(lock) = lock {
        let asked = conn.query_first(format!("SELECT CONNECTION_ID(), GET_LOCK('{lock}', 0)"));
        let found: Option<(u64, Option<u64>)> = match asked {
            // Some clusters and proxies have no such locks.
            Err(mysql::Error::MySqlError(_)) => None,
            asked => asked?,
        };
        if let Some((number, is_locked)) = found {
            let lock = (is_locked == Some(1)).then_some(lock);
            return Ok(Session { number, lock });
        }
    }
    let number = conn.query_first("SELECT CONNECTION_ID()");
    let number = unless_refused(number)?.flatten().unwrap_or_default();
    Ok(Session { number, lock: None })
}

/// What the server said. `None`: it refused.
fn unless_refused<T>(asked: mysql::Result<T>) -> mysql::Result<Option<T>> {
    match asked {
        Err(mysql::Error::MySqlError(_)) => Ok(None),
        asked => asked.map(Some),
    }
}
