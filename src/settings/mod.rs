//! The settings: one table, [`SETTINGS`], with an entry for each.
//!
//! From it follow the constructors' parameters and how they are parsed, php.ini's entries, the
//! checks, `__debugInfo()` and `phpinfo()`. Tests compare it with the stub and with
//! `docs/settings.md`. So a new setting is an entry here, and its use.

pub mod configuration;
pub mod ini;
pub mod read;
pub mod setting;
pub mod show;
mod tables;
pub mod words;

use write_buffer_core::buffer::background::lanes::MAX_LANES;
use write_buffer_core::dead_letter::file::DeadLetterFile;

use setting::{Field, InForeground, Ini, Number, Scope, Setting};

/// Why a foreground buffer has no journal.
const NO_JOURNAL: &str = "a foreground buffer has no journal";

/// Four segments of a journal.
const JOURNAL_BYTES_MIN: i64 = 4 << 23;

/// The longest time that a setting may name.
const DAY_MS: i64 = 86_400_000;

/// A larger transaction hurts the server's redo log and the replicas behind it.
const BATCH_ROWS_MAX: i64 = 10_000;

/// More repetitions help nobody.
const RETRIES_MAX: i64 = 100;

/// `max_prepared_stmt_count` of a server that nobody has changed.
const SERVER_STATEMENTS: i64 = 16_382;

const FULL_FLUSHES: &str = "a foreground buffer that is full flushes, and throws where that fails";

/// All settings, in the order of the constructor's parameters.
///
/// `background` stands before those that need it.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "dsn",
        doc: "mysql://user:pass@host:3306/db?option=value",
        ini: Some(Ini::new(c"write_buffer.dsn", c"")),
        scope: Scope::Every,
        field: Field::Dsn(|to| &mut to.dsn),
    },
    Setting {
        name: "batchSize",
        doc: "rows of one table that make the buffer full",
        ini: Some(Ini::new(c"write_buffer.batch_size", c"100")),
        scope: Scope::Holding,
        field: Field::Number(1, BATCH_ROWS_MAX, Number::Count(|to| &mut to.engine.batch_size)),
    },
    Setting {
        name: "flushIntervalMs",
        doc: "milliseconds, since the oldest buffered row, after which a flush is due",
        ini: Some(Ini::new(c"write_buffer.flush_interval_ms", c"500")),
        scope: Scope::Holding,
        field: Field::Number(1, DAY_MS, Number::Milliseconds(|to| &mut to.engine.flush_interval)),
    },
    Setting {
        name: "maxRetries",
        doc: "how often a transaction is repeated after a lost race",
        ini: Some(Ini::new(c"write_buffer.max_retries", c"3")),
        scope: Scope::Every,
        field: Field::Number(0, RETRIES_MAX, Number::Times(|to| &mut to.engine.max_retries)),
    },
    Setting {
        name: "background",
        doc: "true: a native thread flushes if a batch is full or overdue",
        ini: Some(Ini::new(c"write_buffer.background", c"1")),
        scope: Scope::Background(InForeground::Heeded),
        field: Field::Switch(|to| &mut to.background),
    },
    Setting {
        name: "orderTable",
        doc: "the table of add()'s first parameter",
        ini: Some(Ini::new(c"write_buffer.order_table", c"orders")),
        scope: Scope::Every,
        field: Field::Text(|to| &mut to.engine.order_table),
    },
    Setting {
        name: "tradeTable",
        doc: "the table of add()'s second parameter",
        ini: Some(Ini::new(c"write_buffer.trade_table", c"trades")),
        scope: Scope::Every,
        field: Field::Text(|to| &mut to.engine.trade_table),
    },
    Setting {
        name: "tables",
        doc: "rules by table",
        ini: None,
        scope: Scope::Every,
        field: Field::Rules(|to| &mut to.engine.tables),
    },
    Setting {
        name: "maxPendingRows",
        doc: "bound of buffered rows",
        ini: Some(Ini::new(c"write_buffer.max_pending_rows", c"100000")),
        scope: Scope::Bounding,
        field: Field::Number(1, 100_000_000, Number::Count(|to| &mut to.engine.max_pending_rows)),
    },
    Setting {
        name: "maxPendingBytes",
        doc: "bound of buffered bytes",
        ini: Some(Ini::new(c"write_buffer.max_pending_bytes", c"67108864")),
        scope: Scope::Bounding,
        field: Field::Number(1_024, i64::MAX, Number::Bytes(|to| &mut to.engine.max_pending_bytes)),
    },
    Setting {
        name: "overflow",
        doc: "what add() does in the background if a bound is reached",
        ini: Some(Ini::new(c"write_buffer.overflow", c"block")),
        scope: Scope::Background(InForeground::Refused(FULL_FLUSHES, None)),
        field: Field::Word(&words::OVERFLOW, |from| from.engine.overflow.name()),
    },
    Setting {
        name: "overflowTimeoutMs",
        doc: "how long block waits, in milliseconds",
        ini: Some(Ini::new(c"write_buffer.overflow_timeout_ms", c"5000")),
        scope: Scope::Background(InForeground::Refused(FULL_FLUSHES, None)),
        field: Field::Number(0, DAY_MS, Number::Milliseconds(|to| &mut to.engine.overflow_timeout)),
    },
    Setting {
        name: "shutdownTimeoutMs",
        doc: "how long destruction, or the process's end for a persistent buffer, may take to flush, in milliseconds",
        ini: Some(Ini::new(c"write_buffer.shutdown_timeout_ms", c"5000")),
        scope: Scope::Holding,
        field: Field::Number(1, DAY_MS, Number::Milliseconds(|to| &mut to.engine.shutdown_timeout)),
    },
    Setting {
        name: "lanes",
        doc: "how many threads write side by side, each over a connection of its own",
        ini: Some(Ini::new(c"write_buffer.lanes", c"1")),
        scope: Scope::Background(InForeground::Refused("a foreground buffer has one connection", Some(1))),
        field: Field::Number(
            0,
            MAX_LANES.cast_signed() as i64,
            Number::Count(|to| &mut to.engine.lanes),
        ),
    },
    Setting {
        name: "routeBy",
        doc: "the column whose value chooses a group's lane",
        ini: Some(Ini::new(c"write_buffer.route_by", c"")),
        scope: Scope::Background(InForeground::Ignored),
        field: Field::OptionalText(|to| &mut to.engine.route_by),
    },
    Setting {
        name: "persistent",
        doc: "a name. The buffer, its thread and its connection outlive the object and the request",
        ini: Some(Ini::new(c"write_buffer.persistent", c"")),
        scope: Scope::Background(InForeground::Heeded),
        field: Field::OptionalText(|to| &mut to.persistent),
    },
    Setting {
        name: "deadLetterFile",
        doc: "a file that gets a JSON line for each group that is given up",
        ini: Some(Ini::new(c"write_buffer.dead_letter_file", c"")),
        scope: Scope::Holding,
        field: Field::File(|to| &mut to.engine.dead_letter_file, DeadLetterFile::check),
    },
    Setting {
        name: "ledger",
        doc: "when a transaction is entered in the ledger",
        ini: Some(Ini::new(c"write_buffer.ledger", c"auto")),
        scope: Scope::Every,
        field: Field::Word(&words::LEDGER, |from| from.engine.ledger.name()),
    },
    Setting {
        name: "ledgerTable",
        doc: "the ledger's table",
        ini: Some(Ini::new(c"write_buffer.ledger_table", c"write_buffer_ledger")),
        scope: Scope::Every,
        field: Field::Text(|to| &mut to.engine.ledger_table),
    },
    Setting {
        name: "redactValues",
        doc: "true: messages have … in the place of the values that a server quotes; failures have them",
        ini: Some(Ini::new(c"write_buffer.redact_values", c"0")),
        scope: Scope::Every,
        field: Field::Switch(|to| &mut to.engine.redact_values),
    },
    Setting {
        name: "parkTimeoutMs",
        doc: "how long rows wait for a table that takes none, in milliseconds; 0: until they are written",
        ini: Some(Ini::new(c"write_buffer.park_timeout_ms", c"60000")),
        scope: Scope::Holding,
        field: Field::Number(0, DAY_MS, Number::Milliseconds(|to| &mut to.engine.park_timeout)),
    },
    Setting {
        name: "maxPreparedStatements",
        doc: "how many statements each connection has prepared on the server; 0: rows are sent as text",
        ini: Some(Ini::new(c"write_buffer.max_prepared_statements", c"32")),
        scope: Scope::Every,
        field: Field::Number(
            0,
            SERVER_STATEMENTS,
            Number::Count(|to| &mut to.engine.max_prepared_statements),
        ),
    },
    Setting {
        name: "timeZone",
        doc: "the zone to which DateTimeInterface objects are converted before they are written",
        ini: Some(Ini::new(c"write_buffer.time_zone", c"")),
        scope: Scope::Every,
        field: Field::TimeZone(|to| &mut to.time_zone),
    },
    Setting {
        name: "journal",
        doc: "a folder in which what was taken survives the process",
        ini: Some(Ini::new(c"write_buffer.journal", c"")),
        scope: Scope::Background(InForeground::Refused(NO_JOURNAL, None)),
        field: Field::File(|to| &mut to.journal.directory, |_| Ok(())),
    },
    Setting {
        name: "journalSync",
        doc: "when what was taken survives the machine, too",
        ini: Some(Ini::new(c"write_buffer.journal_sync", c"none")),
        scope: Scope::Background(InForeground::Refused(NO_JOURNAL, None)),
        field: Field::Word(&words::JOURNAL_SYNC, |from| from.journal.sync.name()),
    },
    Setting {
        name: "journalSyncMs",
        doc: "how often journalSync: 'interval' syncs, in milliseconds",
        ini: Some(Ini::new(c"write_buffer.journal_sync_ms", c"10")),
        scope: Scope::Background(InForeground::Refused(NO_JOURNAL, None)),
        field: Field::Number(1, DAY_MS, Number::Milliseconds(|to| &mut to.journal.interval)),
    },
    Setting {
        name: "journalMaxBytes",
        doc: "bound of the journal on the disk, in bytes",
        ini: Some(Ini::new(c"write_buffer.journal_max_bytes", c"1073741824")),
        scope: Scope::Background(InForeground::Refused(NO_JOURNAL, None)),
        field: Field::Number(
            JOURNAL_BYTES_MIN,
            i64::MAX,
            Number::Bytes(|to| &mut to.journal.max_bytes),
        ),
    },
];
