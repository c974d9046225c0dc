//! The settings of php.ini, `write_buffer.*`.
//!
//! php.ini's values are text. Those of the file are checked when a buffer is made: who starts PHP
//! hears nobody. `ini_set()` refuses a wrong one with a warning, and the setting stays.

use std::ffi::{c_int, c_void};

use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::{IniEntryDef, IniEntryDefs};
use write_buffer_core::dsn::Dsn;

use crate::settings::SETTINGS;
use crate::settings::setting::Setting;
use crate::zend::{messages, php_ini};

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

/// Accepts a change, unless a script makes it and the value is wrong. Without a handler that
/// accepts it, `ini_restore()` would leave a setting as it is.
unsafe extern "C" fn accept(
    entry: *mut ext_php_rs::ffi::zend_ini_entry,
    value: *mut ext_php_rs::ffi::zend_string,
    _first: *mut c_void,
    _second: *mut c_void,
    _third: *mut c_void,
    stage: c_int,
) -> c_int {
    /// `ZEND_INI_STAGE_RUNTIME` of `zend_ini.h`.
    const RUNTIME: c_int = 1 << 4;
    const ACCEPTED: c_int = 0;
    const REFUSED: c_int = -1;
    if stage != RUNTIME {
        return ACCEPTED;
    }
    // SAFETY: PHP passes an entry of ours, which has a name, and its value to be, or null.
    let (name, value) = unsafe {
        let name = entry.as_ref().and_then(|entry| entry.name.as_ref());
        (name.map(as_text), value.as_ref().map(as_text).unwrap_or_default())
    };
    let is_it = |setting: &&Setting| {
        let ini = setting.ini.as_ref();
        ini.is_some_and(|ini| name.as_deref() == ini.key.to_str().ok())
    };
    let checked = SETTINGS.iter().find(is_it).map(|setting| setting.check_ini(&value));
    match checked {
        Some(Err(error)) => {
            messages::warn(&error.to_string());
            REFUSED
        }
        _ => ACCEPTED,
    }
}

fn as_text(text: &ext_php_rs::ffi::zend_string) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
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
