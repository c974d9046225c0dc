//! What a transaction counts whose guarded rows changed nothing, if its COMMIT is not answered.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use write_buffer_core::buffer::foreground::ForegroundBuffer;
use write_buffer_core::clock::SystemClock;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::{LedgerEntry, LedgerRow, LedgerUse, Position};
use write_buffer_core::plan::Plan;
use write_buffer_core::plan::limits::Limits;
use write_buffer_core::rows::group::Group;
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;
use write_buffer_core::sink::memory::{MemorySink, MemoryStore};
use write_buffer_core::table::entry::TableEntry;
use write_buffer_core::table::model::TableModel;
use write_buffer_core::table::rules::TableRules;
use write_buffer_core::value::Value;

/// What becomes of a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It loses a race.
    Deadlock,
    /// It is carried out, and the answer is lost.
    Lost,
    /// It is not carried out, and the answer is lost.
    Undone,
}

/// A store whose next COMMITs have these fates, the last first.
struct Faulty {
    inner: MemorySink,
    fates: Arc<Mutex<Vec<Fate>>>,
    entered: u64,
    /// What was stale in a transaction that was not carried out.
    stale_rows: Option<usize>,
}

impl Sink for Faulty {
    fn limits(&mut self, deadline: Option<Instant>) -> Result<Limits> {
        self.inner.limits(deadline)
    }

    fn model(&mut self, table: &TableEntry, deadline: Option<Instant>) -> Result<TableModel> {
        self.inner.model(table, deadline)
    }

    fn commit(
        &mut self,
        plan: &Plan<'_>,
        entry: Option<LedgerEntry>,
        deadline: Option<Instant>,
        may_commit: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.stale_rows = None;
        let fate = self.fates.lock().expect("a lock").pop();
        match fate {
            Some(Fate::Deadlock) => return Err(Error::server(1213, "deadlock")),
            Some(Fate::Undone) => {
                // Both rows that are there are newer.
                self.stale_rows = Some(2);
                return Err(Error::commit_unknown(2013, "lost"));
            }
            Some(Fate::Lost) | None => self.inner.commit(plan, entry, deadline, may_commit)?,
        }
        self.entered = entry.map_or(self.entered, |entry| entry.number);
        match fate {
            Some(Fate::Lost) => Err(Error::commit_unknown(2013, "lost")),
            _ => Ok(()),
        }
    }

    fn stale_rows(&self) -> usize {
        self.stale_rows.unwrap_or_else(|| self.inner.stale_rows())
    }

    fn register(&mut self, _: u64, _: Option<Position>, _: Option<Instant>) -> Result<()> {
        Ok(())
    }

    fn forget_registration(&mut self) {}

    fn last_entry(&mut self, _: Option<Instant>) -> Result<Option<LedgerRow>> {
        Ok(Some(LedgerRow {
            number: self.entered,
            position: None,
        }))
    }

    fn retire(&mut self, _: Instant) {}

    fn connects(&self) -> u64 {
        1
    }
}

/// Of five rows one loses against a newer one in the buffer, two against the table, and two are
/// written. Returns `rows_stale`, `transactions` and `commits_confirmed`.
fn counted(ledger: LedgerUse, fates: &[Fate]) -> (u64, u64, u64) {
    let rules = TableRules {
        guard: Some("v".to_owned()),
        ..TableRules::default()
    };
    let store = MemoryStore::default();
    let next = Arc::new(Mutex::new(Vec::new()));
    let sink = Faulty {
        inner: MemorySink::new(store),
        fates: Arc::clone(&next),
        entered: 0,
        stale_rows: None,
    };
    let settings = Settings {
        ledger,
        tables: vec![("t".to_owned(), rules)],
        ..Settings::default()
    };
    let mut buffer = ForegroundBuffer::new(settings, Box::new(sink), Arc::new(SystemClock)).expect("a buffer");
    let mut add = |rows: &[(i64, i64)]| {
        let mut group = Group::default();
        for (id, version) in rows {
            let catalog = buffer.catalog();
            let table = catalog.table("t").expect("a table");
            let columns = ["id".as_bytes(), "v".as_bytes()];
            let shape = catalog.shape(table, columns.into_iter()).expect("a shape");
            group
                .push_row(&shape, &[Value::Int(*id), Value::Int(*version)])
                .expect("short");
        }
        assert!(buffer.add(&group).is_ok());
        assert!(buffer.flush(None).is_ok(), "{ledger:?} {fates:?}");
        buffer.metrics().clone()
    };
    add(&[(1, 9), (2, 9), (3, 1)]);
    next.lock().expect("a lock").extend(fates.iter().rev());
    let metrics = add(&[(1, 5), (2, 6), (3, 7), (3, 2), (4, 1)]);
    assert_eq!((metrics.rows_committed, metrics.rows_coalesced), (8, 1));
    (metrics.rows_stale, metrics.transactions, metrics.commits_confirmed)
}

#[test]
fn a_transaction_counts_once_however_often_it_is_tried() {
    for (ledger, fates, confirmed) in [
        (LedgerUse::Auto, &[][..], 0),
        (LedgerUse::Always, &[], 0),
        (LedgerUse::Auto, &[Fate::Deadlock, Fate::Deadlock], 0),
        // Without the ledger it is written once more, over what the first time has left.
        (LedgerUse::Auto, &[Fate::Lost], 0),
        (LedgerUse::Auto, &[Fate::Lost, Fate::Deadlock, Fate::Lost], 0),
        (LedgerUse::Auto, &[Fate::Undone], 0),
        (LedgerUse::Auto, &[Fate::Deadlock, Fate::Undone, Fate::Lost], 0),
        // The ledger says that it was committed: what was known before COMMIT counts.
        (LedgerUse::Always, &[Fate::Lost], 1),
        (LedgerUse::Always, &[Fate::Undone], 0),
        (LedgerUse::Always, &[Fate::Undone, Fate::Deadlock, Fate::Lost], 1),
    ] {
        assert_eq!(counted(ledger, fates), (3, 2, confirmed), "{ledger:?} {fates:?}");
    }
}
