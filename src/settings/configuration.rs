//! What a buffer is made of, once its settings are read.

use std::path::PathBuf;
use std::time::Duration;

use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::settings::{DEAD_LETTERS, JournalSettings, JournalSync, LOOK_INTERVAL, Settings};

/// A class whose objects are buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferClass {
    /// `WriteBuffer`.
    WriteBuffer,
    /// `SyncWriteBuffer`: each group is committed at once, and none is kept.
    SyncWriteBuffer,
}

impl BufferClass {
    /// The name in PHP.
    pub fn name(self) -> &'static str {
        match self {
            Self::WriteBuffer => "WriteBuffer",
            Self::SyncWriteBuffer => "SyncWriteBuffer",
        }
    }
}

/// Which thread flushes, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode<'c> {
    /// The caller's.
    Foreground,
    /// One of its own, as long as the object lives.
    Background,
    /// One of its own, as long as the process lives, shared by all objects that give this name.
    Persistent(&'c str),
}

/// When what was taken survives the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// When the system writes it.
    None,
    /// A moment later.
    Interval,
    /// At once.
    Always,
}

impl SyncMode {
    /// The word in PHP.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::Always => "always",
        }
    }
}

/// The settings of a journal.
#[derive(Debug, Clone)]
pub struct JournalConfiguration {
    /// Its folder. `None`: there is no journal.
    pub directory: Option<PathBuf>,
    /// When it is synced.
    pub sync: SyncMode,
    /// How often, if that is its own time.
    pub interval: Duration,
    /// The most that it takes on the disk.
    pub max_bytes: usize,
}

impl Default for JournalConfiguration {
    fn default() -> Self {
        Self {
            directory: None,
            sync: SyncMode::None,
            interval: Duration::from_millis(10),
            max_bytes: 1 << 30,
        }
    }
}

/// A buffer's settings, each checked by itself.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The class.
    pub class: BufferClass,
    /// Where rows go.
    pub dsn: Option<Dsn>,
    /// Whether a thread of its own flushes.
    pub background: bool,
    /// The name of a buffer that outlives its objects.
    pub persistent: Option<String>,
    /// The zone to which `DateTimeInterface` objects are converted.
    pub time_zone: Option<String>,
    /// Its journal.
    pub journal: JournalConfiguration,
    /// What the engine has to know, but for the journal.
    pub engine: Settings,
}

impl Configuration {
    /// A configuration before any setting is read: of what its class has no setting for, this is
    /// how it stays.
    pub fn new(class: BufferClass) -> Self {
        let engine = match class {
            BufferClass::WriteBuffer => Settings::default(),
            // Every group is a batch.
            BufferClass::SyncWriteBuffer => Settings {
                batch_size: 1,
                keeps_rows: false,
                ..Settings::default()
            },
        };
        Self {
            class,
            dsn: None,
            background: false,
            persistent: None,
            time_zone: None,
            journal: JournalConfiguration::default(),
            engine,
        }
    }

    /// Where rows go.
    ///
    /// # Errors
    ///
    /// There is no DSN.
    pub fn dsn(&self) -> Result<&Dsn> {
        self.dsn
            .as_ref()
            .ok_or_else(|| Error::config("there is no DSN: give the parameter dsn, or set write_buffer.dsn in php.ini"))
    }

    /// What a buffer with a journal gives up goes into a file in its folder, unless another one is
    /// named: memory alone would not survive.
    pub fn keep_failures_beside_journal(&mut self) {
        if let (true, Some(directory)) = (self.background, &self.journal.directory) {
            let file = || directory.join(DEAD_LETTERS);
            self.engine.dead_letter_file.get_or_insert_with(file);
        }
    }

    /// What the engine has to know.
    ///
    /// # Errors
    ///
    /// There is no DSN; a journal without a server.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = self.engine.clone();
        if let (true, Some(directory)) = (self.background, &self.journal.directory) {
            let dsn = self.dsn()?;
            if matches!(dsn, Dsn::Memory(_)) {
                return Err(Error::config(
                    "journal needs a server: the tables of memory: end with the process",
                ));
            }
            settings.journal = Some(JournalSettings {
                directory: directory.clone(),
                sync: match self.journal.sync {
                    SyncMode::None => JournalSync::None,
                    SyncMode::Interval => JournalSync::Interval(self.journal.interval),
                    SyncMode::Always => JournalSync::Always,
                },
                max_bytes: self.journal.max_bytes as u64,
                dsn: dsn.to_string(),
                look_interval: LOOK_INTERVAL,
            });
        }
        Ok(settings)
    }

    /// Which thread flushes, and for how long.
    ///
    /// # Errors
    ///
    /// A persistent buffer that is to flush on its caller's thread.
    pub fn flush_mode(&self) -> Result<FlushMode<'_>> {
        match (self.background, &self.persistent) {
            (true, None) => Ok(FlushMode::Background),
            (true, Some(name)) => Ok(FlushMode::Persistent(name)),
            (false, None) => Ok(FlushMode::Foreground),
            (false, Some(_)) => Err(Error::config("persistent needs background: true")),
        }
    }
}
