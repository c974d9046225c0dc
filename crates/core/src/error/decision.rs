//! What to do after an error: one function of the phase that it came in and of what it says.
//!
//! Invariants:
//! - Only what is listed as a fault of rows is ever given up ([`Decision::Refuse`]), and only if a
//!   statement with rows was answered by it. A bug of ours, the settings and this machine keep the
//!   rows.
//! - Only what is listed as a failure of COMMIT is taken for one. After any other answer the
//!   transaction may be committed.

use super::codes::{self, Class};
use super::phase::Phase;
use super::{Error, Kind};

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

/// How long rows are kept that wait for their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkEnd {
    /// Until they are written, or their time is over: somebody has to put the table right.
    Timeout,
    /// Until they are written: it passes by itself, or nobody knows what the error means.
    Written,
}

/// Whether the error lies in one table: its rows wait, and those of other tables may be written
/// meanwhile. `None`: nothing can be written now, or a row is at fault.
pub fn parks(error: &Error) -> Option<ParkEnd> {
    error.place()?;
    let end = match error.kind() {
        Kind::Blocked => ParkEnd::Timeout,
        Kind::Server { code, class } => match (error.phase(), class) {
            (Phase::Connect | Phase::Commit, _) => return None,
            (_, Class::Blocked) if codes::is_of_table(code) => ParkEnd::Timeout,
            (_, Class::Retry) if code == codes::ER_LOCK_WAIT_TIMEOUT => ParkEnd::Written,
            (_, Class::Unlisted) => ParkEnd::Written,
            // The session is there, so it is not its account's: a view's definer is gone. A proxy
            // may mean the account by it, so no row is given up.
            (_, Class::Blocked) if code == codes::ER_ACCESS_DENIED_ERROR => ParkEnd::Written,
            _ => return None,
        },
        _ => return None,
    };
    Some(end)
}

/// Whether the error says that somebody holds a lock on the table, or on rows of it.
pub fn is_locked(error: &Error) -> bool {
    let is_timeout = matches!(
        error.kind(),
        Kind::Server {
            code: codes::ER_LOCK_WAIT_TIMEOUT,
            class: Class::Retry
        }
    );
    is_timeout && parks(error).is_some()
}

/// What to do after an error.
pub fn decide(phase: Phase, error: &Error) -> Decision {
    match error.kind() {
        Kind::LedgerMoved => Decision::AskLedger,
        Kind::SchemaChanged => Decision::Replan,
        Kind::Row => Decision::Refuse,
        Kind::Server { code, class } => decide_by_code(phase, code, class),
        Kind::Connection {
            commit_unknown: true, ..
        } => Decision::CommitUnknown,
        Kind::Connection {
            code: codes::CR_SERVER_LOST,
            ..
        } => match phase {
            Phase::Commit => Decision::CommitUnknown,
            Phase::Connect | Phase::Statement | Phase::LookUp => Decision::Reconnect,
        },
        // Nobody answers there: connecting again at once will not help.
        Kind::Connection { .. }
        | Kind::Config
        | Kind::Argument
        | Kind::Full
        | Kind::TooLarge
        | Kind::Closed
        | Kind::Blocked
        | Kind::Timeout
        | Kind::Interrupted
        | Kind::TakenOver
        | Kind::GivenUp
        | Kind::Forgotten
        | Kind::Bug => Decision::Keep,
    }
}

fn decide_by_code(phase: Phase, code: u16, class: Class) -> Decision {
    match (phase, class) {
        (Phase::Commit, _) if !codes::fails_commit(code) => Decision::CommitUnknown,
        (_, Class::Retry) => Decision::Repeat,
        (_, Class::Reconnect) => Decision::Reconnect,
        (Phase::Statement, Class::Data) => Decision::Refuse,
        (_, Class::Data | Class::Blocked | Class::Unlisted) => Decision::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 4] = [Phase::Connect, Phase::Statement, Phase::Commit, Phase::LookUp];

    #[test]
    fn each_error_has_its_decision_in_each_phase() {
        let lost = Error::connection(codes::CR_SERVER_LOST, "lost");
        for (phase, error, expected) in [
            (Phase::Statement, Error::server(1213, ""), Decision::Repeat),
            (Phase::Commit, Error::server(1213, ""), Decision::Repeat),
            (Phase::Statement, Error::server(1205, ""), Decision::Repeat),
            (Phase::Commit, Error::server(1205, ""), Decision::CommitUnknown),
            (Phase::Statement, Error::server(1062, ""), Decision::Refuse),
            (Phase::LookUp, Error::server(1062, ""), Decision::Keep),
            (Phase::Connect, Error::server(1062, ""), Decision::Keep),
            (Phase::Commit, Error::server(1062, ""), Decision::CommitUnknown),
            (
                Phase::Statement,
                Error::server_with_state(30_001, "45000", ""),
                Decision::Refuse,
            ),
            (
                Phase::Statement,
                Error::server_with_state(30_001, "HY000", ""),
                Decision::Keep,
            ),
            (Phase::Statement, Error::row(""), Decision::Refuse),
            (Phase::Statement, Error::server(1146, ""), Decision::Keep),
            (Phase::Statement, Error::server(1449, ""), Decision::Keep),
            (Phase::Statement, Error::server(1053, ""), Decision::Reconnect),
            (Phase::Commit, Error::server(1053, ""), Decision::CommitUnknown),
            (Phase::Commit, Error::server(1105, ""), Decision::CommitUnknown),
            (Phase::Statement, lost.clone(), Decision::Reconnect),
            (Phase::Commit, lost, Decision::CommitUnknown),
            (
                Phase::Statement,
                Error::commit_unknown(2013, ""),
                Decision::CommitUnknown,
            ),
            (Phase::Connect, Error::connection(2003, ""), Decision::Keep),
            (Phase::Statement, Error::ledger_moved(), Decision::AskLedger),
            (Phase::Statement, Error::taken_over(), Decision::Keep),
            (Phase::Statement, Error::schema_changed(&"t"), Decision::Replan),
            (Phase::Statement, Error::bug(""), Decision::Keep),
            (Phase::Statement, Error::timeout(""), Decision::Keep),
            (Phase::Statement, Error::config(""), Decision::Keep),
        ] {
            assert_eq!(decide(phase, &error), expected, "{phase:?}, {error:?}");
        }
    }

    #[test]
    fn only_what_lies_in_a_table_waits_for_it() {
        let at = |error: Error| error.at_table(&"t", None);
        for (error, expected) in [
            (Error::server(1146, ""), None),
            (at(Error::server(1146, "")), Some(ParkEnd::Timeout)),
            (
                at(Error::server(1146, "").during(Phase::LookUp)),
                Some(ParkEnd::Timeout),
            ),
            (at(Error::server(1054, "")), Some(ParkEnd::Timeout)),
            (at(Error::server(1142, "")), Some(ParkEnd::Timeout)),
            (at(Error::server(1449, "")), Some(ParkEnd::Timeout)),
            (at(Error::server(1814, "")), Some(ParkEnd::Timeout)),
            (at(Error::config("MyISAM").after_taking()), Some(ParkEnd::Timeout)),
            (at(Error::server(60_000, "")), Some(ParkEnd::Written)),
            (at(Error::server(1205, "")), Some(ParkEnd::Written)),
            (at(Error::server(1205, "").during(Phase::Commit)), None),
            (Error::server(1205, ""), None),
            (at(Error::server(1213, "")), None),
            (at(Error::server(1146, "").during(Phase::Connect)), None),
            (at(Error::server(1146, "").during(Phase::Commit)), None),
            (at(Error::server(1045, "")), Some(ParkEnd::Written)),
            // A trigger's, not the server's.
            (at(Error::server_with_state(1213, "45000", "")), Some(ParkEnd::Written)),
            (at(Error::server_with_state(1290, "45000", "")), Some(ParkEnd::Written)),
            // The account, the server and the connection are in everybody's way.
            (at(Error::server(1045, "").during(Phase::Connect)), None),
            (Error::server(1045, ""), None),
            (at(Error::server(1461, "")), None),
            (at(Error::server(1290, "")), None),
            (at(Error::server(2013, "")), None),
            (at(Error::connection(2003, "")), None),
            (at(Error::commit_unknown(2013, "")), None),
            (at(Error::timeout("")), None),
            (at(Error::bug("")), None),
            // A row is at fault.
            (at(Error::server(1264, "")), None),
            (at(Error::row("")), None),
        ] {
            assert_eq!(parks(&error), expected, "{error:?}");
        }
    }

    /// Of all 65,535 codes.
    #[test]
    fn only_what_is_listed_gives_rows_up_or_proves_that_nothing_was_committed() {
        for code in 1..=u16::MAX {
            let error = Error::server(code, "");
            let class = codes::classify(code);
            for phase in PHASES {
                let decision = decide(phase, &error);
                assert_eq!(
                    decision == Decision::Refuse,
                    class == Class::Data && phase == Phase::Statement,
                    "{code} in {phase:?}"
                );
                if phase == Phase::Commit {
                    let fails = codes::fails_commit(code);
                    assert_eq!(decision == Decision::CommitUnknown, !fails, "{code} in {phase:?}");
                }
                if class == Class::Unlisted && phase != Phase::Commit {
                    assert_eq!(decision, Decision::Keep, "{code} in {phase:?}");
                }
            }
        }
    }
}
