//! Time, as an argument: so a test decides what time it is.

use std::time::{Duration, Instant};

/// Where a buffer gets the time, and how it waits.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Instant;
    /// Lets time pass.
    fn sleep(&self, duration: Duration);
}

/// The system's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
