//! The engine of the `write_buffer` PHP extension. It knows nothing of PHP.
//!
//! Rows come in as [`batch::Group`]s, wait in [`batch::Batch`]es, are coalesced ([`coalesce`]) and planned ([`plan`]) into
//! SQL ([`sql`]), and are committed by a [`sink::Sink`], one transaction at a time.
//!
//! | module | what it owns | pure |
//! |---|---|---|
//! | [`value`], [`decimal`], [`column`] | one value: its encoding, exact numbers, comparing and keying by column type | yes |
//! | [`table`] | a table: name, rules, schema, and the two bound together | yes |
//! | [`catalog`] | the tables and column sets that a buffer has met | yes |
//! | [`batch`] | groups of rows, as a log | yes |
//! | [`coalesce`] | rows of one key become one | yes |
//! | [`plan`], [`sql`] | statements of one transaction | yes |
//! | [`dsn`], [`config`] | settings | yes |
//! | [`error`], [`server_error`], [`retry`] | errors, and what to do after them | yes |
//! | [`metrics`] | counters and latencies | yes |
//! | [`clock`] | time, as an argument | no |
//! | [`sink`] | where transactions go: MySQL and MariaDB, or memory | no |
//! | [`foreground`] | the buffer that flushes on its caller's thread | no |

pub mod batch;
pub mod catalog;
pub mod clock;
pub mod coalesce;
pub mod column;
pub mod config;
pub mod decimal;
pub mod dsn;
pub mod error;
pub mod foreground;
pub mod metrics;
pub mod plan;
pub mod retry;
pub mod server_error;
pub mod sink;
pub mod sql;
pub mod table;
pub mod value;
