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
//! | [`ledger`] | which transaction was committed, where a COMMIT was not answered | yes |
//! | [`metrics`] | counters and latencies | yes |
//! | [`find`] | looks for a row still buffered | yes |
//! | [`dead_letter`] | groups that can never be written | yes |
//! | [`dead_letter_file`] | the same, on disk | no |
//! | [`clock`] | time, as an argument | no |
//! | [`sink`] | where transactions go: MySQL and MariaDB, or memory | no |
//! | [`writer`] | a batch into a transaction, with its retries | no |
//! | [`queue`] | the batches of one lane, and what is due when | yes |
//! | [`lanes`] | which lane a group takes, and what it waits for there | yes |
//! | [`background`] | the buffer whose rows native threads write: its callers' side | no |
//! | `flusher` | the same buffer: its threads' side | no |
//! | [`foreground`] | the buffer that flushes on its caller's thread | no |

pub mod background;
pub mod batch;
pub mod catalog;
pub mod clock;
pub mod coalesce;
pub mod column;
pub mod config;
pub mod dead_letter;
pub mod dead_letter_file;
pub mod decimal;
pub mod dsn;
pub mod error;
pub mod find;
mod flusher;
pub mod foreground;
pub mod lanes;
pub mod ledger;
pub mod metrics;
pub mod plan;
pub mod queue;
pub mod retry;
pub mod server_error;
pub mod sink;
pub mod sql;
pub mod table;
pub mod value;
pub mod writer;
