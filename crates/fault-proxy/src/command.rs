//! What a client says, as far as faults look at it.

/// How a statement's text came to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `COM_QUERY`: it is executed at once.
    Query,
    /// `COM_STMT_PREPARE`.
    Prepare,
    /// `COM_STMT_EXECUTE` of a statement prepared before.
    Execute,
    /// A command without a text.
    Other,
}

/// A command of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// How the text came.
    pub way: Way,
    /// The beginning of the statement's text; empty where there is none.
    pub text: Vec<u8>,
}
