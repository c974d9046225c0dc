//! What stands behind a PHP object: a buffer, from its constructor to its end.
//!
//! [`object`] is the way from PHP to it, and the only one. [`wait`] is what may take time in the
//! background, [`state`] what is done at once, and [`group`] what one group of many calls gathers.
//!
//! Invariant: no PHP code runs while the state is borrowed.

pub mod any;
pub mod ending;
pub mod group;
pub mod object;
pub mod open_groups;
pub mod open_retries;
pub mod persistent;
pub mod put_back;
pub mod recovering;
pub mod state;
pub mod tables;
pub mod wait;
