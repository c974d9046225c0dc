//! From the constructor's arguments and php.ini to the engine's settings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ext_php_rs::types::{ZendHashTable, Zval};
use write_buffer_core::dead_letter::file::DeadLetterFile;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::ledger::LedgerUse;
use write_buffer_core::settings::{Overflow, Settings};
use write_buffer_core::table::rules::{KeyRule, MergeRule, Mode, TableRules};

use crate::buffer::any::FlushMode;
use crate::zend::php_ini;

pub mod ini;

use ini::IntSetting;

/// The constructor's arguments, as PHP parsed them; `None` is null or left out.
#[derive(Debug, Default)]
pub struct Arguments<'a> {
    pub dsn: Option<&'a [u8]>,
    pub batch_size: Option<i64>,
    pub flush_interval_ms: Option<i64>,
    pub max_retries: Option<i64>,
    pub background: Option<bool>,
    pub order_table: Option<&'a [u8]>,
    pub trade_table: Option<&'a [u8]>,
    pub tables: Option<&'a ZendHashTable>,
    pub max_pending_rows: Option<i64>,
    pub max_pending_bytes: Option<i64>,
    pub overflow: Option<&'a [u8]>,
    pub overflow_timeout_ms: Option<i64>,
    pub shutdown_timeout_ms: Option<i64>,
    pub lanes: Option<i64>,
    pub route_by: Option<&'a [u8]>,
    pub persistent: Option<&'a [u8]>,
    pub dead_letter_file: Option<&'a [u8]>,
    pub ledger: Option<&'a [u8]>,
}

impl Arguments<'_> {
    /// Where rows go.
    ///
    /// # Errors
    ///
    /// No DSN, or one that cannot be read.
    pub fn dsn(&self) -> Result<Dsn> {
        let dsn = match self.dsn {
            Some(dsn) => text("dsn", dsn)?,
            None => php_ini::value(ini::DSN),
        };
        if dsn.is_empty() {
            return Err(Error::config(
                "there is no DSN: give the parameter dsn, or set write_buffer.dsn in php.ini",
            ));
        }
        Dsn::parse(&dsn)
    }

    /// The settings of a `WriteBuffer`.
    ///
    /// # Errors
    ///
    /// A setting out of its bounds, or one that this version has no use for.
    pub fn settings(&self) -> Result<Settings> {
        self.refuse_what_needs_a_thread()?;
        Ok(Settings {
            batch_size: size(integer(self.batch_size, ini::BATCH_SIZE)?),
            flush_interval: milliseconds(integer(self.flush_interval_ms, ini::FLUSH_INTERVAL_MS)?),
            max_pending_rows: size(integer(self.max_pending_rows, ini::MAX_PENDING_ROWS)?),
            max_pending_bytes: size(integer(self.max_pending_bytes, ini::MAX_PENDING_BYTES)?),
            shutdown_timeout: milliseconds(integer(self.shutdown_timeout_ms, ini::SHUTDOWN_TIMEOUT_MS)?),
            overflow: self.overflow()?,
            overflow_timeout: milliseconds(integer(self.overflow_timeout_ms, ini::OVERFLOW_TIMEOUT_MS)?),
            dead_letter_file: self.dead_letter_file()?,
            // php.ini may give lanes for all buffers: one in the foreground has no use for them.
            lanes: size(integer(self.lanes, ini::LANES)?).min(if self.background() { usize::MAX } else { 1 }),
            route_by: self.route_by()?,
            ..self.shared_settings()?
        })
    }

    /// The settings of a `SyncWriteBuffer`: a buffer whose every group is a batch.
    ///
    /// # Errors
    ///
    /// As [`Self::settings`].
    pub fn sync_settings(&self) -> Result<Settings> {
        Ok(Settings {
            batch_size: 1,
            max_pending_rows: usize::MAX,
            max_pending_bytes: usize::MAX,
            ..self.shared_settings()?
        })
    }

    fn shared_settings(&self) -> Result<Settings> {
        let name = |parameter, given: Option<&[u8]>, ini_name| match given {
            Some(name) => text(parameter, name),
            None => Ok(php_ini::value(ini_name)),
        };
        Ok(Settings {
            max_retries: u32::try_from(integer(self.max_retries, ini::MAX_RETRIES)?).unwrap_or(u32::MAX),
            order_table: name("orderTable", self.order_table, ini::ORDER_TABLE)?,
            trade_table: name("tradeTable", self.trade_table, ini::TRADE_TABLE)?,
            tables: self.tables.map(tables).transpose()?.unwrap_or_default(),
            ledger: self.ledger()?,
            ..Settings::default()
        })
    }

    /// Which thread flushes, and for how long.
    ///
    /// # Errors
    ///
    /// A persistent buffer that is to flush on its caller's thread.
    pub fn flush_mode(&self) -> Result<FlushMode> {
        let name = match self.persistent {
            Some(name) => text("persistent", name)?,
            None => php_ini::value(ini::PERSISTENT),
        };
        match (self.background(), name.is_empty()) {
            (true, true) => Ok(FlushMode::Background),
            (true, false) => Ok(FlushMode::Persistent(name)),
            (false, true) => Ok(FlushMode::Foreground),
            (false, false) => Err(Error::config("persistent needs background: true")),
        }
    }

    fn background(&self) -> bool {
        let off = ["", "0", "off", "no", "false"];
        let by_ini = || !off.contains(&php_ini::value(ini::BACKGROUND).to_ascii_lowercase().as_str());
        self.background.unwrap_or_else(by_ini)
    }

    fn overflow(&self) -> Result<Overflow> {
        let overflow = match self.overflow {
            Some(overflow) => text("overflow", overflow)?,
            None => php_ini::value(ini::OVERFLOW),
        };
        match overflow.as_str() {
            "block" => Ok(Overflow::Block),
            "throw" => Ok(Overflow::Throw),
            other => Err(Error::config(format!(
                "overflow must be 'block' or 'throw', not {other:?}"
            ))),
        }
    }

    fn ledger(&self) -> Result<LedgerUse> {
        let ledger = match self.ledger {
            Some(ledger) => text("ledger", ledger)?,
            None => php_ini::value(ini::LEDGER),
        };
        LedgerUse::parse(&ledger)
            .ok_or_else(|| Error::config(format!("ledger must be 'auto', 'always' or 'never', not {ledger:?}")))
    }

    /// The dead-letter file, by its absolute path: a process may change its folder.
    fn dead_letter_file(&self) -> Result<Option<PathBuf>> {
        let from_ini = php_ini::value(ini::DEAD_LETTER_FILE);
        let given = self.dead_letter_file.unwrap_or(from_ini.as_bytes());
        if given.is_empty() {
            return Ok(None);
        }
        let shown = String::from_utf8_lossy(given);
        if given.contains(&0) {
            return Err(Error::config(format!("deadLetterFile {shown:?} has a NUL byte")));
        }
        let path = std::path::absolute(Path::new(OsStr::from_bytes(given)))
            .map_err(|error| Error::config(format!("deadLetterFile {shown:?} is no path: {error}")))?;
        if !php_ini::is_within_open_basedir(path.as_os_str().as_bytes()) {
            return Err(Error::config(format!(
                "deadLetterFile {} is outside open_basedir: name a file within, or extend open_basedir in php.ini",
                path.display()
            )));
        }
        DeadLetterFile::check(&path)?;
        Ok(Some(path))
    }

    /// A setting that nothing heeds must not look as if it were heeded.
    fn refuse_what_needs_a_thread(&self) -> Result<()> {
        if self.background() {
            return Ok(());
        }
        let full = "a foreground buffer that is full flushes, and throws where that fails";
        let one = "a foreground buffer has one connection";
        for (is_given, parameter, why) in [
            (self.overflow.is_some(), "overflow", full),
            (self.overflow_timeout_ms.is_some(), "overflowTimeoutMs", full),
            (self.lanes.is_some_and(|lanes| lanes != 1), "lanes", one),
        ] {
            if is_given {
                return Err(Error::config(format!("{parameter} needs background: true; {why}")));
            }
        }
        Ok(())
    }

    fn route_by(&self) -> Result<Option<String>> {
        let column = match self.route_by {
            Some(column) => text("routeBy", column)?,
            None => php_ini::value(ini::ROUTE_BY),
        };
        Ok(Some(column).filter(|column| !column.is_empty()))
    }
}

fn text(parameter: &str, bytes: &[u8]) -> Result<String> {
    // Not shown: it may be a DSN.
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Error::config(format!("{parameter} is not UTF-8")))
}

fn integer(given: Option<i64>, setting: IntSetting) -> Result<i64> {
    let IntSetting {
        parameter,
        ini,
        min,
        max,
    } = setting;
    let (number, source) = match given {
        Some(number) => (Some(number), parameter.to_owned()),
        None => (
            php_ini::value(ini).trim().parse().ok(),
            format!("{} in php.ini", ini.to_string_lossy()),
        ),
    };
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        Some(number) => Err(Error::config(format!(
            "{source} must be from {min} to {max}, not {number}"
        ))),
        None => Err(Error::config(format!(
            "{source} must be a number from {min} to {max}, not {:?}",
            php_ini::value(ini)
        ))),
    }
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn milliseconds(number: i64) -> Duration {
    Duration::from_millis(number.unsigned_abs())
}

/// Reads `tables`.
fn tables(array: &ZendHashTable) -> Result<Vec<(String, TableRules)>> {
    entries(array, "tables")?
        .into_iter()
        .map(|(name, value)| {
            let path = format!("tables[{name:?}]");
            let Some(rules) = value.array() else {
                return Err(Error::config(format!(
                    "{path} must be an array of rules, such as ['key' => 'id']"
                )));
            };
            Ok((name, table_rules(rules, &path)?))
        })
        .collect()
}

fn table_rules(array: &ZendHashTable, path: &str) -> Result<TableRules> {
    let mut rules = TableRules::default();
    for (name, value) in entries(array, path)? {
        let path = format!("{path}[{name:?}]");
        match name.as_str() {
            "key" => rules.key = key(value, &path)?,
            "mode" => {
                rules.mode = Some(match value.str() {
                    Some("upsert") => Mode::Upsert,
                    Some("insert") => Mode::Insert,
                    _ => return Err(Error::config(format!("{path} must be 'upsert' or 'insert'"))),
                });
            }
            "merge" => rules.merge = merge_rules(value, &path)?,
            "guard" => rules.guard = Some(column(value, &path, "a column's name")?),
            "allowSecondUnique" => rules.allow_second_unique = boolean(value, &path)?,
            "repeatable" => rules.repeatable = boolean(value, &path)?,
            _ => {
                return Err(Error::config(format!(
                    "{path} is no rule; there are: key, mode, merge, guard, allowSecondUnique, repeatable"
                )));
            }
        }
    }
    Ok(rules)
}

fn boolean(value: &Zval, path: &str) -> Result<bool> {
    value
        .bool()
        .ok_or_else(|| Error::config(format!("{path} must be true or false")))
}

fn key(value: &Zval, path: &str) -> Result<KeyRule> {
    const WHAT: &str = "a column's name, a list of names, or 'server' for the server's own keys";
    let columns = match value.array() {
        Some(list) => list
            .values()
            .map(|value| column(value.dereference(), path, WHAT))
            .collect::<Result<Vec<_>>>()?,
        None => match column(value, path, WHAT)? {
            server if server == "server" => return Ok(KeyRule::Server),
            name => vec![name],
        },
    };
    if columns.is_empty() {
        return Err(Error::config(format!("{path} must name at least one column")));
    }
    Ok(KeyRule::Columns(columns))
}

fn column(value: &Zval, path: &str, what: &str) -> Result<String> {
    value
        .str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Error::config(format!("{path} must be {what}")))
}

fn merge_rules(value: &Zval, path: &str) -> Result<Vec<(String, MergeRule)>> {
    let Some(array) = value.array() else {
        return Err(Error::config(format!(
            "{path} must be an array, such as ['available' => 'sum']"
        )));
    };
    entries(array, path)?
        .into_iter()
        .map(|(column, rule)| {
            let parsed = rule.str().and_then(MergeRule::parse);
            let rule = parsed.ok_or_else(|| {
                Error::config(format!(
                    "{path}[{column:?}] must be 'replace', 'keep', 'sum', 'min' or 'max'"
                ))
            })?;
            Ok((column, rule))
        })
        .collect()
}

/// An array's elements by name.
fn entries<'a>(array: &'a ZendHashTable, path: &str) -> Result<Vec<(String, &'a Zval)>> {
    let mut entries = Vec::with_capacity(array.len());
    let mut iterator = array.iter();
    while let Some((key, value)) = iterator.next_zval() {
        if let Some(number) = key.long() {
            return Err(Error::config(format!(
                "{path} must be an associative array; it has the key {number}"
            )));
        }
        let name = key
            .zend_str()
            .and_then(|name| std::str::from_utf8(name.as_bytes()).ok().map(str::to_owned));
        let name = name.ok_or_else(|| Error::config(format!("{path} has a key that is not UTF-8")))?;
        entries.push((name, value.dereference()));
    }
    Ok(entries)
}
