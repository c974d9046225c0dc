//! From the constructor's arguments and php.ini to a configuration, by the table of settings.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;
use write_buffer_core::dsn::{Dsn, Tls};
use write_buffer_core::error::{Error, Result};

use crate::convert::moments::is_time_zone;
use crate::settings::SETTINGS;
use crate::settings::configuration::{BufferClass, Configuration};
use crate::settings::setting::{Field, InForeground, Number, Scope, Setting};
use crate::settings::tables;
use crate::settings::words::{Choose, Words};
use crate::zend::arguments::Arguments;
use crate::zend::messages::PendingException;
use crate::zend::php_ini;

/// The arguments of a constructor's call, as PHP parsed them.
pub struct Given<'call> {
    class: BufferClass,
    arguments: Vec<(&'static Setting, Option<Argument<'call>>)>,
}

/// An argument that is not null.
#[derive(Clone, Copy)]
enum Argument<'call> {
    Switch(bool),
    Number(i64),
    Text(&'call [u8]),
    Rules(&'call Zval),
}

impl<'call> Given<'call> {
    /// Parses the arguments of a call.
    ///
    /// # Errors
    ///
    /// Too many arguments, or one of a wrong type.
    pub fn parse(call: &'call ExecuteData, class: BufferClass) -> Result<Self, PendingException> {
        let count = u32::try_from(SETTINGS.len()).unwrap_or(u32::MAX);
        let mut arguments = Arguments::of(call, 0, count)?;
        let parsed = SETTINGS.iter().map(|setting| {
            let argument = Argument::parse(&setting.field, &mut arguments)?;
            Ok((setting, argument))
        });
        Ok(Self {
            class,
            arguments: parsed.collect::<Result<_, PendingException>>()?,
        })
    }

    /// The arguments of a buffer that only recovers a journal.
    pub fn of_recovery(directory: &'call [u8], dsn: Option<&'call [u8]>) -> Self {
        let argument = |setting: &'static Setting| {
            let argument = match setting.name {
                "dsn" => dsn.map(Argument::Text),
                "background" => Some(Argument::Switch(true)),
                "journal" => Some(Argument::Text(directory)),
                "persistent" => Some(Argument::Text(b"")),
                _ => None,
            };
            (setting, argument)
        };
        Self {
            class: BufferClass::WriteBuffer,
            arguments: SETTINGS.iter().map(argument).collect(),
        }
    }

    /// The configuration that they and php.ini say.
    ///
    /// An argument that this class ignores is checked all the same, so that a caller may exchange
    /// the classes. php.ini's value is not: it is there for other buffers.
    ///
    /// # Errors
    ///
    /// The first setting out of its bounds.
    pub fn configuration(&self) -> Result<Configuration> {
        let mut configuration = Configuration::new(self.class);
        let mut ignored = Configuration::new(BufferClass::WriteBuffer);
        for (setting, argument) in &self.arguments {
            // Others are checked by whether there is a background, and php.ini's switch is never
            // wrong.
            let is_switch = matches!(setting.field, Field::Switch(_));
            if setting.scope.is_heeded_by(self.class) {
                setting.read(*argument, &mut configuration)?;
            } else if is_switch || argument.is_some() {
                setting.read(*argument, &mut ignored)?;
            }
        }
        if self.class != BufferClass::WriteBuffer {
            ignored.flush_mode()?;
        }
        configuration.keep_failures_beside_journal();
        Ok(configuration)
    }
}

impl<'call> Argument<'call> {
    fn is(self, number: Option<i64>) -> bool {
        matches!(self, Self::Number(given) if Some(given) == number)
    }

    /// Whether it says that there is no file.
    fn is_no_file(self, field: &Field) -> bool {
        matches!((self, field), (Self::Text([]), Field::File(..)))
    }

    /// The next argument of a call. `None`: null, or left out.
    fn parse(field: &Field, arguments: &mut Arguments<'call>) -> Result<Option<Self>, PendingException> {
        Ok(match field {
            Field::Switch(_) => arguments.bool_or_null()?.map(Self::Switch),
            Field::Number(..) => arguments.int_or_null()?.map(Self::Number),
            Field::Rules(_) => arguments.array()?.map(Self::Rules),
            Field::Word(words, _) => arguments.word_or_null(words.enum_name)?.map(Self::Text),
            Field::Dsn(_) | Field::Text(_) | Field::OptionalText(_) | Field::TimeZone(_) | Field::File(..) => {
                arguments.text_or_null()?.map(Self::Text)
            }
        })
    }
}

impl Setting {
    /// Reads an argument, or php.ini, into a configuration.
    fn read(&self, argument: Option<Argument<'_>>, to: &mut Configuration) -> Result<()> {
        match self.scope {
            Scope::Background(in_foreground) if !to.background => match in_foreground {
                InForeground::Heeded => self.set(argument, to),
                // A setting that nothing heeds must not look as if it were heeded.
                InForeground::Refused(why, allowed)
                    if argument.is_some_and(|argument| !argument.is(allowed) && !argument.is_no_file(&self.field)) =>
                {
                    Err(Error::config(format!("{} needs background: true; {why}", self.name)))
                }
                // A wrong value is wrong for the next buffer, too.
                InForeground::Refused(..) | InForeground::Ignored => {
                    self.set(argument, &mut Configuration::new(to.class))
                }
            },
            _ => self.set(argument, to),
        }
    }

    fn set(&self, argument: Option<Argument<'_>>, to: &mut Configuration) -> Result<()> {
        match &self.field {
            Field::Dsn(of) => {
                let dsn = self.text(argument)?;
                let mut dsn = (!dsn.is_empty()).then(|| Dsn::parse(&dsn)).transpose()?;
                // php.ini's DSN is the administrator's, who may name any file.
                if let (Some(Dsn::Server(server)), Some(_)) = (&mut dsn, argument) {
                    for (option, path) in server.tls.iter_mut().flat_map(Tls::files) {
                        let absolute = allowed_path(option, path.as_bytes())?;
                        *path = absolute.to_str().unwrap_or(path).to_owned();
                    }
                }
                *of(to) = dsn;
            }
            Field::Switch(of) => *of(to) = self.switch(argument),
            Field::Number(min, max, kind) => kind.set(to, self.number(argument, kind, *min, *max)?),
            Field::Text(of) => *of(to) = self.text(argument)?,
            Field::TimeZone(of) => *of(to) = self.time_zone(self.text(argument)?)?,
            Field::OptionalText(of) => *of(to) = Some(self.text(argument)?).filter(|text| !text.is_empty()),
            Field::Word(words, _) => (self.word(words, &self.text(argument)?)?)(to),
            Field::File(of, check) => {
                let path = self.file(argument)?;
                path.as_deref().map_or(Ok(()), check)?;
                *of(to) = path;
            }
            Field::Rules(of) => {
                if let Some(Argument::Rules(rules)) = argument {
                    *of(to) = tables::tables(rules)?;
                }
            }
        }
        Ok(())
    }

    fn text(&self, argument: Option<Argument<'_>>) -> Result<String> {
        match argument {
            // Not shown: it may be a DSN.
            Some(Argument::Text(text)) => std::str::from_utf8(text)
                .map(str::to_owned)
                .map_err(|_| Error::config(format!("{} is not UTF-8", self.name))),
            _ => Ok(self.ini_value()),
        }
    }

    fn switch(&self, argument: Option<Argument<'_>>) -> bool {
        const OFF: [&str; 5] = ["", "0", "off", "no", "false"];
        match argument {
            Some(Argument::Switch(on)) => on,
            _ => !OFF.contains(&self.ini_value().to_ascii_lowercase().as_str()),
        }
    }

    fn time_zone(&self, name: String) -> Result<Option<String>> {
        if name.is_empty() {
            return Ok(None);
        }
        if is_time_zone(&name) {
            return Ok(Some(name));
        }
        Err(Error::config(format!(
            "{} must be a time zone of PHP's, such as 'UTC', 'Europe/Berlin' or '+02:00', not {name:?}",
            self.name
        )))
    }

    fn word(&self, words: &Words<Choose>, given: &str) -> Result<Choose> {
        let word = words.find(given).map(|word| word.meaning);
        word.ok_or_else(|| Error::config(format!("{} must be {}, not {given:?}", self.name, words.list())))
    }

    fn number(&self, argument: Option<Argument<'_>>, kind: &Number, min: i64, max: i64) -> Result<i64> {
        match argument {
            Some(Argument::Number(number)) => within(self.name, number, min, max),
            _ => self.ini_number(&self.ini_value(), kind, min, max),
        }
    }

    fn ini_number(&self, value: &str, kind: &Number, min: i64, max: i64) -> Result<i64> {
        let ini = self.ini.as_ref();
        let key = ini.map(|ini| ini.key.to_string_lossy()).unwrap_or_default();
        let source = format!("{key} in php.ini");
        let wrong = || Error::config(format!("{source} must be a number from {min} to {max}, not {value:?}"));
        within(&source, kind.parse(value).ok_or_else(wrong)?, min, max)
    }

    /// Checks a value that php.ini is to have, as far as it can be checked by itself.
    ///
    /// # Errors
    ///
    /// What no buffer could be made with.
    pub fn check_ini(&self, value: &str) -> Result<()> {
        match &self.field {
            Field::Number(min, max, kind) => self.ini_number(value, kind, *min, *max).map(drop),
            Field::Word(words, _) => self.word(words, value).map(drop),
            Field::Dsn(_)
            | Field::Switch(_)
            | Field::Text(_)
            | Field::OptionalText(_)
            | Field::File(..)
            | Field::Rules(_) => Ok(()),
            Field::TimeZone(_) => self.time_zone(value.to_owned()).map(drop),
        }
    }

    /// A file, by its absolute path.
    fn file(&self, argument: Option<Argument<'_>>) -> Result<Option<PathBuf>> {
        let ini_value = self.ini_value();
        let given = match argument {
            Some(Argument::Text(path)) => path,
            _ => ini_value.as_bytes(),
        };
        if given.is_empty() {
            return Ok(None);
        }
        allowed_path(self.name, given).map(Some)
    }
}

fn within(source: &str, number: i64, min: i64, max: i64) -> Result<i64> {
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(Error::config(format!(
            "{source} must be from {min} to {max}, not {number}"
        )))
    }
}

/// The path of a journal's directory.
///
/// # Errors
///
/// A path outside `open_basedir`, or that is none.
pub fn journal_directory(given: &[u8]) -> Result<PathBuf> {
    allowed_path("the directory", given)
}

/// The absolute path of a file that `open_basedir` allows: a process may change its folder. It does
/// not matter to the message whether the file is there.
fn allowed_path(name: &str, given: &[u8]) -> Result<PathBuf> {
    let shown = String::from_utf8_lossy(given);
    if given.contains(&0) {
        return Err(Error::config(format!("{name} {shown:?} has a NUL byte")));
    }
    let path = std::path::absolute(Path::new(OsStr::from_bytes(given)))
        .map_err(|error| Error::config(format!("{name} {shown:?} is no path: {error}")))?;
    if !php_ini::is_within_open_basedir(path.as_os_str().as_bytes()) {
        return Err(Error::config(format!(
            "{name} {} is outside open_basedir: name a file within, or extend open_basedir in php.ini",
            path.display()
        )));
    }
    Ok(path)
}
