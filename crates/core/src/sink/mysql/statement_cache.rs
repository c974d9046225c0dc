//! The prepared statements of one connection.
//!
//! Bound: 96 statements ([`STATEMENTS_MAX`]). The least recently used goes first.

use rustc_hash::FxHashMap;

use crate::sink::mysql::wire::conn::Prepared;

/// The most prepared statements of rows. A table and column set needs up to a dozen, one for each
/// length. Look-ups have some besides.
const STATEMENTS_MAX: usize = 96;

/// What a statement is prepared under: the text for one row with the types at its end, and the
/// number of rows.
pub type StatementKey = (String, usize);

/// The prepared statements of one connection. Those of one table, column set and operation differ
/// in their number of rows.
#[derive(Debug, Default)]
pub struct StatementCache {
    statements: FxHashMap<StatementKey, CachedStatement>,
    /// To be closed when nothing is under way.
    forgotten: Vec<Prepared>,
    uses: u64,
}

#[derive(Debug)]
struct CachedStatement {
    prepared: Prepared,
    last_use: u64,
}

impl StatementCache {
    /// A prepared statement. It counts as used now.
    pub fn find(&mut self, key: &StatementKey) -> Option<Prepared> {
        self.uses += 1;
        let cached = self.statements.get_mut(key)?;
        cached.last_use = self.uses;
        Some(cached.prepared)
    }

    /// Remembers a statement that was prepared, as used now.
    pub fn insert(&mut self, key: StatementKey, prepared: Prepared) {
        let last_use = self.uses;
        self.statements.insert(key, CachedStatement { prepared, last_use });
    }

    /// Forgets the statements whose text for one row begins so.
    pub fn forget(&mut self, one_row: &str) {
        let found = self.statements.extract_if(|(text, _), _| text.starts_with(one_row));
        self.forgotten.extend(found.map(|(_, cached)| cached.prepared));
    }

    /// Takes out the statements that are to be closed before another one is prepared: those that
    /// were forgotten, and the oldest if there is no room.
    pub fn take_surplus(&mut self) -> Vec<Prepared> {
        let mut surplus = std::mem::take(&mut self.forgotten);
        if self.statements.len() >= STATEMENTS_MAX {
            let oldest = self.statements.iter().min_by_key(|(_, cached)| cached.last_use);
            let oldest = oldest.map(|(key, _)| key.clone());
            let removed = oldest.and_then(|key| self.statements.remove(&key));
            surplus.extend(removed.map(|cached| cached.prepared));
        }
        surplus
    }
}
