//! The engine of the `write_buffer` PHP extension. It knows nothing of PHP and has no `unsafe`.
//!
//! The folders spell a row's way, from the top floor down. Each one uses only those below it.
//! `ARCHITECTURE.md` follows one row through them.
//!
//! | module | what it owns | pure |
//! |---|---|---|
//! | [`buffer`] | what callers hold: takes groups of rows, and has them written | no |
//! | [`writer`] | a batch into a transaction: repetitions, the ledger, dead letters | no |
//! | [`sink`] | where transactions go: MySQL and MariaDB, or memory | no |
//! | [`plan`] | the statements of one transaction: binding, coalescing, merging | yes |
//! | [`dead_letter`] | groups that can never be written, in memory and on disk | no |
//! | [`settings`] | a buffer's settings, checked | yes |
//! | [`rows`] | groups of rows, as a log | yes |
//! | [`table`] | a table: name, rules, schema, model, columns; and all tables of a buffer | yes |
//! | [`ledger`] | which transaction was committed, if a COMMIT was not answered | yes |
//! | [`dsn`] | where rows go, as PHP says it | yes |
//! | [`error`] | the one error, the servers' codes, and what to do after an error | yes |
//! | [`value`] | one value: its encoding, exact numbers | yes |
//! | [`clock`] | time, as an argument | no |
//! | [`descriptor`] | descriptors of files and sockets that are none of the standard ones | no |
//!
//! Pure: no clock and no I/O. Time comes in as an argument. The only locks are those that guard a
//! table's model, held to copy a pointer.

pub mod buffer;
pub mod clock;
pub mod dead_letter;
pub mod descriptor;
pub mod dsn;
pub mod error;
pub mod ledger;
pub mod plan;
pub mod rows;
pub mod settings;
pub mod sink;
pub mod table;
pub mod value;
pub mod writer;
