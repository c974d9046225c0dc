//! What a buffer is made of, once its settings are read.

use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::settings::Settings;

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
    /// What the engine has to know.
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
