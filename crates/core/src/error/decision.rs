//! What to do after an error: one function of the phase and the error.
//!
//! Invariant: a bug of ours, a setting or this machine never makes the engine give up rows
//! ([`Decision::Refuse`]). A row's own fault does, and so does an error code of the server that is
//! not in the table of codes ([`crate::error::server::classify`]).
//!
//! At COMMIT a lost connection, or an error of [`Class::Reconnect`] (1053, 1180, 1927 …), leaves
//! open whether the transaction was committed: asking the ledger is cheap. Any other error means
//! that it was not.

use super::server::{self, Class};
use super::{Error, Kind};

/// What was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Connecting, and the session's settings.
    Connect,
    /// A transaction's statements, up to COMMIT.
    Statement,
    /// COMMIT.
    Commit,
    /// A question outside a transaction: a table's schema, or the ledger's row.
    LookUp,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The transaction lost a race: repeat it after a wait.
    Repeat,
    /// A table was altered: read it anew, plan the transaction anew, and repeat it.
    Replan,
    /// The connection, or its server, is of no use: connect again, and repeat what was under way.
    Reconnect,
    /// The transaction may be committed: ask the ledger before anything else is written.
    CommitUnknown,
    /// The ledger does not hold the number that the writer left there: ask what it holds.
    AskLedger,
    /// These rows will never be taken. The rows beside them may be.
    Refuse,
    /// Trying again at once would not help. The rows stay, and are tried later.
    Keep,
}

/// What to do after an error.
pub fn decide(phase: Phase, error: &Error) -> Decision {
    match error.kind() {
        Kind::LedgerMoved => Decision::AskLedger,
        Kind::SchemaChanged => Decision::Replan,
        Kind::Row => Decision::Refuse,
        Kind::Server { code } => decide_by_code(phase, code),
        Kind::Connection {
            commit_unknown: true, ..
        } => Decision::CommitUnknown,
        Kind::Connection {
            code: server::CR_SERVER_LOST,
            ..
        } => lost(phase),
        // Nobody answers there: connecting again at once will not help.
        Kind::Connection { .. }
        | Kind::Config
        | Kind::Argument
        | Kind::Full
        | Kind::Closed
        | Kind::Blocked
        | Kind::Timeout
        | Kind::Interrupted
        | Kind::Bug => Decision::Keep,
    }
}

fn decide_by_code(phase: Phase, code: u16) -> Decision {
    match server::classify(code) {
        Class::Retry => Decision::Repeat,
        Class::Reconnect => lost(phase),
        Class::Refused => Decision::Refuse,
        Class::Misconfigured => Decision::Keep,
    }
}

fn lost(phase: Phase) -> Decision {
    match phase {
        Phase::Commit => Decision::CommitUnknown,
        Phase::Connect | Phase::Statement | Phase::LookUp => Decision::Reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_decision_in_each_phase() {
        let lost = Error::connection(server::CR_SERVER_LOST, "lost");
        for (phase, error, expected) in [
            (Phase::Statement, Error::server(1213, ""), Decision::Repeat),
            (Phase::Commit, Error::server(1213, ""), Decision::Repeat),
            (Phase::Statement, Error::server(1062, ""), Decision::Refuse),
            (Phase::Statement, Error::row(""), Decision::Refuse),
            (Phase::Statement, Error::server(1146, ""), Decision::Keep),
            (Phase::Statement, Error::server(1053, ""), Decision::Reconnect),
            (Phase::Commit, Error::server(1053, ""), Decision::CommitUnknown),
            (Phase::Statement, lost.clone(), Decision::Reconnect),
            (Phase::Commit, lost, Decision::CommitUnknown),
            (
                Phase::Statement,
                Error::commit_unknown(2013, ""),
                Decision::CommitUnknown,
            ),
            (Phase::Connect, Error::connection(2003, ""), Decision::Keep),
            (Phase::Statement, Error::ledger_moved(), Decision::AskLedger),
            (Phase::Statement, Error::schema_changed(&"t"), Decision::Replan),
            (Phase::Statement, Error::bug(""), Decision::Keep),
            (Phase::Statement, Error::timeout(""), Decision::Keep),
            (Phase::Statement, Error::config(""), Decision::Keep),
        ] {
            assert_eq!(decide(phase, &error), expected, "{phase:?}, {error:?}");
        }
    }
}
