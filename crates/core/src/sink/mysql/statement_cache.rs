//! The prepared statements of one connection.
//!
//! Bound: 96 statements ([`STATEMENTS_MAX`]). The least recently used goes first.

use mysql::Conn;
use mysql::prelude::Queryable;
use rustc_hash::FxHashMap;

/// The most prepared statements that the client library keeps for a connection. A table and column
/// set needs up to a dozen, one for each length.
pub const LIBRARY_STATEMENTS_MAX: usize = 128;
/// Fewer than the client library keeps: it forgets what it prepared for others before it forgets
/// these.
const STATEMENTS_MAX: usize = LIBRARY_STATEMENTS_MAX - 32;

/// What a statement is prepared under: the text for one row with the types at its end, and the
/// number of rows.
pub type StatementKey = (String, usize);

/// The prepared statements of one connection. Those of one table, column set and operation differ
/// in their number of rows.
#[derive(Debug, Default)]
pub struct StatementCache {
    statements: FxHashMap<StatementKey, CachedStatement>,
    uses: u64,
}

#[derive(Debug)]
struct CachedStatement {
    statement: mysql::Statement,
    last_use: u64,
}

impl StatementCache {
    /// The server's number of a prepared statement. It counts as used now.
    pub fn id(&mut self, key: &StatementKey) -> Option<u32> {
        self.uses += 1;
        let cached = self.statements.get_mut(key)?;
        cached.last_use = self.uses;
        Some(cached.statement.id())
    }

    /// Prepares a statement, and makes room for it. Returns the server's number.
    pub fn prepare(&mut self, conn: &mut Conn, key: StatementKey, sql: String) -> mysql::Result<u32> {
        self.make_room(conn)?;
        let statement = conn.prep(sql)?;
        let id = statement.id();
        let last_use = self.uses;
        self.statements.insert(key, CachedStatement { statement, last_use });
        Ok(id)
    }

    fn make_room(&mut self, conn: &mut Conn) -> mysql::Result<()> {
        if self.statements.len() < STATEMENTS_MAX {
            return Ok(());
        }
        let oldest = self.statements.iter().min_by_key(|(_, cached)| cached.last_use);
        let oldest = oldest.map(|(key, _)| key.clone());
        match oldest.and_then(|key| self.statements.remove(&key)) {
            Some(cached) => conn.close(cached.statement),
            None => Ok(()),
        }
    }
}
