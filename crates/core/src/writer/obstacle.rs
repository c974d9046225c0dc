//! Why a writer stops.

use std::time::Duration;

use crate::error::Error;

/// Why a writer stops before all groups are settled.
#[derive(Debug)]
pub enum Obstacle {
    /// Nothing can be written now.
    Failed(Error),
    /// A table is in the way. The buffer sets its groups aside, and calls with the others.
    Table(Error),
    /// As [`Self::Table`]: somebody holds a lock there. That passes by itself.
    Locked {
        /// The error.
        error: Error,
        /// How long that was waited for.
        waited: Duration,
        /// The server's own time-out. A flush waits as long.
        max: Duration,
    },
    /// The next group is refused, and may lack what earlier ones hold. The buffer sets it aside
    /// until these are settled.
    Refused(Error),
}

impl Obstacle {
    /// The error.
    pub fn error(&self) -> &Error {
        match self {
            Self::Failed(error) | Self::Table(error) | Self::Locked { error, .. } | Self::Refused(error) => error,
        }
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
