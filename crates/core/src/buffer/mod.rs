//! The buffers: what a caller adds to, and has written.

pub mod background;
pub mod find;
pub mod foreground;
pub mod metrics;
pub mod queue;
