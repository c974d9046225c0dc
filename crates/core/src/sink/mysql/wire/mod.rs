//! Owns the connection to a server: socket, TLS, packets, authentication, commands and answers.
//!
//! Why our own? The client library trusts the server and the network between: what comes before TLS
//! counts after it, a number in a packet decides how much memory is taken, and a server that sends
//! one byte a second is waited for without end. It also hides its stream under TLS, so each
//! statement would cost a round trip there. Its packets, scrambles, values, rows and errors are
//! used; and in tests it is the judge.
//!
//! Invariants:
//! - Nothing that came before TLS is used after it (`packets`, `stream`).
//! - Each packet's number is checked. An answer belongs to the command that was sent first
//!   ([`conn`]).
//! - Each call ends at a deadline that counts from the call (`transport`).
//! - No bytes make it panic: it neither indexes nor counts past a number's end.
//! - Nothing is allocated by what a peer claims: memory grows as bytes come, up to the bounds.
//! - Neither several statements in one text nor `LOCAL INFILE` is offered (`authentication`).
//!
//! The way down: [`conn`] → `authentication`, `command`, `answer`, `rows` → `packets` → `stream` →
//! [`transport`].
//!
//! Bounds of an answer: 32 MiB with 64 bytes for each value, 32 columns, 10,000 rows, 65,535
//! placeholders; 4 KiB of an error's message. Of the handshake: 16 KiB a packet, 8 packets, RSA
//! keys of 1,024 to 8,192 bits.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod answer;
pub mod authentication;
pub mod command;
pub mod conn;
mod fields;
mod greeting;
mod packets;
pub mod rows;
mod rsa_key;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod transport;

/// The bytes of an answer, at most. The longest are definitions of tables.
const ANSWER_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// What a value takes in memory besides its bytes, about.
const VALUE_OVERHEAD_BYTES: usize = 64;
/// The columns of a result, at most: the session's variables have 15 with its identity.
const COLUMNS_MAX: u64 = 32;
/// The rows of a result, at most: a table has 4,096 columns at most.
const ROWS_MAX: usize = 10_000;
