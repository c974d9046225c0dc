//! The prepared statements of one connection.
//!
//! The server has 16,382 for all its clients together. When they are used up, or the connection may
//! have none, rows are sent as text.
//!
//! Bound: `maxPreparedStatements`, and one if rows do not fit into a packet as text. The least
//! recently used goes first. Once the server has refused one, no other is asked for within 10 s
//! ([`PAUSE`]).

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::sink::mysql::wire::conn::Prepared;

/// A statement that is refused costs a round trip.
const PAUSE: Duration = Duration::from_secs(10);

/// What a statement is prepared under: the text for one row with the types at its end, and the
/// number of rows.
pub type StatementKey = (String, usize);

/// The prepared statements of one connection. Those of one table, column set and operation differ
/// in their number of rows.
#[derive(Debug)]
pub struct StatementCache {
    /// The most statements. A table and column set needs up to a dozen, one for each length.
    max: usize,
    /// The server has none left.
    paused_until: Option<Instant>,
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
    /// Room for so many.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            paused_until: None,
            statements: FxHashMap::default(),
            forgotten: Vec::new(),
            uses: 0,
        }
    }

    /// Whether one more may be prepared.
    pub fn prepares(&self, now: Instant) -> bool {
        self.max > 0 && self.paused_until.is_none_or(|until| until <= now)
    }

    /// The server has none left.
    pub fn pause(&mut self, now: Instant) {
        self.paused_until = Some(now + PAUSE);
    }

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
        if self.statements.len() >= self.max.max(1) {
            let oldest = self.statements.iter().min_by_key(|(_, cached)| cached.last_use);
            let oldest = oldest.map(|(key, _)| key.clone());
            let removed = oldest.and_then(|key| self.statements.remove(&key));
            surplus.extend(removed.map(|cached| cached.prepared));
        }
        surplus
    }
}
