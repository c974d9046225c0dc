//! What is given up when a server is silent, and after which time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::peer::{EOF, Seen, Turn, column, ok, packet, packets};
use super::{TIMEOUTS, look, session};
use crate::plan::binder::Binder;
use crate::plan::limits::Limits;
use crate::plan::plan;
use crate::rows::batch::Batch;
use crate::rows::group::Group;
use crate::sink::Patience;
use crate::sink::mysql::answer_limit::AnswerLimit;
use crate::sink::mysql::connection::Connection;
use crate::sink::mysql::executions::StatementForm;
use crate::sink::mysql::own_sessions::Session;
use crate::sink::mysql::pending_command::Cause;
use crate::sink::mysql::sql::Dialect;
use crate::sink::mysql::statement_cache::StatementCache;
use crate::sink::mysql::text_form::TextForm;
use crate::sink::mysql::traits::ServerTraits;
use crate::table::catalog::Catalog;
use crate::table::model::TableModel;
use crate::table::name_charset::NameCharset;
use crate::table::pace::Pace;
use crate::value::Value;

const LIMITS: Limits = Limits {
    max_packet_bytes: 1 << 20,
};
const BRIEF: Duration = Duration::from_millis(200);

/// A connection to a server that takes `SET autocommit`, and then says what a test tells it.
fn connection(can_be_ended: bool, turns: Vec<Turn>) -> (Connection, Arc<Mutex<Seen>>) {
    let mut all = vec![Turn::of(packet(1, &ok(0)))];
    all.extend(turns);
    let (conn, seen) = session(all);
    let form = StatementForm {
        limits: LIMITS,
        batch_rows: 100,
        dialect: Dialect::RowAlias,
        text: TextForm::of_session("utf8mb4", ""),
        shares_updates: false,
    };
    let traits = ServerTraits {
        is_mariadb: false,
        is_strict: true,
        makes_number_for_zero: true,
        allows_invalid_dates: false,
        is_unicode_session: true,
        names: NameCharset::Unicode,
        has_fixed_zone: true,
        folds_table_names: false,
    };
    let own = Session {
        number: 7,
        lock: can_be_ended.then(|| "wb_1".to_owned()),
    };
    let mut connection = Connection::new(conn, form, traits, 50, own, StatementCache::new(8));
    let second = Duration::from_secs(1);
    connection.answer_limit = Some(AnswerLimit::new(Patience::Usual, BRIEF, second, &Pace::default(), 0));
    (connection, seen)
}

/// What is given up of a transaction with a row, and an entry in the ledger or none. Returns
/// whether it counts as a wait for a lock.
fn write(connection: &mut Connection, ledger_entry: Option<&str>) -> Result<(), bool> {
    let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
    let table = catalog.table("t").expect("a table");
    let shape = catalog
        .shape(table, ["id".as_bytes(), "n".as_bytes()].into_iter())
        .expect("a shape");
    let entry = catalog.entry(table).expect("a table");
    let model = TableModel::without_schema(&entry.name, &entry.rules, entry.default_mode).expect("a model");
    let mut group = Group::default();
    group.push_row(&shape, &[Value::Int(1), Value::Int(2)]).expect("short");
    let mut batch = Batch::new(Instant::now());
    batch.append(&group, Instant::now());
    let binder = Binder::with_models(std::iter::once((table, Arc::new(model))).collect());
    let batches = [&batch];
    let planned = plan(&batches, 0..1, &LIMITS, binder).expect("a plan");
    let written = connection.write(&planned.statements, ledger_entry, None);
    written.map_err(|failed| matches!(failed.cause, Cause::NoAnswer(BRIEF)))
}

fn prepared(first: u8) -> Turn {
    let parameters: [&[u8]; 4] = [b"\0\x05\0\0\0\0\0\x02\0\0\0\0", &column(), &column(), EOF];
    Turn::of(packets(first, &parameters))
}

#[test]
fn a_statement_with_rows_is_given_up_before_the_server_does() {
    for (name, turns) in [
        ("preparing it", vec![Turn::default()]),
        ("executing it", vec![prepared(1), Turn::default()]),
    ] {
        let (mut connection, seen) = connection(true, turns);
        assert_eq!(write(&mut connection, None), Err(true), "{name}");
        assert_eq!(look(&seen, |seen| seen.elapsed), BRIEF, "{name}");
        assert!(connection.is_broken(), "{name}: nobody knows what it still does");
        let sent = look(&seen, |seen| seen.sent.len());
        drop(connection);
        assert_eq!(look(&seen, |seen| seen.sent.len()), sent, "{name}: not a word follows");
    }
}

#[test]
fn a_session_that_nobody_could_end_is_waited_for() {
    let (mut connection, seen) = connection(false, vec![prepared(1), Turn::default()]);
    assert_eq!(write(&mut connection, None), Err(false));
    assert_eq!(look(&seen, |seen| seen.elapsed), TIMEOUTS.read);
}

#[test]
fn the_ledger_and_commit_are_waited_for() {
    let (mut waiting, seen) = connection(true, vec![Turn::default(), Turn::default()]);
    assert_eq!(write(&mut waiting, Some("UPDATE ledger")), Err(false));
    assert_eq!(look(&seen, |seen| seen.elapsed), TIMEOUTS.read);
    let turns = vec![prepared(1), Turn::of(packet(1, &ok(1))), Turn::default()];
    let (mut waiting, seen) = connection(true, turns);
    assert_eq!(write(&mut waiting, None), Ok(()));
    assert_eq!(look(&seen, |seen| seen.elapsed), Duration::ZERO);
    waiting.commit().expect_err("silence");
    assert_eq!(look(&seen, |seen| seen.elapsed), TIMEOUTS.read);
}
