//! What was under way when an error came.

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Connecting, and the session's settings.
    Connect,
    /// A statement with rows: preparing it, and each execution.
    Statement,
    /// COMMIT.
    Commit,
    /// Anything else, none of which has a row in it: a table's schema, the ledger, `SET`, `START
    /// TRANSACTION`.
    LookUp,
}
