//! What to do after an error: one function of the phase it came in and of what it says.
//!
//! Invariant: only what is listed as a fault of rows is ever given up ([`Decision::Refuse`]). A bug of ours, the settings
//! and this machine never are.

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
    /// A question outside a transaction: a table's schema, the ledger's row.
    LookUp,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The transaction lost a race: repeat it as it is, after a wait.
    Repeat,
    /// The connection, or its server, is of no use: connect again, and repeat what was under way.
    Reconnect,
    /// The transaction may be committed: ask the ledger before anything else is written.
    CommitUnknown,
    /// The ledger holds another number than the writer left there: ask it.
    AskLedger,
    /// These rows will never be taken. Those beside them may.
    Refuse,
    /// Nothing that is tried at once would help. The rows stay, and are tried again later.
    Keep,
}

/// What to do after an error.
pub fn decide(phase: Phase, error: &Error) -> Decision {
    match error.kind() {
        Kind::LedgerMoved => Decision::AskLedger,
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
            (Phase::Statement, Error::bug(""), Decision::Keep),
            (Phase::Statement, Error::timeout(""), Decision::Keep),
            (Phase::Statement, Error::config(""), Decision::Keep),
        ] {
            assert_eq!(decide(phase, &error), expected, "{phase:?}, {error:?}");
        }
    }
}
