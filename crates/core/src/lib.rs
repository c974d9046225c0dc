//! The engine of the `write_buffer` PHP extension. It knows nothing of PHP.
//!
//! The folders spell a row's way, from the top floor down. Each one uses only those below it.
//!
//! | module | what it owns | pure |
//! |---|---|---|
//! | [`buffer`] | what callers hold: takes groups, and has them written, on a thread or by its caller | no |
//! | [`writer`] | a batch into a transaction: repetitions, the ledger's questions, dead letters | no |
//! | [`sink`] | where transactions go: MySQL and MariaDB, or memory | no |
//! | [`plan`] | the statements of one transaction: binding, coalescing, merging | yes |
//! | [`dead_letter`] | groups that can never be written, in memory and on disk | no |
//! | [`settings`] | a buffer's settings, checked | yes |
//! | [`rows`] | groups of rows, as a log | yes |
//! | [`table`] | a table: name, rules, schema, model, columns; and all tables of a buffer | yes |
//! | [`ledger`] | which transaction was committed, if a COMMIT was not answered | yes |
//! | [`dsn`] | where rows go, as PHP says it | yes |
//! | [`error`] | the one error, and the servers' codes | yes |
//! | [`value`] | one value: its encoding, exact numbers | yes |
//! | [`clock`] | time, as an argument | no |

pub mod buffer;
pub mod clock;
pub mod dead_letter;
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
