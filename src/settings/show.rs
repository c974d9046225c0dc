//! What the settings of a buffer are, and what settings there are.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_header, info_table_row, info_table_start};
use write_buffer_core::table::rules::{KeyRule, TableRules};

use crate::export;
use crate::settings::SETTINGS;
use crate::settings::configuration::Configuration;
use crate::settings::setting::{Field, InForeground, Scope, Setting};
use crate::zend::array::ArrayBuilder;
use crate::zend::php_ini;

/// A buffer's settings, for `__debugInfo()`: those that it heeds. First those that
/// every buffer has, last those of the background.
pub fn shown(configuration: &mut Configuration) -> ArrayBuilder {
    let class = configuration.class;
    let heeded = SETTINGS.iter().filter(|setting| setting.scope.is_heeded_by(class));
    let mut settings: Vec<_> = heeded.collect();
    settings.sort_by_key(|setting| match setting.scope {
        Scope::Every => 0,
        Scope::Holding | Scope::Bounding => 1,
        Scope::Background(_) => 2,
    });
    let mut shown = ArrayBuilder::new();
    for setting in settings {
        if let Some(value) = setting.shown(configuration) {
            shown.set(setting.name, value);
        }
    }
    shown
}

impl Setting {
    /// The setting's value. `None`: it has none, or means nothing in the foreground.
    fn shown(&self, from: &mut Configuration) -> Option<Zval> {
        let means_nothing = |in_foreground| !from.background && in_foreground != InForeground::Heeded;
        if matches!(self.scope, Scope::Background(in_foreground) if means_nothing(in_foreground)) {
            return None;
        }
        match &self.field {
            Field::Dsn(of) => of(from).as_ref().map(|dsn| export::string(dsn.to_string())),
            Field::Switch(of) => Some(export::boolean(*of(from))),
            Field::Number(_, _, number) => Some(export::int(number.get(from))),
            Field::Text(of) => Some(export::string(of(from))),
            Field::OptionalText(of) | Field::TimeZone(of) => of(from).as_ref().map(export::string),
            Field::Word(_, chosen) => Some(export::string(chosen(from))),
            Field::File(of, _) => of(from)
                .as_ref()
                .map(|path| export::string(path.as_os_str().as_encoded_bytes())),
            Field::Rules(of) => Some(of(from))
                .filter(|rules| !rules.is_empty())
                .map(|rules| tables(rules)),
        }
    }

    /// What the setting's value may be, for people.
    fn allowed(&self) -> String {
        match &self.field {
            Field::Number(min, max, _) => format!("{min} to {max}"),
            Field::Word(words, _) => words.list(),
            Field::Switch(_) => "true or false".to_owned(),
            Field::Rules(_) => "an array".to_owned(),
            Field::Dsn(_) | Field::Text(_) | Field::OptionalText(_) | Field::TimeZone(_) | Field::File(..) => {
                "a string".to_owned()
            }
        }
    }
}

/// The rules by table, as `tables` takes them: those that were given.
fn tables(rules: &[(String, TableRules)]) -> Zval {
    let mut tables = ArrayBuilder::new();
    for (table, rules) in rules {
        tables.set(table, rules_of_table(rules));
    }
    tables.build()
}

fn rules_of_table(rules: &TableRules) -> Zval {
    let mut shown = ArrayBuilder::new();
    match &rules.key {
        KeyRule::Primary => {}
        KeyRule::Server => shown.set("key", export::string("server")),
        KeyRule::Columns(columns) => {
            let mut list = ArrayBuilder::new();
            for column in columns {
                list.push(export::string(column));
            }
            shown.set("key", list.build());
        }
    }
    if let Some(mode) = rules.mode {
        shown.set("mode", export::string(mode.name()));
    }
    if !rules.merge.is_empty() {
        let mut merge = ArrayBuilder::new();
        for (column, rule) in &rules.merge {
            merge.set(column, export::string(rule.name()));
        }
        shown.set("merge", merge.build());
    }
    if let Some(guard) = &rules.guard {
        shown.set("guard", export::string(guard));
    }
    for (name, is_on, usual) in [
        ("allowSecondUnique", rules.allow_second_unique, false),
        ("repeatable", rules.repeatable, false),
        ("coalesce", !rules.writes_each_version, true),
    ] {
        if is_on != usual {
            shown.set(name, export::boolean(is_on));
        }
    }
    shown.build()
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
    info_table_start!();
    info_table_header!("Parameter", "Allowed", "Meaning");
    for setting in SETTINGS {
        info_table_row!(setting.name, setting.allowed(), setting.doc);
    }
    info_table_end!();
    php_ini::print_entries(module);
}
