//! What stands behind a PHP object: a buffer, from its constructor to its end.

pub mod any;
pub mod object;
pub mod persistent;
pub mod state;
pub mod tables;
pub mod wait;
