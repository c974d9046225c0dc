//! The settings of php.ini, `write_buffer.*`, and the table of `phpinfo()`.

use std::ffi::{CStr, c_int, c_void};

use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::{IniEntryDef, IniEntryDefs, ModuleEntry};
use ext_php_rs::{info_table_end, info_table_row, info_table_start};
use write_buffer_core::buffer::background::lanes::MAX_LANES;
use write_buffer_core::dsn::Dsn;

use crate::zend::php_ini;

/// An integer setting and its bounds.
#[derive(Debug, Clone, Copy)]
pub struct IntSetting {
    /// The constructor's parameter.
    pub parameter: &'static str,
    /// The setting of php.ini.
    pub ini: &'static CStr,
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
}

const DAY_MS: i64 = 86_400_000;

const fn int(parameter: &'static str, ini: &'static CStr, min: i64, max: i64) -> IntSetting {
    IntSetting {
        parameter,
        ini,
        min,
        max,
    }
}

pub const BATCH_SIZE: IntSetting = int("batchSize", c"write_buffer.batch_size", 1, 10_000);
pub const FLUSH_INTERVAL_MS: IntSetting = int("flushIntervalMs", c"write_buffer.flush_interval_ms", 1, DAY_MS);
pub const MAX_RETRIES: IntSetting = int("maxRetries", c"write_buffer.max_retries", 0, 100);
pub const MAX_PENDING_ROWS: IntSetting = int("maxPendingRows", c"write_buffer.max_pending_rows", 1, 100_000_000);
pub const MAX_PENDING_BYTES: IntSetting = int("maxPendingBytes", c"write_buffer.max_pending_bytes", 1024, i64::MAX);
pub const SHUTDOWN_TIMEOUT_MS: IntSetting = int("shutdownTimeoutMs", c"write_buffer.shutdown_timeout_ms", 1, DAY_MS);

pub const OVERFLOW_TIMEOUT_MS: IntSetting = int("overflowTimeoutMs", c"write_buffer.overflow_timeout_ms", 0, DAY_MS);

pub const LANES: IntSetting = int("lanes", c"write_buffer.lanes", 1, MAX_LANES.cast_signed() as i64);

pub const DSN: &CStr = c"write_buffer.dsn";
pub const BACKGROUND: &CStr = c"write_buffer.background";
pub const ORDER_TABLE: &CStr = c"write_buffer.order_table";
pub const TRADE_TABLE: &CStr = c"write_buffer.trade_table";
pub const OVERFLOW: &CStr = c"write_buffer.overflow";
pub const ROUTE_BY: &CStr = c"write_buffer.route_by";
pub const PERSISTENT: &CStr = c"write_buffer.persistent";
pub const DEAD_LETTER_FILE: &CStr = c"write_buffer.dead_letter_file";
pub const LEDGER: &CStr = c"write_buffer.ledger";

const fn setting(name: &'static CStr, default: &'static CStr) -> IniEntryDef {
    let mut entry = IniEntryDef::new(name, default, IniEntryPermission::All);
    entry.on_modify = Some(accept);
    entry
}

const fn dsn_setting() -> IniEntryDef {
    let mut entry = IniEntryDef::new(DSN, c"", IniEntryPermission::System);
    entry.displayer = Some(display_dsn);
    entry
}

static ENTRIES: IniEntryDefs<18> = IniEntryDefs::new([
    dsn_setting(),
    setting(BATCH_SIZE.ini, c"100"),
    setting(FLUSH_INTERVAL_MS.ini, c"500"),
    setting(MAX_RETRIES.ini, c"3"),
    setting(BACKGROUND, c"1"),
    setting(ORDER_TABLE, c"orders"),
    setting(TRADE_TABLE, c"trades"),
    setting(MAX_PENDING_ROWS.ini, c"100000"),
    setting(MAX_PENDING_BYTES.ini, c"67108864"),
    setting(OVERFLOW, c"block"),
    setting(OVERFLOW_TIMEOUT_MS.ini, c"5000"),
    setting(SHUTDOWN_TIMEOUT_MS.ini, c"5000"),
    setting(LANES.ini, c"1"),
    setting(ROUTE_BY, c""),
    setting(PERSISTENT, c""),
    setting(DEAD_LETTER_FILE, c""),
    setting(LEDGER, c"auto"),
    IniEntryDef::end(),
]);

/// Makes the settings known to PHP.
pub fn register(module_number: i32) {
    IniEntryDef::register(ENTRIES.as_slice(), module_number);
}

/// Accepts a change. Values are checked when a buffer is made; without a handler that accepts it, `ini_restore()` would
/// leave a setting as it is.
unsafe extern "C" fn accept(
    _entry: *mut ext_php_rs::ffi::zend_ini_entry,
    _value: *mut ext_php_rs::ffi::zend_string,
    _first: *mut c_void,
    _second: *mut c_void,
    _third: *mut c_void,
    _stage: c_int,
) -> c_int {
    0
}

/// Shows the DSN without its password, where php.ini's settings are listed.
unsafe extern "C" fn display_dsn(_entry: *mut ext_php_rs::ffi::zend_ini_entry, _kind: c_int) {
    let dsn = php_ini::value(DSN);
    let shown = if dsn.is_empty() {
        "no value".to_owned()
    } else {
        // What cannot be read may hold a password anywhere.
        Dsn::parse(&dsn).map_or_else(|_| "not a DSN".to_owned(), |dsn| dsn.to_string())
    };
    // SAFETY: the text is given with its length.
    unsafe { ext_php_rs::ffi::php_output_write(shown.as_ptr().cast(), shown.len()) };
}

/// Prints the extension's part of `phpinfo()`.
pub unsafe extern "C" fn print_info(module: *mut ModuleEntry) {
    info_table_start!();
    info_table_row!("write_buffer support", "enabled");
    info_table_row!("Version", env!("CARGO_PKG_VERSION"));
    info_table_row!(
        "Client",
        concat!("mysql ", env!("MYSQL_CRATE_VERSION"), " (Rust, TLS by rustls)")
    );
    info_table_end!();
    // SAFETY: PHP gives its own module entry.
    unsafe { php_ini::display_ini_entries(module) };
}
