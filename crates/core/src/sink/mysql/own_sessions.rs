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
//! The lock needs no right. It is taken by the statement that reads the session's
//! [variables](super::variables), so it costs no round trip. On a server or proxy that has no such
//! locks nothing is killed: its own time-outs end the session.
//!
//! Bounds: one session, one that was lost, and one that was lost amid a COMMIT.

use crate::error::codes;
use crate::sink::mysql::wire::conn::Conn;

/// A session, as the server knows it.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Its number there. 0: the server does not say it.
    pub number: u64,
    /// The name of the lock that it holds as long as it lives. `None`: the server gave it none.
    pub lock: Option<String>,
}

impl Session {
    /// What the session does now, as the server's list of sessions says it, or an empty text.
    /// `None`: it is none of this server's, or not known.
    ///
    /// # Errors
    ///
    /// The server's, the socket's and the protocol's.
    pub fn state(&self, conn: &mut Conn) -> mysql::Result<Option<String>> {
        let (number, Some(lock)) = (self.number, &self.lock) else {
            return Ok(None);
        };
        let asked = format!(
            "SELECT IFNULL(STATE, '') FROM information_schema.PROCESSLIST WHERE ID = {number} AND IS_USED_LOCK('{lock}') = {number}"
        );
        conn.query_first(asked)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct OwnSessions {
    /// What the names of all locks begin with. Empty until the first session.
    prefix: String,
    /// How many sessions there were.
    count: u64,
    /// The session that there is now.
    current: Option<Session>,
    /// The last one that was lost.
    lost: Option<Session>,
    /// The last one that was lost amid a COMMIT.
    in_doubt: Option<Session>,
}

impl OwnSessions {
    /// A session has begun.
    pub fn begin(&mut self, session: Session) {
        self.current = Some(session);
    }

    /// Ends the lost session, if it lives on this server.
    ///
    /// # Errors
    ///
    /// The socket's and the protocol's. What the server refuses is done without.
    pub fn end_lost(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if let Some(lost) = &self.lost {
            match end(lost, conn) {
                Ok(()) | Err(mysql::Error::MySqlError(_)) => {}
                Err(error) => return Err(error),
            }
            self.lost = None;
        }
        Ok(())
    }

    /// The name of the next session's lock. `None`: the system has no random numbers.
    pub fn next_lock(&mut self) -> Option<String> {
        if self.prefix.is_empty() {
            self.prefix = format!("wb_{}", random_name().ok()?);
        }
        self.count += 1;
        Some(format!("{}_{}", self.prefix, self.count))
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
