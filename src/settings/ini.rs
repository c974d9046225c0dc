//! The settings of php.ini, `write_buffer.*`.
//!
//! php.ini's values are text, and are checked when a buffer is made.

use std::ffi::{c_int, c_void};

use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::{IniEntryDef, IniEntryDefs};
use write_buffer_core::dsn::Dsn;

use crate::settings::SETTINGS;
use crate::settings::setting::Setting;
use crate::zend::php_ini;

/// How many of the settings php.ini has, and the end of PHP's list.
const ENTRIES_AND_END: usize = {
    let (mut at, mut count) = (0, 1);
    while at < SETTINGS.len() {
        if SETTINGS[at].ini.is_some() {
            count += 1;
        }
        at += 1;
    }
    count
};

/// PHP reads it for as long as the process lives.
static ENTRIES: IniEntryDefs<ENTRIES_AND_END> = {
    let mut entries = [IniEntryDef::end(); ENTRIES_AND_END];
    let (mut at, mut next) = (0, 0);
    while at < SETTINGS.len() {
        if let Some(entry) = entry(&SETTINGS[at]) {
            entries[next] = entry;
            next += 1;
        }
        at += 1;
    }
    IniEntryDefs::new(entries)
};

/// A setting's entry, in PHP's form.
const fn entry(setting: &Setting) -> Option<IniEntryDef> {
    let Some(ini) = &setting.ini else { return None };
    // Only the administrator says where rows go, and its password is not shown.
    if setting.is_secret() {
        let mut entry = IniEntryDef::new(ini.key, ini.default, IniEntryPermission::System);
        entry.displayer = Some(display_dsn);
        return Some(entry);
    }
    let mut entry = IniEntryDef::new(ini.key, ini.default, IniEntryPermission::All);
    entry.on_modify = Some(accept);
    Some(entry)
}

/// Makes the settings known to PHP.
pub fn register(module_number: i32) {
    IniEntryDef::register(ENTRIES.as_slice(), module_number);
}

/// Accepts a change. Without a handler that accepts it, `ini_restore()` would leave a setting as it
/// is.
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

/// Shows the DSN without its password, wherever php.ini's settings are listed.
unsafe extern "C" fn display_dsn(_entry: *mut ext_php_rs::ffi::zend_ini_entry, _kind: c_int) {
    let setting = SETTINGS.iter().find(|setting| setting.is_secret());
    let dsn = setting.map(Setting::ini_value).unwrap_or_default();
    let shown = if dsn.is_empty() {
        "no value".to_owned()
    } else {
        // What cannot be read may hold a password anywhere.
        Dsn::parse(&dsn).map_or_else(|_| "not a DSN".to_owned(), |dsn| dsn.to_string())
    };
    php_ini::print(&shown);
}
