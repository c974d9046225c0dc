//! The buffers: what a caller adds to, and has written.

pub mod background;
pub mod failures;
pub mod find;
pub mod foreground;
pub mod limits;
pub mod metrics;
pub mod queue;
pub mod snapshot;
