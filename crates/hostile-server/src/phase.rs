//! The steps of a client's session, by what it sends.

/// What the client has just sent, or, at first, that it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The greeting: nothing was sent yet.
    Greeting,
    /// The login.
    Login,
    /// The server's version.
    Version,
    /// SET, of the session's settings.
    Settings,
    /// The session's variables.
    Variables,
    /// A table's definition.
    Definition,
    /// A table's columns.
    Columns,
    /// Its indexes.
    Indexes,
    /// What it refers to.
    References,
    /// Its triggers.
    Triggers,
    /// Its engine.
    Engine,
    /// A statement of the ledger.
    Ledger,
    /// The start of a transaction, by whatever statement.
    Begin,
    /// A statement is prepared.
    Prepare,
    /// A statement is executed.
    Execute,
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// Anything else.
    Other,
}

/// All phases by name.
pub const NAMES: [(&str, Phase); 18] = [
    ("greeting", Phase::Greeting),
    ("login", Phase::Login),
    ("version", Phase::Version),
    ("settings", Phase::Settings),
    ("variables", Phase::Variables),
    ("definition", Phase::Definition),
    ("columns", Phase::Columns),
    ("indexes", Phase::Indexes),
    ("references", Phase::References),
    ("triggers", Phase::Triggers),
    ("engine", Phase::Engine),
    ("ledger", Phase::Ledger),
    ("begin", Phase::Begin),
    ("prepare", Phase::Prepare),
    ("execute", Phase::Execute),
    ("commit", Phase::Commit),
    ("rollback", Phase::Rollback),
    ("other", Phase::Other),
];

/// What a statement's text has, in the order in which it is looked for.
const TEXTS: [(&str, Phase); 15] = [
    ("SELECT VERSION()", Phase::Version),
    ("SET NAMES", Phase::Settings),
    ("SELECT @@max_allowed_packet", Phase::Variables),
    ("SHOW CREATE TABLE", Phase::Definition),
    ("information_schema.COLUMNS", Phase::Columns),
    ("information_schema.STATISTICS", Phase::Indexes),
    ("information_schema.KEY_COLUMN_USAGE", Phase::References),
    ("information_schema.TRIGGERS", Phase::Triggers),
    ("information_schema.TABLES", Phase::Engine),
    ("ledger`", Phase::Ledger),
    ("autocommit = 0", Phase::Begin),
    ("START TRANSACTION", Phase::Begin),
    ("COMMIT", Phase::Commit),
    ("ROLLBACK", Phase::Rollback),
    ("", Phase::Other),
];

impl Phase {
    /// The phase of a name.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, phase)| *phase)
    }

    /// The phase of a command: `COM_QUERY`, `COM_STMT_PREPARE`, `COM_STMT_EXECUTE`.
    pub fn of_command(payload: &[u8]) -> Self {
        match payload.split_first() {
            Some((0x03, text)) => Self::of_text(&String::from_utf8_lossy(text)),
            Some((0x16, _)) => Self::Prepare,
            Some((0x17, _)) => Self::Execute,
            _ => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        TEXTS
            .iter()
            .find(|(part, _)| text.contains(part))
            .map_or(Self::Other, |(_, phase)| *phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_their_phase() {
        for (payload, expected) in [
            (&b"\x03SET SESSION autocommit = 0"[..], Phase::Begin),
            (b"\x03SET NAMES 'utf8mb4', SESSION autocommit = 1", Phase::Settings),
            (b"\x03UPDATE `write_buffer_ledger` SET a = 1", Phase::Ledger),
            (b"\x16INSERT INTO `t`", Phase::Prepare),
            (b"\x17\x01", Phase::Execute),
            (b"\x03COMMIT", Phase::Commit),
            (b"\x0e", Phase::Other),
            (b"", Phase::Other),
        ] {
            assert_eq!(Phase::of_command(payload), expected, "{payload:?}");
        }
        for (name, phase) in NAMES {
            assert_eq!(Phase::parse(name), Some(phase));
        }
    }
}
