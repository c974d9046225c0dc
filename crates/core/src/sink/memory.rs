//! `memory:`, a sink for tests without a server. It applies plans to tables in memory, by the rules
//! that the SQL for a server spells out. [`MemoryStore::fail_next`] makes it fail, so that a unit
//! test can see a deadlock without a server.
//!
//! It answers every COMMIT, so it needs no ledger of its own: only writers that are [named from
//! outside](Sink::use_writer) have rows there. Its tables have no bound.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::error::{Error, Result, codes};
use crate::ledger::{LedgerEntry, LedgerRow, Position};
use crate::plan::binder::BoundRow;
use crate::plan::limits::Limits;
use crate::plan::merge::merge_value;
use crate::plan::{Operation, Plan, Statement};
use crate::sink::memory_ledger::{LedgerRows, MemoryLedger};
use crate::sink::{LocalModel, Sink};
use crate::table::bound::BoundColumns;
use crate::table::entry::TableEntry;
use crate::table::model::TableModel;
use crate::table::rules::KeyRule;
use crate::value::Value;

/// A stored row: its columns and values, in the order in which they first came.
pub type StoredRow = Vec<(Box<str>, Value<'static>)>;

#[derive(Debug, Default)]
struct StoredTable {
    /// In the order in which they came. Of a deleted row its empty place is left.
    rows: Vec<Option<StoredRow>>,
    deleted: usize,
    by_key: FxHashMap<Vec<u8>, usize>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the tables are what it holds")]
struct Tables {
    /// In order of creation.
    tables: Vec<(String, StoredTable)>,
    failures: VecDeque<u16>,
    /// Tables that take no row now, by name, and the error's code.
    blocked: Vec<(String, u16)>,
    ledger: LedgerRows,
}

/// The tables behind one `memory:` DSN, shared by all buffers that name it.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

/// The lock of all stores of a process, taken before a store's own. Who holds it knows that no
/// other thread is at any of them.
static STORES: Mutex<()> = Mutex::new(());

/// The tables of a store, while their thread is the only one at any store.
struct LockedTables<'s> {
    locked: MutexGuard<'s, Tables>,
    _stores: MutexGuard<'static, ()>,
}

/// Waits until no thread is at any store, and keeps it so: a thread that forks holds this, so that
/// its child finds all stores whole and free.
pub fn lock_stores() -> MutexGuard<'static, ()> {
    STORES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deref for LockedTables<'_> {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.locked
    }
}

impl DerefMut for LockedTables<'_> {
    fn deref_mut(&mut self) -> &mut Tables {
        &mut self.locked
    }
}

impl MemoryStore {
    fn lock(&self) -> LockedTables<'_> {
        let stores = lock_stores();
        LockedTables {
            locked: self.tables.lock().unwrap_or_else(PoisonError::into_inner),
            _stores: stores,
        }
    }

    /// A copy of all tables, by name, in order of creation.
    pub fn tables(&self) -> Vec<(String, Vec<StoredRow>)> {
        let store = self.lock();
        store
            .tables
            .iter()
            .map(|(name, table)| (name.clone(), table.rows.iter().flatten().cloned().collect()))
            .collect()
    }

    /// The ledger's rows, by writer and lane.
    pub fn ledger(&self) -> LedgerRows {
        self.lock().ledger.clone()
    }

    /// Empties the tables and the ledger, and forgets the failures that were asked for.
    pub fn reset(&self) {
        *self.lock() = Tables::default();
    }

    /// Loses the ledger, as somebody does who empties its table.
    pub fn lose_ledger(&self) {
        self.lock().ledger.clear();
    }

    /// Makes the next `times` transactions fail with the server error `code`.
    pub fn fail_next(&self, code: u16, times: usize) {
        self.lock().failures.extend(std::iter::repeat_n(code, times));
    }

    /// Makes transactions with rows of a table fail with the server error `code`, at that table.
    /// `None` ends that.
    pub fn block_table(&self, table: &str, code: Option<u16>) {
        let mut store = self.lock();
        store.blocked.retain(|(name, _)| name != table);
        store.blocked.extend(code.map(|code| (table.to_owned(), code)));
    }
}

/// Applies plans to a [`MemoryStore`].
#[derive(Debug)]
pub struct MemorySink {
    store: MemoryStore,
    /// Rows of the last transaction that have a guard and changed nothing.
    stale_rows: usize,
    ledger: MemoryLedger,
}

impl MemorySink {
    /// A sink for the store.
    pub fn new(store: MemoryStore) -> Self {
        Self {
            store,
            stale_rows: 0,
            ledger: MemoryLedger::default(),
        }
    }
}

impl Sink for MemorySink {
    fn limits(&mut self, _deadline: Option<Instant>) -> Result<Limits> {
        Ok(Limits {
            max_packet_bytes: usize::MAX,
        })
    }

    fn model(&mut self, table: &TableEntry, _deadline: Option<Instant>) -> Result<TableModel> {
        model(table)
    }

    fn local_model(&self) -> Option<LocalModel> {
        Some(model)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        _deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.stale_rows = 0;
        let mut store = self.store.lock();
        if let Some(code) = store.failures.pop_front() {
            return Err(simulated_failure(code));
        }
        if let Some(entry) = entry {
            self.ledger.check(&store.ledger, entry)?;
        }
        for statement in &plan.statements {
            let name = &statement.bound.model.name;
            let blocked = store.blocked.iter().find(|(blocked, _)| *blocked == name.to_string());
            if let Some((_, code)) = blocked {
                return Err(simulated_failure(*code).at_table(name, Some(&statement.bound.columns)));
            }
            store.refuse_duplicates(statement)?;
        }
        store.refuse_missing(plan)?;
        if !may_commit() {
            return Err(Error::taken_back());
        }
        if let Some(entry) = entry {
            self.ledger.enter(&mut store.ledger, entry);
        }
        for statement in &plan.statements {
            let table = store.table(&statement.bound.model.name.to_string());
            for row in &statement.rows {
                if statement.operation == Operation::Delete {
                    table.delete(&statement.bound, row);
                } else {
                    let has_changed = table.apply(&statement.bound, row);
                    self.stale_rows += usize::from(!has_changed && statement.bound.guard.is_some());
                }
            }
        }
        Ok(())
    }

    fn stale_rows(&self) -> usize {
        self.stale_rows
    }

    fn use_writer(&mut self, writer: &str, lane: u16) -> Result<()> {
        self.ledger.use_writer(writer, lane)
    }

    fn register(&mut self, after: u64, position: Option<Position>, _deadline: Option<Instant>) -> Result<()> {
        if self.ledger.has_name() {
            self.ledger.register(&mut self.store.lock().ledger, after, position);
        }
        Ok(())
    }

    fn forget_registration(&mut self) {
        self.ledger.forget_registration();
    }

    fn last_entry(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        Ok(self.ledger.row(&self.store.lock().ledger))
    }

    fn take_over(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        self.ledger.take_over(&mut self.store.lock().ledger)
    }

    fn register_successor(&mut self, _deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        Ok(self.ledger.register_successor(&mut self.store.lock().ledger))
    }

    fn retire(&mut self, _deadline: Instant) {
        self.ledger.retire(&mut self.store.lock().ledger, false);
    }

    fn retire_all(&mut self, _deadline: Instant) {
        self.ledger.retire(&mut self.store.lock().ledger, true);
    }

    fn connects(&self) -> u64 {
        0
    }
}

fn model(table: &TableEntry) -> Result<TableModel> {
    let mut rules = table.rules.clone();
    if let (KeyRule::Primary, Some(hint)) = (&rules.key, table.key_hint()) {
        rules.key = KeyRule::Columns(vec![hint.to_owned()]);
    }
    TableModel::without_schema(&table.name, &rules, table.default_mode)
}

fn simulated_failure(code: u16) -> Error {
    let what = match code {
        codes::ER_LOCK_DEADLOCK => "deadlock",
        codes::ER_LOCK_WAIT_TIMEOUT => "lock wait time-out",
        codes::CR_SERVER_GONE_ERROR | codes::CR_SERVER_LOST => "lost connection",
        _ => "error",
    };
    Error::server(code, format!("simulated {what}, asked for by MemorySink::failNext()"))
}

fn key_of(bound: &Arc<BoundColumns>, row: &[Value<'_>]) -> Option<Vec<u8>> {
    let values = row.to_vec();
    BoundRow {
        bound: Arc::clone(bound),
        values,
    }
    .key()
}

impl Tables {
    fn table(&mut self, name: &str) -> &mut StoredTable {
        let at = match self.tables.iter().position(|(known, _)| known == name) {
            Some(at) => at,
            None => {
                self.tables.push((name.to_owned(), StoredTable::default()));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at].1
    }

    /// Refuses an insert-only row whose key is there, before anything is applied: a transaction is
    /// whole.
    fn refuse_duplicates(&self, statement: &Statement<'_>) -> Result<()> {
        if statement.operation != Operation::Insert {
            return Ok(());
        }
        let name = statement.bound.model.name.to_string();
        let stored = self.tables.iter().find(|(known, _)| *known == name);
        let mut seen = rustc_hash::FxHashSet::default();
        for row in &statement.rows {
            let Some(key) = key_of(&statement.bound, row) else {
                continue;
            };
            if stored.is_some_and(|(_, table)| table.by_key.contains_key(&key)) || !seen.insert(key) {
                return Err(Error::server(
                    codes::ER_DUP_ENTRY,
                    format!(
                        "duplicate entry in table {name} for key ({})",
                        statement.bound.model.key.join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses an update whose row is neither there nor written before it, before anything is
    /// applied.
    fn refuse_missing(&self, plan: &Plan<'_>) -> Result<()> {
        let is_update =
            |statement: &&Statement<'_>| matches!(statement.operation, Operation::Update | Operation::SharedUpdate);
        if !plan.statements.iter().any(|statement| is_update(&statement)) {
            return Ok(());
        }
        // What the statements before have made of a key.
        let mut is_there: FxHashMap<(String, Vec<u8>), bool> = FxHashMap::default();
        for statement in &plan.statements {
            let name = statement.bound.model.name.to_string();
            let stored = self.tables.iter().find(|(known, _)| *known == name);
            for row in &statement.rows {
                let Some(key) = key_of(&statement.bound, row) else {
                    continue;
                };
                let place = stored.and_then(|(_, table)| Some((table, *table.by_key.get(&key)?)));
                let row_there = place.and_then(|(table, at)| table.rows.get(at)?.as_ref());
                let known = is_there.entry((name.clone(), key)).or_insert(row_there.is_some());
                if is_update(&statement) && !*known {
                    return Err(statement.bound.missing_row());
                }
                *known = match (statement.operation, row_there) {
                    (Operation::Delete, Some(stored)) => is_newer(stored, &statement.bound, row),
                    (operation, _) => operation != Operation::Delete,
                };
            }
        }
        Ok(())
    }
}

impl StoredTable {
    /// Returns whether the row changed anything.
    fn apply(&mut self, bound: &Arc<BoundColumns>, row: &[Value<'_>]) -> bool {
        let key = key_of(bound, row);
        match key
            .as_ref()
            .and_then(|key| self.by_key.get(key))
            .and_then(|at| self.rows.get_mut(*at)?.as_mut())
        {
            Some(stored) => update(stored, bound, row),
            None => {
                if let Some(key) = key {
                    self.by_key.insert(key, self.rows.len());
                }
                let columns = bound.columns.iter().cloned();
                let values = row.iter().cloned().map(Value::into_owned);
                self.rows.push(Some(columns.zip(values).collect()));
                true
            }
        }
    }

    fn delete(&mut self, bound: &Arc<BoundColumns>, row: &[Value<'_>]) {
        let Some(key) = key_of(bound, row) else { return };
        let Some(at) = self.by_key.get(&key).copied() else {
            return;
        };
        let Some(place) = self.rows.get_mut(at) else { return };
        if place.as_ref().is_some_and(|stored| is_newer(stored, bound, row)) {
            return;
        }
        *place = None;
        self.by_key.remove(&key);
        self.deleted += 1;
        if 2 * self.deleted > self.rows.len() {
            self.close_gaps();
        }
    }

    /// Drops the places of deleted rows.
    fn close_gaps(&mut self) {
        let mut moved = Vec::with_capacity(self.rows.len());
        let mut left = 0;
        for row in &self.rows {
            moved.push(left);
            left += usize::from(row.is_some());
        }
        self.rows.retain(Option::is_some);
        for at in self.by_key.values_mut() {
            *at = moved.get(*at).copied().unwrap_or(*at);
        }
        self.deleted = 0;
    }
}

fn position(stored: &StoredRow, name: &str) -> Option<usize> {
    stored.iter().position(|(column, _)| column.eq_ignore_ascii_case(name))
}

/// Whether the stored row's guard is larger than that of the one that comes.
fn is_newer(stored: &StoredRow, bound: &BoundColumns, row: &[Value<'_>]) -> bool {
    let Some(guard) = bound.guard else { return false };
    if let (Some(name), Some(incoming)) = (bound.columns.get(guard), row.get(guard))
        && let Some((_, old)) = position(stored, name).and_then(|at| stored.get(at))
    {
        return !old.is_null() && bound.compare(guard, old, incoming) == Some(std::cmp::Ordering::Greater);
    }
    false
}

/// ON DUPLICATE KEY UPDATE, by the rules of the row's columns. Returns whether that changed
/// anything.
fn update(stored: &mut StoredRow, bound: &BoundColumns, row: &[Value<'_>]) -> bool {
    if is_newer(stored, bound, row) {
        return false;
    }
    let mut has_changed = false;
    for (at, (name, value)) in bound.columns.iter().zip(row).enumerate() {
        if bound.key.contains(&at) {
            continue;
        }
        let rule = bound
            .rules
            .get(at)
            .copied()
            .unwrap_or(crate::table::rules::MergeRule::Replace);
        match position(stored, name).and_then(|column| stored.get_mut(column)) {
            Some((_, old)) => {
                let merged = merge_value(bound, at, rule, old, value);
                // NULL under `sum` counts as 0, as IFNULL says in the SQL.
                let merged = merged.unwrap_or_else(|| value.clone()).into_owned();
                has_changed |= *old != merged;
                *old = merged;
            }
            None => {
                has_changed = true;
                stored.push((name.clone(), value.clone().into_owned()));
            }
        }
    }
    has_changed
}
