//! What an entry in the table of settings says.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ext_php_rs::flags::DataType;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::Result;
use write_buffer_core::table::rules::TableRules;

use crate::settings::configuration::{BufferClass, Configuration};
use crate::settings::words::{Choose, Words};
use crate::zend::php_ini;

/// A setting.
pub struct Setting {
    /// The constructor's parameter.
    pub name: &'static str,
    /// What it is, in a line: as the stub's text begins.
    pub doc: &'static str,
    /// Its entry in php.ini, whose value an argument that is null or left out takes.
    pub ini: Option<Ini>,
    /// Which buffers heed it.
    pub scope: Scope,
    /// Its type and bounds, and where its value goes.
    pub field: Field,
}

impl Setting {
    /// Whether the value may hold a password.
    pub const fn is_secret(&self) -> bool {
        matches!(self.field, Field::Dsn(_))
    }

    /// php.ini's value; empty if it has no entry.
    pub fn ini_value(&self) -> String {
        self.ini
            .as_ref()
            .map_or_else(String::new, |ini| php_ini::value(ini.key))
    }
}

/// An entry in php.ini.
pub struct Ini {
    /// Its name.
    pub key: &'static CStr,
    /// Its value if php.ini does not have it.
    pub default: &'static CStr,
}

impl Ini {
    /// An entry.
    pub const fn new(key: &'static CStr, default: &'static CStr) -> Self {
        Self { key, default }
    }
}

/// Which buffers heed a setting. Both constructors take all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Every,
    /// All. To one that holds no rows it is the bound of one call.
    Bounding,
    /// Those that hold rows: `WriteBuffer`.
    Holding,
    /// Those of them that flush in the background.
    Background(InForeground),
}

impl Scope {
    /// Whether a class's buffers heed the setting.
    pub fn is_heeded_by(self, class: BufferClass) -> bool {
        class == BufferClass::WriteBuffer || matches!(self, Self::Every | Self::Bounding)
    }
}

/// What a setting of the background means to a buffer in the foreground.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InForeground {
    /// It is heeded: it says where the buffer flushes.
    Heeded,
    /// Nothing.
    Ignored,
    /// An argument is refused, with the reason, unless it says what holds in the foreground anyway.
    /// A value of php.ini means nothing: it may be there for other buffers.
    Refused(&'static str, Option<i64>),
}

/// Access to a setting's value.
pub type Access<T> = fn(&mut Configuration) -> &mut T;

/// The type and the bounds of a setting's value, and where it goes.
pub enum Field {
    /// Where rows go.
    Dsn(Access<Option<Dsn>>),
    /// On or off.
    Switch(Access<bool>),
    /// A number, from a smallest to a largest one.
    Number(i64, i64, Number),
    /// A text.
    Text(Access<String>),
    /// A time zone's name, or nothing if it is empty.
    TimeZone(Access<Option<String>>),
    /// A text, or nothing if it is empty.
    OptionalText(Access<Option<String>>),
    /// One of some words, and how the chosen one is told.
    Word(&'static Words<Choose>, fn(&Configuration) -> &'static str),
    /// A file's path, or nothing if it is empty, and what else the file must be.
    File(Access<Option<PathBuf>>, fn(&Path) -> Result<()>),
    /// Rules by table.
    Rules(Access<Vec<(String, TableRules)>>),
}

impl Field {
    /// The type of the constructor's parameter, apart from null.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Switch(_) => DataType::Bool,
            Self::Number(..) => DataType::Long,
            Self::Rules(_) => DataType::Array,
            // Or a string: see `classes::buffers`.
            Self::Word(words, _) => DataType::object(words.enum_name),
            Self::Dsn(_) | Self::Text(_) | Self::OptionalText(_) | Self::TimeZone(_) | Self::File(..) => {
                DataType::String
            }
        }
    }
}

/// A number's type in the engine.
pub enum Number {
    /// Of rows, threads, statements.
    Count(Access<usize>),
    /// Of bytes. php.ini may say `64M`.
    Bytes(Access<usize>),
    /// Of repetitions.
    Times(Access<u32>),
    /// A time.
    Milliseconds(Access<Duration>),
}

impl Number {
    /// Sets it. The number is within its bounds, none of which is negative.
    pub fn set(&self, to: &mut Configuration, number: i64) {
        match self {
            Self::Count(of) | Self::Bytes(of) => *of(to) = usize::try_from(number).unwrap_or(usize::MAX),
            Self::Times(of) => *of(to) = u32::try_from(number).unwrap_or(u32::MAX),
            Self::Milliseconds(of) => *of(to) = Duration::from_millis(number.unsigned_abs()),
        }
    }

    /// Reads a number of php.ini. `None`: it is none.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        let unit = match (self, text.as_bytes().last()?) {
            (Self::Bytes(_), b'k' | b'K') => 1 << 10,
            (Self::Bytes(_), b'm' | b'M') => 1 << 20,
            (Self::Bytes(_), b'g' | b'G') => 1 << 30,
            _ => return text.parse().ok(),
        };
        let number: i64 = text.get(..text.len() - 1)?.parse().ok()?;
        number.checked_mul(unit)
    }

    /// The number.
    pub fn get(&self, from: &mut Configuration) -> i64 {
        let number = match self {
            Self::Count(of) | Self::Bytes(of) => i64::try_from(*of(from)),
            Self::Times(of) => Ok(i64::from(*of(from))),
            Self::Milliseconds(of) => i64::try_from(of(from).as_millis()),
        };
        number.unwrap_or(i64::MAX)
    }
}
